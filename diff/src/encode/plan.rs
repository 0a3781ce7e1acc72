//! Cuts a target layer into pieces, and says for each what of the bases it may be made from.

use std::io;

use super::catalog::{Catalog, Place, basename};
use super::layer::{File, Layer};
use super::opened::{Coder, Framing, Opened};
use super::similar::Cover;
use crate::program::Hash;

/// A part of a target layer. Pieces follow each other without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes that stand in a base as they are: headers, content and padding of whole entries.
    Copy { layer: u32, offset: u64, len: u64 },
    /// Zero bytes.
    Zeros { len: u64 },
    /// An entry's header and the zeros before it; `whole` if header and content are those of `model`.
    Header { file: u32, zeros: u64, model: Option<Place>, whole: bool },
    /// An entry's content.
    Content { file: u32, from: From },
    /// Bytes that belong to no entry; `near` is where in the bases the like may stand.
    Other { offset: u64, len: u64, near: Option<Range> },
    /// Bytes around the members of an opened file; covers say where in a base layer the like stands.
    Frame { offset: u64, len: u64, layer: u32, covers: Vec<Cover> },
    /// Framing of an archive that is computed.
    Framing(Framing),
    /// What follows is compressed, to so many bytes.
    Enter { coder: Coder, encoded_len: u64 },
    /// What follows is hashed, until Leave.
    Hash(Hash),
    /// Ends the innermost Enter or Hash.
    Leave,
    /// The pieces up to the end make a kept object of so many bytes, not the layer.
    BeginKept { size: u64 },
    /// Ends a kept object.
    EndKept,
    /// The next bytes of the n-th kept object among the pieces: the content of an entry.
    Following { kept: u32, len: u64 },
}

/// A range of a base layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub layer: u32,
    pub offset: u64,
    pub len: u64,
}

/// Where content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// A file with the same content.
    Twin(Place),
    /// A file that it resembles.
    Relative(Place),
    /// Nothing.
    Nowhere,
}

/// Entries that a copy of whole entries must have.
const RUN: usize = 2;

/// Bytes of a base that are searched at least for what belongs to no entry.
const AROUND: u64 = 1 << 20;

/// Entries of a base that are looked at for one without content that moved.
const NEAR: u32 = 16;

/// Bytes of a header that are compared with those of the base's.
const HEADER: u64 = 64 << 10;

/// What is known of one entry before runs are formed.
#[derive(Debug, Clone, Copy)]
struct Fate {
    /// Zeros before its header.
    zeros: u64,
    /// The base's entry that its header resembles.
    model: Option<Place>,
    from: From,
    /// Header and content are those of `model`.
    whole: bool,
}

/// The pieces of a target layer.
///
/// # Errors
/// What reading the layers fails with.
pub(crate) fn pieces(opened: &Opened, catalog: &Catalog<'_>) -> io::Result<Vec<Piece>> {
    let (target, bases) = (&opened.target, &opened.bases[..]);
    let entries = target.files.get(..opened.entries).unwrap_or_default();
    let mut planner =
        Planner { opened, target, bases, catalog, pieces: Vec::new(), run: None, last: None };
    let mut end = 0;
    let mut fates = Vec::with_capacity(entries.len());
    for file in entries {
        fates.push(planner.fate(file, end)?);
        end = file.end();
    }
    end = 0;
    let mut at = 0;
    while let Some(file) = entries.get(at) {
        let gap = file.header_offset - end;
        if gap > fates[at].zeros {
            planner.other(end, gap, fates[at].model);
        }
        let run = planner.run_length(&fates[at..], at)?;
        if run >= RUN {
            planner.copy(&fates[at..at + run], at)?;
        } else {
            planner.entry(at as u32, file, &fates[at]);
        }
        at += run.max(1);
        end = entries[at - 1].end();
    }
    planner.tail(end)?;
    Ok(planner.pieces)
}

struct Planner<'a> {
    opened: &'a Opened,
    target: &'a Layer,
    bases: &'a [Layer],
    catalog: &'a Catalog<'a>,
    pieces: Vec<Piece>,
    /// The base's file that would continue the run of twins.
    run: Option<Place>,
    /// Where the last base file that was used ends.
    last: Option<(u32, u64)>,
}

