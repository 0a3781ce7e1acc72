//! What of a target stands in a base: the index, and the scan of a target that resembles the base or does not.

#![allow(missing_docs, reason = "criterion's macros")]

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dd_diff::matching::{Costs, Effort, Reach, covers};
use support::Random;

const LEN: usize = 1 << 20;
/// That of the default level.
const EFFORT: Effort =
    Effort { reach: Reach { key: 12, candidates: 8, trust: 4 }, memory: 64 << 20, every: 1 };

fn matching(criterion: &mut Criterion) {
    let mut random = Random(1);
    let base = [random.text(LEN / 2), random.bytes(LEN / 2)].concat();
    let targets = [
        ("index", base[..EFFORT.reach.key].to_vec()),
        ("index and scan, alike", random.edited(&base, 200)),
        ("index and scan, unlike", random.bytes(LEN)),
    ];
    let mut group = criterion.benchmark_group("matching");
    for (name, target) in &targets {
        group.throughput(Throughput::Bytes(target.len().max(LEN) as u64));
        group.bench_function(*name, |b| b.iter(|| covers(&base, target, &EFFORT, &Costs::BYTES)));
    }
    group.finish();
}

criterion_group!(benches, matching);
criterion_main!(benches);
