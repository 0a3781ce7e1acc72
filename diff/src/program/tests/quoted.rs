//! Numbered digests and bytes of kept objects one after the other.

use std::path::Path;

use dd_inspect::digest::DiffId;

use super::corrupt::run;
use super::limits::{head, payload};
use super::toys::*;
use crate::program::ids::{encoding, generator, op, stream};
use crate::program::*;

/// What `digests-1.payload` rebuilds over `noise(1, 3000)`.
const LAYER: &str = "c76636163e2dcde92c61eff0576573d7744e8c0d379cea6e521f739f2c1a6c60";

/// A payload with every hash and every form: two files in a kept object, quoted before they come and again.
fn sample() -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    let bases = vec![noise(1, 3000)];
    let mut writer = writer(&bases, 9);
    let source = writer.base(0).unwrap();
    let kept = writer.begin_kept(1500).unwrap();
    let files = [&bases[0][..1000], &bases[0][2000..2500]];
    let mut texts = Vec::new();
    for (file, offset) in files.iter().zip([0, 2000]) {
        for hash in Hash::ALL {
            writer.enter_hash(hash).unwrap();
            let mut hasher = Hasher::new(hash);
            hasher.update(file);
            texts.push(hasher.finish());
        }
        writer.copy(source, offset, file.len() as u64).unwrap();
        Hash::ALL.iter().for_each(|_| writer.leave().unwrap());
    }
    writer.end_kept().unwrap();
    let mut layer = Vec::new();
    for form in Form::ALL {
        for number in [0, 1, 2, 3, 7, 6, 4, 5] {
            writer.digest(form, number).unwrap();
            writer.literal(Literal::Text, b"\n").unwrap();
            layer.extend(form.text(&texts[number as usize]));
            layer.push(b'\n');
        }
    }
    for len in [1000, 1, 499] {
        writer.following(kept, len).unwrap();
    }
    writer.following(source, 7).unwrap();
    layer.extend(files.concat());
    layer.extend_from_slice(&bases[0][..7]);
    (bases, finish(writer).0, layer)
}

fn committed() -> Vec<u8> {
    let place =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/program/testdata/digests-16.payload");
    std::fs::read(place).unwrap()
}

#[test]
fn digests_come_back_as_text() {
    let (bases, payload, layer) = sample();
    assert_eq!(decode(&payload, &bases).unwrap(), layer);
    let head = Head::read(&payload[..]).unwrap();
    let of = |registry| -> Vec<u64> {
        head.ids.iter().filter(|id| id.0 == registry).map(|id| id.1).collect()
    };
    assert_eq!((of(2), of(5)), (vec![16, 17, 18, 19], vec![16, 17, 18, 19]));
    assert!(payload.len() < 600, "{}", payload.len());
}

#[test]
fn a_payload_with_digests_is_decoded_for_ever() {
    let layer = decode(&committed(), &[noise(1, 3000)]).unwrap();
    assert_eq!(DiffId::of(&layer).hex(), LAYER);
}

#[test]
fn this_build_writes_the_same_digests() {
    let made = sample().1;
    let place = std::env::temp_dir().join("digests.payload");
    if made != committed() {
        std::fs::write(&place, made).unwrap();
        panic!("compare {} with the committed payload", place.display());
    }
}

#[test]
fn every_cut_and_flipped_byte_is_survived() {
    let (bases, payload, _) = sample();
    assert!(run(&payload, &bases));
    for at in 0..payload.len() {
        assert!(!run(&payload[..at], &bases), "cut at {at}");
        let mut damaged = payload.clone();
        damaged[at] ^= 1 << (at % 8);
        run(&damaged, &bases);
    }
}

/// The error of a layer of these ops, with these sources, lengths and operands.
fn error(ops: &[(u8, u64)], sources: &[u8], lengths: &[u8], operands: &[u8]) -> String {
    let ops: Vec<u8> = ops.iter().map(|(code, operand)| code | (*operand as u8) << 3).collect();
    let mut head = head(ops.len() as u64, 1000);
    head.ids.extend([16, 18, 19].map(|id| (2, id)));
    head.ids.push((5, encoding::MD5));
    head.ids.sort_unstable();
    let streams = [
        (stream::OPS, &ops[..]),
        (stream::LENGTHS, lengths),
        (stream::SOURCES, sources),
        (stream::OPERANDS, operands),
    ];
    let streams: Vec<_> = streams.into_iter().filter(|stream| !stream.1.is_empty()).collect();
    let payload = payload(&head, &streams, &[]);
    let sources = MemorySources(Vec::new());
    let mut decoder = Decoder::new(&payload[..], sources, tools(), Limits::default()).unwrap();
    let error = decoder.decode_to(&mut Vec::new()).unwrap_err();
    error.message.split(": ").nth(1).unwrap_or_default().to_owned()
}

