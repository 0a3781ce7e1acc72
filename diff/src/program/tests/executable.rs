//! The model of executables: a small one of every kind of content, whole and damaged, and a payload for ever.

use dd_inspect::digest::DiffId;
use dd_inspect::failure::Failure;

use super::corrupt::assert_survives_damage;
use super::golden::{assert_committed, committed};
use super::toys::*;
use crate::program::ids::{coder, model};
use crate::program::limits::BLOCK_LEN;
use crate::program::*;

const PAYLOADS: [&str; 3] = ["executable-16.payload", "code-16.payload", "tables-16.payload"];
/// What is for AArch64, and what it rebuilds over `file_of(Machine::AArch64, 0)`, 20 bytes in.
const AARCH64: (Machine, Version) = (Machine::AArch64, Version::Fifth);
const AARCH64_PAYLOADS: [&str; 2] = ["aarch64-10.payload", "aarch64-16.payload"];
const AARCH64_LAYER: &str = "d6cba9588b5ebacc6dd855c48065ed4c4f6700be7d3756e844d70c4fc28822a8";
/// What they rebuild over `file(0)`, 20 bytes in.
const SECOND_LAYER: &str = "83bf9dc1dec77c391224484ee759cffd942e02e85251bf33be496896c3245041";
const LAYER: &str = "9364a92a711e078bf36aed37deda4748aed3ad626885dfa4fc220795d41b753c";

const FIRST: u64 = 0x40_0000;
/// Calls, each of twelve bytes with the address that follows it.
const CALLS: u64 = 2000;
/// Where the parts of a file are, after what is inserted.
const POINTERS: u64 = 24_000;
const NEAR: u64 = 26_000;
const FROM_START: u64 = 27_000;
const SYMBOLS: u64 = 28_000;
const NAMES: u64 = 30_400;
const END: u64 = 31_000;
/// Bytes that are inserted.
const INSERTED: u64 = 96;
/// The call before which bytes are inserted.
const AT: u64 = 700;

/// A file for x86-64 whose addresses mean the same wherever they stand: `inserted` bytes move what follows them.
fn file(inserted: u64) -> Vec<u8> {
    file_of(Machine::X86_64, inserted)
}

