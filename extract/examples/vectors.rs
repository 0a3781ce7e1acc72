//! Encodes files with the encoders of other programs and compares the digests with a table.
//!
//! `vectors TABLE INPUTS [VARIANT[:LEVEL]]`: INPUTS is the directory of the inputs. Prints for each variant and level that
//! is known here the rows and how many of them are hit, and what was missed. `vectors --write DIR` writes the inputs of
//! the repository's own table, from which `scripts/encoder-vectors` makes it, `vectors --write-borders DIR` those of every length
//! near a border, for `scripts/differential`.

#[path = "../tests/support/inputs.rs"]
mod inputs;
#[path = "../tests/support/table.rs"]
mod table;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (path, directory, only) = match args[..] {
        ["--write", directory] => return write(directory, &inputs::names()),
        ["--write-borders", directory] => return write(directory, &inputs::borders(1 << 20)),
        [path, directory] => (path, directory, None),
        [path, directory, only] => (path, directory, Some(only)),
        _ => bail!(
            "usage: vectors TABLE INPUTS [VARIANT[:LEVEL]], or vectors --write|--write-borders DIR"
        ),
    };
    let input = |name: &str| Ok(std::fs::read(Path::new(directory).join(name))?);
    let missed = |what| println!("missed: {what}");
    let tallies = table::check(&std::fs::read_to_string(path)?, only, input, missed)?;
    println!("| variant | level | rows | hits |\n|---|---|---|---|");
    for ((variant, level), (rows, hits)) in &tallies {
        println!("| {variant} | {level} | {rows} | {hits} |");
    }
    let (rows, hits) =
        tallies.values().fold((0, 0), |(rows, hits), tally| (rows + tally.0, hits + tally.1));
    println!("| all | | {rows} | {hits} |");
    Ok(if rows == hits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write(directory: &str, names: &[String]) -> Result<ExitCode> {
    for name in names {
        std::fs::write(Path::new(directory).join(name), inputs::input(name))?;
    }
    Ok(ExitCode::SUCCESS)
}
