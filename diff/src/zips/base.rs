//! The base's archive: the records of its directory, and where the data of its members are.

use dd_inspect::failure::Failure;

use super::record::{LOCAL, LOCAL_LEN, Record};
use super::{DIRECTORY_LEN, MEMBERS, broken};
use crate::program::{Source, SourceBytes};

/// A directory: its bytes, and where in them each record begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Directory {
    /// Records that follow one another and fill these bytes; none if something else is there, or there are too many.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut starts = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let (_, len) = Record::parse(bytes.get(at..)?)?;
            starts.push(u32::try_from(at).ok()?);
            at += len;
        }
        (starts.len() <= MEMBERS && bytes.len() <= DIRECTORY_LEN).then_some(Self { bytes, starts })
    }

    /// The number of records.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The record at a place.
    pub(crate) fn record(&self, index: usize) -> Option<Record> {
        let start = *self.starts.get(index)? as usize;
        Some(Record::parse(self.bytes.get(start..)?)?.0)
    }

    /// All records.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> + '_ {
        (0..self.len()).filter_map(|index| self.record(index))
    }
}

/// The base's archive.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub source: Source,
    /// Where offsets of its records count from, in the source.
    pub start: u64,
    pub directory: Directory,
}

/// What of a member of the base stands at its local header.
pub(super) struct Local {
    pub extra: Vec<u8>,
    /// Where its data begin in the source.
    pub data: u64,
}

impl Base {
    /// The archive of a source whose directory lies so far behind its start.
    pub(super) fn read(
        sources: &mut dyn SourceBytes,
        source: Source,
        start: u64,
        directory: (u64, u64),
    ) -> Result<Self, Failure> {
        let offset = start.checked_add(directory.0).ok_or_else(broken)?;
        if directory.1 > DIRECTORY_LEN as u64 {
            return Err(broken());
        }
        let mut bytes = vec![0; directory.1 as usize];
        sources.read_at(source, offset, &mut bytes)?;
        let directory = Directory::parse(bytes).ok_or_else(broken)?;
        Ok(Self { source, start, directory })
    }

    /// Reads the local header of a record.
    pub(super) fn local(
        &self,
        sources: &mut dyn SourceBytes,
        record: &Record,
    ) -> Result<Local, Failure> {
        let at = self.start.checked_add(u64::from(record.local)).ok_or_else(broken)?;
        let mut head = [0; LOCAL_LEN];
        sources.read_at(self.source, at, &mut head)?;
        if head[..4] != LOCAL {
            return Err(broken());
        }
        let name_len = u64::from(u16::from_le_bytes([head[26], head[27]]));
        let mut extra = vec![0; usize::from(u16::from_le_bytes([head[28], head[29]]))];
        let extra_at = at.checked_add(LOCAL_LEN as u64 + name_len).ok_or_else(broken)?;
        sources.read_at(self.source, extra_at, &mut extra)?;
        let data = extra_at.checked_add(extra.len() as u64).ok_or_else(broken)?;
        Ok(Local { extra, data })
    }
}
