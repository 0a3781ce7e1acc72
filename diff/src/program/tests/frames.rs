//! The table that finds frame descriptions: a small executable with one, whole and damaged, and a payload for ever.

use dd_inspect::digest::DiffId;

use super::corrupt::assert_survives_damage;
use super::golden::{assert_committed, committed};
use super::toys::*;
use crate::program::ids::model::X86_64_SYMBOLS;
use crate::program::limits::BLOCK_LEN;
use crate::program::*;

const PAYLOAD: &str = "frames-16.payload";
/// What it rebuilds over `file(0)`, 20 bytes in.
const LAYER: &str = "1b0c287ce7ce82f8c19a64872b0b345ddd28ea9bdc312d734ffaa1e49f39debd";

const FIRST: u64 = 0x40_0000;
/// Functions, of sixteen bytes each; where others are inserted, and how many.
const FUNCTIONS: u64 = 300;
const AT: u64 = 130;
const NEW: u64 = 5;
/// Bytes before the rows of the table, of a row, and of a description.
const HEAD: usize = 12;
const ROW: usize = 8;
const FRAME: usize = 24;

/// Where the parts of a file of so many functions begin: the table, the descriptions, their end.
fn places(count: u64) -> (usize, usize, usize) {
    let table = count as usize * 16;
    let frames = (table + HEAD + count as usize * ROW).next_multiple_of(8);
    (table, frames, frames + (count as usize + 1) * FRAME)
}

/// A file, with more functions if it is the target.
fn file(new: u64) -> Vec<u8> {
    let count = FUNCTIONS + new;
    let (table, frames, end) = places(count);
    let mut file = Vec::new();
    for n in 0..FUNCTIONS {
        if n == AT {
            file.extend(noise(5, new as usize * 16));
        }
        file.extend(noise(100 + n, 16));
    }
    file.extend([1, 0x1b, 3, 0x3b]);
    file.extend(((frames - table) as u32).to_le_bytes());
    file.extend((count as u32).to_le_bytes());
    let row = |n: u64| (n * 16).wrapping_sub(table as u64) as u32;
    for n in 0..count {
        file.extend(row(n).to_le_bytes());
        let frame = frames + (n as usize + 1) * FRAME - table;
        file.extend((frame as u32).to_le_bytes());
    }
    file.resize(frames, 0);
    file.extend([20, 0, 0, 0, 0, 0, 0, 0]);
    file.resize(frames + FRAME, 0);
    for n in 0..count {
        let here = file.len() as u64;
        file.extend(20u32.to_le_bytes());
        file.extend(((here + 4 - frames as u64) as u32).to_le_bytes());
        file.extend(((n * 16).wrapping_sub(here + 8) as u32).to_le_bytes());
        file.extend(16u32.to_le_bytes());
        file.extend([0, 0x41, 0x0e, 0x10, 0, 0, 0, 0]);
    }
    assert_eq!(file.len(), end);
    file
}

fn params(source: Source) -> Params {
    let of = |count| {
        let (table, frames, end) = places(count);
        let area = |offset: usize, end: usize, content| Area {
            offset: offset as u64,
            len: (end - offset) as u64,
            content,
        };
        let segment = Segment { offset: 0, len: end as u64, address: FIRST, extra: 0 };
        let areas = [
            area(0, table, Content::Code),
            area(table, frames, Content::FromStart),
            area(frames, end, Content::Frames),
        ];
        (segment, areas)
    };
    let ((base, areas), (target, new)) = (of(FUNCTIONS), of(FUNCTIONS + NEW));
    Params {
        source,
        offset: 20,
        len: base.len,
        target_len: target.len,
        base: vec![base],
        target: vec![target],
        lowest: 0,
        areas: areas.to_vec(),
        new: new[..2].to_vec(),
        symbols: SymbolTables::default(),
        machine: Machine::X86_64,
        version: Version::Fourth,
    }
}

