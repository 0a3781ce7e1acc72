//! Files of zstd.

use super::*;
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
    let all =
        Release::ALL.into_iter().flat_map(|release| ZstdLevel::ALL.map(|level| (release, level)));
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
