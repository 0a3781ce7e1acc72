//! Tables that were given up and serve the next of their kind.
//!
//! A layer has many executables and texts, each with models of several MiB. Where their memory went back each time, the
//! C library would keep it in pieces, and each new one would take more.

use super::coder::{ByteReader, CorrectionReader, LiteralReader};
use super::ids::coder;
use super::model::{self, Tables};

/// The coders of literals by mixing.
macro_rules! of_literals {
    () => {
        coder::LITERALS | coder::LITERALS_MOVED
    };
}

/// A thing and the memory that it counts as, in bytes.
type Counted<T> = Option<(Box<T>, u64)>;

/// At most one of each kind.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    literals: Counted<LiteralReader>,
    corrections: Counted<CorrectionReader>,
    bytes: Counted<ByteReader>,
    tables: Counted<Tables>,
}

impl Spares {
    /// Keeps what a stream was read with, which counted as so many bytes.
    pub(crate) fn keep_literals(&mut self, reader: Box<LiteralReader>, memory: u64) {
        self.literals = Some((reader, memory));
    }

    /// Like [`Spares::keep_literals`].
    pub(crate) fn keep_corrections(&mut self, reader: Box<CorrectionReader>, memory: u64) {
        self.corrections = Some((reader, memory));
    }

    /// Like [`Spares::keep_literals`].
    pub(crate) fn keep_bytes(&mut self, reader: Box<ByteReader>, memory: u64) {
        self.bytes = Some((reader, memory));
    }

    /// Keeps the tables of a model.
    pub(crate) fn keep_tables(&mut self, tables: Box<Tables>) {
        self.tables = Some((tables, model::MEMORY));
    }

    /// What a stream of this coder will take counts no more: the stream does.
    pub(crate) fn claim(&mut self, coder: u64) {
        let memory = match coder {
            of_literals!() => self.literals.as_mut().map(|(_, memory)| memory),
            coder::CORRECTIONS | coder::CORRECTIONS_BY_CLASS | coder::CORRECTIONS_LAYERED => {
                self.corrections.as_mut().map(|(_, memory)| memory)
            }
            coder::BYTES => self.bytes.as_mut().map(|(_, memory)| memory),
            _ => None,
        };
        if let Some(memory) = memory {
            *memory = 0;
        }
    }

    /// Memory for the history of a stream of this coder, of so many bytes; empty.
    pub(crate) fn room(&mut self, coder: u64, len: usize) -> Vec<u8> {
        let spare = match (coder, &mut self.literals) {
            (of_literals!(), Some((reader, _))) => reader.take_history(),
            _ => Vec::new(),
        };
        let mut room = if spare.capacity() < len { Vec::new() } else { spare };
        room.clear();
        room.shrink_to(len);
        room.reserve_exact(len);
        room
    }

    /// What is there; it counts no more.
    pub(crate) fn literals(&mut self) -> Option<Box<LiteralReader>> {
        self.literals.take().map(|(reader, _)| reader)
    }

    /// Like [`Spares::literals`].
    pub(crate) fn corrections(&mut self) -> Option<Box<CorrectionReader>> {
        self.corrections.take().map(|(reader, _)| reader)
    }

    /// Like [`Spares::literals`].
    pub(crate) fn bytes(&mut self) -> Option<Box<ByteReader>> {
        self.bytes.take().map(|(reader, _)| reader)
    }

    /// Like [`Spares::literals`].
    pub(crate) fn tables(&mut self) -> Option<Box<Tables>> {
        self.tables.take().map(|(tables, _)| tables)
    }

    /// What all of them count as, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        fn memory<T>(spare: &Counted<T>) -> u64 {
            spare.as_ref().map_or(0, |(_, memory)| *memory)
        }
        memory(&self.literals)
            + memory(&self.corrections)
            + memory(&self.bytes)
            + memory(&self.tables)
    }

    /// Gives up what does not fit into so many bytes.
    pub(crate) fn keep_within(&mut self, mut room: u64) {
        fn fit<T>(spare: &mut Counted<T>, room: &mut u64) {
            let Some((_, memory)) = spare else { return };
            match room.checked_sub(*memory) {
                Some(left) => *room = left,
                None => *spare = None,
            }
        }
        fit(&mut self.literals, &mut room);
        fit(&mut self.tables, &mut room);
        fit(&mut self.corrections, &mut room);
        fit(&mut self.bytes, &mut room);
    }
}

#[cfg(test)]
mod tests {
    use super::super::coder::Sort;
    use super::*;

    fn held(spares: &Spares) -> (bool, bool) {
        (spares.literals.is_some(), spares.bytes.is_some())
    }

    #[test]
    fn what_does_not_fit_is_given_up() {
        let mut spares = Spares::default();
        spares.keep_literals(Box::new(LiteralReader::new(10, Sort::Text, Vec::new())), 100);
        spares.keep_bytes(Box::new(ByteReader::new()), 50);
        assert_eq!(spares.memory(), 150);
        spares.keep_within(150);
        assert_eq!(held(&spares), (true, true));
        spares.keep_within(149);
        assert_eq!(held(&spares), (true, false));
        spares.keep_bytes(Box::new(ByteReader::new()), 50);
        spares.keep_within(99);
        assert_eq!(held(&spares), (false, true));
    }

    #[test]
    fn what_is_claimed_counts_no_more() {
        let mut spares = Spares::default();
        spares.keep_literals(Box::new(LiteralReader::new(10, Sort::X86_64, vec![0; 5])), 100);
        spares.keep_bytes(Box::new(ByteReader::new()), 50);
        spares.claim(coder::LITERALS_MOVED);
        spares.claim(coder::ZSTD);
        spares.keep_within(0);
        assert_eq!(held(&spares), (true, false));
        assert_eq!(spares.room(coder::ZSTD, 7).capacity(), 7);
        let room = spares.room(coder::LITERALS, 1000);
        assert!(room.is_empty() && (1000..1029).contains(&room.capacity()));
        assert!(spares.literals().is_some() && spares.literals().is_none());
    }
}
