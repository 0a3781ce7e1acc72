//! The head of a payload: all that a reader needs to know before work (docs/delta-format.md, "Head").

use std::io::Read;

use dd_inspect::digest::DiffId;
use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::hooks::Tools;
use super::ids::{self, Registry};
use super::input::{Input, out_of_range};
use super::limits::{self, Limits};
use super::meter;
use super::quoted::{Form, Hash};
#[cfg(feature = "encode")]
use super::varint;

/// The first bytes of a payload; a transfer as text, to seven bits or with a changed line end shows in them.
pub const MAGIC: [u8; 8] = *b"\x8fDDP\r\n\x1a\n";
/// The version of the frame. New ids do not change it.
pub const VERSION: u64 = 1;

/// A kept object: bytes that the payload makes and reads again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptObject {
    /// Length in bytes, at least 1.
    pub size: u64,
    /// The unit that begins to make it.
    pub first: u64,
    /// The last unit that makes or reads it.
    pub last: u64,
}

/// What a payload declares of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Every id in use as (number of the registry, id), ascending.
    pub ids: Vec<(u64, u64)>,
    /// The base layers that are read.
    pub sources: Vec<DiffId>,
    /// Length in bytes of the layer.
    pub output_len: u64,
    /// Kept objects in the order in which they are made.
    pub kept: Vec<KeptObject>,
    /// Digest slots.
    pub slots: u64,
    /// Units.
    pub units: u64,
    /// Ops of all units.
    pub ops: u64,
    /// Memory in bytes that a reader needs, beside code and I/O buffers.
    pub memory: u64,
    /// Bytes of kept objects that lie in scratch at the same time.
    pub scratch: u64,
    /// The work of a reader, in bytes handled.
    pub work: u64,
}

impl Head {
    /// Reads the head alone, without a check of ids or needs.
    ///
    /// # Errors
    /// Not a payload, one of another version, or a damaged one.
    pub fn read(payload: impl Read) -> Result<Self, Failure> {
        Self::parse(&mut Input::new(payload))
    }

    pub(crate) fn parse<R: Read>(input: &mut Input<R>) -> Result<Self, Failure> {
        let mut magic = Vec::new();
        input.bytes(MAGIC.len() as u64, &mut magic)?;
        if magic != MAGIC {
            return Err(failure!(PackageCorrupt, "this is not the payload of a delta"));
        }
        let version = input.varint("the version of the delta", u64::MAX)?;
        if version != VERSION {
            return Err(
                failure!(Unsupported, "the delta has version {version}, this program reads {VERSION}"; "use a newer dd-apply"),
            );
        }
        let len = input.varint("the length of the head", limits::HEAD_LEN)?;
        let mut bytes = Vec::new();
        input.bytes(len, &mut bytes)?;
        let mut body = Input::new(&bytes[..]);
        let head = Self::parse_body(&mut body)?;
        if body.is_at_end()? { Ok(head) } else { Err(out_of_range("the length of the head")) }
    }

    fn parse_body(body: &mut Input<&[u8]>) -> Result<Self, Failure> {
        let mut head = Self::default();
        for _ in 0..body.varint("the number of ids", 1024)? {
            let registry = body.varint("a registry", u64::MAX)?;
            let id = (registry, body.varint("an id", u64::MAX)?);
            if head.ids.last().is_some_and(|last| *last >= id) {
                return Err(out_of_range("the order of ids"));
            }
            head.ids.push(id);
        }
        for _ in 0..body.varint("the number of base layers", limits::SOURCES)? {
            let mut bytes = Vec::with_capacity(32);
            body.bytes(32, &mut bytes)?;
            let bytes = bytes.try_into().map_err(|_| out_of_range("a diff_id"))?;
            head.sources.push(DiffId::from_bytes(bytes));
        }
        head.output_len = body.varint("the length of the layer", i64::MAX as u64)?;
        head.units = body.varint("the number of units", u64::MAX)?;
        head.ops = body.varint("the number of ops", u64::MAX)?;
        let mut produced = head.output_len;
        for _ in 0..body.varint("the number of kept objects", limits::KEPT)? {
            let size = body.varint("the size of a kept object", i64::MAX as u64)?;
            let first = body.varint("the first unit of a kept object", u64::MAX)?;
            let span = body.varint("the last unit of a kept object", u64::MAX)?;
            let last = first.checked_add(span).filter(|&last| last < head.units);
            let last = last.ok_or_else(|| out_of_range("the last unit of a kept object"))?;
            if size == 0 || head.kept.last().is_some_and(|before| before.first >= first) {
                return Err(out_of_range("a kept object"));
            }
            produced = produced.saturating_add(size);
            head.kept.push(KeptObject { size, first, last });
        }
        head.slots = body.varint("the number of digest slots", limits::SLOTS)?;
        head.memory = body.varint("the memory", u64::MAX)?;
        head.scratch = body.varint("the scratch space", u64::MAX)?;
        head.work = body.varint("the work", u64::MAX)?;
        if head.ops > meter::ops_allowed(produced) || head.units > head.ops {
            return Err(out_of_range("the number of ops"));
        }
        Ok(head)
    }

