//! Parameters of the model of executables: where a base's file lies, its segments and those of the target, and
//! what stands in which part of the file.

use dd_inspect::failure::Failure;

use super::super::hooks::Source;
use super::super::input::out_of_range;
use super::super::varint;
use super::SYMBOL;
pub(crate) use super::symbols::SymbolTables;
use super::version::{Machine, Version};

/// Segments of a file.
const SEGMENTS: u64 = 32;
/// Areas of a file.
const AREAS: u64 = 512;
/// Symbols of a target at most, and bytes of names.
pub(crate) const SYMBOLS: u64 = 1 << 18;
pub(crate) const NAMES: u64 = 1 << 24;
/// File and memory of an executable are shorter than this.
pub(crate) const SPACE: u64 = 1 << 32;

/// What the model knows of a pair of executables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Params {
    /// The source with the base's file, and where in it that lies.
    pub(crate) source: Source,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// Bytes of the target's file, which begins where the run begins.
    pub(crate) target_len: u64,
    pub(crate) base: Vec<Segment>,
    pub(crate) target: Vec<Segment>,
    /// What stands before this place of the base's file is nothing that addresses of eight bytes mean.
    pub(crate) lowest: u64,
    /// Areas of the base's file that are not mere bytes, ascending, without overlap.
    pub(crate) areas: Vec<Area>,
    /// Areas of the target's file in which literals are turned, ascending, without overlap; of the second version
    /// code alone.
    pub(crate) new: Vec<Area>,
    /// Symbols and their names; from the fourth version on.
    pub(crate) symbols: SymbolTables,
    /// Which model it is.
    pub(crate) machine: Machine,
    pub(crate) version: Version,
}

/// A part of a file that is loaded into memory; segments ascend in both without overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where it lies in the file, and bytes of it.
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// Where it lies in memory.
    pub(crate) address: u64,
    /// Bytes of memory behind it that are not in the file.
    pub(crate) extra: u64,
}

/// A part of the base's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) content: Content,
}

/// What stands in an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Instructions.
    Code = 1,
    /// Addresses of eight bytes, among others.
    Pointers = 2,
    /// Distances of four bytes from their own place to code, among others.
    Near = 3,
    /// Distances of four bytes from the area's start.
    FromStart = 4,
    /// Symbols of 24 bytes.
    Symbols = 5,
    /// Descriptions of frames; in the second version.
    Frames = 6,
    /// Names of functions of a Go program; this and the following in the third version.
    FunctionNames = 7,
    /// What a Go program knows of places of its code.
    FunctionValues = 8,
    /// Functions of a Go program, each with its record.
    Functions = 9,
    /// The records.
    FunctionRecords = 10,
    /// Where exceptions are handled; in the fifth version.
    Exceptions = 11,
}

impl Content {
    fn from_number(number: u64, version: Version) -> Option<Self> {
        Some(match number {
            1 => Self::Code,
            2 => Self::Pointers,
            3 => Self::Near,
            4 => Self::FromStart,
            5 => Self::Symbols,
            6 if version != Version::First => Self::Frames,
            7 if version >= Version::Third => Self::FunctionNames,
            8 if version >= Version::Third => Self::FunctionValues,
            9 if version >= Version::Third => Self::Functions,
            10 if version >= Version::Third => Self::FunctionRecords,
            11 if version >= Version::Fifth => Self::Exceptions,
            _ => return None,
        })
    }
}

impl Params {
    /// Whether a range of a source lies in the base's file.
    pub(crate) fn has(&self, source: Source, offset: u64, len: u64) -> bool {
        let at = offset.checked_sub(self.offset);
        let end = at.and_then(|at| at.checked_add(len));
        source == self.source && end.is_some_and(|end| end <= self.len)
    }

    /// Where bytes are in the target's file, if they are in it.
    pub(crate) fn target(&self, at: u64, len: u64) -> Option<u32> {
        at.checked_add(len).filter(|&end| end <= self.target_len)?;
        u32::try_from(at).ok()
    }

