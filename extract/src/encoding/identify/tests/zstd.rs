//! Files of zstd.

use super::*;
use crate::encoding::zstd_frames;
use crate::zstd::{Klauspost, Level as ZstdLevel, Release};

#[test]
fn zstd_by_this_library() {
    let plain = text(400_000);
    for level in [1, 3, 9] {
        for (size, checksum) in [(None, true), (Some(400_000), true), (None, false)] {
            let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), level).unwrap();
            encoder.include_checksum(checksum).unwrap();
            encoder.set_pledged_src_size(size).unwrap();
            encoder.write_all(&plain).unwrap();
            let file = encoder.finish().unwrap();
            let (encoding, corrections) = round_trip(&file, 10_001);
            assert!(matches!(encoding, Encoding::Zstd(_)), "{level} {size:?}: {encoding}");
            assert_eq!(corrections, 0);
            let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2];
            let (_, corrections) = round_trip(&[&file[..], &skippable].concat(), 10_001);
            assert_eq!(corrections, skippable.len());
        }
    }
}

/// What klauspost writes.
fn klauspost_zstd(plain: &[u8], release: Release, level: ZstdLevel, first_block: u64) -> Vec<u8> {
    let (mut encoder, mut file) = (Klauspost::new(release, level, first_block), Vec::new());
    encoder.write(plain, &mut file);
    encoder.finish(&mut file);
    file
}

#[test]
fn zstd_by_klauspost() {
    // The end differs between releases: a few literals, then one run.
    let mut plain = text(400_000);
    plain.extend([0; 131_072]);
    let all = crate::zstd::encoders();
    for (release, level) in all {
        for first_block in [0, 8, 15] {
            let file = klauspost_zstd(&plain, release, level, first_block);
            let (encoding, corrections) = round_trip(&file, 10_001);
            let Encoding::ZstdKlauspost(params) = encoding else { panic!("{encoding}") };
            assert_eq!((params.level, params.first_block), (level, first_block));
            assert_eq!(corrections, 0);
            let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2];
            let (_, corrections) = round_trip(&[&file[..], &skippable].concat(), 10_001);
            assert_eq!(corrections, skippable.len());
        }
    }
    let short = klauspost_zstd(&plain[..3000], Release::V1_17_8, ZstdLevel::Default, 0);
    let (encoding, _) = round_trip(&short, 7);
    assert_eq!(encoding.to_string(), "zstd, klauspost 1.17.8 level default");
}

/// A skippable frame.
fn skippable(bytes: &[u8]) -> Vec<u8> {
    [&zstd_frames::skippable(0, bytes.len() as u32)[..], bytes].concat()
}

/// A file as `zstd:chunked` has them: a frame for each file and for what stands before it, and a table that names their digests.
fn chunked(files: &[&[u8]], release: Release, level: ZstdLevel) -> Vec<u8> {
    let frame = |content: &[u8]| klauspost_zstd(content, release, level, 0);
    let (mut all, mut table) = (Vec::new(), String::new());
    for (number, file) in files.iter().enumerate() {
        all.extend(frame(format!("header {number}").repeat(60).as_bytes()));
        all.extend(frame(file));
        let (digest, end) = (dd_inspect::digest::Digest::of(file), all.len());
        table +=
            &format!("{{\"name\":\"file{number}\",\"digest\":\"{digest}\",\"endOffset\":{end}}},");
    }
    all.extend(frame(&[0; 1024]));
    all.extend(skippable(&frame(table.as_bytes())));
    all.extend(skippable(b"footer"));
    all
}

#[test]
fn zstd_of_several_frames() {
    let plain = text(400_000);
    let files: Vec<&[u8]> =
        plain.chunks(1500).chain([&plain[..], b"", b"x", &plain[..1500]]).collect();
    for level in ZstdLevel::ALL {
        let file = chunked(&files, Release::V1_17_8, level);
        let (encoding, corrections) = round_trip(&file, 10_001);
        let Encoding::ZstdFrames(params) = encoding else { panic!("{encoding} {level:?}") };
        assert_eq!((params.level, params.named), (level, 2 * files.len() as u64 + 1));
        // Names and what stands around them, no digest and no place.
        assert!(corrections < 62 * files.len(), "{corrections}");
    }
    let file = chunked(&files, Release::V1_17_8, ZstdLevel::Default);
    // A frame that nothing makes, and a table that is none, travel as they are.
    let foreign = ::zstd::encode_all(&plain[..5000], 7).unwrap();
    let odd = [&skippable(b"no frame")[..], &file, &foreign, b"tail"].concat();
    let (encoding, corrections) = round_trip(&odd, 777);
    assert_eq!(encoding.to_string(), "zstd by frames, klauspost 1.17.8 level default");
    assert!(corrections > foreign.len() && corrections < foreign.len() + 62 * files.len());
}
