//! Files of every shape: identified, encoded again in pieces, and compared.

use std::io::{Read, Write};

use flate2::{Compression as Level, GzBuilder};
use proptest::prelude::*;

use super::*;
use crate::encoding::Preflate;
use crate::encoding::decompress::{Decompressor, Limits, sniff};
use crate::encoding::stream::candidates::Signs;
use crate::encoding::stream::{GoRelease, KlauspostRelease, Known};
use crate::encoding::zlib::{Deflater, ZlibParams};

mod refused;
mod zstd;

/// Text that compresses like a layer: lines that repeat with changes.
pub(crate) fn text(len: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut state = 7u64;
    while text.len() < len {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (a, b) = (state >> 60, (state >> 40) & 0xffff);
        writeln!(text, "usr/lib/module{a}/file_{b:x}.py: import os; return {}", b * a).unwrap();
    }
    text.truncate(len);
    text
}

/// A gzip member by zlib.
fn zlib_member(plain: &[u8], level: u8, mem_level: u8) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut deflater = Deflater::new(ZlibParams { level, mem_level }).unwrap();
    deflater.write(plain, &mut file).unwrap();
    deflater.finish(&mut file).unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    file.extend(super::super::gzip::trailer_of(&crc));
    file
}

/// A gzip member by an encoder that is none of the known ones.
fn foreign_member(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(5).write(Vec::new(), Level::new(6));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib_members() -> Encoding {
    Encoding::GzipMembers { chunk: 0, block: 0, uses: vec!["zlib".to_owned()] }
}

fn content(file: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    Decompressor::new(file, sniff(file), Limits::default())
        .unwrap()
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// Identifies a file and makes it again from its content in pieces; returns the encoding and the length of the corrections.
fn round_trip(file: &[u8], piece_len: usize) -> (Encoding, usize) {
    let plain = content(file);
    let directory = tempfile::tempdir().unwrap();
    let proven = identify(file_as(file), file_as(&plain), directory.path(), 1 << 30).unwrap();
    let encoding = Encoding::parse(&proven.encoding.to_value()).unwrap();
    assert_eq!(encoding, proven.encoding);
    let mut corrections = Vec::new();
    match proven.corrections {
        Corrections::None => {}
        Corrections::Stored => corrections.extend_from_slice(file),
        Corrections::Script(mut script) => {
            script.read_to_end(&mut corrections).unwrap();
        }
    }
    if encoding.needs_corrections() {
        assert!(!corrections.is_empty());
    }
    let mut encoder = encoding.encoder(Vec::new(), &corrections[..]).unwrap();
    for piece in plain.chunks(piece_len) {
        encoder.write_all(piece).unwrap();
    }
    assert!(encoder.finish().unwrap() == file, "{encoding}");
    (encoding, corrections.len())
}

fn file_as(bytes: &[u8]) -> &dyn ReadAt {
    // `[u8]` has no size, and a reference to it is none of a `dyn`.
    Box::leak(Box::new(bytes.to_vec()))
}

#[test]
fn zlib_of_every_level() {
    let plain = text(300_000);
    for mem_level in [8, 9] {
        for level in 0..=9 {
            let (encoding, corrections) =
                round_trip(&zlib_member(&plain, level, mem_level), 10_000);
            assert!(
                matches!(encoding, Encoding::Gzip { deflate: Deflate::Known(Known::Zlib(_)), .. }),
                "{level} {mem_level}: {encoding}"
            );
            assert_eq!(corrections, 0);
        }
    }
}

#[test]
fn the_encoders_of_image_tools() {
    let block = Some(1 << 20);
    let release = KlauspostRelease::V1_18_0;
    let cases = [
        (Known::Go { release: GoRelease::V1_16, level: 6, flush: false }, 0, 0xff, 0),
        (Known::Go { release: GoRelease::V1_16, level: 1, flush: false }, 4, 0xff, 0),
        (Known::Go { release: GoRelease::V1_27, level: 9, flush: false }, 2, 0xff, 0),
        (Known::Klauspost { release: KlauspostRelease::V1_15_11, level: 5, block }, 0, 0xff, 0x88),
        (Known::Klauspost { release, level: 4, block }, 0, 0xff, 0x88),
        (
            Known::Klauspost { release: KlauspostRelease::V1_18_1, level: 5, block: Some(250_000) },
            0,
            0xff,
            0x88,
        ),
        (
            Known::Klauspost { release: KlauspostRelease::V1_18_1, level: 6, block: None },
            0,
            0xff,
            0x88,
        ),
    ];
    let plain = text(1_100_000);
    for (known, xfl, os, time) in cases {
        let mtime = if time == 0 { [0; 4] } else { [0, 9, 0x6e, 0x88] };
        let mut file = [&[0x1f, 0x8b, 8, 0][..], &mtime, &[xfl, os]].concat();
        let mut writer = known.writer().unwrap();
        writer.write(&plain, &mut file).unwrap();
        writer.finish(&mut file).unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(&plain);
        file.extend(super::super::gzip::trailer_of(&crc));
        let (encoding, corrections) = round_trip(&file, 77_777);
        let Encoding::Gzip { deflate: Deflate::Known(found), .. } = &encoding else {
            panic!("{known}: {encoding}")
        };
        assert_eq!((*found, corrections), (known, 0));
        assert_eq!(encoding.features(), [known.feature()]);
        if xfl == 4 {
            let (encoding, corrections) = round_trip(&[&file[..], &file].concat(), 1 << 20);
            assert!(corrections < 60, "{encoding} {corrections}");
        }
    }
}

/// A gzip file of one member as Go's programs and klauspost's write its header.
fn member_around(stream: &[u8], plain: &[u8], klauspost: bool) -> Vec<u8> {
    let mtime = if klauspost { [0, 9, 0x6e, 0x88] } else { [0; 4] };
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    let trailer = super::super::gzip::trailer_of(&crc);
    [&[0x1f, 0x8b, 8, 0][..], &mtime, &[0, 0xff], stream, &trailer].concat()
}

fn amended(by: &str) -> Vec<String> {
    vec!["amended-1".to_owned(), by.to_owned()]
}

#[test]
fn a_flush_within_costs_next_to_nothing() {
    let plain = text(700_000);
    for level in [1, 2, 6, 9] {
        let (mut encoder, mut stream) = (crate::deflate::Go::new(level), Vec::new());
        encoder.write(&plain[..345_678], &mut stream);
        encoder.flush(&mut stream);
        encoder.write(&plain[345_678..], &mut stream);
        encoder.finish(&mut stream);
        let file = member_around(&stream, &plain, false);
        let (encoding, corrections) = round_trip(&file, 50_000);
        assert_eq!(encoding.features(), amended("go-1.16"), "{level}");
        assert!(corrections < 2000, "{level}: {corrections} of {}", file.len());
    }
}

#[test]
fn an_encoder_that_is_nearly_known_needs_few_corrections() {
    let plain = text(900_000);
    let class = crate::deflate::Class::V1_18_2;
    let (mut encoder, mut stream) = (crate::deflate::Klauspost::new(5, class), Vec::new());
    encoder.write(&plain[..400_001], &mut stream);
    encoder.flush(&mut stream);
    encoder.write(&plain[400_001..], &mut stream);
    encoder.finish(&mut stream);
    let file = member_around(&stream, &plain, true);
    let (encoding, corrections) = round_trip(&file, 1 << 20);
    assert_eq!(encoding.features(), amended("klauspost-1.18.1"));
    assert!(corrections < file.len() / 50, "{corrections} of {}", file.len());
}

#[test]
fn blocks_of_pgzip_that_another_level_wrote_are_corrected() {
    let plain = text(1_000_000);
    let block = 256 << 10;
    let mut stream = Vec::new();
    let known =
        |level| Known::Klauspost { release: KlauspostRelease::V1_15_11, level, block: Some(block) };
    // Each block ends at a whole byte, with the mark of a flush.
    let marks = |stream: &[u8]| {
        let marks = stream.windows(4).enumerate().filter(|(_, w)| *w == [0, 0, 0xff, 0xff]);
        marks.map(|(at, _)| at + 4).collect::<Vec<_>>()
    };
    let (five, six) = (known(5).encode(&plain).unwrap(), known(6).encode(&plain).unwrap());
    let (fives, sixes) = (marks(&five), marks(&six));
    assert_eq!((fives.len(), sixes.len()), (4, 4));
    stream.extend_from_slice(&five[..fives[1]]);
    stream.extend_from_slice(&six[sixes[1]..sixes[2]]);
    stream.extend_from_slice(&five[fives[2]..]);
    let file = member_around(&stream, &plain, true);
    let (encoding, corrections) = round_trip(&file, 100_000);
    assert_eq!(encoding.features(), amended("klauspost-1.15.11"));
    assert!(corrections < file.len() / 4, "{corrections} of {}", file.len());
}

#[test]
fn gnu_gzip_of_every_level() {
    let plain = text(300_000);
    for level in 1..=9 {
        let known = Known::Gnu { level };
        let mut file = member_around(&known.encode(&plain).unwrap(), &plain, false);
        file[9] = 3;
        let (encoding, corrections) = round_trip(&file, 33_333);
        let deflate = Deflate::Known(known);
        assert!(matches!(&encoding, Encoding::Gzip { deflate: found, .. } if *found == deflate));
        assert_eq!((corrections, encoding.features()), (0, vec!["gnu-gzip".to_owned()]));
    }
}

#[test]
fn pigz_with_one_thread_and_several() {
    let plain = text(600_000);
    for block in [128 << 10, 1 << 15, 200_000] {
        for one_thread in [false, true] {
            let known = Known::Pigz { level: 6, block, one_thread };
            let mut file = member_around(&known.encode(&plain).unwrap(), &plain, false);
            file[9] = 3;
            let (encoding, corrections) = round_trip(&file, 33_333);
            let Encoding::Gzip { deflate: Deflate::Known(found), .. } = &encoding else {
                panic!("{known}: {encoding}")
            };
            // Where the two write the same, it may be either.
            assert!(matches!(found, Known::Pigz { level: 6, block: b, .. } if *b == block));
            assert_eq!(corrections, 0);
        }
    }
}

#[test]
fn estargz_is_members_by_one_encoder() {
    let plain = text(400_000);
    let mut file = Vec::new();
    for release in [GoRelease::V1_16, GoRelease::V1_27] {
        file.clear();
        for piece in plain.chunks(9_999) {
            let known = Known::Go { release, level: 9, flush: true };
            let mut member = member_around(&known.encode(piece).unwrap(), piece, false);
            member[8] = 2;
            file.extend(member);
        }
        // The footer: the place of the table of contents in the header, and no content.
        file.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, b'S', b'G', 22, 0]);
        file.extend(b"0000000000012345STARGZ");
        file.extend([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        let (encoding, corrections) = round_trip(&file, 100_000);
        assert!(!encoding.features().contains(&"amended-1".to_owned()), "{encoding}");
        assert!(corrections < 41 * 25 + 80, "{corrections}");
    }
}

#[test]
fn files_that_lie_or_are_cut_are_carried() {
    let plain = text(300_000);
    let release = KlauspostRelease::V1_15_11;
    let encoders = [
        Known::Go { release: GoRelease::V1_16, level: 6, flush: false },
        Known::Klauspost { release, level: 5, block: Some(256 << 10) },
        Known::Pigz { level: 6, block: 128 << 10, one_thread: false },
    ];
    for known in encoders {
        let whole = member_around(&known.encode(&plain).unwrap(), &plain, true);
        let end = whole.len();
        // A wrong length, a wrong check sum; what follows the member.
        for damage in [end - 1, end - 5] {
            let mut file = whole.clone();
            file[damage] ^= 1;
            let (encoding, corrections) = round_trip(&file, 50_000);
            assert!(matches!(encoding, Encoding::GzipMembers { .. }), "{known}: {encoding}");
            assert!(corrections < 60, "{corrections}");
        }
        for tail in [&[0; 700][..], b"\x1f\x8b\x08garbage", &whole[..9], &whole[..end / 2]] {
            let (encoding, corrections) = round_trip(&[&whole[..], tail].concat(), 50_000);
            let parts = corrections <= tail.len() + 60;
            assert!(parts || encoding == Encoding::Bytes {}, "{encoding} {corrections}");
        }
        for cut in [end / 3, end - 9, end - 3] {
            assert_eq!(round_trip(&whole[..cut], 50_000).0, Encoding::Bytes {}, "{known} {cut}");
        }
    }
}

#[test]
fn a_record_for_other_bytes_gives_other_bytes_or_fails() {
    let plain = text(50_000);
    let encodings = [
        r#"{"encoding":"gzip","header":"1f","deflate":"pigz","level":6,"block":131072}"#,
        r#"{"encoding":"gzip","header":"1f","deflate":"gnu-gzip","level":1}"#,
        r#"{"encoding":"gzip","header":"1f","deflate":"gnu-gzip","level":0}"#,
        r#"{"encoding":"gzip","header":"1f","deflate":"pigz","level":0,"block":131072}"#,
        r#"{"encoding":"gzip","header":"1f","deflate":"pigz","level":6,"block":99999999999}"#,
        r#"{"encoding":"gzip","header":"1f","deflate":"klauspost","release":"1.10.2","level":9}"#,
        r#"{"encoding":"gzip","header":"1f","deflate":"klauspost","release":"1.15.11","level":5,"block":4194305}"#,
        r#"{"encoding":"gzip","header":"1f","deflate":"go","release":"1.16","level":77}"#,
        r#"{"encoding":"gzip-members","block":4194305}"#,
    ];
    for (place, json) in encodings.into_iter().enumerate() {
        let encoding = Encoding::parse(&serde_json::from_str(json).unwrap()).unwrap();
        let run = || {
            let mut encoder = encoding.encoder(Vec::new(), io::empty())?;
            encoder.write_all(&plain)?;
            encoder.finish()
        };
        assert_eq!(run().is_ok(), place < 2, "{json}");
    }
}

#[test]
fn hostile_amendments_fail() {
    let run = |script: &[u8]| {
        let mut whole = vec![1, 0, members::AMENDED];
        Known::Zlib(ZlibParams { level: 6, mem_level: 8 }).put(&mut whole);
        whole.extend_from_slice(script);
        whole.extend([0, 0]);
        let encoding = Encoding::GzipMembers { chunk: 0, block: 0, uses: amended("zlib") };
        let mut encoder = encoding.encoder(Vec::new(), whole.leak() as &[u8])?;
        encoder.write_all(&b"some text and some text".repeat(30))?;
        encoder.finish()
    };
    let many = [0xff; 9];
    let cases: [&[u8]; 12] = [
        &[],
        &[1, 3],
        &[1, 0xff, 0xff, 0xff, 0x7f],
        &[2, 3],
        &[4, 3, 1],
        &[4, 3, 2, 0xff, 0xff, 3],
        &[4, 3, 0xff, 0xff, 3, 1],
        &[4, 2, 2, 2, 2, 2, 2],
        &[6, 0xff, 0xff, 3],
        &[6, 17, 0, 0, 0],
        &[0x40],
        &many,
    ];
    for script in cases {
        assert!(run(script).is_err(), "{script:?}");
    }
    assert!(run(&[0, 1]).is_ok(), "all as predicted");
}

#[test]
fn small_and_empty_contents() {
    for plain in [&b""[..], b"a", b"abc", &[0; 5000]] {
        let (encoding, _) = round_trip(&zlib_member(plain, 6, 8), 1);
        assert!(matches!(encoding, Encoding::Gzip { .. }), "{encoding}");
        round_trip(&foreign_member(plain), 1);
    }
}

#[test]
fn framing_is_kept() {
    let plain = text(50_000);
    let member = zlib_member(&plain, 9, 8);
    let deflate = &member[10..];
    let mut named = vec![0x1f, 0x8b, 8, 4 | 8 | 16 | 2, 1, 2, 3, 4, 2, 255];
    named.extend_from_slice(b"\x03\x00xyzname\0comment\0\x01\x02");
    named.extend_from_slice(deflate);
    for tail in [&b""[..], &[0; 100], b"garbage"] {
        let (encoding, corrections) = round_trip(&[&named[..], tail].concat(), 999);
        assert_eq!(corrections, 0);
        let Encoding::Gzip { header, tail: found, .. } = &encoding else { panic!("{encoding}") };
        assert_eq!((header.len(), found.as_slice()), (10 + 5 + 5 + 8 + 2, tail));
    }
    let (encoding, corrections) = round_trip(&[&member[..], &[0; 10_000]].concat(), 999);
    assert_eq!((encoding, corrections), (zlib_members(), 10 + 1 + 3 + 3 + 1 + 1 + 10_000));
}

#[test]
fn wrong_check_sums_are_kept() {
    let mut file = zlib_member(&text(50_000), 6, 8);
    let end = file.len();
    file[end - 1] ^= 0x80;
    let (encoding, corrections) = round_trip(&file, 999);
    assert_eq!(encoding, zlib_members());
    assert!(corrections < 40);
}

#[test]
fn members_of_all_kinds() {
    let plain = text(200_000);
    let file = [
        zlib_member(&plain, 1, 8),
        zlib_member(b"", 6, 8),
        foreign_member(&plain[..100_000]),
        zlib_member(&plain[5..], 9, 9),
        foreign_member(b"x"),
    ]
    .concat();
    for piece_len in [1000, 1 << 20] {
        let (encoding, corrections) = round_trip(&file, piece_len);
        assert!(matches!(encoding, Encoding::GzipMembers { chunk: 1.., .. }), "{encoding}");
        assert!(corrections < file.len() / 10, "{corrections} of {}", file.len());
    }
}

#[test]
fn a_foreign_encoder_needs_corrections() {
    let file = foreign_member(&text(400_000));
    let (encoding, corrections) = round_trip(&file, 12_345);
    assert!(matches!(encoding, Encoding::Gzip { deflate: Deflate::Preflate(_), .. }), "{encoding}");
    assert!(corrections < file.len() / 10, "{corrections} of {}", file.len());
}

/// Bytes in which an encoder finds next to nothing, so that levels do not differ.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as u8
    };
    std::iter::repeat_with(&mut next).take(len).collect()
}