/// Twelve bytes of code at `here`: a call, and an address that is taken.
fn code_of(machine: Machine, here: u64, called: u64, taken: u64) -> Vec<u8> {
    let distance = |from: u64, to: u64| to.wrapping_sub(from) as u32;
    match machine {
        Machine::X86_64 => {
            let (call, lea) = (distance(here + 5, called), distance(here + 12, taken));
            [&[0xe8][..], &call.to_le_bytes(), &[0x48, 0x8d, 0x05], &lea.to_le_bytes()].concat()
        }
        Machine::AArch64 => {
            let call = 0x9400_0000 | distance(here, called) >> 2 & 0x3ff_ffff;
            let pages = distance((FIRST + here + 4) >> 12, (FIRST + taken) >> 12);
            let page = 0x9000_0001 | (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5;
            let add = 0x9100_0021 | (taken as u32 & 0xfff) << 10;
            [call, page, add].into_iter().flat_map(u32::to_le_bytes).collect()
        }
    }
}

/// What a call at `here` calls.
fn called(machine: Machine, here: u64, code: &[u8]) -> u64 {
    let of = |at: usize| i32::from_le_bytes(code[at..at + 4].try_into().unwrap());
    match machine {
        Machine::X86_64 => (here + 5).wrapping_add_signed(i64::from(of(1))),
        Machine::AArch64 => here.wrapping_add_signed(i64::from(of(0) << 6 >> 4)),
    }
}

fn file_of(machine: Machine, inserted: u64) -> Vec<u8> {
    let place = |n: u64| n * 12 + if n >= AT { inserted } else { 0 };
    let any = |n: u64| place(n.wrapping_mul(0x9e37_79b9) % CALLS);
    let mut file = Vec::new();
    for n in 0..CALLS {
        if n == AT {
            file.extend((0..inserted).map(|_| 0x90));
        }
        let here = file.len() as u64;
        file.extend(code_of(machine, here, any(n), any(n / 3)));
    }
    while (file.len() as u64) < NEAR + inserted {
        let pointer = FIRST + any(file.len() as u64);
        file.extend(pointer.to_le_bytes());
    }
    while (file.len() as u64) < FROM_START + inserted {
        let here = file.len() as u64;
        file.extend((any(here).wrapping_sub(here) as u32).to_le_bytes());
    }
    while (file.len() as u64) < SYMBOLS + inserted {
        let from_start = any(file.len() as u64).wrapping_sub(FROM_START + inserted);
        file.extend((from_start as u32).to_le_bytes());
    }
    while (file.len() as u64) < NAMES + inserted {
        let n = file.len() as u64;
        file.extend((n as u32 % 600).to_le_bytes());
        file.extend([0x12, 0, 1, 0]);
        file.extend((FIRST + any(n)).to_le_bytes());
        file.extend(7u64.to_le_bytes());
    }
    file.extend(noise(9, (END - NAMES) as usize));
    file
}

fn params(source: Source, inserted: u64) -> Params {
    let segment = |len| Segment { offset: 0, len, address: FIRST, extra: 64 };
    let area = |offset, end, content| Area { offset, len: end - offset, content };
    Params {
        source,
        offset: 20,
        len: END,
        target_len: END + inserted,
        base: vec![segment(END)],
        target: vec![segment(END + inserted)],
        lowest: 0,
        areas: vec![
            area(0, POINTERS, Content::Code),
            area(POINTERS, NEAR, Content::Pointers),
            area(NEAR, FROM_START, Content::Near),
            area(FROM_START, SYMBOLS, Content::FromStart),
            area(SYMBOLS, NAMES, Content::Symbols),
        ],
        new: Vec::new(),
        symbols: SymbolTables::default(),
        machine: Machine::X86_64,
        version: Version::First,
    }
}

/// What stands in the file where bytes are inserted: calls of what the base calls, from another place.
fn new_code(machine: Machine) -> Vec<u8> {
    let base = file_of(machine, 0);
    let call = |n: u64| {
        let code = &base[(n * 12) as usize..][..12];
        let target = called(machine, n * 12, code);
        let target = if target >= AT * 12 { target + INSERTED } else { target };
        let new = code_of(machine, (AT + n - 100) * 12, target, 0);
        let len = if machine == Machine::X86_64 { 5 } else { 4 };
        [&new[..len], &code[len..]].concat()
    };
    (100..100 + INSERTED / 12).flat_map(call).collect()
}

/// Base layers of a payload; its bytes; the layer.
fn sample(change: impl FnOnce(&mut Params)) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    sample_of(Version::First, true, change)
}

/// The same with a version of the model, and in the second with a dictionary or without.
fn sample_of(
    version: Version,
    has_dictionary: bool,
    change: impl FnOnce(&mut Params),
) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    sample_for((Machine::X86_64, version), has_dictionary, change)
}

/// The same for a machine.
fn sample_for(
    (machine, version): (Machine, Version),
    has_dictionary: bool,
    change: impl FnOnce(&mut Params),
) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    let inserted = INSERTED;
    let (base, mut target) = (file_of(machine, 0), file_of(machine, inserted));
    let layer = [vec![7; 20], base.clone()].concat();
    let mut writer = writer_with(std::slice::from_ref(&layer), Coders::Usual);
    let source = writer.base(0).unwrap();
    let split = AT * 12;
    let mut params = Params { machine, version, ..params(source, inserted) };
    if version != Version::First {
        let (len, content) = (POINTERS + inserted, Content::Code);
        params.new = vec![Area { offset: 0, len, content }];
        target[split as usize..(split + inserted) as usize].copy_from_slice(&new_code(machine));
    }
    let interval =
        |base: u64, target, len: u64| Interval { base: base as u32, target, len: len as u32 };
    let intervals =
        [interval(0, 0, split), interval(split, (split + inserted) as u32, END - split)];
    let mut executable = Executable::new(params.clone(), intervals.into_iter());
    change(&mut params);
    let bytes = params.to_bytes().unwrap();
    let id = model_id(machine, version).unwrap();
    let place = writer.begin_model(id, 100, bytes).unwrap().unwrap();
    for (number, Interval { base: from, target: to, len }) in intervals.into_iter().enumerate() {
        if number == 1 && version != Version::First {
            if has_dictionary {
                let mut moved = base[..6000].to_vec();
                executable.dictionary(0, &mut moved, &mut read(&base)).unwrap();
                let range = Range { source, offset: 20, len: moved.len() as u64 };
                writer.group_moved(vec![range], moved).unwrap();
            }
            let lead = LEAD as u64;
            let mut code = target[(split - lead) as usize..to as usize].to_vec();
            assert!(executable.begin_literals(&mut code, LEAD, split));
            writer.new_code(&code[LEAD..]).unwrap();
        } else if number == 1 {
            writer.literal(Literal::Raw, &target[split as usize..to as usize]).unwrap();
        }
        let then = &base[from as usize..][..len as usize];
        let now = &target[to as usize..][..len as usize];
        let (mut predicted, mut classes) = (then.to_vec(), vec![0; now.len()]);
        executable.begin(u64::from(from), u64::from(to), then, &mut read(&base)).unwrap();
        let mut at = 0;
        while at < now.len() {
            let end = executable.next_end(at, now.len(), BLOCK_LEN);
            executable.predict(&mut predicted, &mut classes, end);
            executable.learn(now, then, end);
            at = end;
        }
        let offset = 20 + u64::from(from);
        writer.edit_predicted(place, source, offset, &predicted, &classes, now).unwrap();
    }
    writer.end_model(20 * WORK_PAGE).unwrap();
    (vec![layer], finish(writer).0, target)
}

