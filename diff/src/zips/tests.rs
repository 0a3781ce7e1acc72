#![allow(clippy::unwrap_used)]

use dd_inspect::failure::Failure;
use proptest::prelude::*;

use super::base::Directory;
use super::encoder::ZipEncoder;
use super::plan::{Form, Member, Place, Plan};
use super::{Record, Zips, column, piece};
use crate::program::ids::generator::ZIP;
use crate::program::{ColumnWriter, Columns, Generators, Source, SourceBytes, varint};

/// One base layer.
pub(crate) struct Layer(pub Vec<u8>);

impl SourceBytes for Layer {
    fn len(&self, source: Source) -> Option<u64> {
        (source == Source::Base(0)).then_some(self.0.len() as u64)
    }

    fn read_at(&mut self, _: Source, offset: u64, buf: &mut [u8]) -> Result<(), Failure> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = from.checked_add(buf.len()).and_then(|end| self.0.get(from..end));
        buf.copy_from_slice(bytes.ok_or_else(super::broken)?);
        Ok(())
    }
}

/// A stored member: name, data, time.
pub(crate) type File<'a> = (&'a str, &'a [u8], u32);

/// What makes an archive odd.
#[derive(Clone, Copy, Default)]
pub(crate) struct Odd<'a> {
    form: Form,
    extra: &'a [u8],
    local_extra: &'a [u8],
    comment: &'a [u8],
}

