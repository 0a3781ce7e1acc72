//! Finite state entropy coding (RFC 8878, section 4.1) as klauspost/compress does it: how counts become a table, how a
//! table is written, what it would cost, and the coder's states.
//!
//! The table itself and its description are the format's. Which table is made from the counts is the encoder's choice;
//! it follows the reference implementation's method, with smaller tables.

use crate::deflate::BitWriter;

/// The smallest table has 2^5 states.
const MIN_LOG: u32 = 5;
/// No alphabet here is longer: match lengths have 53 codes.
pub(super) const MAX_SYMBOLS: usize = 53;
/// The cost of what a table cannot encode.
const IMPOSSIBLE: u32 = u32::MAX;
/// By how many 2^-20 a probability's fraction must be above zero to be rounded up, for small probabilities.
const ROUND_UP: [u64; 8] = [0, 473_195, 504_333, 520_860, 550_000, 700_000, 750_000, 830_000];

/// log2 of a table's length and its probabilities in parts of it; -1 for a symbol that is rarer than one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Distribution {
    pub log: u32,
    pub parts: Vec<i16>,
}

/// log2 rounded down; of 0 it is -1.
fn log2(n: usize) -> i32 {
    n.checked_ilog2().map_or(-1, |log| log as i32)
}

impl Distribution {
    /// log2 of the table's length for that many symbols of an alphabet.
    ///
    /// `most` is the largest, `spare` 0 or 1 less than the number of symbols counts for the smallest.
    pub(super) fn log_for(len: usize, alphabet: usize, most: u32, spare: usize) -> u32 {
        let enough = log2(len.saturating_sub(spare)) + 1;
        let needed = enough.min(log2(alphabet.saturating_sub(1)) + 2);
        // Numbers are of eight bits there: below three bits it wraps and no longer limits.
        let useful = (log2(len.saturating_sub(1)) - 2) as u8;
        let log = most.min(u32::from(useful)).max(needed.max(0) as u32);
        log.clamp(MIN_LOG, most)
    }

    /// Scales counts of `len` symbols in all; none if that fails.
    pub(super) fn of(counts: &[u32], len: usize, log: u32) -> Option<Self> {
        let scale = 62 - log;
        let step = (1u64 << 62).checked_div(len as u64)?;
        let low = (len >> log) as u32;
        let mut left = 1i16 << log;
        let (mut largest, mut most) = (0, 0);
        let mut parts = vec![0i16; counts.len()];
        for (i, (&count, part)) in counts.iter().zip(&mut parts).enumerate() {
            if count == 0 {
                continue;
            }
            if count <= low {
                *part = -1;
                left -= 1;
                continue;
            }
            let scaled = u64::from(count) * step;
            let mut whole = scaled >> scale;
            if let Some(limit) = ROUND_UP.get(whole as usize) {
                let fraction = scaled - (whole << scale);
                whole += u64::from(fraction > (1u64 << (scale - 20)) * limit);
            }
            *part = whole as i16;
            left -= *part;
            if *part > most {
                (largest, most) = (i, *part);
            }
        }
        let top = parts.get_mut(largest)?;
        if -left >= *top >> 1 {
            return Self::evenly(counts, len, log);
        }
        *top += left;
        Some(Self { log, parts })
    }

