#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use dd_inspect::digest::DiffId;
use dd_inspect::record::EntryKind;
use proptest::prelude::*;

use super::emit::Bases;
use super::*;
use crate::program::{Decoder, Limits};

/// A layer with the entries that dd-extract would list.
pub(in crate::encode) fn layer(bytes: Vec<u8>) -> Layer {
    let mut files = Vec::new();
    dd_extract::layer::walk(&bytes[..], |entry| {
        files.push(File {
            path: entry.path.into(),
            kind: entry.kind,
            header_offset: entry.header_offset,
            content_offset: entry.content_offset,
            size: entry.size,
            digest: entry.digest,
        });
        Ok(())
    })
    .unwrap();
    Layer::new(DiffId::of(&bytes), Arc::new(bytes), files)
}

/// A tar of files: path, content, time.
pub(in crate::encode) fn tar(files: &[(&str, &[u8], u64)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for &(path, content, mtime) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_mtime(mtime);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(in crate::encode) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(next).collect()
}

/// Encodes with one and with two threads, decodes, and compares. Gives the payload's length.
pub(in crate::encode) fn round_trip(
    target: &Layer,
    bases: &[Layer],
    options: &Options,
) -> (u64, Encoded) {
    let scratch = tempfile::tempdir().unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = Vec::new();
        let encoded = pool
            .install(|| encode(target, bases, options, scratch.path(), &mut out, |_| ()))
            .unwrap();
        (out, encoded)
    };
    let ((payload, encoded), (other, _)) = (run(1), run(2));
    assert!(payload == other, "one thread and two give different payloads");
    assert_eq!(payload.len() as u64, encoded.summary.payload_len);
    let decoded = decode(&payload, &encoded, bases, scratch.path());
    assert!(decoded == target.read(0, target.bytes.size()).unwrap(), "another layer came out");
    (payload.len() as u64, encoded)
}

fn decode(payload: &[u8], encoded: &Encoded, bases: &[Layer], scratch: &Path) -> Vec<u8> {
    let named = |id| bases.iter().find(|base| base.diff_id == id).unwrap().clone();
    let used: Vec<Layer> = encoded.summary.head.sources.iter().copied().map(named).collect();
    let tools = crate::tools(scratch);
    let mut out = Vec::new();
    let mut decoder = Decoder::new(payload, Bases(&used), tools, Limits::default()).unwrap();
    decoder.decode_to(&mut out).unwrap();
    out
}

pub(in crate::encode) fn encoded(target: Vec<u8>, bases: &[Vec<u8>]) -> (u64, Encoded) {
    let bases: Vec<Layer> = bases.iter().cloned().map(layer).collect();
    round_trip(&layer(target), &bases, &Options::default())
}

#[test]
fn an_equal_layer_is_one_copy() {
    let bytes = tar(&[("a", &noise(1, 5000), 1), ("b", b"", 1), ("c", &noise(2, 700), 1)]);
    let (len, encoded) = encoded(bytes.clone(), &[bytes]);
    assert!(len < 150, "{len}");
    assert_eq!(encoded.made, []);
    assert!(encoded.summary.head.ops <= 2);
}

#[test]
fn new_times_and_moved_files_copy_content() {
    let (a, b) = (noise(1, 5000), noise(2, 700));
    let base = tar(&[("dir/a", &a, 1), ("dir/b", &b, 1)]);
    let target = tar(&[("dir/a", &a, 99), ("new/b", &b, 98)]);
    let (len, encoded) = encoded(target, &[base]);
    assert!(len < 250, "{len}");
    let means: Vec<Means> = encoded.made.iter().map(|made| made.means).collect();
    assert_eq!(means, [Means::Copy, Means::Copy]);
    assert_eq!(encoded.made[1].from, Some((0, 1)));
}

#[test]
fn changed_files_are_edits_and_new_ones_literals() {
    let old = noise(1, 50_000);
    let mut new = old.clone();
    new[20_000..20_010].fill(0);
    let base = tar(&[("lib/x-1.0", &old, 1), ("same", &noise(3, 3000), 1)]);
    let target =
        tar(&[("lib/x-1.1", &new, 1), ("new", &noise(4, 1000), 1), ("same", &noise(3, 3000), 1)]);
    let (len, encoded) = encoded(target, &[base]);
    assert!((1000..1400).contains(&len), "{len}");
    let costs: Vec<(Means, u64)> = encoded.made.iter().map(|m| (m.means, m.cost)).collect();
    let means: Vec<Means> = costs.iter().map(|cost| cost.0).collect();
    assert_eq!(means, [Means::Edit, Means::Literal]);
    assert!((10..120).contains(&costs[0].1) && (1000..1060).contains(&costs[1].1), "{costs:?}");
    assert!(costs.iter().map(|cost| cost.1).sum::<u64>() <= len, "{costs:?} of {len}");
}

