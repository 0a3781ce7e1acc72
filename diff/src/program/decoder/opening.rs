//! OPEN: the content of a compressed range of a source.

use dd_extract::encoding::inflate::Inflater;
use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::super::hooks::{Source, SourceBytes};
use super::super::ids::{opening, unknown};

/// Compressed bytes that are read at a time.
const PIECE_LEN: u64 = 16 << 10;

/// A compressed range being read.
#[derive(Debug)]
pub(super) struct Opening {
    inflater: Inflater,
    source: Source,
    /// Where the compressed bytes go on that were not read, and how many there are.
    offset: u64,
    left: u64,
    piece: Vec<u8>,
    at: usize,
}

impl Opening {
    /// Begins; the range was checked.
    pub(super) fn new(id: u64, source: Source, offset: u64, len: u64) -> Result<Self, Failure> {
        if id != opening::DEFLATE {
            return Err(unknown("opening", id));
        }
        let inflater = Inflater::default();
        Ok(Self { inflater, source, offset, left: len, piece: Vec::new(), at: 0 })
    }

    /// The next bytes of the content, as many as `plain` takes.
    pub(super) fn fill(
        &mut self,
        plain: &mut [u8],
        sources: &mut dyn SourceBytes,
    ) -> Result<(), Failure> {
        let mut at = 0;
        while let Some(rest) = plain.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let given = self.step(rest, sources)?;
            at += given.ok_or_else(|| another_length("shorter"))?;
        }
        Ok(())
    }

    /// Reads the end of the range, after all of its content.
    pub(super) fn finish(mut self, sources: &mut dyn SourceBytes) -> Result<(), Failure> {
        while let Some(given) = self.step(&mut [0], sources)? {
            if given > 0 {
                return Err(another_length("longer"));
            }
        }
        if self.left > 0 || self.at < self.piece.len() {
            return Err(failure!(PackageCorrupt, "something follows a compressed stream"));
        }
        Ok(())
    }

    /// Gives some bytes, perhaps none; nothing at the end of the stream.
    fn step(
        &mut self,
        plain: &mut [u8],
        sources: &mut dyn SourceBytes,
    ) -> Result<Option<usize>, Failure> {
        if self.inflater.is_ended() {
            return Ok(None);
        }
        if self.at == self.piece.len() && self.left > 0 {
            let len = self.left.min(PIECE_LEN);
            self.piece.resize(len as usize, 0);
            sources.read_at(self.source, self.offset, &mut self.piece)?;
            (self.offset, self.left, self.at) = (self.offset + len, self.left - len, 0);
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let (taken, given) = self.inflater.inflate(rest, plain)?;
        self.at += taken;
        if taken == 0 && given == 0 && self.left == 0 && !self.inflater.is_ended() {
            return Err(failure!(PackageCorrupt, "a compressed range ends early"));
        }
        Ok(Some(given))
    }
}

fn another_length(how: &str) -> Failure {
    failure!(PackageCorrupt, "the content of a compressed range is {how} than declared")
}
