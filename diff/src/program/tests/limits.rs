//! Every bound, one step beyond it.

use dd_inspect::failure::Category;

use super::everything::sample;
use super::toys::*;
use crate::program::coder::Sort;
use crate::program::ids::{Registry, coder, op, stream};
use crate::program::streams::Record;
use crate::program::*;

/// A head that allows plenty, for one unit of `ops` ops that make `output_len` bytes.
pub(super) fn head(ops: u64, output_len: u64) -> Head {
    let all =
        |registry: Registry, ids: std::ops::Range<u64>| ids.map(move |id| (registry as u64, id));
    Head {
        ids: all(Registry::Op, 0..6)
            .chain(all(Registry::Model, 0..1))
            .chain(all(Registry::Generator, 0..3))
            .chain(all(Registry::Coder, 0..3))
            .chain(all(Registry::Stream, 0..11))
            .chain(all(Registry::Encoding, 0..2))
            .collect(),
        output_len,
        units: 1,
        ops,
        slots: 1,
        memory: 40 << 20,
        work: 1 << 20,
        ..Head::default()
    }
}

pub(super) fn stored(kind: u64, bytes: &[u8]) -> (Record, Vec<u8>) {
    let len = bytes.len() as u64;
    (Record { kind, raw_len: len, coded_len: len, ..Record::default() }, bytes.to_vec())
}

fn put_streams(out: &mut Vec<u8>, streams: &[(Record, Vec<u8>)]) {
    varint::put(out, streams.len() as u64);
    streams.iter().for_each(|(record, _)| record.put(out));
    streams.iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
}

/// A payload of one unit and one slice.
pub(super) fn payload(
    head: &Head,
    control: &[(u64, &[u8])],
    slice: &[(Record, Vec<u8>)],
) -> Vec<u8> {
    let mut out = head.to_bytes();
    for value in [0, 0, head.ops, 1] {
        varint::put(&mut out, value);
    }
    let control: Vec<_> = control.iter().map(|(kind, bytes)| stored(*kind, bytes)).collect();
    put_streams(&mut out, &control);
    varint::put(&mut out, head.ops);
    put_streams(&mut out, slice);
    out
}

fn error(payload: &[u8]) -> String {
    let limits = Limits::default();
    let mut decoder = Decoder::new(payload, MemorySources::default(), tools(), limits).unwrap();
    let error = decoder.decode_to(&mut Vec::new()).unwrap_err();
    assert_eq!(error.category, Category::PackageCorrupt);
    error.message.split(": ").nth(1).unwrap_or_default().to_owned()
}

const ZEROS: u8 = op::GEN;
const LEAVE: u8 = op::LEAVE;
const DIGEST: u8 = op::ENTER;
const ENCODE: u8 = op::ENTER | 1 << 3;

fn ops(ops: &[u8], lengths: &[u8], operands: &[u8], output_len: u64) -> Vec<u8> {
    let streams: Vec<_> =
        [(stream::OPS, ops), (stream::LENGTHS, lengths), (stream::OPERANDS, operands)]
            .into_iter()
            .filter(|stream| !stream.1.is_empty())
            .collect();
    payload(&head(ops.len() as u64, output_len), &streams, &[])
}

#[test]
fn the_frame_of_these_tests_is_right() {
    assert_eq!(decode(&ops(&[ZEROS], &[5], &[], 5), &[]).unwrap(), [0; 5]);
    let nested = ops(&[DIGEST, ENCODE, ZEROS, LEAVE, LEAVE], &[6, 3], &[0, 1, 0, 9], 6);
    assert_eq!(decode(&nested, &[]).unwrap(), [0, 9, 0, 9, 0, 9]);
}

#[test]
fn output_is_as_long_as_declared() {
    assert_eq!(error(&ops(&[ZEROS], &[5], &[], 4)), "the layer is longer than declared");
    assert_eq!(error(&ops(&[ZEROS], &[5], &[], 6)), "the layer has 5 bytes, 6 were declared");
}

#[test]
fn ops_take_their_control_exactly() {
    let message = "the ops do not take all of the unit's control";
    assert_eq!(error(&ops(&[ZEROS], &[5, 1], &[], 5)), message);
    assert_eq!(error(&ops(&[ZEROS], &[5], &[7], 5)), message);
    let control: [(u64, &[u8]); 3] =
        [(stream::OPS, &[ZEROS]), (stream::LENGTHS, &[5]), (stream::COLUMNS, &[3, 1, 0])];
    assert_eq!(error(&payload(&head(1, 5), &control, &[])), message);
    assert_eq!(
        error(&ops(&[ZEROS, ZEROS], &[5], &[], 5)),
        "the length of a control stream is out of range"
    );
    assert_eq!(error(&ops(&[7], &[5], &[], 5)), "an op is out of range");
    assert_eq!(error(&ops(&[ZEROS], &[0], &[], 5)), "the length of an op is out of range");
}

