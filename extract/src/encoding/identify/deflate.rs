//! Finds how the deflate stream of one gzip member was made.

use std::io::{self, Cursor};
use std::ops::Range;

use super::Task;
use super::compare::{Compare, PREFIX_LEN, RangeReader, copy, encodes_to, settle};
use crate::encoding::gzip::Member;
use crate::encoding::preflate::Analysis;
use crate::encoding::zlib::{Deflater, ZlibParams};
use crate::encoding::{Deflate, Encoding, members, script_header};

/// Shorter streams are not worth the head of their corrections.
const MIN_ANALYSED_LEN: u64 = 64;

/// How a deflate stream was made.
#[derive(Debug, Clone)]
pub(super) enum Method {
    Zlib(ZlibParams),
    Preflate { chunk: u64, chunks: Vec<u8> },
}

impl Method {
    pub(super) fn zlib(&self) -> Option<ZlibParams> {
        match self {
            Self::Zlib(params) => Some(*params),
            Self::Preflate { .. } => None,
        }
    }

    pub(super) fn chunk(&self) -> u64 {
        match self {
            Self::Zlib(_) => 0,
            Self::Preflate { chunk, .. } => *chunk,
        }
    }

    pub(super) fn into_parts(self) -> (Deflate, Option<Vec<u8>>) {
        match self {
            Self::Zlib(params) => (Deflate::Zlib(params), None),
            Self::Preflate { chunk, chunks } => (Deflate::Preflate { chunk }, Some(chunks)),
        }
    }
}

impl Task<'_> {
    /// The first method that makes the member again; none if only its bytes do. `likely` is tried first.
    pub(super) fn method(
        &self,
        member: &Member,
        likely: Option<ZlibParams>,
    ) -> io::Result<Option<Method>> {
        let header = self.bytes(member.header.start, member.header.end)?;
        let fits = |params| self.fits(params, member.deflate.clone(), member.plain.clone());
        if let Some(params) = likely
            && fits(params)?
            && self.proves(member, &Method::Zlib(params))?
        {
            return Ok(Some(Method::Zlib(params)));
        }
        let candidates =
            self.zlib_candidates(&header, member.deflate.clone(), member.plain.clone())?;
        for params in candidates {
            if self.proves(member, &Method::Zlib(params))? {
                return Ok(Some(Method::Zlib(params)));
            }
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

    /// The parameters of zlib whose stream begins like this one, likely ones first.
    pub(super) fn zlib_candidates(
        &self,
        header: &[u8],
        deflate: Range<u64>,
        plain: Range<u64>,
    ) -> io::Result<Vec<ZlibParams>> {
        // RFC 1952, 2.3.1: XFL 2 is the strongest level, 4 the fastest.
        let levels = match header.get(8) {
            Some(2) => [9, 6, 8, 7, 5, 4, 3, 2, 1, 0],
            Some(4) => [1, 2, 3, 6, 9, 5, 4, 7, 8, 0],
            _ => [6, 9, 1, 5, 7, 8, 4, 3, 2, 0],
        };
        let mut found = Vec::new();
        for mem_level in [8, 9] {
            for level in levels {
                let params = ZlibParams { level, mem_level };
                if self.fits(params, deflate.clone(), plain.clone())? {
                    found.push(params);
                }
            }
        }
        Ok(found)
    }

    /// Whether zlib's stream of the first content begins like this one.
    fn fits(&self, params: ZlibParams, deflate: Range<u64>, plain: Range<u64>) -> io::Result<bool> {
        let len = plain.end.saturating_sub(plain.start);
        let prefix = plain.start..plain.start.saturating_add(len.min(PREFIX_LEN));
        let run = || {
            let mut writer = DeflateWriter {
                deflater: Deflater::new(params).map_err(io::Error::other)?,
                coded: Vec::new(),
                compare: Compare::new(self.compressed, deflate.start),
            };
            copy(self.plain, prefix, &mut writer)?;
            if len <= PREFIX_LEN {
                writer.finish()?;
            }
            Ok(())
        };
        Ok(settle(run())?.is_some())
    }

    /// Whether a method gives the whole member.
    fn proves(&self, member: &Member, method: &Method) -> io::Result<bool> {
        let script = Cursor::new([&self.record(member, method)?[..], &[0]].concat());
        let encoding = Encoding::GzipMembers { chunk: method.chunk() };
        let (start, plain) = (member.header.start, member.plain.clone());
        let end = encodes_to(&encoding, script, self.plain, plain, self.compressed, start)?;
        Ok(end == Some(member.deflate.end + 8))
    }

    /// The member in a script.
    pub(super) fn record(&self, member: &Member, method: &Method) -> io::Result<Vec<u8>> {
        let header = self.bytes(member.header.start, member.header.end)?;
        let mut record = script_header(&header, Some(member.plain.end - member.plain.start));
        match method {
            Method::Zlib(params) => record.extend([members::ZLIB, params.level, params.mem_level]),
            Method::Preflate { chunks, .. } => {
                record.push(members::PREFLATE);
                record.extend_from_slice(chunks);
            }
        }
        record.extend(self.trailer(member)?);
        Ok(record)
    }
}

/// zlib's stream, compared as it is written.
struct DeflateWriter<'a> {
    deflater: Deflater,
    coded: Vec<u8>,
    compare: Compare<'a>,
}

impl DeflateWriter<'_> {
    fn finish(mut self) -> io::Result<()> {
        self.deflater.finish(&mut self.coded).map_err(io::Error::other)?;
        io::Write::write_all(&mut self.compare, &self.coded)
    }
}

impl io::Write for DeflateWriter<'_> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.deflater.write(plain, &mut self.coded).map_err(io::Error::other)?;
        io::Write::write_all(&mut self.compare, &self.coded)?;
        self.coded.clear();
        Ok(plain.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
