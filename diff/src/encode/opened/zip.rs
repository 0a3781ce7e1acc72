//! ZIP archives (APPNOTE.TXT 6.3.10): wheels, jars, office documents.
//!
//! The directory at the end tells where the members are. Archives that are split, encrypted as a whole,
//! larger than 4 GiB, or whose members overlap are no archives here.

use std::io;

use super::container::{Coding, Part, Parts, Role, Window, le};

/// Bytes of the end of central directory record, without comment (4.3.16).
const END_LEN: u64 = 22;
const END_MAGIC: u64 = 0x0605_4b50;
/// Bytes of a directory record (4.3.12) and a local header (4.3.7) without name, extra field and comment.
const RECORD_LEN: usize = 46;
const LOCAL_LEN: u64 = 30;
/// Bytes of a directory that are read at most.
const MAX_DIRECTORY: u64 = 64 << 20;

/// A member as the directory has it.
struct Record {
    name: Vec<u8>,
    method: u64,
    coded_len: u64,
    plain_len: u64,
    local: u64,
    /// Where the record ends in the archive.
    end: u64,
}

/// Where the directory begins and ends, and what is added to offsets in it: the length of what stands
/// before the archive.
pub(super) struct Directory {
    pub start: u64,
    pub end: u64,
    pub before: u64,
    count: u64,
}

/// The parts of an archive.
///
/// # Errors
/// What reading fails with; `UnexpectedEof` if something lies outside of the archive.
pub(super) fn parts(file: &Window<'_>) -> io::Result<Option<Vec<Part>>> {
    let Some(directory) = directory(file)? else { return Ok(None) };
    let bytes = file.read(directory.start, directory.end - directory.start)?;
    let Some(mut records) = records(&bytes, &directory) else { return Ok(None) };
    let record_ends: Vec<(u64, Vec<u8>)> =
        records.iter().map(|record| (record.end, record.name.clone())).collect();
    records.sort_by_key(|record| record.local);
    let mut parts = Parts::default();
    let mut last = Vec::new();
    for record in records {
        let local = directory.before.saturating_add(record.local);
        let header = file.read(local, LOCAL_LEN)?;
        let (Some(0x0403_4b50), Some(name_len), Some(extra_len)) =
            (le::<4>(&header, 0), le::<2>(&header, 26), le::<2>(&header, 28))
        else {
            return Ok(None);
        };
        let data = local + LOCAL_LEN + name_len + extra_len;
        let coding = match record.method {
            8 => Coding::Deflate(record.plain_len),
            _ => Coding::Stored,
        };
        let pushed = parts
            .push(local, Role::After, &last, Coding::Framing)
            .and_then(|()| parts.push(data, Role::Head, &record.name, Coding::Framing))
            .and_then(|()| {
                let end = data.checked_add(record.coded_len)?;
                parts.push(end, Role::Data, &record.name, coding)
            });
        if pushed.is_none() || parts.end > directory.start {
            return Ok(None);
        }
        last = record.name;
    }
    let done = parts.push(directory.start, Role::After, &last, Coding::Framing).and_then(|()| {
        for (end, name) in record_ends {
            parts.push(end, Role::Record, &name, Coding::Framing)?;
        }
        parts.push(file.len, Role::Tail, &[], Coding::Framing)
    });
    Ok(done.map(|()| parts.list))
}

/// Whether a file ends with an end record without comment (4.3.16).
pub(super) fn ends(file: &Window<'_>) -> io::Result<bool> {
    let Some(start) = file.len.checked_sub(END_LEN) else { return Ok(false) };
    let end = file.read(start, END_LEN)?;
    Ok(le::<4>(&end, 0) == Some(END_MAGIC) && le::<2>(&end, 20) == Some(0))
}

