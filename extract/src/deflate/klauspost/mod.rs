//! The encoder of klauspost/compress flate, and Go's from 1.27 on, which is a port of it.

mod fast;
mod history;
mod lazy;
mod writer;

use fast::Search;
use lazy::Lazy;
use writer::BlockWriter;

use super::symbols::Token;

/// Releases that give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// klauspost/compress 1.15.11 to 1.17.11 (levels 7 to 9: from 1.15.15 on).
    V1_15,
    /// klauspost/compress 1.18.0.
    V1_18_0,
    /// klauspost/compress 1.18.1, except level 9, and later.
    V1_18_2,
    /// Go 1.27 and later.
    Go1_27,
}

impl Class {
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
    tokens: Vec<Token>,
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
            Ok(level @ 1..=6) => (Work::Fast(Box::new(Search::new(level, class))), 7),
            Ok(level) => (Work::Lazy(Box::new(Lazy::new(level, class))), 8),
        };
        Self {
            work,
            buffer: Vec::new(),
            tokens: Vec::new(),
            writer: BlockWriter::new(class, penalty),
        }
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
                if self.tokens.is_empty() {
                    self.writer.stored(text);
                } else if self.tokens.len() > text.len() - text.len() / 16 {
                    self.writer.literals(text, sync);
                } else {
                    self.writer.tokens(&self.tokens, Some(text), sync);
                }
            }
            Work::Lazy(_) => {}
        }
        self.buffer.clear();
    }
}
