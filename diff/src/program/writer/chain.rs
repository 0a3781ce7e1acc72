//! Chains: a fresh stream and those that continue it, coded together, several chains at once.

use std::collections::BTreeMap;

use dd_inspect::failure::Failure;
use rayon::prelude::*;

use super::super::coder::{SparseBuilder, encode_frame, encode_sparse, window_log};
use super::super::ids::{coder, stream};
use super::super::streams::Range;

/// A chain without dictionary ends at this length, one with a dictionary at the second, where the
/// dictionary falls out of the window.
const CHAIN_LEN: usize = 16 << 20;
const CHAIN_LEN_DICTIONARY: usize = 8 << 20;
/// Windows of streams of a control and of sparse ones, where more does not pay.
const SMALL_WINDOW_LOG: u8 = 20;
/// Closed chains are coded when they reach this length together.
const BATCH_LEN: usize = 48 << 20;

/// One slice's part of a chain, not coded.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    Sparse { runs_and_values: (Vec<u8>, Vec<u8>), raw_len: u64 },
}

impl Piece {
    pub(super) fn sparse(builder: SparseBuilder) -> Self {
        let raw_len = builder.raw_len();
        Self::Sparse { runs_and_values: builder.finish(), raw_len }
    }

    pub(super) fn raw_len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Sparse { raw_len, .. } => *raw_len,
        }
    }

    /// Bytes that it takes in memory.
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Sparse { runs_and_values: (runs, values), .. } => runs.len() + values.len(),
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
    pub(super) dictionary: Vec<Range>,
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
struct Chain {
    kind: u64,
    dictionary: Vec<Range>,
    pieces: Vec<Piece>,
    len: usize,
}

/// All chains that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Chains {
    next: u64,
    /// Open chains by kind.
    open: BTreeMap<u64, (u64, Chain)>,
    closed: Vec<(u64, Chain)>,
    closed_len: usize,
    coded: BTreeMap<u64, Coded>,
}

impl Chains {
    /// Adds a piece to the chain of its kind.
    pub(super) fn append(
        &mut self,
        kind: u64,
        dictionary: Option<&Vec<Range>>,
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
        let full = if chain.dictionary.is_empty() { CHAIN_LEN } else { CHAIN_LEN_DICTIONARY };
        if chain.len >= full {
            self.close(kind);
        }
        part
    }

    /// Ends the chain of a kind.
    pub(super) fn close(&mut self, kind: u64) {
        if let Some((number, chain)) = self.open.remove(&kind) {
            self.closed_len += chain.len;
            self.closed.push((number, chain));
        }
    }

    /// Codes the closed chains if there is enough of them, or all chains at the end.
    pub(super) fn code(
        &mut self,
        end: bool,
        level: i32,
        max_window_log: u8,
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
        let closed = std::mem::take(&mut self.closed);
        let coded: Result<Vec<_>, Failure> = closed
            .into_par_iter()
            .map(|(number, chain)| Ok((number, chain.code(level, max_window_log, read)?)))
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

impl Chain {
    fn code(
        self,
        level: i32,
        max_window_log: u8,
        read: &impl Fn(&[Range]) -> Result<Vec<u8>, Failure>,
    ) -> Result<Coded, Failure> {
        let small = self.kind <= stream::COLUMNS || self.kind == stream::CORRECTIONS;
        let max_window_log =
            if small { max_window_log.min(SMALL_WINDOW_LOG) } else { max_window_log };
        let raw_lens: Vec<u64> = self.pieces.iter().map(Piece::raw_len).collect();
        let raw_len: u64 = raw_lens.iter().sum();
        let (mut parts, mut plain) = (Vec::new(), Vec::new());
        for piece in self.pieces {
            match piece {
                Piece::Bytes(bytes) => plain.push(bytes),
                Piece::Sparse { runs_and_values, .. } => parts.push(runs_and_values),
            }
        }
        let of = |coder, window_log, dictionary, bytes: Vec<Vec<u8>>, apart: Vec<u64>| Coded {
            coder,
            window_log,
            dictionary,
            pieces: bytes
                .into_iter()
                .zip(&raw_lens)
                .zip(apart)
                .map(|((bytes, &raw_len), apart)| CodedPiece { raw_len, bytes, apart, used: false })
                .collect(),
        };
        let nothing = || vec![0; raw_lens.len()];
        if !parts.is_empty() {
            let apart = parts.iter().map(|part| (part.0.len() + part.1.len()) as u64).collect();
            let (bytes, window_log) = encode_sparse(level, max_window_log, &parts)?;
            return Ok(of(coder::SPARSE, window_log, Vec::new(), bytes, apart));
        }
        let window_log = window_log(raw_len, max_window_log);
        let dictionary = read(&self.dictionary)?;
        let refs: Vec<&[u8]> = plain.iter().map(Vec::as_slice).collect();
        let bytes = encode_frame(level, window_log, &dictionary, &refs)?;
        let coded_len: usize = bytes.iter().map(Vec::len).sum();
        if coded_len as u64 >= raw_len {
            return Ok(of(coder::STORED, 0, Vec::new(), plain, nothing()));
        }
        Ok(of(coder::ZSTD, window_log, self.dictionary, bytes, nothing()))
    }
}
