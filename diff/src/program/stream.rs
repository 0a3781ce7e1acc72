//! Streams being read, piece by piece.

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::coder::{
    ByteReader, CorrectionReader, Corrections, FrameReader, LiteralReader, LzmaReader, SparsePiece,
    Stand, damaged,
};
use super::hooks::Source;
use super::ids::coder;
use super::input::out_of_range;
use super::limits::SPARSE_LEN;
use super::spares::Spares;
use super::streams::{Places, Record};
use super::varint;

/// A stream being read, piece by piece.
pub(crate) struct Stream {
    coder: u64,
    coding: Coding,
    /// What this slice holds.
    coded: Vec<u8>,
    at: usize,
    raw_left: u64,
    /// Memory that it counts as while it can be continued.
    pub(crate) held: u64,
}

/// What goes on from piece to piece.
enum Coding {
    Stored,
    Zstd(FrameReader),
    Sparse { runs: FrameReader, values: FrameReader, piece: Box<SparsePiece> },
    Lzma(Box<LzmaReader>),
    Corrections(Box<CorrectionReader>),
    Bytes(Box<ByteReader>),
    Literals { reader: Box<LiteralReader>, places: Places },
}

impl Coding {
    fn fresh(record: &Record, dictionary: Vec<u8>, spares: &mut Spares) -> Result<Self, Failure> {
        let frame = |dictionary: &[u8]| FrameReader::new(record.window_log, dictionary);
        let window_log = record.window_log;
        Ok(match record.coder {
            coder::STORED => Self::Stored,
            coder::ZSTD => Self::Zstd(frame(&dictionary)?),
            coder::SPARSE => {
                Self::Sparse { runs: frame(&[])?, values: frame(&[])?, piece: Box::default() }
            }
            coder::LZMA | coder::LZMA_MOVED => {
                Self::Lzma(Box::new(LzmaReader::new(window_log, &dictionary)))
            }
            coder::CORRECTIONS => Self::corrections(Corrections::Plain, spares),
            coder::CORRECTIONS_LAYERED => Self::corrections(Corrections::InLayers, spares),
            coder::BYTES => Self::Bytes(Box::new(match spares.bytes.take() {
                Some(spare) => spare.again(),
                None => ByteReader::new(),
            })),
            coder::LITERALS | coder::LITERALS_MOVED => {
                let sort = record.sort.ok_or_else(|| out_of_range("the sort of literals"))?;
                Self::Literals {
                    reader: Box::new(match spares.literals.take() {
                        Some(spare) => spare.again(window_log, sort, dictionary),
                        None => LiteralReader::new(window_log, sort, dictionary),
                    }),
                    places: Places::new(&record.dictionary),
                }
            }
            _ => return Err(out_of_range("a coder")),
        })
    }

    fn corrections(how: Corrections, spares: &mut Spares) -> Self {
        Self::Corrections(Box::new(match spares.corrections.take() {
            Some(spare) => spare.again(how),
            None => CorrectionReader::new(how),
        }))
    }
}

impl Stream {
    /// A fresh stream, without content yet; `dictionary` with the zero byte before it. It takes the memory of a spare one.
    pub(crate) fn fresh(
        record: &Record,
        dictionary: Vec<u8>,
        spares: &mut Spares,
    ) -> Result<Self, Failure> {
        Ok(Self {
            coder: record.coder,
            coding: Coding::fresh(record, dictionary, spares)?,
            coded: Vec::new(),
            at: 0,
            raw_left: 0,
            held: record.memory(),
        })
    }

    /// Is over; what it was read with may serve another.
    pub(crate) fn give_up(self, spares: &mut Spares) {
        match self.coding {
            Coding::Literals { reader, .. } => spares.literals.keep(reader, self.held),
            Coding::Corrections(reader) => spares.corrections.keep(reader, self.held),
            Coding::Bytes(reader) => spares.bytes.keep(reader, self.held),
            Coding::Stored | Coding::Zstd(_) | Coding::Sparse { .. } | Coding::Lzma(_) => {}
        }
    }

    /// Whether a record continues this stream.
    pub(crate) fn is_continued_by(&self, record: &Record) -> bool {
        self.coder == record.coder
    }

    /// How much memory the coded bytes of a slice count as once taken apart.
    pub(crate) fn apart(coder: u64, coded: &[u8]) -> Result<u64, Failure> {
        match coder {
            coder::SPARSE => Apart::parse(coded).map(|apart| apart.runs_len + apart.values_len),
            _ => Ok(0),
        }
    }

    /// Takes the coded bytes of a slice.
    pub(crate) fn begin(&mut self, coded: Vec<u8>, raw_len: u64) -> Result<(), Failure> {
        (self.coded, self.at, self.raw_left) = (coded, 0, raw_len);
        match &mut self.coding {
            Coding::Sparse { runs, values, piece } => {
                let apart = Apart::parse(&self.coded)?;
                let runs = whole(runs, apart.runs, apart.runs_len)?;
                let values = whole(values, apart.values, apart.values_len)?;
                **piece = SparsePiece::new(runs, values, raw_len)?;
                self.coded = Vec::new();
            }
            Coding::Lzma(reader) => reader.begin(std::mem::take(&mut self.coded)),
            Coding::Corrections(reader) => reader.begin(&self.coded),
            Coding::Bytes(reader) => reader.begin(&self.coded),
            Coding::Literals { reader, .. } => reader.begin(&self.coded),
            Coding::Stored | Coding::Zstd(_) => {}
        }
        Ok(())
    }