    /// The bytes of the head, magic and version among them.
    #[cfg(feature = "encode")]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        varint::put(&mut body, self.ids.len() as u64);
        for &(registry, id) in &self.ids {
            varint::put(&mut body, registry);
            varint::put(&mut body, id);
        }
        varint::put(&mut body, self.sources.len() as u64);
        for source in &self.sources {
            body.extend_from_slice(source.as_bytes());
        }
        for value in [self.output_len, self.units, self.ops, self.kept.len() as u64] {
            varint::put(&mut body, value);
        }
        for kept in &self.kept {
            for value in [kept.size, kept.first, kept.last - kept.first] {
                varint::put(&mut body, value);
            }
        }
        for value in [self.slots, self.memory, self.scratch, self.work] {
            varint::put(&mut body, value);
        }
        let mut bytes = MAGIC.to_vec();
        varint::put(&mut bytes, VERSION);
        varint::put(&mut bytes, body.len() as u64);
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Bytes of the layer and of all kept objects.
    pub fn produced(&self) -> u64 {
        self.kept.iter().fold(self.output_len, |sum, kept| sum.saturating_add(kept.size))
    }

    /// Whether an id stands in the list.
    pub(crate) fn lists(&self, registry: Registry, id: u64) -> bool {
        self.ids.binary_search(&(registry as u64, id)).is_ok()
    }

    /// Refuses ids that neither this version nor `tools` knows.
    ///
    /// # Errors
    /// The first unknown id, named.
    pub fn check_ids(&self, tools: &Tools) -> Result<(), Failure> {
        for &(number, id) in &self.ids {
            let Some(registry) = Registry::from_number(number) else {
                return Err(ids::unknown(&format!("id {id} of registry"), number));
            };
            let known = match registry {
                Registry::Op => id <= u64::from(ids::op::OPEN),
                Registry::Model => id <= ids::model::AARCH64,
                Registry::Generator => {
                    matches!(
                        id,
                        ids::generator::ZEROS
                            | ids::generator::DIGEST_HEX
                            | ids::generator::FOLLOWING
                            | ids::generator::MTIME
                            | ids::generator::SYMBOLS
                            | ids::generator::NAMES
                            | ids::generator::FRAME_INDEX
                            | ids::generator::EXCEPTIONS
                    ) || Form::from_generator(id).is_some()
                        || tools.generators.knows(id)
                }
                Registry::Coder => ids::coder::is_known(id),
                Registry::Stream => id <= ids::stream::EXACT,
                Registry::Encoding => {
                    id == ids::encoding::DIGEST
                        || Hash::from_encoding(id).is_some()
                        || tools.encoders.memory(id).is_some()
                }
                Registry::Opening => id == ids::opening::DEFLATE,
            };
            if !known {
                return Err(ids::unknown(registry.word(), id));
            }
        }
        Ok(())
    }

