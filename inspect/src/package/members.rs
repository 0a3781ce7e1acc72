//! The members of a package's tar, as a stream.
//!
//! Only what an OCI layout in a tar needs (POSIX.1-2017, pax, "ustar Interchange Format"; GNU's base-256 sizes): names,
//! regular files, and PAX records `path` and `size` as other tools may write them when they copy a package.

use std::io::{self, Read};

use crate::failure;
use crate::failure::Failure;

const BLOCK: usize = 512;
/// Bytes that a PAX header may have.
const MAX_PAX_LEN: u64 = 1 << 20;

/// A member that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name, without `./` at the start.
    pub(super) name: String,
    /// Bytes of its content.
    pub(super) size: u64,
    /// Where its content begins in the tar.
    pub(super) offset: u64,
}

/// A reader that can pass over bytes.
pub(super) trait Skip: Read {
    /// Passes over `n` bytes.
    fn skip(&mut self, n: u64) -> io::Result<()> {
        match io::copy(&mut self.take(n), &mut io::sink())? {
            passed if passed == n => Ok(()),
            _ => Err(cut_off()),
        }
    }
}

/// A tar being read from its beginning to its end.
#[derive(Debug)]
pub(super) struct Members<R> {
    input: R,
    /// Bytes of the tar read so far.
    position: u64,
    /// Bytes of the current member's content not read yet.
    left: u64,
    /// Bytes of padding after it.
    padding: u64,
    ended: bool,
}

impl<R: Skip> Members<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, position: 0, left: 0, padding: 0, ended: false }
    }

    /// The next regular file; none after the end mark. What is left of the file before it is passed over.
    pub(super) fn next_file(&mut self) -> io::Result<Option<Member>> {
        let mut pax = Pax::default();
        loop {
            self.skip()?;
            if self.ended {
                return Ok(None);
            }
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            if block.iter().all(|b| *b == 0) {
                self.ended = true;
                return Ok(None);
            }
            let header =
                Header::parse(&block).ok_or_else(|| corrupt("its tar has a broken header"))?;
            self.begin(header.size)?;
            match header.kind {
                b'0' | 0 => {
                    let size = pax.size.unwrap_or(header.size);
                    self.begin(size)?;
                    let name = pax.path.take().unwrap_or(header.name);
                    let name = name.trim_start_matches("./").to_owned();
                    return Ok(Some(Member { name, size, offset: self.position }));
                }
                b'x' => pax = Pax::parse(&self.small_content()?),
                b'L' => {
                    let name = self.small_content()?;
                    pax.path = Some(text(&name));
                }
                _ => pax = Pax::default(),
            }
        }
    }

    /// What the tar was read from.
    pub(super) fn input(&mut self) -> &mut R {
        &mut self.input
    }

    fn begin(&mut self, size: u64) -> io::Result<()> {
        let padded = size.checked_next_multiple_of(BLOCK as u64);
        let padded = padded.ok_or_else(|| corrupt("its tar has a broken header"))?;
        (self.left, self.padding) = (size, padded - size);
        Ok(())
    }

    fn small_content(&mut self) -> io::Result<Vec<u8>> {
        if self.left > MAX_PAX_LEN {
            return Err(corrupt("its tar has an extended header of more than 1 MiB"));
        }
        let mut content = vec![0; usize::try_from(self.left).unwrap_or(0)];
        self.read_exact(&mut content)?;
        Ok(content)
    }

    fn skip(&mut self) -> io::Result<()> {
        let rest = self.left + self.padding;
        self.input.skip(rest)?;
        self.position += rest;
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.input.read_exact(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => cut_off(),
            _ => e,
        })?;
        self.position += buffer.len() as u64;
        Ok(())
    }
}

impl<R: Skip> Read for Members<R> {
    /// The content of the current member.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let n = self.input.read(&mut buffer[..wanted])?;
        if n == 0 {
            return Err(cut_off());
        }
        self.left -= n as u64;
        self.position += n as u64;
        Ok(n)
    }
}

/// The failure for a package that ends too early.
pub(super) fn cut_off() -> io::Error {
    corrupt("it is cut off")
}

/// A failure of the category `package-corrupt`, as an I/O error.
pub(super) fn corrupt(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, broken(what))
}

