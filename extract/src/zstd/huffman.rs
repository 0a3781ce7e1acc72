//! Huffman coding of literals (RFC 8878, section 4.2) as klauspost/compress does it: the code, its description, and
//! when the last one serves again.

use super::fse::{self, Distribution, Table};
use crate::deflate::{BitWriter, byte_counts};

/// The longest code word.
const MAX_BITS: u32 = 11;
const MIN_LOG: i32 = 5;
/// Tables of weights have 2^6 states at most.
const MAX_WEIGHT_LOG: u32 = 6;
/// Up to this many weights can be written as they are.
const MAX_PLAIN_WEIGHTS: usize = 128;

/// What became of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Coded {
    /// Coding it gains too little.
    Not,
    /// It is one byte again and again.
    Run,
    /// The table, unless it is the last one, and the streams.
    Streams { bytes: Vec<u8>, new_table: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Word {
    bits: u16,
    len: u8,
}

/// Code words by symbol, up to the last that has one, and the length of the longest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Code {
    words: Vec<Word>,
    longest: u32,
}

/// Codes literals, block after block.
#[derive(Debug, Default)]
pub(super) struct Coder {
    last: Option<Code>,
    may_reuse: bool,
}

impl Coder {
    /// Whether the last table may serve for the next text.
    pub(super) fn allow_reuse(&mut self, allow: bool) {
        self.may_reuse = allow;
    }

    /// Codes a text of more than 16 bytes, in four streams or in one.
    pub(super) fn code(&mut self, text: &[u8], four: bool) -> Coded {
        if !self.may_reuse {
            self.last = None;
        }
        let counts = byte_counts(text);
        let alphabet = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let counts = &counts[..alphabet];
        let most = counts.iter().copied().max().unwrap_or(0) as usize;
        let wanted = text.len() - (text.len() >> 4);
        if most >= text.len() {
            return if text.len() > 1 { Coded::Run } else { Coded::Not };
        }
        if most == 1 || most < text.len() >> 7 {
            return Coded::Not;
        }
        let Some(code) = Code::of(counts, text.len()) else { return Coded::Not };
        if self.may_reuse
            && let Some(last) = self.last.as_ref().filter(|last| last.covers(counts))
            && (last.size(counts) <= code.size(counts) || wanted <= 12)
        {
            let bytes = last.streams(text, four, Vec::new());
            let gains = bytes.len() < wanted;
            return if gains { Coded::Streams { bytes, new_table: false } } else { Coded::Not };
        }
        let Some(description) = code.description() else { return Coded::Not };
        let bytes = code.streams(text, four, description);
        if bytes.len() >= wanted {
            return Coded::Not;
        }
        self.last = Some(code);
        Coded::Streams { bytes, new_table: true }
    }
}

impl Code {
    /// The code for these counts, of which at least two are not zero and the last is one of them.
    fn of(counts: &[u32], len: usize) -> Option<Self> {
        let mut leaves: Vec<Leaf> = counts.iter().zip(0u8..=255).map(Leaf::from).collect();
        leaves.sort_by_key(|leaf| std::cmp::Reverse(leaf.count));
        leaves.truncate(leaves.iter().position(|leaf| leaf.count == 0).unwrap_or(leaves.len()));
        set_depths(&mut leaves);
        let longest = limit(&mut leaves, limit_for(len, counts.len()))?;
        let mut lengths = vec![0u32; counts.len()];
        for leaf in &leaves {
            *lengths.get_mut(usize::from(leaf.symbol))? = leaf.depth;
        }
        Some(Self { words: words(&lengths, longest), longest })
    }

    fn covers(&self, counts: &[u32]) -> bool {
        let used = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        used.map(|(symbol, _)| self.words.get(symbol)).all(|word| word.is_some_and(|w| w.len > 0))
    }

    /// Bytes that a text with these counts takes in one stream.
    fn size(&self, counts: &[u32]) -> u32 {
        let bits = self.words.iter().zip(counts).map(|(word, count)| u32::from(word.len) * count);
        (7 + bits.sum::<u32>()) >> 3
    }