#[test]
fn encodings_are_nested_and_left() {
    let deep = ops(&[DIGEST; 5], &[], &[0; 5], 0);
    assert_eq!(error(&deep), "encodings are nested deeper than 4");
    assert_eq!(error(&ops(&[DIGEST], &[], &[0], 0)), "an encoding is not left");
    assert_eq!(error(&ops(&[LEAVE], &[], &[], 0)), "no encoding is entered");
    assert_eq!(error(&ops(&[DIGEST], &[], &[1], 0)), "there is no such digest slot");
    assert_eq!(error(&ops(&[op::GEN | 2 << 3], &[], &[0], 64)), "digest slot 0 is empty");
}

#[test]
fn encodings_give_what_was_declared() {
    let short = ops(&[ENCODE, ZEROS, LEAVE], &[7, 3], &[1, 0, 9], 7);
    assert_eq!(error(&short), "an encoding gives 6 bytes, 7 were declared");
    let long = ops(&[ENCODE, ZEROS, LEAVE], &[5, 3], &[1, 0, 9], 7);
    assert_eq!(error(&long), "an encoding gives more than the declared 5 bytes");
}

#[test]
fn work_is_bounded_by_the_declaration() {
    let mut small = head(1, 100);
    small.work = 100;
    let control: [(u64, &[u8]); 2] = [(stream::OPS, &[ZEROS]), (stream::LENGTHS, &[100])];
    let message = "the delta does more than the 100 units of work that it declares";
    assert_eq!(error(&payload(&small, &control, &[])), message);
}

#[test]
fn making_ready_is_work() {
    let mut head = head(1, 5);
    head.ids.push((Registry::Coder as u64, coder::LITERALS));
    head.ids.sort_unstable();
    let control: [(u64, &[u8]); 2] = [(stream::OPS, &[ZEROS]), (stream::LENGTHS, &[5])];
    let (kind, window_log, sort) = (stream::TEXT, 10, Some(Sort::Text));
    let literals = Record { kind, coder: coder::LITERALS, window_log, sort, ..Record::default() };
    // An op, its bytes, the control, and what the stream counts as.
    head.work = 64 + 5 + 2 + literals.memory() / 256;
    let slice = [(literals, Vec::new())];
    assert_eq!(decode(&payload(&head, &control, &slice), &[]).unwrap(), [0; 5]);
    head.work -= 1;
    let message =
        format!("the delta does more than the {} units of work that it declares", head.work);
    assert_eq!(error(&payload(&head, &control, &slice)), message);
}

#[test]
fn memory_is_bounded_by_the_declaration() {
    let text = stored(stream::TEXT, &[1; 100]);
    let control: [(u64, &[u8]); 2] = [(stream::OPS, &[op::LIT]), (stream::LENGTHS, &[100])];
    let mut head = head(1, 100);
    assert_eq!(
        decode(&payload(&head, &control, std::slice::from_ref(&text)), &[]).unwrap(),
        [1; 100]
    );
    head.memory = 141;
    assert_eq!(
        error(&payload(&head, &control, &[text])),
        "the delta needs 142 bytes of memory and declares 141"
    );
}

#[test]
fn streams_are_taken_exactly() {
    let control: [(u64, &[u8]); 2] = [(stream::OPS, &[op::LIT]), (stream::LENGTHS, &[9])];
    let with = |slice: &[(Record, Vec<u8>)]| error(&payload(&head(1, 9), &control, slice));
    assert_eq!(
        with(&[stored(stream::TEXT, &[1; 10])]),
        "a stream of the delta holds more than its ops take"
    );
    assert_eq!(
        with(&[stored(stream::TEXT, &[1; 8])]),
        "a stream of the delta holds less than its ops take"
    );
    assert_eq!(with(&[stored(stream::RAW, &[1; 9])]), "the slice has no stream of kind 6");
    let twice = [stored(stream::TEXT, &[1; 9]), stored(stream::TEXT, &[1; 9])];
    assert_eq!(with(&twice), "a kind of stream or coder is out of range");
    let mut continued = stored(stream::TEXT, &[1; 9]);
    (continued.0.coder, continued.0.continued) = (1, true);
    assert_eq!(with(&[continued]), "a stream is continued that was not begun");
    let mut wide = stored(stream::TEXT, &[1; 9]);
    (wide.0.coder, wide.0.window_log) = (1, 24);
    assert_eq!(with(&[wide]), "the window of a stream is out of range");
}

