//! Finds the addresses in a stretch of a base's file.

use super::Kind;
use super::params::Area;
use super::space::{Place, Space};
use super::version::Machine;
use super::x86_64::Form;

/// An address in a stretch. Where its target moves by some distance, its value changes by that and
/// by `change`; what other kinds say see [`Kind`]. Of [`Kind::Word`] `change` is the address of the instruction in the target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference {
    /// Where in the stretch it stands; bytes of it.
    pub(super) at: u32,
    pub(super) width: u8,
    pub(super) kind: Kind,
    /// The base's target: an address; of a name its place in the file.
    pub(super) target: u64,
    pub(super) change: u64,
}

/// Bytes of a base's file, and where they go.
pub(super) struct Stretch<'a> {
    pub(super) base: u64,
    pub(super) target: u64,
    pub(super) bytes: &'a [u8],
    /// Addresses of eight bytes mean nothing before this place of the file.
    pub(super) lowest: u64,
    pub(super) machine: Machine,
    /// The memory of base and target.
    pub(super) from: &'a Space,
    pub(super) to: &'a Space,
}

impl Stretch<'_> {
    /// Places of the file between two, so many bytes apart.
    pub(super) fn places(from: u64, to: u64, step: u64) -> impl Iterator<Item = u64> {
        (from.next_multiple_of(step)..to).step_by(step as usize)
    }

    pub(super) fn four(&self, place: u64) -> Option<(u32, u64)> {
        let at = place.checked_sub(self.base)?;
        let bytes = self.bytes.get(at as usize..)?.first_chunk::<4>()?;
        Some((at as u32, i64::from(i32::from_le_bytes(*bytes)) as u64))
    }

    pub(super) fn eight(&self, place: u64) -> Option<(u32, u64)> {
        let at = place.checked_sub(self.base)?;
        let bytes = self.bytes.get(at as usize..)?.first_chunk::<8>()?;
        Some((at as u32, u64::from_le_bytes(*bytes)))
    }

    /// The address of a place of the base's file, and how much lower it is than where it goes to.
    pub(super) fn field(&self, place: u64) -> Option<(u64, u64)> {
        let address = self.from.address(place)?;
        let moved = self.to.address(self.target.checked_add(place.checked_sub(self.base)?)?)?;
        Some((address, address.wrapping_sub(moved)))
    }

    /// The field of an instruction.
    pub(super) fn code(&self, place: u64, behind: u8, form: Form) -> Option<Reference> {
        let (at, value) = self.four(place)?;
        let (address, change) = self.field(place)?;
        let target = address.wrapping_add(4 + u64::from(behind)).wrapping_add(value);
        self.from.place(target)?;
        Some(Reference { at, width: 4, kind: Kind::Code(form), target, change })
    }

    /// Eight bytes that may be an address.
    pub(super) fn pointer(&self, place: u64, kind: Kind) -> Option<Reference> {
        let (at, target) = self.eight(place)?;
        if matches!(self.from.place(target)?, Place::File(place) if u64::from(place) < self.lowest)
        {
            return None;
        }
        Some(Reference { at, width: 8, kind, target, change: 0 })
    }

    /// Four bytes that may be the distance of code from their own place.
    pub(super) fn near(&self, place: u64, code: (u64, u64)) -> Option<Reference> {
        let (at, value) = self.four(place)?;
        let (address, change) = self.field(place)?;
        let target = address.wrapping_add(value);
        self.is_code(target, code).then_some(Reference {
            at,
            width: 4,
            kind: Kind::Near,
            target,
            change,
        })
    }

    /// Whether an address lies between two places of the file.
    pub(super) fn is_code(&self, address: u64, code: (u64, u64)) -> bool {
        let place = self.from.place(address);
        matches!(place, Some(Place::File(at)) if (code.0..code.1).contains(&u64::from(at)))
    }

    /// Four bytes that are a distance from the start of their area, which moves by `change`.
    pub(super) fn behind_start(&self, place: u64, start: u64, change: u64) -> Option<Reference> {
        let (at, value) = self.four(place)?;
        let target = start.wrapping_add(value);
        self.from.place(target)?;
        Some(Reference { at, width: 4, kind: Kind::FromStart, target, change })
    }

    /// Four bytes that are a distance from the end of their area, where names stand.
    pub(super) fn name(&self, place: u64, area: &Area, change: u64) -> Option<Reference> {
        let (at, value) = self.four(place)?;
        let target = (area.offset + area.len).wrapping_add(value & 0xffff_ffff);
        u32::try_from(target).ok()?;
        Some(Reference { at, width: 4, kind: Kind::Name, target, change })
    }
}

/// The value of a field, little-endian.
pub(super) fn value(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// Puts the low bytes of a value into a field.
pub(super) fn put(bytes: &mut [u8], value: u64) {
    for (byte, new) in bytes.iter_mut().zip(value.to_le_bytes()) {
        *byte = new;
    }
}
