//! An encoding, content and corrections, whatever they are: encoding ends, in an error or in other bytes.
//!
//! A line of JSON is the encoding; two bytes behind it say how many bytes of the rest are corrections.

#![no_main]

use std::io::{self, Write};

use dd_extract::encoding::Encoding;
use libfuzzer_sys::fuzz_target;

/// Takes so many bytes.
struct Bounded(usize);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (Some(json), Some(rest)) = (parts.next(), parts.next()) else { return };
    let Ok(json) = serde_json::from_slice(json) else { return };
    let Ok(encoding) = Encoding::parse(&json) else { return };
    let Some((len, rest)) = rest.split_first_chunk::<2>() else { return };
    let len = usize::from(u16::from_le_bytes(*len)).min(rest.len());
    let (corrections, plain) = rest.split_at(len);
    let Ok(mut encoder) = encoding.encoder(Bounded(64 << 20), corrections) else { return };
    if encoder.write_all(plain).is_ok() {
        let _ = encoder.finish();
    }
});
