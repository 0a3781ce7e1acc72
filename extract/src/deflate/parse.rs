//! Reads deflate streams (RFC 1951) as blocks and tokens, without the text.

use super::header::ORDER;
use super::symbols::{DISTANCE_RANGES, DISTANCES, END, LENGTH_RANGES};
use super::tokens::Token;

/// What a stream is made of, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A block begins.
    Block(BlockHead),
    /// A literal or a match.
    Token(Token),
    /// The bytes of a stored block, as many as it has.
    Stored(usize),
    /// A block ends.
    End,
    /// The stream has ended: the bits up to the next byte are zero.
    Done,
}

/// How a block begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct BlockHead {
    pub(crate) last: bool,
    pub(crate) kind: Kind,
}

/// What a block's codes are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    #[default]
    Stored,
    Fixed,
    Dynamic(DynamicHead),
}

/// The header of a dynamic block after its three first bits, as it stands (RFC 1951, section 3.2.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DynamicHead {
    /// The bits, from the low end of each byte on; zeros follow.
    pub(crate) bytes: Vec<u8>,
    pub(crate) bits: u32,
    /// Lengths of the codes for literals and lengths.
    pub(crate) literals: Vec<u8>,
    /// Lengths of the codes for distances.
    pub(crate) distances: Vec<u8>,
}

impl DynamicHead {
    /// Reads a header of so many bits.
    pub(crate) fn read(bytes: Vec<u8>, bits: u32) -> Option<Self> {
        let mut parser = Parser { input: bytes, ended: true, ..Parser::default() };
        let head = parser.dynamic().ok()?;
        (head.bits == bits).then_some(head)
    }
}

/// Why a stream cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// Bits a header can have: counts, code lengths, and 320 symbols of at most 14 bits.
pub(crate) const MAX_HEADER_BITS: u32 = 14 + 19 * 3 + 320 * 14;

/// Reads a stream that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    input: Vec<u8>,
    /// Bits of the input that were read.
    bit: usize,
    /// No more input will come.
    ended: bool,
    state: State,
    last: bool,
    literals: Table,
    distances: Table,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    Coded,
    StoredEnd,
    Done,
}

/// Why there is no event.
enum Stop {
    More,
    Broken,
}