impl Planner<'_> {
    fn fate(&mut self, file: &File, end: u64) -> io::Result<Fate> {
        let gap = file.header_offset - end;
        let zeros = if gap < 512 && is_zero(&self.target.read(end, gap)?) { gap } else { 0 };
        let twin = self.catalog.twin(file, self.run);
        let relative = || self.catalog.relative(file).filter(|_| file.size > 0);
        let from = match twin {
            Some(twin) => From::Twin(twin),
            None => relative().map_or(From::Nowhere, From::Relative),
        };
        let model = match from {
            From::Twin(place) | From::Relative(place) => Some(place),
            From::Nowhere => self.catalog.same_path(file).or_else(|| self.moved(file)),
        };
        self.run = model.map(Place::next).or(self.run);
        let whole = match (model, from) {
            (Some(model), From::Twin(twin)) if twin == model => self.same_header(file, model)?,
            (Some(model), From::Nowhere) if file.size == 0 => {
                let other = self.catalog.file(model);
                other.is_some_and(|other| other.size == 0) && self.same_header(file, model)?
            }
            _ => false,
        };
        Ok(Fate { zeros, model, from, whole })
    }

    /// An entry without content of the same kind and name, among the next ones of the base: that of a
    /// directory that moved.
    fn moved(&self, file: &File) -> Option<Place> {
        let run = self.run.filter(|_| file.size == 0)?;
        let near = (run.file..run.file.saturating_add(NEAR)).map(|file| Place { file, ..run });
        near.map_while(|place| Some((place, self.catalog.file(place)?)))
            .find(|(_, other)| {
                other.kind == file.kind
                    && other.size == 0
                    && basename(other.name()) == basename(file.name())
            })
            .map(|(place, _)| place)
    }

    fn same_header(&self, file: &File, model: Place) -> io::Result<bool> {
        let Some(other) = self.catalog.file(model) else { return Ok(false) };
        let len = file.content_offset - file.header_offset;
        if other.content_offset - other.header_offset != len || len > HEADER {
            return Ok(false);
        }
        let base = &self.bases[model.layer as usize];
        Ok(self.target.read(file.header_offset, len)? == base.read(other.header_offset, len)?)
    }

    /// How many entries from the first on are whole and stand together in the base as they do here.
    fn run_length(&self, fates: &[Fate], at: usize) -> io::Result<usize> {
        let mut len = 0;
        let mut expected = None;
        for (fate, file) in fates.iter().zip(&self.target.files[at..]) {
            let Some(model) = fate.model.filter(|_| fate.whole) else { break };
            let Some(other) = self.catalog.file(model) else { break };
            if let Some((layer, end)) = expected {
                let follows = layer == model.layer
                    && other.header_offset.checked_sub(fate.zeros) == Some(end)
                    && file.header_offset - self.target.files[at + len - 1].end() == fate.zeros
                    && is_zero(&self.bases[layer as usize].read(end, fate.zeros)?);
                if !follows {
                    break;
                }
            }
            expected = Some((model.layer, other.end()));
            len += 1;
        }
        Ok(len)
    }

    /// Copies a run of whole entries; the zeros before it too, where the base has as many there.
    fn copy(&mut self, fates: &[Fate], at: usize) -> io::Result<()> {
        let (first, last) = (&self.target.files[at], &self.target.files[at + fates.len() - 1]);
        let Some((model, other)) =
            fates[0].model.and_then(|model| Some((model, self.catalog.file(model)?)))
        else {
            return Ok(());
        };
        let zeros = fates[0].zeros;
        let len = last.end() - first.header_offset;
        let before = other.header_offset.checked_sub(zeros);
        let base = &self.bases[model.layer as usize];
        let (offset, len) = match before {
            Some(before) if is_zero(&base.read(before, zeros)?) => (before, len + zeros),
            _ => {
                self.pieces.push(Piece::Zeros { len: zeros });
                (other.header_offset, len)
            }
        };
        self.pieces.push(Piece::Copy { layer: model.layer, offset, len });
        self.last = Some((model.layer, offset + len));
        Ok(())
    }

    fn entry(&mut self, number: u32, file: &File, fate: &Fate) {
        let Fate { zeros, model, from, whole } = *fate;
        self.pieces.push(Piece::Header { file: number, zeros, model, whole });
        match self.opened.pieces(number, self.catalog) {
            Some(pieces) => self.pieces.extend(pieces),
            None if file.size > 0 => self.pieces.push(Piece::Content { file: number, from }),
            None => {}
        }
        if let Some((model, other)) =
            model.and_then(|model| Some((model, self.catalog.file(model)?)))
        {
            self.last = Some((model.layer, other.end()));
        }
    }

    fn other(&mut self, offset: u64, len: u64, next: Option<Place>) {
        let near = self.near(len, next);
        self.pieces.push(Piece::Other { offset, len, near });
    }

    /// Where the like of bytes may stand that belong to no entry: after the base's entry that was used
    /// last, or before the one that comes next; without either in the base of the nearest size.
    fn near(&self, len: u64, next: Option<Place>) -> Option<Range> {
        let around = len.saturating_mul(2).max(AROUND);
        let next =
            next.and_then(|place| Some((place.layer, self.catalog.file(place)?.header_offset)));
        if let Some((layer, offset)) = self.last {
            let left = self.bases.get(layer as usize)?.bytes.size().checked_sub(offset)?;
            let to_next =
                next.filter(|next| next.0 == layer).and_then(|next| next.1.checked_sub(offset));
            return Some(Range { layer, offset, len: around.max(to_next.unwrap_or(0)).min(left) });
        }
        if let Some((layer, end)) = next {
            let offset = end.saturating_sub(around);
            return Some(Range { layer, offset, len: end - offset });
        }
        let size = self.target.bytes.size();
        let sizes = (0..).zip(self.bases).map(|(layer, base)| (layer, base.bytes.size()));
        let (layer, len) = sizes.min_by_key(|(_, other)| other.abs_diff(size))?;
        Some(Range { layer, offset: 0, len })
    }

    /// What follows the last entry: zeros, as a rule.
    fn tail(&mut self, end: u64) -> io::Result<()> {
        let len = self.target.bytes.size() - end;
        if len == 0 {
            return Ok(());
        }
        let mut at = end;
        while at < end + len {
            let part = (end + len - at).min(1 << 20);
            if !is_zero(&self.target.read(at, part)?) {
                self.other(end, len, None);
                return Ok(());
            }
            at += part;
        }
        self.pieces.push(Piece::Zeros { len });
        Ok(())
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}