fn read(base: &[u8]) -> impl FnMut(u64, &mut [u8]) -> Result<(), Failure> {
    move |at, buf| {
        buf.copy_from_slice(&base[at as usize..][..buf.len()]);
        Ok(())
    }
}

#[test]
fn what_moved_is_predicted() {
    let (bases, payload, layer) = sample(|_| ());
    assert_eq!(decode(&payload, &bases).unwrap(), layer);
    // As bytes these are some thousand wrong addresses.
    assert!(payload.len() < 1_000, "{}", payload.len());
}

#[test]
fn a_payload_with_the_model_is_decoded_for_ever() {
    let layers = [LAYER, SECOND_LAYER, SECOND_LAYER];
    for (name, layer) in PAYLOADS.into_iter().zip(layers) {
        let made = decode(&committed(name), &[[vec![7; 20], file(0)].concat()]).unwrap();
        assert_eq!(DiffId::of(&made).hex(), layer, "{name}");
    }
}

#[test]
fn this_build_writes_the_same_model() {
    let versions = [Version::First, Version::Second, Version::Third];
    for (name, version) in PAYLOADS.into_iter().zip(versions) {
        assert_committed(&sample_of(version, true, |_| ()).1, name);
    }
}

#[test]
fn instructions_of_four_bytes_are_predicted() {
    let (bases, payload, layer) = sample_for(AARCH64, true, |_| ());
    assert_eq!(decode(&payload, &bases).unwrap(), layer);
    assert!(payload.len() < 600, "{}", payload.len());
    // Without the area of code none of them are.
    let (bases, other, _) = sample_for(AARCH64, true, |params| {
        params.areas.remove(0);
    });
    assert_ne!(decode(&other, &bases).ok(), Some(layer));
}

#[test]
fn a_payload_for_aarch64_is_decoded_for_ever() {
    let base = [vec![7; 20], file_of(Machine::AArch64, 0)].concat();
    for name in AARCH64_PAYLOADS {
        let made = decode(&committed(name), std::slice::from_ref(&base)).unwrap();
        assert_eq!(DiffId::of(&made).hex(), AARCH64_LAYER, "{name}");
    }
}

#[test]
fn this_build_writes_the_same_for_aarch64() {
    assert_committed(&sample_for(AARCH64, true, |_| ()).1, AARCH64_PAYLOADS[1]);
}

#[test]
fn new_code_is_found_by_what_it_means() {
    let (bases, with, layer) = sample_of(Version::Second, true, |_| ());
    assert_eq!(decode(&with, &bases).unwrap(), layer);
    let ids = Head::read(&with[..]).unwrap().ids;
    assert!(ids.contains(&(3, coder::LZMA_MOVED)), "{ids:?}");
    let (_, without, same) = sample_of(Version::Second, false, |_| ());
    assert_eq!(decode(&without, &bases).unwrap(), layer);
    assert_eq!(same, layer);
    assert!(with.len() < without.len(), "{} and {}", with.len(), without.len());
}

#[test]
fn new_code_is_turned_where_it_is_code_alone() {
    let (bases, payload, layer) = sample_of(Version::Second, true, |params| params.new.clear());
    assert_ne!(decode(&payload, &bases).unwrap(), layer);
}