    /// The second method, for counts that the first gave too many parts in all.
    fn evenly(counts: &[u32], len: usize, log: u32) -> Option<Self> {
        const OPEN: i16 = -2;
        let mut total = u32::try_from(len).ok()?;
        let low = total >> log;
        let mut one = total.checked_mul(3)? >> (log + 1);
        let mut given = 0u32;
        let mut parts = vec![0i16; counts.len()];
        for (&count, part) in counts.iter().zip(&mut parts).filter(|(count, _)| **count > 0) {
            *part = match count {
                n if n <= low => -1,
                n if n <= one => 1,
                _ => OPEN,
            };
            if *part != OPEN {
                given += 1;
                total = total.checked_sub(count)?;
            }
        }
        let mut left = (1u32 << log).checked_sub(given)?;
        if total.checked_div(left)? > one {
            one = total.checked_mul(3)?.checked_div(left * 2)?;
            for (&count, part) in counts.iter().zip(&mut parts) {
                if *part == OPEN && count <= one {
                    *part = 1;
                    given += 1;
                    total = total.checked_sub(count)?;
                }
            }
            left = (1u32 << log).checked_sub(given)?;
        }
        if given as usize == counts.len() + 1 {
            let most = counts.iter().copied().max()?;
            let place = counts.iter().position(|count| *count == most)?;
            *parts.get_mut(place)? += left as i16;
        } else if total == 0 {
            spread(&mut parts, left)?;
        } else {
            let fine = 62 - log;
            let half = (1u64 << (fine - 1)) - 1;
            let step = ((1u64 << fine).checked_mul(u64::from(left))?.checked_add(half)?)
                / u64::from(total);
            let mut at = half;
            for (&count, part) in counts.iter().zip(&mut parts).filter(|(_, part)| **part == OPEN) {
                let end = at.checked_add(u64::from(count).checked_mul(step)?)?;
                *part = ((end >> fine) - (at >> fine)) as i16;
                if *part < 1 {
                    return None;
                }
                at = end;
            }
        }
        Some(Self { log, parts })
    }

    /// Bits that its description takes at most, and a little more.
    pub(super) fn header_bits(&self) -> u32 {
        (((self.parts.len() as u32 * self.log) >> 3) + 3) * 8
    }

    /// Appends the description (RFC 8878, section 4.1.1).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut bits = BitWriter::default();
        bits.put(self.log - MIN_LOG, 4);
        let mut left = (1i32 << self.log) + 1;
        let mut threshold = 1i32 << self.log;
        let mut width = self.log + 1;
        let mut symbol = 0;
        let mut after_zero = false;
        while left > 1 {
            if after_zero {
                let zeros = self.parts.iter().skip(symbol).take_while(|part| **part == 0).count();
                symbol += zeros;
                (0..zeros / 24).for_each(|_| bits.put(0xffff, 16));
                (0..zeros % 24 / 3).for_each(|_| bits.put(3, 2));
                bits.put((zeros % 3) as u32, 2);
            }
            let Some(&part) = self.parts.get(symbol) else { break };
            symbol += 1;
            let short = 2 * threshold - 1 - left;
            left -= i32::from(part).abs();
            let mut value = i32::from(part) + 1;
            after_zero = part == 0;
            if value >= threshold {
                value += short;
            }
            bits.put(value as u32, width - u32::from(value < short));
            while left < threshold && threshold > 1 {
                width -= 1;
                threshold >>= 1;
            }
        }
        bits.align();
        bits.drain_to(out);
    }
}

/// Hands out what is left, one by one, to the symbols with at least one part.
fn spread(parts: &mut [i16], mut left: u32) -> Option<()> {
    parts.iter().find(|part| **part > 0)?;
    while left > 0 {
        for part in parts.iter_mut().filter(|part| **part > 0).take(left as usize) {
            *part += 1;
            left -= 1;
        }
    }
    Some(())
}

/// How a symbol changes the state.
#[derive(Debug, Clone, Copy, Default)]
struct Transform {
    /// Added to the state, it has the number of bits to be written in its high half.
    bits: u32,
    /// Added to the state that is left: the place of the next one.
    next: i32,
}

/// A table to encode with.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub distribution: Distribution,
    states: [u16; MAX_STATES],
    symbols: [Transform; ALPHABET],
}

/// Tables have no more states.
const MAX_STATES: usize = 1 << 8;
/// More symbols than any alphabet has, and a power of two.
const ALPHABET: usize = 64;

/// The table that has one symbol and writes nothing.
pub(super) static SILENT: Table = Table {
    distribution: Distribution { log: 0, parts: Vec::new() },
    states: [0; MAX_STATES],
    symbols: [Transform { bits: 0, next: 0 }; ALPHABET],
};

