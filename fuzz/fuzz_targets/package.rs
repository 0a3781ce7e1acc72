//! A package, whatever it is: it verifies, or one clear error.

#![no_main]

use std::io::Cursor;

use dd_inspect::package::{Options, Reader, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let opened = Reader::open(Cursor::new(file.to_vec()), &Options::default());
    match opened.and_then(verify) {
        Ok(report) => assert!(report.blobs > 1),
        Err(error) => assert!(!format!("{error:#}").is_empty()),
    }
});
