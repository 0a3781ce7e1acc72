//! Executables: covers found over a base in which addresses are moved as the model will move them.
//!
//! First both sides are matched with the addresses of code left out. The covers say where bytes of the base
//! went; its addresses are rewritten by that, and it is matched again, twice: each time the map is better.

mod cut;
mod dictionary;
mod elf;
mod emit;
mod file;
mod go;
mod masked;
mod pair;
mod predicted;
mod rewritten;
mod symbols;
mod thin;

use std::io;
use std::ops::Range;

use crate::matching::{self, Cover, Effort, Reach, Scored};
use crate::program::{
    Content, Executable, Interval, Machine, Params, Source, SymbolTables, Version,
};
use cut::Cuts;
use elf::Elf;
pub(crate) use elf::is_elf;
pub(crate) use file::File;
use masked::{Compared, masked};
use pair::Pair;
pub(crate) use rewritten::rewrite;
pub(crate) use symbols::Tables;

/// Bytes of tables of exceptions at least and at most: of a C++ library, 36 KB of them were cheaper as differences.
const EXCEPTIONS: std::ops::RangeInclusive<u64> = 64 << 10..=4 << 20;

/// How thoroughly executables are searched by their model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    /// How often the base is rewritten and matched again.
    pub(crate) rounds: usize,
    /// Of so many positions of the base one is indexed.
    pub(crate) every: usize,
    /// How else they are searched: what makes least is kept.
    pub(crate) also: &'static [Reach],
}

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
///
/// Holds the base once, `effort.memory` for
/// its index and parts of the target.
///
/// # Errors
/// What reading the files fails with.
pub(crate) fn search(
    base: File<'_>,
    target: File<'_>,
    effort: &Effort,
    depth: Depth,
) -> io::Result<Option<Found>> {
    let Some(pair) = Pair::parse(base, target)? else { return Ok(None) };
    let search = |effort: &Effort| matched(&pair, (base, target), effort, depth.rounds);
    let mut best = search(effort)?;
    if !depth.also.is_empty() {
        let measured = |scored: &[Scored]| {
            predicted::measured(&pair, (base, target), scored).map_err(io::Error::other)
        };
        let mut least = measured(&best)?;
        for &reach in depth.also {
            let other = search(&Effort { reach, ..*effort })?;
            let len = measured(&other)?;
            if len < least {
                (least, best) = (len, other);
            }
        }
    }
    pair.found((base, target), best)
}

/// The covers of two executables, over the base as it is rewritten last.
fn matched(
    pair: &Pair,
    (base, target): (File<'_>, File<'_>),
    effort: &Effort,
    rounds: usize,
) -> io::Result<Vec<Scored>> {
    let compared = |mask| Compared { file: target, cuts: &pair.cut_target, mask };
    let mut scored = {
        let base = masked(&pair.of_base, base, &pair.cut_base)?;
        matching::scored(&base, &compared(Some(&pair.of_target)), effort, pair.costs())?
    };
    for _ in 0..rounds {
        let moved = rewrite(&pair.params, base, &pair.whole(&scored))?;
        let moved = pair.cut_base.without(moved);
        scored = matching::scored(&moved, &compared(None), effort, pair.costs())?;
    }
    Ok(scored)
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
        machine: from.machine,
        version: match from.machine {
            Machine::X86_64 if !has_exceptions => Version::Third,
            _ => Version::Fifth,
        },
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests;
