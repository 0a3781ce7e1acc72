//! Chains: a fresh stream and those that continue it, coded together, several chains at once.

use std::collections::BTreeMap;

use dd_inspect::failure::Failure;
use rayon::prelude::*;

use super::super::coder::{Sort, SparseBuilder};
use super::super::hooks::Source;
use super::super::streams::Range;
use super::choice::{Choice, Tried};
use super::dictionaries::Dictionary;

/// A chain without dictionary ends at this length, one with a dictionary at the second, where the
/// dictionary falls out of the window.
const CHAIN_LEN: usize = 16 << 20;
const CHAIN_LEN_DICTIONARY: usize = 8 << 20;
/// Closed chains are coded when they reach this length together, with dictionaries that were turned.
const BATCH_LEN: usize = 48 << 20;

/// Literals begin here, in place of what a source has at an offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) at: usize,
    pub(super) source: Source,
    pub(super) offset: u64,
    /// How many they are, and what follows them in the slice, if that is content of a source.
    pub(super) len: usize,
    pub(super) next: Option<(Source, u64)>,
}

/// One slice's part of a chain, not coded.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes, and where in them literals begin.
    Bytes { bytes: Vec<u8>, marks: Vec<Mark> },
    /// Corrections as runs and values, and coded by mixing where their predictions were known.
    Corrections { runs_and_values: (Vec<u8>, Vec<u8>), raw_len: u64, mixed: Option<Vec<u8>> },
}

impl Piece {
    pub(super) fn corrections(builder: SparseBuilder, mixed: Option<Vec<u8>>) -> Self {
        let raw_len = builder.raw_len();
        Self::Corrections { runs_and_values: builder.finish(), raw_len, mixed }
    }

    pub(super) fn raw_len(&self) -> u64 {
        match self {
            Self::Bytes { bytes, .. } => bytes.len() as u64,
            Self::Corrections { raw_len, .. } => *raw_len,
        }
    }

    /// Bytes that it takes in memory.
    fn len(&self) -> usize {
        match self {
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Corrections { runs_and_values: (runs, values), mixed, .. } => {
                runs.len() + values.len() + mixed.as_ref().map_or(0, Vec::len)
            }
        }
    }
}

/// A piece of a chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartRef {
    pub(super) kind: u64,
    pub(super) chain: u64,
    pub(super) piece: usize,
}

/// A coded chain.
#[derive(Debug)]
pub(super) struct Coded {
    pub(super) coder: u64,
    pub(super) window_log: u8,
    pub(super) sort: Option<Sort>,
    pub(super) dictionary: Vec<Range>,
    /// Work of turning the dictionary.
    pub(super) turning: u64,
    pub(super) pieces: Vec<CodedPiece>,
}

#[derive(Debug)]
pub(super) struct CodedPiece {
    pub(super) raw_len: u64,
    pub(super) bytes: Vec<u8>,
    /// Bytes that a reader holds beside the coded ones.
    pub(super) apart: u64,
    pub(super) used: bool,
}

#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) kind: u64,
    pub(super) dictionary: Dictionary,
    pub(super) pieces: Vec<Piece>,
    len: usize,
    /// How it is coded; known when it is closed.
    pub(super) tried: Tried,
}

/// All chains that are not written yet.
#[derive(Debug)]
pub(super) struct Chains {
    choice: Choice,
    /// What readers may still take for literals by mixing, in literals.
    budget: u64,
    next: u64,
    /// Open chains by kind.
    open: BTreeMap<u64, (u64, Chain)>,
    closed: Vec<(u64, Chain)>,
    closed_len: usize,
    coded: BTreeMap<u64, Coded>,
}

impl Chains {
    pub(super) fn new(choice: Choice) -> Self {
        Self {
            choice,
            budget: choice.budget(),
            next: 0,
            open: BTreeMap::new(),
            closed: Vec::new(),
            closed_len: 0,
            coded: BTreeMap::new(),
        }
    }

    /// What is left of what readers may take for literals by mixing.
    pub(super) fn budget(&self) -> u64 {
        self.budget
    }

