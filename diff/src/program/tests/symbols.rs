//! Tables of symbols and their names: a small executable with some, whole and damaged, and a payload for ever.

use dd_inspect::digest::DiffId;

use super::corrupt::assert_survives_damage;
use super::golden::{assert_committed, committed};
use super::toys::*;
use crate::program::ids::model::X86_64_SYMBOLS;
use crate::program::*;

const PAYLOAD: &str = "symbols-16.payload";
/// What it rebuilds over `file(0)`, 20 bytes in.
const LAYER: &str = "200a49c1a42f16a9f8dc31abb765459c3355d68f61c424e7842d9efe1d2b3531";

const FIRST: u64 = 0x40_0000;
/// Functions, each of sixteen bytes with a call; the one before which bytes are inserted; how many bytes.
const FUNCTIONS: u64 = 200;
const AT: u64 = 90;
const INSERTED: u64 = 64;
/// Symbols of functions that the target has more.
const NEW: u64 = INSERTED / 16;

/// A file, with inserted bytes if it is the target: where its symbols begin, and where their names.
fn file(is_target: bool) -> (Vec<u8>, usize, usize) {
    let inserted = if is_target { INSERTED } else { 0 };
    let place = |n: u64| n * 16 + if n >= AT { inserted } else { 0 };
    let mut file = Vec::new();
    for n in 0..FUNCTIONS {
        if n == AT {
            file.extend(noise(3, inserted as usize));
        }
        let here = file.len() as u64;
        file.push(0xe8);
        let target = place(n.wrapping_mul(0x9e37_79b9) % FUNCTIONS);
        file.extend((target.wrapping_sub(here + 5) as u32).to_le_bytes());
        file.extend(noise(n, 11));
    }
    let mut symbols = Vec::new();
    let mut names = vec![0];
    let mut symbol = |name: String, kind: [u8; 4], value: u64, size: u64| {
        let known =
            names.windows(name.len() + 1).position(|part| part == [name.as_bytes(), &[0]].concat());
        let at = known.filter(|_| !name.is_empty()).unwrap_or(names.len());
        if at == names.len() && !name.is_empty() {
            names.extend(name.bytes().chain([0]));
        }
        let at = if name.is_empty() { 0 } else { at };
        symbols.extend((at as u32).to_le_bytes());
        symbols.extend(kind);
        symbols.extend(value.to_le_bytes());
        symbols.extend(size.to_le_bytes());
    };
    let build = 0x0123_4567_89ab_cdef_u64.wrapping_mul(1 + inserted);
    symbol(String::new(), [0; 4], 0, 0);
    symbol(format!("abc.{build:016x}-cgu.0"), [4, 0, 0xf1, 0xff], 0, 0);
    for n in 0..FUNCTIONS {
        if n == AT {
            for new in 0..inserted / 16 {
                symbol(
                    format!("new_function_{new}_of"),
                    [2, 0, 1, 0],
                    FIRST + AT * 16 + new * 16,
                    16,
                );
            }
        }
        let hash = build.wrapping_mul(n | 1);
        symbol(
            format!("_ZN3abc{n}17h{hash:016x}E.llvm.{build}"),
            [2, 0, 1, 0],
            FIRST + place(n),
            16,
        );
        symbol(format!("table{}", n % 50 + inserted / 16), [0, 0, 1, 0], FIRST + place(n) + 8, 0);
    }
    let begin = file.len();
    file.append(&mut symbols);
    let middle = file.len();
    file.append(&mut names);
    (file, begin, middle)
}

fn params(source: Source) -> Params {
    let ((base, begin, middle), (target, from, to)) = (file(false), file(true));
    let segment = |len: usize| Segment { offset: 0, len: len as u64, address: FIRST, extra: 0 };
    let area = |offset: usize, end: usize, content| Area {
        offset: offset as u64,
        len: (end - offset) as u64,
        content,
    };
    let code = |len| area(0, len, Content::Code);
    Params {
        source,
        offset: 20,
        len: base.len() as u64,
        target_len: target.len() as u64,
        base: vec![segment(begin)],
        target: vec![segment(from)],
        lowest: 0,
        areas: vec![code(begin), area(begin, middle, Content::Symbols)],
        new: vec![code(from)],
        symbols: SymbolTables {
            base: Some(area(begin, middle, Content::Symbols)),
            base_names: (middle as u64, (base.len() - middle) as u64),
            count: ((to - from) as u64) / SYMBOL,
            names: (to as u64, (target.len() - to) as u64),
        },
        machine: Machine::X86_64,
        version: Version::Fourth,
    }
}

