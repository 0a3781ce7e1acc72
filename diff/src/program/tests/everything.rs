//! One payload that uses every op, by hand.

use std::io::Read;
use std::sync::Arc;

use dd_inspect::digest::DiffId;

use super::toys::*;
use crate::program::*;

/// Two bases and a payload of all ops, generators, kinds of literals, kept objects in memory and scratch,
/// and nested encodings; and what it rebuilds.
pub fn sample() -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    let bases = vec![noise(1, 3000), noise(2, 5000)];
    let mut writer = writer(&bases, 19);
    let steps = [
        Step::Header(5, 300, 0, 0),
        Step::Copy(0, 16, 20),
        Step::Edit(0, 10, 200, vec![(3, 1), (1, 255), (700, 9), (1, 1), (1, 1), (1, 1), (1, 1)]),
        Step::Literal(Literal::Code, noise(3, 500)),
        Step::Kept(
            vec![
                Step::Copy(1, 128, 255),
                Step::Digest(vec![Step::Literal(Literal::Raw, noise(4, 100))]),
                Step::Header(0, 10, 0, 9),
            ],
            0,
            128,
        ),
        Step::Zeros(1000),
        Step::Kept(vec![Step::Literal(Literal::Raw, vec![7; 100])], 3, 30),
        Step::Group(0, 0, 255),
        Step::Literal(Literal::Text, noise(1, 2000)),
        Step::Encode(
            3,
            b"exact".to_vec(),
            vec![
                Step::Copy(0, 77, 99),
                Step::Digest(vec![Step::Encode(
                    1,
                    vec![],
                    vec![Step::Zeros(9), Step::Digest(vec![Step::Copy(1, 9, 9)])],
                )]),
                Step::Literal(Literal::Text, b"abc".to_vec()),
            ],
        ),
    ];
    let layer = write(&mut writer, &bases, &steps);
    (bases, finish(writer).0, layer)
}

#[test]
fn every_op_comes_back() {
    let (bases, payload, layer) = sample();
    assert_eq!(decode(&payload, &bases).unwrap(), layer);
    let head = Head::read(&payload[..]).unwrap();
    let of =
        |registry| head.ids.iter().filter(|id| id.0 == registry).map(|id| id.1).collect::<Vec<_>>();
    assert_eq!(of(0), [0, 1, 2, 3, 4, 5], "all ops");
    assert_eq!(of(2), [0, 1, 2], "all generators");
    assert_eq!(of(3), [0, 1, 9], "coders");
    assert_eq!(of(4), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "all kinds of streams");
    assert_eq!(of(5), [0, 1], "all encodings");
    assert_eq!((head.kept.len(), head.slots, head.sources.len()), (2, 3, 2));
}

#[test]
fn small_reads_give_the_same() {
    let (bases, payload, layer) = sample();
    let head = Head::read(&payload[..]).unwrap();
    for step in [1, 7, 100_000] {
        // The payload, too, comes in small pieces.
        let input = Trickle(&payload, step);
        let mut decoder =
            Decoder::new(input, named(&bases, &head), tools(), Limits::default()).unwrap();
        let (mut out, mut buf) = (Vec::new(), vec![0; step]);
        loop {
            let n = decoder.read(&mut buf).unwrap();
            if n == 0 {
                break;
            }
            out.extend_from_slice(&buf[..n]);
        }
        assert_eq!(out, layer);
    }
}

struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = buf.len().min(self.1);
        self.0.read(&mut buf[..len])
    }
}

#[test]
fn an_empty_layer_needs_no_unit() {
    let (payload, summary) = finish(writer(&[], 3));
    assert_eq!(decode(&payload, &[]).unwrap(), b"");
    assert_eq!((summary.head.units, payload.len()), (0, 22));
}

#[test]
fn unchanged_files_cost_next_to_nothing() {
    let base = noise(5, 600_000);
    let mut writer = writer(std::slice::from_ref(&base), 19);
    let source = writer.base(0).unwrap();
    let mut wanted = Vec::new();
    for file in 0..5000u64 {
        let offset = file * 100;
        let content_len = 20 + file % 60;
        let entry = Entry { content_len, base: Some((source, offset + 16)), mtime: Some(0) };
        writer
            .generate(1, 16, |columns| {
                columns.put_varint(3, 0);
                columns.put_varint(3, content_len);
                columns.put_varint(9, source.number());
                columns.put_varint(9, offset);
                Some(entry)
            })
            .unwrap();
        writer.copy(source, offset + 16, content_len).unwrap();
        wanted.extend_from_slice(&base[offset as usize..][..16 + content_len as usize]);
    }
    let (payload, summary) = finish(writer);
    assert_eq!(decode(&payload, &[base]).unwrap(), wanted);
    for kind in [ids::stream::OPS, ids::stream::LENGTHS, ids::stream::SOURCES, ids::stream::OFFSETS]
    {
        assert!(summary.streams[&kind].1 < 40, "{kind}: {:?}", summary.streams);
    }
}

