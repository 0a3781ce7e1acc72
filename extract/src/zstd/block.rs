//! Blocks (RFC 8878, section 3.1.1.2) as klauspost/compress writes them: what is coded, and with which tables.

use super::fse::{Distribution, MAX_SYMBOLS, SILENT, Table};
use super::huffman::{Coded, Coder};
use super::{Level, Release};
use crate::deflate::BitWriter;

/// Bytes of content in the longest block.
pub const MAX_BLOCK_LEN: usize = 128 << 10;
/// A match has at least this length.
pub(super) const MIN_MATCH: u32 = 3;
/// Tables of sequences have 2^8 states at most.
const MAX_LOG: u32 = 8;

/// Literals, and a match after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub literals: u32,
    /// The match's length less [`MIN_MATCH`].
    pub length: u32,
    /// The distance + 3, or 1 for the last distance (the one before it where there are no literals).
    pub offset: u32,
}

/// How a block is told in its header.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Raw,
    Run,
    Coded,
}

/// The kinds of literals.
#[derive(Debug, Clone, Copy)]
enum Literals {
    Raw,
    Run,
    NewTable,
    LastTable,
}

/// Writes blocks, one after the other.
#[derive(Debug)]
pub(super) struct BlockWriter {
    release: Release,
    level: Level,
    literals: Coder,
    kinds: [Values; 3],
}

impl BlockWriter {
    pub(super) fn new(release: Release, level: Level) -> Self {
        Self { release, level, literals: Coder::default(), kinds: Values::all() }
    }

    /// Appends a block with this text, which consists of these sequences and literals.
    pub(super) fn write(
        &mut self,
        text: &[u8],
        sequences: &[Sequence],
        literals: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) {
        let old = self.release < Release::V1_16_4;
        if old && literals.len() == text.len() && text.len() == self.level.block_len() {
            return raw(text, last, out);
        }
        // Without matches the literals are coded all the same at the strongest level; at the default level no longer.
        let as_raw = match self.level {
            Level::Fastest => true,
            Level::Default => !old,
            Level::Best => false,
        };
        if sequences.is_empty() {
            return self.without_sequences(literals, as_raw, last, out);
        }
        if self.release >= Release::V1_17_8
            && let ([only], [first, ..]) = (sequences, text)
            && literals.len() <= 1
            && only.literals as usize == literals.len()
            && only.offset == 4
        {
            header(Kind::Run, text.len(), last, out);
            out.push(*first);
            return;
        }
        let margin = text.len() >> if old { 5 } else { 6 };
        if literals.len() + margin + 16 > text.len() {
            return self.without_sequences(text, as_raw, last, out);
        }
        let mut coded = self.literals_section(literals);
        let complete = self.sequences_section(sequences, &mut coded);
        if complete.is_none() || coded.len() >= text.len() {
            self.literals.allow_reuse(false);
            return raw(text, last, out);
        }
        for (values, chosen) in self.kinds.iter_mut().zip(complete.into_iter().flatten()) {
            values.keep(chosen);
        }
        header(Kind::Coded, coded.len(), last, out);
        out.append(&mut coded);
    }

    /// A block of literals alone.
    fn without_sequences(&mut self, text: &[u8], as_raw: bool, last: bool, out: &mut Vec<u8>) {
        if as_raw || text.len() < 32 {
            return raw(text, last, out);
        }
        match self.code(text, 0) {
            Coded::Not => raw(text, last, out),
            Coded::Run => {
                header(Kind::Run, text.len(), last, out);
                out.extend(text.first());
            }
            Coded::Streams { bytes, new_table } => {
                let mut coded = Vec::with_capacity(bytes.len() + 6);
                self.coded_literals(text, &bytes, new_table, &mut coded);
                coded.push(0);
                header(Kind::Coded, coded.len(), last, out);
                out.append(&mut coded);
            }
        }
    }

