//! Searches contents of the target in contents of the bases, side by side and in bounded memory.

use std::convert::Infallible;
use std::io;

use rayon::prelude::*;

use super::executable::{self, Depth, File};
use super::groups::literal_kind;
use super::layer::Layer;
use super::quotes::Quote;
use crate::matching::{self, Costs, Effort, Reach};
use crate::program::{Literal, Params, inner};

/// A range of the target to be found in a range of a base layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Search {
    /// Where it begins in the target layer.
    pub target: u64,
    /// Bytes of it.
    pub len: u64,
    /// The place of the base layer.
    pub layer: u32,
    /// Where the range of the base begins.
    pub base: u64,
    /// Bytes of that.
    pub base_len: u64,
}

impl Search {
    /// A cover of a part of both sides, which begins at these places of them.
    fn cover(&self, (target, base): (u64, u64), cover: &matching::Cover) -> Cover {
        Cover {
            target: self.target + target + cover.target as u64,
            base: self.base + base + cover.base as u64,
            len: cover.len as u64,
        }
    }
}

/// A range of the target layer that resembles a range of a base layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cover {
    /// Where it begins in the target layer.
    pub target: u64,
    /// Where it begins in the base layer.
    pub base: u64,
    /// Bytes of it.
    pub len: u64,
}

/// How contents are searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ways {
    /// How far, and with how many bytes of memory for one large search.
    pub(crate) effort: Effort,
    /// How else contents are searched that are no executables: what makes least is kept.
    pub(crate) also: &'static [Reach],
    /// How executables are searched by their model, if they are.
    pub(crate) models: Option<Depth>,
}

/// What was found of a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub covers: Vec<Cover>,
    /// The model for the covers of an executable.
    pub model: Option<Params>,
    /// Tables of symbols that it makes.
    pub tables: Option<executable::Tables>,
    /// Where in the executable rows of a table of frame descriptions stand that it makes.
    pub index: Option<std::ops::Range<u64>>,
    /// The same of tables of exceptions.
    pub exceptions: Option<std::ops::Range<u64>>,
    /// Digests that stand between the covers as text.
    pub quotes: Vec<Quote>,
}

/// Searches of at most so many bytes of both sides run side by side; larger ones are each searched by
/// all threads. Constant, so that the result does not depend on the number of threads.
const SMALL: u64 = 4 << 20;

/// Bytes of a content at least that is worth several searches.
const WORTH_MORE: usize = 16 << 10;

/// Of the memory such a part is left for parts of a target, covers and models while executables are searched.
const ASIDE: usize = 8;

/// The covers of each search.
///
/// Holds at most the memory of the effort for a large search: of content longer than that allows, windows are searched in windows of the base.
///
/// # Errors
/// What reading the layers fails with.
pub(crate) fn search(
    target: &Layer,
    bases: &[Layer],
    searches: &[Search],
    ways: &Ways,
    done: impl Fn(u64) + Sync,
) -> io::Result<Vec<Found>> {
    let one = |search: &Search| {
        let covers = one(target, bases, search, ways);
        done(search.len);
        covers
    };
    let is_small = |search: &Search| search.len.saturating_add(search.base_len) <= SMALL;
    let small: io::Result<Vec<Option<Found>>> = searches
        .par_iter()
        .map(|search| is_small(search).then(|| one(search)).transpose())
        .collect();
    let found = small?.into_iter().zip(searches);
    found.map(|(covers, search)| covers.map_or_else(|| one(search), Ok)).collect()
}

