//! Finds how compressed bytes follow from their content.
//!
//! Known encoders are tried on the first MiB; what fits is run over the whole and compared with the very bytes.
//! Only what gave all of them is taken, so that nothing here is a guess.

mod compare;
mod deflate;
mod frames;
mod several;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use dd_inspect::range::ReadAt;
use dd_inspect::record::Compression;
use tempfile::SpooledTempFile;

use super::gzip::{GzipReader, Member};
use super::stream::Known;
use super::{Deflate, Encoding, decompress, members, script_header};
use compare::{RangeReader, encodes_to};
use deflate::{Found, Method};

/// Corrections held in memory up to this length, else in an unlinked file.
const SPOOL_LEN: usize = 4 << 20;
/// A header or tail longer than this stands in the corrections, not among the parameters.
const MAX_INLINE_LEN: usize = 256;

/// The stream of bytes that an encoding needs beside its parameters.
pub enum Corrections {
    /// None.
    None,
    /// The compressed bytes themselves ([`Encoding::Bytes`]).
    Stored,
    /// These, from the beginning of the file.
    Script(SpooledTempFile),
}

impl fmt::Debug for Corrections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Stored => "Stored",
            Self::Script(_) => "Script",
        })
    }
}

/// An encoding that gave the very bytes when it was run.
#[derive(Debug)]
pub struct Proven {
    /// The encoding.
    pub encoding: Encoding,
    /// Its corrections.
    pub corrections: Corrections,
}

impl Proven {
    fn bytes() -> Self {
        Self { encoding: Encoding::Bytes {}, corrections: Corrections::Stored }
    }

    fn script(encoding: Encoding, mut script: SpooledTempFile) -> io::Result<Self> {
        script.seek(SeekFrom::Start(0))?;
        Ok(Self { encoding, corrections: Corrections::Script(script) })
    }
}

/// Finds how `compressed` follows from `plain`, which is its content.
///
/// It always succeeds: where nothing else gives the bytes, they are carried. Corrections that do not fit in memory go to
/// unlinked files in `scratch_dir`. Corrections of a deflate stream of more than `max_corrections` bytes are not
/// taken: they are held in memory.
///
/// # Errors
/// What reading, or writing into `scratch_dir`, fails with.
pub fn identify(
    compressed: &dyn ReadAt,
    plain: &dyn ReadAt,
    scratch_dir: &Path,
    max_corrections: u64,
) -> anyhow::Result<Proven> {
    let mut start = [0; 4];
    let start_len = compressed.size().min(4) as usize;
    compressed.read_exact_at(&mut start[..start_len], 0).context("reading a compressed layer")?;
    let task = Task { compressed, plain, scratch_dir, max_corrections };
    match decompress::sniff(&start[..start_len]) {
        Compression::Gzip => task.gzip().context("finding how a gzip file was made"),
        Compression::Zstd => task.zstd().context("finding how a zstd file was made"),
        Compression::None => task.plain().context("comparing a layer with its content"),
    }
}

/// The encoding that is tried on the whole first: the first known one that gives the beginning of `compressed`. It is not proven.
///
/// # Errors
/// What reading fails with.
pub fn first_guess(compressed: &dyn ReadAt, plain: &dyn ReadAt) -> io::Result<Option<Encoding>> {
    let start = compressed.size().min(4) as usize;
    let mut magic = [0; 4];
    compressed.read_exact_at(&mut magic[..start], 0)?;
    let task = Task { compressed, plain, scratch_dir: Path::new(""), max_corrections: 0 };
    match decompress::sniff(&magic[..start]) {
        Compression::Gzip => {
            let Some(alone) = task.alone()? else { return Ok(None) };
            let (stream, plain) = (alone.stream.clone(), 0..plain.size());
            Ok(match task.find(&alone.header, stream, plain, |_| Ok(true))? {
                Found::Proven(known) => Some(alone.encoding(known)),
                Found::Nearly(..) => None,
            })
        }
        Compression::Zstd => task.zstd_that_begins(|encoding| Ok(Some(encoding))),
        Compression::None => Ok(None),
    }
}

/// A gzip file as far as it is seen from its beginning and end, if it has one member.
struct Alone {
    header: Vec<u8>,
    stream: Range<u64>,
}

impl Alone {
    fn encoding(&self, known: Known) -> Encoding {
        let deflate = Deflate::Known(known);
        Encoding::Gzip { header: self.header.clone(), deflate, tail: Vec::new() }
    }
}

struct Task<'a> {
    compressed: &'a dyn ReadAt,
    plain: &'a dyn ReadAt,
    scratch_dir: &'a Path,
    max_corrections: u64,
}

