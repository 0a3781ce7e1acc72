//! Damaged payloads: an error, never a panic, never more than was declared.

use std::io::{self, Write};

use dd_inspect::digest::DiffId;
use proptest::prelude::*;

use super::everything::sample;
use super::limits::{head, payload, stored};
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
pub(super) fn run(payload: &[u8], bases: &[Vec<u8>]) -> bool {
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

/// A whole payload runs, no beginning of it does, and each flipped byte is survived.
pub(super) fn assert_survives_damage(payload: &[u8], bases: &[Vec<u8>]) {
    assert!(run(payload, bases));
    for len in (0..payload.len()).step_by(7) {
        assert!(!run(&payload[..len], bases), "cut at {len}");
    }
    for at in 0..payload.len() {
        let mut damaged = payload.to_vec();
        damaged[at] ^= 1 << (at % 8);
        run(&damaged, bases);
    }
}

#[test]
fn a_decoder_may_move_to_another_thread() {
    fn check<T: Send>() {}
    check::<Decoder<&[u8], MemorySources>>();
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

    /// Damage in coded streams seldom reaches the ops; here the ops themselves are odd.
    #[test]
    fn odd_ops_are_survived(
        ops in prop::collection::vec((0u8..6, 0u8..3), 1..30),
        control in prop::collection::vec(prop::collection::vec(0u8..24, 0..60), 5),
        columns in prop::collection::vec(0u8..20, 0..20),
        slice in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 5),
        output_len in 0u64..400,
    ) {
        let ops: Vec<u8> = ops.into_iter().map(|(op, operand)| op | operand << 3).collect();
        let mut head = head(ops.len() as u64, output_len);
        head.sources = vec![DiffId::of(b"1"), DiffId::of(b"2")];
        let columns = [vec![3, columns.len() as u8], columns].concat();
        let mut streams: Vec<(u64, &[u8])> = vec![(0, &ops)];
        streams.extend((1..).zip(control.iter().take(4)).map(|(kind, bytes)| (kind, &bytes[..])));
        streams.push((5, &columns));
        let slice: Vec<_> = (6..).zip(&slice).map(|(kind, bytes)| stored(kind, bytes)).collect();
        run(&payload(&head, &streams, &slice), &[noise(1, 300), noise(2, 100)]);
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
