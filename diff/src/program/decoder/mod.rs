//! The decoder: a payload and base layers in, one layer out, pulled piece by piece.

mod control;
mod executable;
mod opening;
mod run;
mod stack;
mod unit;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::head::Head;
use super::hooks::{Generator, Source, SourceBytes, Sources, Tools};
use super::input::{Input, io_failure};
use super::kept::Kept;
use super::limits::Limits;
use super::meter::{self, Meter};
use super::quoted::Digests;
use super::spares::Spares;
use super::stream::Stream;
use unit::Unit;

/// Bytes that are handled at a time.
const CHUNK_LEN: usize = 256 << 10;
/// Output is collected up to this length before it is handed on.
const PENDING_LEN: usize = 64 << 10;

/// Rebuilds a layer from a payload; reading from it pulls the layer's bytes.
///
/// Nothing it holds grows beyond what the head declares, and the head is compared with [`Limits`] first.
/// The output never grows beyond the declared length. Whether it is the right layer is for the caller to
/// verify by its diff_id.
pub struct Decoder<R, S> {
    input: Input<R>,
    sources: S,
    tools: Tools,
    head: Head,
    meter: Meter,
    kept: Kept,
    slots: Vec<Option<[u8; 32]>>,
    digests: Digests,
    /// The time of the last tar header.
    mtime: u64,
    /// Where bytes of a source go on that are read one after the other.
    following: BTreeMap<Source, u64>,
    /// Streams of slices by kind, from [`super::ids::stream::TEXT`] on, that can be continued.
    streams: [Option<Stream>; 5],
    /// Tables for the next stream or model; with what is in use they stay within the declared memory.
    spares: Spares,
    /// Generators of the layer, and of the kept object being made, by id.
    layer_generators: Vec<(u64, Box<dyn Generator>)>,
    kept_generators: Vec<(u64, Box<dyn Generator>)>,
    unit: Option<Unit>,
    units_read: u64,
    ops_read: u64,
    /// The kept object that is begun and not complete.
    making: Option<u32>,
    /// Bytes of the layer made so far.
    made: u64,
    /// Plain bytes that went into encoders.
    encoded: u64,
    chunk: Vec<u8>,
    spare: Vec<u8>,
    classes: Vec<u8>,
    /// Output that was made; from `pending_at` on it has not been handed on.
    pending: Vec<u8>,
    pending_at: usize,
    failed: Option<Failure>,
}

impl<R, S> fmt::Debug for Decoder<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("head", &self.head)
            .field("units_read", &self.units_read)
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}

impl<R: Read, S: Sources> Decoder<R, S> {
    /// Reads the head and compares what it needs with what there is.
    ///
    /// `sources` has the base layers in the order of [`Head::sources`]; that they are the right ones is
    /// for the caller to check. To learn them, read the head alone first ([`Head::read`]).
    ///
    /// # Errors
    /// A damaged head, an id that this version does not know, a need above the limits.
    pub fn new(payload: R, sources: S, tools: Tools, limits: Limits) -> Result<Self, Failure> {
        let mut input = Input::new(payload);
        let head = Head::parse(&mut input)?;
        head.check_ids(&tools)?;
        let sources_len =
            (0..head.sources.len()).fold(0u64, |sum, index| sum.saturating_add(sources.len(index)));
        head.check_needs(&limits, sources_len)?;
        let mut meter = Meter::new(head.memory, head.work);
        meter.hold(meter::tables(head.kept.len() as u64, head.slots))?;
        let kept = Kept::new(head.kept.clone(), &tools.scratch_dir, head.scratch);
        Ok(Self {
            input,
            sources,
            tools,
            meter,
            kept,
            slots: vec![None; head.slots as usize],
            digests: Digests::default(),
            mtime: 0,
            following: BTreeMap::new(),
            head,
            streams: Default::default(),
            spares: Spares::default(),
            layer_generators: Vec::new(),
            kept_generators: Vec::new(),
            unit: None,
            units_read: 0,
            ops_read: 0,
            making: None,
            made: 0,
            encoded: 0,
            chunk: Vec::new(),
            spare: Vec::new(),
            classes: Vec::new(),
            pending: Vec::new(),
            pending_at: 0,
            failed: None,
        })
    }

    /// Takes memory; what is spare makes room.
    fn hold(&mut self, bytes: u64) -> Result<(), Failure> {
        self.meter.hold(bytes)?;
        self.spares.keep_within(self.meter.room());
        Ok(())
    }