impl Task<'_> {
    fn plain(&self) -> io::Result<Proven> {
        let encoding = Encoding::Identity {};
        let same = encodes_to(
            &encoding,
            io::empty(),
            self.plain,
            0..self.plain.size(),
            self.compressed,
            0,
        )?;
        Ok(if same == Some(self.compressed.size()) {
            Proven { encoding, corrections: Corrections::None }
        } else {
            Proven::bytes()
        })
    }

    fn gzip(&self) -> io::Result<Proven> {
        if let Some(proven) = self.one_member()? {
            return Ok(proven);
        }
        let file = RangeReader::new(self.compressed, 0..self.compressed.size());
        let mut reader = GzipReader::new(BufReader::with_capacity(128 << 10, file));
        let plain_len = io::copy(&mut reader, &mut io::sink())?;
        let Some(members) = reader.members() else { return Ok(Proven::bytes()) };
        let all = members.last().is_some_and(|last| last.plain.end == plain_len);
        if !all || plain_len != self.plain.size() {
            return Ok(Proven::bytes());
        }
        self.members(members)
    }

    /// The usual case without a look at the content: one member by a known encoder and nothing after it.
    fn one_member(&self) -> io::Result<Option<Proven>> {
        let Some(alone) = self.alone()? else { return Ok(None) };
        let (size, plain) = (self.compressed.size(), 0..self.plain.size());
        let found = self.find(&alone.header, alone.stream.clone(), plain.clone(), |known| {
            let (encoding, plain) = (alone.encoding(known), plain.clone());
            let end = encodes_to(&encoding, io::empty(), self.plain, plain, self.compressed, 0)?;
            Ok(end == Some(size))
        })?;
        let Found::Proven(known) = found else { return Ok(None) };
        Ok(Some(Proven { encoding: alone.encoding(known), corrections: Corrections::None }))
    }

    fn alone(&self) -> io::Result<Option<Alone>> {
        let size = self.compressed.size();
        let mut file = RangeReader::new(self.compressed, 0..size);
        let Some(header) = super::gzip::read_header(&mut file)? else { return Ok(None) };
        let stream = header.len() as u64..size.saturating_sub(8);
        if header.len() > MAX_INLINE_LEN || stream.is_empty() {
            return Ok(None);
        }
        Ok(Some(Alone { header, stream }))
    }

    fn members(&self, members: &[Member]) -> io::Result<Proven> {
        let mut script = tempfile::spooled_tempfile_in(SPOOL_LEN, self.scratch_dir);
        let (mut chunk, mut block, mut last) = (0, 0, None);
        let mut uses = BTreeSet::new();
        for member in members {
            let method = self.method(member, last)?;
            if let ([_], Some(method)) = (members, &method)
                && let Some(proven) = self.simple(member, method)?
            {
                return Ok(proven);
            }
            let Some(method) = method else {
                if members.len() == 1 {
                    return Ok(Proven::bytes());
                }
                self.write_stored(&mut script, member)?;
                continue;
            };
            chunk = chunk.max(method.chunk());
            block = block.max(method.known().map_or(0, |known| known.block()));
            last = method.known().or(last);
            uses.extend(method.features());
            script.write_all(&self.record(member, &method)?)?;
        }
        script.write_all(&[0])?;
        let end = members.last().map_or(0, |member| member.deflate.end + 8);
        let mut tail = RangeReader::new(self.compressed, end..self.compressed.size());
        io::copy(&mut tail, &mut script)?;
        if script.stream_position()? >= self.compressed.size() / 10 * 9 {
            return Ok(Proven::bytes());
        }
        let uses = uses.into_iter().collect();
        Proven::script(Encoding::GzipMembers { chunk, block, uses }, script)
    }

    /// The form for one member, if its header, trailer and what follows are short and right.
    fn simple(&self, member: &Member, method: &Method) -> io::Result<Option<Proven>> {
        let header = self.bytes(member.header.start, member.header.end)?;
        let end = member.deflate.end + 8;
        let size = self.compressed.size();
        if header.len() > MAX_INLINE_LEN
            || size - end > MAX_INLINE_LEN as u64
            || !member.trailer_right
        {
            return Ok(None);
        }
        let tail = self.bytes(end, size)?;
        let Some((deflate, chunks)) = method.clone().into_parts() else { return Ok(None) };
        let encoding = Encoding::Gzip { header, deflate, tail };
        let Some(chunks) = chunks else {
            return Ok(Some(Proven { encoding, corrections: Corrections::None }));
        };
        let mut script = tempfile::spooled_tempfile_in(SPOOL_LEN, self.scratch_dir);
        script.write_all(&chunks)?;
        Proven::script(encoding, script).map(Some)
    }

    fn write_stored(&self, script: &mut SpooledTempFile, member: &Member) -> io::Result<()> {
        let header = self.bytes(member.header.start, member.header.end)?;
        let plain_len = member.plain.end - member.plain.start;
        script.write_all(&script_header(&header, Some(plain_len)))?;
        script.write_all(&[members::STORED])?;
        let mut len = Vec::new();
        super::varint::put(&mut len, member.deflate.end - member.deflate.start);
        script.write_all(&len)?;
        io::copy(&mut RangeReader::new(self.compressed, member.deflate.clone()), script)?;
        script.write_all(&self.trailer(member)?)
    }

    fn bytes(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        RangeReader::new(self.compressed, start..end).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// How a script says the trailer.
    fn trailer(&self, member: &Member) -> io::Result<Vec<u8>> {
        if member.trailer_right {
            return Ok(vec![0]);
        }
        Ok([&[1], &self.bytes(member.deflate.end, member.deflate.end + 8)?[..]].concat())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
