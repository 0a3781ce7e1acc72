//! Makes a gzip file again, member by member, following a script in a stream.
//!
//! The script is what [`super::Encoding::GzipMembers`] has as its corrections. Numbers are as in [`super::varint`].
//! For each member:
//!
//! | field | bytes |
//! |---|---|
//! | header length + 1 | number; 0 instead ends the members, and all further bytes of the script are the file's last bytes |
//! | header | as they are |
//! | content length + 1 | number; 0: all that is left |
//! | method | 1: 0 stored, 1 zlib, 2 preflate, 3 Go, 4 klauspost, 5 pigz, 6 Go flushed before it is closed, 7 amended |
//! | deflate stream | stored: its length (number) and its bytes; preflate: chunks ([`super::preflate`]); amended: an encoder's method and parameters, then its corrections ([`super::amended`]); else the encoder's parameters: zlib's level and memLevel, Go's release (0: 1.16, 1: 1.27) and level, klauspost's release (0: 1.15.11, 1: 1.18.0, 2: 1.18.1, 3: 1.10.2, 4: 1.12.2, 5: 1.12.3, 6: 1.14.0, 7: 1.14.3, 8: 1.15.0, 9: 1.15.10) and level, pigz's level and 1 for one thread, else 0, 1 byte each (levels with a sign), and for klauspost and pigz the length of blocks (number, 0 without) |
//! | trailer | 1: 0 if it follows from the content, 1 if the next 8 bytes are it |

use std::io::{self, Read, Write};

use flate2::Crc;

use super::amended::Amender;
use super::gzip::{MAX_HEADER_LEN, trailer_of};
use super::preflate::{MAX_CHUNK_CORRECTIONS, Recreator};
use super::stream::{Known, Writer};
use super::{Encoder, varint};

/// The deflate stream stands in the script.
pub(super) const STORED: u8 = 0;
/// The deflate stream follows from corrections.
pub(super) const PREFLATE: u8 = 2;
/// The deflate stream is nearly that of an encoder.
pub(super) const AMENDED: u8 = 7;

/// Writes a gzip file from its content.
pub(super) struct GzipEncoder<W, R> {
    out: W,
    script: R,
    /// Plain bytes that a chunk may have.
    max_chunk: u64,
    /// Plain bytes that a block of pgzip may have.
    max_block: u64,
    member: Option<Member>,
    /// The end of the script's members was read.
    ended: bool,
    coded: Vec<u8>,
}

struct Member {
    /// Content still to come, if it is known.
    left: Option<u64>,
    crc: Crc,
    method: Method,
}

enum Method {
    Stored,
    Known(Writer),
    Amended(Box<Amender>),
    Preflate { recreator: Recreator, chunk: Option<Chunk> },
}

struct Chunk {
    wanted: usize,
    plain: Vec<u8>,
    corrections: Vec<u8>,
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the script of a gzip file {why}"))
}

