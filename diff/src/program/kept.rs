//! Kept objects: where each lies, and its bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::head::KeptObject;
use super::input::io_failure;
use super::limits::KEPT_IN_MEMORY;

/// Where a kept object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In memory.
    Memory,
    /// In the scratch file, from this offset on.
    Scratch(u64),
}

/// Gives kept objects their places: in memory while all of them there fit into 16 MiB, else at the
/// lowest offset of the scratch file that is free.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    in_memory: u64,
    /// Ranges in use of the scratch file: start and end.
    used: BTreeMap<u64, u64>,
    /// Below this offset nothing is free.
    full_below: u64,
    scratch_peak: u64,
}

impl Placement {
    /// A place for so many bytes, and how many ranges in use were passed by.
    pub(crate) fn take(&mut self, size: u64) -> (Place, u64) {
        if self.in_memory.saturating_add(size) <= KEPT_IN_MEMORY {
            self.in_memory += size;
            return (Place::Memory, 0);
        }
        let (mut start, mut passed) = (self.full_below, 0);
        for (&used_start, &used_end) in self.used.range(start..) {
            if used_start - start >= size {
                break;
            }
            start = used_end;
            passed += 1;
        }
        let end = start.saturating_add(size);
        self.used.insert(start, end);
        while let Some(&used_end) = self.used.get(&self.full_below) {
            self.full_below = used_end;
        }
        self.scratch_peak = self.scratch_peak.max(end);
        (Place::Scratch(start), passed)
    }

    /// Gives a place back.
    pub(crate) fn release(&mut self, place: Place, size: u64) {
        match place {
            Place::Memory => self.in_memory -= size,
            Place::Scratch(start) => {
                self.used.remove(&start);
                self.full_below = self.full_below.min(start);
            }
        }
    }

    /// Bytes in memory now.
    pub(crate) fn in_memory(&self) -> u64 {
        self.in_memory
    }

    /// The length that the scratch file has had.
    pub(crate) fn scratch_peak(&self) -> u64 {
        self.scratch_peak
    }
}

/// Kept objects of a decoder.
#[derive(Debug)]
pub(crate) struct Kept {
    objects: Vec<KeptObject>,
    live: BTreeMap<u32, Object>,
    /// Objects by the unit after which they are not needed, ascending.
    ends: Vec<(u64, u32)>,
    next_end: usize,
    placement: Placement,
    scratch: Option<File>,
    scratch_dir: PathBuf,
    scratch_allowed: u64,
}

#[derive(Debug)]
struct Object {
    place: Place,
    /// The bytes of an object in memory.
    bytes: Vec<u8>,
    written: u64,
    size: u64,
}

impl Kept {
    pub(crate) fn new(objects: Vec<KeptObject>, scratch_dir: &Path, scratch_allowed: u64) -> Self {
        let mut ends: Vec<_> = (0u32..).zip(&objects).map(|(i, object)| (object.last, i)).collect();
        ends.sort_unstable();
        Self {
            objects,
            live: BTreeMap::new(),
            ends,
            next_end: 0,
            placement: Placement::default(),
            scratch: None,
            scratch_dir: scratch_dir.to_owned(),
            scratch_allowed,
        }
    }

    /// Forgets the objects whose last unit lies before `unit`.
    pub(crate) fn release_before(&mut self, unit: u64) {
        while let Some(&(_, index)) = self.ends.get(self.next_end).filter(|end| end.0 < unit) {
            self.next_end += 1;
            if let Some(object) = self.live.remove(&index) {
                self.placement.release(object.place, object.size);
            }
        }
    }

    /// The object whose first unit this is.
    pub(crate) fn begins_in(&self, unit: u64) -> Option<u32> {
        self.objects.binary_search_by_key(&unit, |object| object.first).ok().map(|at| at as u32)
    }

    /// Begins object `index` if `unit` is its first, or goes on with it; returns how many ranges in use of the scratch file were
    /// passed by.
    pub(crate) fn begin(&mut self, index: u32, unit: u64) -> Result<u64, Failure> {
        let declared = self.objects.get(index as usize);
        let declared =
            *declared.ok_or_else(|| failure!(PackageCorrupt, "there is no kept object {index}"))?;
        if declared.first != unit {
            return match self.live.get(&index) {
                Some(object) if object.written < object.size => Ok(0),
                _ => Err(failure!(
                    PackageCorrupt,
                    "kept object {index} is not being made in this unit"
                )),
            };
        }
        let (place, passed) = self.placement.take(declared.size);
        if self.placement.scratch_peak() > self.scratch_allowed {
            return Err(failure!(
                PackageCorrupt,
                "the delta needs more scratch space than it declares"
            ));
        }
        if matches!(place, Place::Scratch(_)) && self.scratch.is_none() {
            let file = tempfile::tempfile_in(&self.scratch_dir);
            let doing = || format!("making a scratch file in {}", self.scratch_dir.display());
            self.scratch = Some(file.map_err(|error| io_failure(&doing(), error))?);
        }
        let in_memory = if place == Place::Memory { declared.size } else { 0 };
        // At most 16 MiB for all of them.
        let bytes = Vec::with_capacity(in_memory as usize);
        let object = Object { place, bytes, written: 0, size: declared.size };
        self.live.insert(index, object);
        Ok(passed)
    }

