//! Parameters of the model of executables: where a base's file lies, its segments and those of the target, and
//! what stands in which part of the file.

use dd_inspect::failure::Failure;

use super::super::hooks::Source;
use super::super::ids::model;
use super::super::input::out_of_range;
use super::super::varint;

/// Segments of a file.
const SEGMENTS: u64 = 32;
/// Areas of a file.
const AREAS: u64 = 512;
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
    /// Code of the target's file, offsets and lengths, ascending, without overlap; of the second version.
    pub(crate) new_code: Vec<(u64, u64)>,
    /// Which version of the model it is.
    pub(crate) version: Version,
}

/// Versions of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Edits alone.
    First,
    /// New code too.
    Second,
}

impl Version {
    /// The version with this id of a model.
    pub(crate) fn from_id(id: u64) -> Option<Self> {
        match id {
            model::X86_64 => Some(Self::First),
            model::X86_64_CODE => Some(Self::Second),
            _ => None,
        }
    }
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
}

impl Content {
    fn from_number(number: u64, version: Version) -> Option<Self> {
        Some(match number {
            1 => Self::Code,
            2 => Self::Pointers,
            3 => Self::Near,
            4 => Self::FromStart,
            5 => Self::Symbols,
            6 if version == Version::Second => Self::Frames,
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
    pub(crate) fn parse(bytes: &[u8], version: Version) -> Result<Self, Failure> {
        let mut reader = Reader { bytes, at: 0 };
        let source = Source::from_number(reader.integer(u64::MAX)?).ok_or_else(wrong)?;
        let offset = reader.integer(u64::MAX)?;
        let len = reader.integer(SPACE - 1)?;
        let target_len = reader.integer(SPACE - 1)?;
        let base = reader.segments()?;
        let target = reader.segments()?;
        let lowest = reader.integer(SPACE - 1)?;
        let mut areas = Vec::new();
        let mut end = 0;
        for _ in 0..reader.integer(AREAS)? {
            let area = Area {
                offset: end + reader.integer(SPACE - 1 - end)?,
                len: reader.integer(SPACE - 1)?,
                content: Content::from_number(reader.integer(255)?, version).ok_or_else(wrong)?,
            };
            end = area.offset + area.len;
            if end > len || area.len == 0 {
                return Err(wrong());
            }
            areas.push(area);
        }
        let mut new_code = Vec::new();
        if version == Version::Second {
            let mut end = 0;
            for _ in 0..reader.integer(AREAS)? {
                let offset = end + reader.integer(SPACE - 1 - end)?;
                let len = reader.integer(SPACE - 1)?;
                end = offset + len;
                if end > target_len || len == 0 {
                    return Err(wrong());
                }
                new_code.push((offset, len));
            }
        }
        if reader.at != bytes.len() {
            return Err(wrong());
        }
        Ok(Self { source, offset, len, target_len, base, target, lowest, areas, new_code, version })
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
        varint::put(&mut out, self.areas.len() as u64);
        let mut end = 0;
        for Area { offset, len, content } in &self.areas {
            varint::put(&mut out, offset.checked_sub(end)?);
            varint::put(&mut out, *len);
            varint::put(&mut out, *content as u64);
            end = offset.checked_add(*len)?;
        }
        if self.version == Version::Second {
            varint::put(&mut out, self.new_code.len() as u64);
            let mut end = 0;
            for (offset, len) in &self.new_code {
                varint::put(&mut out, offset.checked_sub(end)?);
                varint::put(&mut out, *len);
                end = offset.checked_add(*len)?;
            }
        }
        Self::parse(&out, self.version).is_ok().then_some(out)
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn params() -> Params {
        let segment = |offset, len, address, extra| Segment { offset, len, address, extra };
        let area = |offset, len, content| Area { offset, len, content };
        Params {
            source: Source::Kept(3),
            offset: 1 << 40,
            len: 10_000,
            target_len: 9_000,
            base: vec![segment(0, 4096, 0x40_0000, 0), segment(4096, 100, 0x60_1000, 9000)],
            target: vec![segment(0, 8192, 0x40_0000, 0)],
            lowest: 100,
            areas: vec![area(64, 4000, Content::Code), area(4096, 100, Content::Pointers)],
            new_code: Vec::new(),
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
        let parse = |bytes: &[u8]| Params::parse(bytes, Version::First);
        assert_eq!(parse(&bytes).unwrap(), params());
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "{len}");
        }
        assert!(parse(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn the_second_version_says_where_new_code_is() {
        let with = |new_code| Params { version: Version::Second, new_code, ..params() };
        let good = with(vec![(5, 10), (15, 8985)]);
        let bytes = good.to_bytes().unwrap();
        assert_eq!(Params::parse(&bytes, Version::Second).unwrap(), good);
        assert!(Params::parse(&bytes, Version::First).is_err());
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
            for version in [Version::First, Version::Second] {
                if let Ok(params) = Params::parse(&bytes, version) {
                    prop_assert_eq!(params.to_bytes(), Some(bytes.clone()));
                }
            }
        }
    }
}
