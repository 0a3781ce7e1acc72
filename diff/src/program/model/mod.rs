//! The model of executables: bytes of a base with the addresses in them moved to where what they mean went
//! (docs/delta-format.md, "x86-64" and "AArch64").
//!
//! The ops themselves say where bytes of the base went. What they do not say is learned: a corrected
//! address of the code tells where its target is.

mod aarch64;
mod dictionary;
pub(crate) mod exceptions;
mod finder;
mod frame;
mod go;
pub(crate) mod index;
mod kind;
mod learned;
mod literal;
mod look;
mod map;
pub(crate) mod names;
mod pairs;
pub(crate) mod params;
mod predict;
mod rows;
mod space;
mod stretch;
mod sweep;
pub(crate) mod symbol;
pub(crate) mod symbols;
mod tables;
mod told;
pub(crate) mod version;
pub(crate) mod walk;
pub(crate) mod x86_64;

use exceptions::Exceptions;
pub(crate) use exceptions::memory as exceptions_memory;
use finder::Finder;
#[cfg(feature = "encode")]
pub(crate) use finder::WORK_PAGE;
use index::Index;
use kind::{Begin, Kind, Known};
use learned::Learned;
pub(crate) use literal::LEAD;
use literal::{NewCode, Turn};
pub(crate) use map::Interval;
use map::Map;
use params::{Area, Content, Params};
use predict::moved_by_map;
use space::Space;
use stretch::Reference;
#[cfg(feature = "encode")]
pub(crate) use sweep::PAGE;
use sweep::Pages;
pub(crate) use sweep::Read;
use symbols::Symbols;
pub(crate) use tables::index_memory;
use version::{Machine, Version};

/// Bytes of an EDIT that are looked at together, from its first byte on: an address that is not wholly in one is
/// left as it is.
pub(crate) const STRETCH: usize = 64 << 10;

/// Memory of a model in use beside its map.
pub(crate) const MEMORY: u64 = Pages::MEMORY + Learned::memory(Machine::X86_64) + (1 << 20);
const _: () = assert!(Learned::memory(Machine::AArch64) + (1 << 20) < MEMORY);
/// Memory of one op that reads the base's file.
pub(crate) const MEMORY_OP: u64 = Map::MEMORY;
/// Names that stand so near behind one another went together.
const NAMES: u64 = 4096;
/// Bytes of a symbol.
pub(crate) const SYMBOL: u64 = 24;
/// Work of one byte of symbols.
pub(crate) const WORK_SYMBOLS: u64 = 16;
/// Work of one byte that is predicted, beside what is counted for it otherwise.
pub(crate) const WORK_BYTE: u64 = 4;

/// The large tables of a model, for the next one.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    machine: Machine,
    learned: Learned,
    finder: Finder,
}

impl Tables {
    fn new(machine: Machine) -> Self {
        Self { machine, learned: Learned::new(machine), finder: Finder::new(machine) }
    }

    /// Forgets everything.
    fn again(mut self, machine: Machine) -> Self {
        if self.machine != machine {
            drop(self);
            return Self::new(machine);
        }
        self.learned.clear();
        self.finder.clear();
        self
    }
}

/// A model in use, for one file.
#[derive(Debug, Clone)]
pub(crate) struct Executable {
    params: Params,
    base: Space,
    target: Space,
    /// Where in the base's file the first code begins and the last ends.
    code: (u64, u64),
    map: Map,
    learned: Learned,
    finder: Finder,
    /// Where the last name that was told stands in base and target; of the second version.
    last_name: Option<(u64, u64)>,
    /// The tables of a Go program; of the third version.
    go: Option<go::Tables>,
    /// Tables of symbols.
    symbols: Option<Box<Symbols>>,
    /// The table of frame descriptions.
    index: Option<Box<Index>>,
    /// Tables of exceptions; where the base's file went, the target's frame descriptions so far, and where the last table that
    /// was told stands in base and target; of the fifth version.
    exceptions: Option<Box<Exceptions>>,
    covers: Vec<Interval>,
    told_frames: Vec<u8>,
    last_table: Option<(u64, u64)>,
    references: Vec<Reference>,
    /// Where in the stretch descriptions of frames say their code, and where that is.
    frames: Vec<(u32, u64)>,
    /// How many of them are predicted, and how many of those told what they are.
    predicted: usize,
    told: usize,
}

