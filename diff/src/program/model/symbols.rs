//! A table of symbols and their names, made from those of a base, symbol by symbol (docs/delta-format.md, "Symbols and
//! names").

use dd_inspect::failure::Failure;

use super::super::input::out_of_range;
use super::super::varint;
use super::SYMBOL;
use super::params::Area;
use super::symbol::{Symbol, Values, Wanted, column, flag};
use super::told::Told;
use super::walk::Walk;

/// A symbol without size so near behind the last such one is taken to be as near.
const NEAR: u64 = 1 << 16;
/// A symbol that became twice as long and this much is taken to be as long as it was.
const LONGER: u64 = 4096;

/// How large tables of symbols are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SymbolTables {
    /// Where the symbols of the base's file are.
    pub(crate) base: Option<Area>,
    /// Where their names begin, and bytes of these.
    pub(crate) base_names: (u64, u64),
    /// Symbols of the target.
    pub(crate) count: u64,
    /// Where their names begin in the target's file, and bytes of these.
    pub(crate) names: (u64, u64),
}

impl SymbolTables {
    /// Bytes of memory.
    pub(crate) fn memory(&self) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let base = self.base.map_or(0, |area| 2 * area.len);
        base + self.base_names.1 + self.names.1 + Symbols::MEMORY * self.count
    }
}

/// The tables of base and target.
#[derive(Debug, Clone)]
pub(crate) struct Symbols {
    base: Vec<u8>,
    told: Told,
    /// Symbols that are still to come.
    left: u64,
    walk: Walk,
    /// Where the last symbol without size was and is.
    last: Option<(u64, u64)>,
}

impl Symbols {
    /// Memory of a symbol of the target beside its name.
    pub(crate) const MEMORY: u64 = 192;

    /// Tables of so many symbols, and names of so many bytes, over those of a base.
    pub(crate) fn new(base: Vec<u8>, base_names: Vec<u8>, count: u64, names: usize) -> Self {
        let walk = Walk::new(base.len() / SYMBOL as usize);
        let told = Told::new(base_names, names, count as usize);
        Self { base, told, left: count, walk, last: None }
    }