#[test]
fn adjacent_ops_become_one() {
    let base = noise(6, 1000);
    let mut pieces = writer(std::slice::from_ref(&base), 3);
    let mut whole = writer(std::slice::from_ref(&base), 3);
    let source = pieces.base(0).unwrap();
    assert_eq!(whole.base(0).unwrap(), source);
    for at in 0..10u64 {
        pieces.copy(source, at * 10, 10).unwrap();
    }
    for at in 10..20u64 {
        pieces.edit(source, at * 10, &[at as u8; 10]).unwrap();
        pieces.edit(source, 0, &[]).unwrap();
    }
    for _ in 0..10 {
        pieces.literal(Literal::Raw, b"abc").unwrap();
        pieces.literal(Literal::Raw, b"").unwrap();
    }
    pieces.zeros(3).unwrap();
    pieces.zeros(4).unwrap();
    whole.copy(source, 0, 100).unwrap();
    let corrections: Vec<u8> = (10..20).flat_map(|at| [at; 10]).collect();
    whole.edit(source, 100, &corrections).unwrap();
    whole.literal(Literal::Raw, &b"abc".repeat(10)).unwrap();
    whole.zeros(7).unwrap();
    assert_eq!(finish(pieces), finish(whole));
}

#[test]
fn long_content_is_cut_into_slices_units_and_chains() {
    let base = noise(7, 9 << 20);
    let long = noise(8, 16 << 20);
    let build = |level| {
        let mut writer = writer(std::slice::from_ref(&base), level);
        let source = writer.base(0).unwrap();
        writer.literal(Literal::Raw, &long).unwrap();
        writer.edit(source, 5, &long[..base.len() - 5]).unwrap();
        let ranges = vec![Range { source, offset: 1 << 20, len: 8 << 20 }];
        writer.group(vec![(Literal::Text, ranges)]).unwrap();
        writer.literal(Literal::Text, &base).unwrap();
        writer.literal(Literal::Text, &long[..12 << 20]).unwrap();
        finish(writer)
    };
    let (payload, summary) = build(1);
    let edited = base[5..].iter().zip(&long).map(|(b, c)| b.wrapping_add(*c));
    let wanted: Vec<u8> = long
        .iter()
        .copied()
        .chain(edited)
        .chain(base.iter().copied())
        .chain(long[..12 << 20].iter().copied())
        .collect();
    assert!(summary.head.units > 1);
    assert!(summary.head.memory < 60 << 20, "{}", summary.head.memory);
    let dictionary = summary.streams[&ids::stream::TEXT];
    assert!(dictionary.1 < dictionary.0 * 85 / 100 - (5 << 20), "{dictionary:?}");
    assert_eq!(
        DiffId::of(&decode(&payload, std::slice::from_ref(&base)).unwrap()),
        DiffId::of(&wanted)
    );
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert!(pool.install(|| build(1)).0 == payload, "the same bytes for any number of threads");
}

#[test]
fn many_ops_are_cut_into_units() {
    let base = noise(9, 1 << 20);
    let mut writer = writer(std::slice::from_ref(&base), 1);
    let source = writer.base(0).unwrap();
    let mut wanted = Vec::new();
    for at in 0..150_000u64 {
        let (offset, len) = (at * 7919 % 1_000_000, 8 + at % 30);
        writer.copy(source, offset, len).unwrap();
        wanted.extend_from_slice(&base[offset as usize..][..len as usize]);
    }
    let (payload, summary) = finish(writer);
    assert_eq!((summary.head.units, summary.head.ops), (2, 150_000));
    assert!(decode(&payload, &[base]).unwrap() == wanted);
}

