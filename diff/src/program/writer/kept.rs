//! Kept objects: what is made before the layer, and read by it.

use dd_inspect::failure::Failure;

use super::super::head::KeptObject;
use super::super::hooks::{Source, Sources};
use super::super::limits;
use super::unit::OpenUnit;
use super::{PayloadWriter, wrong};

/// A source is made or read in a unit: if it is a kept object, it is needed until then.
pub(super) fn keep(kept: &mut [KeptObject], source: Source, unit: u64) {
    if let Source::Kept(index) = source
        && let Some(object) = kept.get_mut(index as usize)
    {
        object.last = unit;
    }
}

impl<S: Sources + Sync> PayloadWriter<S> {
    /// The ops that follow make a kept object of this size, until [`PayloadWriter::end_kept`].
    pub fn begin_kept(&mut self, size: u64) -> Result<Source, Failure> {
        let index = self.kept.len() as u32;
        if u64::from(index) == limits::KEPT || size == 0 || self.unit.kept.is_some() {
            return Err(wrong("a kept object cannot begin here"));
        }
        let owner = self.unit.owner;
        self.close_unit()?;
        self.unit = OpenUnit::new(Some(index), owner);
        let unit = self.units_begun;
        self.kept.push(KeptObject { size, first: unit, last: unit });
        Ok(Source::Kept(index))
    }

    /// The caller's bytes have the content of a kept object at `index`, behind those of the base layers,
    /// so that dictionaries may lie in it.
    pub fn kept_bytes(&mut self, kept: Source, index: usize) -> Result<(), Failure> {
        let Source::Kept(kept) = kept else { return Err(wrong("this is no kept object")) };
        self.bases.set_kept(kept, index);
        Ok(())
    }

    /// The kept object is whole; from here on it can be read.
    pub fn end_kept(&mut self) -> Result<(), Failure> {
        self.flush_op()?;
        let index = self.unit.kept.ok_or_else(|| wrong("no kept object is being made"))?;
        let size = self.kept.get(index as usize).map_or(0, |object| object.size);
        if self.unit.kept_made != size {
            return Err(wrong("a kept object has another length than declared"));
        }
        let owner = self.unit.owner;
        self.close_unit()?;
        self.unit = OpenUnit::new(None, owner);
        Ok(())
    }
}
