//! A file as a list of parts: what stands in memory, in the package's documents, and what is rebuilt.

use std::io::{self, Read};

use anyhow::Context;
use dd_inspect::digest::{Digest, hash_reader};
use dd_inspect::failure;
use dd_inspect::package::{Documents, Range, Recipe};
use dd_inspect::range::FileRange;

use crate::rebuild::Piece;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Bytes of the package's documents.
    Document(Range),
    /// A rebuilt layer or content.
    Piece(Piece),
}

impl Part {
    /// Bytes in it.
    ///
    /// # Errors
    /// `package-corrupt` for a piece that the recipe does not have.
    pub fn size(&self, recipe: &Recipe) -> anyhow::Result<u64> {
        Ok(match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Document(range) => range.len,
            Self::Piece(piece) => piece
                .size(recipe)
                .ok_or_else(|| failure!(PackageCorrupt, "the package's recipe lacks {piece:?}"))?,
        })
    }

    /// A reader of a part that is no piece.
    pub fn reader<'a>(&'a self, documents: &Documents) -> Option<Box<dyn Read + Send + 'a>> {
        match self {
            Self::Bytes(bytes) => Some(Box::new(&bytes[..])),
            Self::Document(range) => Some(Box::new(documents.reader(*range))),
            Self::Piece(_) => None,
        }
    }
}

/// A file as a list of parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The parts from the beginning to the end.
    pub parts: Vec<Part>,
}

impl Plan {
    /// The pieces in their order, repetitions included.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Piece(piece) => Some(*piece),
            _ => None,
        })
    }

    /// Bytes in the file.
    ///
    /// # Errors
    /// `package-corrupt` for pieces that the recipe does not have, or impossible sizes.
    pub fn size(&self, recipe: &Recipe) -> anyhow::Result<u64> {
        let mut sum = 0_u64;
        for part in &self.parts {
            let next = sum.checked_add(part.size(recipe)?);
            sum =
                next.ok_or_else(|| failure!(PackageCorrupt, "the package's sizes are impossible"))?;
        }
        Ok(sum)
    }

    /// Whether a file has just these bytes; layers are compared by their digests, nothing is rebuilt.
    ///
    /// # Errors
    /// Reading the file or the documents fails.
    pub fn matches(
        &self,
        file: &FileRange,
        recipe: &Recipe,
        documents: &Documents,
    ) -> anyhow::Result<bool> {
        if self.size(recipe)? != dd_inspect::range::ReadAt::size(file) {
            return Ok(false);
        }
        let mut offset = 0;
        for part in &self.parts {
            let size = part.size(recipe)?;
            let mut found = file.part(offset, size)?;
            offset += size;
            let same = match part.reader(documents) {
                Some(wanted) => same_bytes(wanted, &mut found)?,
                None => Some(hash_reader(&mut found)?.0) == digest_of(part, recipe),
            };
            if !same {
                return Ok(false);
            }
        }
        file.check_unchanged()?;
        Ok(true)
    }
}

fn digest_of(part: &Part, recipe: &Recipe) -> Option<Digest> {
    match part {
        Part::Piece(piece) => piece.digest(recipe),
        _ => None,
    }
}

fn same_bytes(mut wanted: impl Read, mut found: impl Read) -> anyhow::Result<bool> {
    let (mut a, mut b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let n = match wanted.read(&mut a) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            result => result.context("reading a document of the package")?,
        };
        if n == 0 {
            return Ok(true);
        }
        found.read_exact(&mut b[..n]).context("reading the existing output")?;
        if a[..n] != b[..n] {
            return Ok(false);
        }
    }
}
