//! Each encoder on words and records, and finding how a file was made.

#![allow(missing_docs, reason = "criterion's macros")]

#[allow(dead_code, reason = "tests use more")]
#[path = "../tests/support/inputs.rs"]
mod inputs;
#[allow(dead_code, reason = "tests use more")]
#[path = "../tests/support/table.rs"]
mod table;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dd_extract::encoding::identify::identify;
use inputs::input;
use table::encode;

/// Variants as tables call them, and levels.
const ENCODERS: [(&str, &[&str]); 8] = [
    ("zlib8", &["1", "6", "9"]),
    ("goa", &["1", "6", "9"]),
    ("gob", &["1", "6", "9"]),
    ("kp1.18.2", &["-2", "1", "5", "6", "9"]),
    ("pgz1M-kp1.18.2", &["5"]),
    ("pigz", &["6"]),
    ("gzip", &["1", "6", "9"]),
    ("kz1.18.5", &["default", "fastest"]),
];

/// Words, then records.
fn text() -> Vec<u8> {
    [input("words-300000"), input("records-300000")].concat()
}

fn encoders(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("encoder");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for (variant, levels) in ENCODERS {
        for level in levels {
            let coded = encode(variant, level, &text).expect("an encoder");
            assert!(coded.is_some(), "{variant} {level} is not known");
            group.bench_function(BenchmarkId::new(variant, level), |b| {
                b.iter(|| encode(variant, level, &text));
            });
        }
    }
    group.finish();
}

fn identification(criterion: &mut Criterion) {
    let text = text();
    let scratch = tempfile::tempdir().expect("a folder");
    let mut group = criterion.benchmark_group("identify");
    group.sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
    // What is tried first, what is tried last, and what nothing known gives.
    let first = encode("pgz1M-kp1.18.2", "5", &text).expect("an encoder").expect("known");
    let late = encode("gzip", "9", &text).expect("an encoder").expect("known");
    let mut unknown = late.clone();
    let middle = unknown.len() / 2;
    unknown.truncate(middle);
    for (name, file) in [("pgzip", first), ("GNU gzip", late), ("a file that was cut", unknown)] {
        group.bench_function(name, |b| {
            b.iter(|| identify(&file, &text, scratch.path(), 64 << 20).expect("an encoding"));
        });
    }
    group.finish();
}

criterion_group!(benches, encoders, identification);
criterion_main!(benches);
