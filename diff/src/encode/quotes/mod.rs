//! Digests that text quotes: those of the layer's own files are computed, not carried.
//!
//! Lists of files (RECORD of Python packages, FILES.json of Ansible's, md5sums of Debian's) name the digest of
//! each file. Where a digest changed with its file, and the file is in the layer, the file is hashed on its
//! way and the text quotes the result. As a rule the text comes first: then the file becomes part of a kept
//! object, which is made before the layer, and the layer gives it from there. Files are entries, and members of
//! archives that were opened. What is quoted is found by
//! hashing the files that changed, not by the format of the text ([`find`]). Compiled Python code names the time of
//! its source ([`times`]).

mod arrange;
mod find;
#[cfg(test)]
mod tests;
mod times;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;

use rayon::prelude::*;

use super::groups::literal_kind;
use super::layer::Layer;
use super::options::{Options, Technique};
use super::plan::{From, Piece};
use super::similar::{Cover, Found};
use crate::program::{Form, Hash, Hasher, Literal, limits};
use find::Candidate;

/// Bytes that are computed from elsewhere in the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quote {
    /// Where they stand in the target layer.
    pub offset: u64,
    /// How many.
    pub len: u64,
    pub of: Quoted,
}

/// What is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quoted {
    /// A digest by its number.
    Digest { form: Form, number: u64 },
    /// The time in the header of the entry, as 4 bytes.
    Mtime,
}

/// Bytes of a text that is looked at.
const TEXT: u64 = 64 << 20;
/// Covers of a file that is hashed: the ops inside of a hash are bounded.
const COVERS: usize = 40_000;
/// Bytes that are read of a file at a time to hash it.
const CHUNK: u64 = 1 << 20;

/// A quote whose digest has no number yet.
#[derive(Debug, Clone)]
struct Link {
    /// Where it stands in the target layer, and its length.
    offset: u64,
    len: u64,
    form: Form,
    hash: Hash,
    /// The piece that has the file's content.
    of: usize,
}

/// The quotes of texts, by the number of their piece.
type Links = BTreeMap<usize, Vec<Link>>;

/// Pieces, and what was found of them by their numbers.
type Arranged = (Vec<Piece>, Vec<(usize, Found)>);

/// The digests of a content.
type Digests = Vec<(Hash, Vec<u8>)>;

/// Pieces and what was found of them, with digests in text computed.
///
/// # Errors
/// What reading the layers fails with.
pub(crate) fn quotes(
    target: &Layer,
    bases: &[Layer],
    entries: usize,
    pieces: Vec<Piece>,
    found: Vec<(usize, Found)>,
    options: &Options,
) -> io::Result<Arranged> {
    let found: BTreeMap<usize, Found> = found.into_iter().collect();
    let depths = depths(&pieces);
    let view = View { target, bases, pieces: &pieces, found: &found, depths };
    let links = if options.uses(Technique::Digests) { view.links()? } else { Links::new() };
    let sizes = |piece: usize| view.content(piece).map_or(0, |(_, len)| len);
    let plan = arrange::Plan::new(links, sizes);
    let (pieces, found) = plan.apply(pieces, found);
    let found = match options.uses(Technique::Times) {
        true => times::times(target, bases, entries, &pieces, found)?,
        false => found,
    };
    Ok((pieces, found))
}

/// Pieces of a layer before they are arranged.
struct View<'a> {
    target: &'a Layer,
    bases: &'a [Layer],
    pieces: &'a [Piece],
    found: &'a BTreeMap<usize, Found>,
    /// In how many encodings each piece stands.
    depths: Vec<usize>,
}