#[test]
fn a_dictionary_needs_a_run_with_a_model() {
    let mut writer = writer_with(&[vec![1; 100]], Coders::Usual);
    let source = writer.base(0).unwrap();
    let range = Range { source, offset: 0, len: 50 };
    assert!(writer.group_moved(vec![range], vec![1; 50]).is_err());
    // A payload that says so is refused: its first version has no such dictionary.
    let (bases, payload, _) = sample_of(Version::Second, true, |_| ());
    let at = payload.windows(2).position(|pair| pair == [1, 2]).unwrap();
    let mut other = payload.clone();
    other[at + 1] = 1;
    assert!(decode(&other, &bases).is_err());
}

#[test]
fn a_dictionary_of_nothing_is_none() {
    let base = [vec![7; 20], file(0)].concat();
    let (text, code) = (&base[20 + NAMES as usize..], [0; 48_000]);
    // Few literals are mixed, more go to LZMA.
    for (count, is_empty) in [(1, true), (4, true), (1, false), (4, false)] {
        let layer = [text, &code.repeat(count)].concat();
        let mut writer = writer_with(std::slice::from_ref(&base), Coders::Usual);
        let source = writer.base(0).unwrap();
        let len = layer.len() as u64;
        let new = vec![Area { offset: 0, len, content: Content::Code }];
        let params = Params { target_len: len, new, version: Version::Second, ..params(source, 0) };
        let place =
            writer.begin_model(model::X86_64_CODE, 100, params.to_bytes().unwrap()).unwrap();
        writer.edit_predicted(place.unwrap(), source, 20 + NAMES, text, &[], text).unwrap();
        let range = Range { source, offset: 20, len: 0 };
        let ranges = if is_empty { Vec::new() } else { vec![range; 2] };
        writer.group_moved(ranges, Vec::new()).unwrap();
        for _ in 0..count {
            writer.new_code(&code).unwrap();
        }
        writer.end_model(0).unwrap();
        let payload = finish(writer).0;
        assert_eq!(decode(&payload, std::slice::from_ref(&base)).unwrap(), layer);
    }
}

#[test]
fn an_edit_outside_of_the_files_is_refused() {
    for change in [
        |params: &mut Params| params.offset = 21,
        |params: &mut Params| (params.len, params.areas) = (5, Vec::new()),
        |params: &mut Params| params.target_len = 5,
        |params: &mut Params| params.source = Source::Kept(0),
    ] {
        let (bases, payload, _) = sample(change);
        let error = decode(&payload, &bases).unwrap_err();
        assert!(
            error.message.contains("an EDIT with a model is out of range"),
            "{}",
            error.message
        );
    }
}

#[test]
fn parameters_that_lie_give_other_bytes_or_an_error() {
    for change in [
        |params: &mut Params| (params.len, params.areas) = (END - 1, Vec::new()),
        |params: &mut Params| params.target_len -= 1,
        |params: &mut Params| params.base.clear(),
        |params: &mut Params| params.target.clear(),
        |params: &mut Params| params.areas.truncate(1),
        |params: &mut Params| params.areas = vec![Area { len: END, ..params.areas[0] }],
        |params: &mut Params| params.target[0].address = u64::MAX - 40_000,
    ] {
        let (bases, payload, layer) = sample(change);
        assert_ne!(decode(&payload, &bases).ok(), Some(layer));
    }
}

#[test]
fn every_cut_and_flipped_byte_is_survived() {
    for version in [Version::First, Version::Second, Version::Third] {
        let (bases, payload, _) = sample_of(version, true, |_| ());
        assert_survives_damage(&payload, &bases);
    }
    let (bases, payload, _) = sample_for(AARCH64, true, |_| ());
    assert_survives_damage(&payload, &bases);
}

#[test]
fn executables_inside_of_encodings_are_in_further_units() {
    let (file, layer) = (file(0), [vec![7; 20], file(0)].concat());
    let mut writer = writer(std::slice::from_ref(&layer), 3);
    let source = writer.base(0).unwrap();
    for number in 0..40 {
        let slot = writer.new_slot().unwrap();
        writer.enter_digest(slot).unwrap();
        let bytes = params(source, 0).to_bytes().unwrap();
        let place = writer.begin_model(model::X86_64, 100, bytes).unwrap();
        let place = place.unwrap_or_else(|| panic!("no model for {number}"));
        writer.edit_predicted(place, source, 20, &file, &[], &file).unwrap();
        writer.end_model(20 * WORK_PAGE).unwrap();
        writer.leave().unwrap();
    }
    let (payload, summary) = finish(writer);
    assert_eq!(summary.head.units, 3);
    assert_eq!(decode(&payload, &[layer]).unwrap(), file.repeat(40));
}
