//! Symbols of a target with those of the base that they resemble: by name, by address, or in the order of the table.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;

use super::elf::Elf;
use super::file::File;
use crate::matching::Cover;
use crate::program::names::{self, Text};
use crate::program::{
    Area, Content, NAMES, SYMBOL, SYMBOLS, Segment, Symbol, SymbolTables, Walk, Wanted,
};

/// Candidates that are looked at of each kind, on each side of where one is expected.
const NEAR: usize = 4;
/// How far behind what is expected a symbol of the same kind is looked for.
const AHEAD: u32 = 64;
/// Symbols that are looked at to see whether the walk goes on somewhere, of the target and of the base.
const FOLLOWING: (usize, u32) = (3, 6);
/// Bytes at most between symbols and their names.
const BETWEEN: u64 = 4096;
/// Ops for what comes out otherwise than expected.
const UNEXPECTED: u64 = 4096;
/// Of so many names one at most may stand elsewhere than behind the name before.
const ELSEWHERE: usize = 8;
/// Bytes of symbols and names that a reader holds at most.
const MOST: u64 = 24 << 20;

/// The tables of a target, with which of the base's symbols each resembles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tables {
    /// Where symbols and names stand in the target's file.
    pub(super) symbols: Range<usize>,
    pub(super) names: Range<usize>,
    /// The base's symbol, and whether the walk goes on there.
    pub(super) like: Vec<Option<(u32, bool)>>,
    /// For the symbols together, and each name that the base has one like: where both stand in their files, and bytes.
    alike: Vec<(usize, usize, usize)>,
}

impl Tables {
    /// Ops at most that they take.
    pub(super) fn ops(&self) -> u64 {
        let unknown = self.like.iter().filter(|like| like.is_none()).count() as u64;
        2 * unknown + UNEXPECTED
    }

    /// Where names like those of the base stand, ascending, without overlap.
    pub(super) fn covers(&self) -> impl Iterator<Item = Cover> {
        self.alike.iter().map(|&(target, base, len)| Cover { target, base, len })
    }

    /// What a writer wants of a symbol; `symbols` and `names` are the tables.
    pub(super) fn wanted<'a>(
        &self,
        (symbols, names): (&[u8], &'a [u8]),
        number: usize,
    ) -> Option<Wanted<'a>> {
        let symbol = Symbol::parse(symbols.get(number * SYMBOL as usize..)?.first_chunk()?);
        let name = name_of(names, &symbol);
        Some(Wanted { symbol, name, like: *self.like.get(number)? })
    }
}

fn name_of<'a>(names: &'a [u8], symbol: &Symbol) -> &'a [u8] {
    let rest = names.get(symbol.name as usize..).unwrap_or_default();
    rest.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Where the tables of both files stand, if these have some that a model takes.
pub(super) fn tables(from: &Elf, to: &Elf) -> Option<SymbolTables> {
    let ((base, base_names), (target, names)) = (from.symbols.clone()?, to.symbols.clone()?);
    let whole = |area: Area| area.len.is_multiple_of(SYMBOL);
    let count = target.len / SYMBOL;
    let range = |range: &Range<u64>| (range.start, range.end - range.start);
    let tables = SymbolTables {
        base: Some(base),
        base_names: range(&base_names),
        count,
        names: range(&names),
    };
    let near = |area: Area, names: &Range<u64>| names.start - area.offset - area.len <= BETWEEN;
    let first = from.areas.iter().find(|area| area.content == Content::Symbols);
    let fits = first == Some(&base)
        && count <= SYMBOLS
        && base.len / SYMBOL <= SYMBOLS
        && tables.names.1.max(tables.base_names.1) <= NAMES
        && near(base, &base_names)
        && near(target, &names)
        && tables.memory() <= MOST;
    (fits && whole(base) && whole(target)).then_some(tables)
}

/// Whether all names lie among the names, and most follow one another in the order of their symbols, as a model expects them to.
/// Linkers that have names end in others sort them: such tables are better compared as bytes.
pub(super) fn in_order(file: &[u8], elf: &Elf) -> bool {
    let Some((area, names)) = elf.symbols.clone() else { return false };
    let symbols = area.offset as usize..(area.offset + area.len) as usize;
    let names = names.start as usize..names.end as usize;
    let (Some(symbols), Some(names)) = (file.get(symbols), file.get(names)) else { return false };
    if names.last() != Some(&0) {
        return false;
    }
    let (records, _) = symbols.as_chunks::<{ SYMBOL as usize }>();
    let (mut end, mut elsewhere) = (1, 0);
    let mut seen = HashSet::from([0]);
    for symbol in records.iter().map(Symbol::parse) {
        if symbol.name as usize >= names.len() {
            return false;
        }
        if seen.insert(symbol.name) {
            elsewhere += usize::from(symbol.name as usize != end);
            end = symbol.name as usize + name_of(names, &symbol).len() + 1;
        }
    }
    elsewhere * ELSEWHERE <= records.len()
}

