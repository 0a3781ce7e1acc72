//! Executables: matched by what their addresses mean, and the base rewritten, which reads its instructions.

#![allow(missing_docs, reason = "criterion's macros")]

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dd_diff::bench::Matched;
use dd_diff::matching::{Effort, Reach};
use support::programs;

const EFFORT: Effort =
    Effort { reach: Reach { key: 12, candidates: 8, trust: 4 }, memory: 64 << 20, every: 1 };

fn executable(criterion: &mut Criterion) {
    let (base, target) = programs(4000);
    let matched = Matched::search(&base, &target, &EFFORT).expect("a model that pays");
    let mut group = criterion.benchmark_group("executable");
    group.throughput(Throughput::Bytes(base.len() as u64));
    group.bench_function("search", |b| b.iter(|| Matched::search(&base, &target, &EFFORT)));
    group.bench_function("rewrite", |b| b.iter(|| matched.rewrite(&base)));
    group.finish();
}

criterion_group!(benches, executable);
criterion_main!(benches);
