//! Streams of every coder, over several slices, whole and damaged.

use std::path::Path;

use dd_inspect::digest::DiffId;
use proptest::prelude::*;

use super::toys::*;
use crate::program::ids::{Registry, coder};
use crate::program::*;

/// What `coders-2.payload` and those after it rebuild over [`base`].
const LAYER: &str = "8dd7e2589051897e32938edbca91130eb2bfadc8fb9cac5069335fcc5e8a0b27";

fn base() -> Vec<u8> {
    noise(5, 200_000)
}

/// A payload that has literals with a dictionary, corrections and control by mixing; and its layer.
fn sample() -> (Vec<u8>, Vec<u8>) {
    sample_by(Coders::Usual)
}

fn sample_by(coders: Coders) -> (Vec<u8>, Vec<u8>) {
    let base = base();
    let mut writer = writer_with(std::slice::from_ref(&base), coders);
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

fn committed(name: &str) -> Vec<u8> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/program/testdata").join(name);
    std::fs::read(place).unwrap()
}

const LATEST: &str = "literals-16.payload";
/// Where time does not matter.
const IN_LAYERS: &str = "layered-16.payload";

#[test]
fn every_coder_is_decoded() {
    let (payload, layer) = sample();
    let used = coders(&payload);
    assert_eq!(used, [coder::BYTES, coder::CORRECTIONS, coder::LITERALS]);
    assert_eq!(decode(&payload, &[base()]).unwrap(), layer);
}

#[test]
fn the_committed_payloads_are_decoded_for_ever() {
    let latest = [coder::BYTES, coder::CORRECTIONS, coder::LITERALS];
    let in_layers = [coder::BYTES, coder::CORRECTIONS_LAYERED, coder::LITERALS];
    let payloads = [(LATEST, latest), (IN_LAYERS, in_layers)];
    for (name, used) in payloads {
        let payload = committed(name);
        assert_eq!(coders(&payload), used);
        assert_eq!(DiffId::of(&decode(&payload, &[base()]).unwrap()).hex(), LAYER);
    }
}

/// When an encoding becomes better, the new payload gets a name and a test of its own.
#[test]
fn this_build_writes_the_same_bytes() {
    for (coders, name) in [(Coders::Usual, LATEST), (Coders::Most, IN_LAYERS)] {
        let (made, layer) = sample_by(coders);
        let place = std::env::temp_dir().join(name);
        if made != committed(name) {
            std::fs::write(&place, made).unwrap();
            let layer = DiffId::of(&layer);
            panic!("{layer}: compare {} with the committed payload", place.display());
        }
    }
}

/// A payload whose control is long enough for two threads, with memory for both; and its layer.
fn long_control() -> (Vec<u8>, Vec<u8>) {
    let base = base();
    let mut writer = writer_with(std::slice::from_ref(&base), Coders::Usual);
    let source = writer.base(0).unwrap();
    let mut layer = vec![b'x'; 9000];
    writer.literal(Literal::Text, &layer).unwrap();
    let mut state = 1u32;
    for _ in 0..12_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (offset, len) = (state as usize >> 15, 20 + (state as usize >> 4) % 90);
        writer.copy(source, offset as u64, len as u64).unwrap();
        layer.extend_from_slice(&base[offset..offset + len]);
    }
    (finish(writer).0, layer)
}

#[test]
fn a_long_control_is_read_by_two_threads() {
    let (payload, layer) = long_control();
    // More than the control is.
    assert!(payload.len() > 30_000 && Head::read(&payload[..]).unwrap().memory > 8 << 20);
    assert_eq!(decode(&payload, &[base()]).unwrap(), layer);
    for at in (payload.len() / 4..payload.len()).step_by(payload.len() / 9) {
        let mut damaged = payload.clone();
        damaged[at] ^= 0x10;
        // Never a panic, and nothing that takes longer.
        let _ = decode(&damaged, &[base()]);
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
    assert_eq!(coders(&payload), [coder::LZMA, coder::BYTES, coder::CORRECTIONS]);
}

#[test]
fn literals_are_coded_by_what_the_base_has_in_their_place() {
    let words = |seed: u64| -> Vec<u8> {
        noise(seed, 40_000).iter().flat_map(|byte| [b'a' + byte % 26, b'0' + byte / 26]).collect()
    };
    // Of each 100 bytes of the base 10 are other ones than those of before.
    let base = words(9);
    let with = |told: bool| {
        let mut writer = writer_with(std::slice::from_ref(&base), Coders::Usual);
        let source = writer.base(0).unwrap();
        let ranges = vec![Range { source, offset: 1, len: base.len() as u64 - 1 }];
        writer.group(vec![(Literal::Text, ranges)]).unwrap();
        let mut layer = Vec::new();
        for at in (1000..70_000).step_by(1000) {
            let from = if told { at } else { at ^ 0x200 };
            writer.copy(source, from as u64, 90).unwrap();
            let literal = [b"-", &base[at + 91..at + 105], b"-"].concat();
            writer.literal(Literal::Text, &literal).unwrap();
            layer.extend_from_slice(&base[from..from + 90]);
            layer.extend_from_slice(&literal);
        }
        let (payload, summary) = finish(writer);
        assert_eq!(decode(&payload, std::slice::from_ref(&base)).unwrap(), layer);
        summary.streams[&6].1
    };
    let (told, not) = (with(true), with(false));
    assert!(told * 4 < not, "{told} {not}");
}

#[test]
fn a_mixed_stream_of_something_else_is_refused() {
    for coders in [Coders::Usual, Coders::Most] {
        let (payload, _) = sample_by(coders);
        let wrong = payload.windows(2).position(|pair| pair == [6, 2 * coder::LITERALS as u8]);
        let mut broken = payload.clone();
        // The kind that its slice has: the last one, exact, instead of the first.
        broken[wrong.unwrap()] = 10;
        assert!(decode(&broken, &[base()]).is_err());
    }
}

#[test]
fn the_needs_stay_below_the_default_limit() {
    let memory = Head::read(&sample().0[..]).unwrap().memory;
    assert!(memory < Limits::default().memory / 2, "{memory}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn damage_is_an_error_or_other_bytes(at: prop::sample::Index, bit in 0u8..8, cut: bool, which in 0usize..2) {
        let mut payload = committed([LATEST, IN_LAYERS][which]);
        let layer = Head::read(&payload[..]).unwrap().output_len;
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