/// Base layers of a payload; its bytes; the layer.
fn sample(change: impl FnOnce(&mut Params)) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    let ((base, begin, _), (target, from, to)) = (file(false), file(true));
    let layer = [vec![7; 20], base.clone()].concat();
    let mut writer = writer_with(std::slice::from_ref(&layer), Coders::Usual);
    let source = writer.base(0).unwrap();
    let mut params = params(source);
    let split = (AT * 16) as usize;
    let gap = INSERTED as usize;
    let parts = [(0, 0, split), (split, split + gap, begin - split)];
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
    for (number, (at, to, len)) in parts.into_iter().enumerate() {
        if number == 1 {
            writer.literal(Literal::Raw, &target[split..split + gap]).unwrap();
        }
        let (then, now) = (&base[at..at + len], &target[to..to + len]);
        let (mut predicted, mut classes) = (then.to_vec(), vec![0; len]);
        executable.begin(at as u64, to as u64, then, &mut read).unwrap();
        executable.predict(&mut predicted, &mut classes, len);
        executable.learn(now, then, len);
        writer.edit_predicted(place, source, 20 + at as u64, &predicted, &classes, now).unwrap();
    }
    let name_of = |symbol: &Symbol| {
        target[to + symbol.name as usize..].split(|&byte| byte == 0).next().unwrap()
    };
    let wanted = |number: usize| {
        let symbol = Symbol::parse(target[from + number * 24..][..24].first_chunk().unwrap());
        // Those of new functions stand behind the other symbols of the functions before.
        let new = 2 + 2 * AT as usize..2 + (2 * AT + NEW) as usize;
        let like = if number < new.start { number } else { number.wrapping_sub(NEW as usize) };
        let like = (!new.contains(&number)).then_some((like as u32, true));
        Some(Wanted { symbol, name: name_of(&symbol), like })
    };
    let mut records = vec![0; to - from];
    writer
        .rows(Computed::Symbols, records.len() as u64, |values| {
            executable.symbols(values, &mut records, wanted, &mut read)?;
            Ok(())
        })
        .unwrap();
    assert_eq!(records, target[from..to]);
    let told = executable.names(to as u64, target.len() - to).unwrap().to_vec();
    let mut at = 0;
    for (place, (a, b)) in told.iter().zip(&target[to..]).enumerate() {
        if a != b {
            writer.names((place - at) as u64).unwrap();
            writer.literal(Literal::Raw, &[*b]).unwrap();
            at = place + 1;
        }
    }
    writer.names((told.len() - at) as u64).unwrap();
    writer.end_model(1 << 20).unwrap();
    (vec![layer], finish(writer).0, target)
}

#[test]
fn symbols_follow_from_those_of_the_base() {
    let (bases, payload, layer) = sample(|_| ());
    assert_eq!(decode(&payload, &bases).unwrap(), layer);
    // Hashes of 100 pairs of names are new, that is 800 bytes.
    assert!(payload.len() < 900, "{}", payload.len());
}

#[test]
fn a_payload_with_symbols_is_decoded_for_ever() {
    let made = decode(&committed(PAYLOAD), &[[vec![7; 20], file(false).0].concat()]).unwrap();
    assert_eq!(DiffId::of(&made).hex(), LAYER);
}

#[test]
fn this_build_writes_the_same_symbols() {
    assert_committed(&sample(|_| ()).1, PAYLOAD);
}

#[test]
fn what_the_parameters_do_not_allow_is_refused() {
    for change in [
        |params: &mut Params| params.symbols.count -= 1,
        |params: &mut Params| params.symbols.count = 0,
        |params: &mut Params| params.symbols.names.1 -= 1,
    ] {
        let (bases, payload, _) = sample(change);
        let error = decode(&payload, &bases).unwrap_err();
        assert!(error.message.contains("out of range"), "{}", error.message);
    }
    let (bases, payload, layer) = sample(|params| params.symbols.base_names.1 = 5);
    assert_ne!(decode(&payload, &bases).ok(), Some(layer));
}

#[test]
fn symbols_need_a_model_that_has_them() {
    let mut writer = writer_with(&[vec![1; 100]], Coders::Usual);
    assert!(writer.rows(Computed::Symbols, 24, |_| Ok(())).is_err());
    writer.literal(Literal::Raw, &[1; 100]).unwrap();
    writer.names(5).unwrap();
    let error = decode(&finish(writer).0, &[vec![1; 100]]).unwrap_err();
    assert!(error.message.contains("symbols is out of range"), "{}", error.message);
}

#[test]
fn every_cut_and_flipped_byte_is_survived() {
    let (bases, payload, _) = sample(|_| ());
    assert_survives_damage(&payload, &bases);
}
