//! Memory that making compressed bytes again takes, measured in a process of its own for each encoder.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{self, Write};
use std::process::Command;

use dd_extract::encoding::Encoding;

/// Names the encoding for the child.
const CHILD: &str = "DD_TEST_REPLAY";
/// Content, in bytes.
const CONTENT: u64 = 12 << 20;
/// What replay may take, whatever the encoder.
const MOST: u64 = 24 << 20;

const ENCODINGS: [&str; 9] = [
    r#"{"encoding":"gzip","header":"1f","deflate":"zlib","level":9,"mem_level":9}"#,
    r#"{"encoding":"gzip","header":"1f","deflate":"go","release":"1.16","level":9}"#,
    r#"{"encoding":"gzip","header":"1f","deflate":"go","release":"1.27","level":6}"#,
    r#"{"encoding":"gzip","header":"1f","deflate":"klauspost","release":"1.15.11","level":9}"#,
    r#"{"encoding":"gzip","header":"1f","deflate":"klauspost","release":"1.15.11","level":5,"block":1048576}"#,
    r#"{"encoding":"gzip","header":"1f","deflate":"klauspost","release":"1.18.1","level":9,"block":262144}"#,
    r#"{"encoding":"gzip","header":"1f","deflate":"pigz","level":9,"block":131072,"one_thread":false}"#,
    r#"{"encoding":"gzip","header":"1f","deflate":"gnu-gzip","level":9}"#,
    r#"{"encoding":"zstd-klauspost","release":"1.17.8","level":"default","first_block":8}"#,
];

/// A field of this process's status in bytes (proc(5)).
fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .ok()
        .map(|kib| kib << 10)
}

/// Replays made-up content and prints by how much the process grew.
fn child(encoding: &str) {
    let encoding = Encoding::parse(&serde_json::from_str(encoding).unwrap()).unwrap();
    let before = status("VmRSS").unwrap();
    let mut encoder = encoding.encoder(io::sink(), io::empty()).unwrap();
    let (mut state, mut piece) = (1u64, Vec::with_capacity(70_000));
    for _ in 0..CONTENT / (64 << 10) {
        piece.clear();
        while piece.len() < 64 << 10 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            write!(piece, "{:x} ", (state >> 40) % 5000).unwrap();
        }
        encoder.write_all(&piece[..64 << 10]).unwrap();
    }
    encoder.finish().unwrap();
    println!("grew {}", status("VmHWM").unwrap() - before);
}

#[test]
fn replay_takes_no_more_than_it_says() {
    if let Ok(encoding) = std::env::var(CHILD) {
        return child(&encoding);
    }
    if status("VmHWM").is_none() {
        eprintln!("skipped: no /proc/self/status");
        return;
    }
    for text in ENCODINGS {
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program)
            .args(["replay_takes", "--nocapture"])
            .env(CHILD, text)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let grew = said
            .lines()
            .find_map(|line| line.split("grew ").nth(1))
            .unwrap_or_else(|| panic!("{said}"));
        let grew: u64 = grew.parse().unwrap();
        let declared = Encoding::parse(&serde_json::from_str(text).unwrap()).unwrap().memory();
        eprintln!("{text}: {grew} of {declared}");
        assert!(grew <= declared, "{text}: {grew} of {declared}");
        assert!(declared <= MOST, "{text}: {declared}");
    }
}