    /// Codes literals; not if that gains nothing against `raw` bytes of header.
    fn code(&mut self, text: &[u8], raw: usize) -> Coded {
        let fewest = if self.release < Release::V1_17_0 { 33 } else { 17 };
        if text.len() < fewest {
            return Coded::Not;
        }
        let coded = self.literals.code(text, text.len() >= 1024);
        if self.release >= Release::V1_17_0
            && let Coded::Streams { bytes, .. } = &coded
            && bytes.len() + sizes_len(text.len(), bytes.len()) >= text.len() + raw
        {
            return Coded::Not;
        }
        coded
    }

    fn literals_section(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 64);
        match self.code(text, size_len(text.len())) {
            Coded::Not => {
                literals_size(Literals::Raw, text.len(), &mut out);
                out.extend_from_slice(text);
            }
            Coded::Run => {
                literals_size(Literals::Run, text.len(), &mut out);
                out.extend(text.first());
            }
            Coded::Streams { bytes, new_table } => {
                self.coded_literals(text, &bytes, new_table, &mut out);
            }
        }
        out
    }

    fn coded_literals(&mut self, text: &[u8], coded: &[u8], new_table: bool, out: &mut Vec<u8>) {
        let kind = if new_table { Literals::NewTable } else { Literals::LastTable };
        literals_sizes(kind, text.len(), coded.len(), out);
        out.extend_from_slice(coded);
        self.literals.allow_reuse(true);
    }

    /// Appends the sequences; returns the table that each kind of value chose, or none if there is none.
    fn sequences_section(&self, sequences: &[Sequence], out: &mut Vec<u8>) -> Option<[Chosen; 3]> {
        let count = sequences.len();
        match count {
            0..128 => out.push(count as u8),
            128..0x7f00 => out.extend([128 + (count >> 8) as u8, count as u8]),
            _ => {
                out.push(255);
                out.extend(((count - 0x7f00) as u16).to_le_bytes());
            }
        }
        let mut counts = [[0u32; 64]; 3];
        for sequence in sequences {
            for (counts, code) in counts.iter_mut().zip(codes(sequence)) {
                counts[usize::from(code) % 64] += 1;
            }
        }
        let [literals, offsets, lengths] = &self.kinds;
        let chosen = [
            literals.choose(&counts[0])?,
            offsets.choose(&counts[1])?,
            lengths.choose(&counts[2])?,
        ];
        let modes = chosen.each_ref().map(Chosen::mode);
        out.push(modes[0] << 6 | modes[1] << 4 | modes[2] << 2);
        for chosen in &chosen {
            match chosen {
                Chosen::Run(symbol) => out.push(*symbol),
                Chosen::New(table) => table.distribution.write(out),
                Chosen::Standard | Chosen::Last => {}
            }
        }
        self.stream(sequences, &chosen, out);
        Some(chosen)
    }

    /// The sequences' bits, from the last sequence to the first.
    fn stream(&self, sequences: &[Sequence], chosen: &[Chosen; 3], out: &mut Vec<u8>) {
        let Some((last, before)) = sequences.split_last() else { return };
        let mut bits = BitWriter::default();
        let table = |i: usize| self.kinds[i].table(&chosen[i]).unwrap_or(&SILENT);
        let tables = [table(0), table(1), table(2)];
        let code = codes(last);
        let mut states = [0, 1, 2].map(|i| tables[i].first(code[i]));
        bits.put_words([last].into_iter(), |last| extra(last, code));
        bits.put_words(before.iter().rev(), |sequence| {
            let code = codes(sequence);
            let (mut value, mut count) = (0, 0);
            for i in [1, 2, 0] {
                let (more, len, state) = tables[i].step(states[i], code[i]);
                value |= more << count;
                count += len;
                states[i] = state;
            }
            // At most 24 bits for the states and 16 for literals, 16 and 23 for the match.
            let [(literals, len), matched] = extra(sequence, code);
            [(value | literals << count, count + len), matched]
        });
        for i in [2, 1, 0] {
            tables[i].finish(states[i], &mut bits);
        }
        bits.put(1, 1);
        bits.align();
        bits.drain_to(out);
    }
}

/// A raw block.
pub(super) fn raw(text: &[u8], last: bool, out: &mut Vec<u8>) {
    header(Kind::Raw, text.len(), last, out);
    out.extend_from_slice(text);
}

