//! The framing of klauspost/pgzip: independent blocks of the text, each with the end of the one before as dictionary.
//!
//! A block stands alone given the text, so blocks are encoded on several threads; their number does not change a byte.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};

use super::klauspost::{Class, Klauspost};

/// Bytes of the block before that a block knows.
const TAIL: usize = 16 << 10;

/// An encoder of the deflate stream that pgzip writes: header and trailer of the gzip file are not its matter.
#[derive(Debug)]
pub struct Pgzip {
    level: i8,
    class: Class,
    block: usize,
    threads: usize,
    buffer: Vec<u8>,
    tail: Vec<u8>,
    under_way: VecDeque<Receiver<Vec<u8>>>,
}

impl Pgzip {
    /// An encoder with blocks of `block` bytes (1 MiB; 256 KiB before pgzip 1.2.2) on up to `threads` threads.
    ///
    /// It holds up to three blocks a thread in memory.
    pub fn new(level: i8, class: Class, block: usize, threads: usize) -> Self {
        Self {
            level,
            class,
            block: block.max(1),
            threads: threads.max(1),
            buffer: Vec::new(),
            tail: Vec::new(),
            under_way: VecDeque::new(),
        }
    }

    /// Takes in the next bytes of the text; appends what is ready.
    pub fn write(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        while !text.is_empty() {
            let n = text.len().min(self.block - self.buffer.len());
            self.buffer.extend_from_slice(&text[..n]);
            text = &text[n..];
            if self.buffer.len() == self.block {
                self.start(false, out);
            }
        }
    }

    /// Appends the rest. A text of whole blocks has one more, empty block.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(true, out);
        while let Some(done) = self.under_way.pop_front() {
            out.append(&mut done.recv().unwrap_or_default());
        }
    }

    /// Encodes the block in the buffer.
    fn start(&mut self, last: bool, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.buffer);
        let tail = if text.len() > TAIL { text[text.len() - TAIL..].to_vec() } else { Vec::new() };
        let dictionary = std::mem::replace(&mut self.tail, tail);
        let (level, class) = (self.level, self.class);
        if self.threads == 1 {
            encode(level, class, &dictionary, &text, last, out);
            return;
        }
        if self.under_way.len() >= self.threads
            && let Some(done) = self.under_way.pop_front()
        {
            out.append(&mut done.recv().unwrap_or_default());
        }
        let (sender, receiver) = sync_channel(1);
        rayon::spawn(move || {
            let mut coded = Vec::with_capacity(text.len() / 2);
            encode(level, class, &dictionary, &text, last, &mut coded);
            // A receiver that is gone means that nobody wants the bytes any more.
            let _ = sender.send(coded);
        });
        self.under_way.push_back(receiver);
    }
}

fn encode(level: i8, class: Class, dictionary: &[u8], text: &[u8], last: bool, out: &mut Vec<u8>) {
    let mut encoder = Klauspost::new(level, class);
    if !dictionary.is_empty() {
        encoder.dictionary(dictionary);
    }
    encoder.write(text, out);
    encoder.flush(out);
    if last {
        encoder.finish(out);
    }
}