impl Parser {
    /// Takes in more of the stream.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let done = self.bit / 8;
        if done > 1 << 15 {
            self.input.drain(..done);
            self.bit -= done * 8;
        }
        self.input.extend_from_slice(bytes);
    }

    /// Says that there is no more of it.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The next event; none if it needs more of the stream.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Broken> {
        let before = (self.bit, self.state);
        match self.read() {
            Ok(event) => Ok(Some(event)),
            Err(Stop::Broken) => Err(Broken),
            Err(Stop::More) if self.ended => Err(Broken),
            Err(Stop::More) => {
                (self.bit, self.state) = before;
                Ok(None)
            }
        }
    }

    #[cfg(any(feature = "identify", test))]
    /// Whole bytes that were fed and not used, once the stream is done.
    pub(crate) fn rest(&self) -> usize {
        self.input.len().saturating_sub(self.bit.div_ceil(8))
    }

    #[inline]
    fn peek(&self) -> u64 {
        let at = self.bit / 8;
        let word = match self.input.get(at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => {
                let mut bytes = [0; 8];
                let left = self.input.get(at..).unwrap_or_default();
                bytes[..left.len()].copy_from_slice(left);
                u64::from_le_bytes(bytes)
            }
        };
        word >> (self.bit % 8)
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Result<(), Stop> {
        self.bit += count;
        if self.bit > self.input.len() * 8 { Err(Stop::More) } else { Ok(()) }
    }

    /// At most 32 bits.
    #[inline]
    fn take(&mut self, count: usize) -> Result<u32, Stop> {
        let value = self.peek() & ((1 << count) - 1);
        self.skip(count)?;
        Ok(value as u32)
    }

    fn read(&mut self) -> Result<Event, Stop> {
        match self.state {
            State::Between if self.last => {
                let rest = (8 - self.bit % 8) % 8;
                if self.take(rest)? != 0 {
                    return Err(Stop::Broken);
                }
                self.state = State::Done;
                Ok(Event::Done)
            }
            State::Between => self.begin(),
            State::StoredEnd => {
                self.state = State::Between;
                Ok(Event::End)
            }
            State::Coded => self.token(),
            State::Done => Err(Stop::Broken),
        }
    }

    fn begin(&mut self) -> Result<Event, Stop> {
        let last = self.take(1)? == 1;
        let kind = match self.take(2)? {
            0 => {
                self.literals.clear();
                Kind::Stored
            }
            1 => {
                self.literals.fill(&fixed_literals()).ok_or(Stop::Broken)?;
                self.distances.fill(&[5; 30]).ok_or(Stop::Broken)?;
                Kind::Fixed
            }
            2 => Kind::Dynamic(self.dynamic()?),
            _ => return Err(Stop::Broken),
        };
        self.state = State::Coded;
        self.last = last;
        Ok(Event::Block(BlockHead { last, kind }))
    }

    fn dynamic(&mut self) -> Result<DynamicHead, Stop> {
        let start = self.bit;
        let literals = self.take(5)? as usize + 257;
        let distances = self.take(5)? as usize + 1;
        let count = self.take(4)? as usize + 4;
        let mut lens = [0; 19];
        for &symbol in &ORDER[..count] {
            lens[symbol] = self.take(3)? as u8;
        }
        let mut table = Table::default();
        table.fill(&lens).ok_or(Stop::Broken)?;
        let mut lens: Vec<u8> = Vec::with_capacity(literals + distances);
        while lens.len() < literals + distances {
            let symbol = self.symbol(&table)?;
            let (value, count) = match symbol {
                0..=15 => (symbol as u8, 1),
                16 => (*lens.last().ok_or(Stop::Broken)?, 3 + self.take(2)?),
                17 => (0, 3 + self.take(3)?),
                _ => (0, 11 + self.take(7)?),
            };
            lens.extend(std::iter::repeat_n(value, count as usize));
        }
        if lens.len() > literals + distances || literals > 286 {
            return Err(Stop::Broken);
        }
        self.literals.fill(&lens[..literals]).ok_or(Stop::Broken)?;
        self.distances.fill(&lens[literals..]).ok_or(Stop::Broken)?;
        let distances = lens.split_off(literals);
        if distances.iter().skip(DISTANCES).any(|&len| len > 0) {
            return Err(Stop::Broken);
        }
        let bits = self.bit - start;
        let mut bytes = Vec::with_capacity(bits / 8 + 1);
        let end = self.bit;
        self.bit = start;
        while self.bit < end {
            let count = (end - self.bit).min(8);
            bytes.push(self.take(count)? as u8);
        }
        Ok(DynamicHead { bytes, bits: bits as u32, literals: lens, distances })
    }

    #[inline]
    fn symbol(&mut self, table: &Table) -> Result<usize, Stop> {
        let entry = table.entries.get(self.peek() as usize & 0x7fff).copied().unwrap_or(0);
        if entry == 0 {
            return Err(if self.bit + 15 > self.input.len() * 8 {
                Stop::More
            } else {
                Stop::Broken
            });
        }
        self.skip(usize::from(entry & 15))?;
        Ok(usize::from(entry >> 4))
    }

    fn token(&mut self) -> Result<Event, Stop> {
        if self.literals.entries.is_empty() {
            return self.stored();
        }
        let entry = self.literals.entries[self.peek() as usize & 0x7fff];
        if entry == 0 {
            return Err(if self.bit + 15 > self.input.len() * 8 {
                Stop::More
            } else {
                Stop::Broken
            });
        }
        self.skip(usize::from(entry & 15))?;
        let symbol = usize::from(entry >> 4);
        if symbol < END {
            return Ok(Event::Token(Token::literal(symbol as u8)));
        }
        if symbol == END {
            self.state = State::Between;
            return Ok(Event::End);
        }
        let range = LENGTH_RANGES.get(symbol - END - 1).ok_or(Stop::Broken)?;
        let more = self.take(usize::from(range.extra))?;
        let len = 3 + usize::from(range.base) + more as usize;
        // Length 258 has a symbol of its own; another way of writing it is not taken.
        if len > 258 || len == 258 && range.extra > 0 {
            return Err(Stop::Broken);
        }
        let entry = self.distances.entries.get(self.peek() as usize & 0x7fff).copied().unwrap_or(0);
        if entry == 0 {
            return Err(if self.bit + 15 > self.input.len() * 8 {
                Stop::More
            } else {
                Stop::Broken
            });
        }
        self.skip(usize::from(entry & 15))?;
        let range = DISTANCE_RANGES.get(usize::from(entry >> 4)).ok_or(Stop::Broken)?;
        let distance = usize::from(range.base) + self.take(usize::from(range.extra))? as usize;
        Ok(Event::Token(Token::matched(len, distance + 1)))
    }

    fn stored(&mut self) -> Result<Event, Stop> {
        let rest = (8 - self.bit % 8) % 8;
        if self.take(rest)? != 0 {
            return Err(Stop::Broken);
        }
        let (len, check) = (self.take(16)?, self.take(16)?);
        if len ^ check != 0xffff {
            return Err(Stop::Broken);
        }
        self.skip(len as usize * 8)?;
        self.state = State::StoredEnd;
        Ok(Event::Stored(len as usize))
    }
}

