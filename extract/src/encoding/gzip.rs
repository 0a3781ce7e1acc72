//! gzip files (RFC 1952): the header of a member, and a reader that tells where each member lies.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Bytes that a member's header may have: it ends with texts of any length.
pub const MAX_HEADER_LEN: usize = 1 << 20;
/// Members that are remembered; of a file with more only the content is read.
const MAX_MEMBERS: usize = 1 << 20;

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;

/// Reads a member's header from the start of `input`.
///
/// Returns its bytes as they are, without judging them beyond what is needed to find the end, or none if
/// there is no whole header of a deflate member. What was read then is lost.
///
/// # Errors
/// What reading fails with.
pub fn read_header(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut header = Vec::new();
    match read_parts(input, &mut header) {
        Ok(true) => Ok(Some(header)),
        Ok(false) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

/// RFC 1952, 2.3: `1f 8b`, method 8, flags, MTIME, XFL, OS; then, by the flags, extra field, name, comment, CRC.
fn read_parts(input: &mut impl Read, header: &mut Vec<u8>) -> io::Result<bool> {
    take(input, header, 10)?;
    let [0x1f, 0x8b, 8, flags, ..] = header[..] else { return Ok(false) };
    if flags & 0xe0 != 0 {
        return Ok(false);
    }
    if flags & FEXTRA != 0 {
        take(input, header, 2)?;
        let len = u16::from_le_bytes([header[10], header[11]]);
        take(input, header, usize::from(len))?;
    }
    for _ in [FNAME, FCOMMENT].into_iter().filter(|text| flags & text != 0) {
        loop {
            take(input, header, 1)?;
            if header.last() == Some(&0) {
                break;
            }
            if header.len() >= MAX_HEADER_LEN {
                return Ok(false);
            }
        }
    }
    if flags & FHCRC != 0 {
        take(input, header, 2)?;
    }
    Ok(true)
}

fn take(input: &mut impl Read, header: &mut Vec<u8>, len: usize) -> io::Result<()> {
    let start = header.len();
    header.resize(start + len, 0);
    input.read_exact(&mut header[start..])
}

/// Where one member lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its header in the file.
    pub header: Range<u64>,
    /// Its deflate stream in the file; the trailer of 8 bytes follows.
    pub deflate: Range<u64>,
    /// Its content in the uncompressed file.
    pub plain: Range<u64>,
    /// Whether the trailer has the content's CRC-32 and length.
    pub trailer_right: bool,
}

/// What is wrong with a compressed file whose content was read as far as it goes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It ends within a member.
    #[error("it is cut off")]
    Truncated,
    /// The deflate data or zstd frame cannot be decoded.
    #[error("its compressed data is broken: {0}")]
    Broken(String),
    /// A member's CRC-32 or length is not that of its content.
    #[error("its check sum is wrong")]
    Checksum,
}

/// Reads the content of all members of a gzip file, and notes where they lie.
///
/// Damage does not fail: the content ends there, and [`GzipReader::damage`] says why. Bytes after the last member
/// (zero padding, anything that is no header) are not read.
pub struct GzipReader<R> {
    input: Counting<R>,
    state: State,
    members: Vec<Member>,
    too_many: bool,
    produced: u64,
    damage: Option<Damage>,
}

impl<R> std::fmt::Debug for GzipReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GzipReader").field("produced", &self.produced).finish_non_exhaustive()
    }
}

enum State {
    Between,
    Inside { inflate: Box<Decompress>, crc: Crc, header: Range<u64>, plain_start: u64 },
    Ended,
}

impl<R: BufRead> GzipReader<R> {
    /// Reads a file from its beginning.
    pub fn new(input: R) -> Self {
        let input = Counting { inner: input, position: 0 };
        let state = State::Between;
        Self { input, state, members: Vec::new(), too_many: false, produced: 0, damage: None }
    }

    /// The members read so far; none if there are more than can be remembered.
    pub fn members(&self) -> Option<&[Member]> {
        (!self.too_many).then_some(&self.members)
    }

    /// What was wrong, if anything was.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    fn begin(&mut self) -> io::Result<()> {
        let start = self.input.position;
        if self.input.fill_buf()?.is_empty() || read_header(&mut self.input)?.is_none() {
            if start == 0 {
                self.damage = Some(Damage::Truncated);
            }
            self.state = State::Ended;
            return Ok(());
        }
        self.state = State::Inside {
            inflate: Box::new(Decompress::new(false)),
            crc: Crc::new(),
            header: start..self.input.position,
            plain_start: self.produced,
        };
        Ok(())
    }

    fn end_member(&mut self) -> io::Result<()> {
        let State::Inside { crc, header, plain_start, .. } =
            std::mem::replace(&mut self.state, State::Between)
        else {
            return Ok(());
        };
        let deflate = header.end..self.input.position;
        let mut trailer = [0; 8];
        match self.input.read_exact(&mut trailer) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                self.stop(Damage::Truncated);
                return Ok(());
            }
            Err(e) => return Err(e),
        }
        let trailer_right = trailer == trailer_of(&crc);
        if !trailer_right {
            self.damage.get_or_insert(Damage::Checksum);
        }
        if self.members.len() < MAX_MEMBERS {
            let plain = plain_start..self.produced;
            self.members.push(Member { header, deflate, plain, trailer_right });
        } else {
            self.too_many = true;
        }
        Ok(())
    }

    fn stop(&mut self, damage: Damage) {
        self.damage = Some(damage);
        self.state = State::Ended;
    }
}

