//! Frames of every kind and length, read back by the real library.
#![allow(clippy::unwrap_used)]

use dd_inspect::digest::Digest;
use proptest::prelude::*;

use super::*;

/// Words, runs, copies from afar and noise from a linear congruence.
fn sample(len: usize, noise: u32) -> Vec<u8> {
    let mut state = 7u32;
    let mut next = move || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        state >> 16
    };
    let mut text = Vec::with_capacity(len + 600);
    while text.len() < len {
        match next() % 9 {
            0 => text.extend((0..next() % noise).map(|_| next() as u8)),
            1 => text.extend(std::iter::repeat_n(next() as u8, next() as usize % 300)),
            2 | 3 if text.len() > 600 => {
                let from = (next() as usize * 97) % (text.len() - 1);
                for i in 0..next() as usize % 60 {
                    text.push(text[from + i]);
                }
            }
            _ => text.extend_from_slice(
                [&b"layer "[..], b"config", b"manifest of ", b"\0\0\0"][next() as usize % 4],
            ),
        }
    }
    text.truncate(len);
    text
}

/// Letters without any order.
fn noise(len: u32, letters: u32) -> impl Iterator<Item = u8> {
    let mut state = 9u32;
    (0..len).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) % letters) as u8
    })
}

fn encode(release: Release, level: Level, first_block: u64, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut encoder, mut out) = (Klauspost::new(release, level, first_block), Vec::new());
    pieces.iter().for_each(|piece| encoder.write(piece, &mut out));
    encoder.finish(&mut out);
    out
}

fn assert_comes_back(text: &[u8], what: &str) {
    let all = crate::zstd::encoders();
    for (release, level) in all {
        for first_block in [0, 8] {
            let whole = encode(release, level, first_block, &[text]);
            assert!(
                ::zstd::decode_all(&whole[..]).unwrap() == text,
                "{release:?} {level:?} {what}"
            );
            let (head, tail) = text.split_at(text.len() / 3);
            let pieces = [head, &[], tail];
            let cut = encode(release, level, first_block, &pieces);
            assert!(cut == whole, "{release:?} {level:?} {what}");
        }
    }
}

#[test]
fn every_length_near_the_borders_comes_back() {
    let block = MAX_BLOCK_LEN;
    let near = [0, 8, 16, 32, 256, 1024, 2048, block / 2, 65_792, block, 2 * block, 3 * block];
    for len in
        near.into_iter().flat_map(|len: usize| [len.saturating_sub(1), len, len + 1, len + 8])
    {
        assert_comes_back(&sample(len, 40), &len.to_string());
    }
}

#[test]
fn every_kind_of_block_comes_back() {
    let texts: [(&str, Vec<u8>); 8] = [
        ("zeros", vec![0; 300_000]),
        ("noise", noise(300_000, 256).collect()),
        ("letters without matches", noise(3000, 20).collect()),
        ("few letters", noise(300_000, 3).collect()),
        ("nearly only one", noise(200_000, 90).map(|byte| byte / 89).collect()),
        ("noise, then again", noise(140_000, 256).chain(noise(140_000, 256)).collect()),
        ("one literal, then a run", [&b"a"[..], &[7; 200_000]].concat()),
        ("mostly noise", sample(300_000, 4000)),
    ];
    for (what, text) in &texts {
        assert_comes_back(text, what);
    }
}

#[test]
fn matches_reach_back_to_the_window_and_no_further() {
    let unique = sample(100_000, 4000);
    let window = Level::Default.window_len();
    let near = window - unique.len() - 1;
    let lens = [near, window + (3 << 20), 2 * window].map(|gap| {
        let gap = vec![b'-'; gap];
        let text = [&unique[..], &gap, &unique, &gap, &unique].concat();
        let coded = encode(Release::V1_17_8, Level::Default, 8, &[&text]);
        assert!(::zstd::decode_all(&coded[..]).unwrap() == text);
        coded.len()
    });
    assert!(lens[0] * 4 < lens[1] * 3 && lens[0] * 4 < lens[2] * 3, "{lens:?}");
}