fn header(kind: Kind, len: usize, last: bool, out: &mut Vec<u8>) {
    let header = u32::from(last) | (kind as u32) << 1 | (len as u32) << 3;
    out.extend_from_slice(&header.to_le_bytes()[..3]);
}

/// Bytes of the header of literals that are not coded.
fn size_len(len: usize) -> usize {
    match len {
        0..0x10 => 1,
        0x10..0x800 => 2,
        _ => 3,
    }
}

/// Bytes of the header of coded literals.
fn sizes_len(len: usize, coded: usize) -> usize {
    match len.max(coded) {
        0..0x400 => 3,
        0x400..0x4000 => 4,
        _ => 5,
    }
}

/// The header of literals that are not coded. klauspost goes on to the longer form at half of the short one's range.
fn literals_size(kind: Literals, len: usize, out: &mut Vec<u8>) {
    let (kind, value) = (kind as u32, len as u32);
    match size_len(len) {
        1 => out.push((kind | value << 3) as u8),
        2 => out.extend(((kind | 1 << 2 | value << 4) as u16).to_le_bytes()),
        _ => out.extend_from_slice(&(kind | 3 << 2 | value << 4).to_le_bytes()[..3]),
    }
}

fn literals_sizes(kind: Literals, len: usize, coded: usize, out: &mut Vec<u8>) {
    let bytes = sizes_len(len, coded);
    let (format, width) = match bytes {
        // One stream; four are written from 1024 bytes on.
        3 => (0, 10),
        4 => (2, 14),
        _ => (3, 18),
    };
    let value = kind as u64 | format << 2 | (len as u64) << 4 | (coded as u64) << (4 + width);
    out.extend_from_slice(&value.to_le_bytes()[..bytes]);
}

/// The codes of literal length, offset and match length (RFC 8878, section 3.1.1.3.2.1.1).
#[inline(always)]
fn codes(sequence: &Sequence) -> [u8; 3] {
    let log = |n: u32| n.checked_ilog2().unwrap_or(0) as u8;
    let literals = match LITERAL_CODES.get(sequence.literals as usize) {
        Some(code) => *code,
        None => log(sequence.literals) + 19,
    };
    let length = match LENGTH_CODES.get(sequence.length as usize) {
        Some(code) => *code,
        None => log(sequence.length) + 36,
    };
    [literals, log(sequence.offset), length]
}

/// Bits that a match of this length (less [`MIN_MATCH`]) and offset takes about, by the predefined tables (RFC 8878, section 3.1.1.3.2.2): of 2^5 states for
/// offsets and 2^6 for lengths, of which lengths with codes 1 and 2 have three and four.
pub(super) fn predefined_cost(length: u32, offset: u32) -> u32 {
    let [_, offset, length] = codes(&Sequence { literals: 0, length, offset });
    let states = 4 + if matches!(length, 1 | 2) { 4 } else { 5 };
    let length = LENGTH_BITS[usize::from(length) % LENGTH_BITS.len()];
    states + u32::from(offset) + u32::from(length)
}

/// The codes of short literals, and of short matches.
const LITERAL_CODES: [u8; 64] = short_codes(&LITERAL_BITS);
const LENGTH_CODES: [u8; 128] = short_codes(&LENGTH_BITS);

const fn short_codes<const N: usize>(bits: &[u8; 64]) -> [u8; N] {
    let (mut codes, mut code, mut n, mut end) = ([0; N], 0, 0, 1usize << bits[0]);
    while n < N {
        if n == end {
            code += 1;
            end += 1 << bits[code];
        }
        codes[n] = code as u8;
        n += 1;
    }
    codes
}

/// The extra bits of a sequence with these codes: those of the literals, and those of the match.
#[inline(always)]
fn extra(sequence: &Sequence, codes: [u8; 3]) -> [(u64, u32); 2] {
    let low = |value: u32, count: u8| u64::from(value) & ((1 << count) - 1);
    let literals = LITERAL_BITS[usize::from(codes[0]) % LITERAL_BITS.len()];
    let length = LENGTH_BITS[usize::from(codes[2]) % LENGTH_BITS.len()];
    let offset = codes[1] % 32;
    let matched = low(sequence.length, length) | low(sequence.offset, offset) << length;
    [
        (low(sequence.literals, literals), u32::from(literals)),
        (matched, u32::from(length) + u32::from(offset)),
    ]
}

