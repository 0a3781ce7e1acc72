//! Streams of every coder, over several slices, whole and damaged.

use std::path::Path;

use dd_inspect::digest::DiffId;
use proptest::prelude::*;

use super::toys::*;
use crate::program::ids::{Registry, coder};
use crate::program::*;

/// What `coders-2.payload` rebuilds over [`base`].
const LAYER: &str = "8dd7e2589051897e32938edbca91130eb2bfadc8fb9cac5069335fcc5e8a0b27";

fn base() -> Vec<u8> {
    noise(5, 200_000)
}

/// A payload that has LZMA with a dictionary, corrections and control by mixing; and its layer.
fn sample() -> (Vec<u8>, Vec<u8>) {
    let base = base();
    let mut writer = writer_with(std::slice::from_ref(&base), Coders::Usual);
    let source = writer.base(0).unwrap();
    let ranges = vec![Range { source, offset: 1000, len: 120_000 }];
    writer.group(vec![(Literal::Text, ranges)]).unwrap();
    let mut layer = Vec::new();
    for part in 0..200usize {
        let (from, len) = (part * 997, 600 + part % 7);
        let predicted = &base[from..from + len];
        let change = |byte: &u8| if *byte == 9 { 200 } else { *byte };
        let wanted: Vec<u8> = predicted.iter().map(change).collect();
        let (first, second) = (len / 3, len / 2);
        for (from_part, to_part) in [(0, first), (first, second), (second, len)] {
            let range = from_part..to_part;
            let offset = (from + from_part) as u64;
            let wanted = &wanted[range.clone()];
            writer.edit_predicted(0, source, offset, &predicted[range], &[], wanted).unwrap();
        }
        let literal = &base[100_000 - part * 300..][..700];
        writer.literal(Literal::Text, literal).unwrap();
        writer.zeros(part as u64 % 3).unwrap();
        layer.extend_from_slice(&wanted);
        layer.extend_from_slice(literal);
        layer.resize(layer.len() + part % 3, 0);
    }
    (finish(writer).0, layer)
}

fn coders(payload: &[u8]) -> Vec<u64> {
    let ids = Head::read(payload).unwrap().ids.into_iter();
    ids.filter(|id| id.0 == Registry::Coder as u64).map(|id| id.1).collect()
}

fn committed() -> Vec<u8> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/program/testdata/coders-2.payload");
    std::fs::read(place).unwrap()
}

#[test]
fn every_coder_is_decoded() {
    let (payload, layer) = sample();
    let used = coders(&payload);
    for coder in [coder::LZMA, coder::CORRECTIONS, coder::BYTES] {
        assert!(used.contains(&coder), "{used:?}");
    }
    assert_eq!(decode(&payload, &[base()]).unwrap(), layer);
}

#[test]
fn the_committed_payload_is_decoded_for_ever() {
    let payload = committed();
    assert_eq!(coders(&payload), [coder::LZMA, coder::CORRECTIONS, coder::BYTES]);
    assert_eq!(DiffId::of(&decode(&payload, &[base()]).unwrap()).hex(), LAYER);
}

/// When an encoding becomes better, the new payload gets a name and a test of its own.
#[test]
fn this_build_writes_the_same_bytes() {
    let (made, layer) = sample();
    let place = std::env::temp_dir().join("coders.payload");
    if made != committed() {
        std::fs::write(&place, made).unwrap();
        let layer = DiffId::of(&layer);
        panic!("{layer}: compare {} with the committed payload", place.display());
    }
}

#[test]
fn streams_go_on_from_slice_to_slice() {
    let base = noise(3, 600_000);
    let mut writer = writer_with(std::slice::from_ref(&base), Coders::Usual);
    let source = writer.base(0).unwrap();
    let wanted: Vec<u8> = base.iter().map(|byte| byte.wrapping_add(*byte & 1)).collect();
    for from in (0..base.len()).step_by(100_001) {
        let range = from..(from + 100_001).min(base.len());
        let predicted = &base[range.clone()];
        writer.edit_predicted(0, source, from as u64, predicted, &[], &wanted[range]).unwrap();
        writer.literal(Literal::Raw, &vec![from as u8; 900_000]).unwrap();
    }
    let (payload, summary) = finish(writer);
    assert!(summary.payload_len < 100_000, "{}", summary.payload_len);
    let layer = decode(&payload, std::slice::from_ref(&base)).unwrap();
    assert_eq!(layer.len() as u64, summary.head.output_len);
    assert_eq!(layer[..100_001], wanted[..100_001]);
    assert_eq!(coders(&payload), [coder::LZMA, coder::CORRECTIONS, coder::BYTES]);
}

#[test]
fn the_needs_stay_below_the_default_limit() {
    let memory = Head::read(&sample().0[..]).unwrap().memory;
    assert!(memory < Limits::default().memory / 4, "{memory}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn damage_is_an_error_or_other_bytes(at: prop::sample::Index, bit in 0u8..8, cut: bool) {
        let (mut payload, layer) = (committed(), Head::read(&committed()[..]).unwrap().output_len);
        let at = at.index(payload.len());
        if cut {
            payload.truncate(at);
        } else {
            payload[at] ^= 1 << bit;
        }
        let bases = MemorySources(vec![base()]);
        if let Ok(mut decoder) = Decoder::new(&payload[..], bases, tools(), Limits::default()) {
            let mut out = Vec::new();
            if decoder.decode_to(&mut out).is_ok() {
                prop_assert_eq!(out.len() as u64, layer);
            }
        }
    }
}
