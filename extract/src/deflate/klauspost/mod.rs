//! The encoder of klauspost/compress flate, and Go's from 1.27 on, which is a port of it.

mod fast;
mod history;
mod lazy;
mod writer;

use fast::Search;
use lazy::Lazy;
use writer::BlockWriter;

use super::tokens::Tokens;

/// Releases that give the same bytes, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// klauspost/compress 1.10.2 to 1.11.12.
    V1_10_2,
    /// klauspost/compress 1.12.2.
    V1_12_2,
    /// klauspost/compress 1.12.3 to 1.13.6.
    V1_12_3,
    /// klauspost/compress 1.14.0 to 1.14.2.
    V1_14_0,
    /// klauspost/compress 1.14.3 and 1.14.4.
    V1_14_3,
    /// klauspost/compress 1.15.0 to 1.15.9.
    V1_15_0,
    /// klauspost/compress 1.15.10.
    V1_15_10,
    /// klauspost/compress 1.15.11 to 1.17.11 (levels 7 to 9: from 1.15.15 on).
    V1_15_11,
    /// klauspost/compress 1.18.0.
    V1_18_0,
    /// klauspost/compress 1.18.1, except level 9, and later.
    V1_18_2,
    /// Go 1.27 and later.
    Go1_27,
}

/// What changed from class to class.
impl Class {
    /// Headers declare the codes in use; before, all of them.
    fn exact_headers(self) -> bool {
        self >= Self::V1_18_2
    }

    fn slips_at_level_4(self) -> bool {
        self >= Self::V1_18_0
    }

    fn weighs_all(self) -> bool {
        self < Self::V1_18_2
    }

    fn missing_literal_bits(self) -> u8 {
        u8::from(self == Self::Go1_27)
    }

    /// The search at a match's end of levels 7 to 9 may give up the match's first two bytes.
    fn gives_up_first_bytes(self) -> bool {
        self >= Self::V1_15_11
    }

    /// Levels 1 to 3 hash five bytes, before four.
    fn hashes_five_bytes(self) -> bool {
        self >= Self::V1_15_11
    }

    /// Bytes that the search at a match's end leaves out at its start, at levels 5 and 6.
    fn end_search_offset(self) -> usize {
        if self >= Self::V1_15_10 { 2 } else { 0 }
    }

    fn searches_ends_at_level_5(self) -> bool {
        self >= Self::V1_12_2
    }

    /// Long matches are split into pieces of 258 bytes, before of 255.
    fn long_pieces(self) -> bool {
        self >= Self::V1_15_0
    }

    /// Fixed codes are tried for blocks of few tokens alone, and literals that are spread evenly are stored at once.
    fn spares_trials(self) -> bool {
        self >= Self::V1_14_3
    }

    /// Codes that stay open have a code for every symbol; there are no fixed codes.
    fn fills_codes(self) -> bool {
        self < Self::V1_14_0
    }

    /// The estimate of a symbol's bits is kept between 1 and 15.
    fn clamps_estimates(self) -> bool {
        self >= Self::V1_12_3
    }

    /// The cost of literals alone is estimated, after that it is that of their code.
    fn estimates_literals(self) -> bool {
        self < Self::V1_12_2
    }

    /// A new code must save more than one in 2^n bits.
    fn penalty(self, level: u8) -> u32 {
        match level {
            _ if self < Self::V1_12_2 => 6,
            1..=6 if !self.fills_codes() => 7,
            _ => 8,
        }
    }
}

/// Bytes that levels 1 to 6 and 0 work on at a time.
const BLOCK: usize = 65535;
/// Bytes that level -2 works on at a time.
const HUFFMAN_BLOCK: usize = 1 << 15;

#[derive(Debug)]
enum Work {
    Store,
    HuffmanOnly,
    Fast(Box<Search>),
    Lazy(Box<Lazy>),
}

/// An encoder of one stream.
#[derive(Debug)]
pub struct Klauspost {
    work: Work,
    buffer: Vec<u8>,
    tokens: Tokens,
    writer: BlockWriter,
}

impl Klauspost {
    /// An encoder of a level: -2 (Huffman only), 0 to 9; -1 is 5 (in Go: 6).
    pub fn new(level: i8, class: Class) -> Self {
        let level = match level {
            -1 if class == Class::Go1_27 => 6,
            -1 => 5,
            level => level,
        };
        let (work, penalty) = match u8::try_from(level) {
            Err(_) => (Work::HuffmanOnly, 10),
            Ok(0) => (Work::Store, 7),
            Ok(level @ 1..=6) => {
                (Work::Fast(Box::new(Search::new(level, class))), class.penalty(level))
            }
            Ok(level) => (Work::Lazy(Box::new(Lazy::new(level, class))), class.penalty(level)),
        };
        Self {
            work,
            buffer: Vec::new(),
            tokens: Tokens::new(),
            writer: BlockWriter::new(class, penalty),
        }
    }

    /// Begins another stream.
    pub fn reset(&mut self) {
        match &mut self.work {
            Work::Fast(search) => search.drop_history(),
            Work::Lazy(lazy) => lazy.reset(),
            Work::Store | Work::HuffmanOnly => {}
        }
        self.buffer.clear();
        self.writer.reset();
    }

    /// Makes text known that is not encoded, before anything else: its last 32 KiB.
    pub fn dictionary(&mut self, text: &[u8]) {
        let text = &text[text.len().saturating_sub(1 << 15)..];
        match &mut self.work {
            Work::Fast(search) => search.block(text, &mut self.tokens),
            Work::Lazy(lazy) => lazy.dictionary(text),
            Work::Store | Work::HuffmanOnly => {}
        }
    }

    /// Takes in the next bytes of the text; appends what is ready.
    pub fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        if let Work::Lazy(lazy) = &mut self.work {
            lazy.write(text, &mut self.writer);
            return self.writer.bits.drain_to(out);
        }
        let size = if matches!(self.work, Work::HuffmanOnly) { HUFFMAN_BLOCK } else { BLOCK };
        while !text.is_empty() {
            if self.buffer.len() == size {
                self.block(false);
                self.writer.bits.drain_to(out);
            }
            let n = text.len().min(size - self.buffer.len());
            self.buffer.extend_from_slice(&text[..n]);
            text = &text[n..];
        }
    }

    /// Ends the block and appends the mark of a flush.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.sync();
        self.writer.flush();
        self.writer.bits.drain_to(out);
    }

    /// Appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.sync();
        self.writer.finish();
        self.writer.bits.drain_to(out);
    }

    fn sync(&mut self) {
        match &mut self.work {
            Work::Lazy(lazy) => lazy.flush(&mut self.writer),
            _ if self.buffer.is_empty() => {}
            _ => self.block(true),
        }
    }

    fn block(&mut self, sync: bool) {
        let text = &self.buffer;
        match &mut self.work {
            Work::Store => self.writer.stored(text),
            Work::HuffmanOnly => self.writer.literals(text, sync),
            Work::Fast(search) if text.len() < 128 => {
                if text.len() <= 32 {
                    self.writer.stored(text);
                } else {
                    self.writer.literals(text, true);
                }
                search.drop_history();
            }
            Work::Fast(search) => {
                search.block(text, &mut self.tokens);
                let tokens = self.tokens.as_slice();
                if tokens.is_empty() {
                    self.writer.stored(text);
                } else if tokens.len() > text.len() - text.len() / 16 {
                    self.writer.literals(text, sync);
                } else {
                    self.writer.tokens(tokens, Some(text), sync);
                }
            }
            Work::Lazy(_) => {}
        }
        self.buffer.clear();
    }
}