/// Finds what the symbols of `target` resemble; `covers` say where of the base the target stands.
///
/// # Errors
/// What reading the files fails with.
pub(super) fn pair(
    (base, from): (File<'_>, &Elf),
    (target, to): (File<'_>, &Elf),
    covers: &[Cover],
) -> io::Result<Option<Tables>> {
    let place = |elf: &Elf| {
        let (area, names) = elf.symbols.clone()?;
        let end = (area.offset + area.len) as usize;
        Some((area.offset as usize..end, names.start as usize..names.end as usize))
    };
    let (Some((olds, old_names)), Some((symbols, names))) = (place(from), place(to)) else {
        return Ok(None);
    };
    let mut keys = HashMap::new();
    let (first_symbol, first_name) = (olds.start, old_names.start);
    let read =
        |file: File<'_>, range: &Range<usize>| file.read(range.start as u64..range.end as u64);
    let olds = table(&read(base, &olds)?, &read(base, &old_names)?, &mut keys);
    let news = table(&read(target, &symbols)?, &read(target, &names)?, &mut keys);
    drop(keys);
    let origin = Origin::new(&from.segments, &to.segments, covers);
    let mut search = Search::new(&olds, &news, &origin);
    let like: Vec<Option<(u32, bool)>> =
        (0..news.len()).map(|number| search.take(number)).collect();
    let records = symbols.len().min(olds.len() * SYMBOL as usize);
    let mut alike = vec![(symbols.start, first_symbol, records)];
    let mut end = 0;
    for (new, like) in news.iter().zip(&like) {
        let at = new.symbol.name as usize;
        if let Some((old, _)) = like
            && at >= end
        {
            let old = &olds[*old as usize];
            let len = new.len.min(old.len);
            alike.push((names.start + at, first_name + old.symbol.name as usize, len));
            end = at + new.len + 1;
        }
    }
    Ok(Some(Tables { symbols, names, like, alike }))
}

/// A symbol with numbers for its name and for what is the same in names that are alike.
struct Named {
    symbol: Symbol,
    name: u32,
    /// Bytes of the name.
    len: usize,
    alike: u32,
    /// Whether hashes stand in the name, or numbers.
    has_hash: bool,
    has_field: bool,
}

fn table(symbols: &[u8], names: &[u8], keys: &mut HashMap<Vec<u8>, u32>) -> Vec<Named> {
    let mut number = |key: Vec<u8>| {
        let next = keys.len() as u32;
        *keys.entry(key).or_insert(next)
    };
    let (records, _) = symbols.as_chunks::<{ SYMBOL as usize }>();
    let named = |record| {
        let symbol = Symbol::parse(record);
        let name = name_of(names, &symbol);
        let fields = names::fields(name);
        let mut alike = vec![0];
        let mut at = 0;
        for field in &fields {
            alike.extend_from_slice(&name[at..field.at]);
            alike.extend([0, if field.text == Text::Hash { field.len as u8 } else { 1 }]);
            at = field.at + field.len;
        }
        alike.extend_from_slice(&name[at..]);
        Named {
            symbol,
            name: number(name.to_vec()),
            len: name.len(),
            alike: number(alike),
            has_hash: fields.iter().any(|field| field.text != Text::Number),
            has_field: !fields.is_empty(),
        }
    };
    records.iter().map(named).collect()
}

/// Where of the base something of the target was.
struct Origin<'a> {
    base: &'a [Segment],
    target: &'a [Segment],
    covers: &'a [Cover],
}

impl<'a> Origin<'a> {
    fn new(base: &'a [Segment], target: &'a [Segment], covers: &'a [Cover]) -> Self {
        Self { base, target, covers }
    }

    /// The base's address of what stands at an address of the target.
    fn of(&self, address: u64) -> Option<u64> {
        let inside = |segment: &&Segment| {
            address.checked_sub(segment.address).is_some_and(|at| at < segment.len)
        };
        let segment = self.target.iter().find(inside)?;
        let place = (segment.offset + (address - segment.address)) as usize;
        let next = self.covers.partition_point(|cover| cover.target <= place);
        let before = next.checked_sub(1).and_then(|before| self.covers.get(before));
        let distance = |cover: &&Cover| {
            cover.target.saturating_sub(place).max((place + 1).saturating_sub(cover.target_end()))
        };
        let cover = before.into_iter().chain(self.covers.get(next)).min_by_key(distance)?;
        let place = (cover.base + place).checked_sub(cover.target)? as u64;
        let inside = |segment: &&Segment| {
            place.checked_sub(segment.offset).is_some_and(|at| at < segment.len)
        };
        let segment = self.base.iter().find(inside)?;
        Some(segment.address + (place - segment.offset))
    }
}

/// A search in progress.
struct Search<'a> {
    olds: &'a [Named],
    news: &'a [Named],
    /// Where in the base symbols of the target were.
    origins: Vec<Option<u64>>,
    walk: Walk,
    /// Whether a symbol of the base has the very name, with a hash, of one of the target.
    claimed: Vec<bool>,
    /// Symbols of the base by name, by what is alike, and by address, each with its place.
    by_name: Vec<(u32, u32)>,
    by_alike: Vec<(u32, u32)>,
    by_address: Vec<(u64, u32)>,
}

