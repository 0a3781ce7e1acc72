//! Huffman codes as Go's compress/flate and klauspost/compress make them.
//!
//! Optimal length-limited codes by package-merge (Larmore and Hirschberg, 1990). Where several codes are
//! optimal, a rule decides: on each row the next item is a leaf only if its count is strictly smaller
//! than that of the next pair. The longest codes go to the symbols that are first by (count, symbol).

/// Most symbols that an alphabet has: literals and lengths.
const MAX_SYMBOLS: usize = 286;
/// The longest code (RFC 1951, section 3.2.7).
const MAX_BITS: usize = 15;

/// A code: for each symbol its bits, reversed for writing, and their number (0: no code).
#[derive(Debug, Clone)]
pub(crate) struct Code<const N: usize> {
    pub(crate) bits: [u16; N],
    pub(crate) lens: [u8; N],
}

impl<const N: usize> Code<N> {
    pub(crate) const fn empty() -> Self {
        Self { bits: [0; N], lens: [0; N] }
    }

    /// The optimal code for these counts with at most `limit` bits a symbol.
    pub(crate) fn optimal(counts: &[u32; N], limit: usize) -> Self {
        let mut code = Self::empty();
        // By count, then by symbol, which has the low 16 bits.
        let mut leaves = [0u64; MAX_SYMBOLS];
        let mut n = 0;
        for (symbol, &count) in counts.iter().enumerate() {
            leaves[n] = u64::from(count) << 16 | symbol as u64;
            n += usize::from(count > 0);
        }
        let leaves = &mut leaves[..n];
        let symbol = |leaf: u64| leaf as usize & 0xffff;
        if n <= 2 {
            for (place, &leaf) in leaves.iter().enumerate() {
                code.lens[symbol(leaf)] = 1;
                code.bits[symbol(leaf)] = place as u16;
            }
            return code;
        }
        leaves.sort_unstable();
        let lens = leaf_lengths(leaves, limit.min(n - 1));
        for (&leaf, len) in leaves.iter().zip(lens) {
            code.lens[symbol(leaf)] = len;
        }
        code.assign();
        code
    }

    /// The canonical code with these lengths (RFC 1951, section 3.2.2).
    pub(crate) fn canonical(lens: [u8; N]) -> Self {
        let mut code = Self { bits: [0; N], lens };
        code.assign();
        code
    }

    fn assign(&mut self) {
        let mut per_len = [0u16; MAX_BITS + 1];
        for &len in &self.lens {
            per_len[len as usize] += 1;
        }
        per_len[0] = 0;
        let mut next = [0u16; MAX_BITS + 1];
        for len in 1..=MAX_BITS {
            next[len] = (next[len - 1] + per_len[len - 1]) << 1;
        }
        for (bits, &len) in self.bits.iter_mut().zip(&self.lens) {
            if len > 0 {
                *bits = next[len as usize].reverse_bits() >> (16 - u32::from(len));
                next[len as usize] += 1;
            }
        }
    }

    /// Bits that symbols with these counts take.
    pub(crate) fn cost(&self, counts: &[u32; N]) -> u64 {
        counts.iter().zip(&self.lens).map(|(&count, &len)| u64::from(count) * u64::from(len)).sum()
    }
}

/// Items that a row of the search has at most.
const MAX_ITEMS: usize = 2 * MAX_SYMBOLS;

/// Code lengths for leaves sorted by count (above 16 bits), in their order: package-merge with at most `limit` rows.
///
/// A block has fewer than 2^24 symbols and a row weighs at most as much as 16 blocks, so that weights have 32 bits.
fn leaf_lengths(leaves: &[u64], limit: usize) -> [u8; MAX_SYMBOLS] {
    let n = leaves.len();
    // Behind the last leaf and the last pair stands one that is never less.
    let mut counts = [u32::MAX; MAX_ITEMS];
    counts.iter_mut().zip(leaves).for_each(|(count, &leaf)| *count = (leaf >> 16) as u32);
    let mut pairs = [u32::MAX; MAX_ITEMS];
    let mut is_leaf = [[0u8; MAX_ITEMS]; MAX_BITS];
    let mut len = 0;
    let rows = &mut is_leaf[..limit];
    for row in rows.iter_mut() {
        let mut items = [0; MAX_ITEMS];
        let (mut leaf, mut pair) = (0, 0);
        len = (n + len / 2).min(2 * n - 2);
        for (item, from_leaf) in items.iter_mut().zip(row).take(len) {
            let (count, sum) = (counts[leaf.min(MAX_ITEMS - 1)], pairs[pair.min(MAX_ITEMS - 1)]);
            let take = count < sum;
            *from_leaf = u8::from(take);
            *item = if take { count } else { sum };
            leaf += usize::from(take);
            pair += usize::from(!take);
        }
        for (pair, items) in pairs.iter_mut().zip(items[..len].chunks_exact(2)) {
            *pair = items[0].wrapping_add(items[1]);
        }
    }
    let mut lens = [0; MAX_SYMBOLS];
    let mut wanted = 2 * n - 2;
    for row in rows.iter().rev() {
        let chosen = row[..wanted].iter().map(|&leaf| usize::from(leaf)).sum();
        lens[..chosen].iter_mut().for_each(|len| *len += 1);
        wanted = 2 * (wanted - chosen);
    }
    lens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lengths() {
        let code = Code::<6>::optimal(&[5, 1, 1, 2, 0, 10], 15);
        assert_eq!(code.lens, [2, 4, 4, 3, 0, 1]);
        assert_eq!(code.bits[5], 0);
        assert_eq!(code.bits[0], 0b01, "10 reversed");
        let one = Code::<3>::optimal(&[0, 7, 0], 15);
        assert_eq!((one.lens, one.bits), ([0, 1, 0], [0, 0, 0]));
    }

    #[test]
    fn the_limit_holds_and_the_code_is_complete() {
        let mut counts = [0u32; 30];
        let (mut a, mut b) = (1, 1);
        for count in &mut counts {
            *count = a;
            (a, b) = (b, a + b);
        }
        for limit in [5, 7, 15] {
            let code = Code::optimal(&counts, limit);
            assert!(code.lens.iter().all(|&len| len > 0 && usize::from(len) <= limit));
            let kraft: u32 = code.lens.iter().map(|&len| 1 << (15 - len)).sum();
            assert_eq!(kraft, 1 << 15);
        }
    }
}