#[test]
fn what_is_not_there_is_refused() {
    let (hash, leave, hex) =
        ((op::ENTER, encoding::MD5), (op::LEAVE, 0), (op::GEN, generator::HEX));
    assert_eq!(error(&[hex], &[], &[], &[0]), "there is no digest 0");
    assert_eq!(error(&[hash, hex, leave], &[], &[], &[0]), "there is no digest 0");
    assert_eq!(error(&[hash, leave, hex], &[], &[], &[2]), "there is no digest 1");
    assert_eq!(
        error(&[hash, leave, hex], &[], &[], &[1]),
        format!("there is no digest {}", u64::MAX)
    );
    assert_eq!(error(&[hash], &[], &[], &[]), "an encoding is not left");
    assert_eq!(error(&[hash; 5], &[], &[], &[]), "encodings are nested deeper than 4");
    let following = (op::GEN, generator::FOLLOWING);
    assert_eq!(error(&[following], &[2], &[5], &[]), "there is no Kept(0) to read");
}

#[test]
fn times_are_those_of_the_last_header() {
    let base = noise(1, 100);
    let mut writer = writer(std::slice::from_ref(&base), 3);
    let source = writer.base(0).unwrap();
    writer.mtime([5, 0, 0, 0]).unwrap();
    let mut wanted = vec![5, 0, 0, 0];
    for (mtime, bytes) in [(1_700_000_000_u64, [0, 0xf1, 0x53, 0x65]), (7, [0xff; 4])] {
        let entry = Entry { content_len: 9, base: Some((source, 16)), mtime: Some(mtime) };
        let told = writer.generate(1, 16, |columns| {
            [(3, 0), (3, 9), (9, source.number()), (9, 0)]
                .into_iter()
                .for_each(|(column, value)| columns.put_varint(column, value));
            Some(entry)
        });
        assert!(told.unwrap());
        writer.mtime(bytes).unwrap();
        wanted.extend_from_slice(&base[..16]);
        wanted.extend_from_slice(&bytes);
    }
    let (payload, summary) = finish(writer);
    assert!(summary.head.ids.contains(&(2, generator::MTIME)));
    // The generator of these tests says no time.
    let layer = decode(&payload, &[base]).unwrap();
    assert_eq!((layer.len(), &layer[..4]), (wanted.len(), &wanted[..4]));
}

#[test]
fn a_source_ends_where_it_ends() {
    let bases = [noise(1, 100)];
    let mut writer = writer(&bases, 3);
    let source = writer.base(0).unwrap();
    writer.following(source, 60).unwrap();
    assert!(writer.following(source, 41).is_err());
    writer.following(source, 40).unwrap();
    writer.following(source, 0).unwrap();
    assert!(writer.digest(Form::Hex, 0).is_err());
    writer.enter_hash(Hash::Md5).unwrap();
    assert!(writer.digest(Form::Hex, 0).is_err(), "not left yet");
    writer.leave().unwrap();
    writer.digest(Form::Hex, 0).unwrap();
    let wanted = [&bases[0][..], b"d41d8cd98f00b204e9800998ecf8427e"].concat();
    assert_eq!(decode(&finish(writer).0, &bases).unwrap(), wanted);
}

#[test]
fn digests_count_as_memory() {
    let mut writer = writer(&[], 3);
    for _ in 0..1000 {
        writer.enter_hash(Hash::Sha512).unwrap();
        writer.literal(Literal::Text, b"a").unwrap();
        writer.leave().unwrap();
    }
    writer.digest(Form::Base64, 999).unwrap();
    let (payload, summary) = finish(writer);
    assert!(summary.head.memory > 96_000, "{}", summary.head.memory);
    decode(&payload, &[]).unwrap();
}
