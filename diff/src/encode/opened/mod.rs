//! Opens archives and compressed files of the target, so that what changed in them is compared as content.
//!
//! A file that changed is opened beside the file of the base that it was. What is around the members stays
//! bytes; a member that changed stands by its content, in a target layer made up for that, between the ops
//! that compress it again ([`Step`]). The contents of the base's members are kept objects, which the
//! payload makes first; here they are further base layers. So all that is done with files of layers is
//! done with members too. A member that no known encoder gives byte for byte stays closed.

mod build;
mod container;
mod elf;
mod framing;
mod gzip;
mod prove;
#[cfg(test)]
pub(in crate::encode) mod samples;
pub(super) mod splice;
#[cfg(test)]
mod tests;
mod tree;
mod zip;

use std::collections::HashMap;
use std::io;
use std::path::Path;

use dd_inspect::record::EntryKind;
use rayon::prelude::*;

pub(crate) use framing::{Framing, Part};
pub(crate) use prove::Coder;

use super::catalog::{Catalog, Place};
use super::layer::{File, Layer};
use super::plan::{From, Piece};
use super::similar::Cover;
use build::Builder;
use container::Window;
use tree::Tree;

/// A layer with its archives opened.
pub(crate) struct Opened {
    /// The target with contents in place of compressed bytes. Its entries come first, in their order, then
    /// the members.
    pub target: Layer,
    /// The base layers, then what the kept objects hold.
    pub bases: Vec<Layer>,
    /// Entries of the target.
    pub entries: usize,
    /// What takes the place of the content of entries that were opened.
    pub steps: HashMap<u32, Vec<Step>>,
    /// The base's member that each member was.
    pub relatives: Vec<Option<Place>>,
    /// The kept objects that are made first.
    pub kept: Vec<Kept>,
}

/// A kept object: compressed ranges of base layers, or of kept objects before it, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub size: u64,
    pub ranges: Vec<Range>,
}

/// A compressed range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub layer: u32,
    pub offset: u64,
    pub len: u64,
    /// Bytes of its content.
    pub plain_len: u64,
}

/// A part of an entry that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes as they are.
    Frame { offset: u64, len: u64, layer: u32, covers: Vec<Cover> },
    /// Framing that is computed.
    Framing(Framing),
    /// What follows is compressed.
    Enter { coder: Coder, encoded_len: u64 },
    /// The content of a member, by its number among them.
    Member(u32),
    /// Ends the innermost Enter.
    Leave,
}

/// Files of less are not opened.
const MIN_FILE: u64 = 100;
/// Of files that are opened at the same time: how many times their bytes both contents may have together. A single one
/// may have more.
const CONTENTS: u64 = 64;
/// Contents may have so many times the bytes of the layers, and this much more: the format bounds the work
/// of a reader by these.
const SHARE: u64 = 4;
const MORE: u64 = 64 << 20;
/// Contents that are compressed again may have so many times the bytes of the target, and this much more: the format has 8
/// times and 2^20.
const ENTERED: u64 = 6;
const ENTERED_MORE: u64 = 1 << 19;
/// Bytes of contents at most: they lie in a reader's scratch file.
const MAX_HELD: u64 = 2 << 30;

