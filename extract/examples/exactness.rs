//! How compressed files follow from their content, what that costs and how long finding, proving and replaying it takes.
//!
//! `exactness FILE…` prints a row of a table for each. The guess is the time to the encoder that is tried first on the whole, the best of three.

use std::io::{self, BufReader, Read, Write};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dd_extract::encoding::Encoding;
use dd_extract::encoding::decompress::{Decompressor, Limits, sniff};
use dd_extract::encoding::identify::{Corrections, first_guess, identify};
use dd_inspect::digest::{Digest, Hasher};

fn main() -> Result<()> {
    println!(
        "| file | bytes | content | encoding | corrections | % | guess ms | identify s | replay s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for path in std::env::args().skip(1) {
        row(&path).with_context(|| format!("reading {path}"))?;
    }
    Ok(())
}

fn row(path: &str) -> Result<()> {
    let file = std::fs::read(path)?;
    let mut plain = Vec::new();
    let input = BufReader::new(&file[..]);
    Decompressor::new(input, sniff(&file), Limits::default())?.read_to_end(&mut plain)?;
    let scratch = tempfile::tempdir()?;
    let mut guess = f64::MAX;
    for _ in 0..3 {
        let begin = Instant::now();
        first_guess(&file, &plain)?;
        guess = guess.min(begin.elapsed().as_secs_f64() * 1000.0);
    }
    let begin = Instant::now();
    let proven = identify(&file, &plain, scratch.path(), u64::MAX)?;
    let found = begin.elapsed().as_secs_f64();
    let mut corrections = Vec::new();
    match proven.corrections {
        Corrections::None => {}
        Corrections::Stored => corrections.extend_from_slice(&file),
        Corrections::Script(mut script) => drop(script.read_to_end(&mut corrections)?),
    }
    let begin = Instant::now();
    let digest = replay(&proven.encoding, &plain, &corrections)?;
    let replayed = begin.elapsed().as_secs_f64();
    ensure!(digest == Digest::of(&file), "it does not come back");
    let name = path.rsplit('/').next().unwrap_or(path);
    let (len, cost) = (file.len(), zstd::encode_all(&corrections[..], 19)?.len());
    println!(
        "| {name} | {len} | {} | {} | {cost} | {:.3} | {guess:.0} | {found:.2} | {replayed:.2} |",
        plain.len(),
        proven.encoding,
        cost as f64 * 100.0 / len.max(1) as f64
    );
    Ok(())
}

fn replay(encoding: &Encoding, plain: &[u8], corrections: &[u8]) -> io::Result<Digest> {
    let mut encoder = encoding.encoder(Hashing(Hasher::new()), corrections)?;
    for piece in plain.chunks(256 << 10) {
        encoder.write_all(piece)?;
    }
    Ok(encoder.finish()?.0.finish())
}

struct Hashing(Hasher);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
