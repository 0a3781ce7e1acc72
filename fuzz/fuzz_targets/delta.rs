//! A payload of the delta format, whatever it is: an error, or no more than it declares.

#![no_main]

use std::io::{self, Write};

use dd_diff::program::{Decoder, Limits, MemorySources};
use libfuzzer_sys::fuzz_target;

/// Bytes of output: a payload that declares more is not run.
const MOST: u64 = 4 << 20;

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

/// Bases: a program, and lines of text.
fn sources() -> MemorySources {
    let program = std::fs::read("/bin/true").unwrap_or_default();
    let text = (0..20_000).flat_map(|line| format!("usr/share/doc/{line:x}\n").into_bytes());
    MemorySources(vec![program, text.collect()])
}

fuzz_target!(|payload: &[u8]| {
    let limits = Limits { memory: 96 << 20, scratch: 16 << 20 };
    let scratch = std::env::temp_dir();
    let tools = dd_diff::tools(scratch);
    let Ok(mut decoder) = Decoder::new(payload, sources(), tools, limits) else { return };
    let declared = decoder.head().output_len;
    if declared <= MOST {
        let mut out = Bounded(declared);
        let done = decoder.decode_to(&mut out);
        assert!(done.is_err() || out.0 == 0, "less than was declared");
    }
});
