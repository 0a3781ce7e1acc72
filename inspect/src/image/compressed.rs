//! Files that are compressed as a whole: what they are, and their tar as an object of the store.

use std::io::{self, BufRead, BufReader, Read, Write};

use anyhow::Context;
use flate2::bufread::GzDecoder;

use crate::digest::{Digest, hash_reader};
use crate::range::{FileRange, ReadAt};
use crate::record::Compression;
use crate::stage::Meter;
use crate::store::Store;
use crate::{fail, failure};

/// The kind of note that remembers the tar of a compressed file.
const NOTE: &str = "tar-of-file";

/// How bytes are compressed, by the first of them (RFC 1952, section 2.3.1; RFC 8878, section 3.1).
pub fn compression_of(start: &[u8]) -> Compression {
    match start {
        [0x1f, 0x8b, 8, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The name of a compression that is not read, by the first bytes.
pub fn unread_compression_of(start: &[u8]) -> Option<&'static str> {
    match start {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
        _ => None,
    }
}

/// The first bytes of a range, at most as many as asked for.
///
/// # Errors
/// What reading fails with.
pub fn start_of(range: &FileRange, len: usize) -> io::Result<Vec<u8>> {
    let len = usize::try_from(range.size()).map_or(len, |size| size.min(len));
    let mut start = vec![0; len];
    range.read_exact_at(&mut start, 0)?;
    Ok(start)
}

/// All members of a gzip file, one after the other; zeros after the last one are padding, as for gzip(1).
struct Gzip<R: BufRead> {
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let n = decoder.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let Some(mut rest) = self.decoder.take().map(GzDecoder::into_inner) else {
                return Ok(0);
            };
            loop {
                let ahead = rest.fill_buf()?;
                let zeros = ahead.iter().take_while(|b| **b == 0).count();
                let (at_end, other) = (ahead.is_empty(), zeros < ahead.len());
                if at_end {
                    return Ok(0);
                }
                if other && zeros == 0 {
                    break;
                }
                rest.consume(zeros);
                if other {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "other bytes follow the compressed ones",
                    ));
                }
            }
            self.decoder = Some(GzDecoder::new(rest));
        }
    }
}

/// A reader of the uncompressed bytes.
///
/// # Errors
/// The decoder cannot be made.
pub fn decoder(range: FileRange, compression: Compression) -> io::Result<Box<dyn Read>> {
    let input = BufReader::with_capacity(128 << 10, range);
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(Gzip { decoder: Some(GzDecoder::new(input)) }),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
    })
}

/// A compressed file's tar.
#[derive(Debug)]
pub struct Unpacked {
    /// The digest of the file.
    pub file_digest: Digest,
    /// The tar, in the store.
    pub tar: FileRange,
}

/// Unpacks a compressed file into the store, or finds it there.
///
/// # Errors
/// `not-an-image` if the compression is broken, or what reading or writing fails with.
pub fn unpack(
    file: &FileRange,
    compression: Compression,
    store: &Store,
    what: &str,
    meter: Option<&Meter>,
) -> anyhow::Result<Unpacked> {
    let (file_digest, _) = hash_reader(file.clone()).with_context(|| format!("reading {what}"))?;
    let noted = store.noted(NOTE, &file_digest).and_then(|text| text.parse::<Digest>().ok());
    if let Some(tar) = noted.and_then(|digest| store.object(&digest)) {
        return Ok(Unpacked { file_digest, tar });
    }
    let mut reader =
        decoder(file.clone(), compression).with_context(|| format!("reading {what}"))?;
    let mut writer = store.writer()?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(broken(what, compression, &e)),
        };
        writer.write_all(&buffer[..n]).context("writing into the store")?;
        if let Some(meter) = meter {
            meter.add(n as u64);
        }
    }
    file.check_unchanged()?;
    let (tar_digest, tar) = writer.commit(None)?;
    store.note(NOTE, &file_digest, &tar_digest.to_string())?;
    Ok(Unpacked { file_digest, tar })
}

fn broken(what: &str, compression: Compression, error: &io::Error) -> anyhow::Error {
    let kind = if compression == Compression::Gzip { "gzip" } else { "zstd" };
    if error.to_string().contains("too much memory") {
        return failure!(Limit, "{what} is compressed with a window above 128 MiB"; "unpack it: zstd -d --long=31").into();
    }
    failure!(NotAnImage, "{what} is broken: its {kind} compression cannot be read: {error}"; "get the file again").into()
}

/// The first bytes of the uncompressed content: fewer if it is shorter.
///
/// # Errors
/// `not-an-image` if the compression is broken.
pub fn uncompressed_start(
    range: &FileRange,
    compression: Compression,
    len: u64,
    what: &str,
) -> anyhow::Result<Vec<u8>> {
    let mut start = Vec::new();
    let reader = decoder(range.clone(), compression).with_context(|| format!("reading {what}"))?;
    if let Err(e) = reader.take(len).read_to_end(&mut start) {
        // What was decoded before a broken place still tells what the file is.
        if start.is_empty() {
            return Err(broken(what, compression, &e));
        }
    }
    if start.is_empty() {
        fail!(NotAnImage, "{what} is empty inside its compression");
    }
    Ok(start)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure::{Category, classify};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&dir.path().join("s"))).unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        let file = FileRange::open(&path).unwrap();
        let compression = compression_of(bytes);
        let first = unpack(&file, compression, &store, "it", None)?;
        let second = unpack(&file, compression, &store, "it", None)?;
        assert_eq!(first.tar.path(), second.tar.path());
        assert_eq!(first.file_digest, Digest::of(bytes));
        let mut text = Vec::new();
        second.tar.clone().read_to_end(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn members_and_padding() {
        let two = [gzip(b"abc"), gzip(b"def")].concat();
        assert_eq!(unpacked(&two).unwrap(), b"abcdef");
        assert_eq!(unpacked(&[two.clone(), vec![0; 3000]].concat()).unwrap(), b"abcdef");
        let garbage = [two.clone(), vec![0; 3], b"x".to_vec()].concat();
        assert_eq!(classify(&unpacked(&garbage).unwrap_err()).category, Category::NotAnImage);
        let cut = &two[..two.len() - 1];
        assert_eq!(classify(&unpacked(cut).unwrap_err()).category, Category::NotAnImage);
    }

    #[test]
    fn frames() {
        let frame = zstd::encode_all(&b"abc"[..], 1).unwrap();
        assert_eq!(unpacked(&[frame.clone(), frame.clone()].concat()).unwrap(), b"abcabc");
        let error = unpacked(&frame[..frame.len() - 1]).unwrap_err();
        assert_eq!(classify(&error).category, Category::NotAnImage);
    }

    #[test]
    fn a_large_window_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(28).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&[0; 1 << 20]).unwrap();
        let error = unpacked(&encoder.finish().unwrap()).unwrap_err();
        assert_eq!(classify(&error).category, Category::Limit, "{error:#}");
    }
}