    /// The work since this was asked last, beside what is counted for records.
    pub(crate) fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.told.work) + self.walk.take_passed()
    }

    /// Names of the target from a place on, as far as they are known.
    pub(crate) fn names(&self, at: u64, len: usize) -> Option<&[u8]> {
        self.told.bytes(at, len)
    }

    fn symbol(&self, number: u32) -> Option<Symbol> {
        let at = number as usize * SYMBOL as usize;
        Some(Symbol::parse(self.base.get(at..)?.first_chunk()?))
    }

    /// The next record. `moved` says where an address of the base is.
    pub(crate) fn next(
        &mut self,
        values: &mut impl Values,
        moved: &dyn Fn(u64) -> u64,
        wanted: Option<&Wanted<'_>>,
    ) -> Result<[u8; SYMBOL as usize], Failure> {
        self.left = self.left.checked_sub(1).ok_or_else(|| out_of_range("the count of symbols"))?;
        let plan = wanted.map(|wanted| self.plan(wanted, moved)).unwrap_or_default();
        let flags = values.integer(column::FLAGS, plan.flags)?;
        if flags > flag::ALL {
            return Err(out_of_range("what differs of a symbol"));
        }
        let unknown = flags & flag::UNKNOWN != 0;
        let number = match unknown {
            true => self.walk.last(),
            false => Some(self.step(values, flags, &plan)?),
        };
        let from = number.and_then(|number| self.symbol(number)).unwrap_or_default();
        let mut symbol = self.guess(&from, moved);
        let mut change = |flag: u64, column: u8, value: &mut u64, plan: u64| {
            if flags & flag != 0 {
                let change = varint::unzigzag(values.integer(column, plan)?);
                *value = value.wrapping_add(change as u64);
            }
            Ok(())
        };
        change(flag::VALUE, column::VALUE, &mut symbol.value, plan.value)?;
        change(flag::SIZE, column::SIZE, &mut symbol.size, plan.size)?;
        if flags & flag::KIND != 0 {
            let kind = values.integer(column::KIND, u64::from(u32::from_le_bytes(plan.kind)))?;
            let kind = u32::try_from(kind).map_err(|_| out_of_range("the kind of a symbol"))?;
            symbol.kind = kind.to_le_bytes();
        }
        let values = (values as &mut dyn Values, flags);
        symbol.name = self.name((!unknown).then_some(&from), values, &plan, wanted)?;
        if from.size == 0 && from.has_address() {
            self.last = Some((from.value, symbol.value));
        }
        Ok(symbol.record())
    }

    /// The base's symbol that comes next.
    fn step(&mut self, values: &mut impl Values, flags: u64, plan: &Plan) -> Result<u32, Failure> {
        let which = match flags & flag::WHICH {
            0 => 0,
            _ => values.integer(column::WHICH, plan.which)?,
        };
        let number = i64::from(self.walk.next()).checked_add(varint::unzigzag(which >> 1));
        let number = number.and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or_else(|| out_of_range("a symbol of the base"))?;
        self.walk.take(number, which & 1 == 0);
        Ok(number)
    }

    /// Where the name stands that one of the base became; without one it is not known.
    fn name(
        &mut self,
        from: Option<&Symbol>,
        (values, flags): (&mut dyn Values, u64),
        plan: &Plan,
        wanted: Option<&Wanted<'_>>,
    ) -> Result<u32, Failure> {
        let name = match from {
            Some(from) if flags & flag::FIELDS == 0 => Some(self.told.rename(from, None, None)?),
            Some(from) => {
                let wanted = wanted.map(|wanted| wanted.name);
                Some(self.told.rename(from, Some(&mut *values), wanted)?)
            }
            None => None,
        };
        let place = name.as_ref().map_or(self.told.end(), |name| self.told.expected(name));
        let mut place = place as u64;
        if flags & flag::PLACE != 0 {
            let change = varint::unzigzag(values.integer(column::PLACE, plan.place)?);
            place = place.wrapping_add(change as u64);
        }
        let short = u32::try_from(place).map_err(|_| out_of_range("the place of a name"))?;
        match (from, name) {
            (Some(from), Some(name)) => self.told.put(from, &name, short),
            _ => {
                let len = values.integer(column::LEN, plan.len)?;
                let left = self.told.leave(place, len);
                left.ok_or_else(|| out_of_range("the length of a name"))?;
            }
        }
        Ok(short)
    }

    /// What the target's symbol is like, but for its name.
    fn guess(&self, from: &Symbol, moved: &dyn Fn(u64) -> u64) -> Symbol {
        let mut symbol = *from;
        if !from.has_address() {
            return symbol;
        }
        let after = self.last.map(|(then, now)| (from.value.wrapping_sub(then), now));
        symbol.value = match after.filter(|(distance, _)| from.size == 0 && *distance < NEAR) {
            Some((distance, now)) => now.wrapping_add(distance),
            None => moved(from.value),
        };
        if let Some(last) = from.size.checked_sub(1) {
            let end = moved(from.value.wrapping_add(last)).wrapping_add(1);
            let size = end.wrapping_sub(symbol.value);
            if size <= from.size.saturating_mul(2).saturating_add(LONGER) {
                symbol.size = size;
            }
        }
        symbol
    }
}

/// What the columns of a symbol are to hold.
#[derive(Debug, Default)]
struct Plan {
    flags: u64,
    which: u64,
    value: u64,
    size: u64,
    kind: [u8; 4],
    place: u64,
    len: u64,
}

