//! Sorts of bytes: what of those before says most of the next one (docs/delta-format.md, "Literals by mixing").

use std::fmt::Debug;

use super::super::layers::LayersShape;

/// Bytes before a place from which the contexts there follow.
pub(super) const LEAD: usize = 64;

/// What literals are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Text, and all that has no sort of its own.
    Text = 0,
    /// Instructions for x86-64.
    X86_64 = 1,
}

impl Sort {
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Text),
            1 => Some(Self::X86_64),
            _ => None,
        }
    }
}

/// Bytes of one sort, as far as they came: what follows from them for the next one.
pub(in super::super) trait Bytes<const CONTEXTS: usize, const SETS: usize>:
    Debug + Clone + Copy + Default
{
    /// The sets of weights.
    const SHAPE: LayersShape<SETS>;

    /// The last 16, the latest lowest.
    fn last16(&self) -> u128;

    fn push(&mut self, byte: u8);

    /// Contexts of the next byte; the last one, which is of what is expected, is 0.
    fn contexts(&self) -> [u32; CONTEXTS];

    /// The phase of an instruction; 0 without any.
    #[inline(always)]
    fn phase(&self) -> usize {
        0
    }

    /// A hash of the instruction so far, without bytes of fields; 0 without any.
    #[inline(always)]
    fn begun(&self) -> u32 {
        0
    }

    /// Which weights of each set.
    fn sets(&self, of: &OfBit) -> [usize; SETS];

    /// Those before a place.
    fn before(history: &[u8], place: usize) -> Self {
        let bytes = history.get(place.saturating_sub(LEAD)..place).unwrap_or_default();
        let mut recent = Self::default();
        bytes.iter().for_each(|&byte| recent.push(byte));
        recent
    }
}

/// What selects weights beside the bytes before.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct OfBit {
    /// The class of the first pointer that is right so far, 0 without one, and how many others are.
    pub(super) class: usize,
    pub(super) others: usize,
    /// 0 without a standing place that is right so far, else 1 and which of its last three bytes were wrong.
    pub(super) standing: usize,
    /// The bits so far behind a 1.
    pub(super) tree: usize,
    /// Whether the bit is one of the high half.
    pub(super) upper: bool,
}

impl OfBit {
    /// Below 1024.
    #[inline(always)]
    pub(super) fn expected(&self) -> usize {
        (self.class * 4 + self.others) << 4 | self.standing
    }
}