impl Executable {
    /// A model with these parameters, over the intervals of all ops that read the base's file.
    pub(crate) fn new(params: Params, intervals: impl Iterator<Item = Interval>) -> Self {
        let tables = Tables::new(params.machine);
        Self::with(tables, params, intervals)
    }

    /// Like [`Executable::new`], in the memory of a model that was given up.
    pub(crate) fn again(
        spare: Tables,
        params: Params,
        intervals: impl Iterator<Item = Interval>,
    ) -> Self {
        let tables = spare.again(params.machine);
        Self::with(tables, params, intervals)
    }

    fn with(tables: Tables, params: Params, intervals: impl Iterator<Item = Interval>) -> Self {
        let is_code = |area: &&Area| area.content == Content::Code;
        let mut code = params.areas.iter().filter(is_code);
        let first = code.next();
        let last = code.next_back().or(first);
        let mut covers = Map::joined(intervals);
        let map = Map::new(&covers);
        if params.version < Version::Fifth {
            covers = Vec::new();
        }
        Self {
            code: (
                first.map_or(0, |area| area.offset),
                last.map_or(0, |area| area.offset + area.len),
            ),
            base: Space::new(&params.base),
            target: Space::new(&params.target),
            map,
            learned: tables.learned,
            finder: tables.finder,
            last_name: None,
            go: go::Tables::new(&params.areas),
            symbols: None,
            index: None,
            exceptions: None,
            covers,
            told_frames: Vec::new(),
            last_table: None,
            references: Vec::new(),
            frames: Vec::new(),
            predicted: 0,
            told: 0,
            params,
        }
    }

    /// Is over; its tables may serve another.
    pub(crate) fn give_up(self) -> Tables {
        Tables { machine: self.params.machine, learned: self.learned, finder: self.finder }
    }

    /// Its parameters.
    pub(crate) fn params(&self) -> &Params {
        &self.params
    }
}

/// What the second version of the model adds.
impl Executable {
    /// Turns the addresses of new code into the distances that its instructions have. `bytes[lead..]` stand at
    /// `at` of the target's file, `bytes[..lead]` before them.
    pub(crate) fn finish_literals(&self, bytes: &mut [u8], lead: usize, at: u64) {
        self.new_code().turn(Turn::ToDistance, bytes, lead, at);
    }

    fn new_code(&self) -> NewCode<'_> {
        NewCode { machine: self.params.machine, space: &self.target, areas: &self.params.new }
    }
}

#[cfg(feature = "encode")]
impl Executable {
    /// Turns the distances of new code into addresses, if [`Executable::finish_literals`] turns these back; says whether.
    ///
    /// An instruction that the end cuts off may hold what looks like another with a field, which is then part of its opcode.
    #[must_use]
    pub(crate) fn begin_literals(&self, bytes: &mut [u8], lead: usize, at: u64) -> bool {
        let wanted = bytes.to_vec();
        self.new_code().turn(Turn::ToAddress, bytes, lead, at);
        let mut back = bytes.to_vec();
        self.finish_literals(&mut back, lead, at);
        let is_back = back == wanted;
        if !is_back {
            bytes.copy_from_slice(&wanted);
        }
        is_back
    }

    /// How many addresses there are in the stretch.
    pub(crate) fn addresses(&self) -> usize {
        self.references.len()
    }

    /// Takes the addresses of code, and whole ones, out of the stretch's bytes.
    pub(crate) fn mask(&self, bytes: &mut [u8]) {
        for reference in &self.references {
            let at = reference.at as usize;
            let Some(field) = bytes.get_mut(at..at + usize::from(reference.width)) else {
                continue;
            };
            match reference.kind {
                Kind::Code(_) | Kind::Pointer | Kind::Symbol => field.fill(0),
                Kind::Word(form, _) => {
                    stretch::put(field, stretch::value(field) & !u64::from(form.mask()))
                }
                _ => {}
            }
        }
    }

    /// The ranges of the base's file that went together: where they begin and end, and where to they went.
    pub(crate) fn moves(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        self.map.parts().iter().map(|&(base, target, end)| (base, end, target))
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests;