    /// What the payload declares.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Writes the whole layer; returns its length.
    ///
    /// # Errors
    /// A damaged payload, an unreadable source, a failed write.
    pub fn decode_to(&mut self, out: &mut impl Write) -> Result<u64, Failure> {
        while self.pull()? {
            let ready = self.pending.get(self.pending_at..).unwrap_or_default();
            out.write_all(ready).map_err(|error| io_failure("writing the layer", error))?;
            self.pending_at = self.pending.len();
        }
        Ok(self.made)
    }

    /// Makes output until some is pending; false at the end of the layer.
    fn pull(&mut self) -> Result<bool, Failure> {
        if self.pending_at < self.pending.len() {
            return Ok(true);
        }
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        while self.pending.len() - self.pending_at < PENDING_LEN {
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    let failed = self.locate(error);
                    self.failed = Some(failed.clone());
                    return Err(failed);
                }
            }
        }
        Ok(self.pending_at < self.pending.len())
    }

    /// One step of the program; false when nothing is left to do.
    fn step(&mut self) -> Result<bool, Failure> {
        match self.unit.take() {
            Some(mut unit) => {
                let unfinished = self.step_unit(&mut unit)?;
                self.unit = unfinished.then_some(unit);
            }
            None if self.units_read < self.head.units => self.unit = Some(self.begin_unit()?),
            None => {
                self.check_end()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn check_end(&mut self) -> Result<(), Failure> {
        let (made, declared) = (self.made, self.head.output_len);
        if made != declared {
            return Err(failure!(
                PackageCorrupt,
                "the layer has {made} bytes, {declared} were declared"
            ));
        }
        if self.making.is_some() || self.ops_read != self.head.ops {
            return Err(failure!(PackageCorrupt, "ops are missing"));
        }
        if !self.input.is_at_end()? {
            return Err(failure!(PackageCorrupt, "something follows the last unit"));
        }
        Ok(())
    }

    /// Adds to an error in which unit it came up.
    fn locate(&self, error: Failure) -> Failure {
        let (unit, at) = (self.units_read, self.input.position());
        Failure { message: format!("delta, unit {unit}, byte {at}: {}", error.message), ..error }
    }
}

impl<R: Read, S: Sources> Read for Decoder<R, S> {
    /// Gives the next bytes of the layer; an error wraps a [`Failure`].
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || !self.pull().map_err(io::Error::other)? {
            return Ok(0);
        }
        let ready = self.pending.get(self.pending_at..).unwrap_or_default();
        let n = ready.len().min(buf.len());
        buf[..n].copy_from_slice(&ready[..n]);
        self.pending_at += n;
        Ok(n)
    }
}

/// Base layers and complete kept objects, each read counted as work.
struct View<'a, S> {
    sources: &'a S,
    count: usize,
    kept: &'a Kept,
    meter: &'a mut Meter,
    /// Bytes that are still free of charge.
    free: u64,
}

impl<S: Sources> SourceBytes for View<'_, S> {
    fn len(&self, source: Source) -> Option<u64> {
        match source {
            Source::Base(index) if (index as usize) < self.count => {
                Some(self.sources.len(index as usize))
            }
            Source::Base(_) => None,
            Source::Kept(index) => self.kept.len(index),
        }
    }

    fn read_at(&mut self, source: Source, offset: u64, buf: &mut [u8]) -> Result<(), Failure> {
        let len = buf.len() as u64;
        let paid = len.saturating_sub(self.free);
        self.free = self.free.saturating_sub(len);
        self.meter.work(paid)?;
        self.check_range(source, offset, len)?;
        let done = match source {
            Source::Base(index) => self.sources.read_at(index as usize, offset, buf),
            Source::Kept(index) => self.kept.read_at(index, offset, buf),
        };
        done.map_err(|error| io_failure(&reading(source), error))
    }
}

fn reading(source: Source) -> String {
    match source {
        Source::Base(index) => format!("reading base layer {index} of the delta"),
        Source::Kept(index) => format!("reading kept object {index} of the delta"),
    }
}

impl<S: Sources> View<'_, S> {
    fn check_range(&self, source: Source, offset: u64, len: u64) -> Result<(), Failure> {
        let end = offset.checked_add(len);
        match (self.len(source), end) {
            (Some(source_len), Some(end)) if end <= source_len => Ok(()),
            (None, _) => Err(failure!(PackageCorrupt, "there is no {source:?} to read")),
            _ => Err(failure!(PackageCorrupt, "{len} bytes at {offset} lie outside of {source:?}")),
        }
    }
}
