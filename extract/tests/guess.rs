//! What an encoder is guessed by before it is proven.

#![allow(clippy::unwrap_used)]

use dd_extract::encoding::identify::{first_guess, identify};
use dd_extract::encoding::stream::{GoRelease, KlauspostRelease, Known};
use dd_extract::encoding::{Deflate, Encoding};

/// Lines of a word and a number that a congruence chooses, of 12 bytes each.
fn text(lines: usize) -> Vec<u8> {
    let mut state = 1u32;
    let line = |_| {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        format!("{:04x} {:06x}\n", (state >> 16) % 3000, state >> 8).into_bytes()
    };
    (0..lines).flat_map(line).collect()
}

const GO: [u8; 6] = [0, 0, 0, 0, 0, 255];
const KLAUSPOST: [u8; 6] = [0, 9, 0x6e, 0x88, 0, 255];
const UNIX: [u8; 6] = [0, 0, 0, 0, 0, 3];

/// A file whose header has this from the time on.
fn member(known: Known, head: [u8; 6], plain: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    let stream = known.encode(plain).unwrap();
    [&[0x1f, 0x8b, 8, 0][..], &head, &stream, &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()]
        .concat()
}

fn known_of(encoding: &Encoding) -> Option<Known> {
    match encoding {
        Encoding::Gzip { deflate: Deflate::Known(known), .. } => Some(*known),
        _ => None,
    }
}

#[test]
fn the_guess_is_what_is_proven() {
    let plain = text(40_000);
    let pgzip = |release| Known::Klauspost { release, level: 5, block: Some(256 << 10) };
    let encoders = [
        (Known::Go { release: GoRelease::V1_16, level: 6, flush: false }, GO),
        (Known::Go { release: GoRelease::V1_27, level: 1, flush: false }, GO),
        (pgzip(KlauspostRelease::V1_15_11), KLAUSPOST),
        (pgzip(KlauspostRelease::V1_18_1), KLAUSPOST),
        (Known::Gnu { level: 6 }, UNIX),
        (Known::Pigz { level: 6, block: 128 << 10, one_thread: false }, UNIX),
    ];
    for (known, head) in encoders {
        let file = member(known, head, &plain);
        let guess = first_guess(&file, &plain).unwrap().unwrap();
        let proven = identify(&file, &plain, &std::env::temp_dir(), u64::MAX).unwrap();
        assert_eq!(known_of(&guess), Some(known));
        assert_eq!(known_of(&proven.encoding), Some(known));
    }
}

#[test]
fn a_mark_far_within_is_looked_for_when_nothing_else_fits() {
    let plain = text(250_000);
    let known = Known::Pigz { level: 1, block: 2 << 20, one_thread: false };
    let file = member(known, UNIX, &plain);
    let proven = identify(&file, &plain, &std::env::temp_dir(), u64::MAX).unwrap();
    assert_eq!(known_of(&proven.encoding), Some(known));
}

#[test]
fn what_nobody_writes_has_no_guess() {
    let plain = text(40_000);
    let known = Known::Go { release: GoRelease::V1_16, level: 6, flush: false };
    let mut file = member(known, GO, &plain);
    file[200] ^= 4;
    assert!(first_guess(&file, &plain).unwrap().is_none());
    assert!(first_guess(&plain, &plain).unwrap().is_none());
}
