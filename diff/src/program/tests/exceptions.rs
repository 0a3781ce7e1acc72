//! Tables of exceptions: a small executable with some, whole and damaged, and a payload for ever.

use dd_inspect::digest::DiffId;

use super::corrupt::assert_survives_damage;
use super::golden::{assert_committed, committed};
use super::toys::*;
use crate::program::ids::model::{X86_64_EXCEPTIONS, X86_64_SYMBOLS};
use crate::program::*;

const PAYLOAD: &str = "exceptions-16.payload";
/// What it rebuilds over `file(false)`, 20 bytes in.
const LAYER: &str = "f81ec827fb5ad7ba599a6104c130d36e10838f26d48a802798c6945fa4b11f58";

const FIRST: u64 = 0x40_0000;
/// Functions, bytes of each; the one in whose middle bytes are inserted, and how many; new functions behind it.
const FUNCTIONS: usize = 90;
const LEN: usize = 200;
const AT: usize = 40;
const INSERTED: usize = 24;
const NEW: usize = 2;
/// Bytes of a description.
const FRAME: usize = 28;

/// A file: its bytes, where descriptions begin, where tables.
fn file(is_target: bool) -> (Vec<u8>, usize, usize) {
    let mut file = Vec::new();
    let mut functions = Vec::new();
    for n in 0..FUNCTIONS + NEW {
        let is_new = (AT + 1..=AT + NEW).contains(&n);
        if is_new && !is_target {
            continue;
        }
        let start = file.len();
        file.extend(noise(100 + n as u64, LEN));
        let inserted = if n == AT && is_target { INSERTED } else { 0 };
        file.splice(start + 100..start + 100, noise(7, inserted));
        functions.push((n, start, LEN + inserted));
    }
    file.resize(file.len().next_multiple_of(8), 0x90);
    let frames = file.len();
    let tables = frames + (functions.len() + 1) * FRAME;
    let mut all = Vec::new();
    file.extend([24, 0, 0, 0, 0, 0, 0, 0]);
    file.resize(frames + FRAME, 0);
    for &(n, start, len) in &functions {
        let here = file.len();
        let table = tables + all.len();
        file.extend(24u32.to_le_bytes());
        file.extend(((here + 4 - frames) as u32).to_le_bytes());
        file.extend((start.wrapping_sub(here + 8) as u32).to_le_bytes());
        file.extend((len as u32).to_le_bytes());
        file.push(4);
        file.extend((table.wrapping_sub(here + 17) as u32).to_le_bytes());
        file.resize(here + FRAME, 0);
        all.extend(table_of(n, if len > LEN { INSERTED as u8 } else { 0 }));
    }
    // The last function has what no reader knows.
    let end = all.len() - 3;
    all[end] = 9;
    assert_eq!(file.len(), tables);
    file.append(&mut all);
    (file, frames, tables)
}

/// The table of a function, of which some bytes were inserted at 100.
fn table_of(n: usize, inserted: u8) -> Vec<u8> {
    let mut sites: Vec<u8> = Vec::new();
    let mut put = |start: u8, len: u8, pad: u8, action: u8| {
        for value in [start, len, pad, action] {
            sites.push(value);
            if value >= 0x80 {
                sites.push(1);
            }
        }
    };
    put(0, 10 + n as u8 % 5, 0, 0);
    put(20, 5 + n as u8 % 7, 80, n as u8 % 2);
    // Over the insertion, and behind it.
    put(90, 20 + inserted, 0, 0);
    put(111 + inserted, 1 + (n * n) as u8 % 9, 60, n as u8 % 2);
    let rest = [&[1, sites.len() as u8][..], &sites].concat();
    if n.is_multiple_of(2) {
        let mut table = [&[0xff, 0xff][..], &rest].concat();
        table.resize(table.len().next_multiple_of(4), 0);
        return table;
    }
    let actions = [&rest[..], &[0x7f, 0]].concat();
    let gap = (3 + actions.len()).next_multiple_of(4) - 3 - actions.len();
    let to = (actions.len() + gap + 4) as u8;
    let mut table = [&[0xff, 0x9b, to][..], &actions].concat();
    table.resize(table.len() + gap + 8, 0);
    table
}

fn params(source: Source) -> Params {
    let of = |is_target| {
        let (file, frames, tables) = file(is_target);
        let area = |offset: usize, end: usize, content| Area {
            offset: offset as u64,
            len: (end - offset) as u64,
            content,
        };
        let segment = Segment { offset: 0, len: file.len() as u64, address: FIRST, extra: 0 };
        let areas = vec![
            area(0, frames, Content::Code),
            area(frames, tables, Content::Frames),
            area(tables, file.len(), Content::Exceptions),
        ];
        (segment, areas)
    };
    let ((base, areas), (target, new)) = (of(false), of(true));
    Params {
        source,
        offset: 20,
        len: base.len,
        target_len: target.len,
        base: vec![base],
        target: vec![target],
        lowest: 0,
        areas,
        new,
        symbols: SymbolTables::default(),
        machine: Machine::X86_64,
        version: Version::Fifth,
    }
}

