//! A binary arithmetic coder: one decision after the other, each with its probability.
//!
//! The interval of 32 bits is cut in the ratio of the probability, and its leading bytes are written as
//! soon as they are settled (the coder without carry that M. Mahoney describes in "Data Compression
//! Explained", 3.2). A piece ends with one byte that lies inside of the last interval; a reader takes
//! zeros for what would follow.

use dd_inspect::failure::Failure;

use super::damaged;

/// Bytes of the interval that a reader holds.
const WIDTH: usize = 4;

/// Codes decisions; the same model drives a writer and a reader.
pub(super) trait Binary {
    /// Codes one decision whose probability of being true is `probability` / 65536, 1 to 65535. A writer
    /// writes `value` and returns it; a reader returns what was written.
    fn code(&mut self, value: bool, probability: u32) -> bool;
}

/// The part of an interval that stands for true.
#[inline(always)]
fn middle(low: u32, high: u32, probability: u32) -> u32 {
    let range = high - low;
    low + (range >> 16) * probability + (((range & 0xffff) * probability) >> 16)
}

/// Where a reader stands in a piece.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    low: u32,
    high: u32,
    value: u32,
    at: usize,
}

impl Reading {
    /// The start of a piece.
    pub(super) fn new(coded: &[u8]) -> Self {
        let mut reading = Self { low: 0, high: u32::MAX, value: 0, at: 0 };
        for _ in 0..WIDTH {
            reading.take(coded);
        }
        reading
    }

    fn take(&mut self, coded: &[u8]) {
        let byte = coded.get(self.at).copied().unwrap_or(0);
        self.value = self.value << 8 | u32::from(byte);
        self.at = self.at.saturating_add(1);
    }

    /// Checks that not more was taken than the piece has.
    pub(super) fn check(&self, coded: &[u8]) -> Result<(), Failure> {
        if self.at > coded.len() + WIDTH - 1 { Err(damaged()) } else { Ok(()) }
    }

    /// Checks that exactly the piece was taken.
    pub(super) fn finish(&self, coded: &[u8]) -> Result<(), Failure> {
        if self.at == coded.len() + WIDTH - 1 { Ok(()) } else { Err(damaged()) }
    }
}

/// Reads a piece.
pub(super) struct Reader<'a> {
    pub(super) reading: &'a mut Reading,
    pub(super) coded: &'a [u8],
}

impl Binary for Reader<'_> {
    #[inline(always)]
    fn code(&mut self, _: bool, probability: u32) -> bool {
        let middle = middle(self.reading.low, self.reading.high, probability);
        let value = self.reading.value <= middle;
        if value {
            self.reading.high = middle;
        } else {
            self.reading.low = middle.wrapping_add(1);
        }
        while (self.reading.low ^ self.reading.high) >> 24 == 0 {
            self.reading.low <<= 8;
            self.reading.high = self.reading.high << 8 | 0xff;
            self.reading.take(self.coded);
        }
        value
    }
}

/// Writes pieces.
#[cfg(feature = "encode")]
#[derive(Debug)]
pub(super) struct Writer {
    low: u32,
    high: u32,
    out: Vec<u8>,
}

#[cfg(feature = "encode")]
impl Writer {
    pub(super) fn new() -> Self {
        Self { low: 0, high: u32::MAX, out: Vec::new() }
    }

    /// Bytes written of the piece.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Ends a piece and returns its bytes.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        // The leading bytes differ, so the next value of the first one lies inside, zeros behind it.
        self.out.push((self.low >> 24) as u8 + 1);
        (self.low, self.high) = (0, u32::MAX);
        std::mem::take(&mut self.out)
    }
}

#[cfg(feature = "encode")]
impl Binary for Writer {
    #[inline(always)]
    fn code(&mut self, value: bool, probability: u32) -> bool {
        let middle = middle(self.low, self.high, probability);
        if value {
            self.high = middle;
        } else {
            self.low = middle.wrapping_add(1);
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.out.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        value
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decisions_come_back(decisions in prop::collection::vec((any::<bool>(), 1u32..=65_535), 0..300)) {
            let mut writer = Writer::new();
            for &(value, probability) in &decisions {
                writer.code(value, probability);
            }
            let coded = writer.finish();
            let mut reading = Reading::new(&coded);
            let mut reader = Reader { reading: &mut reading, coded: &coded };
            for &(value, probability) in &decisions {
                prop_assert_eq!(reader.code(false, probability), value);
            }
            prop_assert!(reading.check(&coded).is_ok());
            prop_assert!(reading.finish(&coded).is_ok());
        }
    }

    #[test]
    fn likely_decisions_cost_little() {
        let mut writer = Writer::new();
        for _ in 0..10_000 {
            writer.code(true, 65_000);
        }
        assert!(writer.finish().len() < 20);
    }

    #[test]
    fn a_piece_is_taken_exactly() {
        let mut writer = Writer::new();
        (0..1000).for_each(|i| {
            writer.code(i % 3 == 0, 32_768);
        });
        let coded = writer.finish();
        let mut reading = Reading::new(&coded);
        let mut reader = Reader { reading: &mut reading, coded: &coded };
        for _ in 0..900 {
            reader.code(false, 32_768);
        }
        assert!(reading.finish(&coded).is_err());
        let mut reader = Reader { reading: &mut reading, coded: &coded };
        for _ in 0..200 {
            reader.code(false, 32_768);
        }
        assert!(reading.check(&coded).is_err());
    }
}