pub(crate) fn fixed_literals() -> [u8; 288] {
    std::array::from_fn(|symbol| match symbol {
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    })
}

/// What the next 15 bits begin with: a symbol and, in the low four bits, the length of its code; 0: no symbol.
#[derive(Debug, Default, Clone)]
struct Table {
    entries: Vec<u16>,
}

impl Table {
    fn clear(&mut self) {
        self.entries.clear();
    }

    /// None if the lengths are no prefix code; a code may be incomplete.
    fn fill(&mut self, lens: &[u8]) -> Option<()> {
        let mut per_len = [0u32; 16];
        for &len in lens {
            per_len[usize::from(len & 15)] += 1;
        }
        per_len[0] = 0;
        let mut next = [0u32; 17];
        for len in 1..16 {
            next[len + 1] = (next[len] + per_len[len]) << 1;
            if next[len] + per_len[len] > 1 << len {
                return None;
            }
        }
        self.entries.clear();
        self.entries.resize(1 << 15, 0);
        for (symbol, &len) in lens.iter().enumerate().filter(|(_, len)| **len > 0) {
            let code = next[usize::from(len)];
            next[usize::from(len)] += 1;
            let first = (code.reverse_bits() >> (32 - u32::from(len))) as usize;
            let entry = (symbol as u16) << 4 | u16::from(len);
            for place in (first..1 << 15).step_by(1 << len) {
                self.entries[place] = entry;
            }
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;

    use super::*;

    fn events(stream: &[u8], piece: usize) -> Result<Vec<Event>, Broken> {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        let mut pieces = stream.chunks(piece);
        loop {
            match parser.next()? {
                Some(Event::Done) => return Ok(events),
                Some(event) => events.push(event),
                None => match pieces.next() {
                    Some(bytes) => parser.feed(bytes),
                    None => parser.end(),
                },
            }
        }
    }

    #[test]
    fn streams_are_read_however_they_are_cut() {
        let text = b"no text without a repetition of a text without a repetition".repeat(40);
        for level in 0..=9 {
            let mut stream = Vec::new();
            let compression = flate2::Compression::new(level);
            flate2::read::DeflateEncoder::new(&text[..], compression)
                .read_to_end(&mut stream)
                .unwrap();
            let whole = events(&stream, stream.len()).unwrap();
            let len: usize = whole
                .iter()
                .map(|event| match event {
                    Event::Token(token) => token.parts().map_or(1, |(len, _)| len),
                    Event::Stored(len) => *len,
                    _ => 0,
                })
                .sum();
            assert_eq!(len, text.len(), "{level}");
            assert_eq!(events(&stream, 1).unwrap(), whole, "{level}");
            for cut in 0..stream.len() {
                assert_eq!(events(&stream[..cut], 7), Err(Broken), "{level} {cut}");
            }
        }
    }

    #[test]
    fn noise_is_broken_or_read() {
        let mut state = 3u32;
        for len in 0..400 {
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                (state >> 16) as u8
            })
            .take(len)
            .collect();
            let _ = events(&noise, 16);
        }
    }
}