/// Base layers of a payload; its bytes; the layer.
fn sample(change: impl FnOnce(&mut Params)) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    let (base, target) = (file(0), file(NEW));
    let layer = [vec![7; 20], base.clone()].concat();
    let mut writer = writer_with(std::slice::from_ref(&layer), Coders::Usual);
    let source = writer.base(0).unwrap();
    let mut params = params(source);
    let ((table, frames, end), to) = (places(FUNCTIONS), places(FUNCTIONS + NEW));
    let (split, gap) = (AT as usize * 16, NEW as usize * 16);
    let middle = (AT as usize + 1) * FRAME;
    // Only half of the code went where the map says; the table tells of the other half.
    let parts = [
        (0, 0, split),
        (split, split + gap, 16),
        (table, to.0, HEAD),
        (frames, to.1, middle),
        (frames + middle, to.1 + middle + NEW as usize * FRAME, end - frames - middle),
    ];
    let interval = |(base, target, len): (usize, usize, usize)| Interval {
        base: base as u32,
        target: target as u32,
        len: len as u32,
    };
    let mut executable = Executable::new(params.clone(), parts.into_iter().map(interval));
    change(&mut params);
    let place = writer.begin_model(X86_64_SYMBOLS, 100, params.to_bytes().unwrap());
    let place = place.unwrap().unwrap();
    let mut read = |at: u64, buf: &mut [u8]| {
        buf.copy_from_slice(&base[at as usize..][..buf.len()]);
        Ok(())
    };
    let mut made = 0;
    for (at, to, len) in parts {
        let rows = places(FUNCTIONS + NEW).0 + HEAD;
        if made == rows {
            let count = (FUNCTIONS + NEW) as usize;
            let wanted = &target[rows..rows + count * ROW];
            let row = |n: usize| {
                let word = |at: usize| u32::from_le_bytes(*wanted[at..].first_chunk().unwrap());
                Some((word(n * ROW), word(n * ROW + 4)))
            };
            let mut given = vec![0; wanted.len()];
            let len = wanted.len() as u64;
            writer
                .rows(Computed::FrameIndex, len, |values| {
                    executable.index(values, &mut given, row, &mut read).map(|_| ())
                })
                .unwrap();
            assert_eq!(given, wanted);
            made += wanted.len();
        }
        writer.literal(Literal::Raw, &target[made..to]).unwrap();
        let (then, now) = (&base[at..at + len], &target[to..to + len]);
        let (mut predicted, mut classes) = (then.to_vec(), vec![0; len]);
        executable.begin(at as u64, to as u64, then, &mut read).unwrap();
        let mut done = 0;
        while done < len {
            let end = executable.next_end(done, len, BLOCK_LEN);
            executable.predict(&mut predicted, &mut classes, end);
            executable.learn(now, then, end);
            done = end;
        }
        if at >= frames {
            assert_eq!(predicted, now);
        }
        writer.edit_predicted(place, source, 20 + at as u64, &predicted, &classes, now).unwrap();
        made = to + len;
    }
    writer.end_model(1 << 20).unwrap();
    (vec![layer], finish(writer).0, target)
}

#[test]
fn descriptions_follow_from_their_table() {
    let (bases, payload, layer) = sample(|_| ());
    assert_eq!(decode(&payload, &bases).unwrap(), layer);
}

#[test]
fn a_payload_with_the_table_is_decoded_for_ever() {
    let made = decode(&committed(PAYLOAD), &[[vec![7; 20], file(0)].concat()]).unwrap();
    assert_eq!(DiffId::of(&made).hex(), LAYER);
}

#[test]
fn this_build_writes_the_same_table() {
    assert_committed(&sample(|_| ()).1, PAYLOAD);
}

#[test]
fn a_table_needs_areas_that_lie_in_segments() {
    for change in [
        |params: &mut Params| params.new.truncate(1),
        |params: &mut Params| params.areas.truncate(1),
        |params: &mut Params| params.target.clear(),
        |params: &mut Params| params.new[1].len -= 100,
    ] {
        let (bases, payload, _) = sample(change);
        let error = decode(&payload, &bases).map(|_| ()).unwrap_err();
        assert!(error.message.contains("out of range"), "{}", error.message);
    }
}

#[test]
fn every_cut_and_flipped_byte_is_survived() {
    let (bases, payload, _) = sample(|_| ());
    assert_survives_damage(&payload, &bases);
}
