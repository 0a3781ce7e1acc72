//! What nothing makes, and records and scripts that are refused.

use super::*;

#[test]
fn what_nothing_makes_is_carried() {
    let plain = text(100_000);
    let frames = [
        ::zstd::encode_all(&plain[..50_000], 3).unwrap(),
        ::zstd::encode_all(&plain[50_000..], 3).unwrap(),
    ];
    assert_eq!(round_trip(&frames.concat(), 1000).0, Encoding::Bytes {});
    let mut cut = zlib_member(&plain, 6, 8);
    cut.truncate(cut.len() / 2);
    assert_eq!(round_trip(&cut, 1000).0, Encoding::Bytes {});
    assert_eq!(round_trip(&plain, 1000).0, Encoding::Identity {});
    assert_eq!(round_trip(&[], 1000).0, Encoding::Identity {});
}

#[test]
fn hostile_scripts_fail() {
    let members = |script: &[u8], plain: &[u8]| {
        let encoding = Encoding::GzipMembers { chunk: 100, block: 0, uses: vec![] };
        let mut encoder = encoding.encoder(Vec::new(), script.to_vec().leak() as &[u8])?;
        encoder.write_all(plain)?;
        encoder.finish().map(|out| out.len())
    };
    let mut long_chunk = vec![1, 0, members::PREFLATE];
    crate::encoding::varint::put(&mut long_chunk, 101);
    long_chunk.push(1);
    let cases: [&[u8]; 8] = [
        &[],
        &[0],
        &[1, 4, members::STORED, 0],
        &[1, 4, members::STORED, 0, 2],
        &[1, 4, 9],
        &[1, 4, 1, 77, 8],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &long_chunk,
    ];
    for script in cases {
        assert!(members(script, b"abc").is_err(), "{script:?}");
    }
    assert_eq!(members(&[1, 4, members::STORED, 1, 7, 0, 0, 9], b"abc").unwrap(), 1 + 8 + 1);
}

#[test]
fn hostile_scripts_of_frames_fail() {
    let frames = |script: &[u8], plain: &[u8]| {
        let json = r#"{"encoding":"zstd-frames","release":"1.17.8","level":"default","longest":70,"named":1}"#;
        let encoding = Encoding::parse(&serde_json::from_str(json).unwrap()).unwrap();
        let mut encoder = encoding.encoder(Vec::new(), script.to_vec().leak() as &[u8])?;
        encoder.write_all(plain)?;
        encoder.finish()
    };
    const ABC: u8 = 3 + 2 * 3;
    let cases: [&[u8]; 12] = [
        &[],
        &[0],
        // Less content, more, and none.
        &[3 + 2 * 2, 0],
        &[3 + 2 * 4, 0],
        &[3],
        // Stored: cut off, or of other content.
        &[1, 5, 9],
        &[1, 1, 9, 2, 0],
        // Tables: a magic number, a cut text, frames that did not come or are not followed, something unknown.
        &[ABC, 2, 5, 16, 0, 0, 0],
        &[ABC, 2, 5, 0, 9, b'a'],
        &[2, 5, 0, 0, 1, 0, 0, ABC, 0],
        &[ABC, 3, 2, 5, 0, 0, 1 + (2 << 3), 0, 0, 0],
        &[ABC, 2, 5, 0, 0, 1 + 7, 0, 0, 0],
    ];
    for script in cases {
        assert!(frames(script, b"abc").is_err(), "{script:?}");
    }
    // The frame's digest, and its length.
    let file = frames(&[ABC, 2, 5, 0, 0, 1, 1, b'!', 1 + 4, 0, 0, 0, 8, 8], b"abc").unwrap();
    let table = ::zstd::decode_all(&file[16 + 8..file.len() - 2]).unwrap();
    assert_eq!(table, format!("{}!3", dd_inspect::digest::Digest::of(b"abc").hex()).as_bytes());
    assert_eq!(frames(&[1, 2, 7, 7, 3, 0, 9], b"abc").unwrap(), [7, 7, 9]);
    assert_eq!(frames(&[3, 0], b"").unwrap().len(), 13);
}

