//! Coders by context mixing, both ways: corrections of which one byte in fifty is wrong, and text over a dictionary.

#![allow(missing_docs, reason = "criterion's macros")]

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dd_diff::bench::{decode_corrections, decode_literals, encode_corrections, encode_literals};
use support::Random;

const LEN: usize = 64 << 10;
const WINDOW_LOG: u8 = 17;

fn corrections(criterion: &mut Criterion) {
    let mut random = Random(2);
    let predicted = random.text(LEN);
    let classes = vec![0; LEN];
    let mut wanted = predicted.clone();
    for _ in 0..LEN / 50 {
        wanted[random.below(LEN)] = random.below(256) as u8;
    }
    let coded = encode_corrections(&predicted, &classes, &wanted);
    let mut group = criterion.benchmark_group("corrections");
    group.throughput(Throughput::Bytes(LEN as u64));
    group.bench_function("encode", |b| {
        b.iter(|| encode_corrections(&predicted, &classes, &wanted));
    });
    let mut bytes = predicted.clone();
    group.bench_function("decode", |b| {
        b.iter(|| {
            bytes.copy_from_slice(&predicted);
            decode_corrections(&coded, &mut bytes, &classes).expect("what was coded");
        });
    });
    assert_eq!(bytes, wanted);
    group.finish();
}

fn literals(criterion: &mut Criterion) {
    let mut random = Random(3);
    let dictionary = random.text(LEN);
    let wanted = random.edited(&dictionary, 300);
    let coded = encode_literals(WINDOW_LOG, &dictionary, &wanted);
    let mut group = criterion.benchmark_group("literals");
    group.throughput(Throughput::Bytes(wanted.len() as u64));
    group.bench_function("encode", |b| {
        b.iter(|| encode_literals(WINDOW_LOG, &dictionary, &wanted));
    });
    let mut out = vec![0; wanted.len()];
    group.bench_function("decode", |b| {
        b.iter(|| decode_literals(WINDOW_LOG, &dictionary, &coded, &mut out).expect("was coded"));
    });
    assert_eq!(out, wanted);
    group.finish();
}

criterion_group!(benches, corrections, literals);
criterion_main!(benches);