fn one(target: &Layer, bases: &[Layer], search: &Search, ways: &Ways) -> io::Result<Found> {
    let memory = ways.effort.memory as u64;
    let window = memory / 8;
    let Some(base) = bases.get(search.layer as usize) else { return Ok(Found::default()) };
    let whole = search.len <= window && search.base_len <= window.saturating_mul(3);
    if let Some(depth) = ways.models
        && search.len.max(search.base_len) <= memory / 2
        && let Some(found) = executables(target, base, search, (ways, depth))?
    {
        return Ok(found);
    }
    let costs = match literal_kind(target, search.target, search.len)? {
        Literal::Text => Costs::TEXT,
        _ => Costs::BYTES,
    };
    let step = if whole { search.len.max(1) } else { window.max(1 << 16) };
    let mut covers: Vec<Cover> = Vec::new();
    let mut at = 0;
    while at < search.len {
        let len = step.min(search.len - at);
        let (base_at, base_len) =
            if whole { (0, search.base_len) } else { base_window(search, at, step, covers.last()) };
        let base = base.read(search.base + base_at, base_len)?;
        let found = window_covers(&base, &target.read(search.target + at, len)?, ways, &costs);
        covers.extend(found.iter().map(|cover| search.cover((at, base_at), cover)));
        at += len;
    }
    Ok(Found { covers, ..Found::default() })
}

/// The covers of a window.
fn window_covers(base: &[u8], target: &[u8], ways: &Ways, costs: &Costs) -> Vec<matching::Cover> {
    let memory = ways.effort.memory / 8 * 5;
    let search = |reach| {
        let effort = Effort { reach, memory, ..ways.effort };
        matching::covers(base, target, &effort, costs)
    };
    let mut best = search(ways.effort.reach);
    if target.len() < WORTH_MORE || ways.also.is_empty() {
        return best;
    }
    let mut least = measured(base, target, &best, costs);
    for &reach in ways.also {
        let other = search(reach);
        let len = if other == best { least } else { measured(base, target, &other, costs) };
        if len < least {
            (least, best) = (len, other);
        }
    }
    best
}

/// What covers come to in bytes, about: their corrections coded, the rest as `costs` says.
fn measured(base: &[u8], target: &[u8], covers: &[matching::Cover], costs: &Costs) -> usize {
    let Ok(corrections) = inner::measured(|corrections| {
        for cover in covers {
            let before = &base[cover.base..cover.base_end()];
            let wanted = &target[cover.target..cover.target_end()];
            if before != wanted {
                corrections.push(before, &[], wanted);
                corrections.end_op();
            }
        }
        Ok::<_, Infallible>(())
    });
    corrections + costs.beside(covers, target.len())
}

/// What is found where both sides, each of at most half of `memory`, are executables and their model pays.
fn executables(
    target: &Layer,
    base: &Layer,
    search: &Search,
    (ways, depth): (&Ways, Depth),
) -> io::Result<Option<Found>> {
    let starts = |layer: &Layer, at, len: u64| {
        Ok::<_, io::Error>(executable::is_elf(&layer.read(at, len.min(64))?))
    };
    if !starts(base, search.base, search.base_len)? || !starts(target, search.target, search.len)? {
        return Ok(None);
    }
    // The base is held, its index, and besides parts of the target.
    let all = ways.effort.memory;
    let memory = all - all / ASIDE - search.base_len as usize;
    let effort = Effort { memory, every: depth.every, ..ways.effort };
    let base = File::new(&*base.bytes, search.base, search.base_len);
    let target = File::new(&*target.bytes, search.target, search.len);
    let found = executable::search(base, target, &effort, depth)?;
    Ok(found.map(|found| Found {
        covers: found.covers.iter().map(|cover| search.cover((0, 0), cover)).collect(),
        model: Some(Params { offset: search.base, ..found.params }),
        tables: found.tables,
        index: found.index,
        exceptions: found.exceptions,
        quotes: Vec::new(),
    }))
}

