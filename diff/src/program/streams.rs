//! Records of streams: what a unit or a slice says of each before its coded bytes.

use std::io::Read;
use std::ops::RangeInclusive;

use dd_inspect::failure::Failure;

use super::coder::Sort;
use super::head::Head;
use super::hooks::Source;
use super::ids::{Registry, coder, stream};
use super::input::{Input, out_of_range};
use super::limits::{DICTIONARY_LEN, WINDOW_LOG};
use super::meter;

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
    /// What literals by mixing are.
    pub(crate) sort: Option<Sort>,
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
        let of_literals = coder::is_literals(record.coder);
        let of_slices = of_literals || coder::is_moved(record.coder);
        if coder::is_corrections(record.coder) && kind != stream::CORRECTIONS
            || of_slices && !(stream::TEXT..=stream::RAW).contains(&kind)
        {
            return Err(out_of_range("the coder of a stream"));
        }
        if coder::has_window(record.coder) && !record.continued {
            record.window_log = input.byte()?;
            if !(10..=WINDOW_LOG).contains(&record.window_log) {
                return Err(out_of_range("the window of a stream"));
            }
        }
        if of_literals && !record.continued {
            let sort = Sort::from_number(input.byte()?);
            record.sort = Some(sort.ok_or_else(|| out_of_range("the sort of literals"))?);
        }
        if coder::has_dictionary(record.coder) && !record.continued {
            record.dictionary = parse_dictionary(input)?;
        }
        Ok(record)
    }

    /// Bytes of the dictionary, with the zero byte before it.
    pub(crate) fn dictionary_len(&self) -> u64 {
        let len: u64 = self.dictionary.iter().map(|range| range.len).sum();
        if len == 0 { 0 } else { len + 1 }
    }

    /// Bytes that the stream appends to its dictionary.
    pub(crate) fn room(&self) -> usize {
        if coder::is_literals(self.coder) { 1 << self.window_log.min(30) } else { 0 }
    }

    /// The memory that the stream counts as while it can be continued.
    pub(crate) fn memory(&self) -> u64 {
        let dictionary = (self.dictionary.len() as u64, self.dictionary_len());
        meter::stream((self.coder, self.sort), self.window_log, dictionary)
    }

    /// Appends the record.
    #[cfg(feature = "encode")]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let coder = self.coder << 1 | u64::from(self.continued);
        for value in [self.kind, coder, self.raw_len, self.coded_len] {
            super::varint::put(out, value);
        }
        if coder::has_window(self.coder) && !self.continued {
            out.push(self.window_log);
        }
        if let Some(sort) = self.sort.filter(|_| !self.continued) {
            out.push(sort as u8);
        }
        if coder::has_dictionary(self.coder) && !self.continued {
            super::varint::put(out, self.dictionary.len() as u64);
            for range in &self.dictionary {
                for value in [range.source.number(), range.offset, range.len] {
                    super::varint::put(out, value);
                }
            }
        }
    }
}

/// Finds places of a dictionary.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// The number of the source, where the range begins there and in the dictionary, and its length; ascending.
    ranges: Vec<(u64, u64, u64, u64)>,
}

impl Places {
    pub(crate) fn new(dictionary: &[Range]) -> Self {
        let mut start = 1;
        let range = |range: &Range| {
            let place = (range.source.number(), range.offset, start, range.len);
            start += range.len;
            place
        };
        let mut ranges: Vec<_> = dictionary.iter().map(range).collect();
        ranges.sort_unstable();
        Self { ranges }
    }

    /// Where the dictionary has what stands at an offset of a source: in the range that begins there last, if it reaches so far.
    pub(crate) fn find(&self, source: Source, offset: u64) -> Option<usize> {
        let number = source.number();
        let behind = self.ranges.partition_point(|range| (range.0, range.1) <= (number, offset));
        let (of, first, start, len) = *self.ranges.get(behind.checked_sub(1)?)?;
        let inside = of == number && offset - first < len;
        inside.then(|| (start + (offset - first)) as usize)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_a_dictionary() {
        let range = |source, offset, len| Range { source, offset, len };
        let (base, kept) = (Source::Base(1), Source::Kept(1));
        let places = Places::new(&[
            range(base, 100, 50),
            range(kept, 100, 10),
            range(base, 120, 10),
            range(base, 120, 5),
        ]);
        let find = |source, offset| places.find(source, offset);
        assert_eq!(find(base, 99), None);
        assert_eq!((find(base, 100), find(base, 119)), (Some(1), Some(20)));
        // The range that begins last, of several that do the last one.
        assert_eq!((find(base, 120), find(base, 125)), (Some(71), None));
        assert_eq!((find(kept, 109), find(kept, 110)), (Some(60), None));
        assert_eq!(find(Source::Base(0), 100), None);
        assert_eq!(Places::default().find(base, 0), None);
    }
}
