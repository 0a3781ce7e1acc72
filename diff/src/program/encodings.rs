//! The encodings that this version has beside the digest: deflate as known programs write it.

use dd_extract::encoding::stream::{Known, Writer};
use dd_extract::encoding::zlib::ZlibParams;
use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::hooks::{Encoder, Encoders};
use super::ids::{encoding, unknown};

/// What one encoder of zlib or GNU gzip counts as, in bytes: part of the format.
const SMALL_MEMORY: u64 = 1 << 20;
/// What one of the others counts as.
const OTHER_MEMORY: u64 = 8 << 20;
/// The longest block of pgzip and pigz, in bytes: it decides the memory.
const MAX_BLOCK: u64 = 1 << 20;

/// Makes the encoders of docs/delta-format.md, "Encodings".
#[derive(Debug, Clone, Copy, Default)]
pub struct Encodings;

impl Encoders for Encodings {
    fn memory(&self, id: u64) -> Option<u64> {
        match id {
            encoding::ZLIB | encoding::GNU_GZIP => Some(SMALL_MEMORY),
            encoding::DEFLATE => Some(OTHER_MEMORY),
            _ => None,
        }
    }

    fn open(&self, id: u64, params: &[u8], exact: &[u8]) -> Result<Box<dyn Encoder>, Failure> {
        self.memory(id).ok_or_else(|| unknown("encoding", id))?;
        let known = known(id, params).filter(|_| exact.is_empty());
        let wrong = || {
            failure!(
                PackageCorrupt,
                "encoding {id} has no parameters of {} bytes like these",
                params.len()
            )
        };
        Ok(Box::new(Stream(Some(known.ok_or_else(wrong)?.writer_here()?))))
    }
}

/// The encoding that stands for an encoder, and its parameters; none for level 0 and blocks that are too long.
#[cfg(feature = "encode")]
pub(crate) fn of(known: &Known) -> Option<(u64, Vec<u8>)> {
    let (id, params) = match *known {
        Known::Zlib(ZlibParams { level, mem_level }) => (encoding::ZLIB, vec![level, mem_level]),
        Known::Gnu { level } => (encoding::GNU_GZIP, vec![level]),
        _ => {
            let mut params = Vec::new();
            known.put(&mut params);
            (encoding::DEFLATE, params)
        }
    };
    self::known(id, &params).map(|_| (id, params))
}

/// The encoder with these parameters, if there is one.
fn known(id: u64, params: &[u8]) -> Option<Known> {
    match (id, params) {
        (encoding::ZLIB, &[level @ 1..=9, mem_level @ 1..=9]) => {
            Some(Known::Zlib(ZlibParams { level, mem_level }))
        }
        (encoding::GNU_GZIP, &[level @ 1..=9]) => Some(Known::Gnu { level }),
        (encoding::DEFLATE, &[method, ref rest @ ..]) => {
            let mut rest = rest;
            let known = Known::get(method, &mut rest).ok().flatten()?;
            let other = !matches!(known, Known::Zlib(_) | Known::Gnu { .. });
            (other && known.block() <= MAX_BLOCK && rest.is_empty()).then_some(known)
        }
        _ => None,
    }
}

/// A stream under way; nothing after its end.
struct Stream(Option<Writer>);

impl Encoder for Stream {
    fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.0.as_mut().map_or(Ok(()), |writer| writer.write(plain, out))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.0.take().map_or(Ok(()), |writer| writer.finish(out))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn encoded(id: u64, params: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut encoder = Encodings.open(id, params, &[]).unwrap();
        let mut out = Vec::new();
        for piece in plain.chunks(7000) {
            encoder.write(piece, &mut out).unwrap();
        }
        encoder.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn streams_are_as_the_programs_write_them() {
        // As Python's zlib.compressobj(6, DEFLATED, -15) gives it.
        let twenty = b"aaaaaaaaaaaaaaaaaaaa";
        assert_eq!(encoded(1, &[6, 8], twenty), [0x4b, 0x4c, 0xc4, 0x04, 0x00]);
        // As gzip -9n writes it between header and trailer.
        assert_eq!(encoded(2, &[9], twenty), [0x4b, 0x4c, 0xc4, 0x04, 0x00]);
        // As Go writes nothing; as pgzip writes nothing.
        assert_eq!(encoded(3, &[3, 0, 6], b""), [1, 0, 0, 0xff, 0xff]);
        assert_eq!(encoded(3, &[4, 0, 5, 0x80, 0x80, 0x40], b""), [0, 0, 0, 0xff, 0xff, 3, 0]);
    }

    #[cfg(feature = "encode")]
    #[test]
    fn parameters_follow_from_the_encoder_and_back() {
        use dd_extract::encoding::stream::{GoRelease, KlauspostRelease};
        let plain: Vec<u8> = (0..60_000_u32).map(|n| ((n * n) >> 7) as u8 & 31).collect();
        let release = GoRelease::V1_27;
        let klauspost = |block| {
            let release = KlauspostRelease::V1_18_1;
            Known::Klauspost { release, level: 6, block }
        };
        let all = [
            (Known::Zlib(ZlibParams { level: 3, mem_level: 7 }), 1, vec![3, 7]),
            (Known::Gnu { level: 6 }, 2, vec![6]),
            (Known::Go { release, level: -2, flush: false }, 3, vec![3, 1, 254]),
            (Known::Go { release, level: 9, flush: true }, 3, vec![6, 1, 9]),
            (klauspost(None), 3, vec![4, 2, 6, 0]),
            (klauspost(Some(1 << 15)), 3, vec![4, 2, 6, 0x80, 0x80, 2]),
            (
                Known::Pigz { level: 9, block: 1 << 15, one_thread: false },
                3,
                vec![5, 9, 0, 0x80, 0x80, 2],
            ),
        ];
        for (known, id, params) in all {
            assert_eq!(of(&known), Some((id, params.clone())));
            assert_eq!(encoded(id, &params, &plain), known.encode(&plain).unwrap(), "{known}");
        }
        assert_eq!(of(&Known::Zlib(ZlibParams { level: 0, mem_level: 8 })), None);
        assert_eq!(of(&klauspost(Some(MAX_BLOCK + 1))), None);
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        for (id, params, exact) in [
            (4, &[6, 8][..], &[][..]),
            (1, &[0, 8], &[]),
            (1, &[6, 10], &[]),
            (1, &[6], &[]),
            (1, &[6, 8], &[1]),
            (2, &[], &[]),
            (2, &[0], &[]),
            (2, &[10], &[]),
            (2, &[9, 0], &[]),
            (2, &[9], &[1]),
            (3, &[], &[]),
            (3, &[1, 6, 8], &[]),
            (3, &[8, 9, 0], &[]),
            (3, &[3, 0], &[]),
            (3, &[3, 2, 6], &[]),
            (3, &[3, 0, 10], &[]),
            (3, &[3, 0, 6, 0], &[]),
            (3, &[4, 0, 5, 0x81, 0x80, 0x40], &[]),
            (3, &[5, 6, 1, 0x81, 0x80, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81], &[]),
        ] {
            assert!(Encodings.open(id, params, exact).is_err(), "{id} {params:?}");
        }
        assert_eq!(Encodings.memory(4), None);
    }
}
