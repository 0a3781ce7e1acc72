//! Finds how the deflate stream of one gzip member was made.

use std::io::{self, Cursor, Read};
use std::ops::Range;

use super::Task;
use super::compare::{Compare, RangeReader, copy, encodes_to, settle};
use crate::deflate::parse::{Event, Kind, Parser};
use crate::deflate::symbols::{DISTANCES, LITERALS};
use crate::encoding::amended::diff::diff;
use crate::encoding::gzip::Member;
use crate::encoding::preflate::Analysis;
use crate::encoding::stream::candidates::Signs;
use crate::encoding::stream::{self, Known, Writer};
use crate::encoding::{Deflate, Encoding, Preflate, amended, members, preflate, script_header};

/// Text that shows whether an encoder fits: several blocks of most. Who is told apart by the first block of a longer text alone is
/// proven, and that ends there.
const PREFIX_LEN: u64 = 250_000;
/// Shorter streams are not worth the head of their corrections.
const MIN_ANALYSED_LEN: u64 = 64;

/// Text by which encoders are compared that are all wrong.
const SCORED_LEN: u64 = 200_000;
/// The last bytes of a stream that tell something.
const END_LEN: u64 = 16;
/// Text in which a flush is looked for in a stream of Go.
const GO_SCANNED_LEN: u64 = 128 << 10;
/// The same at first in others: the longest usual block of pgzip.
const SCANNED_LEN: u64 = 1 << 20;

/// How a deflate stream was made.
#[derive(Debug, Clone)]
pub(super) enum Method {
    Known(Known),
    /// Corrections to what an encoder writes.
    Amended {
        known: Known,
        script: Vec<u8>,
    },
    Preflate {
        chunk: u64,
        chunks: Vec<u8>,
    },
}

impl Method {
    /// Its encoder.
    pub(super) fn known(&self) -> Option<Known> {
        match self {
            Self::Known(known) | Self::Amended { known, .. } => Some(*known),
            Self::Preflate { .. } => None,
        }
    }

    /// Bytes of its corrections.
    fn cost(&self) -> u64 {
        match self {
            Self::Known(_) => 0,
            Self::Amended { script, .. } => script.len() as u64,
            Self::Preflate { chunks, .. } => chunks.len() as u64,
        }
    }

    /// What a reader must have for it.
    pub(super) fn features(&self) -> Vec<String> {
        match self {
            Self::Known(known) => vec![known.feature()],
            Self::Amended { known, .. } => vec![amended::ID.to_owned(), known.feature()],
            Self::Preflate { .. } => vec![preflate::ID.to_owned()],
        }
    }

    pub(super) fn chunk(&self) -> u64 {
        match self {
            Self::Preflate { chunk, .. } => *chunk,
            _ => 0,
        }
    }

    /// As the only member of a file has it; none if only a script says it.
    pub(super) fn into_parts(self) -> Option<(Deflate, Option<Vec<u8>>)> {
        match self {
            Self::Known(known) => Some((Deflate::Known(known), None)),
            Self::Amended { .. } => None,
            Self::Preflate { chunk, chunks } => {
                Some((Deflate::Preflate(Preflate::V0_7_6 { chunk }), Some(chunks)))
            }
        }
    }
}

/// What a search for a known encoder found.
pub(super) enum Found {
    /// One that was proven.
    Proven(Known),
    /// None; what was seen of the stream, and the first encoder whose stream begins like it.
    Nearly(Signs, Option<Known>),
}

