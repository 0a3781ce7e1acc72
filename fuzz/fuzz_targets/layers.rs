//! Two layers, whatever they are: the delta from one to the other gives the other.
//!
//! The first byte chooses level and techniques; the next four say where the target begins. Headers, archives, executables,
//! lists of digests and compiled code in them are read by the encoder.

#![no_main]

mod mutate;

use std::sync::Arc;

use dd_diff::encode::{File, Layer, Options, encode};
use dd_diff::program::{Decoder, Limits, MemorySources};
use dd_inspect::digest::DiffId;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fn layer(bytes: &[u8]) -> Layer {
    let mut files = Vec::new();
    let walked = dd_extract::layer::walk(bytes, |entry| {
        files.push(File {
            path: entry.path.into(),
            kind: entry.kind,
            header_offset: entry.header_offset,
            content_offset: entry.content_offset,
            size: entry.size,
            digest: entry.digest,
        });
        Ok(())
    });
    walked.expect("reading from memory");
    Layer::new(DiffId::of(bytes), Arc::new(bytes.to_vec()), files)
}

/// Level and techniques, and where the target begins.
const HEAD: usize = 5;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(data, size, max_size, seed, HEAD)
});

fuzz_target!(|data: &[u8]| {
    let Some((head, rest)) = data.split_first_chunk::<HEAD>() else { return };
    let [choice, middle @ ..] = *head;
    let middle = u32::from_le_bytes(middle) as usize;
    let (base, target) = rest.split_at(middle % (rest.len() + 1));
    let level = [1, 3, 6, 9][usize::from(choice & 3)];
    let options = Options { level, memory: 64 << 20, ..Options::default() };
    let scratch = std::env::temp_dir();
    let (bases, wanted) = ([layer(base)], layer(target));
    let mut payload = Vec::new();
    let encoded = encode(&wanted, &bases, &options, &scratch, &mut payload, |_| ());
    let encoded = encoded.expect("every layer can be encoded");
    let used = encoded.summary.head.sources.len();
    let sources = MemorySources(vec![base.to_vec(); used.min(1)]);
    let tools = dd_diff::tools(&scratch);
    let decoder = Decoder::new(&payload[..], sources, tools, Limits::default());
    let mut out = Vec::new();
    decoder.expect("its own payload").decode_to(&mut out).expect("its own payload");
    assert!(out == target, "another layer came out");
});
