#![allow(clippy::unwrap_used)]

use dd_inspect::failure::Failure;
use proptest::prelude::*;

use super::encoder::HeaderEncoder;
use super::generator::HeaderGenerator;
use crate::program::{ColumnWriter, Columns, Generator, Source, SourceBytes};

/// One base layer.
pub(super) struct Layer(pub Vec<u8>);

impl SourceBytes for Layer {
    fn len(&self, source: Source) -> Option<u64> {
        (source == Source::Base(0)).then_some(self.0.len() as u64)
    }

    fn read_at(&mut self, _: Source, offset: u64, buf: &mut [u8]) -> Result<(), Failure> {
        let from = offset as usize;
        buf.copy_from_slice(&self.0[from..from + buf.len()]);
        Ok(())
    }
}

/// A header, zeros before it, and where the base's header lies that it is described by.
type Case = (u64, Vec<u8>, Option<u64>);

/// Encodes, decodes and compares, without moves too; gives the columns.
fn round_trip(base: &[u8], cases: &[Case]) -> Vec<u8> {
    round_trip_by(base, cases, &HeaderGenerator::default());
    round_trip_by(base, cases, &HeaderGenerator::with_moves())
}

fn round_trip_by(base: &[u8], cases: &[Case], generator: &HeaderGenerator) -> Vec<u8> {
    let mut base = Layer(base.to_vec());
    let mut writer = ColumnWriter::default();
    let mut encoder = HeaderEncoder::new(generator.clone());
    let mut entries = Vec::new();
    for (zeros, header, model) in cases {
        let model = model.map(|offset| (Source::Base(0), offset));
        entries.push(encoder.encode(*zeros, header, model, &mut base, &mut writer).unwrap());
    }
    let raw = writer.finish();
    let mut columns = Columns::parse(raw.clone()).unwrap();
    let mut generator = generator.clone();
    for ((zeros, header, _), entry) in cases.iter().zip(entries) {
        let mut out = Vec::new();
        assert_eq!(generator.generate(&mut columns, &mut base, &mut out).unwrap(), Some(entry));
        assert_eq!(out, [vec![0; *zeros as usize], header.clone()].concat());
    }
    assert!(columns.is_used_up());
    raw
}

