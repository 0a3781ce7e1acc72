//! Contents that a target layer has several times and no base has: they are made once.
//!
//! A layer that goes out is never read back, so such contents become a kept object, which is made first and
//! then copied wherever the content stands. Here it is one more base layer, of files without headers.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::record::EntryKind;

use super::layer::{File, Layer};
use super::opened::Opened;
use super::opened::splice::{From, Segments, Spliced, Spool};

/// Shorter contents are as cheap as the copies of them.
const MIN_LEN: u64 = 256;
/// Bytes of them together at most: they lie in a reader's scratch file.
const MAX_LEN: u64 = 512 << 20;

/// Contents that are made once.
pub(crate) struct Repeats {
    /// The contents one after the other.
    pub layer: Layer,
    /// For each of its files the first file of the target with this content.
    pub firsts: Vec<u32>,
}

impl Repeats {
    /// What stands several times in the opened target and in none of the bases, in the order in which it comes first. A
    /// scratch file without bytes is made in `dir`.
    ///
    /// # Errors
    /// There can be no file in `dir`.
    pub(crate) fn find(opened: &Opened, dir: &Path) -> io::Result<Option<Self>> {
        let firsts = firsts(&opened.target, &opened.bases);
        if firsts.is_empty() {
            return Ok(None);
        }
        let mut segments = Segments::default();
        let mut files = Vec::with_capacity(firsts.len());
        for &first in &firsts {
            let Some(file) = opened.target.files.get(first as usize) else { continue };
            let offset = segments.push(From::Layer(file.content_offset), file.size);
            files.push(File { header_offset: offset, content_offset: offset, ..file.clone() });
        }
        let bytes = Spliced::new(segments, opened.target.bytes.clone(), Spool::new(dir)?);
        let diff_id = DiffId::of(&[]);
        let layer = Layer { diff_id, bytes: Arc::new(bytes), files: files.into() };
        Ok(Some(Self { layer, firsts }))
    }
}

/// The first files of those with the same content.
fn firsts(target: &Layer, bases: &[Layer]) -> Vec<u32> {
    let mut counts: HashMap<(Digest, u64), (u32, u32)> = HashMap::new();
    for (number, file) in (0..).zip(target.files.iter()) {
        if let Some(content) = content(file) {
            counts.entry(content).or_insert((number, 0)).1 += 1;
        }
    }
    counts.retain(|_, (_, count)| *count > 1);
    if counts.is_empty() {
        return Vec::new();
    }
    let files = bases.iter().flat_map(|base| base.files.iter());
    let known: HashSet<_> = files.filter_map(content).collect();
    let mut firsts: Vec<(u32, u64)> = counts
        .into_iter()
        .filter(|(content, _)| !known.contains(content))
        .map(|((_, len), (first, _))| (first, len))
        .collect();
    firsts.sort_unstable();
    let mut left = MAX_LEN;
    firsts.retain(|(_, len)| {
        let fits = *len <= left;
        left -= if fits { *len } else { 0 };
        fits
    });
    firsts.into_iter().map(|(first, _)| first).collect()
}

/// What makes two contents the same, if it is worth it.
fn content(file: &File) -> Option<(Digest, u64)> {
    let digest = file.digest.filter(|_| file.kind == EntryKind::File && file.size >= MIN_LEN)?;
    Some((digest, file.size))
}