    /// Adds a piece to the chain of its kind.
    pub(super) fn append(
        &mut self,
        kind: u64,
        dictionary: Option<&Dictionary>,
        piece: Piece,
    ) -> PartRef {
        let next = &mut self.next;
        let (number, chain) = self.open.entry(kind).or_insert_with(|| {
            *next += 1;
            (
                *next - 1,
                Chain {
                    kind,
                    dictionary: dictionary.cloned().unwrap_or_default(),
                    ..Chain::default()
                },
            )
        });
        chain.len += piece.len();
        chain.pieces.push(piece);
        let part = PartRef { kind, chain: *number, piece: chain.pieces.len() - 1 };
        let full =
            if chain.dictionary.ranges.is_empty() { CHAIN_LEN } else { CHAIN_LEN_DICTIONARY };
        if chain.len >= full {
            self.close(kind);
        }
        part
    }

    /// Ends the chain of a kind.
    pub(super) fn close(&mut self, kind: u64) {
        if let Some((number, mut chain)) = self.open.remove(&kind) {
            let raw_len = chain.pieces.iter().map(Piece::raw_len).sum();
            let dictionary_len = chain.dictionary.ranges.iter().map(|range| range.len).sum();
            chain.tried = self.choice.tried(kind, raw_len, dictionary_len, self.budget);
            self.budget -= chain.tried.literals.unwrap_or_default();
            self.closed_len += chain.len + chain.dictionary.held();
            self.closed.push((number, chain));
        }
    }

    /// Whether the chain of a kind goes on.
    pub(super) fn is_open(&self, kind: u64) -> bool {
        self.open.contains_key(&kind)
    }

    /// Codes the closed chains if there is enough of them, or all chains at the end.
    pub(super) fn code(
        &mut self,
        end: bool,
        read: &(impl Fn(&[Range]) -> Result<Vec<u8>, Failure> + Sync),
    ) -> Result<(), Failure> {
        if end {
            for kind in self.open.keys().copied().collect::<Vec<_>>() {
                self.close(kind);
            }
        } else if self.closed_len < BATCH_LEN {
            return Ok(());
        }
        self.closed_len = 0;
        let (closed, choice) = (std::mem::take(&mut self.closed), self.choice);
        let coded: Result<Vec<_>, Failure> = closed
            .into_par_iter()
            .map(|(number, chain)| Ok((number, chain.code(choice, read)?)))
            .collect();
        self.coded.extend(coded?);
        Ok(())
    }

    /// Whether a piece is coded.
    pub(super) fn is_coded(&self, part: &PartRef) -> bool {
        self.coded.contains_key(&part.chain)
    }

    /// The chain of a piece that is coded.
    pub(super) fn coded(&mut self, part: &PartRef) -> Option<&mut Coded> {
        self.coded.get_mut(&part.chain)
    }

    /// Forgets a chain whose pieces were all written.
    pub(super) fn forget_used(&mut self, part: &PartRef) {
        if self.coded.get(&part.chain).is_some_and(|coded| coded.pieces.iter().all(|p| p.used)) {
            self.coded.remove(&part.chain);
        }
    }
}

impl Coded {
    /// A chain of one coder, of which a reader holds the coded bytes alone.
    pub(super) fn new(coder: u64, raw_lens: &[u64], bytes: Vec<Vec<u8>>) -> Self {
        let piece = |(bytes, &raw_len)| CodedPiece { raw_len, bytes, apart: 0, used: false };
        let pieces = bytes.into_iter().zip(raw_lens).map(piece).collect();
        Self { coder, window_log: 0, sort: None, dictionary: Vec::new(), turning: 0, pieces }
    }

    /// Coded bytes.
    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ids::stream;
    use super::super::choice::Coders;
    use super::*;

    /// Of six chains of 700 KiB of text each, which literals are mixed.
    fn mixed(coders: Coders) -> Vec<bool> {
        let choice = Choice { level: 9, coders, mixing: true, lzma: true, window_log: 23 };
        let mut chains = Chains::new(choice);
        for _ in 0..6 {
            let piece = Piece::Bytes { bytes: vec![b'a'; 700 << 10], marks: Vec::new() };
            chains.append(stream::TEXT, None, piece);
            chains.close(stream::TEXT);
        }
        chains.closed.iter().map(|(_, chain)| chain.tried.literals.is_some()).collect()
    }

    #[test]
    fn literals_are_mixed_as_long_as_the_budget_lasts() {
        assert_eq!(mixed(Coders::Usual), [true, true, true, true, false, false]);
        assert_eq!(mixed(Coders::Most), [true; 6]);
        assert_eq!(mixed(Coders::Quick), [false; 6]);
    }
}
