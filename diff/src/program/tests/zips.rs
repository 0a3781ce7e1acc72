//! Zip archives: a payload with a member of each kind, whole and damaged, and for ever.

use dd_inspect::digest::DiffId;

use super::corrupt::assert_survives_damage;
use super::golden::{assert_committed, committed};
use super::toys::*;
use crate::program::ids::generator::ZIP;
use crate::program::*;
use crate::zips::encoder::ZipEncoder;
use crate::zips::tests::{File, Layer, Odd, plan, zip};

const PAYLOAD: &str = "zips-10.payload";
/// What it rebuilds over `base()`.
const LAYER: &str = "50a3c1b893142ee56dabc11292944ca4de4cfffb1b63cc9867f1d9c815a61dd0";

/// Where the archive begins in the base.
const START: usize = 20;

const OLD: [File<'static>; 7] = [
    ("p-1.0/", b"", 1),
    ("q/", b"", 1),
    ("p-1.0/one", b"the first one", 1),
    ("p-1.0/two", b"the second one", 1),
    ("q/gone", b"gone", 1),
    ("q/three", b"the third one", 1),
    ("q/four", b"the fourth one", 1),
];
const NEW: [File<'static>; 7] = [
    ("q/", b"", 2),
    ("p-1.1/", b"", 2),
    ("q/four", b"the fourth one", 2),
    ("q/three", b"another third one", 2),
    ("p-1.1/two", b"the second one", 2),
    ("p-1.1/one", b"the first one", 2),
    ("new", b"what is new", 3),
];

fn base() -> Vec<u8> {
    [noise(1, START), zip(&OLD, Odd::default()).0].concat()
}

/// Bases, a payload, the layer.
fn sample() -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    let (old, new) = (zip(&OLD, Odd::default()), zip(&NEW, Odd::default()));
    let mut plan = plan(&new, Odd::default(), Some(&old));
    plan.walks = true;
    let (heads, _) = plan.framing().unwrap();
    let (bases, mut layer) = (vec![base()], Layer(base()));
    let mut writer = writer(&bases, 9);
    let source = writer.base(0).unwrap();
    let mut zips = ZipEncoder::default();
    let file = Some((source, START as u64));
    writer.generate(ZIP, 0, |columns| zips.begin(&plan, file, &mut layer, columns)).unwrap();
    for ((member, head), (_, data, _)) in plan.members.iter().zip(heads).zip(NEW) {
        let mut place = None;
        let describe = |columns: &mut _| {
            let entry = zips.member(member, &mut layer, columns)?;
            place = entry.base;
            Some(entry)
        };
        assert!(writer.generate(ZIP, head.len() as u64, describe).unwrap());
        let is_same = |(_, at): &(Source, u64)| bases[0][*at as usize..].starts_with(data);
        match place.filter(is_same) {
            Some((source, at)) => writer.copy(source, at, data.len() as u64).unwrap(),
            None => writer.literal(Literal::Text, data).unwrap(),
        }
    }
    for len in zips.directory().unwrap() {
        let describe = |columns: &mut _| Some(ZipEncoder::directory_piece(columns));
        assert!(writer.generate(ZIP, len, describe).unwrap());
    }
    (bases, finish(writer).0, new.0)
}

#[test]
fn an_archive_comes_back() {
    let (bases, payload, layer) = sample();
    assert_eq!(decode(&payload, &bases).unwrap(), layer);
    let head = Head::read(&payload[..]).unwrap();
    assert!(head.ids.contains(&(2, ZIP)));
    assert!((8 << 20..9 << 20).contains(&head.memory), "{}", head.memory);
}

#[test]
fn a_payload_with_an_archive_is_decoded_for_ever() {
    assert_eq!(DiffId::of(&decode(&committed(PAYLOAD), &[base()]).unwrap()).hex(), LAYER);
}

#[test]
fn this_build_writes_the_same_archive() {
    assert_committed(&sample().1, PAYLOAD);
}

#[test]
fn damage_is_survived() {
    let (bases, payload, _) = sample();
    assert_survives_damage(&payload, &bases);
}

#[test]
fn less_memory_than_an_archive_takes_is_an_error() {
    let (bases, payload, _) = sample();
    let head = Head::read(&payload[..]).unwrap();
    let declared = head.to_bytes();
    let less = Head { memory: head.memory - (1 << 20), ..head };
    let changed = [less.to_bytes(), payload[declared.len()..].to_vec()].concat();
    assert!(decode(&changed, &bases).unwrap_err().message.contains("bytes of memory"));
}

#[test]
fn an_archive_in_a_kept_object_gives_its_memory_back() {
    let (old, bases) = (zip(&OLD, Odd::default()), [base()]);
    let plan = plan(&old, Odd::default(), Some(&old));
    let mut writer = writer(&bases, 3);
    let source = writer.base(0).unwrap();
    let mut layer = Layer(base());
    let (mut begin, file) = (ZipEncoder::default(), Some((source, START as u64)));
    let mut write = |writer: &mut Writer| {
        let describe = |columns: &mut _| begin.begin(&plan, file, &mut layer, columns);
        assert!(writer.generate(ZIP, 0, describe).unwrap());
        writer.zeros(1).unwrap();
    };
    for _ in 0..3 {
        writer.begin_kept(1).unwrap();
        write(&mut writer);
        writer.end_kept().unwrap();
    }
    write(&mut writer);
    let (payload, summary) = finish(writer);
    assert!((16 << 20..17 << 20).contains(&summary.head.memory), "{}", summary.head.memory);
    assert_eq!(decode(&payload, &bases).unwrap(), [0]);
}
