//! Finds how the deflate stream of one gzip member was made.

use std::io::{self, Cursor};
use std::ops::Range;

use super::Task;
use super::compare::{Compare, RangeReader, copy, encodes_to, settle};
use crate::encoding::gzip::Member;
use crate::encoding::preflate::Analysis;
use crate::encoding::stream::{Known, Writer};
use crate::encoding::{Deflate, Encoding, Preflate, members, script_header};

/// Shorter streams are not worth the head of their corrections.
const MIN_ANALYSED_LEN: u64 = 64;

/// How a deflate stream was made.
#[derive(Debug, Clone)]
pub(super) enum Method {
    Known(Known),
    Preflate { chunk: u64, chunks: Vec<u8> },
}

impl Method {
    pub(super) fn known(&self) -> Option<Known> {
        match self {
            Self::Known(known) => Some(*known),
            Self::Preflate { .. } => None,
        }
    }

    /// What a reader must have for it.
    pub(super) fn feature(&self) -> String {
        match self {
            Self::Known(known) => known.feature(),
            Self::Preflate { .. } => crate::encoding::preflate::ID.to_owned(),
        }
    }

    pub(super) fn chunk(&self) -> u64 {
        match self {
            Self::Known(_) => 0,
            Self::Preflate { chunk, .. } => *chunk,
        }
    }

    pub(super) fn into_parts(self) -> (Deflate, Option<Vec<u8>>) {
        match self {
            Self::Known(known) => (Deflate::Known(known), None),
            Self::Preflate { chunk, chunks } => {
                (Deflate::Preflate(Preflate::V0_7_6 { chunk }), Some(chunks))
            }
        }
    }
}

impl Task<'_> {
    /// The first method that makes the member again; none if only its bytes do. `likely` is tried first.
    pub(super) fn method(
        &self,
        member: &Member,
        likely: Option<Known>,
    ) -> io::Result<Option<Method>> {
        if let Some(known) = likely
            && self.proves(member, &Method::Known(known))?
        {
            return Ok(Some(Method::Known(known)));
        }
        let header = self.bytes(member.header.start, member.header.end)?;
        let deflate = member.deflate.clone();
        let known = self.known(&header, deflate, member.plain.clone(), |known| {
            self.proves(member, &Method::Known(known))
        })?;
        if known.is_some() {
            return Ok(known.map(Method::Known));
        }
        let len = member.deflate.end - member.deflate.start;
        if len < MIN_ANALYSED_LEN {
            return Ok(None);
        }
        let stream = RangeReader::new(self.compressed, member.deflate.clone());
        let limit = (len / 10 * 9).min(self.max_corrections);
        let Some(Analysis { chunks, chunk_plain: chunk }) = Analysis::of(stream, limit)? else {
            return Ok(None);
        };
        let method = Method::Preflate { chunk, chunks };
        Ok(self.proves(member, &method)?.then_some(method))
    }

    /// The first known encoder whose stream begins like this one, and which `proves` takes.
    pub(super) fn known(
        &self,
        header: &[u8],
        deflate: Range<u64>,
        plain: Range<u64>,
        mut proves: impl FnMut(Known) -> io::Result<bool>,
    ) -> io::Result<Option<Known>> {
        for candidate in Known::candidates(header) {
            if !self.fits(candidate, deflate.clone(), plain.clone())? {
                continue;
            }
            for known in candidate.variants() {
                if proves(known)? {
                    return Ok(Some(known));
                }
            }
        }
        Ok(None)
    }

    /// Whether an encoder's stream of the first content begins like this one.
    pub(super) fn fits(
        &self,
        known: Known,
        deflate: Range<u64>,
        plain: Range<u64>,
    ) -> io::Result<bool> {
        let len = plain.end.saturating_sub(plain.start);
        let prefix = plain.start..plain.start.saturating_add(len.min(known.prefix_len()));
        let run = || {
            let mut writer = DeflateWriter {
                writer: known.writer().map_err(io::Error::other)?,
                coded: Vec::new(),
                compare: Compare::new(self.compressed, deflate.start),
            };
            copy(self.plain, prefix, &mut writer)
        };
        Ok(settle(run())?.is_some())
    }

    /// Whether a method gives the whole member.
    fn proves(&self, member: &Member, method: &Method) -> io::Result<bool> {
        let script = Cursor::new([&self.record(member, method)?[..], &[0]].concat());
        let (chunk, block) = (method.chunk(), method.known().map_or(0, |known| known.block()));
        let encoding = Encoding::GzipMembers { chunk, block, uses: Vec::new() };
        let (start, plain) = (member.header.start, member.plain.clone());
        let end = encodes_to(&encoding, script, self.plain, plain, self.compressed, start)?;
        Ok(end == Some(member.deflate.end + 8))
    }

    /// The member in a script.
    pub(super) fn record(&self, member: &Member, method: &Method) -> io::Result<Vec<u8>> {
        let header = self.bytes(member.header.start, member.header.end)?;
        let mut record = script_header(&header, Some(member.plain.end - member.plain.start));
        match method {
            Method::Known(known) => known.put(&mut record),
            Method::Preflate { chunks, .. } => {
                record.push(members::PREFLATE);
                record.extend_from_slice(chunks);
            }
        }
        record.extend(self.trailer(member)?);
        Ok(record)
    }
}

/// A stream compared as it is written.
struct DeflateWriter<'a> {
    writer: Writer,
    coded: Vec<u8>,
    compare: Compare<'a>,
}

impl io::Write for DeflateWriter<'_> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.writer.write(plain, &mut self.coded).map_err(io::Error::other)?;
        io::Write::write_all(&mut self.compare, &self.coded)?;
        self.coded.clear();
        Ok(plain.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
