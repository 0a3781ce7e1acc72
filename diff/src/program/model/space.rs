//! Where bytes of a file are in memory, and the other way round.

use super::params::{SPACE, Segment};

/// What stands at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A byte of the file.
    File(u32),
    /// Memory behind a segment: its number, and bytes behind the segment's.
    Memory(usize, u64),
}

/// The segments of a file.
#[derive(Debug, Clone)]
pub(super) struct Space {
    segments: Vec<Segment>,
    first: u64,
    end: u64,
}

impl Space {
    pub(super) fn new(segments: &[Segment]) -> Self {
        let first = segments.first().map_or(0, |segment| segment.address);
        let end = segments.last().map_or(0, |last| last.address + last.len + last.extra);
        Self { segments: segments.to_vec(), first, end }
    }

    /// The address of a byte of the file.
    pub(super) fn address(&self, offset: u64) -> Option<u64> {
        let inside = |segment: &&Segment| {
            offset.checked_sub(segment.offset).is_some_and(|distance| distance < segment.len)
        };
        let segment = self.segments.iter().find(inside)?;
        Some(segment.address + (offset - segment.offset))
    }

    /// An address as its distance from the first one.
    pub(super) fn relative(&self, address: u64) -> Option<u32> {
        if address >= self.end {
            return None;
        }
        let distance = address.checked_sub(self.first).filter(|&distance| distance < SPACE)?;
        u32::try_from(distance).ok()
    }

    /// An address by its distance from the first one.
    pub(super) fn absolute(&self, relative: u32) -> u64 {
        self.first.wrapping_add(u64::from(relative))
    }

    /// The distance of any address from the first one, modulo 2^32.
    pub(super) fn distance(&self, address: u64) -> u32 {
        address.wrapping_sub(self.first) as u32
    }

    /// How many pages of 4096 bytes the page of any address is behind the first one's, modulo 2^32.
    pub(super) fn pages(&self, address: u64) -> u32 {
        (address >> 12).wrapping_sub(self.first >> 12) as u32
    }

    /// What stands at an address.
    pub(super) fn place(&self, address: u64) -> Option<Place> {
        let next = self.segments.partition_point(|segment| segment.address <= address);
        let number = next.checked_sub(1)?;
        let segment = self.segments.get(number)?;
        let distance = address - segment.address;
        if distance < segment.len {
            return u32::try_from(segment.offset + distance).ok().map(Place::File);
        }
        let behind = distance - segment.len;
        (behind < segment.extra).then_some(Place::Memory(number, behind))
    }

    /// The address of memory behind a segment.
    pub(super) fn memory(&self, number: usize, behind: u64) -> Option<u64> {
        let segment = self.segments.get(number)?;
        Some(segment.address.wrapping_add(segment.len).wrapping_add(behind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_offsets_belong_together() {
        let segment = |offset, len, address, extra| Segment { offset, len, address, extra };
        let space = Space::new(&[segment(0, 100, 0x1000, 0), segment(100, 50, 0x2000, 8)]);
        assert_eq!(space.address(99), Some(0x1063));
        assert_eq!(space.address(100), Some(0x2000));
        assert_eq!(space.address(150), None);
        assert_eq!(space.place(0x2001), Some(Place::File(101)));
        assert_eq!(space.place(0x2032), Some(Place::Memory(1, 0)));
        assert_eq!(space.place(0x203a), None);
        assert_eq!(space.place(0x1064), None);
        assert_eq!(space.place(0xfff), None);
        assert_eq!((space.relative(0x1fff), space.relative(0x203a)), (Some(0xfff), None));
        assert_eq!(space.absolute(0xfff), 0x1fff);
        assert_eq!(space.memory(1, 3), Some(0x2035));
        assert_eq!(space.memory(2, 3), None);
        assert_eq!(Space::new(&[]).relative(0), None);
    }
}