/// Base layers of a payload; its bytes; the layer.
fn sample(change: impl FnOnce(&mut Params)) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    let ((base, frames, _), (target, to, tables)) = (file(false), file(true));
    let layer = [vec![7; 20], base.clone()].concat();
    let mut writer = writer_with(std::slice::from_ref(&layer), Coders::Usual);
    let source = writer.base(0).unwrap();
    let mut params = params(source);
    let (split, end) = (AT * LEN + 100, (AT + 1) * LEN);
    let new = NEW * LEN;
    let middle = frames + (AT + 2) * FRAME;
    let parts = [
        (0, 0, split),
        (split, split + INSERTED, end - split),
        (end, end + INSERTED + new, FUNCTIONS * LEN - end),
        (frames, to, middle - frames),
        (middle, to + middle - frames + NEW * FRAME, (FUNCTIONS - AT - 1) * FRAME),
    ];
    let interval = |(base, target, len): (usize, usize, usize)| Interval {
        base: base as u32,
        target: target as u32,
        len: len as u32,
    };
    let mut executable = Executable::new(params.clone(), parts.into_iter().map(interval));
    change(&mut params);
    let place = writer.begin_model(X86_64_EXCEPTIONS, 100, params.to_bytes().unwrap());
    let place = place.unwrap().unwrap();
    let mut read = |at: u64, buf: &mut [u8]| {
        buf.copy_from_slice(&base[at as usize..][..buf.len()]);
        Ok(())
    };
    let mut made = 0;
    for (at, to, len) in parts {
        writer.literal(Literal::Raw, &target[made..to]).unwrap();
        let (then, now) = (&base[at..at + len], &target[to..to + len]);
        let (mut predicted, mut classes) = (then.to_vec(), vec![0; len]);
        let mut done = 0;
        while done < len {
            let end = len.min(done + STRETCH);
            let then = &then[done..end];
            executable.begin((at + done) as u64, (to + done) as u64, then, &mut read).unwrap();
            let mut block = 0;
            while block < then.len() {
                let next = executable.next_end(block, then.len(), limits::BLOCK_LEN);
                let (predicted, classes) = (&mut predicted[done..end], &mut classes[done..end]);
                executable.predict(predicted, classes, next);
                executable.learn(&now[done..end], then, next);
                block = next;
            }
            done = end;
        }
        writer.edit_predicted(place, source, 20 + at as u64, &predicted, &classes, now).unwrap();
        made = to + len;
    }
    assert_eq!(made, tables);
    executable.note(0, &target);
    let wanted = &target[tables..];
    for (at, part) in [&wanted[..777], &wanted[777..]].into_iter().enumerate() {
        let mut given = vec![0; part.len()];
        writer
            .rows(Computed::Exceptions, part.len() as u64, |values| {
                executable.exceptions(values, &mut given, Some(wanted), &mut read).map(|_| ())
            })
            .unwrap();
        assert_eq!(given, part, "{at}");
    }
    writer.end_model(1 << 20).unwrap();
    (vec![layer], finish(writer).0, target)
}

#[test]
fn tables_follow_from_code_that_moved() {
    let (bases, payload, layer) = sample(|_| ());
    assert_eq!(decode(&payload, &bases).unwrap(), layer);
    // New code, two descriptions and their tables, and one that is carried.
    assert!(payload.len() < NEW * LEN + INSERTED + 450, "{}", payload.len());
}

#[test]
fn a_payload_with_tables_is_decoded_for_ever() {
    let made = decode(&committed(PAYLOAD), &[[vec![7; 20], file(false).0].concat()]).unwrap();
    assert_eq!(DiffId::of(&made).hex(), LAYER);
}

#[test]
fn this_build_writes_the_same_tables() {
    assert_committed(&sample(|_| ()).1, PAYLOAD);
}

#[test]
fn tables_need_their_areas() {
    for change in [
        |params: &mut Params| params.new.truncate(2),
        |params: &mut Params| params.areas.truncate(2),
        |params: &mut Params| {
            params.new.remove(1);
        },
        |params: &mut Params| {
            params.areas.remove(1);
        },
        |params: &mut Params| params.new[2].len -= 100,
        |params: &mut Params| params.target.clear(),
    ] {
        let (bases, payload, _) = sample(change);
        let error = decode(&payload, &bases).map(|_| ()).unwrap_err();
        assert!(error.message.contains("out of range"), "{}", error.message);
    }
}

#[test]
fn tables_need_a_model_that_has_them() {
    let mut writer = writer_with(&[vec![1; 100]], Coders::Usual);
    assert!(writer.rows(Computed::Exceptions, 24, |_| Ok(())).is_err());
    let mut params = params(Source::Base(0));
    (params.version, params.offset) = (Version::Fourth, 0);
    (params.len, params.target_len) = (100, 124);
    params.areas.clear();
    params.new.clear();
    let place = writer.begin_model(X86_64_SYMBOLS, 9, params.to_bytes().unwrap()).unwrap();
    let source = writer.base(0).unwrap();
    writer.edit_predicted(place.unwrap(), source, 0, &[1; 100], &[0; 100], &[1; 100]).unwrap();
    writer.rows(Computed::Exceptions, 24, |_| Ok(())).unwrap();
    writer.end_model(1 << 20).unwrap();
    let error = decode(&finish(writer).0, &[vec![1; 100]]).unwrap_err();
    assert!(error.message.contains("tables of exceptions is out of range"), "{}", error.message);
}

#[test]
fn every_cut_and_flipped_byte_is_survived() {
    let (bases, payload, _) = sample(|_| ());
    assert_survives_damage(&payload, &bases);
}
