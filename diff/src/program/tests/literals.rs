//! Literals by mixing, of both sorts: whole, damaged, and a payload for ever.

use dd_inspect::digest::DiffId;
use proptest::prelude::*;

use super::corrupt::run;
use super::golden::{assert_committed, committed};
use super::toys::*;
use crate::program::ids::{Registry, coder};
use crate::program::*;

const PAYLOAD: &str = "sorts-16.payload";
/// What it rebuilds over [`base`].
const LAYER: &str = "71cb032d10748082644d5e88ecf2b074b79ee31fd01066d93f1aba0986e7693f";

/// Words, and code of calls, moves and jumps.
fn base() -> Vec<u8> {
    let words = noise(7, 20_000).into_iter().flat_map(|n| format!("w{} ", n % 97).into_bytes());
    let code = noise(8, 20_000).into_iter().flat_map(|n| match n % 3 {
        0 => vec![0xe8, n, 1, 0, 0],
        1 => vec![0x48, 0x8b, 0x44, 0x24, n & 0x38],
        _ => vec![0x75, n],
    });
    words.chain(code).collect()
}

/// A payload with literals of text and of code, each with a dictionary; and its layer.
fn sample() -> (Vec<u8>, Vec<u8>) {
    let base = base();
    let mut writer = writer_with(std::slice::from_ref(&base), Coders::Most);
    let source = writer.base(0).unwrap();
    let half = base.len() as u64 / 2;
    let range = |offset, len| vec![Range { source, offset, len }];
    let text = (Literal::Text, range(100, half - 100));
    writer.group(vec![text, (Literal::Code, range(half, half))]).unwrap();
    let mut layer = Vec::new();
    for part in 0..60usize {
        let kind = if part % 2 == 0 { Literal::Text } else { Literal::Code };
        let at = part / 2 * 500 + if part % 2 == 0 { 1000 } else { half as usize + 40_000 };
        let literal: Vec<u8> = base[at + 90..at + 200 - part].iter().map(|b| b ^ 1).collect();
        writer.copy(source, at as u64, 90).unwrap();
        writer.literal(kind, &literal).unwrap();
        writer.copy(source, at as u64 + 210, 40).unwrap();
        layer.extend_from_slice(&base[at..at + 90]);
        layer.extend_from_slice(&literal);
        layer.extend_from_slice(&base[at + 210..at + 250]);
    }
    (finish(writer).0, layer)
}

fn coders(payload: &[u8]) -> Vec<u64> {
    let ids = Head::read(payload).unwrap().ids.into_iter();
    ids.filter(|id| id.0 == Registry::Coder as u64).map(|id| id.1).collect()
}

#[test]
fn literals_of_both_sorts_come_back() {
    let (payload, layer) = sample();
    assert!(coders(&payload).contains(&coder::LITERALS), "{:?}", coders(&payload));
    assert_eq!(decode(&payload, &[base()]).unwrap(), layer);
}

#[test]
fn the_committed_payload_is_decoded_for_ever() {
    let payload = committed(PAYLOAD);
    assert!(coders(&payload).contains(&coder::LITERALS));
    assert_eq!(DiffId::of(&decode(&payload, &[base()]).unwrap()).hex(), LAYER);
}

/// When an encoding becomes better, the new payload gets a name and a test of its own.
#[test]
fn this_build_writes_the_same_literals() {
    let (payload, layer) = sample();
    assert_eq!(DiffId::of(&layer).hex(), LAYER);
    assert_committed(&payload, PAYLOAD);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn damage_is_an_error_or_other_bytes(at: prop::sample::Index, bit in 0u8..8) {
        let (mut payload, _) = sample();
        let at = at.index(payload.len());
        payload[at] ^= 1 << bit;
        run(&payload, &[base()]);
    }
}

#[test]
fn a_sort_that_is_not_known_is_refused() {
    let (payload, _) = sample();
    // The record of the first stream: kind, coder, lengths of two bytes each, window and sort.
    let at = payload.windows(2).position(|pair| pair == [6, 2 * coder::LITERALS as u8]).unwrap();
    let sort = (at..).find(|at| payload[*at..].starts_with(&[12, 0])).unwrap() + 1;
    let mut other = payload.clone();
    other[sort] = 2;
    let error = decode(&other, &[base()]).unwrap_err();
    assert!(error.message.contains("the sort of literals"), "{}", error.message);
}

#[test]
fn what_follows_literals_in_the_base_is_expected_at_their_end() {
    let base = noise(9, 80_000);
    let with = |next: u64| {
        let mut writer = writer_with(std::slice::from_ref(&base), Coders::Most);
        let source = writer.base(0).unwrap();
        let ranges = vec![Range { source, offset: 1, len: base.len() as u64 - 1 }];
        writer.group(vec![(Literal::Text, ranges)]).unwrap();
        let mut layer = Vec::new();
        for at in (1000..70_000).step_by(1000) {
            // The last 3 of these bytes stand before those that follow; too few to be found elsewhere.
            let literal = [&[7; 5], &base[at + 597..at + 600]].concat();
            writer.copy(source, at as u64, 90).unwrap();
            writer.literal(Literal::Text, &literal).unwrap();
            writer.copy(source, at as u64 + next, 90).unwrap();
            layer.extend_from_slice(&base[at..at + 90]);
            layer.extend_from_slice(&literal);
            layer.extend_from_slice(&base[at + next as usize..][..90]);
        }
        let (payload, summary) = finish(writer);
        assert_eq!(decode(&payload, std::slice::from_ref(&base)).unwrap(), layer);
        summary.streams[&6].1
    };
    let (right, wrong) = (with(600), with(700));
    assert!(right * 3 < wrong * 2, "{right} {wrong}");
}
