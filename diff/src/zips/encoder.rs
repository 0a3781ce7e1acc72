//! Describes the framing of archives, so that [`super::generator`] gives it.

use super::archive::{Archive, Expected, Order, common};
use super::base::Base;
use super::generator::rank_column;
use super::plan::{Member, Place, Plan};
use super::walk::Walk;
use super::{column, differs, pick, piece};
use crate::program::{ColumnWriter, Entry, Source, SourceBytes, varint};

/// Directories that are left at once at most.
const LEAVES: usize = 8;

/// Describes archives, one after the other.
#[derive(Debug, Default)]
pub(crate) struct ZipEncoder {
    archive: Option<Archive>,
}

/// What a piece says that has no data behind it.
const NOTHING: Entry = Entry { content_len: 0, base: None, mtime: None };

impl ZipEncoder {
    /// An archive begins; its base's file begins at this offset of a source. None if that cannot be read.
    pub(crate) fn begin(
        &mut self,
        plan: &Plan,
        file: Option<(Source, u64)>,
        sources: &mut dyn SourceBytes,
        columns: &mut ColumnWriter,
    ) -> Option<Entry> {
        let base = match plan.base.zip(file) {
            Some((place, (source, offset))) => {
                let Place { start, directory, directory_len } = place;
                let base = Base::read(sources, source, offset + start, (directory, directory_len));
                Some((base.ok()?, directory, directory_len))
            }
            None => None,
        };
        columns.put_varint(column::PIECE, piece::BEGIN);
        let form = if base.is_none() { 0 } else { 1 + u64::from(plan.walks) };
        columns.put_varint(column::PLACE, form);
        columns.put_varint(column::PLACE, u64::from(plan.at));
        if let Some((base, directory, directory_len)) = &base {
            [base.source.number(), base.start, *directory, *directory_len]
                .into_iter()
                .for_each(|value| columns.put_varint(column::PLACE, value));
        }
        put_part(columns, &[], &plan.comment);
        let base = base.map(|(base, ..)| base);
        let comment = plan.comment.clone();
        self.archive = Some(Archive::new(base, plan.walks, u64::from(plan.at), comment));
        Some(NOTHING)
    }

    /// The next member. None if it cannot be described: nothing was put then.
    pub(crate) fn member(
        &mut self,
        member: &Member,
        sources: &mut dyn SourceBytes,
        columns: &mut ColumnWriter,
    ) -> Option<Entry> {
        let archive = self.archive.as_mut()?;
        let base = member.base.filter(|_| archive.base.is_some()).map(|base| base as usize);
        let expected = archive.expected(base, sources).ok()?;
        columns.put_varint(column::PIECE, piece::MEMBER);
        put_pick(archive, base, columns);
        let data = expected.data;
        put_fields(archive, base.is_some(), member, expected, columns);
        let content_len = u64::from(member.record.coded_len);
        let Member { record, local_extra, form, .. } = member.clone();
        archive.give(record, local_extra, form, &mut Vec::new()).ok()?;
        if let Some(base) = base {
            archive.take(base);
        }
        Some(Entry { content_len, base: data, mtime: None })
    }

    /// The lengths of the pieces in which the directory comes; the archive ends. None if there is none.
    pub(crate) fn directory(&mut self) -> Option<Vec<u64>> {
        let mut archive = self.archive.take()?;
        let mut lens = Vec::new();
        loop {
            let mut out = Vec::new();
            let is_end = archive.give_directory(&mut out).ok()?;
            lens.push(out.len() as u64);
            if is_end {
                return Some(lens);
            }
        }
    }

    /// One of these pieces.
    pub(crate) fn directory_piece(columns: &mut ColumnWriter) -> Entry {
        columns.put_varint(column::PIECE, piece::DIRECTORY);
        NOTHING
    }
}

/// Says which member of the base a member was.
fn put_pick(archive: &mut Archive, base: Option<usize>, columns: &mut ColumnWriter) {
    let Some(base) = base else { return columns.put_varint(column::PICK, pick::NONE) };
    match &mut archive.order {
        Order::Line(next) if *next == base => columns.put_varint(column::PICK, pick::NEXT),
        Order::Line(next) => {
            columns.put_varint(column::PICK, pick::ANY);
            columns.put_varint(column::ANY, varint::zigzag(base as i64 - *next as i64));
        }
        Order::Walk(walk) => {
            if put_rank(walk, pick::NEXT, base, columns) {
                return;
            }
            // Where the walk does not lead there soon, it stays where it is.
            let mut ahead = walk.clone();
            for how in (pick::LEAVE..).take(LEAVES) {
                ahead.leave();
                if put_rank(&mut ahead, how, base, columns) {
                    *walk = ahead;
                    return;
                }
            }
            columns.put_varint(column::PICK, pick::ANY);
            columns.put_varint(column::ANY, base as u64);
        }
    }
}

