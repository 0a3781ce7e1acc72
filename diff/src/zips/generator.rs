//! Computes the framing of archives from columns.

use dd_inspect::failure::Failure;

use super::archive::{Archive, Expected, Order};
use super::base::Base;
use super::record::{Form, Record};
use super::{broken, column, differs, pick, piece};
use crate::program::{Columns, Entry, Generator, Source, SourceBytes, varint};

/// Gives the framing of archives, one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct ZipGenerator {
    archive: Option<Archive>,
}

impl Generator for ZipGenerator {
    fn generate(
        &mut self,
        columns: &mut Columns,
        sources: &mut dyn SourceBytes,
        out: &mut Vec<u8>,
    ) -> Result<Option<Entry>, Failure> {
        match columns.varint(column::PIECE)? {
            piece::BEGIN => {
                self.archive = Some(begin(columns, sources)?);
                Ok(None)
            }
            piece::MEMBER => {
                let archive = self.archive.as_mut().ok_or_else(broken)?;
                member(archive, columns, sources, out).map(Some)
            }
            piece::DIRECTORY => {
                let archive = self.archive.as_mut().ok_or_else(broken)?;
                if archive.give_directory(out)? {
                    self.archive = None;
                }
                Ok(None)
            }
            _ => Err(broken()),
        }
    }
}

fn begin(columns: &mut Columns, sources: &mut dyn SourceBytes) -> Result<Archive, Failure> {
    let mut next = || columns.varint(column::PLACE);
    let (form, at) = (next()?, next()?);
    let base = match form {
        0 => None,
        1 | 2 => {
            let source = Source::from_number(next()?).ok_or_else(broken)?;
            let (start, directory) = (next()?, (next()?, next()?));
            Some(Base::read(sources, source, start, directory)?)
        }
        _ => return Err(broken()),
    };
    if at > u64::from(u32::MAX) {
        return Err(broken());
    }
    let comment = part_or(columns, &[])?;
    Ok(Archive::new(base, form == 2, at, comment))
}

/// Those of the member before, or bytes with a length, at most 65,535.
fn part_or(columns: &mut Columns, before: &[u8]) -> Result<Vec<u8>, Failure> {
    let Some(len) = columns.varint(column::LENGTHS)?.checked_sub(1) else {
        return Ok(before.to_vec());
    };
    let len = u16::try_from(len).map_err(|_| broken())?;
    Ok(columns.bytes(column::RAW, usize::from(len))?.to_vec())
}

fn array<const N: usize>(columns: &mut Columns) -> Result<[u8; N], Failure> {
    columns.bytes(column::RAW, N)?.try_into().map_err(|_| broken())
}

fn member(
    archive: &mut Archive,
    columns: &mut Columns,
    sources: &mut dyn SourceBytes,
    out: &mut Vec<u8>,
) -> Result<Entry, Failure> {
    let base = picked(archive, columns)?;
    let Expected { record: mut own, mut local_extra, base_name, base_time, data } =
        archive.expected(base, sources)?;
    let mask = columns.varint(column::DIFFERS)?;
    if mask >= differs::END {
        return Err(broken());
    }
    let differs = |what: u64| mask & what != 0;
    if differs(differs::DATA) {
        own.crc = array(columns)?;
        own.coded_len = moved(own.coded_len, columns.varint(column::CODED)?)?;
        own.plain_len = moved(own.plain_len, columns.varint(column::PLAIN)?)?;
    }
    if differs(differs::NAME) {
        own.name = name(columns, &archive.last, &own.name)?;
        if base.is_some() {
            archive.learn(&base_name, &own.name);
        }
    }
    if differs(differs::TIME) {
        own.time = array(columns)?;
    } else if differs(differs::TIME_OF_BASE) {
        own.time = base_time;
    }
    if differs(differs::METHOD) {
        own.method = array(columns)?;
    }
    if differs(differs::ATTRIBUTES) {
        own.made_by = array(columns)?;
        own.attributes = array(columns)?;
    }
    if differs(differs::EXTRA) {
        own.extra = part_or(columns, &archive.last.extra)?;
        own.comment = part_or(columns, &archive.last.comment)?;
    }
    if differs(differs::LOCAL_EXTRA) {
        local_extra = part_or(columns, &archive.local_extra)?;
    }
    let mut form = archive.form;
    if differs(differs::FORM) {
        form = Form::from_number(columns.varint(column::LENGTHS)?).ok_or_else(broken)?;
    }
    let content_len = u64::from(own.coded_len);
    archive.give(own, local_extra, form, out)?;
    if let Some(base) = base {
        archive.take(base);
    }
    Ok(Entry { content_len, base: data, mtime: None })
}

/// The base's member that comes next.
fn picked(archive: &mut Archive, columns: &mut Columns) -> Result<Option<usize>, Failure> {
    let how = columns.varint(column::PICK)?;
    if how == pick::NONE {
        return Ok(None);
    }
    let count = archive.base.as_ref().map_or(0, |base| base.directory.len());
    let member = match &mut archive.order {
        Order::Line(next) => match how {
            pick::NEXT => *next,
            pick::ANY => {
                let distance = varint::unzigzag(columns.varint(column::ANY)?);
                usize::try_from((*next as u64).wrapping_add_signed(distance)).unwrap_or(usize::MAX)
            }
            _ => return Err(broken()),
        },
        Order::Walk(walk) if how == pick::ANY => {
            walk.next();
            usize::try_from(columns.varint(column::ANY)?).unwrap_or(usize::MAX)
        }
        Order::Walk(walk) => {
            let leaves = how.saturating_sub(pick::LEAVE - 1);
            if leaves > count as u64 {
                return Err(broken());
            }
            (0..leaves).for_each(|_| walk.leave());
            let next = walk.next();
            let rank = match rank_column(next.len()) {
                Some(column) => columns.varint(column)?,
                None => 0,
            };
            let member = usize::try_from(rank).ok().and_then(|rank| next.get(rank));
            *member.ok_or_else(broken)? as usize
        }
    };
    if member >= count {
        return Err(broken());
    }
    Ok(Some(member))
}

/// The column of a number below `count`; none if there is nothing to say.
pub(super) fn rank_column(count: usize) -> Option<u8> {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    (bits > 0).then(|| column::RANK.saturating_add(bits as u8))
}

fn moved(len: u32, difference: u64) -> Result<u32, Failure> {
    let moved = i64::from(len).checked_add(varint::unzigzag(difference));
    moved.and_then(|len| u32::try_from(len).ok()).ok_or_else(broken)
}

/// A name that begins like that of the last member and ends like the expected one.
fn name(columns: &mut Columns, last: &Record, expected: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut next = || Ok(usize::try_from(columns.varint(column::NAMES)?).unwrap_or(usize::MAX));
    let (begin, end, between) = (next()?, next()?, next()?);
    if between > usize::from(u16::MAX) {
        return Err(broken());
    }
    let begin = last.name.get(..begin).ok_or_else(broken)?;
    let rest = expected.len().checked_sub(end).ok_or_else(broken)?;
    Ok([begin, columns.bytes(column::TEXT, between)?, &expected[rest..]].concat())
}
