//! Streams of a unit or a slice: their records, and reading what they hold.

use std::io::Read;
use std::ops::RangeInclusive;

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::coder::{FrameReader, SparsePiece, damaged};
use super::head::Head;
use super::hooks::Source;
use super::ids::{Registry, coder};
use super::input::{Input, out_of_range};
use super::limits::{DICTIONARY_LEN, SPARSE_LEN, WINDOW_LOG};
use super::{meter, varint};

/// A range of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// What it is part of.
    pub source: Source,
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// What a payload says of a stream before its coded bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: u64,
    pub(crate) coder: u64,
    /// The next piece of the frame that the last stream of this kind began.
    pub(crate) continued: bool,
    pub(crate) raw_len: u64,
    pub(crate) coded_len: u64,
    pub(crate) window_log: u8,
    pub(crate) dictionary: Vec<Range>,
}

impl Record {
    /// Reads the records of streams whose kinds lie in `kinds`, in ascending order.
    pub(crate) fn parse_all<R: Read>(
        input: &mut Input<R>,
        kinds: RangeInclusive<u64>,
        head: &Head,
    ) -> Result<Vec<Self>, Failure> {
        let mut records: Vec<Self> = Vec::new();
        for _ in 0..input.varint("the number of streams", 16)? {
            let record = Self::parse(input)?;
            let ascending = records.last().is_none_or(|last| last.kind < record.kind);
            if !kinds.contains(&record.kind)
                || !ascending
                || !head.lists(Registry::Stream, record.kind)
                || !head.lists(Registry::Coder, record.coder)
            {
                return Err(out_of_range("a kind of stream or coder"));
            }
            records.push(record);
        }
        Ok(records)
    }

    fn parse<R: Read>(input: &mut Input<R>) -> Result<Self, Failure> {
        let kind = input.varint("a kind of stream", u64::MAX)?;
        let coder = input.varint("a coder", u64::MAX)?;
        let mut record =
            Self { kind, coder: coder >> 1, continued: coder & 1 == 1, ..Self::default() };
        record.raw_len = input.varint("the length of a stream", i64::MAX as u64)?;
        record.coded_len = input.varint("the coded length of a stream", i64::MAX as u64)?;
        let stored = record.coder == coder::STORED;
        if stored && (record.continued || record.raw_len != record.coded_len) {
            return Err(out_of_range("the length of a stored stream"));
        }
        if !stored && !record.continued {
            record.window_log = input.byte()?;
            if !(10..=WINDOW_LOG).contains(&record.window_log) {
                return Err(out_of_range("the window of a stream"));
            }
        }
        if record.coder == coder::ZSTD && !record.continued {
            record.dictionary = parse_dictionary(input)?;
        }
        Ok(record)
    }

    /// Bytes of the dictionary, with the zero byte before it.
    pub(crate) fn dictionary_len(&self) -> u64 {
        let len: u64 = self.dictionary.iter().map(|range| range.len).sum();
        if len == 0 { 0 } else { len + 1 }
    }

    /// The memory that the stream counts as while it can be continued.
    pub(crate) fn memory(&self) -> u64 {
        meter::stream(self.coder, self.window_log, self.dictionary_len())
    }

    /// Appends the record.
    #[cfg(feature = "encode")]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let coder = self.coder << 1 | u64::from(self.continued);
        for value in [self.kind, coder, self.raw_len, self.coded_len] {
            varint::put(out, value);
        }
        if self.coder != coder::STORED && !self.continued {
            out.push(self.window_log);
        }
        if self.coder == coder::ZSTD && !self.continued {
            varint::put(out, self.dictionary.len() as u64);
            for range in &self.dictionary {
                for value in [range.source.number(), range.offset, range.len] {
                    varint::put(out, value);
                }
            }
        }
    }
}

fn parse_dictionary<R: Read>(input: &mut Input<R>) -> Result<Vec<Range>, Failure> {
    let mut ranges = Vec::new();
    let mut left = DICTIONARY_LEN;
    for _ in 0..input.varint("the number of ranges of a dictionary", 1 << 16)? {
        let source = input.varint("a source", u64::MAX)?;
        let source = Source::from_number(source).ok_or_else(|| out_of_range("a source"))?;
        let offset = input.varint("an offset", u64::MAX)?;
        let len = input.varint("the length of a dictionary", left)?;
        left -= len;
        ranges.push(Range { source, offset, len });
    }
    Ok(ranges)
}

/// A stream being read, piece by piece.
pub(crate) struct Stream {
    coder: u64,
    frames: Vec<FrameReader>,
    /// What this slice holds.
    coded: Vec<u8>,
    at: usize,
    raw_left: u64,
    sparse: SparsePiece,
    /// Memory that it counts as while it can be continued.
    pub(crate) held: u64,
}