/// A failure of the category `package-corrupt`.
pub(super) fn broken(what: &str) -> Failure {
    failure!(PackageCorrupt, "the package is damaged: {what}"; "get the package again")
}

struct Header {
    name: String,
    size: u64,
    kind: u8,
}

impl Header {
    fn parse(block: &[u8; BLOCK]) -> Option<Self> {
        let sum = |block: &[u8]| block.iter().map(|b| u64::from(*b)).sum::<u64>();
        let stored = octal(&block[148..156])?;
        if stored != sum(&block[..148]) + 8 * u64::from(b' ') + sum(&block[156..]) {
            return None;
        }
        let name = text(&block[..100]);
        let prefix =
            if &block[257..263] == b"ustar\0" { text(&block[345..500]) } else { String::new() };
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        Some(Self { name, size: number(&block[124..136])?, kind: block[156] })
    }
}

/// Text up to the first zero byte.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

/// An octal number, or a base-256 one (GNU) that fits into 63 bits.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if *first != 0x80 {
        return octal(field);
    }
    let (high, low) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    let value = u64::from_be_bytes(low.try_into().ok()?);
    (high.iter().all(|b| *b == 0) && value >> 63 == 0).then_some(value)
}

/// The records of a PAX header that matter here.
#[derive(Debug, Default)]
struct Pax {
    path: Option<String>,
    size: Option<u64>,
}

impl Pax {
    fn parse(content: &[u8]) -> Self {
        let mut pax = Self::default();
        let mut rest = content;
        while let Some(space) = rest.iter().position(|b| *b == b' ') {
            let len =
                std::str::from_utf8(&rest[..space]).ok().and_then(|t| t.parse::<usize>().ok());
            let Some((record, next)) = len.and_then(|len| rest.split_at_checked(len)) else {
                break;
            };
            let Some(record) = record.get(space + 1..) else { break };
            let record = String::from_utf8_lossy(record);
            match record.trim_end_matches('\n').split_once('=') {
                Some(("path", path)) => pax.path = Some(path.to_owned()),
                Some(("size", size)) => pax.size = size.parse().ok(),
                _ => {}
            }
            rest = next;
        }
        pax
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure::{Category, classify};
    use tar::{Builder, EntryType, Header};

    impl Skip for &[u8] {}

    fn sample() -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        tar.append_data(&mut header, "blobs/", &b""[..]).unwrap();
        for (name, content) in [("./a", &b"12345"[..]), ("b", b""), ("c", &[7; 1024])] {
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content).unwrap();
        }
        tar.append_pax_extensions([("size", &b"3"[..]), ("path", b"long")]).unwrap();
        let mut header = Header::new_ustar();
        header.set_size(3);
        tar.append_data(&mut header, "short", &b"xyz"[..]).unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn gives_files_in_order() {
        let tar = sample();
        let mut members = Members::new(&tar[..]);
        let mut seen = Vec::new();
        while let Some(member) = members.next_file().unwrap() {
            let at = usize::try_from(member.offset).unwrap();
            let mut content = Vec::new();
            if member.name != "c" {
                members.read_to_end(&mut content).unwrap();
                assert_eq!(content, tar[at..at + content.len()]);
            }
            seen.push((member.name, member.size, content.len()));
        }
        let expected = [("a", 5, 5), ("b", 0, 0), ("c", 1024, 0), ("long", 3, 3)];
        assert_eq!(seen, expected.map(|(name, size, len)| (name.to_owned(), size, len)));
    }

    #[test]
    fn every_cut_is_noticed() {
        let tar = sample();
        // Cut anywhere before the two blocks of the end mark.
        for len in (0..tar.len() - 1024).step_by(101) {
            let mut members = Members::new(&tar[..len]);
            let error = loop {
                match members.next_file() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("a cut at {len} went unnoticed"),
                    Err(e) => break e,
                }
            };
            assert_eq!(classify(&error.into()).category, Category::PackageCorrupt);
        }
    }

    #[test]
    fn broken_headers_are_refused() {
        let mut tar = sample();
        tar[3] ^= 1;
        assert!(Members::new(&tar[..]).next_file().is_err());
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2]), None);
        assert_eq!(number(&[0xff; 12]), None);
        assert_eq!(octal(b"0000644\0"), Some(0o644));
    }
}