    /// The weights, coded or plain; none if neither can be (RFC 8878, section 4.2.1).
    fn description(&self) -> Option<Vec<u8>> {
        let weight = |word: &Word| match word.len {
            0 => 0,
            len => self.longest as u8 + 1 - len,
        };
        let (_, words) = self.words.split_last()?;
        let weights: Vec<u8> = words.iter().map(weight).collect();
        if let Some(coded) = coded_weights(&weights)
            && coded.len() < self.words.len() >> 1
        {
            return Some([&[coded.len() as u8], &coded[..]].concat());
        }
        if weights.len() > MAX_PLAIN_WEIGHTS {
            return None;
        }
        let mut plain = vec![127 + weights.len() as u8];
        let pairs = weights.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0));
        plain.extend(pairs);
        Some(plain)
    }

    /// Appends the streams.
    fn streams(&self, text: &[u8], four: bool, mut out: Vec<u8>) -> Vec<u8> {
        if !four {
            self.stream(text, &mut out);
            return out;
        }
        let lengths = out.len();
        out.extend([0; 6]);
        let part = text.len().div_ceil(4).max(1);
        for (i, text) in text.chunks(part).enumerate() {
            let start = out.len();
            self.stream(text, &mut out);
            let len = (out.len() - start) as u16;
            if i < 3 {
                out[lengths + 2 * i..][..2].copy_from_slice(&len.to_le_bytes());
            }
        }
        out
    }

    fn stream(&self, text: &[u8], out: &mut Vec<u8>) {
        // The bits, and their number from bit 16 on.
        let mut table = [0u32; 256];
        for (to, word) in table.iter_mut().zip(&self.words) {
            *to = u32::from(word.bits) | u32::from(word.len) << 16;
        }
        let mut bits = BitWriter::default();
        let fours = text.rchunks_exact(4);
        let rest = fours.remainder();
        bits.put_words(fours, |four| {
            let (mut value, mut count) = (0u64, 0);
            for byte in four.iter().rev() {
                let word = table[usize::from(*byte)];
                value |= u64::from(word & 0xffff) << count;
                count += word >> 16;
            }
            [(value, count)]
        });
        for byte in rest.iter().rev() {
            let word = table[usize::from(*byte)];
            bits.put(word & 0xffff, word >> 16);
        }
        bits.put(1, 1);
        bits.align();
        bits.drain_to(out);
    }
}

/// The longest code word for a text of that many bytes with an alphabet of that many.
fn limit_for(len: usize, alphabet: usize) -> u32 {
    let log2 = |n: usize| n.checked_ilog2().map_or(-1, |log| log as i32);
    let needed = (log2(len) + 1).min(log2(alphabet.saturating_sub(1)) + 2);
    let useful = log2(len.saturating_sub(1)) - 1;
    (MAX_BITS as i32).min(useful).max(needed).clamp(MIN_LOG, MAX_BITS as i32) as u32
}

#[derive(Debug, Clone, Copy)]
struct Leaf {
    count: u32,
    depth: u32,
    symbol: u8,
}

impl From<(&u32, u8)> for Leaf {
    fn from((count, symbol): (&u32, u8)) -> Self {
        Self { count: *count, depth: 0, symbol }
    }
}

/// Huffman's algorithm with two queues: the leaves from the rarest on, and the nodes in the order in which they are
/// made. Of two with the same count the node is taken.
fn set_depths(leaves: &mut [Leaf]) {
    // Of each node: its count, and its parent when it has one. A leaf's parent stands in its depth for the time being.
    let mut nodes: Vec<(u32, usize)> = Vec::with_capacity(leaves.len());
    let (mut leaf, mut node) = (leaves.len(), 0);
    for _ in 1..leaves.len() {
        let parent = nodes.len();
        let mut sum = 0;
        for _ in 0..2 {
            let next = leaf.checked_sub(1).and_then(|place| leaves.get_mut(place));
            match (next, nodes.get_mut(node)) {
                (Some(rarest), other) if other.as_ref().is_none_or(|o| rarest.count < o.0) => {
                    sum += rarest.count;
                    rarest.depth = parent as u32;
                    leaf -= 1;
                }
                (_, Some(first)) => {
                    sum += first.0;
                    first.1 = parent;
                    node += 1;
                }
                _ => {}
            }
        }
        nodes.push((sum, 0));
    }
    let mut depths = vec![0u32; nodes.len()];
    for place in (0..nodes.len().saturating_sub(1)).rev() {
        depths[place] = depths[nodes[place].1] + 1;
    }
    for leaf in leaves {
        leaf.depth = depths.get(leaf.depth as usize).map_or(0, |depth| depth + 1);
    }
}

/// Shortens the code to `most` bits, and returns the length of its longest word; none if it cannot.
///
/// The leaves are sorted, the frequent ones first. It is the reference implementation's way: what was cut off is paid
/// back by making the cheapest of the shorter words longer, one by one.
fn limit(leaves: &mut [Leaf], most: u32) -> Option<u32> {
    let longest = leaves.last()?.depth;
    if longest <= most {
        return Some(longest);
    }
    let cut = longest - most;
    let mut debt = 0i64;
    for leaf in leaves.iter_mut().filter(|leaf| leaf.depth > most) {
        debt += (1i64 << cut) - (1i64 << (longest - leaf.depth));
        leaf.depth = most;
    }
    debt >>= cut;
    let mut below = leaves.iter().rposition(|leaf| leaf.depth < most)?;
    // The rarest leaf whose word is that many bits shorter than the longest.
    let mut rarest: [Option<usize>; MAX_BITS as usize + 2] = Default::default();
    for (place, leaf) in leaves.iter().enumerate().take(below + 1) {
        *rarest.get_mut((most - leaf.depth) as usize)? = Some(place);
    }
    while debt > 0 {
        let mut by = debt.ilog2() as usize + 1;
        while by > 1 {
            let high = *rarest.get(by)?;
            let low = *rarest.get(by - 1)?;
            if let Some(high) = high {
                let Some(low) = low else { break };
                if leaves.get(high)?.count <= 2 * leaves.get(low)?.count {
                    break;
                }
            }
            by -= 1;
        }
        while by <= MAX_BITS as usize && rarest.get(by)?.is_none() {
            by += 1;
        }
        debt -= 1 << (by - 1);
        let place = (*rarest.get(by)?)?;
        let longer = rarest.get_mut(by - 1)?;
        *longer = longer.or(Some(place));
        leaves.get_mut(place)?.depth += 1;
        let before = place.checked_sub(1);
        let still = |place: &usize| leaves.get(*place).is_some_and(|l| l.depth + by as u32 == most);
        *rarest.get_mut(by)? = before.filter(still);
    }
    while debt < 0 {
        let place = match rarest[1] {
            Some(place) => place + 1,
            None => {
                while leaves.get(below)?.depth == most {
                    below = below.checked_sub(1)?;
                }
                below + 1
            }
        };
        leaves.get_mut(place)?.depth -= 1;
        rarest[1] = Some(place);
        debt += 1;
    }
    Some(most)
}