impl<W: Write, R: Read> GzipEncoder<W, R> {
    pub(super) fn new(out: W, script: R, max_chunk: u64, max_block: u64) -> Self {
        Self { out, script, max_chunk, max_block, member: None, ended: false, coded: Vec::new() }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.script.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// Begins the next member; whether there is one.
    fn open(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let Some(header_len) = varint::get(&mut self.script)?.checked_sub(1) else {
            self.ended = true;
            return Ok(false);
        };
        if header_len > MAX_HEADER_LEN as u64 {
            return Err(invalid("has a header that is too long"));
        }
        copy(&mut self.script, &mut self.out, header_len)?;
        let left = varint::get(&mut self.script)?.checked_sub(1);
        let method = match self.byte()? {
            STORED => {
                let len = varint::get(&mut self.script)?;
                copy(&mut self.script, &mut self.out, len)?;
                Method::Stored
            }
            PREFLATE => {
                let mut recreator = Recreator::new()?;
                let chunk = self.next_chunk(&mut recreator)?;
                Method::Preflate { recreator, chunk }
            }
            AMENDED => {
                let id = self.byte()?;
                Method::Amended(Box::new(Amender::new(self.known(id)?)?))
            }
            id => Method::Known(self.known(id)?.writer().map_err(io::Error::other)?),
        };
        self.member = Some(Member { left, crc: Crc::new(), method });
        Ok(true)
    }

    /// Reads an encoder's parameters.
    fn known(&mut self, id: u8) -> io::Result<Known> {
        match Known::get(id, &mut self.script)? {
            Some(known) if known.block() > self.max_block => {
                Err(invalid("has blocks that are longer than they may be"))
            }
            Some(known) => Ok(known),
            None => Err(invalid(&format!("names an unknown method {id}"))),
        }
    }

    /// Reads the next chunk that needs content; chunks without content are written at once.
    fn next_chunk(&mut self, recreator: &mut Recreator) -> io::Result<Option<Chunk>> {
        loop {
            let (plain, len) = (varint::get(&mut self.script)?, varint::get(&mut self.script)?);
            if len == 0 {
                return Ok(None);
            }
            if plain > self.max_chunk || len > MAX_CHUNK_CORRECTIONS {
                return Err(invalid("has a chunk that is longer than it may be"));
            }
            let mut corrections = Vec::new();
            self.script.by_ref().take(len).read_to_end(&mut corrections)?;
            if corrections.len() as u64 != len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if plain > 0 {
                let wanted = plain as usize;
                return Ok(Some(Chunk { wanted, plain: Vec::new(), corrections }));
            }
            self.out.write_all(&recreator.chunk(Vec::new(), corrections)?)?;
        }
    }

    fn encode(&mut self, member: &mut Member, plain: &[u8]) -> io::Result<()> {
        member.crc.update(plain);
        match &mut member.method {
            Method::Stored => Ok(()),
            Method::Known(writer) => {
                writer.write(plain, &mut self.coded).map_err(io::Error::other)?;
                self.out.write_all(&self.coded)?;
                self.coded.clear();
                Ok(())
            }
            Method::Amended(amender) => {
                amender.write(plain, &mut self.script, &mut self.coded)?;
                self.out.write_all(&self.coded)?;
                self.coded.clear();
                Ok(())
            }
            Method::Preflate { recreator, chunk } => {
                let mut rest = plain;
                while !rest.is_empty() {
                    let Some(open) = chunk else {
                        return Err(invalid("has chunks for less content"));
                    };
                    let (now, later) =
                        rest.split_at(rest.len().min(open.wanted - open.plain.len()));
                    open.plain.extend_from_slice(now);
                    rest = later;
                    if open.plain.len() == open.wanted {
                        let plain = std::mem::take(&mut open.plain);
                        let corrections = std::mem::take(&mut open.corrections);
                        self.out.write_all(&recreator.chunk(plain, corrections)?)?;
                        *chunk = self.next_chunk(recreator)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn close(&mut self, member: Member) -> io::Result<()> {
        match member.method {
            Method::Stored => {}
            Method::Known(writer) => {
                writer.finish(&mut self.coded).map_err(io::Error::other)?;
                self.out.write_all(&self.coded)?;
                self.coded.clear();
            }
            Method::Amended(amender) => {
                amender.finish(&mut self.script, &mut self.coded)?;
                self.out.write_all(&self.coded)?;
                self.coded.clear();
            }
            Method::Preflate { chunk: Some(_), .. } => {
                return Err(invalid("has chunks for more content"));
            }
            Method::Preflate { chunk: None, .. } => {}
        }
        match self.byte()? {
            0 => self.out.write_all(&trailer_of(&member.crc)),
            1 => copy(&mut self.script, &mut self.out, 8),
            other => Err(invalid(&format!("names an unknown trailer {other}"))),
        }
    }

    /// Takes content for the open member, or opens the next one; returns how much was taken.
    fn step(&mut self, plain: &[u8]) -> io::Result<usize> {
        let Some(mut member) = self.member.take() else {
            return if self.open()? { Ok(0) } else { Err(invalid("has members for less content")) };
        };
        let mut taken = plain.len();
        if let Some(left) = &mut member.left {
            taken = usize::try_from(*left).map_or(taken, |left| left.min(taken));
            *left -= taken as u64;
        }
        self.encode(&mut member, &plain[..taken])?;
        match member.left {
            Some(0) => self.close(member)?,
            _ => self.member = Some(member),
        }
        Ok(taken)
    }
}

/// Gives all content to steps that take some of it; returns how much that was.
pub(super) fn in_steps(
    plain: &[u8],
    mut step: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut rest = plain;
    while !rest.is_empty() {
        let taken = step(rest)?;
        rest = &rest[taken..];
    }
    Ok(plain.len())
}

/// Copies so many bytes.
pub(super) fn copy(from: &mut impl Read, to: &mut impl Write, len: u64) -> io::Result<()> {
    match io::copy(&mut from.take(len), to)? {
        copied if copied == len => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

impl<W: Write, R: Read> Write for GzipEncoder<W, R> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        in_steps(plain, |rest| self.step(rest))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write + Send, R: Read + Send> Encoder<W> for GzipEncoder<W, R> {
    fn finish(mut self: Box<Self>) -> io::Result<W> {
        loop {
            match self.member.take() {
                Some(member) if member.left.is_none_or(|left| left == 0) => self.close(member)?,
                Some(_) => return Err(invalid("has members for more content")),
                None if !self.open()? => break,
                None => {}
            }
        }
        io::copy(&mut self.script, &mut self.out)?;
        Ok(self.out)
    }
}