/// The trailer that a member with this content has.
pub(super) fn trailer_of(crc: &Crc) -> [u8; 8] {
    let mut trailer = [0; 8];
    trailer[..4].copy_from_slice(&crc.sum().to_le_bytes());
    trailer[4..].copy_from_slice(&crc.amount().to_le_bytes());
    trailer
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let (inflate, crc) = match &mut self.state {
                State::Ended => return Ok(0),
                State::Between => {
                    self.begin()?;
                    continue;
                }
                State::Inside { inflate, crc, .. } => (inflate, crc),
            };
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let result = inflate.decompress(input, buffer, FlushDecompress::None);
            // Both differences are at most the lengths of the slices.
            let taken = (inflate.total_in() - before_in) as usize;
            let given = (inflate.total_out() - before_out) as usize;
            crc.update(&buffer[..given]);
            self.produced += given as u64;
            self.input.consume(taken);
            match result {
                Err(e) => self.stop(Damage::Broken(e.to_string())),
                Ok(Status::StreamEnd) => self.end_member()?,
                Ok(_) if at_end && given == 0 => self.stop(Damage::Truncated),
                Ok(_) => {}
            }
            if given > 0 {
                return Ok(given);
            }
        }
    }
}

/// Counts what is consumed.
struct Counting<R> {
    inner: R,
    position: u64,
}

impl<R: BufRead> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Counting<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.inner.fill_buf() {
                Ok(_) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.position += amount as u64;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use std::io::{BufReader, Write};

    fn member(plain: &[u8]) -> Vec<u8> {
        let builder = GzBuilder::new().mtime(7).filename("n").comment("c").extra(&b"xyz"[..]);
        let mut encoder = builder.write(Vec::new(), Compression::new(6));
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn read(file: &[u8], buffer_len: usize) -> (Vec<u8>, GzipReader<BufReader<&[u8]>>) {
        let mut reader = GzipReader::new(BufReader::with_capacity(buffer_len, file));
        let mut plain = Vec::new();
        reader.read_to_end(&mut plain).unwrap();
        (plain, reader)
    }

    #[test]
    fn finds_the_members() {
        let (one, two) = (member(&[b'a'; 3000]), member(b""));
        let file = [&one[..], &two, &one, &[0; 9]].concat();
        for buffer_len in [1, 7, 8192] {
            let (plain, reader) = read(&file, buffer_len);
            assert_eq!(plain, [b'a'; 6000]);
            assert_eq!(reader.damage(), None);
            let members = reader.members().unwrap();
            assert_eq!(members.len(), 3);
            assert_eq!(members[0].header, 0..10 + 5 + 2 + 2);
            assert_eq!(members[0].deflate.end + 8, one.len() as u64);
            assert_eq!(members[1].plain, 3000..3000);
            assert_eq!(members[2].deflate.end + 8 + 9, file.len() as u64);
            assert!(members.iter().all(|m| m.trailer_right));
        }
    }

    #[test]
    fn reads_damaged_files_as_far_as_they_go() {
        let file = member(&[b'a'; 3000]);
        let end = file.len();
        for cut in 0..end {
            let (plain, reader) = read(&file[..cut], 100);
            assert_eq!(reader.damage(), Some(&Damage::Truncated), "{cut}");
            assert!(plain.len() <= 3000);
        }
        let mut wrong = file.clone();
        wrong[end - 5] ^= 1;
        let (plain, reader) = read(&wrong, 100);
        assert_eq!((plain.len(), reader.damage()), (3000, Some(&Damage::Checksum)));
        assert!(!reader.members().unwrap()[0].trailer_right);
        wrong[19] = 0xff;
        assert!(matches!(read(&wrong, 100).1.damage(), Some(Damage::Broken(_))));
    }

    #[test]
    fn a_name_without_end_is_no_header() {
        let mut header = vec![0x1f, 0x8b, 8, FNAME, 0, 0, 0, 0, 0, 3];
        header.resize(MAX_HEADER_LEN + 100, b'a');
        assert_eq!(read_header(&mut &header[..]).unwrap(), None);
    }
}
