//! Finds how a Zstandard file was made.

use std::io;

use super::compare::{self, RangeReader, encodes_to};
use super::{Corrections, Proven, SPOOL_LEN, Task};
use crate::encoding::Encoding;
use crate::encoding::zstd::{self, ZstdParams};
use crate::encoding::zstd_klauspost::KlauspostParams;
use crate::zstd::{Level, encoders};

/// A frame header's beginning and the first block's (RFC 8878, section 3.1.1).
#[derive(Debug, Clone, Copy)]
struct Start {
    has_size: bool,
    checksum: bool,
    /// Its window, if it is a frame of unknown length.
    window: Option<u8>,
    /// Bytes of the first block if it is raw and another follows, else 0.
    raw: u64,
}

impl Start {
    fn of(start: &[u8]) -> Option<Self> {
        let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = start else { return None };
        let (has_size, checksum) = (descriptor & 0xe0 != 0, descriptor & 4 != 0);
        let mut found = Self { has_size, checksum, window: None, raw: 0 };
        if let [window, a, b, c, ..] = *rest
            && *descriptor == 4
        {
            found.window = Some(window);
            let header = u32::from_le_bytes([a, b, c, 0]);
            if header & 7 == 0 {
                found.raw = u64::from(header >> 3);
            }
        }
        Some(found)
    }
}

impl Task<'_> {
    pub(super) fn zstd(&self) -> io::Result<Proven> {
        let mut proven = self.zstd_that_begins(|encoding| self.frame(encoding))?;
        if proven.is_none() {
            proven = self.several()?;
        }
        Ok(proven.unwrap_or_else(Proven::bytes))
    }

    /// What `take` makes of the first encoding that it takes of those that give the beginning of the file.
    pub(super) fn zstd_that_begins<T>(
        &self,
        mut take: impl FnMut(Encoding) -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        let start = self.bytes(0, self.compressed.size().min(9))?;
        let Some(start) = Start::of(&start) else { return Ok(None) };
        let klauspost = Self::klauspost(start).map(Encoding::ZstdKlauspost);
        for encoding in klauspost.chain(self.libzstd(start).map(Encoding::Zstd)) {
            if compare::begins(&encoding, self.plain, self.compressed)?
                && let Some(taken) = take(encoding)?
            {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    fn klauspost(start: Start) -> impl Iterator<Item = KlauspostParams> {
        let possible = move |level: &Level| match start.window {
            Some(window) => window == level.window_descriptor(),
            // One block, which is as long as the content.
            None => true,
        };
        encoders().filter(move |(_, level)| start.checksum && possible(level)).map(
            move |(release, level)| {
                // A raw block of full length is one among others.
                let first_block = if start.raw < level.block_len() as u64 { start.raw } else { 0 };
                KlauspostParams { release, level, first_block }
            },
        )
    }

    fn libzstd(&self, start: Start) -> impl Iterator<Item = ZstdParams> {
        let content_size = start.has_size.then_some(self.plain.size());
        [3, 19, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18].into_iter().map(
            move |level| ZstdParams {
                library: zstd::library().to_owned(),
                level,
                content_size,
                checksum: start.checksum,
            },
        )
    }

    /// The encoding, if it makes the file's first frame and little follows.
    fn frame(&self, encoding: Encoding) -> io::Result<Option<Proven>> {
        let (plain, size) = (0..self.plain.size(), self.compressed.size());
        let end = encodes_to(&encoding, io::empty(), self.plain, plain, self.compressed, 0)?;
        let Some(end) = end else { return Ok(None) };
        if end == size {
            return Ok(Some(Proven { encoding, corrections: Corrections::None }));
        }
        if size - end > size / 100 + (64 << 10) {
            return Ok(None);
        }
        let mut tail = tempfile::spooled_tempfile_in(SPOOL_LEN, self.scratch_dir);
        io::copy(&mut RangeReader::new(self.compressed, end..size), &mut tail)?;
        Proven::script(encoding, tail).map(Some)
    }
}