#[test]
fn a_large_kept_object_goes_to_scratch() {
    let base = noise(10, 1 << 20);
    let mut writer = writer(std::slice::from_ref(&base), 1);
    let source = writer.base(0).unwrap();
    let mut small = Vec::new();
    for _ in 0..3 {
        let size = (17 << 20) + 5;
        let kept = writer.begin_kept(size).unwrap();
        for _ in 0..17 {
            writer.copy(source, 0, 1 << 20).unwrap();
        }
        writer.literal(Literal::Raw, b"abcde").unwrap();
        writer.end_kept().unwrap();
        let memory = writer.begin_kept(6 << 20).unwrap();
        writer.zeros(6 << 20).unwrap();
        writer.end_kept().unwrap();
        small.push(memory);
        writer.copy(kept, (17 << 20) - 2, 7).unwrap();
    }
    for kept in small {
        writer.edit(kept, 0, b"hello").unwrap();
    }
    let (payload, summary) = finish(writer);
    let big = (17 << 20) + 5;
    assert_eq!(
        summary.head.scratch,
        big + (6 << 20),
        "the third small one does not fit into memory"
    );
    let mut wanted = Vec::new();
    for _ in 0..3 {
        wanted.extend_from_slice(&base[base.len() - 2..]);
        wanted.extend_from_slice(b"abcde");
    }
    wanted.extend_from_slice(&b"hello".repeat(3));
    assert_eq!(decode(&payload, &[base]).unwrap(), wanted);
}

#[test]
fn zlib_runs_inside_of_a_program() {
    // 1000 times "abc" by zlib 6, memLevel 9, as Python writes it.
    let deflated = [
        0xed, 0xc2, 0x41, 0x11, 0x00, 0x00, 0x0c, 0x02, 0xa0, 0xac, 0x6a, 0xff, 0x0e, 0xab, 0xb1,
        0x07, 0x1c, 0xe9, 0xa2, 0xaa, 0xaa, 0xfe, 0x7e,
    ];
    let plain = b"abc".repeat(1000);
    let options = WriterOptions { encoders: Arc::new(Encodings), ..options(9) };
    let mut writer = PayloadWriter::new(options, vec![], MemorySources::default());
    writer.literal(Literal::Raw, b"head").unwrap();
    writer.enter_encoding(ids::encoding::ZLIB, &[6, 9], &[], deflated.len() as u64).unwrap();
    writer.literal(Literal::Text, &plain).unwrap();
    writer.leave().unwrap();
    let (payload, summary) = finish(writer);
    assert!(summary.head.memory > 1 << 20);
    let tools = crate::tools("/nowhere");
    let sources = MemorySources::default();
    let mut decoder = Decoder::new(&payload[..], sources, tools, Limits::default()).unwrap();
    let mut out = Vec::new();
    decoder.decode_to(&mut out).unwrap();
    assert_eq!(out, [&b"head"[..], &deflated].concat());
}

#[test]
fn the_largest_needs_stay_below_the_default_limit() {
    let base = noise(11, 9 << 20);
    let mut writer = writer(std::slice::from_ref(&base), 1);
    let source = writer.base(0).unwrap();
    let kept = writer.begin_kept(16 << 20).unwrap();
    writer.zeros(16 << 20).unwrap();
    writer.end_kept().unwrap();
    let kinds = [Literal::Text, Literal::Code, Literal::Raw];
    for group in 0..3u64 {
        // All the dictionary for one kind, and another one each time.
        let ranges = vec![Range { source, offset: group, len: 8 << 20 }];
        writer.group(vec![(kinds[group as usize], ranges)]).unwrap();
        for part in base.chunks(3 << 20) {
            for kind in kinds {
                writer.literal(kind, part).unwrap();
            }
            writer.edit(source, 0, part).unwrap();
        }
    }
    writer.copy(kept, 0, 1).unwrap();
    let (payload, summary) = finish(writer);
    let memory = summary.head.memory;
    assert!(memory > 50 << 20 && memory < Limits::default().memory, "{memory}");
    assert_eq!(decode(&payload, &[base]).unwrap().len(), (9 << 20) * 12 + 1);
}

#[test]
fn the_rest_of_an_entry_goes_on_after_encodings() {
    let base = noise(12, 500);
    let mut writer = writer(std::slice::from_ref(&base), 9);
    let source = writer.base(0).unwrap();
    let steps = [
        Step::Header(0, 192, 0, 0),
        Step::Digest(vec![Step::Literal(Literal::Raw, noise(1, 40))]),
        Step::Encode(0, vec![1; 8], vec![Step::Literal(Literal::Raw, noise(2, 20))]),
    ];
    let mut wanted = write(&mut writer, std::slice::from_ref(&base), &steps);
    // 40 bytes, 64 digits and 48 bytes are gone: 40 are left, which stand as 0.
    writer.copy(source, 100, 40).unwrap();
    wanted.extend_from_slice(&base[100..140]);
    let (payload, summary) = finish(writer);
    assert_eq!(decode(&payload, &[base]).unwrap(), wanted);
    let lengths = summary.streams[&ids::stream::LENGTHS];
    assert_eq!(lengths, (4, 4), "40, 48, 20 and 0");
    assert!(payload.windows(4).any(|bytes| bytes == [40, 48, 20, 0]));
}