impl Table {
    /// None for a distribution that does not fill its table, or for one of too many states or symbols.
    pub(super) fn new(distribution: Distribution) -> Option<Self> {
        let (log, parts) = (distribution.log, &distribution.parts);
        let size = 1usize << log;
        let taken: usize = parts.iter().map(|part| usize::from(part.unsigned_abs())).sum();
        if taken != size || size > MAX_STATES || parts.len() > ALPHABET {
            return None;
        }
        let mut starts = Vec::with_capacity(parts.len());
        let mut start = 0;
        for part in parts {
            starts.push(start);
            start += usize::from(part.unsigned_abs());
        }
        let mut states = [0; MAX_STATES];
        let mut places = starts.clone();
        for (place, symbol) in spread_symbols(log, parts).into_iter().enumerate() {
            let at = places.get_mut(usize::from(symbol))?;
            *states.get_mut(*at)? = (size + place) as u16;
            *at += 1;
        }
        let mut symbols = [Transform::default(); ALPHABET];
        for (symbol, (&part, &start)) in symbols.iter_mut().zip(parts.iter().zip(&starts)) {
            *symbol = transform(log, part, start);
        }
        Some(Self { distribution, states, symbols })
    }

    /// What encoding that many of each symbol costs, in bits, estimated; [`u32::MAX`] if it cannot be done.
    pub(super) fn cost(&self, counts: &[u32]) -> u32 {
        let Distribution { log, parts } = &self.distribution;
        if parts.len() < counts.len() {
            return IMPOSSIBLE;
        }
        let mut cost = 0u32;
        for ((&count, &part), symbol) in counts.iter().zip(parts).zip(&self.symbols) {
            if count == 0 {
                continue;
            }
            let fewest = symbol.bits >> 16;
            let above = ((fewest + 1) << 16).wrapping_sub(symbol.bits.wrapping_add(1 << log));
            let each = ((fewest + 1) << 8).wrapping_sub((above << 8) >> log);
            if part == 0 || each > (log + 1) << 8 {
                return IMPOSSIBLE;
            }
            cost = cost.wrapping_add(count.wrapping_mul(each));
        }
        cost >> 8
    }

    /// The state that begins with a symbol, which is the last of the text.
    pub(super) fn first(&self, symbol: u8) -> State {
        let Transform { bits, next } = self.transform(symbol);
        let count = bits.wrapping_add(1 << 15) >> 16;
        let state = (count << 16).wrapping_sub(bits).cast_signed() >> count;
        self.state(state + next)
    }

    /// The bits that lead from the next symbol's state to this one's, their number (at most 8), and this one's state.
    #[inline(always)]
    pub(super) fn step(&self, state: State, symbol: u8) -> (u64, u32, State) {
        let Transform { bits, next } = self.transform(symbol);
        let count = (u32::from(state.0).wrapping_add(bits) >> 16) & 15;
        let value = u32::from(state.0) & ((1 << count) - 1);
        (u64::from(value), count, self.state((i32::from(state.0) >> count) + next))
    }

    /// Writes the bits that lead from the next symbol's state to this one's.
    pub(super) fn encode(&self, state: State, symbol: u8, out: &mut BitWriter) -> State {
        let (value, count, state) = self.step(state, symbol);
        out.put(value as u32, count);
        state
    }

    /// Writes the state that decoding begins with.
    pub(super) fn finish(&self, state: State, out: &mut BitWriter) {
        let log = self.distribution.log;
        out.put(u32::from(state.0) & ((1 << log) - 1), log);
    }

    #[inline(always)]
    fn transform(&self, symbol: u8) -> Transform {
        self.symbols[usize::from(symbol) % ALPHABET]
    }

    #[inline(always)]
    fn state(&self, place: i32) -> State {
        State(self.states[place as usize % MAX_STATES])
    }
}

/// A coder's state.
#[derive(Debug, Clone, Copy)]
pub(super) struct State(u16);

