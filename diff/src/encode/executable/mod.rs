//! Executables: covers found over a base in which addresses are moved as the model will move them.
//!
//! First both sides are matched with the addresses of code left out. The covers say where bytes of the base
//! went; its addresses are rewritten by that, and it is matched again, twice: each time the map is better.

mod cut;
mod dictionary;
mod elf;
mod emit;
mod go;
mod symbols;

use std::ops::Range;

use dd_inspect::failure::Failure;

use crate::matching::{self, Costs, Cover, Effort};
use crate::program::{
    Content, Executable, Interval, Params, STRETCH, Source, SymbolTables, Version,
};
use cut::Cuts;
use elf::Elf;
pub(crate) use elf::is_elf;
pub(crate) use symbols::Tables;

/// How often the base is rewritten and matched again.
const ROUNDS: usize = 2;
/// Covers at most: all of them go into one unit.
const COVERS: usize = 120_000;
/// Bytes of tables of exceptions at least and at most: of a C++ library, 36 KB of them were cheaper as differences.
const EXCEPTIONS: std::ops::RangeInclusive<u64> = 64 << 10..=4 << 20;
/// Bytes that a model must save.
const WORTH: usize = 256;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Ascending, without overlap in the target.
    pub(crate) covers: Vec<Cover>,
    /// Parameters of the model, but for the source and where the base's file lies in it.
    pub(crate) params: Params,
    /// Its tables of symbols.
    pub(crate) tables: Option<Tables>,
    /// Where rows of a table of frame descriptions stand in the target that it makes.
    pub(crate) index: Option<Range<u64>>,
    /// The same of tables of exceptions.
    pub(crate) exceptions: Option<Range<u64>>,
}

/// The covers of an executable and the model for them; none where these are no executables or a model does not pay.
pub(crate) fn search(base: &[u8], target: &[u8], effort: &Effort) -> Option<Found> {
    let (mut from, mut to) = (Elf::parse(base)?, Elf::parse(target)?);
    let exceptions = exceptions(&mut from, &mut to);
    let sizes = symbols::tables(&from, &to).filter(|_| symbols::in_order(target, &to));
    let rows = from.index.clone().zip(to.index.clone());
    let (cut_base, cut_target) = cuts(&from, &to, sizes.is_some())?;
    let params = params(&from, &to, base.len(), target.len())?;
    let symbols = sizes.unwrap_or_default();
    let version = match params.version {
        Version::Third if sizes.is_some() || rows.is_some() => Version::Fourth,
        version => version,
    };
    let params = Params { symbols, version, ..params };
    params.to_bytes()?;
    let back = self::params(&to, &to, target.len(), target.len())?;
    let forth = self::params(&from, &from, base.len(), base.len())?;
    let (masked_base, masked_target) =
        rayon::join(|| masked(&forth, base, &cut_base), || masked(&back, target, &cut_target));
    let mut covers = matching::covers(&masked_base, &masked_target, effort, &Costs::CODE);
    drop((masked_base, masked_target));
    let short = cut_target.without(target.to_vec());
    let mut rewritten = Vec::new();
    for _ in 0..ROUNDS {
        let moved = rewrite(&params, base, &cut::whole(&covers, &cut_base, &cut_target));
        rewritten = cut_base.without(moved);
        covers = matching::covers(&rewritten, &short, effort, &Costs::CODE);
    }
    let differing = |base: &[u8], target: &[u8], covers: &[Cover]| -> usize {
        let of = |cover: &Cover| {
            let pairs = base[cover.base..cover.base_end()].iter();
            let wanted = &target[cover.target..cover.target_end()];
            pairs.zip(wanted).filter(|(a, b)| a != b).count()
        };
        covers.iter().map(of).sum()
    };
    let moved = differing(&rewritten, &short, &covers);
    let mut covers = cut::whole(&covers, &cut_base, &cut_target);
    let pays = moved + WORTH < differing(base, target, &covers);
    if let Some(exceptions) = &exceptions {
        covers = cut::outside(&covers, exceptions);
    }
    if !pays || covers.len() > COVERS {
        return None;
    }
    let tables = sizes.and_then(|_| symbols::pair((base, &from), (target, &to), &covers));
    let index = rows.map(|(_, rows)| rows);
    Some(Found { covers, params, tables, index, exceptions })
}

/// Where tables of exceptions stand in the target that follow from the base's.
fn exceptions(from: &mut Elf, to: &mut Elf) -> Option<Range<u64>> {
    let old = from.exceptions.clone()?;
    let range = to.exceptions.clone()?;
    let fits = |table: &Range<u64>| EXCEPTIONS.contains(&(table.end - table.start));
    if !fits(&old) || !fits(&range) {
        return None;
    }
    let (mut base, mut target) = (from.clone(), to.clone());
    base.make_exceptions()?;
    target.make_exceptions()?;
    (*from, *to) = (base, target);
    Some(range)
}