impl Symbols {
    fn plan(&self, wanted: &Wanted<'_>, moved: &dyn Fn(u64) -> u64) -> Plan {
        let Wanted { symbol, name, like } = *wanted;
        let number = like.map(|(number, _)| number).or_else(|| self.walk.last());
        let from = number.and_then(|number| self.symbol(number)).unwrap_or_default();
        let guess = self.guess(&from, moved);
        let mut plan = Plan { kind: symbol.kind, len: name.len() as u64, ..Plan::default() };
        let change = |now: u64, then: u64| varint::zigzag(now.wrapping_sub(then) as i64);
        let mut note = |flag: u64, differs: bool| {
            plan.flags |= if differs { flag } else { 0 };
        };
        note(flag::VALUE, symbol.value != guess.value);
        note(flag::SIZE, symbol.size != guess.size);
        note(flag::KIND, symbol.kind != guess.kind);
        let expected = match like {
            Some((number, goes_on)) => {
                let step = i64::from(number) - i64::from(self.walk.next());
                plan.which = varint::zigzag(step) << 1 | u64::from(!goes_on);
                note(flag::WHICH, plan.which != 0);
                let renamed = self.told.rename(&from, None, None).unwrap_or_default();
                note(flag::FIELDS, renamed != name);
                self.told.expected(name)
            }
            None => {
                note(flag::UNKNOWN, true);
                self.told.end()
            }
        };
        note(flag::PLACE, symbol.name as usize != expected);
        plan.place = change(u64::from(symbol.name), expected as u64);
        plan.value = change(symbol.value, guess.value);
        plan.size = change(symbol.size, guess.size);
        plan
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Values as they were written, to be read again.
    #[derive(Default)]
    pub(in super::super) struct Tape {
        pub(in super::super) integers: VecDeque<(u8, u64)>,
        pub(in super::super) bytes: VecDeque<u8>,
        pub(in super::super) reads: bool,
    }

    impl Values for Tape {
        fn integer(&mut self, column: u8, wanted: u64) -> Result<u64, Failure> {
            if self.reads {
                let (of, value) = self.integers.pop_front().unwrap();
                assert_eq!(of, column);
                return Ok(value);
            }
            self.integers.push_back((column, wanted));
            Ok(wanted)
        }

        fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
            for byte in bytes {
                match self.reads {
                    true => *byte = self.bytes.pop_front().unwrap(),
                    false => self.bytes.push_back(*byte),
                }
            }
            Ok(())
        }
    }

    const FUNCTION: [u8; 4] = [2, 0, 1, 0];

    /// A table of names with kind, value and size; where names repeat they stand once.
    fn table(symbols: &[(&str, [u8; 4], u64, u64)]) -> (Vec<u8>, Vec<u8>) {
        let (mut records, mut names) = (Vec::new(), vec![0]);
        let mut places = std::collections::HashMap::from([("", 0)]);
        for &(name, kind, value, size) in symbols {
            let place = *places.entry(name).or_insert(names.len() as u32);
            if place as usize == names.len() {
                names.extend(name.bytes().chain([0]));
            }
            records.extend(Symbol { name: place, kind, value, size }.record());
        }
        (records, names)
    }

    /// Writes the target's table over the base's and reads it again. Returns flags, and bytes that follow from nothing.
    fn flags(
        base: &[(&str, [u8; 4], u64, u64)],
        target: &[(&str, [u8; 4], u64, u64)],
        like: &[Option<(u32, bool)>],
    ) -> (Vec<u64>, usize) {
        let ((olds, old_names), (news, names)) = (table(base), table(target));
        let moved = |address: u64| address + if address >= 1000 { 100 } else { 0 };
        let mut tape = Tape::default();
        let make = |tape: &mut Tape| {
            let count = target.len() as u64;
            let mut symbols = Symbols::new(olds.clone(), old_names.clone(), count, names.len());
            let mut made = Vec::new();
            for (number, record) in news.chunks_exact(24).enumerate() {
                let symbol = Symbol::parse(record.first_chunk().unwrap());
                let name = target[number].0.as_bytes();
                let wanted = Wanted { symbol, name, like: like[number] };
                let wanted = (!tape.reads).then_some(&wanted);
                made.extend(symbols.next(tape, &moved, wanted).unwrap());
            }
            assert_eq!(made, news);
            assert!(symbols.next(tape, &moved, None).is_err());
            symbols.names(0, names.len()).unwrap().to_vec()
        };
        let told = make(&mut tape);
        let known: Vec<&str> = target
            .iter()
            .zip(like)
            .filter(|(s, like)| like.is_some() && !s.0.is_empty())
            .map(|(s, _)| s.0)
            .collect();
        for name in known {
            assert!(told.windows(name.len()).any(|part| part == name.as_bytes()), "{name}");
        }
        let of = |&(column, value): &(u8, u64)| (column == column::FLAGS).then_some(value);
        let flags = tape.integers.iter().filter_map(of).collect();
        let bytes = tape.bytes.len();
        tape.reads = true;
        assert_eq!(make(&mut tape), told);
        assert!(tape.integers.is_empty() && tape.bytes.is_empty());
        (flags, bytes)
    }

