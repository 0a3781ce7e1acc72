//! An archive under way: what reader and writer know alike of the members so far.

use dd_inspect::failure::Failure;

use super::base::{Base, Local};
use super::record::{Form, Record, put_end};
use super::walk::Walk;
use super::{DIRECTORY_LEN, MEMBERS, PIECE_LEN, broken};
use crate::program::{Source, SourceBytes};

/// In which order members are expected.
#[derive(Debug, Clone)]
pub(super) enum Order {
    /// As in the base; the place of the next one.
    Line(usize),
    /// As directories are walked through.
    Walk(Box<Walk>),
}

/// An archive under way.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    pub base: Option<Base>,
    pub order: Order,
    /// What offsets count of it so far.
    at: u64,
    /// The record of the last member, how it was written, and the extra field of its local header.
    pub last: Record,
    pub form: Form,
    pub local_extra: Vec<u8>,
    /// What the beginning of a name became last.
    moved: Option<(Vec<u8>, Vec<u8>)>,
    /// All records so far, and how many of their bytes were given.
    directory: Vec<u8>,
    given: usize,
    count: usize,
    comment: Vec<u8>,
}

/// What is expected of a member.
pub(super) struct Expected {
    /// Its record, with the time of the member before.
    pub record: Record,
    pub local_extra: Vec<u8>,
    /// Name and time of the base's member; of the last member without one.
    pub base_name: Vec<u8>,
    pub base_time: [u8; 4],
    /// Where the data of the base's member are.
    pub data: Option<(Source, u64)>,
}

impl Archive {
    /// An archive whose first local header has this offset.
    pub(super) fn new(base: Option<Base>, walks: bool, at: u64, comment: Vec<u8>) -> Self {
        let order = match &base {
            Some(base) if walks => {
                Order::Walk(Box::new(Walk::new(base.directory.records().map(|record| record.name))))
            }
            _ => Order::Line(0),
        };
        Self {
            base,
            order,
            at,
            last: Record::default(),
            form: Form::default(),
            local_extra: Vec::new(),
            moved: None,
            directory: Vec::new(),
            given: 0,
            count: 0,
            comment,
        }
    }

    /// What is expected of a member that was this one of the base.
    pub(super) fn expected(
        &self,
        member: Option<usize>,
        sources: &mut dyn SourceBytes,
    ) -> Result<Expected, Failure> {
        let Some(member) = member else {
            return Ok(Expected {
                record: self.last.clone(),
                local_extra: self.local_extra.clone(),
                base_name: self.last.name.clone(),
                base_time: self.last.time,
                data: None,
            });
        };
        let base = self.base.as_ref().ok_or_else(broken)?;
        let mut record = base.directory.record(member).ok_or_else(broken)?;
        let Local { extra, data } = base.local(sources, &record)?;
        let (base_name, base_time) = (record.name.clone(), record.time);
        if let Some((old, new)) = &self.moved
            && let Some(end) = base_name.strip_prefix(&old[..])
        {
            record.name = [new, end].concat();
        }
        record.time = self.last.time;
        Ok(Expected {
            record,
            local_extra: extra,
            base_name,
            base_time,
            data: Some((base.source, data)),
        })
    }

    /// A member of the base came.
    pub(super) fn take(&mut self, member: usize) {
        match &mut self.order {
            Order::Line(next) => *next = member.saturating_add(1),
            Order::Walk(walk) => walk.take(member),
        }
    }

    /// A name that was this one before came differently than expected.
    pub(super) fn learn(&mut self, before: &[u8], name: &[u8]) {
        let end = common(before.iter().rev(), name.iter().rev());
        let beginning = |name: &[u8]| name[..name.len() - end].to_vec();
        self.moved = Some((beginning(before), beginning(name)));
    }

    /// Gives a member's local header, before it what stands behind the data of the one before.
    pub(super) fn give(
        &mut self,
        mut record: Record,
        local_extra: Vec<u8>,
        form: Form,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let start = out.len();
        self.last.put_descriptor(self.form, out);
        self.at += (out.len() - start) as u64;
        record.local = u32::try_from(self.at).map_err(|_| broken())?;
        let start = out.len();
        record.put_local(&local_extra, form, out).ok_or_else(broken)?;
        self.at += (out.len() - start) as u64 + u64::from(record.coded_len);
        record.put(&mut self.directory).ok_or_else(broken)?;
        self.count += 1;
        if self.count > MEMBERS || self.directory.len() > DIRECTORY_LEN {
            return Err(broken());
        }
        (self.last, self.local_extra, self.form) = (record, local_extra, form);
        Ok(())
    }

    /// Gives the next bytes of the directory; true if the archive ends with them.
    pub(super) fn give_directory(&mut self, out: &mut Vec<u8>) -> Result<bool, Failure> {
        if self.given == 0 {
            let start = out.len();
            self.last.put_descriptor(self.form, out);
            self.at += (out.len() - start) as u64;
        }
        let rest = self.directory.get(self.given..).unwrap_or_default();
        let piece = rest.get(..PIECE_LEN).unwrap_or(rest);
        out.extend_from_slice(piece);
        self.given += piece.len();
        let is_end = self.given == self.directory.len();
        if is_end {
            let end = put_end(self.count, self.directory.len(), self.at, &self.comment, out);
            end.ok_or_else(broken)?;
        }
        Ok(is_end)
    }
}

/// How many items two iterators have in common at their beginnings.
pub(super) fn common<'a>(
    one: impl Iterator<Item = &'a u8>,
    other: impl Iterator<Item = &'a u8>,
) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).count()
}