/// The part of the base, three windows long, around the place where the window at `at` is expected.
fn base_window(search: &Search, at: u64, step: u64, last: Option<&Cover>) -> (u64, u64) {
    let expected = match last {
        Some(last) => (last.base + last.len - search.base)
            .saturating_add((search.target + at).saturating_sub(last.target + last.len)),
        None => at,
    };
    let len = search.base_len.min(step.saturating_mul(3));
    (expected.saturating_sub(step).min(search.base_len - len), len)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::encode::executable::tests::program;
    use dd_inspect::digest::DiffId;
    use std::sync::Arc;

    const REACH: Reach = Reach { key: 12, candidates: 8, trust: 4 };
    const DEPTH: Depth = Depth { rounds: 2, every: 1, also: &[Reach { key: 14, ..REACH }] };

    fn ways(memory: usize) -> Ways {
        Ways { effort: Effort { reach: REACH, memory, every: 1 }, also: &[], models: None }
    }

    fn layer(bytes: Vec<u8>) -> Layer {
        Layer::new(DiffId::of(&bytes), Arc::new(bytes), Vec::new())
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 88_172_645_463_325_252_u64;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..len).map(next).collect()
    }

    fn found(base: &[u8], target: &[u8], search: Search, ways: &Ways) -> Vec<Cover> {
        let (target, bases) = (layer(target.to_vec()), [layer(base.to_vec())]);
        let mut found = super::search(&target, &bases, &[search], ways, |_| ()).unwrap();
        found.pop().unwrap().covers
    }

    #[test]
    fn ranges_are_those_of_the_layers() {
        let base = noise(50_000);
        let target = [&base[..100], &base[30_000..45_000]].concat();
        let search = Search { target: 100, len: 15_000, layer: 0, base: 20_000, base_len: 30_000 };
        let covers = found(&base, &target, search, &ways(1 << 24));
        assert_eq!(covers, [Cover { target: 100, base: 30_000, len: 15_000 }]);
    }

    #[test]
    fn of_several_ways_the_one_counts_that_makes_least() {
        let base = noise(WORTH_MORE + 16);
        // Parts too short for a long key.
        let target = base.chunks(24).rev().collect::<Vec<_>>().concat();
        let len = target.len() as u64;
        let search = Search { target: 0, len, layer: 0, base: 0, base_len: len };
        let with = |first, also| {
            let plain = ways(1 << 24);
            let effort = Effort { reach: first, ..plain.effort };
            found(&base, &target, search, &Ways { effort, also, ..plain }).len()
        };
        const LONG: Reach = Reach { key: 32, ..REACH };
        assert!(with(LONG, &[]) < 10 && with(REACH, &[]) > 500);
        assert_eq!(with(LONG, &[REACH]), with(REACH, &[]));
        assert_eq!(with(REACH, &[LONG]), with(REACH, &[]));
    }

    #[test]
    fn long_content_is_searched_in_windows() {
        let base = noise(3 << 20);
        let target = [&base[100_000..], &base[..1_000]].concat();
        let len = target.len() as u64;
        let search = Search { target: 0, len, layer: 0, base: 0, base_len: base.len() as u64 };
        let covers = found(&base, &target, search, &ways(4 << 20));
        let covered: u64 = covers.iter().map(|cover| cover.len).sum();
        assert!(covered > len - 2_000, "{covered} of {len}");
        for cover in covers {
            let (from, to) = (cover.base as usize, cover.target as usize);
            assert_eq!(base[from..from + 10], target[to..to + 10]);
        }
    }

    #[test]
    fn executables_longer_than_a_window_are_searched_with_a_model() {
        let gone = |number: usize| number % 97 == 5 && number % 2 == 1;
        let (base, target) = (program(4000, gone), program(4000, |_| false));
        let (len, base_len) = (target.len() as u64, base.len() as u64);
        let (target, bases) = (layer(target), [layer(base)]);
        let search = Search { target: 0, len, layer: 0, base: 0, base_len };
        let found = |memory: u64| {
            let ways = Ways { models: Some(DEPTH), ..ways(memory as usize) };
            super::search(&target, &bases, &[search], &ways, |_| ()).unwrap().pop()
        };
        assert!(found(3 * len).unwrap().model.is_some());
        // With less memory as other files.
        let found = found(len).unwrap();
        assert!(found.model.is_none() && !found.covers.is_empty());
    }

    #[test]
    fn an_absent_layer_gives_nothing_and_a_wrong_range_an_error() {
        let search = Search { target: 0, len: 10, layer: 1, base: 0, base_len: 10 };
        assert_eq!(found(b"0123456789", b"0123456789", search, &ways(1 << 20)), []);
        let (target, bases) = (layer(vec![0; 10]), [layer(vec![0; 10])]);
        let search = Search { layer: 0, base: 5, ..search };
        assert!(super::search(&target, &bases, &[search], &ways(1 << 20), |_| ()).is_err());
    }
}
