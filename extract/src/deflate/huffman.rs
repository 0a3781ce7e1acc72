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
        let mut leaves = [(0u32, 0u16); MAX_SYMBOLS];
        let mut n = 0;
        for (symbol, &count) in counts.iter().enumerate() {
            if count > 0 {
                leaves[n] = (count, symbol as u16);
                n += 1;
            }
        }
        let leaves = &mut leaves[..n];
        if n <= 2 {
            for (place, &(_, symbol)) in leaves.iter().enumerate() {
                code.lens[symbol as usize] = 1;
                code.bits[symbol as usize] = place as u16;
            }
            return code;
        }
        leaves.sort_unstable();
        let mut longest_first = leaf_lengths(leaves, limit.min(n - 1));
        longest_first.truncate(n);
        for (&(_, symbol), len) in leaves.iter().zip(longest_first) {
            code.lens[symbol as usize] = len;
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

/// Code lengths for leaves sorted by count, in their order: package-merge with at most `limit` rows.
fn leaf_lengths(leaves: &[(u32, u16)], limit: usize) -> Vec<u8> {
    let n = leaves.len();
    let mut is_leaf = vec![[false; 2 * MAX_SYMBOLS]; limit];
    let mut above: Vec<u64> = Vec::new();
    for row in &mut is_leaf {
        let mut items = Vec::with_capacity(2 * n);
        let mut pairs = above.chunks_exact(2).map(|pair| pair[0] + pair[1]).peekable();
        let mut next = 0;
        while items.len() < 2 * n - 2 {
            match (leaves.get(next), pairs.peek()) {
                (Some(&(count, _)), pair) if pair.is_none_or(|&sum| u64::from(count) < sum) => {
                    row[items.len()] = true;
                    items.push(u64::from(count));
                    next += 1;
                }
                (_, Some(&sum)) => {
                    items.push(sum);
                    pairs.next();
                }
                (_, None) => break,
            }
        }
        above = items;
    }
    let mut lens = vec![0; n];
    let mut wanted = 2 * n - 2;
    for row in is_leaf.iter().rev() {
        let chosen = row[..wanted].iter().filter(|leaf| **leaf).count();
        for len in &mut lens[..chosen] {
            *len += 1;
        }
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
