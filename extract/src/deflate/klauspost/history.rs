//! The text that levels 1 to 6 search, and the hashes they find it by.

/// The longest distance.
pub(super) const REACH: i64 = 32768;
/// Tables are rebased beyond this position.
const REBASE: u32 = 1 << 31;
/// Positions begin here, so that an empty slot of a table is out of reach.
const FIRST: u32 = 1 << 16;

/// A position in the text; 0 in an empty slot.
pub(super) type Slot = u32;

/// Recent text.
#[derive(Debug)]
pub(super) struct History {
    pub(super) text: Vec<u8>,
    /// The position of the first byte of `text`.
    base: u32,
    capacity: usize,
}

impl History {
    /// A history that holds up to `capacity` bytes before its beginning is given up.
    pub(super) fn new(capacity: usize) -> Self {
        Self { text: Vec::new(), base: FIRST, capacity }
    }

    /// Appends a block, which begins at the place returned.
    pub(super) fn append(&mut self, block: &[u8]) -> usize {
        if self.text.len() + block.len() > self.capacity {
            let gone = self.text.len() - REACH as usize;
            self.text.drain(..gone);
            self.base += gone as u32;
        }
        let start = self.text.len();
        self.text.extend_from_slice(block);
        start
    }

    /// Forgets everything.
    pub(super) fn drop_all(&mut self) {
        self.base += self.text.len() as u32 + REACH as u32;
        self.text.clear();
    }

    /// What must be subtracted from all slots, if positions have become too large.
    pub(super) fn rebase(&mut self) -> Option<u32> {
        let excess = (self.base > REBASE).then(|| self.base - FIRST)?;
        self.base = FIRST;
        Some(excess)
    }

    #[inline]
    pub(super) fn slot(&self, at: usize) -> Slot {
        self.base.wrapping_add(at as u32)
    }

    /// Where a slot points, counted from the beginning of the buffer; negative before it.
    #[inline]
    pub(super) fn place(&self, slot: Slot) -> i64 {
        i64::from(slot) - i64::from(self.base)
    }

    #[inline]
    pub(super) fn load32(&self, at: usize) -> u32 {
        let bytes = &self.text[at..at + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// Eight bytes; zeros follow the text.
    #[inline]
    pub(super) fn load64(&self, at: usize) -> u64 {
        match self.text[at..].first_chunk() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => {
                let mut bytes = [0; 8];
                bytes[..self.text.len() - at].copy_from_slice(&self.text[at..]);
                u64::from_le_bytes(bytes)
            }
        }
    }

    /// The place of a candidate for the four bytes at `at`, if it is in reach of `at` and equal.
    #[inline]
    pub(super) fn near(&self, slot: Slot, at: usize, four: u32) -> Option<usize> {
        let place = self.place(slot);
        if at as i64 - place >= REACH {
            return None;
        }
        let place = usize::try_from(place).ok()?;
        (self.load32(place) == four).then_some(place)
    }
}

/// The hash of four bytes that older releases use at level 1.
#[inline]
pub(super) fn hash4_old(x: u64, bits: u32) -> usize {
    ((x as u32).wrapping_mul(0x1e35_a7bd) >> (32 - bits)) as usize
}

#[inline]
pub(super) fn hash4(x: u64, bits: u32) -> usize {
    ((x as u32).wrapping_mul(2_654_435_761) >> (32 - bits)) as usize
}

#[inline]
pub(super) fn hash5(x: u64, bits: u32) -> usize {
    ((x << 24).wrapping_mul(889_523_592_379) >> (64 - bits)) as usize
}

#[inline]
pub(super) fn hash7(x: u64, bits: u32) -> usize {
    ((x << 8).wrapping_mul(58_295_818_150_454_627) >> (64 - bits)) as usize
}