/// Says how a member is found among those that may come next, if it is one of them.
fn put_rank(walk: &mut Walk, how: u64, base: usize, columns: &mut ColumnWriter) -> bool {
    let next = walk.next();
    let Ok(rank) = next.binary_search(&(base as u32)) else { return false };
    columns.put_varint(column::PICK, how);
    if let Some(column) = rank_column(next.len()) {
        columns.put_varint(column, rank as u64);
    }
    true
}

/// Says what of a member is not as expected.
fn put_fields(
    archive: &mut Archive,
    has_base: bool,
    member: &Member,
    expected: Expected,
    columns: &mut ColumnWriter,
) {
    let Member { record: own, local_extra, form, .. } = member;
    let Expected { record, local_extra: expected_extra, base_name, base_time, .. } = expected;
    let data = |of: &super::Record| (of.crc, of.coded_len, of.plain_len);
    let is_time_of_base = own.time == base_time && own.time != record.time;
    let differ = [
        (data(own) != data(&record), differs::DATA),
        (own.name != record.name, differs::NAME),
        (is_time_of_base, differs::TIME_OF_BASE),
        (own.time != record.time && !is_time_of_base, differs::TIME),
        (own.method != record.method, differs::METHOD),
        ((own.made_by, own.attributes) != (record.made_by, record.attributes), differs::ATTRIBUTES),
        ((&own.extra, &own.comment) != (&record.extra, &record.comment), differs::EXTRA),
        (*local_extra != expected_extra, differs::LOCAL_EXTRA),
        (*form != archive.form, differs::FORM),
    ];
    let mask = differ.iter().filter(|(differs, _)| *differs).fold(0, |mask, (_, bit)| mask | bit);
    columns.put_varint(column::DIFFERS, mask);
    let put = |what: u64| mask & what != 0;
    if put(differs::DATA) {
        columns.put(column::RAW, &own.crc);
        let difference = |own: u32, before: u32| varint::zigzag(i64::from(own) - i64::from(before));
        columns.put_varint(column::CODED, difference(own.coded_len, record.coded_len));
        columns.put_varint(column::PLAIN, difference(own.plain_len, record.plain_len));
    }
    if put(differs::NAME) {
        put_name(&archive.last.name, &record.name, &own.name, columns);
        if has_base {
            archive.learn(&base_name, &own.name);
        }
    }
    if put(differs::TIME) {
        columns.put(column::RAW, &own.time);
    }
    if put(differs::METHOD) {
        columns.put(column::RAW, &own.method);
    }
    if put(differs::ATTRIBUTES) {
        columns.put(column::RAW, &own.made_by);
        columns.put(column::RAW, &own.attributes);
    }
    if put(differs::EXTRA) {
        put_part(columns, &archive.last.extra, &own.extra);
        put_part(columns, &archive.last.comment, &own.comment);
    }
    if put(differs::LOCAL_EXTRA) {
        put_part(columns, &archive.local_extra, local_extra);
    }
    if put(differs::FORM) {
        columns.put_varint(column::LENGTHS, *form as u64);
    }
}

/// Says a name by how the last one begins and the expected one ends.
fn put_name(last: &[u8], expected: &[u8], name: &[u8], columns: &mut ColumnWriter) {
    let begin = common(last.iter(), name.iter());
    let end = common(expected.iter().rev(), name[begin..].iter().rev());
    let between = &name[begin..name.len() - end];
    for len in [begin, end, between.len()] {
        columns.put_varint(column::NAMES, len as u64);
    }
    columns.put(column::TEXT, between);
}

/// Says bytes by those of the member before, or as they are.
fn put_part(columns: &mut ColumnWriter, before: &[u8], bytes: &[u8]) {
    if bytes == before {
        return columns.put_varint(column::LENGTHS, 0);
    }
    columns.put_varint(column::LENGTHS, 1 + bytes.len() as u64);
    columns.put(column::RAW, bytes);
}