#[test]
fn encodings_of_others_are_refused() {
    let parse = |text: &str| Encoding::parse(&serde_json::from_str(text).unwrap());
    let unknown = parse(r#"{"encoding":"gzip","header":"1f","deflate":"go-a","level":6}"#);
    assert_eq!(unknown.unwrap_err().category, dd_inspect::failure::Category::Unsupported);
    let release =
        parse(r#"{"encoding":"gzip","header":"1f","deflate":"go","release":"2.0","level":6}"#);
    assert_eq!(release.unwrap_err().category, dd_inspect::failure::Category::Unsupported);
    let uses = parse(r#"{"encoding":"gzip-members","uses":["zlib","brotli"]}"#).unwrap_err();
    assert!(uses.message.contains("brotli"), "{uses}");
    let library = parse(r#"{"encoding":"zstd","library":"1.0.0","level":3}"#).unwrap_err();
    assert_eq!(library.category, dd_inspect::failure::Category::Unsupported);
    let klauspost =
        parse(r#"{"encoding":"zstd-klauspost","release":"2.0","level":"default"}"#).unwrap_err();
    assert!(klauspost.message.contains("klauspost-zstd-2.0"), "{klauspost}");
    for wrong in [
        r#"{"encoding":"zstd-klauspost","release":"1.17.8","level":"default","first_block":131072}"#,
        r#"{"encoding":"zstd-klauspost","release":"1.17.8","level":"fastest","first_block":65536}"#,
        r#"{"encoding":"zstd-klauspost","release":"1.17.8","level":"default","first_block":-1}"#,
        r#"{"encoding":"zstd-klauspost","release":"1.17.8","level":"huge"}"#,
        r#"{"encoding":"zstd-klauspost","level":"default"}"#,
        r#"{"encoding":"zstd-frames","level":"default","longest":1}"#,
        r#"{"encoding":"zstd-frames","release":"1.17.8","level":"default","longest":9,"named":262145}"#,
        r#"{"encoding":"gzip","header":"xx","deflate":"zlib","level":6,"mem_level":8}"#,
        r#"{"encoding":"gzip-members","chunk":99999999999}"#,
        r#"{"level":6}"#,
        "3",
    ] {
        let failure = parse(wrong).unwrap_err();
        assert_eq!(failure.category, dd_inspect::failure::Category::PackageCorrupt, "{wrong}");
    }
}

#[test]
fn records_are_flat() {
    let json = |encoding: Encoding| encoding.to_value().to_string();
    assert_eq!(json(Encoding::Identity {}), r#"{"encoding":"identity"}"#);
    let deflate = Deflate::Known(Known::Zlib(ZlibParams { level: 6, mem_level: 8 }));
    assert_eq!(
        json(Encoding::Gzip { header: vec![0x1f, 0x8b], deflate, tail: vec![] }),
        r#"{"encoding":"gzip","header":"1f8b","deflate":"zlib","level":6,"mem_level":8}"#
    );
    assert_eq!(
        json(Encoding::Gzip {
            header: vec![1],
            deflate: Deflate::Preflate(Preflate::V0_7_6 { chunk: 9 }),
            tail: vec![0]
        }),
        r#"{"encoding":"gzip","header":"01","deflate":"preflate-0.7.6","chunk":9,"tail":"00"}"#
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_file_of_members_comes_back(parts in prop::collection::vec((0usize..60_000, 0u8..=9, any::<bool>()), 0..4), tail in prop::collection::vec(any::<u8>(), 0..20), piece in 1usize..70_000) {
        let plain = text(60_000);
        let mut file = Vec::new();
        for (len, level, foreign) in parts {
            let plain = &plain[..len];
            file.extend(if foreign { foreign_member(plain) } else { zlib_member(plain, level, 8) });
        }
        file.extend(tail);
        round_trip(&file, piece);
    }

    #[test]
    fn noise_in_amendments_is_an_error_or_other_bytes(noise in prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..300)) {
        let mut script = vec![1, 0, members::AMENDED, 1, 6, 8];
        script.extend(noise);
        let encoding = Encoding::GzipMembers { chunk: 0, block: 0, uses: vec![] };
        let script: &[u8] = script.leak();
        let mut encoder = encoding.encoder(Vec::new(), script).unwrap();
        let _ = encoder.write_all(&text(5000)).and_then(|()| encoder.finish().map(drop));
    }

    #[test]
    fn noise_in_corrections_is_an_error_or_other_bytes(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let encoding = Encoding::Gzip { header: vec![], deflate: Deflate::Preflate(Preflate::V0_7_6 { chunk: 4096 }), tail: vec![] };
        let script: &[u8] = noise.leak();
        if let Ok(mut encoder) = encoding.encoder(Vec::new(), script) {
            let _ = encoder.write_all(&[b'x'; 5000]).and_then(|()| encoder.finish().map(drop));
        }
    }
}