/// In how many encodings each piece stands.
fn depths(pieces: &[Piece]) -> Vec<usize> {
    let mut depth = 0usize;
    let after = |piece: &Piece| {
        match piece {
            Piece::Enter { .. } => depth += 1,
            Piece::Leave => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth
    };
    pieces.iter().map(after).collect()
}

impl View<'_> {
    /// The place and length of the content of an entry or a member that changed.
    fn content(&self, piece: usize) -> Option<(u64, u64)> {
        match *self.pieces.get(piece)? {
            Piece::Content { from: From::Twin(_), .. } => None,
            Piece::Content { file, .. } => {
                let file = self.target.files.get(file as usize)?;
                Some((file.content_offset, file.size))
            }
            _ => None,
        }
    }

    /// What changed texts quote of files that changed.
    fn links(&self) -> io::Result<Links> {
        let texts: io::Result<Vec<(usize, u64, Vec<Candidate>)>> = (0..self.pieces.len())
            .into_par_iter()
            .filter_map(|piece| self.changed(piece).transpose())
            .collect();
        let texts = texts?;
        let wanted: HashSet<(Hash, &[u8])> =
            texts.iter().flat_map(|(_, _, found)| found).map(|c| (c.hash, &c.digest[..])).collect();
        if wanted.is_empty() {
            return Ok(Links::new());
        }
        let files = self.files(&wanted)?;
        let mut links = Links::new();
        for (piece, offset, candidates) in &texts {
            let link = |candidate: &Candidate| {
                let of = *files.get(&(candidate.hash, candidate.digest.clone()))?;
                let Candidate { form, hash, ref range, .. } = *candidate;
                let (offset, len) = (offset + range.start as u64, range.len() as u64);
                (of != *piece).then_some(Link { offset, len, form, hash, of })
            };
            let found: Vec<Link> = candidates.iter().filter_map(link).collect();
            if !found.is_empty() {
                links.insert(*piece, found);
            }
        }
        Ok(links)
    }

    /// What may be digests in a changed text and does not stand in the base as it is.
    fn changed(&self, piece: usize) -> io::Result<Option<(usize, u64, Vec<Candidate>)>> {
        let Some((offset, len)) = self.content(piece).filter(|(_, len)| *len <= TEXT) else {
            return Ok(None);
        };
        if literal_kind(self.target, offset, len)? != Literal::Text {
            return Ok(None);
        }
        let text = self.target.read(offset, len)?;
        let mut candidates = find::candidates(&text);
        if let Some((covers, base)) = self.covers(piece) {
            let mut kept = Vec::new();
            for candidate in candidates {
                let start = offset + candidate.range.start as u64;
                if !stands(base, covers, start, &text[candidate.range.clone()])? {
                    kept.push(candidate);
                }
            }
            candidates = kept;
        }
        Ok((!candidates.is_empty()).then_some((piece, offset, candidates)))
    }

    /// The covers of a piece and the layer that they are of.
    fn covers(&self, piece: usize) -> Option<(&[Cover], &Layer)> {
        let Piece::Content { from: From::Relative(place), .. } = self.pieces.get(piece)? else {
            return None;
        };
        Some((&self.found.get(&piece)?.covers, self.bases.get(place.layer as usize)?))
    }

    /// The pieces whose content has one of these digests; of equal ones the first.
    fn files(
        &self,
        wanted: &HashSet<(Hash, &[u8])>,
    ) -> io::Result<HashMap<(Hash, Vec<u8>), usize>> {
        let hashes: BTreeSet<Hash> = wanted.iter().map(|(hash, _)| *hash).collect();
        let hashed: io::Result<Vec<Digests>> = (0..self.pieces.len())
            .into_par_iter()
            .map(|piece| {
                let mut digests = self.digests(piece, &hashes)?;
                digests.retain(|(hash, digest)| wanted.contains(&(*hash, &digest[..])));
                Ok(digests)
            })
            .collect();
        let mut files = HashMap::new();
        for (piece, digests) in hashed?.into_iter().enumerate() {
            for digest in digests {
                files.entry(digest).or_insert(piece);
            }
        }
        Ok(files)
    }

    /// The digests of a piece's content, if that can be hashed on its way.
    fn digests(&self, piece: usize, hashes: &BTreeSet<Hash>) -> io::Result<Digests> {
        let many = self.found.get(&piece).is_some_and(|found| found.covers.len() > COVERS);
        let depth = self.depths.get(piece).copied().unwrap_or(0);
        let fits = !many && depth + hashes.len() <= limits::DEPTH;
        let Some((offset, len)) = self.content(piece).filter(|_| fits) else {
            return Ok(Vec::new());
        };
        let mut hashers: Vec<(Hash, Hasher)> =
            hashes.iter().map(|&hash| (hash, Hasher::new(hash))).collect();
        let mut at = 0;
        while at < len {
            let part = self.target.read(offset + at, CHUNK.min(len - at))?;
            hashers.iter_mut().for_each(|(_, hasher)| hasher.update(&part));
            at += part.len() as u64;
        }
        Ok(hashers.into_iter().map(|(hash, hasher)| (hash, hasher.finish())).collect())
    }
}

/// Whether a cover gives bytes of the target, from `start` on, as they are in the base.
fn stands(base: &Layer, covers: &[Cover], start: u64, bytes: &[u8]) -> io::Result<bool> {
    let len = bytes.len() as u64;
    let after = covers.partition_point(|cover| cover.target <= start);
    let cover = after.checked_sub(1).and_then(|at| covers.get(at));
    match cover.filter(|cover| start + len <= cover.target + cover.len) {
        Some(cover) => Ok(base.read(cover.base + (start - cover.target), len)? == bytes),
        None => Ok(false),
    }
}
