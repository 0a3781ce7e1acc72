//! Tables that were given up and serve the next of their kind.
//!
//! A layer has many executables and texts, each with models of several MiB. Where their memory went back each time, the
//! C library would keep it in pieces, and each new one would take more.

use super::coder::{ByteReader, CorrectionReader, LiteralReader};
use super::ids::coder;
use super::model::Tables;
use super::streams::Record;

/// A thing that was given up, if there is one, and the memory that it counts as, in bytes.
#[derive(Debug)]
pub(crate) struct Spare<T>(Option<(Box<T>, u64)>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Spare<T> {
    /// Keeps this one, which counts as so many bytes, in place of the one before.
    pub(crate) fn keep(&mut self, thing: Box<T>, memory: u64) {
        self.0 = Some((thing, memory));
    }

    /// What is there; it counts no more.
    pub(crate) fn take(&mut self) -> Option<Box<T>> {
        self.0.take().map(|(thing, _)| thing)
    }

    /// What will take it counts as so many bytes: it counts no more, as far as that does.
    fn claim(&mut self, bytes: u64) {
        if let Some((_, memory)) = &mut self.0 {
            *memory = memory.saturating_sub(bytes);
        }
    }

    fn memory(&self) -> u64 {
        self.0.as_ref().map_or(0, |(_, memory)| *memory)
    }

    /// Takes from `room` what it counts as, or is given up.
    fn fit(&mut self, room: &mut u64) {
        match room.checked_sub(self.memory()) {
            Some(left) => *room = left,
            None => self.0 = None,
        }
    }
}

/// At most one of each kind.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    pub(crate) literals: Spare<LiteralReader>,
    pub(crate) corrections: Spare<CorrectionReader>,
    pub(crate) bytes: Spare<ByteReader>,
    pub(crate) tables: Spare<Tables>,
}

impl Spares {
    /// A stream with this record will take what there is of its kind.
    pub(crate) fn claim(&mut self, record: &Record) {
        let memory = record.memory();
        if coder::is_literals(record.coder) {
            self.literals.claim(memory);
        } else if coder::is_corrections(record.coder) {
            self.corrections.claim(memory);
        } else if record.coder == coder::BYTES {
            self.bytes.claim(memory);
        }
    }

    /// Memory for the history of a stream of this coder, of so many bytes; empty.
    pub(crate) fn room(&mut self, coder: u64, len: usize) -> Vec<u8> {
        let spare = match &mut self.literals.0 {
            Some((reader, _)) if coder::is_literals(coder) => reader.take_history(),
            _ => Vec::new(),
        };
        let mut room = if spare.capacity() < len { Vec::new() } else { spare };
        room.clear();
        room.shrink_to(len);
        room.reserve_exact(len);
        room
    }

    /// What all of them count as, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.literals.memory()
            + self.corrections.memory()
            + self.bytes.memory()
            + self.tables.memory()
    }

    /// Gives up what does not fit into so many bytes.
    pub(crate) fn keep_within(&mut self, mut room: u64) {
        self.literals.fit(&mut room);
        self.tables.fit(&mut room);
        self.corrections.fit(&mut room);
        self.bytes.fit(&mut room);
    }
}

#[cfg(test)]
mod tests {
    use super::super::coder::Sort;
    use super::*;

    fn literals(window_log: u8, dictionary: Vec<u8>) -> Box<LiteralReader> {
        Box::new(LiteralReader::new(window_log, Sort::X86_64, dictionary))
    }

    fn held(spares: &Spares) -> (bool, bool) {
        (spares.literals.0.is_some(), spares.bytes.0.is_some())
    }

    #[test]
    fn what_does_not_fit_is_given_up() {
        let mut spares = Spares::default();
        spares.literals.keep(literals(10, Vec::new()), 100);
        spares.bytes.keep(Box::new(ByteReader::new()), 50);
        assert_eq!(spares.memory(), 150);
        spares.keep_within(150);
        assert_eq!(held(&spares), (true, true));
        spares.keep_within(149);
        assert_eq!(held(&spares), (true, false));
        spares.bytes.keep(Box::new(ByteReader::new()), 50);
        spares.keep_within(99);
        assert_eq!(held(&spares), (false, true));
    }

    #[test]
    fn what_is_claimed_counts_as_what_is_left_of_it() {
        let mut spares = Spares::default();
        let sort = Some(Sort::X86_64);
        let record =
            Record { coder: coder::LITERALS_MOVED, window_log: 10, sort, ..Record::default() };
        spares.literals.keep(literals(12, vec![0; 5]), record.memory() + 7);
        spares.bytes.keep(Box::new(ByteReader::new()), 50);
        spares.claim(&record);
        spares.claim(&Record { coder: coder::ZSTD, window_log: 20, ..Record::default() });
        assert_eq!(spares.memory(), 57);
        spares.keep_within(7);
        assert_eq!(held(&spares), (true, false));
        assert_eq!(spares.room(coder::ZSTD, 7).capacity(), 7);
        let room = spares.room(coder::LITERALS, 1000);
        assert!(room.is_empty() && (1000..5000).contains(&room.capacity()));
        spares.keep_within(6);
        assert_eq!(held(&spares), (false, false));
    }
}
