//! Finds matches as klauspost/compress zstd does: the content so far, and where a hash was seen last.

use super::Level;
use super::block::Sequence;
use super::search::{LONG_BITS, SHORT_BITS, Search};

/// Content kept beyond the window, so that it is not moved for each block.
const SLACK_LEN: usize = 2 << 20;
/// Positions are counted anew from here on.
const REBASE: u32 = 1 << 31;

/// Where content with a hash was seen last, in the high half, and its first four bytes. 0 is out of reach.
pub(super) type Place = u64;

/// Looks for matches in one text, block after block.
#[derive(Debug)]
pub(super) struct Finder {
    level: Level,
    content: Vec<u8>,
    /// The position of the first byte of `content`.
    base: u32,
    long: Vec<Place>,
    short: Vec<Place>,
    /// What was found in the last block.
    pub sequences: Vec<Sequence>,
    pub literals: Vec<u8>,
}

impl Finder {
    pub(super) fn new(level: Level) -> Self {
        let long_len = match level {
            Level::Fastest => 0,
            Level::Default => 1 << LONG_BITS,
        };
        Self {
            level,
            content: Vec::new(),
            base: level.window_len() as u32,
            long: vec![0; long_len],
            short: vec![0; 1 << SHORT_BITS],
            sequences: Vec::new(),
            literals: Vec::new(),
        }
    }

    /// Finds the sequences of the next block. `alone` is for a text of one block, which is searched a little
    /// differently.
    pub(super) fn find(&mut self, block: &[u8], alone: bool) {
        self.make_room(block.len());
        let start = self.content.len();
        self.content.extend_from_slice(block);
        self.sequences.clear();
        self.literals.clear();
        let mut emitted = start;
        let (fewest, margin) = Search::limits(self.level);
        if block.len() >= fewest {
            let Self { level, content, base, long, short, sequences, literals } = self;
            let mut search = Search {
                level: *level,
                content,
                base: *base,
                long,
                short,
                sequences,
                literals,
                emitted: start,
                end: start + block.len() - margin,
                distances: [0; 2],
            };
            search.run(alone);
            emitted = search.emitted;
        }
        self.literals.extend_from_slice(&self.content[emitted..]);
    }

    /// Counts positions from here on.
    #[cfg(test)]
    pub(super) fn start_at(&mut self, base: u32) {
        self.base = base;
    }

    /// The position of the first byte that is kept.
    #[cfg(test)]
    pub(super) fn position(&self) -> u32 {
        self.base
    }

    fn make_room(&mut self, len: usize) {
        let window = self.level.window_len();
        if self.content.len() + len <= window + SLACK_LEN {
            return;
        }
        let gone = self.content.len().saturating_sub(window);
        self.content.drain(..gone);
        self.base += gone as u32;
        if self.base < REBASE {
            return;
        }
        let less = self.base - window as u32;
        for place in self.long.iter_mut().chain(&mut self.short) {
            let position = ((*place >> 32) as u32).saturating_sub(less);
            // What falls out of the window is out of reach.
            *place = u64::from(position) << 32 | (*place & 0xffff_ffff);
        }
        self.base -= less;
    }
}
