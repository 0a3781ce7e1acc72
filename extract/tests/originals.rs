//! What the programs themselves write here and now, and what is given here: every length near the borders of windows and blocks.
//!
//! `scripts/differential` does it for longer and for real files.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/inputs.rs"]
mod inputs;
#[path = "support/table.rs"]
mod table;

use std::path::Path;
use std::process::Command;

/// Debian's packages of Go's libraries.
const LIBRARIES: &str = "/usr/share/gocode";

/// A table from the lines that `encoder-vectors.go` prints: name, variant, level, length, SHA-256.
fn table_of(lines: &str) -> String {
    let mut rows = String::new();
    for line in lines.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, variant, level, len, sha256] = fields[..] else { panic!("{line}") };
        rows.push_str(&format!("{name}\t{len}\t{sha256}\t{variant}:{level}\n"));
    }
    rows
}

#[test]
fn go_and_its_libraries_write_the_same_near_every_border() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/encoder-vectors.go");
    let there = Command::new("go").arg("version").output().is_ok_and(|out| out.status.success());
    let libraries = ["compress", "pgzip"]
        .map(|name| Path::new(LIBRARIES).join("src/github.com/klauspost").join(name));
    if !there || !libraries.iter().all(|path| path.is_dir()) {
        eprintln!("skipped: no go with klauspost's libraries");
        return;
    }
    let names: Vec<String> = inputs::borders(64 << 10)
        .into_iter()
        .enumerate()
        .filter(|(i, _)| i % 3 == 0)
        .map(|(_, name)| name)
        .collect();
    let directory = tempfile::tempdir().unwrap();
    for name in &names {
        std::fs::write(directory.path().join(name), inputs::input(name)).unwrap();
    }
    let output = Command::new("go")
        .arg("run")
        .arg(program)
        .arg(directory.path())
        .envs([
            ("GO111MODULE", "off"),
            ("GOPATH", LIBRARIES),
            ("GOFLAGS", ""),
            ("GOTOOLCHAIN", "local"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = table_of(std::str::from_utf8(&output.stdout).unwrap());
    let mut missed = Vec::new();
    let input = |name: &str| Ok(inputs::input(name));
    let tallies = table::check(&table, None, input, |what| missed.push(what)).unwrap();
    assert!(missed.is_empty(), "{missed:#?}");
    let rows = tallies.values().map(|tally| tally.0 as usize).sum::<usize>();
    assert!(rows >= names.len() * 28, "{rows}");
}
