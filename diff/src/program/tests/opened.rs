//! OPEN: compressed ranges of sources read as content.

use super::toys::*;
use crate::program::*;

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut deflater =
        dd_extract::encoding::zlib::Deflater::new(dd_extract::encoding::zlib::ZlibParams {
            level: 6,
            mem_level: 8,
        })
        .unwrap();
    deflater.write(plain, &mut out).unwrap();
    deflater.finish(&mut out).unwrap();
    out
}

/// A base with two streams between other bytes: its bytes, and offset and length of each stream.
fn base(first: &[u8], second: &[u8]) -> (Vec<u8>, [(u64, u64); 2]) {
    let (first, second) = (deflated(first), deflated(second));
    let base = [b"head", &first[..], b"between", &second, b"tail"].concat();
    let place = [(4, first.len() as u64), (11 + first.len() as u64, second.len() as u64)];
    (base, place)
}

#[test]
fn kept_objects_are_made_of_opened_ranges() {
    let (one, two) = (noise(1, 700_000), noise(2, 40_000));
    let (base, [first, second]) = base(&one, &two);
    let bases = [base];
    let mut writer = writer(&bases, 3);
    let source = writer.base(0).unwrap();
    let kept = writer.begin_kept(740_000).unwrap();
    writer.open(0, source, first.0, first.1, 700_000).unwrap();
    writer.open(0, source, second.0, second.1, 40_000).unwrap();
    writer.end_kept().unwrap();
    writer.copy(kept, 699_000, 30_000).unwrap();
    writer.open(0, source, second.0, second.1, 40_000).unwrap();
    let (payload, summary) = finish(writer);
    let both = [&one[..], &two].concat();
    assert_eq!(decode(&payload, &bases).unwrap(), [&both[699_000..729_000], &two].concat());
    assert!(summary.head.ids.contains(&(0, 6)) && summary.head.ids.contains(&(6, 0)));
    assert_eq!(summary.head.kept[0].size, 740_000);
}

#[test]
fn a_dictionary_may_lie_in_a_kept_object() {
    let (one, two) = (noise(1, 50_000), noise(2, 9_000));
    let (base, [first, _]) = base(&one, &two);
    let known = vec![(dd_inspect::digest::DiffId::of(&base), base.len() as u64)];
    let sources = MemorySources(vec![base.clone(), one.clone()]);
    let mut writer = PayloadWriter::new(options(19), known, sources);
    let source = writer.base(0).unwrap();
    let kept = writer.begin_kept(50_000).unwrap();
    writer.open(0, source, first.0, first.1, 50_000).unwrap();
    writer.end_kept().unwrap();
    let range = Range { source: kept, offset: 100, len: 40_000 };
    assert!(writer.group(vec![(Literal::Text, vec![range])]).is_err());
    writer.kept_bytes(kept, 1).unwrap();
    writer.group(vec![(Literal::Text, vec![range])]).unwrap();
    writer.zeros(1).unwrap();
    writer.literal(Literal::Text, &one[5_000..35_000]).unwrap();
    let (payload, _) = finish(writer);
    assert!(payload.len() < 1000, "{}", payload.len());
    assert_eq!(decode(&payload, &[base]).unwrap()[1..], one[5_000..35_000]);
}

/// A payload that opens a range like this; its error.
fn error(offset: u64, coded_len: u64, len: u64) -> String {
    let (one, two) = (noise(1, 300), noise(2, 300));
    let (base, _) = base(&one, &two);
    let bases = [base];
    let mut writer = writer(&bases, 3);
    let source = writer.base(0).unwrap();
    writer.open(0, source, offset, coded_len, len).unwrap();
    let (payload, _) = finish(writer);
    decode(&payload, &bases).unwrap_err().message
}

#[test]
fn what_is_not_as_declared_is_refused() {
    let (_, [first, _]) = base(&noise(1, 300), &noise(2, 300));
    assert!(error(first.0, first.1, 299).contains("longer than declared"));
    assert!(error(first.0, first.1, 301).contains("shorter than declared"));
    assert!(error(first.0, first.1 - 1, 300).contains("ends early"));
    assert!(error(first.0, first.1 + 1, 300).contains("something follows"));
    assert!(error(first.0 - 1, first.1, 300).contains("delta, unit"));
}

#[test]
fn a_bomb_is_refused_by_writer_and_reader() {
    let bases = [vec![0; 100]];
    let mut writer = writer(&bases, 3);
    let source = writer.base(0).unwrap();
    assert!(writer.open(0, source, 0, 10, 641).is_err());
    assert!(writer.open(0, source, 95, 10, 10).is_err());
    assert!(writer.open(0, source, 0, 10, 0).is_err());
}
