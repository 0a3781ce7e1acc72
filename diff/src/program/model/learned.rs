//! Targets that corrected references told: where an address of the base is in the target.

use super::version::Machine;

impl Machine {
    /// Slots of the table, as a power of two; half of them are addresses at most, more are not learned.
    const fn slot_bits(self) -> u32 {
        match self {
            Self::X86_64 => 19,
            Self::AArch64 => 20,
        }
    }
}

/// A table of addresses, relative to the first ones of base and target.
#[derive(Debug, Clone)]
pub(crate) struct Learned {
    /// One more than the base's address, or 0, and the target's.
    slots: Vec<(u32, u32)>,
    bits: u32,
    len: usize,
}

impl Learned {
    /// Bytes of memory.
    pub(crate) const fn memory(machine: Machine) -> u64 {
        8 << machine.slot_bits()
    }

    pub(crate) fn new(machine: Machine) -> Self {
        let bits = machine.slot_bits();
        Self { slots: vec![(0, 0); 1 << bits], bits, len: 0 }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        if self.len > 0 {
            self.slots.fill((0, 0));
            self.len = 0;
        }
    }

    fn place(&self, base: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = (base.wrapping_mul(0x9e37_79b1) >> (32 - self.bits)) as usize;
        // Half of the slots stay free, so this ends.
        while let Some(&(key, _)) = self.slots.get(place & mask) {
            if key == 0 || key == base.wrapping_add(1) {
                break;
            }
            place += 1;
        }
        place & mask
    }

    /// Where an address is, if that was told.
    pub(crate) fn find(&self, base: u32) -> Option<u32> {
        let slot = self.slots.get(self.place(base))?;
        (slot.0 != 0 && slot.0 == base.wrapping_add(1)).then_some(slot.1)
    }

    /// An address is there; what was told last counts.
    pub(crate) fn tell(&mut self, base: u32, target: u32) {
        let place = self.place(base);
        let most = self.slots.len() / 2;
        let Some(slot) = self.slots.get_mut(place) else { return };
        if slot.0 == 0 {
            // The last address has no key.
            if self.len == most || base == u32::MAX {
                return;
            }
            self.len += 1;
        }
        *slot = (base.wrapping_add(1), target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_last_counts() {
        let mut learned = Learned::new(Machine::AArch64);
        assert_eq!(learned.find(7), None);
        learned.tell(7, 8);
        learned.tell(7, 9);
        learned.tell(u32::MAX, 1);
        assert_eq!(
            (learned.find(7), learned.find(u32::MAX), learned.find(0)),
            (Some(9), None, None)
        );
    }

    #[test]
    fn a_cleared_table_is_empty() {
        let mut learned = Learned::new(Machine::X86_64);
        learned.tell(7, 8);
        learned.clear();
        assert_eq!((learned.find(7), learned.len), (None, 0));
        learned.tell(7, 9);
        assert_eq!((learned.find(7), learned.len), (Some(9), 1));
    }

    #[test]
    fn a_full_table_keeps_what_it_has() {
        let mut learned = Learned::new(Machine::X86_64);
        let most = 1 << 18;
        for base in 0..most + 10 {
            learned.tell(base * 16, base);
        }
        assert_eq!(learned.find((most - 1) * 16), Some(most - 1));
        assert_eq!(learned.find(most * 16), None);
        learned.tell(0, 5);
        assert_eq!(learned.find(0), Some(5));
    }
}
