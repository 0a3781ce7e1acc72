//! Makes the delta of one layer, proves it by decoding it, and puts it into the store.

use std::io::{self, Write};

use anyhow::Context;
use dd_inspect::digest::{DiffId, Hasher};
use dd_inspect::fail;
use dd_inspect::range::{FileRange, ReadAt};
use dd_inspect::record::Delta;
use dd_inspect::store::Store;

use crate::cli::Method;
use crate::encode::{Encoded, Layer, Made, Options, encode};
use crate::program::{Decoder, Limits, Sources};

/// A delta is compared with the whole layer, compressed, if it is longer than this part of the layer.
const DOUBTFUL: u64 = 4;

/// A proven delta.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub delta: Delta,
    /// How the files of the layer were made, where that is not by copying header and content.
    pub made: Vec<Made>,
    /// Lines about it for `-v`.
    pub notes: Vec<String>,
}

/// A payload in the store.
struct Candidate {
    encoded: Encoded,
    payload: FileRange,
    digest: dd_inspect::digest::Digest,
}

/// Makes the delta of a layer from the bases, or lets it travel whole where that is smaller.
///
/// # Errors
/// What reading the layers or writing to the store fails with; a layer whose bytes do not have its
/// diff_id.
pub(crate) fn deliver(
    target: &Layer,
    bases: &[Layer],
    options: &Options,
    method: Method,
    store: &Store,
    done: impl Fn(u64) + Sync,
) -> anyhow::Result<Delivered> {
    let (chosen, used, why) = choose(target, bases, options, method, store, &done)?;
    let memory = prove(target, used, &chosen, store, &done)?;
    let head = &chosen.encoded.summary.head;
    let notes = notes(target, &chosen);
    let costs: u64 = chosen.encoded.made.iter().map(|made| made.cost).sum();
    let delta = Delta {
        layer: target.diff_id,
        means: if why.is_some() { "whole" } else { "delta" }.to_owned(),
        location: Some(chosen.payload.location()),
        size: chosen.payload.size(),
        shared: chosen.payload.size().checked_sub(costs),
        digest: Some(chosen.digest),
        sources: head.sources.clone(),
        memory,
        scratch: head.scratch,
        proven: true,
        why,
    };
    Ok(Delivered { delta, made: chosen.encoded.made, notes })
}

/// The smallest payload, the bases it is made from, and why it is a whole layer if it is one.
fn choose<'a>(
    target: &Layer,
    bases: &'a [Layer],
    options: &Options,
    method: Method,
    store: &Store,
    done: &(impl Fn(u64) + Sync),
) -> anyhow::Result<(Candidate, &'a [Layer], Option<String>)> {
    let whole = || candidate(target, &[], options, store, |_| ());
    if method == Method::Whole {
        return Ok((whole()?, &[], Some("--method whole".to_owned())));
    }
    if bases.is_empty() {
        return Ok((whole()?, &[], Some("there is no base to make it from".to_owned())));
    }
    let delta = candidate(target, bases, options, store, done)?;
    if delta.encoded.summary.head.sources.is_empty() {
        return Ok((delta, &[], Some("no base has anything like it".to_owned())));
    }
    let len = delta.payload.size();
    if len > target.bytes.size() / DOUBTFUL {
        let whole = whole()?;
        if whole.payload.size() <= len {
            let why = format!("a delta would have {len} bytes");
            return Ok((whole, &[], Some(why)));
        }
    }
    Ok((delta, bases, None))
}

fn candidate(
    target: &Layer,
    bases: &[Layer],
    options: &Options,
    store: &Store,
    done: impl Fn(u64) + Sync,
) -> anyhow::Result<Candidate> {
    let mut writer = store.writer()?;
    let encoded = encode(target, bases, options, &store.temporary()?, &mut writer, done)?;
    let (digest, payload) = writer.commit(None)?;
    Ok(Candidate { encoded, payload, digest })
}

/// Decodes a payload as dd-apply does and compares; returns the memory that it needs.
fn prove(
    target: &Layer,
    bases: &[Layer],
    candidate: &Candidate,
    store: &Store,
    done: &(impl Fn(u64) + Sync),
) -> anyhow::Result<u64> {
    let diff_id = target.diff_id;
    let proving = || format!("proving the delta of layer {diff_id}");
    let head = &candidate.encoded.summary.head;
    let find = |id: &DiffId| bases.iter().find(|base| base.diff_id == *id);
    let sources: Option<Vec<&Layer>> = head.sources.iter().map(find).collect();
    let sources = Read(sources.with_context(proving)?);
    let tools = crate::tools(store.temporary()?);
    let limits = Limits { memory: u64::MAX, ..Limits::default() };
    let mut decoder =
        Decoder::new(candidate.payload.clone(), sources, tools, limits).with_context(proving)?;
    let mut output = Counted { hasher: Hasher::new(), done };
    decoder.decode_to(&mut output).with_context(proving)?;
    if output.hasher.finish().as_bytes() != diff_id.as_bytes() {
        fail!(DigestMismatch, "the delta of layer {diff_id} gives other bytes";
            "the layer changed since dd-extract read it, or its entry records are not those of dd-extract: run the whole pipeline again");
    }
    Ok(head.memory)
}

/// Hashes what is written, and counts it for the display.
struct Counted<'a, F> {
    hasher: Hasher,
    done: &'a F,
}

impl<F: Fn(u64)> Write for Counted<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        (self.done)(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The layers that a payload reads, in the order of its head.
struct Read<'a>(Vec<&'a Layer>);

impl Sources for Read<'_> {
    fn len(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |layer| layer.bytes.size())
    }

    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let layer = self.0.get(index).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        layer.bytes.read_exact_at(buf, offset)
    }
}

/// The kinds of streams by number, as people know them.
const STREAMS: [&str; 11] = [
    "ops",
    "lengths",
    "sources",
    "offsets",
    "operands",
    "columns",
    "text",
    "code",
    "raw",
    "corrections",
    "exact",
];

/// Where the bytes of a payload are.
fn notes(target: &Layer, candidate: &Candidate) -> Vec<String> {
    let summary = &candidate.encoded.summary;
    let mut notes = vec![format!(
        "layer {}: {} bytes as {} in {} ops",
        target.diff_id,
        target.bytes.size(),
        summary.payload_len,
        summary.head.ops
    )];
    let streams = summary.streams.iter();
    notes.extend(streams.map(|(kind, (raw, coded))| {
        let name = usize::try_from(*kind).ok().and_then(|kind| STREAMS.get(kind));
        format!("  {}: {raw} bytes as {coded}", name.unwrap_or(&"others"))
    }));
    notes
}