/// Code words of these lengths: the longest ones are the smallest numbers, those of one length in the symbols' order.
fn words(lengths: &[u32], longest: u32) -> Vec<Word> {
    let mut counts = [0u16; MAX_BITS as usize + 1];
    lengths.iter().for_each(|len| counts[*len as usize] += 1);
    let mut next = [0u16; MAX_BITS as usize + 1];
    let mut first = 0;
    for len in (1..=longest as usize).rev() {
        next[len] = first;
        first = (first + counts[len]) >> 1;
    }
    let word = |len: &u32| {
        let next = &mut next[*len as usize];
        let bits = *next;
        *next += 1;
        if *len == 0 { Word::default() } else { Word { bits, len: *len as u8 } }
    };
    lengths.iter().map(word).collect()
}

/// Weights coded by a table of their own; none if that cannot be or makes them longer.
fn coded_weights(weights: &[u8]) -> Option<Vec<u8>> {
    let mut counts = [0u32; MAX_BITS as usize + 1];
    for weight in weights {
        *counts.get_mut(usize::from(*weight))? += 1;
    }
    let alphabet = counts.iter().rposition(|count| *count > 0)? + 1;
    let counts = &counts[..alphabet];
    let most = counts.iter().copied().max()? as usize;
    if weights.len() <= 2 || most == weights.len() || most == 1 || most < weights.len() >> 7 {
        return None;
    }
    let log = Distribution::log_for(weights.len(), alphabet, MAX_WEIGHT_LOG, 1);
    let table = Table::new(Distribution::of(counts, weights.len(), log)?)?;
    let mut coded = Vec::new();
    table.distribution.write(&mut coded);
    fse::write_two_states(&table, weights, &mut coded);
    (coded.len() < weights.len()).then_some(coded)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lengths(counts: &[u32], len: usize) -> Vec<u8> {
        Code::of(counts, len).unwrap().words.iter().map(|word| word.len).collect()
    }

    #[test]
    fn codes_of_few_symbols() {
        assert_eq!(lengths(&[5, 5], 10), [1, 1]);
        assert_eq!(lengths(&[8, 0, 4, 2, 2], 16), [1, 0, 2, 3, 3]);
        let code = Code::of(&[8, 0, 4, 2, 2], 16).unwrap();
        assert_eq!(code.words.iter().map(|word| word.bits).collect::<Vec<_>>(), [1, 0, 1, 0, 1]);
    }

    #[test]
    fn long_words_are_made_shorter() {
        let counts: Vec<u32> = (0..20).map(|i| 1 << i).collect();
        let code = Code::of(&counts, 1 << 20).unwrap();
        assert_eq!(code.longest, MAX_BITS);
        assert_eq!(code.words[19].len, 1);
    }

    #[test]
    fn what_is_not_worth_it() {
        let mut coder = Coder::default();
        assert_eq!(coder.code(&[7; 40], false), Coded::Run);
        let all: Vec<u8> = (0..200).collect();
        assert_eq!(coder.code(&all, false), Coded::Not);
    }

    #[test]
    fn a_table_serves_again_when_it_may() {
        let mut coder = Coder::default();
        let text = b"abracadabra, simsalabim, abracadabra".repeat(9);
        let new_table = |coded| matches!(coded, Coded::Streams { new_table: true, .. });
        assert!(new_table(coder.code(&text, false)));
        assert!(new_table(coder.code(&text, false)));
        coder.allow_reuse(true);
        assert!(!new_table(coder.code(&text, false)));
    }

    proptest! {
        #[test]
        fn codes_are_complete(counts in prop::collection::vec(0u32..5000, 2..=256)) {
            prop_assume!(counts.last() != Some(&0) && counts.iter().filter(|c| **c > 0).count() > 1);
            let len = counts.iter().sum::<u32>() as usize;
            let code = Code::of(&counts, len).unwrap();
            let used = code.words.iter().filter(|word| word.len > 0);
            let sum: u32 = used.map(|word| 1 << (MAX_BITS - u32::from(word.len))).sum();
            prop_assert_eq!(sum, 1 << MAX_BITS);
            prop_assert!(code.covers(&counts));
        }
    }
}