    /// Reads parameters; they must be used up.
    pub(crate) fn parse(
        bytes: &[u8],
        (machine, version): (Machine, Version),
    ) -> Result<Self, Failure> {
        let mut reader = Reader { bytes, at: 0 };
        let source = Source::from_number(reader.integer(u64::MAX)?).ok_or_else(wrong)?;
        let offset = reader.integer(u64::MAX)?;
        let len = reader.integer(SPACE - 1)?;
        let target_len = reader.integer(SPACE - 1)?;
        let base = reader.segments()?;
        let target = reader.segments()?;
        let lowest = reader.integer(SPACE - 1)?;
        let areas = reader.areas(len, Some(version))?;
        let new = match version {
            Version::First => Vec::new(),
            Version::Second => reader.areas(target_len, None)?,
            _ => reader.areas(target_len, Some(version))?,
        };
        let symbols = match version {
            Version::Fourth | Version::Fifth => reader.symbols(len, &areas)?,
            _ => SymbolTables::default(),
        };
        if reader.at != bytes.len() {
            return Err(wrong());
        }
        Ok(Self {
            source,
            offset,
            len,
            target_len,
            base,
            target,
            lowest,
            areas,
            new,
            symbols,
            machine,
            version,
        })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn integer(&mut self, most: u64) -> Result<u64, Failure> {
        let byte = || {
            let byte = self.bytes.get(self.at).copied().ok_or_else(wrong);
            self.at += 1;
            byte
        };
        varint::take(byte)?.filter(|&value| value <= most).ok_or_else(wrong)
    }

    /// Areas of a file of so many bytes, with contents of a version; without one they are all code.
    fn areas(&mut self, file: u64, version: Option<Version>) -> Result<Vec<Area>, Failure> {
        let mut areas = Vec::new();
        let mut end = 0;
        for _ in 0..self.integer(AREAS)? {
            let offset = end + self.integer(SPACE - 1 - end)?;
            let len = self.integer(SPACE - 1)?;
            let content = match version {
                Some(version) => {
                    Content::from_number(self.integer(255)?, version).ok_or_else(wrong)?
                }
                None => Content::Code,
            };
            end = offset + len;
            if end > file || len == 0 {
                return Err(wrong());
            }
            areas.push(Area { offset, len, content });
        }
        Ok(areas)
    }

    fn symbols(&mut self, file: u64, areas: &[Area]) -> Result<SymbolTables, Failure> {
        let base = areas.iter().find(|area| area.content == Content::Symbols).copied();
        let base_names = (self.integer(SPACE - 1)?, self.integer(NAMES)?);
        let count = self.integer(SYMBOLS)?;
        let names = (self.integer(SPACE - 1)?, self.integer(NAMES)?);
        if base_names.0 + base_names.1 > file
            || base.is_some_and(|area| area.len > SYMBOLS * SYMBOL) && count > 0
        {
            return Err(wrong());
        }
        Ok(SymbolTables { base, base_names, count, names })
    }

    fn segments(&mut self) -> Result<Vec<Segment>, Failure> {
        let mut segments = Vec::new();
        let (mut end, mut memory_end, mut first) = (0, 0u64, None);
        for _ in 0..self.integer(SEGMENTS)? {
            let offset = end + self.integer(SPACE - 1 - end)?;
            let len = self.integer(SPACE - 1 - offset)?;
            let address = self.integer(u64::MAX)?;
            let address = memory_end.checked_add(address).ok_or_else(wrong)?;
            let extra = self.integer(SPACE - 1)?;
            end = offset + len;
            memory_end = address.checked_add(len + extra).ok_or_else(wrong)?;
            if memory_end - *first.get_or_insert(address) >= SPACE {
                return Err(wrong());
            }
            segments.push(Segment { offset, len, address, extra });
        }
        Ok(segments)
    }
}

#[cfg(feature = "encode")]
fn put_areas(out: &mut Vec<u8>, areas: &[Area], has_contents: bool) -> Option<()> {
    varint::put(out, areas.len() as u64);
    let mut end = 0;
    for Area { offset, len, content } in areas {
        varint::put(out, offset.checked_sub(end)?);
        varint::put(out, *len);
        if has_contents {
            varint::put(out, *content as u64);
        }
        end = offset.checked_add(*len)?;
    }
    Some(())
}

fn wrong() -> Failure {
    out_of_range("a parameter of a model")
}

#[cfg(feature = "encode")]
impl Params {
    /// The bytes that [`Params::parse`] reads; none for what it would refuse.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        varint::put(&mut out, self.source.number());
        varint::put(&mut out, self.offset);
        varint::put(&mut out, self.len);
        varint::put(&mut out, self.target_len);
        for segments in [&self.base, &self.target] {
            varint::put(&mut out, segments.len() as u64);
            let (mut end, mut memory_end) = (0, 0);
            for segment in segments {
                let Segment { offset, len, address, extra } = *segment;
                varint::put(&mut out, offset.checked_sub(end)?);
                varint::put(&mut out, len);
                varint::put(&mut out, address.checked_sub(memory_end)?);
                varint::put(&mut out, extra);
                end = offset.checked_add(len)?;
                memory_end = address.checked_add(len)?.checked_add(extra)?;
            }
        }
        varint::put(&mut out, self.lowest);
        put_areas(&mut out, &self.areas, true)?;
        if self.version != Version::First {
            put_areas(&mut out, &self.new, self.version >= Version::Third)?;
        }
        if self.version >= Version::Fourth {
            let SymbolTables { base_names, count, names, .. } = self.symbols;
            for value in [base_names.0, base_names.1, count, names.0, names.1] {
                varint::put(&mut out, value);
            }
        }
        Self::parse(&out, (self.machine, self.version)).is_ok().then_some(out)
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::version::of_id;
    use super::*;
    use proptest::prelude::*;

