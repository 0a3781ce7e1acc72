//! Files that other programs wrote: identified, and made again from their content.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use dd_extract::encoding::Encoding;
use dd_extract::encoding::decompress::{Decompressor, Limits, sniff};
use dd_extract::encoding::identify::{Corrections, identify};

/// What a program writes for this input; none if it is not installed, which CI takes for a failure.
fn output_of(command: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!ci, "no {}", command[0]);
        eprintln!("skipped: no {}", command[0]);
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{command:?}");
    Some(output.stdout)
}

/// Words that repeat now and then, like text and code do.
fn input() -> Vec<u8> {
    let mut state = 11u64;
    let mut words = Vec::new();
    while words.len() < 600_000 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        write!(words, "word{:x} ", (state >> 50) % 3000).unwrap();
        if state >> 61 == 0 {
            words.extend(state.to_le_bytes());
        }
    }
    words
}

/// The encoding and the length of its corrections, after the file was made again.
fn round_trip(file: &[u8], plain: &[u8]) -> (Encoding, usize) {
    let mut content = Vec::new();
    Decompressor::new(file, sniff(file), Limits::default())
        .unwrap()
        .read_to_end(&mut content)
        .unwrap();
    assert!(content == plain);
    let scratch = tempfile::tempdir().unwrap();
    let proven = identify(&file.to_vec(), &content, scratch.path(), 1 << 30).unwrap();
    let mut corrections = Vec::new();
    match proven.corrections {
        Corrections::None => {}
        Corrections::Stored => corrections.extend_from_slice(file),
        Corrections::Script(mut script) => {
            script.read_to_end(&mut corrections).unwrap();
        }
    }
    let mut encoder = proven.encoding.encoder(Vec::new(), &corrections[..]).unwrap();
    for piece in content.chunks(33_333) {
        encoder.write_all(piece).unwrap();
    }
    assert!(encoder.finish().unwrap() == file);
    (proven.encoding, corrections.len())
}

#[test]
fn python_writes_what_zlib_writes() {
    let plain = input();
    for level in [1, 6, 9] {
        let script = format!(
            "import sys, gzip; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read(), {level}, mtime=0))"
        );
        let Some(file) = output_of(&["python3", "-c", &script], &plain) else { return };
        let (encoding, corrections) = round_trip(&file, &plain);
        assert_eq!(corrections, 0, "{encoding}");
        assert_eq!(encoding.to_string(), format!("gzip, zlib {level}"));
    }
}

#[test]
fn gzip_and_pigz_need_no_corrections() {
    let plain = input();
    for (command, name) in [
        (&["gzip", "-n", "-6"][..], "gzip, GNU gzip 6"),
        (&["gzip", "-1"], "gzip, GNU gzip 1"),
        (&["gzip", "-9"], "gzip, GNU gzip 9"),
        (&["pigz", "-p", "1", "-6"], "gzip, pigz 6"),
        (&["pigz", "-p", "2", "-9"], "gzip, pigz 9"),
    ] {
        let Some(file) = output_of(command, &plain) else { continue };
        let (encoding, corrections) = round_trip(&file, &plain);
        // Where pigz writes the same with one thread and several, it may be either.
        assert!(encoding.to_string().starts_with(name), "{command:?}: {encoding}");
        assert_eq!(corrections, 0, "{command:?}: {encoding}");
    }
}

/// Words, noise, zeros and repeats, of a length.
fn inputs(len: usize) -> [Vec<u8>; 4] {
    let words = input();
    let noise: Vec<u8> =
        words.iter().zip(&words[7..]).map(|(a, b)| a.wrapping_mul(b | 1)).collect();
    let repeats = words[..299].iter().copied().cycle().take(len).collect();
    [words[..len].to_vec(), noise[..len].to_vec(), vec![0; len], repeats]
}

/// About the borders of windows (32 KiB), of blocks and their dictionaries, and of what is looked ahead.
const BORDERS: [usize; 14] =
    [0, 1, 3, 261, 262, 32_506, 32_768, 32_769, 65_274, 65_535, 65_536, 131_071, 131_072, 131_073];

#[test]
fn texts_about_the_borders_need_no_corrections() {
    for command in [
        &["gzip", "-n"][..],
        &["gzip", "-n", "-1"],
        &["pigz", "-n", "-p", "2"],
        &["pigz", "-n", "-p", "1"],
    ] {
        for len in BORDERS {
            for plain in inputs(len) {
                let Some(file) = output_of(command, &plain) else { return };
                let (encoding, corrections) = round_trip(&file, &plain);
                assert_eq!(corrections, 0, "{command:?} of {len} bytes: {encoding}");
            }
        }
    }
}

#[test]
fn python_s_zlib_about_the_borders() {
    let script = "import sys, zlib; e = zlib.compressobj(int(sys.argv[1]), 8, 31, 8); \
                  sys.stdout.buffer.write(e.compress(sys.stdin.buffer.read()) + e.flush())";
    for level in ["4", "9"] {
        for len in [0, 3, 262, 32_506, 65_274] {
            for plain in inputs(len) {
                let Some(file) = output_of(&["python3", "-c", script, level], &plain) else {
                    return;
                };
                let (encoding, corrections) = round_trip(&file, &plain);
                assert_eq!(corrections, 0, "level {level} of {len} bytes: {encoding}");
            }
        }
    }
}

/// No known encoder, and every kind of block and match.
#[test]
fn libdeflate_comes_back_at_every_level() {
    for level in ["-1", "-6", "-9", "-12"] {
        for len in [0, 3, 262, 32_769, 131_073] {
            for plain in inputs(len) {
                let Some(file) = output_of(&["libdeflate-gzip", level], &plain) else { return };
                let (encoding, corrections) = round_trip(&file, &plain);
                assert!(corrections <= file.len(), "{level} of {len} bytes: {encoding}");
            }
        }
    }
}

#[test]
fn zstd_of_any_version_comes_back() {
    let plain = input();
    for command in [
        &["zstd", "-3"][..],
        &["zstd", "-3", "--single-thread", "--no-check"],
        &["zstd", "-1", "--rsyncable"],
        &["zstd", "-5", "--long=24"],
    ] {
        let Some(file) = output_of(command, &plain) else { return };
        let (encoding, corrections) = round_trip(&file, &plain);
        eprintln!("{command:?}: {encoding}, {corrections} of {}", file.len());
        assert!(corrections <= file.len());
    }
}
