//! The model of x86-64 executables: bytes of a base with the addresses in them moved to where what they
//! mean went (docs/delta-format.md, "x86-64").
//!
//! The ops themselves say where bytes of the base went. What they do not say is learned: a corrected
//! address of the code tells where its target is.

mod dictionary;
pub(crate) mod exceptions;
mod frame;
mod go;
pub(crate) mod index;
mod instruction;
mod learned;
mod literal;
mod map;
pub(crate) mod names;
pub(crate) mod params;
mod rows;
mod space;
mod stretch;
mod sweep;
pub(crate) mod symbol;
pub(crate) mod symbols;
mod tables;
mod told;
pub(crate) mod walk;

use dd_inspect::failure::Failure;

use exceptions::Exceptions;
pub(crate) use exceptions::memory as exceptions_memory;
use index::Index;
use instruction::Form;
use learned::Learned;
pub(crate) use literal::LEAD;
use literal::{NewCode, Turn};
pub(crate) use map::Interval;
use map::Map;
use params::{Area, Content, Params, Version};
use space::{Place, Space};
use stretch::{Reference, Stretch, put, value};
pub(crate) use sweep::PAGE;
use sweep::Pages;
pub(crate) use sweep::Read;
use symbols::Symbols;
pub(crate) use tables::index_memory;

/// Bytes of an EDIT that are looked at together, from its first byte on: an address that is not wholly in one is
/// left as it is.
pub(crate) const STRETCH: usize = 64 << 10;

/// Memory of a model in use beside its map.
pub(crate) const MEMORY: u64 = Pages::MEMORY + Learned::MEMORY + (1 << 20);
/// Memory of one op that reads the base's file.
pub(crate) const MEMORY_OP: u64 = Map::MEMORY;
/// Work of a page that is swept.
pub(crate) const WORK_PAGE: u64 = 3 * PAGE;
/// Names that stand so near behind one another went together.
const NAMES: u64 = 4096;
/// Bytes of a symbol.
pub(crate) const SYMBOL: u64 = 24;
/// Work of one byte of symbols.
pub(crate) const WORK_SYMBOLS: u64 = 16;
/// Work of one byte that is predicted, beside what is counted for it otherwise.
pub(crate) const WORK_BYTE: u64 = 4;

/// What holds an address; part of the class of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code(Form),
    Pointer,
    Near,
    FromStart,
    Symbol,
    Name,
    /// A table of exceptions.
    Table,
    /// How far from the start of a table a place of the file is.
    Offset,
    /// How far before it a place of the file is; its own place moves by `change`.
    Back,
    /// Bytes from the address `change` to the target.
    Span(Begin),
    /// The same in the low six bits of a byte.
    Short(Begin),
}

/// What stands where a span begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// The first byte of something.
    First,
    /// The end of what stands before.
    Behind,
}

impl Kind {
    /// The class of the first byte.
    fn class(self, known: Known) -> u8 {
        match self {
            Self::Back => 241,
            Self::Span(_) => 245,
            Self::Short(_) => 249,
            _ => 1 + (self.number() * 3 + known as u8) * 8,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Code(form) => form as u8,
            Self::Pointer => 5,
            Self::Near => 6,
            Self::FromStart | Self::Table => 7,
            Self::Symbol => 8,
            Self::Name | Self::Offset => 9,
            Self::Back | Self::Span(_) | Self::Short(_) => 10,
        }
    }
}