/// A stream that corrections are for.
struct Corrected<'a> {
    member: &'a Member,
    signs: &'a Signs,
    limit: u64,
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
        let (deflate, plain) = (member.deflate.clone(), member.plain.clone());
        let proves = |known| self.proves(member, &Method::Known(known));
        let (signs, nearly) = match self.find(&header, deflate, plain, proves)? {
            Found::Proven(known) => return Ok(Some(Method::Known(known))),
            Found::Nearly(signs, nearly) => (signs, nearly.or(likely)),
        };
        let len = member.deflate.end - member.deflate.start;
        if len < MIN_ANALYSED_LEN {
            return Ok(None);
        }
        let limit = (len / 10 * 9).min(self.max_corrections);
        let corrected = Corrected { member, signs: &signs, limit };
        let amended = self.amended(&corrected, nearly)?;
        let cost = amended.as_ref().map_or(u64::MAX, Method::cost);
        // preflate knows zlib's kind; it takes long, and for klauspost's kind it gives up late. Many a library's header is Go's.
        let good = if signs.is_klauspost() { len / 20 } else { len / 1000 };
        let other = if cost > good { self.preflate(&corrected, cost)? } else { None };
        for method in [other, amended].into_iter().flatten() {
            if self.proves(member, &method)? {
                return Ok(Some(method));
            }
        }
        Ok(None)
    }

    /// Corrections to what a known encoder writes: one that fits the beginning, else the one that is nearest there.
    fn amended(
        &self,
        corrected: &Corrected<'_>,
        nearly: Option<Known>,
    ) -> io::Result<Option<Method>> {
        let diff = |known: Known, limit, stop| {
            let Member { deflate, plain, .. } = corrected.member;
            let stream = RangeReader::new(self.compressed, deflate.clone());
            diff(stream, self.plain, plain.clone(), known, limit, stop)
        };
        let mut best = nearly;
        if best.is_none() {
            let mut least = usize::MAX;
            let mut seen = Vec::new();
            for known in Known::candidates(corrected.signs) {
                let kind = known.kind();
                if seen.contains(&kind) {
                    continue;
                }
                seen.push(kind);
                if let Some(script) = diff(known, corrected.limit, SCORED_LEN)?
                    && script.len() < least
                {
                    (best, least) = (Some(known), script.len());
                }
            }
        }
        let Some(known) = best else { return Ok(None) };
        let script = diff(known, corrected.limit, u64::MAX)?;
        Ok(script.map(|script| Method::Amended { known, script }))
    }

    /// Corrections to what preflate predicts, if they are fewer than `cost` bytes.
    fn preflate(&self, corrected: &Corrected<'_>, cost: u64) -> io::Result<Option<Method>> {
        let stream = RangeReader::new(self.compressed, corrected.member.deflate.clone());
        let analysis = Analysis::of(stream, corrected.limit.min(cost))?;
        Ok(analysis
            .map(|Analysis { chunks, chunk_plain: chunk }| Method::Preflate { chunk, chunks }))
    }

    /// The first known encoder that `proves` takes. A mark of a flush that stands far within is looked for only if there is none without.
    pub(super) fn find(
        &self,
        header: &[u8],
        deflate: Range<u64>,
        plain: Range<u64>,
        mut proves: impl FnMut(Known) -> io::Result<bool>,
    ) -> io::Result<Found> {
        let plain_len = plain.end - plain.start;
        let mut nearly = None;
        let mut signs = Signs::default();
        for scanned in [SCANNED_LEN, stream::MAX_BLOCK] {
            signs = self.signs(header.to_vec(), deflate.clone(), plain_len, scanned)?;
            if scanned > SCANNED_LEN && signs.flushed_at.is_none() {
                break;
            }
            let (proven, like) = self.known(&signs, deflate.clone(), plain.clone(), &mut proves)?;
            if let Some(known) = proven {
                return Ok(Found::Proven(known));
            }
            nearly = nearly.or(like);
            if signs.is_go() || signs.flushed_at.is_some() {
                break;
            }
        }
        Ok(Found::Nearly(signs, nearly))
    }

    /// What a member tells at a look, with a flush in so many bytes of text from the beginning.
    fn signs(
        &self,
        header: Vec<u8>,
        deflate: Range<u64>,
        plain_len: u64,
        scanned: u64,
    ) -> io::Result<Signs> {
        let end =
            self.bytes(deflate.end.saturating_sub(END_LEN).max(deflate.start), deflate.end)?;
        let mut signs = Signs { header, end, plain_len, ..Signs::default() };
        let scanned = if signs.is_go() { GO_SCANNED_LEN } else { scanned };
        let mut reader = RangeReader::new(self.compressed, deflate);
        let (mut parser, mut position, mut empty) = (Parser::default(), 0, false);
        let mut piece = vec![0; 32 << 10];
        while position <= scanned {
            match parser.next() {
                Err(_) | Ok(Some(Event::Done)) => break,
                Ok(Some(Event::Token(token))) => {
                    position += token.parts().map_or(1, |(len, _)| len as u64);
                    empty = false;
                }
                Ok(Some(Event::Stored(len))) => {
                    position += len as u64;
                    empty &= len == 0;
                }
                Ok(Some(Event::Block(head))) => {
                    empty = !head.last;
                    if let (None, Kind::Dynamic(codes)) = (signs.full_header, &head.kind) {
                        let declared = (codes.literals.len(), codes.distances.len());
                        signs.full_header = Some(declared == (LITERALS, DISTANCES));
                    }
                }
                Ok(Some(Event::End)) if empty => {
                    signs.flushed_at = Some(position);
                    break;
                }
                Ok(Some(Event::End)) => {}
                Ok(None) => match reader.read(&mut piece)? {
                    0 => parser.end(),
                    n => parser.feed(&piece[..n]),
                },
            }
        }
        Ok(signs)
    }

    /// The first known encoder whose stream begins like this one, and which `proves` takes; else the first one whose stream
    /// begins like it.
    fn known(
        &self,
        signs: &Signs,
        deflate: Range<u64>,
        plain: Range<u64>,
        mut proves: impl FnMut(Known) -> io::Result<bool>,
    ) -> io::Result<(Option<Known>, Option<Known>)> {
        let mut nearly = None;
        for known in Known::candidates(signs) {
            if !self.fits(known, deflate.clone(), plain.clone())? {
                continue;
            }
            if proves(known)? {
                return Ok((Some(known), None));
            }
            nearly = nearly.or(Some(known));
        }
        Ok((None, nearly))
    }

    /// Whether an encoder's stream of the first content begins like this one.
    pub(super) fn fits(
        &self,
        known: Known,
        deflate: Range<u64>,
        plain: Range<u64>,
    ) -> io::Result<bool> {
        let len = plain.end.saturating_sub(plain.start);
        let prefix = plain.start..plain.start.saturating_add(len.min(PREFIX_LEN));
        let run = || {
            let mut writer = DeflateWriter {
                writer: known.until(PREFIX_LEN).writer().map_err(io::Error::other)?,
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
            Method::Amended { known, script } => {
                record.push(members::AMENDED);
                known.put(&mut record);
                record.extend_from_slice(script);
            }
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