/// Finds the end record (4.3.16), the last one whose comment reaches to the end of the file.
pub(super) fn directory(file: &Window<'_>) -> io::Result<Option<Directory>> {
    let tail_len = file.len.min(END_LEN + 0xffff);
    let tail = file.read(file.len - tail_len, tail_len)?;
    let is_end = |at: &usize| {
        le::<4>(&tail, *at) == Some(END_MAGIC)
            && le::<2>(&tail, at + 20) == Some((tail.len() - at) as u64 - END_LEN)
    };
    let last = tail.len().checked_sub(END_LEN as usize);
    let Some(at) = last.and_then(|last| (0..=last).rev().find(is_end)) else { return Ok(None) };
    let end = file.len - tail_len + at as u64;
    let field = |place| le::<2>(&tail, at + place).unwrap_or(0xffff);
    let wide = |place| le::<4>(&tail, at + place).unwrap_or(0xffff_ffff);
    let (count, len, offset) = (field(10), wide(12), wide(16));
    let whole = field(4) == 0 && field(6) == 0 && field(8) == count && count < 0xffff;
    if !whole || len > MAX_DIRECTORY || offset == 0xffff_ffff {
        return Ok(None);
    }
    let Some(start) = end.checked_sub(len) else { return Ok(None) };
    let Some(before) = start.checked_sub(offset) else { return Ok(None) };
    Ok(Some(Directory { start, end, before, count }))
}

/// The records of the directory in their order; none if one is odd.
fn records(bytes: &[u8], directory: &Directory) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    let mut at = 0;
    for _ in 0..directory.count {
        let record = bytes.get(at..)?;
        let field = |place| le::<2>(record, place);
        let wide = |place| le::<4>(record, place);
        if wide(0)? != 0x0201_4b50 {
            return None;
        }
        let (coded_len, plain_len, local) = (wide(20)?, wide(24)?, wide(42)?);
        if [coded_len, plain_len, local].contains(&0xffff_ffff) {
            return None;
        }
        let name_end = RECORD_LEN + field(28)? as usize;
        let name = record.get(RECORD_LEN..name_end)?.to_vec();
        let len = name_end + field(30)? as usize + field(32)? as usize;
        at += record.get(..len)?.len();
        let encrypted = field(8)? & 1 == 1;
        let method = if encrypted { u64::MAX } else { field(10)? };
        let end = directory.start + at as u64;
        records.push(Record { name, method, coded_len, plain_len, local, end });
    }
    Some(records)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::encode::opened::samples::{Stored, zip};

    fn found(archive: &Vec<u8>) -> Option<Vec<Part>> {
        let file = Window { bytes: archive, start: 0, len: archive.len() as u64 };
        super::super::container::parts(super::super::container::Kind::Zip, &file).unwrap()
    }

    fn sample() -> Vec<u8> {
        zip(&[
            ("a", b"aaaaaaaaaaaaaaaa", Stored::No),
            ("b", b"stored", Stored::Yes),
            ("e", b"", Stored::Yes),
        ])
    }

    #[test]
    fn parts_cover_the_archive() {
        let archive = sample();
        let parts = found(&archive).unwrap();
        let roles: Vec<Role> = parts.iter().map(|part| part.label.role).collect();
        use Role::{Data, Head, Record, Tail};
        assert_eq!(roles, [Head, Data, Head, Data, Head, Record, Record, Record, Tail]);
        assert_eq!(parts[1].coding, Coding::Deflate(16));
        assert_eq!(
            (parts[3].coding, &archive[parts[3].range.start as usize..][..6]),
            (Coding::Stored, &b"stored"[..])
        );
        let before = [b"#!", &archive[..]].concat();
        assert_eq!(found(&before).unwrap().len(), 10, "what stands before an archive");
    }

    #[test]
    fn odd_archives_are_none() {
        let archive = sample();
        let end = archive.len() - 22;
        let directory = le::<4>(&archive, end + 16).unwrap() as usize;
        for (at, value) in [
            (end, 0),
            (end + 4, 1),
            (end + 8, 9),
            (end + 12, 0xff),
            (end + 16, 0xff),
            (end + 20, 1),
            (directory, 0),
            (directory + 20, 200),
            (directory + 28, 0xff),
            (directory + 42, 5),
            (2, 9),
            (26, 0xff),
        ] {
            let mut odd = archive.clone();
            odd[at] = value;
            assert_eq!(found(&odd), None, "{value} at {at}");
        }
        // The second member lies where the first one does.
        let mut odd = archive.clone();
        odd[directory + 47 + 42] = 0;
        assert_eq!(found(&odd), None);
    }

    #[test]
    fn every_cut_and_change_is_survived() {
        let archive = sample();
        for len in 0..archive.len() {
            assert_eq!(found(&archive[..len].to_vec()), None, "{len}");
            let mut changed = archive.clone();
            changed[len] ^= 0x80;
            if let Some(parts) = found(&changed) {
                assert_eq!(parts.last().unwrap().range.end, archive.len() as u64);
            }
        }
    }
}
