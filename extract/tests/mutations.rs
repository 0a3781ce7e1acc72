//! Compressed files with places changed, cut, doubled and moved: each is read without harm and comes back exactly, and so do
//! encodings with changed corrections end, in an error or in other bytes.
//!
//! The changes follow from a seed. `scripts/fuzz` runs more of them: `DD_MUTATIONS` files of each kind from seed `DD_SEED` on.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read, Write};

use dd_extract::encoding::Encoding;
use dd_extract::encoding::decompress::{Decompressor, Limits, sniff};
use dd_extract::encoding::identify::{Corrections, identify};

/// Content that a file may have; more is a bomb.
const MAX_CONTENT: u64 = 4 << 20;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn text(len: usize) -> Vec<u8> {
    let (mut random, mut text) = (Random(3), Vec::new());
    while text.len() < len {
        writeln!(text, "usr/share/doc/{}/{:x}", random.below(40), random.below(9000)).unwrap();
    }
    text.truncate(len);
    text
}

/// A file by the encoding of this record.
fn encoded(json: &str, plain: &[u8]) -> Vec<u8> {
    let encoding = Encoding::parse(&serde_json::from_str(json).unwrap()).unwrap();
    let mut encoder = encoding.encoder(Vec::new(), std::io::empty()).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Files of every kind of framing and block.
fn files() -> Vec<Vec<u8>> {
    let plain = text(90_000);
    let gzip = |header: &str, rest: &str, plain: &[u8]| {
        encoded(&format!(r#"{{"encoding":"gzip","header":"{header}",{rest}}}"#), plain)
    };
    let unix = "1f8b0800000000000003";
    let go = gzip("1f8b08000000000000ff", r#""deflate":"go","release":"1.16","level":6"#, &plain);
    let named = gzip(
        "1f8b08080000000000036100",
        r#""deflate":"zlib","level":9,"mem_level":8"#,
        &plain[..30_000],
    );
    let frame = |plain: &[u8]| {
        encoded(r#"{"encoding":"zstd-klauspost","release":"1.17.8","level":"default"}"#, plain)
    };
    let digest = dd_inspect::digest::Digest::of(&plain[600..]);
    let table =
        frame(format!(r#"{{"entries":[{{"digest":"{digest}","size":89400}}]}}"#).as_bytes());
    let len = (table.len() as u32).to_le_bytes();
    let table = [&[0x50, 0x2a, 0x4d, 0x18][..], &len, &table].concat();
    vec![
        [frame(&plain[..600]), frame(&plain[600..]), table].concat(),
        gzip(unix, r#""deflate":"pigz","level":6,"block":32768"#, &plain),
        gzip(unix, r#""deflate":"zlib","level":0,"mem_level":8"#, &plain[..3000]),
        gzip(
            "1f8b080000096e8800ff",
            r#""deflate":"klauspost","release":"1.15.11","level":5,"block":30000"#,
            &plain,
        ),
        [&go[..], &named, &go, &[0; 40]].concat(),
        encoded(
            r#"{"encoding":"zstd-klauspost","release":"1.17.8","level":"default","first_block":8}"#,
            &plain,
        ),
        zstd::encode_all(&plain[..], 3).unwrap(),
        go,
    ]
}

/// A few changes of a file.
fn mutated(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(file.len());
        // Heads are short and decide most.
        let at = if random.below(3) == 0 { at % 40 } else { at }.min(file.len() - 1);
        match random.below(6) {
            0 => file[at] = random.below(256) as u8,
            1 => file[at] ^= 1 << random.below(8),
            2 if at > 0 => file.truncate(at),
            3 => drop(file.splice(at..at, [0xff; 4])),
            4 => {
                let end = (at + random.below(300)).min(file.len());
                file.extend_from_within(at..end);
            }
            _ => drop(file.drain(at..(at + random.below(9)).min(file.len() - 1).max(at))),
        }
    }
    file
}

/// Reads a file, finds how it was made, and makes it again; returns its encoding, content and corrections.
fn round_trip(file: &[u8]) -> Option<(Encoding, Vec<u8>, Vec<u8>)> {
    let limits = Limits { max_size: MAX_CONTENT, ..Limits::default() };
    let mut plain = Vec::new();
    let mut reader = Decompressor::new(file, sniff(file), limits).ok()?;
    reader.read_to_end(&mut plain).ok()?;
    let scratch = tempfile::tempdir().unwrap();
    let proven = identify(&file.to_vec(), &plain, scratch.path(), 1 << 30).unwrap();
    let mut corrections = Vec::new();
    match proven.corrections {
        Corrections::None => {}
        Corrections::Stored => corrections.extend_from_slice(file),
        Corrections::Script(mut script) => drop(script.read_to_end(&mut corrections).unwrap()),
    }
    let again = replay(&proven.encoding, &plain, &corrections).unwrap();
    assert!(again == file, "{}", proven.encoding);
    Some((proven.encoding, plain, corrections))
}

fn replay(encoding: &Encoding, plain: &[u8], corrections: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = encoding.encoder(Vec::new(), corrections)?;
    for piece in plain.chunks(10_007) {
        encoder.write_all(piece)?;
    }
    encoder.finish()
}

#[test]
fn changed_files_come_back() {
    let (count, seed) = (setting("DD_MUTATIONS", 6), setting("DD_SEED", 1));
    for (kind, file) in files().iter().enumerate() {
        assert!(round_trip(file).is_some(), "{kind}");
        for place in seed..seed + count {
            let mut random = Random(place * 1000 + kind as u64);
            let file = mutated(file, &mut random);
            let Some((encoding, plain, corrections)) = round_trip(&file) else { continue };
            if corrections.is_empty() || encoding == (Encoding::Bytes {}) {
                continue;
            }
            let changed = mutated(&corrections, &mut random);
            // What comes out is compared by whoever runs it; here it only has to end.
            let _ = replay(&encoding, &plain, &changed);
        }
    }
}