/// A tar of empty and small files with these names and times.
pub(super) fn archive(files: &[(&str, u64)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for &(name, mtime) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(mtime);
        header.set_size(5);
        builder.append_data(&mut header, name, &b"hello"[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The headers of such a tar: each entry's offset, the zeros before it, its bytes.
pub(super) fn headers(archive: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut end = 0;
    let mut reader = tar::Archive::new(archive);
    for entry in reader.entries().unwrap() {
        let entry = entry.unwrap();
        let start = u64::next_multiple_of(end, 512);
        let content = entry.raw_file_position();
        found.push((start, start - end, archive[start as usize..content as usize].to_vec()));
        end = content + entry.header().entry_size().unwrap();
    }
    found
}

fn against_base(base: &[u8], target: &[u8]) -> Vec<u8> {
    let models: Vec<u64> = headers(base).iter().map(|header| header.0).collect();
    let cases = headers(target).into_iter().enumerate();
    let case = |(number, (_, zeros, bytes))| (zeros, bytes, models.get(number).copied());
    round_trip(base, &cases.map(case).collect::<Vec<Case>>())
}

#[test]
fn new_times_cost_little() {
    let names: Vec<String> =
        (0..500).map(|number| format!("usr/lib/app/file{number}.py")).collect();
    let files = |time| names.iter().map(|name| (name.as_str(), time)).collect::<Vec<_>>();
    let columns = against_base(&archive(&files(1_700_000_000)), &archive(&files(1_700_086_400)));
    assert!(columns.len() < 500 * 6, "{}", columns.len());
    let coded = zstd::bulk::compress(&columns, 19).unwrap();
    assert!(coded.len() < 100, "{}", coded.len());
}

#[test]
fn times_that_moved_alike_cost_little() {
    let names: Vec<String> = (0..500).map(|number| format!("file{number}")).collect();
    let files = |shift| {
        let time = |place: usize| 1_700_000_000 + place as u64 * place as u64 * 7919 % 100_000;
        names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), time(at) + shift))
            .collect::<Vec<_>>()
    };
    let columns = against_base(&archive(&files(0)), &archive(&files(12_345)));
    assert!(zstd::bulk::compress(&columns, 19).unwrap().len() < 100);
}

#[test]
fn a_renamed_tree_costs_little() {
    let files =
        |dir: &str| (0..500).map(|n| format!("{dir}/sub{}/file{n}", n / 10)).collect::<Vec<_>>();
    let (old, new) = (files("opt/app-1.9"), files("srv/application-2.10"));
    let timed = |names: &[String]| {
        archive(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>())
    };
    let columns = against_base(&timed(&old), &timed(&new));
    let coded = zstd::bulk::compress(&columns, 19).unwrap();
    assert!(coded.len() < 100, "{}", coded.len());
}

#[test]
fn long_names_and_new_files_come_back() {
    let long = "d/".repeat(90);
    let (a, b) = (format!("{long}a"), format!("{long}b"));
    let base = archive(&[("a", 1), (&a, 2), ("z", 3)]);
    let target = archive(&[(&a, 9), (&b, 9), ("y", 9), ("z", 3)]);
    let models = headers(&base);
    let mut cases: Vec<Case> =
        headers(&target).into_iter().map(|(_, zeros, bytes)| (zeros, bytes, None)).collect();
    cases[0].2 = Some(models[1].0);
    cases[3].2 = Some(models[2].0);
    let columns = round_trip(&base, &cases);
    assert!(columns.len() < 500, "{}", columns.len());
}

/// A pax header as Go writes it.
fn pax(records: &str, name: &str, size: u64) -> Vec<u8> {
    let mut extension = tar::Header::new_ustar();
    extension.set_path("PaxHeaders.0/x").unwrap();
    extension.set_entry_type(tar::EntryType::XHeader);
    extension.set_size(records.len() as u64);
    extension.set_cksum();
    let mut main = tar::Header::new_ustar();
    main.set_path(name).unwrap();
    main.set_size(size);
    main.set_mtime(1_700_000_000);
    main.set_cksum();
    let mut bytes = extension.as_bytes().to_vec();
    bytes.extend_from_slice(records.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend_from_slice(main.as_bytes());
    bytes
}

#[test]
fn pax_records_come_back_and_give_the_size() {
    let base = pax("30 mtime=1700000000.123456789\n", "a", 0);
    let target = pax("30 mtime=1700000777.333333333\n13 size=1000\n", "a", 0);
    let mut layer = Layer(base.clone());
    let mut writer = ColumnWriter::default();
    let model = Some((Source::Base(0), 0));
    let entry =
        HeaderEncoder::default().encode(0, &target, model, &mut layer, &mut writer).unwrap();
    assert_eq!(entry.content_len, 1000);
    assert_eq!(entry.base, Some((Source::Base(0), base.len() as u64)));
    assert!(writer.len() < 100, "{}", writer.len());
    round_trip(&base, &[(0, target, Some(0)), (24, pax("", "b", 7), None)]);
}

#[test]
fn odd_headers_are_carried() {
    let mut odd = archive(&[("odd", 1)])[..512].to_vec();
    odd[148..156].copy_from_slice(b"77777777");
    odd[100..108].copy_from_slice(b"  644 \0\0");
    odd[50] = b'!';
    let cases = [
        (0, odd.clone(), None),
        (3, b"no header at all".to_vec(), None),
        (0, vec![], None),
        (0, vec![0xff; 512], None),
        (70, odd, None),
    ];
    let columns = round_trip(&[], &cases);
    assert!(columns.len() < 3000);
}

#[test]
fn what_is_too_long_is_left_to_literals() {
    let mut encoder = HeaderEncoder::default();
    let mut encode = |zeros, header: &[u8]| {
        encoder.encode(zeros, header, None, &mut Layer(vec![]), &mut ColumnWriter::default())
    };
    assert_eq!(encode(1 << 20, b"a"), None);
    assert_eq!(encode(0, &vec![1; 1 << 20]), None);
    assert!(encode(0, b"a").is_some());
}

#[test]
fn a_reference_outside_of_the_base_is_an_error() {
    let mut writer = ColumnWriter::default();
    for (column, value) in [(0, 0), (3, 0), (1, 3), (2, 0), (2, u64::MAX / 512)] {
        writer.put_varint(column, value);
    }
    let mut columns = Columns::parse(writer.finish()).unwrap();
    let mut base = Layer(archive(&[("a", 1)]));
    let generated = HeaderGenerator::default().generate(&mut columns, &mut base, &mut Vec::new());
    assert!(generated.is_err());
}

proptest! {
    #[test]
    fn any_changed_header_comes_back(
        changes in proptest::collection::vec((0_usize..6, 0_usize..512, any::<u8>()), 0..40),
        zeros in proptest::collection::vec(0_u64..1025, 6),
        models in proptest::collection::vec(proptest::option::of(0_usize..4), 6),
    ) {
        let long = "long/".repeat(30);
        let base = archive(&[("a", 1), (&long, 22), ("b/c", 333), ("b/d", 4444)]);
        let places = headers(&base);
        let mut blocks: Vec<Vec<u8>> =
            (0..6).map(|number| places[number % 4].2.clone()).collect();
        for (number, at, byte) in changes {
            blocks[number][at] = byte;
        }
        let cases: Vec<Case> = blocks
            .into_iter()
            .zip(&models)
            .zip(&zeros)
            .map(|((bytes, model), zeros)| (*zeros, bytes, model.map(|model| places[model].0)))
            .collect();
        round_trip(&base, &cases);
    }

    #[test]
    fn damaged_columns_never_panic(
        values in proptest::collection::vec((0_u8..50, proptest::collection::vec(any::<u8>(), 1..8)), 0..60),
    ) {
        let mut writer = ColumnWriter::default();
        writer.put(0, &[0, 0, 0]);
        for (column, bytes) in values {
            writer.put(column, &bytes);
        }
        let Ok(columns) = Columns::parse(writer.finish()) else { return Ok(()) };
        let mut base = Layer(archive(&[("a", 1), ("b", 2)]));
        for mut generator in [HeaderGenerator::default(), HeaderGenerator::with_moves()] {
            let mut columns = columns.clone();
            let mut out = Vec::new();
            while generator.generate(&mut columns, &mut base, &mut out).is_ok() {
                prop_assert!(out.len() < 8 << 20);
            }
        }
    }
}

#[test]
fn entries_of_a_moved_tree_need_no_names() {
    let files = |dir: &str| (0..500).map(|n| format!("{dir}/f{}", n * n)).collect::<Vec<_>>();
    let timed = |names: &[String]| {
        archive(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>())
    };
    // A name of its own in between, and a tree that moved elsewhere.
    let (mut old, mut new) = (files("app"), files("srv/service/lib"));
    (old[100], new[100]) = ("app/old-1.2.txt".into(), "srv/service/lib/new-1.3.txt".into());
    (old[200], new[200]) = ("bin/tool".into(), "usr/bin/tool".into());
    let columns = against_base(&timed(&old), &timed(&new));
    let coded = zstd::bulk::compress(&columns, 19).unwrap();
    assert!(coded.len() < 150, "{}", coded.len());
}

#[test]
fn a_move_without_a_model_is_an_error() {
    for (reference, form) in [(0, 1), (3, 1), (3, 4)] {
        let mut writer = ColumnWriter::default();
        for (column, value) in [(0, 0), (3, 0), (1, reference), (5, 4), (18, form)] {
            writer.put_varint(column, value);
        }
        writer.put(2, &[0, 0]);
        let mut columns = Columns::parse(writer.finish()).unwrap();
        let mut base = Layer(archive(&[("a", 1)]));
        let mut generator = HeaderGenerator::with_moves();
        assert!(generator.generate(&mut columns, &mut base, &mut Vec::new()).is_err());
    }
}
