//! A plan into a stream: in order, each layer verified before it is handed on where that is asked for.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use anyhow::Context;
use dd_inspect::package::Documents;
use dd_inspect::range::ReadAt;

use super::plan::{Part, Plan};
use crate::rebuild::run::{Handling, InSequence};
use crate::rebuild::{Piece, Rebuilder, Work};

/// Writes a plan in order. With `verified_first` nothing of a layer is handed on before all of it was verified, which
/// takes scratch space for it.
///
/// # Errors
/// The base or the package is damaged; no space; writing fails.
pub fn write(
    plan: &Plan,
    rebuilder: &Rebuilder,
    work: &Work,
    out: &mut (dyn Write + Send),
    verified_first: bool,
) -> anyhow::Result<()> {
    let mut later: HashMap<Piece, usize> = HashMap::new();
    for piece in plan.pieces() {
        *later.entry(piece).or_default() += 1;
    }
    let parts = &plan.parts[..];
    let documents = &rebuilder.documents;
    let again = HashMap::new();
    let mut stream = Stream { parts, work, documents, out, verified_first, later, again };
    rebuilder.stream(work, &mut stream)?;
    stream.advance(None)?;
    stream.out.flush().context("writing the output")
}

struct Stream<'a> {
    /// What is still to be written.
    parts: &'a [Part],
    work: &'a Work,
    documents: &'a Documents,
    out: &'a mut (dyn Write + Send),
    verified_first: bool,
    /// How often a piece still comes.
    later: HashMap<Piece, usize>,
    /// Pieces that come again.
    again: HashMap<Piece, Arc<dyn ReadAt>>,
}

impl Stream<'_> {
    /// Writes everything up to the first appearance of a piece.
    fn advance(&mut self, until: Option<Piece>) -> anyhow::Result<()> {
        while let Some((part, rest)) = self.parts.split_first() {
            match part {
                Part::Piece(piece) if Some(*piece) == until => return Ok(()),
                Part::Piece(piece) => {
                    let content = self.again.get(piece).cloned();
                    let content = content.context("a piece comes out of its order")?;
                    copy(Whole { content, position: 0 }, self.out)?;
                    self.came(*piece);
                }
                other => {
                    let reader = other.reader(self.documents).context("a part cannot be read")?;
                    copy(reader, self.out)?;
                }
            }
            self.parts = rest;
        }
        Ok(())
    }

    fn came(&mut self, piece: Piece) {
        let later = self.later.entry(piece).or_default();
        *later = later.saturating_sub(1);
        if *later == 0 {
            self.again.remove(&piece);
        }
    }

    fn piece(&self, number: usize) -> Option<Piece> {
        self.work.pieces.get(number).copied()
    }
}

impl InSequence for Stream<'_> {
    fn handling(&self, piece: usize) -> Handling {
        let times = self.piece(piece).and_then(|piece| self.later.get(&piece));
        match times {
            Some(times) if *times > 1 => Handling::Again,
            _ if self.verified_first => Handling::VerifiedFirst,
            _ => Handling::Direct,
        }
    }

    fn begin(&mut self, piece: usize) -> anyhow::Result<&mut (dyn Write + Send)> {
        let piece = self.piece(piece).context("there is no such piece")?;
        self.advance(Some(piece))?;
        Ok(self.out)
    }

    fn end(&mut self, piece: usize, again: Option<Arc<dyn ReadAt>>) -> anyhow::Result<()> {
        let piece = self.piece(piece).context("there is no such piece")?;
        self.parts = self.parts.split_first().map_or(&[], |(_, rest)| rest);
        if let Some(content) = again {
            self.again.insert(piece, content);
        }
        self.came(piece);
        Ok(())
    }
}

fn copy(mut from: impl Read, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    io::copy(&mut from, out).context("writing the output")?;
    Ok(())
}

struct Whole {
    content: Arc<dyn ReadAt>,
    position: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.content.size() - self.position).unwrap_or(usize::MAX);
        let n = buffer.len().min(left);
        self.content.read_exact_at(&mut buffer[..n], self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}
