//! The encodings that this version has beside the digest: zlib.

use dd_extract::encoding::zlib::{Deflater, ZlibParams};
use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::hooks::{Encoder, Encoders};
use super::ids::{encoding, unknown};

/// What one zlib encoder counts as, in bytes: part of the format.
const ZLIB_MEMORY: u64 = 1 << 20;

/// Makes the encoders of docs/delta-format.md, "Encodings".
#[derive(Debug, Clone, Copy, Default)]
pub struct Encodings;

impl Encoders for Encodings {
    fn memory(&self, id: u64) -> Option<u64> {
        (id == encoding::ZLIB).then_some(ZLIB_MEMORY)
    }

    fn open(&self, id: u64, params: &[u8], exact: &[u8]) -> Result<Box<dyn Encoder>, Failure> {
        if id != encoding::ZLIB {
            return Err(unknown("encoding", id));
        }
        match *params {
            [level @ 1..=9, mem_level @ 1..=9] if exact.is_empty() => {
                let deflater = Deflater::new(ZlibParams { level, mem_level })?;
                Ok(Box::new(Zlib(Some(deflater))))
            }
            _ => Err(failure!(PackageCorrupt, "zlib has no parameters {params:?}")),
        }
    }
}

/// A stream under way; nothing after its end.
struct Zlib(Option<Deflater>);

impl Encoder for Zlib {
    fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.0.as_mut().map_or(Ok(()), |deflater| deflater.write(plain, out))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.0.take().map_or(Ok(()), |deflater| deflater.finish(out))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn zlib_writes_its_stream() {
        let mut encoder = Encodings.open(1, &[6, 8], &[]).unwrap();
        let mut out = Vec::new();
        encoder.write(b"aaaaaaaaaaaaaaaaaaaa", &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        // As Python's zlib.compressobj(6, DEFLATED, -15) gives it.
        assert_eq!(out, [0x4b, 0x4c, 0xc4, 0x04, 0x00]);
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        for (id, params, exact) in [
            (2, &[6, 8][..], &[][..]),
            (1, &[0, 8], &[]),
            (1, &[6, 10], &[]),
            (1, &[6], &[]),
            (1, &[6, 8], &[1]),
        ] {
            assert!(Encodings.open(id, params, exact).is_err(), "{id} {params:?}");
        }
        assert_eq!(Encodings.memory(2), None);
    }
}