    fn area(offset: u64, len: u64, content: Content) -> Area {
        Area { offset, len, content }
    }

    fn params() -> Params {
        let segment = |offset, len, address, extra| Segment { offset, len, address, extra };
        Params {
            source: Source::Kept(3),
            offset: 1 << 40,
            len: 10_000,
            target_len: 9_000,
            base: vec![segment(0, 4096, 0x40_0000, 0), segment(4096, 100, 0x60_1000, 9000)],
            target: vec![segment(0, 8192, 0x40_0000, 0)],
            lowest: 100,
            areas: vec![area(64, 4000, Content::Code), area(4096, 100, Content::Pointers)],
            new: Vec::new(),
            symbols: SymbolTables::default(),
            machine: Machine::X86_64,
            version: Version::First,
        }
    }

    fn refused(change: impl FnOnce(&mut Params)) -> bool {
        let mut params = params();
        change(&mut params);
        params.to_bytes().is_none()
    }

    #[test]
    fn they_come_back() {
        let bytes = params().to_bytes().unwrap();
        let parse = |bytes: &[u8]| Params::parse(bytes, (Machine::X86_64, Version::First));
        assert_eq!(parse(&bytes).unwrap(), params());
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "{len}");
        }
        assert!(parse(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn the_second_version_says_where_new_code_is() {
        let code = |&(offset, len): &(u64, u64)| area(offset, len, Content::Code);
        let with = |new: Vec<(u64, u64)>| Params {
            version: Version::Second,
            new: new.iter().map(code).collect(),
            ..params()
        };
        let good = with(vec![(5, 10), (15, 8985)]);
        let bytes = good.to_bytes().unwrap();
        assert_eq!(Params::parse(&bytes, (Machine::X86_64, Version::Second)).unwrap(), good);
        assert!(Params::parse(&bytes, (Machine::X86_64, Version::First)).is_err());
        for wrong in [vec![(5, 10), (14, 1)], vec![(5, 0)], vec![(0, 9001)], vec![(1, 1); 513]] {
            assert!(with(wrong).to_bytes().is_none());
        }
    }

    #[test]
    fn what_overlaps_or_is_too_long_is_refused() {
        assert!(refused(|params| params.areas[1].offset = 4000));
        assert!(refused(|params| params.areas[0].len = 0));
        assert!(refused(|params| params.areas[1].len = 10_000));
        assert!(refused(|params| params.base[1].offset = 4000));
        assert!(refused(|params| params.base[1].address = 0x40_0fff));
        assert!(refused(|params| params.base[1].address = 0x1_0040_0000));
        assert!(refused(|params| params.base[1].extra = SPACE));
        assert!(refused(|params| params.target[0].address = u64::MAX - 8191));
        assert!(refused(|params| params.len = SPACE));
        assert!(refused(|params| params.base = vec![params.target[0]; 33]));
        assert!(!refused(|_| ()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            for model in (1..=6).filter_map(of_id) {
                if let Ok(params) = Params::parse(&bytes, model) {
                    prop_assert_eq!(params.to_bytes(), Some(bytes.clone()));
                }
            }
        }
    }
}
