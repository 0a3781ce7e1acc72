//! A compressed file, whatever it is: it is read within limits, and what is found of it makes the very file again.

#![no_main]

use std::io::{Read, Write};

use dd_extract::encoding::decompress::{Decompressor, Limits, sniff};
use dd_extract::encoding::identify::{Corrections, identify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let limits = Limits { max_size: 1 << 20, ..Limits::default() };
    let Ok(mut reader) = Decompressor::new(file, sniff(file), limits) else { return };
    let mut plain = Vec::new();
    if reader.read_to_end(&mut plain).is_err() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a directory");
    let proven = identify(&file.to_vec(), &plain, scratch.path(), 1 << 30).expect("any file");
    let mut corrections = Vec::new();
    match proven.corrections {
        Corrections::None => {}
        Corrections::Stored => corrections.extend_from_slice(file),
        Corrections::Script(mut script) => {
            script.read_to_end(&mut corrections).expect("corrections");
        }
    }
    let mut encoder = proven.encoding.encoder(Vec::new(), &corrections[..]).expect("an encoder");
    encoder.write_all(&plain).expect("the content");
    assert!(encoder.finish().expect("the end") == file, "{}", proven.encoding);
});