#[test]
fn the_window_s_positions_are_counted_anew() {
    let block = sample(MAX_BLOCK_LEN, 40);
    let (mut early, mut late) = (Finder::new(Level::Default), Finder::new(Level::Default));
    late.start_at((1 << 31) - MAX_BLOCK_LEN as u32 * 20);
    for _ in 0..120 {
        for finder in [&mut early, &mut late] {
            finder.append(&block);
            finder.find(false);
            finder.end_block();
        }
        assert_eq!(early.found.sequences, late.found.sequences);
    }
    assert!(late.position() < 1 << 31);
}

#[test]
fn a_first_block_stands_alone() {
    let text = sample(5000, 40);
    let coded = encode(Release::V1_14_2, Level::Default, 8, &[&text]);
    assert_eq!(coded[..9], [0x28, 0xb5, 0x2f, 0xfd, 4, 0x68, 8 << 3, 0, 0]);
    assert_eq!(coded[9..17], text[..8]);
    // Less than that is a block all the same, and an empty one ends the frame.
    let short = encode(Release::V1_14_2, Level::Default, 8, &[&text[..3]]);
    assert_eq!(short[6..15], [3 << 3, 0, 0, text[0], text[1], text[2], 1, 0, 0]);
}

/// Checked against the originals by the digests of the vectors that the encoder was written with.
#[test]
fn the_bytes_never_change() {
    // Few literals, coded or not; letters without matches, coded or not; one run.
    let few = [&b"aaabaacabbabcacbaccbbbcbccc"[..], &[0; 1000]].concat();
    let letters = noise(3000, 20).collect();
    let texts = [sample(500, 40), sample(600_000, 900), few, letters, vec![0; 131_072]];
    let digests = Release::ALL.map(|release| {
        let coded = texts.iter().flat_map(|text| {
            [0, 8]
                .into_iter()
                .flat_map(move |first| encode(release, Level::Default, first, &[text]))
        });
        Digest::of(&coded.collect::<Vec<u8>>()).hex()[..16].to_owned()
    });
    assert_eq!(
        digests,
        ["2f1b5d214b754e8d", "d96c8141a84c9b45", "dbe6b7ce30c7d537", "dfadf1670ddcd91f"]
    );
}

/// Checked against what klauspost/compress 1.19 writes of the same texts.
#[test]
fn the_strongest_level_never_changes() {
    let lens = [0, 1, 3, 4, 5, 15, 16, 17, 30, 31, 32, 40, 64, 100, 500, 1000, 1024, 1025, 3000];
    let long = [9000, 60_000, 131_071, 131_072, 131_073, 262_144, 300_000, 1_000_000];
    let mut all = Vec::new();
    for len in lens.into_iter().chain(long) {
        for noise in [1, 3, 9, 40, 300, 3000] {
            all.extend(encode(Release::V1_17_8, Level::Best, 0, &[&sample(len, noise)]));
        }
    }
    assert_eq!(&Digest::of(&all).hex()[..16], "89224e1d45e53e06");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_text_comes_back(text in prop::collection::vec(0u8..4, 0..5000), first in 0u64..40) {
        for (release, level) in encoders() {
            let coded = encode(release, level, first, &[&text]);
            prop_assert_eq!(&::zstd::decode_all(&coded[..]).unwrap(), &text);
        }
    }
}

#[test]
fn an_encoder_makes_one_frame_after_the_other() {
    let texts = [sample(300_000, 40), sample(900, 9), Vec::new(), sample(140_000, 90)];
    for (release, level) in crate::zstd::encoders() {
        let mut encoder = Klauspost::new(release, level, 8);
        // Positions begin anew after some hundreds.
        for round in 0..600 {
            let text = &texts[if (8..592).contains(&round) { 1 + round % 2 } else { round % 4 }];
            let first_block = if round == 0 { 8 } else { 0 };
            let mut out = Vec::new();
            encoder.write(text, &mut out);
            encoder.finish(&mut out);
            encoder.reset();
            assert!(out == encode(release, level, first_block, &[text]), "{release:?} {round}");
        }
    }
}