impl<'a> Search<'a> {
    fn new(olds: &'a [Named], news: &'a [Named], origin: &Origin<'_>) -> Self {
        fn sorted<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<(K, u32)> {
            let mut list: Vec<(K, u32)> = keys.zip(0..).collect();
            list.sort_unstable();
            list
        }
        let names: HashSet<u32> =
            news.iter().filter(|new| new.has_hash).map(|new| new.name).collect();
        Self {
            claimed: olds.iter().map(|old| names.contains(&old.name)).collect(),
            by_name: sorted(olds.iter().map(|old| old.name)),
            by_alike: sorted(olds.iter().map(|old| old.alike)),
            by_address: sorted(olds.iter().map(|old| old.symbol.value)),
            walk: Walk::new(olds.len()),
            origins: news.iter().map(|new| origin.of(new.symbol.value)).collect(),
            olds,
            news,
        }
    }

    /// What the next symbol of the target resembles, and whether the walk goes on there.
    fn take(&mut self, number: usize) -> Option<(u32, bool)> {
        let new = &self.news[number];
        let address = self.origins[number];
        let best = self.candidates(new, address);
        let best = best.into_iter().min_by_key(|&old| (self.cost(new, address, old), old))?;
        let goes_on = self.goes_on(number, best);
        self.walk.take(best, goes_on);
        Some((best, goes_on))
    }

    fn candidates(&self, new: &Named, address: Option<u64>) -> Vec<u32> {
        let next = self.walk.next();
        let mut found: Vec<u32> = (next..next.saturating_add(AHEAD)).take(NEAR).collect();
        found.extend(near(&self.by_name, new.name, next));
        found.extend(near(&self.by_alike, new.alike, next));
        if let Some(address) = address {
            found.extend(near(&self.by_address, address, next));
        }
        let fits = |old: &u32| {
            let of = self.olds.get(*old as usize);
            of.is_some_and(|of| of.alike == new.alike) && !self.walk.is_taken(*old)
        };
        found.retain(fits);
        found
    }

    /// What it costs in bits, about, to say that a symbol resembles one of the base.
    fn cost(&self, new: &Named, address: Option<u64>, number: u32) -> u32 {
        let (old, next) = (&self.olds[number as usize], self.walk.next());
        let walk = match number.checked_sub(next) {
            Some(0) => 0,
            Some(1..=AHEAD) => 8,
            _ => 20,
        };
        let name = match (old.name == new.name, new.has_hash, new.has_field) {
            (true, _, _) => 0,
            (_, true, _) => 40,
            (_, _, true) => 6,
            _ => 0,
        };
        // Symbols without size follow from the one before.
        let is_there = old.symbol.size == 0 || address.is_none_or(|at| at == old.symbol.value);
        let is_anothers = self.claimed[number as usize] && old.name != new.name;
        walk + name + if is_there { 0 } else { 32 } + if is_anothers { 30 } else { 0 }
    }