/// The symbol of each state (RFC 8878, section 4.1.1).
fn spread_symbols(log: u32, parts: &[i16]) -> Vec<u8> {
    let size = 1usize << log;
    let mut symbols = vec![0u8; size];
    let mut rare = size;
    for (symbol, _) in parts.iter().enumerate().filter(|(_, part)| **part == -1) {
        rare -= 1;
        symbols[rare] = symbol as u8;
    }
    let step = (size >> 1) + (size >> 3) + 3;
    let mut place = 0;
    for (symbol, &part) in parts.iter().enumerate() {
        for _ in 0..part.max(0) {
            symbols[place] = symbol as u8;
            loop {
                place = (place + step) & (size - 1);
                if place < rare {
                    break;
                }
            }
        }
    }
    symbols
}

fn transform(log: u32, part: i16, start: usize) -> Transform {
    let start = start as i32;
    match part {
        0 => Transform::default(),
        -1 | 1 => Transform { bits: (log << 16) - (1 << log), next: start - 1 },
        part => {
            let part = part.unsigned_abs();
            let most = log - (part - 1).ilog2();
            Transform {
                bits: (most << 16) - (u32::from(part) << most),
                next: start - i32::from(part),
            }
        }
    }
}

/// Appends bytes coded with two states, as Huffman weights are (RFC 8878, section 4.2.1.2); there are at least three.
pub(super) fn write_two_states(table: &Table, text: &[u8], out: &mut Vec<u8>) {
    let [head @ .., before, last] = text else { return };
    let mut bits = BitWriter::default();
    // The even positions belong to the first state, and it is the first to be read.
    let (mut states, mut rest) = if text.len() % 2 == 1 {
        ([table.first(*last), table.first(*before)], head)
    } else {
        ([table.first(*before), table.first(*last)], head)
    };
    while let [head @ .., symbol] = rest {
        let state = &mut states[head.len() % 2];
        *state = table.encode(*state, *symbol, &mut bits);
        rest = head;
    }
    table.finish(states[1], &mut bits);
    table.finish(states[0], &mut bits);
    bits.put(1, 1);
    bits.align();
    bits.drain_to(out);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rare_symbols_get_less_than_a_part() {
        let distribution = Distribution::of(&[900, 1, 99], 1000, 6).unwrap();
        assert_eq!(distribution.parts, [57, -1, 6]);
        // One symbol of two, again and again but once.
        assert_eq!(Distribution::of(&[999, 1], 1000, 5).unwrap().parts, [31, -1]);
    }

    #[test]
    fn logs_of_tables() {
        assert_eq!(Distribution::log_for(2, 53, 8, 0), 8);
        assert_eq!(Distribution::log_for(100, 20, 8, 0), 6);
        assert_eq!(Distribution::log_for(100_000, 53, 8, 0), 8);
        assert_eq!(Distribution::log_for(255, 12, 6, 1), 5);
    }

    #[test]
    fn descriptions() {
        let mut out = Vec::new();
        Distribution { log: 5, parts: vec![16, 0, 0, 0, 15, -1] }.write(&mut out);
        // The log less 5; 16 and 1; 0 and 1, then two more zeros; 15 and 1; -1 and 1.
        let mut bits = BitWriter::default();
        for (value, count) in [(0, 4), (17, 5), (1, 4), (2, 2), (16 + 14, 5), (0, 1)] {
            bits.put(value, count);
        }
        bits.align();
        let mut expected = Vec::new();
        bits.drain_to(&mut expected);
        assert_eq!(out, expected);
    }

    proptest! {
        #[test]
        fn parts_fill_the_table(counts in prop::collection::vec(0u32..2000, 2..MAX_SYMBOLS)) {
            let len = counts.iter().sum::<u32>() as usize;
            prop_assume!(len > 1 && counts.iter().all(|count| *count as usize != len));
            prop_assume!(counts.last() != Some(&0));
            let log = Distribution::log_for(len, counts.len(), 8, 0);
            let table = Table::new(Distribution::of(&counts, len, log).unwrap()).unwrap();
            prop_assert!(table.cost(&counts) < u32::MAX);
            let used = table.distribution.parts.iter().map(|part| *part != 0);
            prop_assert!(used.eq(counts.iter().map(|count| *count != 0)));
        }
    }
}
