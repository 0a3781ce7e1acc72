//! Searches contents of the target in contents of the bases, side by side and in bounded memory.

use std::io;

use rayon::prelude::*;

use super::executable::{self, Depth, File};
use super::groups::literal_kind;
use super::layer::Layer;
use super::quotes::Quote;
use crate::matching::{self, Costs, Effort};
use crate::program::{Literal, Params};

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

/// Of the memory such a part is left for parts of a target, covers and models while executables are searched.
const ASIDE: u64 = 8;

/// The covers of each search.
///
/// With `models` executables are searched as their model predicts them. Holds at most `memory` bytes for a large search: of content longer than that allows, windows are
/// searched in windows of the base.
///
/// # Errors
/// What reading the layers fails with.
pub(crate) fn search(
    target: &Layer,
    bases: &[Layer],
    searches: &[Search],
    effort: &Effort,
    memory: u64,
    models: Option<Depth>,
    done: impl Fn(u64) + Sync,
) -> io::Result<Vec<Found>> {
    let one = |search: &Search| {
        let effort = Effort { memory: effort.memory.min(memory as usize / 8 * 5), ..*effort };
        let covers = one(target, bases, search, &effort, memory, models);
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

fn one(
    target: &Layer,
    bases: &[Layer],
    search: &Search,
    effort: &Effort,
    memory: u64,
    models: Option<Depth>,
) -> io::Result<Found> {
    let window = memory / 8;
    let Some(base) = bases.get(search.layer as usize) else { return Ok(Found::default()) };
    let whole = search.len <= window && search.base_len <= window.saturating_mul(3);
    if let Some(depth) = models
        && search.len.max(search.base_len) <= memory / 2
        && let Some(found) = executables(target, base, search, (effort, depth), memory)?
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
        let found = matching::covers(
            &base.read(search.base + base_at, base_len)?,
            &target.read(search.target + at, len)?,
            effort,
            &costs,
        );
        covers.extend(found.iter().map(|cover| search.cover((at, base_at), cover)));
        at += len;
    }
    Ok(Found { covers, ..Found::default() })
}

/// What is found where both sides, each of at most half of `memory`, are executables and their model pays.
fn executables(
    target: &Layer,
    base: &Layer,
    search: &Search,
    (effort, depth): (&Effort, Depth),
    memory: u64,
) -> io::Result<Option<Found>> {
    let starts = |layer: &Layer, at, len: u64| {
        Ok::<_, io::Error>(executable::is_elf(&layer.read(at, len.min(64))?))
    };
    if !starts(base, search.base, search.base_len)? || !starts(target, search.target, search.len)? {
        return Ok(None);
    }
    // The base is held, its index, and besides parts of the target.
    let memory = memory - memory / ASIDE - search.base_len;
    let effort = Effort { memory: memory as usize, every: depth.every, ..*effort };
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

    const EFFORT: Effort = Effort { key: 12, candidates: 8, trust: 4, memory: 1 << 24, every: 1 };
    const DEPTH: Option<Depth> = Some(Depth { rounds: 2, every: 1, also: Some(14) });

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

    fn found(base: &[u8], target: &[u8], search: Search, memory: u64) -> Vec<Cover> {
        let (target, bases) = (layer(target.to_vec()), [layer(base.to_vec())]);
        let mut found =
            super::search(&target, &bases, &[search], &EFFORT, memory, None, |_| ()).unwrap();
        found.pop().unwrap().covers
    }

    #[test]
    fn ranges_are_those_of_the_layers() {
        let base = noise(50_000);
        let target = [&base[..100], &base[30_000..45_000]].concat();
        let search = Search { target: 100, len: 15_000, layer: 0, base: 20_000, base_len: 30_000 };
        let covers = found(&base, &target, search, 1 << 24);
        assert_eq!(covers, [Cover { target: 100, base: 30_000, len: 15_000 }]);
    }

    #[test]
    fn long_content_is_searched_in_windows() {
        let base = noise(3 << 20);
        let target = [&base[100_000..], &base[..1_000]].concat();
        let len = target.len() as u64;
        let search = Search { target: 0, len, layer: 0, base: 0, base_len: base.len() as u64 };
        let covers = found(&base, &target, search, 4 << 20);
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
        let found = |memory| {
            super::search(&target, &bases, &[search], &EFFORT, memory, DEPTH, |_| ()).unwrap().pop()
        };
        assert!(found(3 * len).unwrap().model.is_some());
        // With less memory as other files.
        let found = found(len).unwrap();
        assert!(found.model.is_none() && !found.covers.is_empty());
    }

    #[test]
    fn an_absent_layer_gives_nothing_and_a_wrong_range_an_error() {
        let search = Search { target: 0, len: 10, layer: 1, base: 0, base_len: 10 };
        assert_eq!(found(b"0123456789", b"0123456789", search, 1 << 20), []);
        let (target, bases) = (layer(vec![0; 10]), [layer(vec![0; 10])]);
        let search = Search { layer: 0, base: 5, ..search };
        assert!(super::search(&target, &bases, &[search], &EFFORT, 1 << 20, None, |_| ()).is_err());
    }
}