    /// Appends to an object under way.
    pub(crate) fn write(&mut self, index: u32, bytes: &[u8]) -> Result<(), Failure> {
        let object = self.live.get_mut(&index);
        let object =
            object.ok_or_else(|| failure!(PackageCorrupt, "kept object {index} was given up"))?;
        let end = object.written.saturating_add(bytes.len() as u64);
        if end > object.size {
            return Err(failure!(PackageCorrupt, "kept object {index} is longer than declared"));
        }
        match (object.place, &self.scratch) {
            (Place::Scratch(start), Some(file)) => file
                .write_all_at(bytes, start + object.written)
                .map_err(|error| io_failure("writing the scratch file", error))?,
            _ => object.bytes.extend_from_slice(bytes),
        }
        object.written = end;
        Ok(())
    }

    /// Whether object `index` has all its bytes.
    pub(crate) fn is_complete(&self, index: u32) -> bool {
        self.live.get(&index).is_some_and(|object| object.written == object.size)
    }

    /// The length of an object that is complete and still kept.
    pub(crate) fn len(&self, index: u32) -> Option<u64> {
        self.live
            .get(&index)
            .filter(|object| object.written == object.size)
            .map(|object| object.size)
    }

    /// Fills `buf` from a complete object.
    pub(crate) fn read_at(&self, index: u32, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let object = self.live.get(&index).ok_or(io::ErrorKind::NotFound)?;
        match (object.place, &self.scratch) {
            (Place::Scratch(start), Some(file)) => file.read_exact_at(buf, start + offset),
            _ => {
                let bytes = usize::try_from(offset)
                    .ok()
                    .and_then(|at| object.bytes.get(at..at.checked_add(buf.len())?));
                buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// Bytes of objects in memory.
    pub(crate) fn in_memory(&self) -> u64 {
        self.placement.in_memory()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_range_is_taken() {
        let mut placement = Placement::default();
        let big = KEPT_IN_MEMORY;
        assert_eq!(placement.take(big), (Place::Memory, 0));
        assert_eq!(placement.take(10), (Place::Scratch(0), 0));
        assert_eq!(placement.take(20), (Place::Scratch(10), 0));
        assert_eq!(placement.take(5), (Place::Scratch(30), 0));
        placement.release(Place::Scratch(10), 20);
        assert_eq!(placement.take(21), (Place::Scratch(35), 1));
        assert_eq!(placement.take(8), (Place::Scratch(10), 0));
        assert_eq!(placement.take(12), (Place::Scratch(18), 0));
        assert_eq!(placement.scratch_peak(), 56);
        placement.release(Place::Memory, big);
        assert_eq!(placement.take(1), (Place::Memory, 0));
        assert_eq!(placement.in_memory(), 1);
    }

    #[test]
    fn objects_in_memory_and_scratch_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let size = KEPT_IN_MEMORY - 1;
        let objects = vec![
            KeptObject { size, first: 0, last: 1 },
            KeptObject { size: 3, first: 1, last: 2 },
            KeptObject { size: 3, first: 2, last: 2 },
        ];
        let mut kept = Kept::new(objects, dir.path(), 3);
        kept.begin(0, 0).unwrap();
        kept.write(0, &vec![1; size as usize]).unwrap();
        assert!(kept.write(0, &[1]).is_err());
        kept.begin(1, 1).unwrap();
        kept.write(1, b"ab").unwrap();
        assert_eq!((kept.len(0), kept.len(1)), (Some(size), None));
        kept.write(1, b"c").unwrap();
        let mut buf = [0; 2];
        kept.read_at(1, 1, &mut buf).unwrap();
        assert_eq!(&buf, b"bc");
        kept.release_before(2);
        assert_eq!(kept.len(0), None);
        kept.begin(2, 2).unwrap();
        assert_eq!(kept.in_memory(), 3);
        assert!(kept.begin(0, 2).is_err());
        assert!(kept.begin(1, 2).is_err());
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "the scratch file has no name"
        );
    }

    #[test]
    fn scratch_is_bounded_by_the_declaration() {
        let dir = tempfile::tempdir().unwrap();
        let objects = vec![KeptObject { size: KEPT_IN_MEMORY + 1, first: 0, last: 0 }];
        let error = Kept::new(objects, dir.path(), KEPT_IN_MEMORY).begin(0, 0).unwrap_err();
        assert_eq!(error.message, "the delta needs more scratch space than it declares");
    }
}
