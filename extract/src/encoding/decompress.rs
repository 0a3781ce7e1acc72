//! Reads compressed files by their content: gzip of any members, zstd of any frames, or neither.

use std::fmt;
use std::io::{self, BufRead, Read};

use dd_inspect::failure;
use dd_inspect::record::Compression;
use zstd::stream::read::Decoder as ZstdDecoder;
use zstd::zstd_safe::DParameter;

use super::gzip::{Damage, GzipReader};

/// The first bytes of a Zstandard frame (RFC 8878, 3.1.1), little-endian 0xFD2FB528.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How a file is compressed, by its first four bytes.
pub fn sniff(start: &[u8]) -> Compression {
    match start {
        [0x1f, 0x8b, 8, ..] => Compression::Gzip,
        [a, b, c, d, ..] if [*a, *b, *c, *d] == ZSTD_MAGIC => Compression::Zstd,
        // A skippable frame (RFC 8878, 3.1.2): 0x184D2A50 to 0x184D2A5F.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// What decompressing may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that may come out.
    pub max_size: u64,
    /// The logarithm of the longest zstd window: 27 (128 MiB) is what the format's own programs allow.
    pub window_log: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_size: u64::MAX, window_log: 27 }
    }
}

/// More came out than [`Limits::max_size`].
#[derive(Debug, thiserror::Error)]
#[error("it has more than {0} bytes when uncompressed")]
pub struct TooLong(u64);

/// Reads the content of a file.
///
/// A damaged file gives its content as far as it goes; [`Decompressor::damage`] says what is wrong with it. A wrong check
/// sum takes nothing from the content, which is known by its digest. More content than the limit is the error [`TooLong`],
/// a longer window one of category `limit`.
pub struct Decompressor<'a, R: BufRead> {
    inner: Inner<'a, R>,
    compression: Compression,
    left: u64,
    limits: Limits,
    damage: Option<Damage>,
}

enum Inner<'a, R: BufRead> {
    Plain(R),
    Gzip(GzipReader<R>),
    Zstd(ZstdDecoder<'a, R>),
}

impl<R: BufRead> fmt::Debug for Decompressor<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("compression", &self.compression)
            .field("damage", &self.damage)
            .finish_non_exhaustive()
    }
}

impl<R: BufRead> Decompressor<'_, R> {
    /// Reads a file that is compressed like this ([`sniff`]).
    ///
    /// # Errors
    /// zstd cannot begin.
    pub fn new(input: R, compression: Compression, limits: Limits) -> io::Result<Self> {
        let inner = match compression {
            Compression::None => Inner::Plain(input),
            Compression::Gzip => Inner::Gzip(GzipReader::new(input)),
            Compression::Zstd => {
                let mut decoder = ZstdDecoder::with_buffer(input)?;
                decoder.window_log_max(limits.window_log)?;
                decoder.set_parameter(DParameter::ForceIgnoreChecksum(true))?;
                Inner::Zstd(decoder)
            }
        };
        Ok(Self { inner, compression, left: limits.max_size, limits, damage: None })
    }

    /// How the file is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// What was wrong with the file, once its end was reached.
    pub fn damage(&self) -> Option<&Damage> {
        match &self.inner {
            Inner::Gzip(reader) => reader.damage(),
            _ => self.damage.as_ref(),
        }
    }
}