#[test]
fn content_of_several_bases_is_found() {
    let (a, b) = (noise(1, 20_000), noise(2, 20_000));
    let bases = [tar(&[("a", &a, 1)]), tar(&[("b", &b, 1)])];
    let (len, encoded) = encoded(tar(&[("b", &b, 1), ("c", &a, 1)]), &bases);
    assert!(len < 300, "{len}");
    assert_eq!(encoded.summary.head.sources.len(), 2);
}

#[test]
fn bytes_that_are_no_tar_are_searched_too() {
    let old = noise(1, 100_000);
    let new = [&old[50_000..], &old[..50_000], b"end"].concat();
    let (len, _) = encoded(new, &[old]);
    assert!(len < 300, "{len}");
}

#[test]
fn entries_that_a_filter_took_away_are_handled_as_bytes() {
    let (a, b, c) = (noise(1, 20_000), noise(2, 30_000), noise(3, 5_000));
    let base = layer(tar(&[("a", &a, 1), ("b", &b, 1), ("c", &c, 1)]));
    let full = layer(tar(&[("a", &a, 2), ("b", &b, 2), ("c", &c, 2)]));
    let without = |keep: fn(&File) -> bool| {
        let files = full.files.iter().filter(|file| keep(file)).cloned().collect();
        Layer::new(full.diff_id, full.bytes.clone(), files)
    };
    for target in
        [without(|file| file.name() != b"b"), without(|_| false), without(|f| f.name() == b"c")]
    {
        let (len, _) = round_trip(&target, std::slice::from_ref(&base), &Options::default());
        assert!(len < 1000, "{len} with {} entries", target.files.len());
    }
}

#[test]
fn a_layer_without_bases_travels_whole() {
    let text = "all the same text\n".repeat(1000);
    let (len, encoded) = encoded(tar(&[("a", text.as_bytes(), 1), ("b", b"", 1)]), &[]);
    assert!(len < 400, "{len}");
    assert_eq!(encoded.summary.head.sources, []);
}

#[test]
fn odd_layers_come_back() {
    let base = tar(&[("a", b"content", 1)]);
    let mut trailing = tar(&[("a", b"content", 2)]);
    trailing.extend_from_slice(b"after the end");
    let cut = base[..600].to_vec();
    let mut padded = base.clone();
    padded[512 + 100] = b'!';
    for odd in [vec![], vec![0; 100], vec![7], trailing, cut, padded] {
        encoded(odd.clone(), std::slice::from_ref(&base));
        encoded(base.clone(), std::slice::from_ref(&odd));
    }
}

#[test]
fn every_level_comes_back() {
    let old = noise(1, 30_000);
    let mut new = old.clone();
    new.rotate_left(10_000);
    let (target, base) = (layer(tar(&[("a", &new, 2)])), layer(tar(&[("a", &old, 1)])));
    for level in 1..=9 {
        let options = Options { level, ..Options::default() };
        let (len, _) = round_trip(&target, std::slice::from_ref(&base), &options);
        assert!(len < 400, "{len} at {level}");
    }
}

#[test]
fn entries_that_are_wrong_but_for_digests_do_no_harm() {
    let bytes = tar(&[("a", &noise(1, 2000), 1), ("b", &noise(2, 100), 1)]);
    let honest = layer(bytes.clone());
    let lie = |change: fn(&mut File)| {
        let mut files = honest.files.to_vec();
        files.iter_mut().for_each(change);
        Layer::new(honest.diff_id, honest.bytes.clone(), files)
    };
    let lies = [
        lie(|file| file.header_offset += 3),
        lie(|file| file.path = b""[..].into()),
        lie(|file| file.size = 77),
        lie(|file| (file.content_offset, file.digest) = (file.content_offset + 100, None)),
        lie(|file| file.kind = EntryKind::Directory),
    ];
    for target in &lies {
        round_trip(target, std::slice::from_ref(&honest), &Options::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_change_comes_back(
        files in proptest::collection::vec((0_u64..6, 0_usize..3000, any::<bool>()), 0..8),
        edits in proptest::collection::vec((0_usize..6, 0_usize..3000, any::<u8>()), 0..6),
    ) {
        let names: Vec<String> = (0..files.len()).map(|number| format!("dir{}/f{number}", number % 3)).collect();
        let contents: Vec<Vec<u8>> = files.iter().map(|&(seed, len, _)| noise(seed, len)).collect();
        let listed = |contents: &[Vec<u8>], time| {
            let parts: Vec<_> = names.iter().zip(contents).map(|(n, c)| (n.as_str(), c.as_slice(), time)).collect();
            tar(&parts)
        };
        let base = layer(listed(&contents, 5));
        let mut changed = contents.clone();
        for (file, at, byte) in edits {
            if let Some(content) = changed.get_mut(file) {
                let at = at.min(content.len());
                content.insert(at, byte);
            }
        }
        let moved = files.iter().any(|file| file.2);
        let target = layer(listed(&changed, if moved { 6 } else { 5 }));
        round_trip(&target, &[base], &Options::default());
    }
}