impl Opened {
    /// Everything as it is.
    pub(crate) fn nothing(target: &Layer, bases: &[Layer]) -> Self {
        Self {
            target: target.clone(),
            bases: bases.to_vec(),
            entries: target.files.len(),
            steps: HashMap::new(),
            relatives: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Opens what changed; contents go into files without a name in `dir`. For one file at most about
    /// `memory` bytes are held.
    ///
    /// # Errors
    /// What reading the layers or writing into `dir` fails with.
    pub(crate) fn new(
        target: &Layer,
        bases: &[Layer],
        catalog: &Catalog<'_>,
        memory: u64,
        dir: &Path,
    ) -> io::Result<Self> {
        let changed = changed(target, catalog)?;
        if changed.is_empty() {
            return Ok(Self::nothing(target, bases));
        }
        let sizes = bases.iter().fold(target.bytes.size(), |sum, base| sum + base.bytes.size());
        let most = sizes.saturating_mul(SHARE).saturating_add(MORE).min(MAX_HELD);
        let mut builder = Builder::new(target, bases, dir)?;
        let mut changed = changed.into_iter().peekable();
        let mut trees = HashMap::new();
        let mut any = false;
        let mut entered = target.bytes.size().saturating_mul(ENTERED).saturating_add(ENTERED_MORE);
        for (number, file) in (0..).zip(target.files.iter()) {
            if changed.peek().is_some_and(|&(next, _)| next == number) && builder.held() < most {
                trees = open_batch(target, catalog, &mut changed, memory)?;
            }
            match trees.remove(&number) {
                Some((base, tree)) if builder.held() < most && tree.entered() <= entered => {
                    any = true;
                    entered -= tree.entered();
                    builder.opened(file, base, tree)?;
                }
                _ => builder.entry(file),
            }
        }
        Ok(if any { builder.finish() } else { Self::nothing(target, bases) })
    }

    /// The pieces that an entry's content is made of, if the entry was opened.
    pub(crate) fn pieces(&self, entry: u32, catalog: &Catalog<'_>) -> Option<Vec<Piece>> {
        let piece = |step: &Step| match step {
            Step::Frame { offset, len, layer, covers } => {
                let (offset, len, layer) = (*offset, *len, *layer);
                Piece::Frame { offset, len, layer, covers: covers.clone() }
            }
            Step::Framing(framing) => Piece::Framing(framing.clone()),
            Step::Enter { coder, encoded_len } => {
                Piece::Enter { coder: coder.clone(), encoded_len: *encoded_len }
            }
            Step::Member(number) => {
                let file = self.entries as u32 + number;
                Piece::Content { file, from: self.origin(file, catalog) }
            }
            Step::Leave => Piece::Leave,
        };
        Some(self.steps.get(&entry)?.iter().map(piece).collect())
    }

    /// The entries that hold the members, by the numbers of these among the files of the target.
    pub(crate) fn owners(&self) -> HashMap<u32, u32> {
        let steps = self
            .steps
            .iter()
            .flat_map(|(&entry, steps)| steps.iter().map(move |step| (entry, step)));
        let owners = steps.filter_map(|(entry, step)| match step {
            Step::Member(number) => Some((number + self.entries as u32, entry)),
            _ => None,
        });
        owners.collect()
    }

    /// What of the bases a member is made from, which is the file of this number.
    fn origin(&self, file: u32, catalog: &Catalog<'_>) -> From {
        let number = (file as usize).checked_sub(self.entries);
        let Some(file) = self.target.files.get(file as usize) else { return From::Nowhere };
        let own = number.and_then(|number| self.relatives.get(number).copied().flatten());
        let same = |place: &Place| catalog.file(*place).is_some_and(|f| f.digest == file.digest);
        if let Some(own) = own.filter(same) {
            return From::Twin(own);
        }
        if let Some(twin) = catalog.twin(file, None) {
            return From::Twin(twin);
        }
        own.or_else(|| catalog.relative(file)).map_or(From::Nowhere, From::Relative)
    }
}

/// Covers of one member: the ops inside of an encoding are bounded.
const MAX_COVERS: usize = 40_000;

/// Keeps the longest covers of a member, if there are more than there may be.
pub(crate) fn bound(covers: &mut Vec<Cover>) {
    if covers.len() <= MAX_COVERS {
        return;
    }
    covers.sort_by_key(|cover| (std::cmp::Reverse(cover.len), cover.target));
    covers.truncate(MAX_COVERS);
    covers.sort_by_key(|cover| cover.target);
}

/// An entry that is worth opening, and the file of the bases that it was.
type Changed = (u32, Option<Place>);

/// The archives and compressed files that no base has.
fn changed(target: &Layer, catalog: &Catalog<'_>) -> io::Result<Vec<Changed>> {
    let mut changed = Vec::new();
    for (number, file) in (0..).zip(target.files.iter()) {
        let worth = file.kind == EntryKind::File && file.size >= MIN_FILE;
        if !worth || catalog.twin(file, None).is_some() {
            continue;
        }
        if container::sniff(&window(target, file))?.is_some() {
            let is_file = |place: &Place| {
                catalog.file(*place).is_some_and(|file| file.kind == EntryKind::File)
            };
            changed.push((number, catalog.relative(file).filter(is_file)));
        }
    }
    Ok(changed)
}

fn window<'a>(layer: &'a Layer, file: &File) -> Window<'a> {
    Window { bytes: &*layer.bytes, start: file.content_offset, len: file.size }
}

/// Opened files by the numbers of their entries, and the files that they were.
type Trees = HashMap<u32, (Option<Place>, Tree)>;

/// Opens the next files, as many as may be held at the same time.
fn open_batch(
    target: &Layer,
    catalog: &Catalog<'_>,
    changed: &mut std::iter::Peekable<impl Iterator<Item = Changed>>,
    memory: u64,
) -> io::Result<Trees> {
    let mut batch: Vec<(u32, Option<Place>, &File, Option<Window<'_>>)> = Vec::new();
    let mut len = 0;
    while let Some(&(number, place)) = changed.peek() {
        let Some(file) = target.files.get(number as usize) else { break };
        let base =
            place.and_then(|place| Some(window(catalog.layer(place.layer)?, catalog.file(place)?)));
        len += file.size + base.map_or(0, |base| base.len);
        if len.saturating_mul(CONTENTS) > memory && !batch.is_empty() {
            break;
        }
        batch.push((number, place, file, base));
        changed.next();
    }
    let alone = batch.len() == 1;
    batch
        .into_par_iter()
        .map(|(number, place, file, base)| {
            let budget = if alone { memory / 2 } else { file.size.saturating_mul(CONTENTS) };
            let budget = budget.min(memory / 2);
            let own = window(target, file);
            let alike = match &base {
                Some(base) => container::sniff(base)? == container::sniff(&own)?,
                None => false,
            };
            let (base, place) = (base.as_ref().filter(|_| alike), place.filter(|_| alike));
            let tree = tree::open(&own, base, 0, budget)?;
            Ok(tree.map(|tree| (number, (place, tree))))
        })
        .filter_map(Result::transpose)
        .collect()
}
