//! Bits, least significant first, as DEFLATE packs them (RFC 1951, section 3.1.1).

/// Words that are written at a time.
const RUN: usize = 64;

/// Collects bits into bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct BitWriter {
    bits: u64,
    count: u32,
    bytes: Vec<u8>,
}

impl BitWriter {
    /// Appends the low `count` bits of `value` (at most 32; the bits above must be zero).
    #[inline]
    pub(crate) fn put(&mut self, value: u32, count: u32) {
        self.bits |= u64::from(value) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.bytes.extend_from_slice(&(self.bits as u32).to_le_bytes());
            self.bits >>= 32;
            self.count -= 32;
        }
    }

    /// Appends the words of each item: value and length, at most 56 bits (the bits above must be zero).
    #[inline(always)]
    pub(crate) fn put_words<T, const N: usize>(
        &mut self,
        mut items: impl ExactSizeIterator<Item = T>,
        mut words: impl FnMut(T) -> [(u64, u32); N],
    ) {
        self.put_whole_bytes();
        let (mut bits, mut count) = (self.bits, self.count);
        let mut run = [0; 8 * RUN];
        while items.len() > 0 {
            let mut at = 0;
            for item in items.by_ref().take(RUN / N) {
                for (value, len) in words(item) {
                    debug_assert!(len <= 56 && value >> len == 0);
                    bits |= value << count;
                    count += len;
                    // At most seven bits were left: there are less than 64, and the place is at most seven times the words so far.
                    if let Some(to) = run[at..].first_chunk_mut() {
                        *to = bits.to_le_bytes();
                    }
                    at += count as usize / 8;
                    bits >>= count & 0x38;
                    count &= 7;
                }
            }
            self.bytes.extend_from_slice(&run[..at]);
        }
        (self.bits, self.count) = (bits, count);
    }

    fn put_whole_bytes(&mut self) {
        while self.count >= 8 {
            self.bytes.push(self.bits as u8);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    /// Appends zero bits up to the next byte.
    pub(crate) fn align(&mut self) {
        self.put_whole_bytes();
        if self.count > 0 {
            self.bytes.push(self.bits as u8);
            (self.bits, self.count) = (0, 0);
        }
    }

    /// Appends whole bytes; the writer must stand at a byte.
    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0);
        self.bytes.extend_from_slice(bytes);
    }

    /// Moves the whole bytes collected so far to `out`.
    pub(crate) fn drain_to(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_from_the_low_end() {
        let mut writer = BitWriter::default();
        writer.put(0b1, 1);
        writer.put(0b01, 2);
        writer.put(0xffff_ffff, 32);
        writer.align();
        writer.put_bytes(b"z");
        let mut out = Vec::new();
        writer.drain_to(&mut out);
        assert_eq!(out, [0xfb, 0xff, 0xff, 0xff, 0x07, b'z']);
    }

    #[test]
    fn words_are_bits_after_bits() {
        let words: Vec<(u64, u32)> = (0..300u64)
            .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15), (n * 7 % 57) as u32))
            .collect();
        let words: Vec<(u64, u32)> =
            words.iter().map(|&(value, len)| (value & ((1 << len) - 1), len)).collect();
        for before in 0..32 {
            let (mut one, mut all) = (BitWriter::default(), BitWriter::default());
            one.put(0, before);
            all.put(0, before);
            for &(value, len) in &words {
                one.put(value as u32 & ((1u64 << len.min(28)) - 1) as u32, len.min(28));
                one.put((value >> len.min(28)) as u32, len - len.min(28));
            }
            all.put_words(words.chunks_exact(2), |two| [two[0], two[1]]);
            let (mut expected, mut out) = (Vec::new(), Vec::new());
            for (writer, out) in [(&mut one, &mut expected), (&mut all, &mut out)] {
                writer.put(5, 3);
                writer.align();
                writer.drain_to(out);
            }
            assert!(out == expected, "{before}");
        }
    }
}
