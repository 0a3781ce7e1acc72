//! Bits, least significant first, as DEFLATE packs them (RFC 1951, section 3.1.1).

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

    /// Appends zero bits up to the next byte.
    pub(crate) fn align(&mut self) {
        while self.count > 0 {
            self.bytes.push(self.bits as u8);
            self.bits >>= 8;
            self.count = self.count.saturating_sub(8);
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
}