#[test]
fn slices_and_controls_have_a_largest_length() {
    let control: [(u64, &[u8]); 2] = [(stream::OPS, &[op::LIT]), (stream::LENGTHS, &[9])];
    let huge = stored(stream::TEXT, &vec![1; (4 << 20) + 1]);
    assert_eq!(
        error(&payload(&head(1, 9), &control, &[huge])),
        "the length of a slice is out of range"
    );
    let columns = vec![0; (8 << 20) + 1];
    let control: [(u64, &[u8]); 2] = [(stream::OPS, &[op::LIT]), (stream::COLUMNS, &columns)];
    assert_eq!(
        error(&payload(&head(1, 9), &control, &[])),
        "the length of a unit's control is out of range"
    );
    assert_eq!(
        error(&payload(&head(1, 9), &[(stream::TEXT, &[1])], &[])),
        "a kind of stream or coder is out of range"
    );
}

#[test]
fn a_unit_has_at_most_so_many_ops() {
    let mut many = head((1 << 18) + 1, 100 << 20);
    many.work = 200 << 20;
    assert_eq!(error(&payload(&many, &[], &[])), "the number of ops is out of range");
}

#[test]
fn sources_are_those_that_are_complete() {
    let control = |source: u8| -> Vec<u8> { vec![source] };
    let copy = |source: u8, head: &Head| {
        let sources = control(source);
        let streams: [(u64, &[u8]); 4] = [
            (stream::OPS, &[op::COPY]),
            (stream::LENGTHS, &[9]),
            (stream::SOURCES, &sources),
            (stream::OFFSETS, &[0]),
        ];
        error(&payload(head, &streams, &[]))
    };
    assert_eq!(copy(0, &head(1, 9)), "there is no Base(0) to read");
    assert_eq!(copy(2, &head(1, 9)), "there is no Kept(0) to read");
    let kept = vec![KeptObject { size: 9, first: 1, last: 1 }];
    let kept = Head { kept, units: 2, ..head(2, 9) };
    assert_eq!(copy(2, &kept), "there is no Kept(0) to read");
}

#[test]
fn kept_objects_are_begun_where_the_head_says() {
    let kept = Head { kept: vec![KeptObject { size: 9, first: 0, last: 0 }], ..head(1, 9) };
    let control: [(u64, &[u8]); 2] = [(stream::OPS, &[ZEROS]), (stream::LENGTHS, &[9])];
    assert_eq!(error(&payload(&kept, &control, &[])), "a kept object is not begun");
}

#[test]
fn ids_in_use_stand_in_the_head() {
    let mut head = head(1, 5);
    head.ids.retain(|id| *id != (Registry::Generator as u64, 0));
    let control: [(u64, &[u8]); 2] = [(stream::OPS, &[ZEROS]), (stream::LENGTHS, &[5])];
    assert_eq!(error(&payload(&head, &control, &[])), "generator 0 does not stand in the head");
}

#[test]
fn needs_above_the_limits_are_refused_before_work() {
    let (bases, payload, _) = sample();
    let head = Head::read(&payload[..]).unwrap();
    let try_with = |limits, tools| {
        let failed = Decoder::new(&payload[..], named(&bases, &head), tools, limits).unwrap_err();
        failed.category
    };
    let less = Limits { memory: head.memory - 1, ..Limits::default() };
    assert_eq!(try_with(less, tools()), Category::Limit);
    assert_eq!(try_with(Limits::default(), Tools::basic("/nowhere")), Category::Unsupported);
}

#[test]
fn errors_say_where() {
    let payload = ops(&[ZEROS], &[5], &[], 4);
    let mut decoder =
        Decoder::new(&payload[..], MemorySources::default(), tools(), Limits::default()).unwrap();
    let error = decoder.decode_to(&mut Vec::new()).unwrap_err();
    let len = payload.len();
    assert_eq!(
        error.message,
        format!("delta, unit 1, byte {len}: the layer is longer than declared")
    );
}

#[test]
fn wrong_use_of_the_writer_is_an_error() {
    let base = noise(1, 100);
    let mut writer = writer(std::slice::from_ref(&base), 3);
    let source = writer.base(0).unwrap();
    assert!(writer.base(1).is_err());
    assert!(writer.copy(source, 50, 51).is_err());
    assert!(writer.edit(source, u64::MAX, &[1]).is_err());
    assert!(writer.copy(Source::Base(1), 0, 1).is_err());
    assert!(writer.leave().is_err());
    assert!(writer.end_kept().is_err());
    assert!(writer.enter_encoding(2, &[], &[], 1).is_err());
    let kept = writer.begin_kept(5).unwrap();
    assert!(writer.copy(kept, 0, 1).is_err());
    assert!(writer.begin_kept(5).is_err());
    writer.zeros(4).unwrap();
    assert!(writer.end_kept().is_err());
    writer.zeros(1).unwrap();
    writer.end_kept().unwrap();
    writer.copy(kept, 0, 5).unwrap();
    for _ in 0..4 {
        writer.enter_digest(0).unwrap();
    }
    assert!(writer.enter_digest(0).is_err());
    assert!(writer.begin_kept(5).is_err());
}
