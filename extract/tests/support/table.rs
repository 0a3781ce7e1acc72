//! Tables of what encoders give: rows of input, length, SHA-256 and the encoders that give just that
//! (`variant,variant:level,level;…`).

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::{Context, Result, bail};
use dd_extract::encoding::Encoding;
use dd_extract::encoding::stream::{GoRelease, KlauspostRelease, Known};
use dd_extract::encoding::zlib::ZlibParams;
use dd_inspect::digest::Digest;
use serde_json::json;

/// What a row asks for.
#[derive(Debug)]
struct Row {
    input: String,
    len: u64,
    sha256: String,
    variant: String,
    level: String,
}

fn rows(table: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [input, len, sha256, encoders] = fields[..] else {
            bail!("a row of other fields: {line}")
        };
        for group in encoders.split(';') {
            let (variants, levels) = group.split_once(':').context("a group without levels")?;
            for variant in variants.split(',') {
                for level in levels.split(',') {
                    rows.push(Row {
                        input: input.to_owned(),
                        len: len.parse()?,
                        sha256: sha256.to_owned(),
                        variant: variant.to_owned(),
                        level: level.to_owned(),
                    });
                }
            }
        }
    }
    Ok(rows)
}

/// What the encoder of a variant gives, if it is known here.
pub fn encode(variant: &str, level: &str, text: &[u8]) -> Result<Option<Vec<u8>>> {
    if variant.starts_with("kz") {
        return zstd(variant, level, text);
    }
    match level.parse() {
        Ok(level) => deflate(variant, level, text),
        Err(_) => Ok(None),
    }
}

/// klauspost's zstd; a variant that begins with `kz8+` has a first block of eight bytes.
fn zstd(variant: &str, level: &str, text: &[u8]) -> Result<Option<Vec<u8>>> {
    let (class, first_block) = match variant.strip_prefix("kz8+") {
        Some(class) => (class, 8),
        None => (&variant[2..], 0),
    };
    let release = match class {
        "1.18.5" => "1.17.8",
        // Before 1.18.5 nothing at all is written for the empty text.
        "1.14.2" | "1.16.4" | "1.17.8" if !text.is_empty() => class,
        _ => return Ok(None),
    };
    if !["default", "fastest"].contains(&level) {
        return Ok(None);
    }
    let encoding = json!({"encoding": "zstd-klauspost", "release": release, "level": level, "first_block": first_block});
    let mut encoder = Encoding::parse(&encoding)?.encoder(Vec::new(), io::empty())?;
    encoder.write_all(text)?;
    Ok(Some(encoder.finish()?))
}

/// The raw stream, or the gzip file where the program writes one.
fn deflate(variant: &str, level: i8, text: &[u8]) -> Result<Option<Vec<u8>>> {
    let pigz =
        |one_thread| Known::Pigz { level: level.cast_unsigned(), block: 128 << 10, one_thread };
    let (known, head) = match variant {
        "goa" => (Known::Go { release: GoRelease::V1_16, level, flush: false }, None),
        "gob" => (Known::Go { release: GoRelease::V1_27, level, flush: false }, None),
        "zlib8" | "zlib9" => {
            let mem_level = variant.as_bytes()[4] - b'0';
            (Known::Zlib(ZlibParams { level: level.cast_unsigned(), mem_level }), None)
        }
        "pigz" => (pigz(false), Some([0, 0, 0, 0, xfl(level), 3])),
        "pigz1" => (pigz(true), Some([0, 0, 0, 0, xfl(level), 3])),
        "gzip" => (Known::Gnu { level: level.cast_unsigned() }, Some([0, 0, 0, 0, xfl(level), 3])),
        _ => {
            let (block, release) = match variant.rsplit_once("kp") {
                Some(("", release)) => (None, release),
                Some(("pgz1M-", release)) => (Some(1 << 20), release),
                Some(("pgz256K-", release)) => (Some(256 << 10), release),
                _ => return Ok(None),
            };
            let Some(release) = release_of(release, level) else { return Ok(None) };
            let known = Known::Klauspost { release, level, block };
            (known, block.map(|_| [0, 9, 0x6e, 0x88, xfl(level), 255]))
        }
    };
    // Levels that no encoder here has are not claimed.
    let Ok(stream) = known.encode(text) else { return Ok(None) };
    let Some(head) = head else { return Ok(Some(stream)) };
    let mut crc = flate2::Crc::new();
    crc.update(text);
    let (sum, len) = (crc.sum().to_le_bytes(), crc.amount().to_le_bytes());
    Ok(Some([&[0x1f, 0x8b, 8, 0][..], &head, &stream, &sum, &len].concat()))
}

/// RFC 1952, 2.3.1.
fn xfl(level: i8) -> u8 {
    match level {
        9 => 2,
        1 => 4,
        _ => 0,
    }
}

/// The release that stands for a class at a level, if it is claimed.
fn release_of(class: &str, level: i8) -> Option<KlauspostRelease> {
    use KlauspostRelease as Release;
    Some(match class {
        "1.18.2" => Release::V1_18_1,
        "1.18.1" if level < 9 => Release::V1_18_1,
        "1.18.0" => Release::V1_18_0,
        "1.15.15" => Release::V1_15_11,
        "1.15.12" if level < 7 => Release::V1_15_11,
        "1.15.12" | "1.15.10" => Release::V1_15_10,
        "1.15.4" => Release::V1_15_0,
        "1.14.4" => Release::V1_14_3,
        "1.14.2" => Release::V1_14_0,
        "1.12.3" => Release::V1_12_3,
        "1.12.2" => Release::V1_12_2,
        "1.10.3" => Release::V1_10_2,
        _ => return None,
    })
}

/// Rows and hits by variant and level.
pub type Tallies = BTreeMap<(String, String), (u32, u32)>;

/// Encodes the inputs of a table and compares; `missed` is told of what differs.
pub fn check(
    table: &str,
    only: Option<&str>,
    mut input: impl FnMut(&str) -> Result<Vec<u8>>,
    mut missed: impl FnMut(String),
) -> Result<Tallies> {
    let mut rows = rows(table)?;
    if let Some(only) = only {
        rows.retain(|row| only == row.variant || only == format!("{}:{}", row.variant, row.level));
    }
    rows.sort_by(|a, b| (&a.input, &a.variant, &a.level).cmp(&(&b.input, &b.variant, &b.level)));
    let mut tallies = Tallies::new();
    let mut loaded = (String::new(), Vec::new());
    for row in &rows {
        if loaded.0 != row.input {
            loaded = (row.input.clone(), input(&row.input)?);
        }
        let Some(coded) = encode(&row.variant, &row.level, &loaded.1)? else { continue };
        let hit = Digest::of(&coded).hex() == row.sha256;
        let tally = tallies.entry((row.variant.clone(), row.level.clone())).or_default();
        tally.0 += 1;
        tally.1 += u32::from(hit);
        if !hit {
            let Row { input, len, variant, level, .. } = row;
            missed(format!("{variant}:{level} of {input} has {} bytes, not {len}", coded.len()));
        }
    }
    Ok(tallies)
}