/// How a target was found; part of the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Learned = 0,
    Mapped = 1,
    Near = 2,
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
    pages: Pages,
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
            learned: Learned::new(),
            pages: Pages::new(),
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

    /// Its parameters.
    pub(crate) fn params(&self) -> &Params {
        &self.params
    }

    /// Where a part of the stretch ends that begins at `at`: it has whole blocks, and no address begins
    /// behind its first block.
    pub(crate) fn next_end(&self, at: usize, len: usize, block: usize) -> usize {
        let next = self.references.get(self.predicted).map_or(len, |next| next.at as usize);
        len.min((next / block * block).max(at + block))
    }

    /// A stretch begins: these bytes of the base's file, from `base` on, go to `target` of the target's.
    pub(crate) fn begin(
        &mut self,
        base: u64,
        target: u64,
        bytes: &[u8],
        read: &mut Read<'_>,
    ) -> Result<(), Failure> {
        self.look(base, target, bytes, read)?;
        self.learn_frames(target);
        Ok(())
    }

    /// Finds the addresses of a stretch.
    pub(crate) fn look(
        &mut self,
        base: u64,
        target: u64,
        bytes: &[u8],
        read: &mut Read<'_>,
    ) -> Result<(), Failure> {
        self.frames.clear();
        self.references.clear();
        (self.predicted, self.told) = (0, 0);
        let end = base + bytes.len() as u64;
        let areas = &self.params.areas;
        let first = areas.partition_point(|area| area.offset + area.len <= base);
        let (lowest, from, to) = (self.params.lowest, &self.base, &self.target);
        let stretch = Stretch { base, target, bytes, lowest, from, to };
        let mut list = std::mem::take(&mut self.references);
        for area in areas.iter().skip(first).take_while(|area| area.offset < end) {
            let (from, to) = (area.offset.max(base), (area.offset + area.len).min(end));
            match area.content {
                Content::Code => {
                    for page in from / PAGE..to.div_ceil(PAGE) {
                        for field in self.pages.fields(area, page, read)? {
                            let place = page * PAGE + u64::from(field.at);
                            if place >= from && place + 4 <= to {
                                list.extend(stretch.code(place, field.behind, field.form));
                            }
                        }
                    }
                }
                Content::Pointers => list.extend(
                    Stretch::places(from, to, 8)
                        .filter_map(|place| stretch.pointer(place, Kind::Pointer)),
                ),
                Content::Near => list.extend(
                    Stretch::places(from, to, 4).filter_map(|place| stretch.near(place, self.code)),
                ),
                Content::FunctionNames | Content::FunctionValues | Content::Exceptions => {}
                Content::Functions => {
                    if let Some(tables) = &self.go {
                        stretch.functions(area, (from, to), (tables, &self.map), &mut list);
                    }
                }
                Content::FunctionRecords => {
                    if let Some(tables) = &self.go {
                        stretch.records((from, to), (tables, &self.map), &mut list);
                    }
                }
                Content::Frames => {
                    let first = list.len();
                    stretch.frames(area, (from, to), self.code, &mut list);
                    let found = list.get(first..).unwrap_or_default().iter();
                    let near = found.filter(|reference| reference.kind == Kind::Near);
                    self.frames.extend(near.map(|near| (near.at, near.target)));
                    if self.params.version >= Version::Fifth {
                        let tables = list.get_mut(first..).unwrap_or_default().iter_mut();
                        tables
                            .filter(|table| table.kind == Kind::FromStart)
                            .for_each(|table| table.kind = Kind::Table);
                    }
                }
                Content::FromStart => {
                    let (start, change) = self.start(area);
                    list.extend(
                        Stretch::places(from, to, 4)
                            .filter_map(|place| stretch.behind_start(place, start, change)),
                    );
                }
                Content::Symbols => {
                    let names = area.offset + area.len;
                    let moved = self.map.find(names as u32).0;
                    let change = names.wrapping_sub(u64::from(moved));
                    let records =
                        (from - area.offset) / SYMBOL..(to - area.offset).div_ceil(SYMBOL);
                    for place in records.map(|record| area.offset + record * SYMBOL) {
                        list.extend(stretch.name(place, area, change));
                        list.extend(stretch.pointer(place + 8, Kind::Symbol));
                    }
                }
            }
        }
        // The sweeps of two pages may disagree where they meet.
        let mut end = 0;
        list.retain(|reference| {
            let is_free = reference.at >= end;
            if is_free {
                end = reference.at + u32::from(reference.width);
            }
            is_free
        });
        self.references = list;
        Ok(())
    }

    /// The address at which an area begins, and how much lower it is than that of the target.
    fn start(&self, area: &Area) -> (u64, u64) {
        let moved = u64::from(self.map.find(area.offset as u32).0);
        let address = self.base.address(area.offset).unwrap_or(0);
        (address, address.wrapping_sub(self.target.address(moved).unwrap_or(address)))
    }

    /// Predicts the addresses that begin before `to` of the stretch and were not predicted yet. `classes`
    /// says how.
    pub(crate) fn predict(&mut self, bytes: &mut [u8], classes: &mut [u8], to: usize) {
        while let Some(reference) = self.references.get(self.predicted).copied() {
            if reference.at as usize >= to {
                return;
            }
            self.predicted += 1;
            let at = reference.at as usize;
            let place = at..at + usize::from(reference.width);
            let (Some(bytes), Some(classes)) =
                (bytes.get_mut(place.clone()), classes.get_mut(place))
            else {
                continue;
            };
            let (new, known) = self.value(&reference, value(bytes));
            put(bytes, new);
            let class = reference.kind.class(known);
            for (class_of, class) in classes.iter_mut().zip(class..) {
                *class_of = class;
            }
        }
    }

    /// Bytes up to `to` of the stretch are corrected: their addresses tell where targets are.
    pub(crate) fn learn(&mut self, bytes: &[u8], base: &[u8], to: usize) {
        while let Some(reference) = self.references.get(self.told).copied() {
            let at = reference.at as usize;
            let place = at..at + usize::from(reference.width);
            if place.end > to || self.told >= self.predicted {
                return;
            }
            self.told += 1;
            if !matches!(reference.kind, Kind::Code(_) | Kind::Name | Kind::Table) {
                continue;
            }
            let (Some(now), Some(then)) = (bytes.get(place.clone()), base.get(place)) else {
                continue;
            };
            let change = (value(now) as u32).wrapping_sub(value(then) as u32) as i32;
            let change = i64::from(change) as u64;
            let target = reference.target.wrapping_add(change).wrapping_sub(reference.change);
            if reference.kind == Kind::Name {
                let is_later = self.params.version != Version::First;
                self.last_name = is_later.then_some((reference.target, target));
                continue;
            }
            if reference.kind == Kind::Table {
                self.last_table = Some((reference.target, target));
                continue;
            }
            let pair = self.base.relative(reference.target).zip(self.target.relative(target));
            if let Some((base, target)) = pair {
                self.learned.tell(base, target);
            }
        }
    }

    /// What the value of a reference is now.
    fn value(&self, reference: &Reference, value: u64) -> (u64, Known) {
        let Reference { kind, target, change, width, .. } = *reference;
        match kind {
            Kind::Back => {
                let (moved, known) = self.map.find(target as u32);
                let new =
                    value.wrapping_add(change).wrapping_sub(u64::from(moved)).wrapping_add(target);
                (new, if known { Known::Mapped } else { Known::Near })
            }
            Kind::Span(begin) | Kind::Short(begin) => {
                // What is inserted at the end of something does not belong to it.
                let behind = |address: u64| {
                    let (moved, known) = self.moved(address.wrapping_sub(1), kind);
                    (moved.wrapping_add(1), known)
                };
                let (end, known) = behind(target);
                let start = match begin {
                    Begin::First => self.moved(change, kind).0,
                    Begin::Behind => behind(change).0,
                };
                let span = end.wrapping_sub(start);
                let (most, rest) = match (kind, width) {
                    (Kind::Short(_), _) => (0x3f, value & 0xc0),
                    (_, 4..) => (0xffff_ffff, 0),
                    (_, width) => ((1 << (8 * width)) - 1, 0),
                };
                (if span <= most { span | rest } else { value }, known)
            }
            _ => {
                let (moved, known) = self.moved(target, kind);
                (value.wrapping_add(moved.wrapping_sub(target)).wrapping_add(change), known)
            }
        }
    }

    /// Where a target is now.
    fn moved(&self, target: u64, kind: Kind) -> (u64, Known) {
        if kind == Kind::Offset {
            let (place, known) = self.map.find(target as u32);
            return (u64::from(place), if known { Known::Mapped } else { Known::Near });
        }
        if kind == Kind::Name {
            if let Some((base, last)) = self.last_name
                && target.checked_sub(base).is_some_and(|distance| distance < NAMES)
            {
                return (last.wrapping_add(target - base), Known::Learned);
            }
            let (place, known) = self.map.find(target as u32);
            return (u64::from(place), if known { Known::Mapped } else { Known::Near });
        }
        if let (Kind::Table, Some((base, last))) = (kind, self.last_table) {
            return (last.wrapping_add(target.wrapping_sub(base)), Known::Learned);
        }
        let learned = self.base.relative(target).and_then(|base| self.learned.find(base));
        if let Some(learned) = learned {
            return (self.target.absolute(learned), Known::Learned);
        }
        match self.base.place(target) {
            Some(place) => moved_by_map((&self.target, &self.map), place, target),
            None => (target, Known::Near),
        }
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
        NewCode { space: &self.target, areas: &self.params.new }
    }
}

/// Where what stands at an address of the base is, as far as the map says.
fn moved_by_map((to, map): (&Space, &Map), place: Place, target: u64) -> (u64, Known) {
    match place {
        Place::File(offset) => {
            let (place, known) = map.find(offset);
            match to.address(u64::from(place)) {
                Some(address) if known => (address, Known::Mapped),
                Some(address) => (address, Known::Near),
                None => (target, Known::Near),
            }
        }
        Place::Memory(number, behind) => (to.memory(number, behind).unwrap_or(target), Known::Near),
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

    /// The addresses of the stretch: where they begin, bytes of them, whether they are code's or whole ones.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (usize, usize, bool)> {
        self.references.iter().map(|reference| {
            let plain = matches!(reference.kind, Kind::Code(_) | Kind::Pointer | Kind::Symbol);
            (reference.at as usize, usize::from(reference.width), plain)
        })
    }

    /// The ranges of the base's file that went together: where they begin and end, and where to they went.
    pub(crate) fn moves(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        self.map.parts().iter().map(|&(base, target, end)| (base, end, target))
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests;