#[test]
fn a_level_that_differs_late_is_not_taken() {
    // In zeros there is nothing to choose.
    let plain = [vec![0; 2 << 20], text(400_000)].concat();
    let mut file = zlib_member(&plain, 3, 8);
    // "Compressed for speed": level 1 is tried first.
    file[8] = 4;
    let compressed = file_as(&file);
    let scratch_dir = Path::new("/nowhere");
    let task = Task { compressed, plain: file_as(&plain), scratch_dir, max_corrections: 0 };
    let likely = Known::Zlib(ZlibParams { level: 1, mem_level: 8 });
    assert_eq!(
        Known::candidates(&Signs { header: file[..10].to_vec(), ..Signs::default() })[0],
        likely
    );
    assert!(task.fits(likely, 10..file.len() as u64 - 8, 0..plain.len() as u64).unwrap());
    let (encoding, _) = round_trip(&file, 100_000);
    let expected = Deflate::Known(Known::Zlib(ZlibParams { level: 3, mem_level: 8 }));
    assert!(
        matches!(&encoding, Encoding::Gzip { deflate, .. } if *deflate == expected),
        "{encoding}"
    );
}

#[test]
fn a_stream_that_another_encoder_goes_on_with_comes_back() {
    // Stored blocks are whole bytes, so another stream can follow them.
    let first = noise(2 << 20);
    let mut stream = Vec::new();
    let mut deflater = Deflater::new(ZlibParams { level: 0, mem_level: 8 }).unwrap();
    deflater.write(&first, &mut stream).unwrap();
    let (mut position, mut covered) = (0, 0);
    while let Some(head) = stream.get(position..position + 5) {
        let len = usize::from(u16::from_le_bytes([head[1], head[2]]));
        (position, covered) = (position + 5 + len, covered + len);
    }
    assert_eq!(position, stream.len());
    let rest = text(400_000);
    let mut encoder = flate2::read::DeflateEncoder::new(&rest[..], Level::new(6));
    encoder.read_to_end(&mut stream).unwrap();
    let plain = [&first[..covered], &rest].concat();
    let mut file = zlib_member(&plain, 6, 8);
    let trailer = file.split_off(file.len() - 8);
    file.truncate(10);
    file.extend(stream);
    file.extend(trailer);
    let (encoding, _) = round_trip(&file, 100_000);
    assert!(
        !matches!(encoding, Encoding::Gzip { deflate: Deflate::Known(Known::Zlib(_)), .. }),
        "{encoding}"
    );
}