/// An archive, and the offset of its directory.
pub(crate) fn zip(files: &[File<'_>], odd: Odd<'_>) -> (Vec<u8>, usize) {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let len = |bytes: &[u8]| (bytes.len() as u16).to_le_bytes();
    for &(name, data, time) in files {
        let local = archive.len() as u32;
        let crc = data.iter().fold(7u32, |sum, &byte| sum.wrapping_mul(31) ^ u32::from(byte));
        let size = (data.len() as u32).to_le_bytes();
        let lens = [crc.to_le_bytes(), size, size].concat();
        let head = [&[20, 0, 8, 0, 0, 0][..], &time.to_le_bytes()].concat();
        archive.extend([b"PK\x03\x04", &head[..]].concat());
        archive.extend(if odd.form == Form::Before { lens.clone() } else { vec![0; 12] });
        archive.extend([&len(name.as_bytes())[..], &len(odd.local_extra)].concat());
        archive.extend([name.as_bytes(), odd.local_extra, data].concat());
        match odd.form {
            Form::Before => {}
            Form::Behind => archive.extend([b"PK\x07\x08", &lens[..]].concat()),
            Form::Bare => archive.extend(&lens),
        }
        directory.extend([b"PK\x01\x02\x14\x03", &head[..], &lens].concat());
        directory.extend([len(name.as_bytes()), len(odd.extra), [0, 0]].concat());
        let mode = if name.ends_with('/') { [0x10, 0, 0xed, 0x41] } else { [0, 0, 0xa4, 0x81] };
        directory.extend([&[0; 4][..], &mode, &local.to_le_bytes()].concat());
        directory.extend([name.as_bytes(), odd.extra].concat());
    }
    let start = archive.len();
    let (count, size) = ((files.len() as u16).to_le_bytes(), directory.len() as u32);
    archive.extend(directory);
    archive.extend([b"PK\x05\x06\0\0\0\0", &[count, count].concat()[..]].concat());
    archive.extend([size.to_le_bytes(), (start as u32).to_le_bytes()].concat());
    archive.extend([&len(odd.comment)[..], odd.comment].concat());
    (archive, start)
}

fn directory(archive: &(Vec<u8>, usize), comment: usize) -> Directory {
    let (bytes, start) = archive;
    Directory::parse(bytes[*start..bytes.len() - 22 - comment].to_vec()).unwrap()
}

/// What describes an archive beside that of a base, which stands at the start of its file.
pub(crate) fn plan(
    target: &(Vec<u8>, usize),
    odd: Odd<'_>,
    base: Option<&(Vec<u8>, usize)>,
) -> Plan {
    let member = |record| Member {
        record,
        local_extra: odd.local_extra.to_vec(),
        form: odd.form,
        base: None,
    };
    let members = directory(target, odd.comment.len()).records().map(member).collect();
    let comment = odd.comment.to_vec();
    let mut plan = Plan { members, base: None, walks: false, at: 0, comment };
    if let Some(base) = base {
        let directory = directory(base, 0);
        let directory_len = (base.0.len() - 22 - base.1) as u64;
        let place = Place { start: 0, directory: base.1 as u64, directory_len };
        plan.pair(place, &directory, |_| true);
    }
    plan
}

/// Encodes an archive whose base begins at byte 5, decodes it and compares; gives the columns.
fn round_trip(plan: &Plan, base: Option<&(Vec<u8>, usize)>) -> Vec<u8> {
    let mut layer = Layer([&b"12345"[..], base.map_or(&[], |base| &base.0[..])].concat());
    let (heads, tail) = plan.framing().unwrap();
    let (mut encoder, mut columns) = (ZipEncoder::default(), ColumnWriter::default());
    let file = Some((Source::Base(0), 5));
    encoder.begin(plan, file, &mut layer, &mut columns).unwrap();
    let entries: Vec<_> = plan
        .members
        .iter()
        .map(|member| encoder.member(member, &mut layer, &mut columns).unwrap())
        .collect();
    let lens = encoder.directory().unwrap();
    for _ in &lens {
        ZipEncoder::directory_piece(&mut columns);
    }
    let raw = columns.finish();
    let mut columns = Columns::parse(raw.clone()).unwrap();
    let mut generator = Zips.open(ZIP).unwrap();
    let mut next = || {
        let mut out = Vec::new();
        let entry = generator.generate(&mut columns, &mut layer, &mut out).unwrap();
        (out, entry)
    };
    assert_eq!(next(), (Vec::new(), None));
    for (head, entry) in heads.into_iter().zip(entries) {
        assert_eq!(next(), (head, Some(entry)));
    }
    let pieces: Vec<Vec<u8>> = lens.iter().map(|_| next().0).collect();
    assert_eq!(pieces.iter().map(|piece| piece.len() as u64).collect::<Vec<_>>(), lens);
    assert_eq!(pieces.concat(), tail);
    assert!(columns.is_used_up());
    raw
}

/// Whether the framing of a plan is that of an archive.
fn gives(plan: &Plan, archive: &[u8]) -> bool {
    let (heads, tail) = plan.framing().unwrap();
    let mut at = 0;
    let same = plan.members.iter().zip(heads).all(|(member, head)| {
        let same = archive[at..].starts_with(&head);
        at += head.len() + member.record.coded_len as usize;
        same
    });
    same && archive[at..] == tail
}

/// A tree of directories as a walk finds it; what is in each is mixed, unless by 0.
fn tree(turn: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(folder) = pending.pop() {
        let depth = folder.matches('/').count();
        let mut inner: Vec<String> =
            (0..if depth < 2 { 3 } else { 0 }).map(|n| format!("{folder}d{n}/")).collect();
        let mut files: Vec<String> = (0..7).map(|n| format!("{folder}f{n}")).collect();
        let place = |name: &String| {
            name.bytes().fold(0, |sum, byte| (sum + usize::from(byte)) * turn * 31 % 97)
        };
        inner.sort_by_key(place);
        files.sort_by_key(place);
        names.extend(inner.iter().cloned().chain(files));
        pending.extend(inner.into_iter().rev());
    }
    names
}

fn files(names: &[String], time: u32) -> Vec<File<'_>> {
    let data = |name: &str| if name.ends_with('/') { &b""[..] } else { b"some data" };
    names.iter().map(|name| (name.as_str(), data(name), time)).collect()
}

#[test]
fn another_order_and_time_cost_little() {
    let (old, new) = (tree(0), tree(4));
    let (base, target) =
        (zip(&files(&old, 1), Odd::default()), zip(&files(&new, 2), Odd::default()));
    let walk = plan(&target, Odd::default(), Some(&base));
    assert!(walk.walks && gives(&walk, &target.0));
    let raw = round_trip(&walk, Some(&base));
    // Per member: what it is, the pick, the mask, and its number among those that are left.
    let len = old.len() * 4 + 60;
    assert!(raw.len() < len, "{} {len}", raw.len());
    let line = Plan { walks: false, ..walk };
    assert!(round_trip(&line, Some(&base)).len() > raw.len());
}

#[test]
fn the_same_order_costs_nothing() {
    let names = tree(3);
    let base = zip(&files(&names, 1), Odd::default());
    let plan = plan(&base, Odd::default(), Some(&base));
    assert!(!plan.walks);
    let columns = round_trip(&plan, Some(&base));
    let zeros = columns.iter().filter(|&&byte| byte == 0).count();
    // The base's times are not those of the member before only at the start.
    assert!(columns.len() - zeros < 50, "{columns:?}");
}