    /// Whether the coder asks what follows literals.
    pub(crate) fn looks_ahead(&self) -> bool {
        coder::is_literals(self.coder)
    }

    /// The next `len` raw bytes stand in for what a source has at an offset; then comes what one has at another.
    pub(crate) fn stand(&mut self, here: (Source, u64), len: u64, next: Option<(Source, u64)>) {
        if let Coding::Literals { reader, places } = &mut self.coding {
            let place = places.find(here.0, here.1);
            let end = next.and_then(|(source, offset)| places.find(source, offset));
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            reader.stand(Stand { place, len, end });
        }
    }

    /// Fills `buf` with the next raw bytes.
    pub(crate) fn fill(&mut self, buf: &mut [u8]) -> Result<(), Failure> {
        take(&mut self.raw_left, buf.len())?;
        match &mut self.coding {
            Coding::Stored => {
                let end = self.at.saturating_add(buf.len());
                buf.copy_from_slice(self.coded.get(self.at..end).ok_or_else(ends_early)?);
                self.at = end;
                Ok(())
            }
            Coding::Zstd(frame) => frame.pull(&self.coded, &mut self.at, buf),
            Coding::Sparse { piece, .. } => {
                buf.fill(0);
                piece.add_to(buf)
            }
            Coding::Lzma(reader) => reader.pull(buf),
            Coding::Bytes(reader) => reader.pull(&self.coded, buf),
            Coding::Literals { reader, .. } => reader.pull(&self.coded, buf),
            // Its raw bytes mean something with predictions only.
            Coding::Corrections(_) => Err(damaged()),
        }
    }

    /// Turns predicted bytes into the wanted ones, taking as many raw bytes.
    ///
    /// `classes` says of each byte how it was predicted; empty stands for class 0 everywhere. Each call
    /// begins a whole number of blocks ([`super::limits::BLOCK_LEN`]) after the first byte of its EDIT.
    pub(crate) fn correct(
        &mut self,
        buf: &mut [u8],
        classes: &[u8],
        spare: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        debug_assert!(classes.is_empty() || classes.len() == buf.len());
        match &mut self.coding {
            Coding::Sparse { piece, .. } => {
                take(&mut self.raw_left, buf.len())?;
                piece.add_to(buf)
            }
            Coding::Corrections(reader) => {
                take(&mut self.raw_left, buf.len())?;
                reader.correct(&self.coded, buf, classes)
            }
            _ => {
                spare.resize(buf.len(), 0);
                self.fill(spare)?;
                for (byte, correction) in buf.iter_mut().zip(spare.iter()) {
                    *byte = byte.wrapping_add(*correction);
                }
                Ok(())
            }
        }
    }

    /// Checks that the piece was read whole, and forgets its coded bytes.
    ///
    /// A stream that this slice has nothing of was finished before.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        if self.raw_left > 0 {
            return Err(failure!(
                PackageCorrupt,
                "a stream of the delta holds more than its ops take"
            ));
        }
        match &mut self.coding {
            Coding::Zstd(frame) => frame.finish_piece(&self.coded, self.at)?,
            Coding::Sparse { piece, .. } => **piece = SparsePiece::default(),
            Coding::Lzma(reader) => reader.finish_piece()?,
            Coding::Corrections(reader) if !self.coded.is_empty() => {
                reader.finish_piece(&self.coded)?;
            }
            Coding::Bytes(reader) if !self.coded.is_empty() => reader.finish_piece(&self.coded)?,
            Coding::Literals { reader, .. } if !self.coded.is_empty() => {
                reader.finish_piece(&self.coded)?;
            }
            Coding::Stored
            | Coding::Corrections(_)
            | Coding::Bytes(_)
            | Coding::Literals { .. } => {}
        }
        self.coded = Vec::new();
        self.at = 0;
        Ok(())
    }
}

/// The frames of a sparse piece, and the lengths of what they hold: together at most [`SPARSE_LEN`].
struct Apart<'a> {
    runs: &'a [u8],
    runs_len: u64,
    values: &'a [u8],
    values_len: u64,
}

impl<'a> Apart<'a> {
    fn parse(coded: &'a [u8]) -> Result<Self, Failure> {
        let mut at = 0;
        let mut integer = || {
            let value = varint::take(|| {
                let byte = coded.get(at).copied().ok_or_else(damaged)?;
                at += 1;
                Ok(byte)
            })?;
            value.ok_or_else(damaged)
        };
        let (runs_len, values_len, coded_len) = (integer()?, integer()?, integer()?);
        if runs_len.saturating_add(values_len) > SPARSE_LEN {
            return Err(out_of_range("the length of a sparse stream"));
        }
        let coded_len = usize::try_from(coded_len).map_err(|_| damaged())?;
        let (runs, values) = coded
            .get(at..)
            .and_then(|rest| rest.split_at_checked(coded_len))
            .ok_or_else(damaged)?;
        Ok(Self { runs, runs_len, values, values_len })
    }
}

fn whole(frame: &mut FrameReader, coded: &[u8], len: u64) -> Result<Vec<u8>, Failure> {
    let (mut out, mut at) = (vec![0; len as usize], 0);
    frame.pull(coded, &mut at, &mut out)?;
    frame.finish_piece(coded, at)?;
    Ok(out)
}

/// Takes so many raw bytes of those that are left.
fn take(raw_left: &mut u64, len: usize) -> Result<(), Failure> {
    let left = raw_left.checked_sub(len as u64);
    *raw_left = left.ok_or_else(ends_early)?;
    Ok(())
}

fn ends_early() -> Failure {
    failure!(PackageCorrupt, "a stream of the delta holds less than its ops take")
}