/// Extra bits of each code; no sequence has those behind the last.
const LITERAL_BITS: [u8; 64] = padded([
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11,
    12, 13, 14, 15, 16,
]);
const LENGTH_BITS: [u8; 64] = padded([
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
]);

const fn padded<const N: usize>(bits: [u8; N]) -> [u8; 64] {
    let (mut padded, mut code) = ([0; 64], 0);
    while code < N {
        padded[code] = bits[code];
        code += 1;
    }
    padded
}

/// The table that values of one kind are written with.
#[derive(Debug)]
enum Chosen {
    /// The format's own.
    Standard,
    /// None is needed: it is one symbol.
    Run(u8),
    /// A new one.
    New(Box<Table>),
    /// That of the last block.
    Last,
}

impl Chosen {
    fn mode(&self) -> u8 {
        match self {
            Self::Standard => 0,
            Self::Run(_) => 1,
            Self::New(_) => 2,
            Self::Last => 3,
        }
    }
}

/// The tables for one kind of value.
#[derive(Debug)]
struct Values {
    standard: Option<Box<Table>>,
    last: Option<Box<Table>>,
}

impl Values {
    /// For literal lengths, offsets and match lengths, with the standard distributions of RFC 8878, section
    /// 3.1.1.3.2.2.
    fn all() -> [Self; 3] {
        let mut literals = vec![2i16; 36];
        literals[..2].copy_from_slice(&[4, 3]);
        literals[13..16].fill(1);
        literals[25] = 3;
        literals[27..32].fill(1);
        literals[32..].fill(-1);
        let mut offsets = vec![1i16; 29];
        offsets[6..9].fill(2);
        offsets[24..].fill(-1);
        let mut lengths = vec![1i16; MAX_SYMBOLS];
        lengths[1..9].copy_from_slice(&[4, 3, 2, 2, 2, 2, 2, 2]);
        lengths[46..].fill(-1);
        [(6, literals), (5, offsets), (6, lengths)].map(|(log, parts)| Self {
            standard: Table::new(Distribution { log, parts }).map(Box::new),
            last: None,
        })
    }

    fn choose(&self, counts: &[u32]) -> Option<Chosen> {
        let alphabet = counts.iter().rposition(|count| *count > 0)? + 1;
        let counts = &counts[..alphabet];
        let len = counts.iter().sum::<u32>();
        if counts.last() == Some(&len) {
            return Some(Chosen::Run((alphabet - 1) as u8));
        }
        let log = Distribution::log_for(len as usize, alphabet, MAX_LOG, 0);
        let new = Box::new(Table::new(Distribution::of(counts, len as usize, log)?)?);
        let size = new.cost(counts).wrapping_add(new.distribution.header_bits());
        let size = size.wrapping_add(size.wrapping_add(256) >> 4);
        let cost = |table: &Option<Box<Table>>| table.as_ref().map_or(u32::MAX, |t| t.cost(counts));
        let (standard, last) = (cost(&self.standard), cost(&self.last));
        Some(if standard <= last && standard <= size {
            Chosen::Standard
        } else if last <= size {
            Chosen::Last
        } else {
            Chosen::New(new)
        })
    }

    fn table<'a>(&'a self, chosen: &'a Chosen) -> Option<&'a Table> {
        match chosen {
            Chosen::Standard => self.standard.as_deref(),
            Chosen::Run(_) => None,
            Chosen::New(table) => Some(table),
            Chosen::Last => self.last.as_deref(),
        }
    }

    /// Notes which table the block was written with.
    fn keep(&mut self, chosen: Chosen) {
        match chosen {
            Chosen::Last => {}
            Chosen::New(table) => self.last = Some(table),
            Chosen::Standard | Chosen::Run(_) => self.last = None,
        }
    }
}