#[test]
fn what_is_new_or_odd_comes_back() {
    let old: [File<'_>; 4] =
        [("p-1.0/a", b"aa", 1), ("p-1.0/b", b"bb", 1), ("p-1.0/c", b"cc", 3), ("x", b"x", 4)];
    let new: [File<'_>; 5] = [
        ("p-1.10/a", b"aa", 1),
        ("p-1.10/b", b"other", 1),
        ("new/", b"", 3),
        ("p-1.10/c", b"cc", 9),
        ("x", b"x", 4),
    ];
    let base = zip(&old, Odd::default());
    assert!(error(&[
        (column::PIECE, 1),
        (column::PLACE, 0),
        (column::PLACE, 0),
        (column::LENGTHS, 65_537)
    ]));
    let (comment, extra, local_extra) = (&b"a comment"[..], &b"ex"[..], &b"tra"[..]);
    for form in Form::ALL {
        let odd = Odd { form, extra, local_extra, comment };
        let target = zip(&new, odd);
        let with = plan(&target, odd, Some(&base));
        assert!(gives(&with, &target.0));
        let bases: Vec<_> = with.members.iter().map(|member| member.base).collect();
        assert_eq!(bases, [Some(0), Some(1), None, Some(2), Some(3)]);
        let known = round_trip(&with, Some(&base)).len();
        let without = round_trip(&plan(&target, odd, None), None).len();
        assert!(known < without, "{known} {without}");
    }
}

#[test]
fn extra_fields_like_those_of_the_member_before_cost_little() {
    let names = tree(0);
    let (old, new) = (files(&names, 1), files(&names, 2));
    let base = zip(&old, Odd::default());
    let len = |odd| round_trip(&plan(&zip(&new, odd), odd, Some(&base)), Some(&base)).len();
    let odd = Odd { extra: &[7; 200], local_extra: &[8; 100], ..Odd::default() };
    let (with, without) = (len(odd), len(Odd::default()));
    assert!(with < without + 320 + names.len() * 4, "{with} {without}");
}

#[test]
fn directories_of_many_members_come_in_pieces() {
    let names: Vec<String> = (0..12_000).map(|n| format!("a/rather/long/name/of/{n}")).collect();
    let files: Vec<File<'_>> = names.iter().map(|name| (name.as_str(), &b""[..], 1)).collect();
    let archive = zip(&files, Odd::default());
    round_trip(&plan(&archive, Odd::default(), Some(&archive)), Some(&archive));
    let names: Vec<String> = (0..32_769).map(|n| format!("{n}")).collect();
    let files: Vec<File<'_>> = names.iter().map(|name| (name.as_str(), &b""[..], 1)).collect();
    let (archive, start) = zip(&files, Odd::default());
    assert!(Directory::parse(archive[start..archive.len() - 22].to_vec()).is_none());
}

/// What a generator says of columns.
fn error(values: &[(u8, u64)]) -> bool {
    let mut columns = ColumnWriter::default();
    values.iter().for_each(|&(column, value)| columns.put_varint(column, value));
    let mut columns = Columns::parse(columns.finish()).unwrap();
    let (base, start) = zip(&[("a/b", b"x", 1), ("a/c", b"x", 1)], Odd::default());
    assert_eq!((base.len(), start), (188, 68));
    let (mut generator, mut layer) = (Zips.open(ZIP).unwrap(), Layer(base));
    while !columns.is_used_up() {
        if generator.generate(&mut columns, &mut layer, &mut Vec::new()).is_err() {
            return true;
        }
    }
    false
}

#[test]
fn damaged_columns_are_errors() {
    use column::{ANY, CODED, DIFFERS, LENGTHS, NAMES, PICK, PIECE, PLACE, PLAIN, RANK, RAW};
    let begin = |form, place: &[u64]| {
        let mut values = vec![(PIECE, piece::BEGIN), (PLACE, form), (PLACE, 0)];
        values.extend(place.iter().map(|&value| (PLACE, value)));
        values.push((LENGTHS, 0));
        values
    };
    let good = [0, 0, 68, 98];
    assert!(!error(&begin(1, &good)) && !error(&begin(2, &good)) && !error(&begin(0, &[])));
    for (form, place) in [(3, &good[..]), (1, &[0, 0, 67, 98]), (1, &[0, 0, 68, 97])] {
        assert!(error(&begin(form, place)), "{form} {place:?}");
    }
    assert!(error(&begin(1, &[0, u64::MAX, 68, 98])) && error(&begin(1, &[0, 0, 0, 1 << 40])));
    for alone in [piece::MEMBER, piece::DIRECTORY, 3] {
        assert!(error(&[(PIECE, alone)]), "{alone}");
    }
    let member = |form, more: &[(u8, u64)]| {
        let mut values = begin(form, &good);
        values.push((PIECE, piece::MEMBER));
        values.extend(more);
        error(&values)
    };
    assert!(!member(1, &[(PICK, 0), (DIFFERS, 0)]) && !member(1, &[(PICK, 1), (DIFFERS, 0)]));
    assert!(!member(2, &[(PICK, 0), (RANK + 1, 1), (DIFFERS, 4)]));
    assert!(member(2, &[(PICK, 0), (RANK + 1, 2), (DIFFERS, 0)]), "there are two");
    assert!(member(2, &[(PICK, 3), (DIFFERS, 0)]), "nothing is left");
    assert!(member(2, &[(PICK, u64::MAX), (DIFFERS, 0)]));
    assert!(member(2, &[(PICK, 2), (ANY, 2), (DIFFERS, 0)]));
    assert!(member(1, &[(PICK, 2), (ANY, varint::zigzag(-1)), (DIFFERS, 0)]));
    assert!(member(1, &[(PICK, 3), (DIFFERS, 0)]), "a line has no directories");
    assert!(member(1, &[(PICK, 0), (DIFFERS, 512)]));
    assert!(member(1, &[(PICK, 0), (DIFFERS, 256), (LENGTHS, 3)]));
    let raw = [(RAW, 0); 4];
    let lens = |coded: i64, plain: i64| {
        let lens = [(CODED, varint::zigzag(coded)), (PLAIN, varint::zigzag(plain))];
        [&[(PICK, 0), (DIFFERS, 1)], &raw[..], &lens].concat()
    };
    assert!(!member(1, &lens(-1, 7)));
    assert!(member(1, &lens(-2, 7)) && member(1, &lens(0, 1 << 32)));
    for (begin, end, between) in [(1, 0, 0), (0, 4, 0), (0, 0, 1), (0, 0, 1 << 40)] {
        let names = [(NAMES, begin), (NAMES, end), (NAMES, between)];
        assert!(member(1, &[&[(PICK, 0), (DIFFERS, 2)], &names[..]].concat()), "{names:?}");
    }
}

proptest! {
    #[test]
    fn any_archives_come_back(
        old in prop::collection::vec((0_usize..40, 0_u32..3), 1..30),
        new in prop::collection::vec((0_usize..40, 0_u32..3), 1..30),
        walks: bool,
    ) {
        let names = tree(0);
        let of = |list: &[(usize, u32)]| -> Vec<(String, u32)> {
            list.iter().map(|&(name, time)| (names[name].clone(), time)).collect()
        };
        let (old, new) = (of(&old), of(&new));
        fn files(list: &[(String, u32)]) -> Vec<File<'_>> {
            list.iter().map(|(name, time)| (name.as_str(), &name.as_bytes()[..*time as usize], *time)).collect()
        }
        let (base, target) = (zip(&files(&old), Odd::default()), zip(&files(&new), Odd::default()));
        let plan = Plan { walks, ..plan(&target, Odd::default(), Some(&base)) };
        prop_assert!(gives(&plan, &target.0));
        round_trip(&plan, Some(&base));
    }

    #[test]
    fn any_columns_are_framing_or_an_error(values in prop::collection::vec((110_u8..132, 0_u64..9), 0..60)) {
        let begin = [(column::PIECE, piece::BEGIN), (column::PLACE, 2), (column::PLACE, 0), (column::PLACE, 0), (column::PLACE, 0), (column::PLACE, 68), (column::PLACE, 98), (column::LENGTHS, 0)];
        let all: Vec<_> = begin.into_iter().chain(values).collect();
        let mut columns = ColumnWriter::default();
        all.iter().for_each(|&(column, value)| columns.put_varint(column, value));
        let mut columns = Columns::parse(columns.finish()).unwrap();
        let mut layer = Layer(zip(&[("a/b", b"x", 1), ("a/c", b"x", 1)], Odd::default()).0);
        let mut generator = Zips.open(ZIP).unwrap();
        for _ in 0..all.len() {
            if generator.generate(&mut columns, &mut layer, &mut Vec::new()).is_err() {
                break;
            }
        }
    }
}

#[test]
fn records_are_parsed_alike() {
    let (archive, start) = zip(&[("name", b"data", 5)], Odd::default());
    let (record, len) = Record::parse(&archive[start..]).unwrap();
    assert_eq!((record.name.as_slice(), record.coded_len, len), (&b"name"[..], 4, 50));
}