/// What is left out of both files; none where they are not as they should be.
fn cuts(from: &Elf, to: &Elf, has_symbols: bool) -> Option<(Cuts, Cuts)> {
    let has_index = from.index.is_some() && to.index.is_some();
    let of = |elf: &Elf| {
        let index = elf.index.clone().filter(|_| has_index);
        let symbols = elf.symbols.clone().filter(|_| has_symbols);
        let symbols = symbols.map(|(area, names)| area.offset..names.end);
        let cuts = index.into_iter().chain(symbols);
        let mut cuts: Vec<_> = cuts.map(|cut| cut.start as usize..cut.end as usize).collect();
        cuts.sort_by_key(|cut| cut.start);
        let apart = cuts.windows(2).all(|pair| pair[0].end <= pair[1].start);
        apart.then_some(Cuts(cuts))
    };
    Some((of(from)?, of(to)?))
}

fn params(from: &Elf, to: &Elf, len: usize, target_len: usize) -> Option<Params> {
    let has_exceptions = from.areas.iter().any(|area| area.content == Content::Exceptions);
    let params = Params {
        source: Source::Base(0),
        offset: 0,
        len: len as u64,
        target_len: target_len as u64,
        base: from.segments.clone(),
        target: to.segments.clone(),
        lowest: from.lowest,
        areas: from.areas.clone(),
        new: to.new_areas(),
        symbols: SymbolTables::default(),
        version: if has_exceptions { Version::Fifth } else { Version::Third },
    };
    params.to_bytes().map(|_| params)
}

/// The model over covers.
pub(crate) fn model(params: &Params, covers: impl Iterator<Item = Cover>) -> Executable {
    let interval = |cover: Cover| Interval {
        base: cover.base as u32,
        target: cover.target as u32,
        len: cover.len as u32,
    };
    Executable::new(params.clone(), covers.map(interval))
}

/// Reads the base's file from memory.
pub(crate) fn reader(base: &[u8]) -> impl FnMut(u64, &mut [u8]) -> Result<(), Failure> {
    move |offset, buf| {
        let bytes = usize::try_from(offset).ok().and_then(|at| base.get(at..)?.get(..buf.len()));
        let bytes =
            bytes.ok_or_else(|| dd_inspect::failure!(Unexpected, "a page of an executable"))?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

/// A file without the addresses that its code uses, and without tables.
fn masked(params: &Params, file: &[u8], tables: &Cuts) -> Vec<u8> {
    let mut executable = model(params, std::iter::empty());
    let mut masked = file.to_vec();
    let mut read = reader(file);
    for (number, stretch) in masked.chunks_mut(STRETCH).enumerate() {
        let at = (number * STRETCH) as u64;
        let bytes = &file[at as usize..][..stretch.len()];
        if executable.begin(at, at, bytes, &mut read).is_err() {
            continue;
        }
        for (at, len, is_plain) in executable.fields() {
            if is_plain {
                stretch[at..at + len].fill(0);
            }
        }
    }
    tables.without(masked)
}

/// The base with addresses moved as covers say.
pub(crate) fn rewrite(params: &Params, base: &[u8], covers: &[Cover]) -> Vec<u8> {
    let mut executable = model(params, covers.iter().copied());
    let mut moves: Vec<(usize, usize, u64)> = Vec::new();
    let mut end = 0;
    for (from, to, target) in executable.moves() {
        if from as usize > end {
            // Between two parts: as if it had gone with the one before.
            let before = moves.last().map_or(0, |last| last.2 + (last.1 - last.0) as u64);
            moves.push((end, from as usize, before));
        }
        moves.push((from as usize, to as usize, u64::from(target)));
        end = to as usize;
    }
    let before = moves.last().map_or(0, |last| last.2 + (last.1 - last.0) as u64);
    moves.push((end, base.len(), before));
    let mut rewritten = base.to_vec();
    let mut classes = vec![0; STRETCH];
    let mut read = reader(base);
    for (from, to, target) in moves {
        for at in (from..to).step_by(STRETCH) {
            let end = to.min(at + STRETCH);
            let target = target + (at - from) as u64;
            if executable.begin(at as u64, target, &base[at..end], &mut read).is_ok() {
                executable.predict(&mut rewritten[at..end], &mut classes, end - at);
            }
        }
    }
    rewritten
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
