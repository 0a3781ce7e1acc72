//! Damaged payloads: an error, never a panic, never more than was declared.

use std::io::{self, Write};

use proptest::prelude::*;

use super::everything::sample;
use super::toys::*;
use crate::program::*;

/// Counts what is written.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0 += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a payload that may be damaged; returns whether it ran to its end.
fn run(payload: &[u8], bases: &[Vec<u8>]) -> bool {
    let limits = Limits { memory: 40 << 20, scratch: 1 << 20 };
    let sources = MemorySources(bases.to_vec());
    let Ok(mut decoder) = Decoder::new(payload, sources, tools(), limits) else { return false };
    let declared = decoder.head().output_len;
    let mut count = Count(0);
    let done = decoder.decode_to(&mut count);
    assert!(count.0 <= declared);
    assert!(done.is_err() || count.0 == declared);
    if done.is_err() {
        assert!(decoder.decode_to(&mut count).is_err(), "an error stays");
    }
    done.is_ok()
}

#[test]
fn every_cut_is_noticed() {
    let (bases, payload, _) = sample();
    assert!(run(&payload, &bases));
    for len in 0..payload.len() {
        assert!(!run(&payload[..len], &bases), "cut at {len}");
    }
    let mut long = payload.clone();
    long.push(0);
    assert!(!run(&long, &bases));
}

#[test]
fn every_flipped_bit_is_survived() {
    let (bases, payload, layer) = sample();
    let mut noticed = 0;
    for at in 0..payload.len() * 8 {
        let mut damaged = payload.clone();
        damaged[at / 8] ^= 1 << (at % 8);
        noticed += usize::from(!run(&damaged, &bases));
    }
    assert!(noticed > layer.len() / 10, "{noticed} of {}", payload.len() * 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn damage_is_survived(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let (bases, mut payload, _) = sample();
        for (at, value) in changes {
            let at = at.index(payload.len());
            payload[at] = value;
        }
        run(&payload, &bases);
        let cut = cut.index(payload.len());
        run(&payload[..cut], &bases);
        payload.drain(cut..(cut + 3).min(payload.len()));
        run(&payload, &bases);
    }

    #[test]
    fn any_bytes_after_a_head_are_survived(body in prop::collection::vec(0u8..40, 0..200)) {
        let (bases, payload, _) = sample();
        let head_len = payload.len() - body_len(&payload);
        let mut bytes = payload[..head_len].to_vec();
        bytes.extend_from_slice(&body);
        prop_assert!(!run(&bytes, &bases));
    }
}

/// Bytes after the head.
fn body_len(payload: &[u8]) -> usize {
    (0..payload.len())
        .rev()
        .find(|&len| Head::read(&payload[..payload.len() - len]).is_ok())
        .unwrap()
}