    /// Compares what is needed with what the reader is willing to spend.
    ///
    /// # Errors
    /// What is needed and what is allowed.
    pub fn check_needs(&self, limits: &Limits, sources_len: u64) -> Result<(), Failure> {
        let (needed, allowed) = (self.memory, limits.memory);
        if needed > allowed {
            return Err(
                failure!(Limit, "the delta needs {needed} bytes of memory, {allowed} are allowed"; "allow more with --memory"),
            );
        }
        let (needed, allowed) = (self.scratch, limits.scratch);
        if needed > allowed {
            return Err(
                failure!(Limit, "the delta needs {needed} bytes of scratch space, {allowed} are allowed"; "allow more with --scratch"),
            );
        }
        if self.work > meter::work_allowed(sources_len, self.output_len) {
            return Err(out_of_range("the work that the delta declares"));
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dd_inspect::failure::Category;

    fn sample() -> Head {
        Head {
            ids: vec![(0, 0), (3, 1)],
            sources: vec![DiffId::of(b"base")],
            output_len: 1000,
            kept: vec![
                KeptObject { size: 5, first: 1, last: 2 },
                KeptObject { size: 6, first: 2, last: 2 },
            ],
            slots: 3,
            units: 4,
            ops: 9,
            memory: 70 << 20,
            scratch: 5,
            work: 2000,
        }
    }

    #[test]
    fn round_trip() {
        let bytes = sample().to_bytes();
        assert_eq!(Head::read(&bytes[..]).unwrap(), sample());
        for len in 0..bytes.len() {
            assert_eq!(Head::read(&bytes[..len]).unwrap_err().category, Category::PackageCorrupt);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let broken = |change: fn(&mut Head)| {
            let mut head = sample();
            change(&mut head);
            Head::read(&head.to_bytes()[..]).unwrap_err().message
        };
        assert_eq!(broken(|head| head.ids.reverse()), "the order of ids is out of range");
        assert_eq!(broken(|head| head.ids[1] = (0, 0)), "the order of ids is out of range");
        assert_eq!(broken(|head| head.units = 2), "the last unit of a kept object is out of range");
        assert_eq!(broken(|head| head.kept[1].first = 1), "a kept object is out of range");
        assert_eq!(broken(|head| head.kept[0].size = 0), "a kept object is out of range");
        assert_eq!(broken(|head| head.ops = 3), "the number of ops is out of range");
        assert_eq!(broken(|head| head.ops = 70_000), "the number of ops is out of range");
        assert_eq!(
            broken(|head| head.slots = 70_000),
            "the number of digest slots is out of range"
        );
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = sample().to_bytes();
        bytes[8] = 2;
        let error = Head::read(&bytes[..]).unwrap_err();
        assert_eq!(error.category, Category::Unsupported);
        assert_eq!(error.message, "the delta has version 2, this program reads 1");
        bytes[0] = 0x0f;
        assert_eq!(Head::read(&bytes[..]).unwrap_err().category, Category::PackageCorrupt);
    }

    #[test]
    fn unknown_ids_are_named() {
        let tools = Tools::basic("/nowhere");
        sample().check_ids(&tools).unwrap();
        for (id, says) in [
            ((1, 7), "the delta needs model 7, which this version does not know"),
            ((2, 1), "the delta needs generator 1, which this version does not know"),
            ((4, 11), "the delta needs stream kind 11, which this version does not know"),
            ((5, 1), "the delta needs encoding 1, which this version does not know"),
            ((6, 1), "the delta needs opening 1, which this version does not know"),
            ((9, 4), "the delta needs id 4 of registry 9, which this version does not know"),
        ] {
            let error = Head { ids: vec![id], ..sample() }.check_ids(&tools).unwrap_err();
            assert_eq!((error.category, &*error.message), (Category::Unsupported, says));
        }
    }

    #[test]
    fn needs_are_compared_before_work() {
        let limits = Limits { memory: 70 << 20, scratch: 5 };
        let head = sample();
        head.check_needs(&limits, 0).unwrap();
        let less_memory = Limits { memory: limits.memory - 1, ..limits };
        assert_eq!(head.check_needs(&less_memory, 0).unwrap_err().category, Category::Limit);
        let less_scratch = Limits { scratch: 4, ..limits };
        assert_eq!(head.check_needs(&less_scratch, 0).unwrap_err().category, Category::Limit);
        let busy = Head { work: (256 << 20) + 32_001, ..head };
        assert!(busy.check_needs(&limits, 0).is_err());
        busy.check_needs(&limits, 1).unwrap();
    }
}