impl Stream {
    /// A fresh stream, without content yet; `dictionary` with the zero byte before it.
    pub(crate) fn fresh(record: &Record, dictionary: &[u8]) -> Result<Self, Failure> {
        let count = match record.coder {
            coder::ZSTD => 1,
            coder::SPARSE => 2,
            _ => 0,
        };
        let frame = |_| FrameReader::new(record.window_log, dictionary);
        Ok(Self {
            coder: record.coder,
            frames: (0..count).map(frame).collect::<Result<_, _>>()?,
            coded: Vec::new(),
            at: 0,
            raw_left: 0,
            sparse: SparsePiece::default(),
            held: record.memory(),
        })
    }

    /// Whether a record continues this stream.
    pub(crate) fn is_continued_by(&self, record: &Record) -> bool {
        self.coder == record.coder
    }

    /// Takes the coded bytes of a slice; returns how much memory they count as once taken apart.
    pub(crate) fn begin(&mut self, coded: Vec<u8>, raw_len: u64) -> Result<u64, Failure> {
        (self.coded, self.at, self.raw_left) = (coded, 0, raw_len);
        if self.coder != coder::SPARSE {
            return Ok(0);
        }
        let runs_len = self.integer()?;
        let values_len = self.integer()?;
        let coded_len = usize::try_from(self.integer()?).map_err(|_| damaged())?;
        if runs_len.saturating_add(values_len) > SPARSE_LEN {
            return Err(out_of_range("the length of a sparse stream"));
        }
        let (runs_coded, values_coded) = self
            .coded
            .get(self.at..)
            .and_then(|rest| rest.split_at_checked(coded_len))
            .ok_or_else(damaged)?;
        let [runs_frame, values_frame] = &mut self.frames[..] else { return Err(damaged()) };
        let runs = whole(runs_frame, runs_coded, runs_len)?;
        let values = whole(values_frame, values_coded, values_len)?;
        self.sparse = SparsePiece::new(runs, values, raw_len)?;
        self.coded = Vec::new();
        self.at = 0;
        Ok(runs_len + values_len)
    }

    fn integer(&mut self) -> Result<u64, Failure> {
        let value = varint::take(|| {
            let byte = self.coded.get(self.at).copied().ok_or_else(damaged)?;
            self.at += 1;
            Ok(byte)
        })?;
        value.ok_or_else(damaged)
    }

    fn take(&mut self, len: usize) -> Result<(), Failure> {
        self.raw_left = self.raw_left.checked_sub(len as u64).ok_or_else(ends_early)?;
        Ok(())
    }

    /// Fills `buf` with the next raw bytes.
    pub(crate) fn fill(&mut self, buf: &mut [u8]) -> Result<(), Failure> {
        self.take(buf.len())?;
        match self.coder {
            coder::ZSTD => {
                let frame = self.frames.first_mut().ok_or_else(damaged)?;
                frame.pull(&self.coded, &mut self.at, buf)
            }
            coder::SPARSE => {
                buf.fill(0);
                self.sparse.add_to(buf)
            }
            _ => {
                let end = self.at.saturating_add(buf.len());
                buf.copy_from_slice(self.coded.get(self.at..end).ok_or_else(ends_early)?);
                self.at = end;
                Ok(())
            }
        }
    }

    /// Turns predicted bytes into the wanted ones, taking as many raw bytes.
    ///
    /// `classes` says of each byte how it was predicted; empty stands for class 0 everywhere. Each call
    /// begins a whole number of blocks ([`super::limits::BLOCK_LEN`]) after the first byte of its EDIT.
    pub(crate) fn correct(
        &mut self,
        buf: &mut [u8],
        classes: &[u8],
        spare: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        debug_assert!(classes.is_empty() || classes.len() == buf.len());
        if self.coder == coder::SPARSE {
            self.take(buf.len())?;
            return self.sparse.add_to(buf);
        }
        spare.resize(buf.len(), 0);
        self.fill(spare)?;
        for (byte, correction) in buf.iter_mut().zip(spare.iter()) {
            *byte = byte.wrapping_add(*correction);
        }
        Ok(())
    }

    /// Checks that the piece was read whole, and forgets its coded bytes.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        if self.raw_left > 0 {
            return Err(failure!(
                PackageCorrupt,
                "a stream of the delta holds more than its ops take"
            ));
        }
        if let (coder::ZSTD, Some(frame)) = (self.coder, self.frames.first_mut()) {
            frame.finish_piece(&self.coded, self.at)?;
        }
        self.coded = Vec::new();
        self.at = 0;
        self.sparse = SparsePiece::default();
        Ok(())
    }
}

fn whole(frame: &mut FrameReader, coded: &[u8], len: u64) -> Result<Vec<u8>, Failure> {
    let (mut out, mut at) = (vec![0; len as usize], 0);
    frame.pull(coded, &mut at, &mut out)?;
    frame.finish_piece(coded, at)?;
    Ok(out)
}

fn ends_early() -> Failure {
    failure!(PackageCorrupt, "a stream of the delta holds less than its ops take")
}