    fn in_order(count: u32) -> Vec<Option<(u32, bool)>> {
        (0..count).map(|number| Some((number, true))).collect()
    }

    #[test]
    fn what_only_moved_costs_nothing() {
        let base = [("", [0; 4], 0, 0), ("f", FUNCTION, 900, 20), ("g", FUNCTION, 990, 20)];
        let target = [("", [0; 4], 0, 0), ("f", FUNCTION, 900, 20), ("g", FUNCTION, 990, 120)];
        assert_eq!(flags(&base, &target, &in_order(3)), (vec![0, 0, 0], 0));
    }

    #[test]
    fn a_hash_is_told_once() {
        let (old, new) = ("0123456789abcdef", "fedcba9876543210");
        let name = |what: &str, hash: &str| format!("{what}17h{hash}E.llvm.12345678901");
        let (a, b) = (name("a", old), name("b", old));
        let (c, d) = (name("a", new), name("b", new));
        let base = [(&*a, FUNCTION, 1, 1), (&*b, FUNCTION, 1, 1)];
        let target = [(&*c, FUNCTION, 1, 1), (&*d, FUNCTION, 1, 1)];
        assert_eq!(flags(&base, &target, &in_order(2)), (vec![flag::FIELDS, 0], 8));
    }

    #[test]
    fn numbers_go_on_as_they_began() {
        let number = |n: u64| format!("table{n}");
        let (a, b, c) = (number(1), number(2), number(3));
        let base = [(&*a, FUNCTION, 1, 0), (&*b, FUNCTION, 5, 0), (&*a, FUNCTION, 9, 0)];
        let target = [(&*b, FUNCTION, 2, 0), (&*c, FUNCTION, 6, 0), (&*b, FUNCTION, 10, 0)];
        // The first one says by how much; where a name is known already it is the same one.
        let wanted = vec![flag::FIELDS | flag::VALUE, 0, 0];
        assert_eq!(flags(&base, &target, &in_order(3)), (wanted, 0));
    }

    #[test]
    fn what_is_new_or_elsewhere_is_told() {
        let base = [("a", FUNCTION, 1, 1), ("b", FUNCTION, 2, 2), ("c", FUNCTION, 3, 3)];
        let target = [
            ("c", FUNCTION, 3, 3),
            ("new", [1, 0, 9, 0], 77, 5),
            ("a", FUNCTION, 1, 1),
            ("b", FUNCTION, 2, 2),
        ];
        let like = [Some((2, false)), None, Some((0, true)), Some((1, true))];
        let new = flag::VALUE | flag::SIZE | flag::KIND | flag::UNKNOWN;
        assert_eq!(flags(&base, &target, &like), (vec![flag::WHICH, new, 0, 0], 0));
    }

    #[test]
    fn what_no_writer_gives_is_refused() {
        let (base, names) = table(&[("a", FUNCTION, 1, 1)]);
        for integers in [
            vec![(column::FLAGS, flag::ALL + 1)],
            vec![(column::FLAGS, flag::WHICH), (column::WHICH, 2)],
            vec![(column::FLAGS, flag::PLACE), (column::PLACE, u64::MAX)],
            vec![(column::FLAGS, flag::UNKNOWN), (column::LEN, 30)],
            vec![(column::FLAGS, flag::UNKNOWN), (column::LEN, u64::MAX)],
            vec![(column::FLAGS, flag::KIND), (column::KIND, 1 << 32)],
        ] {
            let mut tape = Tape { integers: integers.into(), reads: true, ..Tape::default() };
            let mut symbols = Symbols::new(base.clone(), names.clone(), 5, 30);
            assert!(symbols.next(&mut tape, &|address| address, None).is_err());
        }
    }
}
