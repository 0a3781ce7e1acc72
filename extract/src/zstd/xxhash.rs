//! XXH64, whose low half is the check sum of a Zstandard frame (RFC 8878, section 3.1.1; the algorithm: the xxHash
//! specification 0.1.1, by Yann Collet).

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];
const STRIPE_LEN: usize = 32;

/// A hash under way, with seed 0.
#[derive(Debug, Clone)]
pub(crate) struct Xxh64 {
    lanes: [u64; 4],
    rest: Vec<u8>,
    len: u64,
}

impl Xxh64 {
    pub(crate) fn new() -> Self {
        let [a, b, ..] = PRIMES;
        let lanes = [a.wrapping_add(b), b, 0, a.wrapping_neg()];
        Self { lanes, rest: Vec::with_capacity(STRIPE_LEN), len: 0 }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.len = self.len.wrapping_add(bytes.len() as u64);
        if !self.rest.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(STRIPE_LEN - self.rest.len()));
            self.rest.extend_from_slice(head);
            bytes = tail;
            if self.rest.len() < STRIPE_LEN {
                return;
            }
            stripe(&mut self.lanes, &self.rest);
            self.rest.clear();
        }
        let mut stripes = bytes.chunks_exact(STRIPE_LEN);
        let mut lanes = self.lanes;
        for chunk in &mut stripes {
            stripe(&mut lanes, chunk);
        }
        self.lanes = lanes;
        self.rest.extend_from_slice(stripes.remainder());
    }

    pub(crate) fn finish(&self) -> u64 {
        let mut hash = if self.len < STRIPE_LEN as u64 {
            PRIMES[4]
        } else {
            let [a, b, c, d] = self.lanes;
            let sum = [(a, 1), (b, 7), (c, 12), (d, 18)]
                .iter()
                .fold(0u64, |sum, (lane, by)| sum.wrapping_add(lane.rotate_left(*by)));
            self.lanes.iter().fold(sum, |hash, lane| {
                (hash ^ round(0, *lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3])
            })
        };
        hash = hash.wrapping_add(self.len);
        let mut words = self.rest.chunks_exact(8);
        for word in &mut words {
            hash ^= round(0, little_endian(word));
            hash = hash.rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        }
        let mut rest = words.remainder();
        if let Some((half, bytes)) = rest.split_at_checked(4) {
            hash ^= little_endian(half).wrapping_mul(PRIMES[0]);
            hash = hash.rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
            rest = bytes;
        }
        for byte in rest {
            hash ^= u64::from(*byte).wrapping_mul(PRIMES[4]);
            hash = hash.rotate_left(11).wrapping_mul(PRIMES[0]);
        }
        hash = (hash ^ (hash >> 33)).wrapping_mul(PRIMES[1]);
        hash = (hash ^ (hash >> 29)).wrapping_mul(PRIMES[2]);
        hash ^ (hash >> 32)
    }
}

#[inline(always)]
fn stripe(lanes: &mut [u64; 4], bytes: &[u8]) {
    for (lane, word) in lanes.iter_mut().zip(bytes.chunks_exact(8)) {
        *lane = round(*lane, little_endian(word));
    }
}

#[inline(always)]
fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

#[inline(always)]
fn little_endian(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(pieces: &[&[u8]]) -> u64 {
        let mut hash = Xxh64::new();
        pieces.iter().for_each(|piece| hash.update(piece));
        hash.finish()
    }

    #[test]
    fn known_values() {
        assert_eq!(hash(&[]), 0xef46_db37_51d8_e999);
        assert_eq!(hash(&[b"abc"]), 0x44bc_2cf5_ad77_0999);
        assert_eq!(hash(&[b"Nobody inspects the spammish repetition"]), 0xfbce_a83c_8a37_8bf1);
    }

    #[test]
    fn pieces_make_no_difference() {
        let text: Vec<u8> = (0..200u32).map(|i| (i * 7 % 251) as u8).collect();
        for cut in 0..text.len() {
            let (head, tail) = text.split_at(cut);
            assert_eq!(hash(&[head, tail]), hash(&[&text]));
        }
    }
}