    /// Whether what follows in the base follows in the target too, rather than what was expected.
    fn goes_on(&self, number: usize, old: u32) -> bool {
        let next = self.walk.next();
        if old == next {
            return true;
        }
        let score = |first: u32| -> usize {
            let olds = (first..first.saturating_add(FOLLOWING.1))
                .filter(|&old| !self.walk.is_taken(old))
                .filter_map(|old| self.olds.get(old as usize));
            let olds: Vec<&Named> = olds.collect();
            let news = self.news.iter().zip(&self.origins).skip(number + 1).take(FOLLOWING.0);
            news.map(|(new, origin)| {
                let alike = olds.iter().filter(|old| old.alike == new.alike);
                let score = |old: &&Named| {
                    1 + 2 * usize::from(!new.has_field || new.has_hash && old.name == new.name)
                        + usize::from(*origin == Some(old.symbol.value))
                };
                alike.map(score).max().unwrap_or(0)
            })
            .sum()
        };
        let (here, there) = (score(old + 1), score(next));
        let forward = old > next && old - next <= AHEAD;
        here > there || here == there && forward
    }
}

/// The places of a key that are nearest to one that is expected.
fn near<K: Ord + Copy>(list: &[(K, u32)], key: K, next: u32) -> impl Iterator<Item = u32> {
    let first = list.partition_point(|entry| *entry < (key, 0));
    let end = list.partition_point(|entry| *entry <= (key, u32::MAX));
    let at = list.partition_point(|entry| *entry < (key, next));
    let from = at.saturating_sub(NEAR).max(first);
    list[from..end.min(at + NEAR)].iter().map(|entry| entry.1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A symbol of so many bytes at an address.
    fn named(keys: &mut HashMap<Vec<u8>, u32>, symbols: &[(&str, u64, u64)]) -> Vec<Named> {
        let (mut records, mut names) = (Vec::new(), vec![0]);
        for &(name, value, size) in symbols {
            records.extend((names.len() as u32).to_le_bytes());
            records.extend([2, 0, 1, 0]);
            records.extend(value.to_le_bytes());
            records.extend(size.to_le_bytes());
            names.extend(name.bytes().chain([0]));
        }
        table(&records, &names, keys)
    }

    /// What each symbol resembles where the target's addresses are those of the base.
    fn found(base: &[(&str, u64, u64)], target: &[(&str, u64, u64)]) -> Vec<Option<(u32, bool)>> {
        let mut keys = HashMap::new();
        let (olds, news) = (named(&mut keys, base), named(&mut keys, target));
        let segments = [Segment { offset: 0, len: 10_000, address: 0, extra: 0 }];
        let covers = [Cover { target: 0, base: 0, len: 10_000 }];
        let origin = Origin { base: &segments, target: &segments, covers: &covers };
        let mut search = Search::new(&olds, &news, &origin);
        (0..news.len()).map(|number| search.take(number)).collect()
    }

    const OLD: &str = "x17h0123456789abcdefE";
    const NEW: &str = "x17hfedcba9876543210E";

    #[test]
    fn the_order_counts_and_then_where_it_stands() {
        let base = [("a", 10, 5), (OLD, 20, 5), (OLD, 30, 5), ("b", 40, 5)];
        assert_eq!(
            found(&base, &[("a", 10, 5), (NEW, 30, 5), (NEW, 20, 5), ("b", 40, 5)]),
            [Some((0, true)), Some((2, false)), Some((1, true)), Some((3, true))]
        );
    }

    #[test]
    fn what_another_has_by_name_is_left_to_it() {
        let base = [(OLD, 20, 5), ("y17h0123456789abcdefE", 30, 5)];
        let target = [(NEW, 77, 5), (OLD, 20, 5)];
        assert_eq!(found(&base, &target)[1].map(|(old, _)| old), None);
        let base = [(OLD, 20, 5), ("x17h1111111111111111E", 99, 5)];
        let found = found(&base, &target);
        assert_eq!(found.iter().flatten().map(|(old, _)| *old).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn what_has_no_like_is_new() {
        assert_eq!(found(&[("a", 10, 5)], &[("b", 10, 5), ("a", 10, 5)]), [None, Some((0, true))]);
        assert_eq!(found(&[], &[("b", 10, 5)]), [None]);
    }

    #[test]
    fn the_walk_goes_on_where_more_follows() {
        let base: Vec<String> = (0..40).map(|n| format!("f{n}x")).collect();
        let base: Vec<(&str, u64, u64)> =
            base.iter().zip(0..).map(|(name, n)| (&**name, n * 10, 5)).collect();
        // Two parts changed places.
        let target = [&base[20..], &base[..20]].concat();
        let found = found(&base, &target);
        let jumps = found.iter().filter(|like| like.is_some_and(|(_, goes_on)| !goes_on)).count();
        assert_eq!((jumps, found[1], found[21]), (0, Some((21, true)), Some((1, true))));
    }
}
