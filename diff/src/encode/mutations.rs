//! Layers and payloads with places changed, cut, doubled and moved: what is encoded comes back, and a damaged payload is an
//! error or gives no more than it declares.
//!
//! The changes follow from a seed. `scripts/fuzz` runs more of them: `DD_MUTATIONS` pairs from seed `DD_SEED` on.
#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::failure::Failure;

use super::emit::Bases;
use super::opened::samples::{Stored, gzip, text, zip};
use super::tests::{layer, noise, tar};
use super::{Layer, Options, Technique, encode};
use crate::program::{Decoder, Head, Limits};

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

/// Paths and contents of every kind that is treated apart.
fn files() -> Vec<(String, Vec<u8>)> {
    let program = std::fs::read("/bin/true").unwrap_or_else(|_| noise(1, 40_000));
    let (long, short) = (text(1, 30_000), text(2, 3000));
    let members = [("a.txt", &long[..], Stored::No), ("b.txt", &short[..], Stored::Yes)];
    let mut files = vec![
        ("bin/program".to_owned(), program),
        ("doc/changes.gz".to_owned(), gzip(&long)),
        ("lib/archive.zip".to_owned(), zip(&members)),
        ("lib/module.py".to_owned(), short),
        ("noise".to_owned(), noise(2, 9000)),
    ];
    let list = files.iter().fold(String::new(), |list, (path, content)| {
        format!("{list}{path},{},{}\n", Digest::of(content), content.len())
    });
    files.insert(0, ("RECORD".to_owned(), list.into_bytes()));
    files
}

/// A few changes of some bytes.
fn mutated(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..random.below(6) {
        let at = random.below(bytes.len());
        let most = 1 << random.below(12);
        let end = (at + 1 + random.below(most)).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            2 => bytes.truncate(at),
            3 if at < end => bytes[at..end].fill(random.below(256) as u8),
            _ if at < end => bytes[at] ^= 1 << random.below(8),
            _ => bytes.extend_from_slice(&noise(random.below(99) as u64, 300)),
        }
    }
    bytes
}

/// Another version of files, as a layer: its list is of these files, and its tar may be none.
fn version(random: &mut Random) -> Layer {
    let mut files: Vec<(String, Vec<u8>)> =
        files().into_iter().map(|(path, content)| (path, mutated(content, random))).collect();
    if random.below(2) == 0 {
        let (path, content) = files[random.below(files.len())].clone();
        files.push((path.replace('/', "/new-"), content));
    }
    let time = random.below(1 << 30) as u64;
    let parts: Vec<(&str, &[u8], u64)> =
        files.iter().map(|(path, content)| (path.as_str(), &content[..], time)).collect();
    let bytes = tar(&parts);
    if random.below(4) > 0 {
        return layer(bytes);
    }
    let bytes = mutated(bytes, random);
    Layer::new(DiffId::of(&bytes), Arc::new(bytes), Vec::new())
}

/// Refuses what is more than declared.
struct Bounded(u64);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len() as u64).expect("more than was declared");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A decoder with the bases that a payload may read.
fn decoder<'a>(
    payload: &'a [u8],
    bases: &'a [Layer],
    scratch: &Path,
) -> Result<Decoder<&'a [u8], Bases<'a>>, Failure> {
    let limits = Limits { memory: 96 << 20, scratch: 64 << 20 };
    let used = Head::read(payload).map_or(0, |head| head.sources.len());
    Decoder::new(payload, Bases(&bases[..used.min(bases.len())]), crate::tools(scratch), limits)
}

#[test]
fn what_is_encoded_comes_back_and_damage_does_no_harm() {
    let first = setting("DD_SEED", 1);
    for seed in first..first + setting("DD_MUTATIONS", 12) {
        let random = &mut Random(seed);
        let scratch = tempfile::tempdir().unwrap();
        let (base, target) = (version(random), version(random));
        let techniques = Technique::value_variants();
        let without = techniques.iter().copied().filter(|_| random.below(6) == 0).collect();
        let level = [1, 6][random.below(2)];
        let options = Options { level, without, ..Options::default() };
        let (mut payload, bases) = (Vec::new(), [base]);
        encode(&target, &bases, &options, scratch.path(), &mut payload, |_| ()).unwrap();
        let mut out = Vec::new();
        decoder(&payload, &bases, scratch.path()).unwrap().decode_to(&mut out).unwrap();
        assert!(out == target.read(0, target.bytes.size()).unwrap(), "DD_SEED={seed}");
        for _ in 0..20 {
            let damaged = mutated(payload.clone(), random);
            if let Ok(mut decoder) = decoder(&damaged, &bases, scratch.path()) {
                let mut out = Bounded(decoder.head().output_len);
                let done = decoder.decode_to(&mut out);
                assert!(done.is_err() || out.0 == 0, "DD_SEED={seed}");
            }
        }
    }
}
