//! How fast encoders are, beside the seconds that the programs themselves took.
//!
//! `speed FILE` reads what `encoder-vectors.go -time` prints (name, variant, level, length, seconds) from its standard input, encodes the file alike,
//! the best of three, and prints a row for each: both seconds and the ratio. `scripts/encoder-speed` runs both.

#[allow(dead_code)]
#[path = "../tests/support/table.rs"]
mod table;

use std::io::read_to_string;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: speed FILE <TIMES")?;
    let text = std::fs::read(path)?;
    for line in read_to_string(std::io::stdin())?.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let &[_, variant, level, len, theirs] = &fields[..] else { continue };
        let mut best = f64::MAX;
        for _ in 0..3 {
            let begin = Instant::now();
            let Some(coded) = table::encode(variant, level, &text)? else { break };
            best = best.min(begin.elapsed().as_secs_f64());
            ensure!(coded.len() as u64 == len.parse::<u64>()?, "{variant} {level}: other bytes");
        }
        if best < f64::MAX {
            let theirs: f64 = theirs.parse()?;
            println!("| {variant} | {level} | {theirs:.3} | {best:.3} | {:.2} |", theirs / best);
        }
    }
    Ok(())
}