impl<R: BufRead> Read for Decompressor<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.inner {
            Inner::Plain(input) => input.read(buffer)?,
            Inner::Gzip(reader) => reader.read(buffer)?,
            Inner::Zstd(_) if self.damage.is_some() => 0,
            Inner::Zstd(decoder) => match decoder.read(buffer) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    self.damage = Some(Damage::Truncated);
                    0
                }
                Err(e) if e.to_string().contains("too much memory") => {
                    let max = (1_u64 << self.limits.window_log) >> 20;
                    return Err(io::Error::other(
                        failure!(Limit, "it is compressed with a zstd window above {max} MiB"; "compress it again, without --long"),
                    ));
                }
                // The library's own errors have no number of the system.
                Err(e) if e.raw_os_error().is_none() && e.kind() == io::ErrorKind::Other => {
                    self.damage = Some(Damage::Broken(e.to_string()));
                    0
                }
                Err(e) => return Err(e),
            },
        };
        let left = self.left.checked_sub(n as u64);
        self.left = left.ok_or_else(|| io::Error::other(TooLong(self.limits.max_size)))?;
        Ok(n)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dd_inspect::failure::{Category, classify};

    use super::*;
    use proptest::prelude::*;

    fn read(file: &[u8], max_size: u64) -> io::Result<(Vec<u8>, Option<Damage>)> {
        let limits = Limits { max_size, window_log: 20 };
        let mut reader = Decompressor::new(file, sniff(file), limits)?;
        let mut plain = Vec::new();
        reader.read_to_end(&mut plain)?;
        Ok((plain, reader.damage().cloned()))
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = flate2::read::GzEncoder::new(plain, flate2::Compression::fast());
        encoder.read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn reads_by_content() {
        let plain = b"content ".repeat(1000);
        let frame = zstd::encode_all(&plain[..], 3).unwrap();
        let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let files = [
            plain.clone(),
            gzip(&plain),
            frame.clone(),
            [&skippable[..], &frame].concat(),
            [&frame[..], &skippable].concat(),
        ];
        for file in files {
            assert_eq!(read(&file, 8000).unwrap(), (plain.clone(), None));
        }
        let two = [&frame[..], &frame].concat();
        assert_eq!(read(&two, 16_000).unwrap().0.len(), 16_000);
    }

    proptest! {
        #[test]
        fn no_file_is_too_odd(mut file in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            Just(gzip(&b"content ".repeat(100))),
            Just([gzip(b"one"), gzip(b"two")].concat()),
            Just(zstd::encode_all(&b"content ".repeat(100)[..], 3).unwrap()),
        ], at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0usize..40) {
            if !file.is_empty() {
                let at = at.index(file.len());
                file[at] = byte;
            }
            file.truncate(file.len().saturating_sub(cut));
            let (plain, _) = read(&file, 1 << 20).unwrap();
            prop_assert!(plain.len() <= 1 << 20);
        }
    }

    #[test]
    fn a_bomb_is_stopped() {
        for file in [gzip(&[0; 100_000]), zstd::encode_all(&[0; 100_000][..], 3).unwrap()] {
            let error = read(&file, 99_999).unwrap_err();
            assert!(error.get_ref().is_some_and(|inner| inner.is::<TooLong>()));
        }
    }

    #[test]
    fn damage_is_told() {
        let frame = zstd::encode_all(&b"content ".repeat(1000)[..], 3).unwrap();
        let cut = read(&frame[..frame.len() - 1], 10_000).unwrap();
        assert_eq!(cut.1, Some(Damage::Truncated));
        let garbage = read(&[&frame[..], b"garbage"].concat(), 10_000).unwrap();
        assert_eq!(garbage.0.len(), 8000);
        assert!(matches!(garbage.1, Some(Damage::Broken(_))), "{garbage:?}");
        // A window of 2^27 where 2^20 is allowed.
        let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 1, 0, 0];
        let error = read(&wide, 10_000).unwrap_err();
        assert!(error.to_string().contains("a zstd window above 1 MiB"), "{error}");
        assert_eq!(classify(&error.into()).category, Category::Limit);
    }

    #[test]
    fn a_wrong_check_sum_takes_nothing_away() {
        let plain = b"content ".repeat(1000);
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.window_log(20).unwrap();
        io::Write::write_all(&mut encoder, &plain).unwrap();
        let mut frame = encoder.finish().unwrap();
        *frame.last_mut().unwrap() ^= 1;
        assert_eq!(read(&frame, 10_000).unwrap().0, plain);
        let mut member = gzip(&plain);
        let trailer = member.len() - 8;
        member[trailer] ^= 1;
        assert_eq!(read(&member, 10_000).unwrap().0, plain);
    }
}
