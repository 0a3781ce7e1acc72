//! What each op does.

use std::io::Read;

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::super::hooks::{Generator, Source, SourceBytes, Sources};
use super::super::ids::stream;
use super::super::input::out_of_range;
use super::super::limits::GENERATED_LEN;
use super::super::meter::{self, OPENING, WORK_GENERATE, WORK_OP};
use super::super::model::SYMBOL;
use super::super::op::{Computed, Op, ids_of};
use super::super::quoted::Form;
use super::opening::Opening;
use super::unit::{Output, Unit};
use super::{CHUNK_LEN, Decoder, View};

/// Bytes of symbols that are made at a time: whole records.
const SYMBOLS_LEN: u64 = 2048 * SYMBOL;

/// An op that still has bytes to give.
#[derive(Debug)]
pub(super) struct Active {
    from: From,
    left: u64,
}

#[derive(Debug)]
enum From {
    Copy {
        source: Source,
        offset: u64,
    },
    Edit {
        source: Source,
        offset: u64,
    },
    /// A base's executable, as its model predicts it.
    Executable {
        source: Source,
        offset: u64,
    },
    Stream(u64),
    Computed(Computed),
    Open(Box<Opening>),
}

impl<R: Read, S: Sources> Decoder<R, S> {
    pub(super) fn begin_op(&mut self, unit: &mut Unit, op: Op) -> Result<(), Failure> {
        for (registry, id) in ids_of(&op).into_iter().flatten() {
            if !self.head.lists(registry, id) {
                let word = registry.word();
                return Err(failure!(PackageCorrupt, "{word} {id} does not stand in the head"));
            }
        }
        self.meter.work(WORK_OP)?;
        let source = unit.control.predictor.source();
        let here = (source, unit.control.predictor.offset(source));
        unit.control.predictor.made(&op);
        if let Op::Literal { kind, len } = op
            && let Some(stream) = self.stream(kind.stream())?
        {
            let next = if stream.looks_ahead() { unit.next_place(len) } else { None };
            stream.stand(here, len, next);
        }
        if !unit.models.is_empty() {
            self.note_run(unit, &op)?;
        }
        match op {
            Op::Copy { source, offset, len } => {
                self.activate(unit, From::Copy { source, offset }, len)
            }
            Op::Edit { model: 0, source, offset, len } => {
                self.activate(unit, From::Edit { source, offset }, len)
            }
            Op::Edit { model, source, offset, len } => {
                self.begin_executable(unit, model, source, offset, len)?;
                self.activate(unit, From::Executable { source, offset }, len)
            }
            Op::Literal { kind, len } => {
                self.begin_literals(unit, kind, len)?;
                self.activate(unit, From::Stream(kind.stream()), len)
            }
            Op::Computed { kind, len } => self.activate(unit, From::Computed(kind), len),
            Op::DigestHex { slot } => self.digest_hex(unit, slot),
            Op::Generate { generator } => self.generate(unit, generator),
            Op::Digest { form, step } => self.digest(unit, form, step),
            Op::Following { source, len } => {
                let offset = self.following.get(&source).copied().unwrap_or(0);
                self.activate(unit, From::Copy { source, offset }, len)?;
                self.following.insert(source, offset + len);
                Ok(())
            }
            Op::Mtime { step } => {
                self.chunk = (self.mtime.wrapping_add(step as u64) as u32).to_le_bytes().to_vec();
                self.generated(unit)
            }
            Op::EnterHash { hash } => self.enter_hash(unit, hash),
            Op::EnterDigest { slot } => self.enter_digest(unit, slot),
            Op::Enter { encoding, params, exact_len, encoded_len } => {
                let mut exact = vec![0; exact_len as usize];
                if exact_len > 0 {
                    self.fill(stream::EXACT, &mut exact)?;
                }
                self.enter_encoder(unit, encoding, &params, &exact, encoded_len)
            }
            Op::Leave => self.leave(unit),
            Op::Open { opening, source, offset, coded_len, len } => {
                self.view(0).check_range(source, offset, coded_len)?;
                self.hold(OPENING)?;
                let opening = Opening::new(opening, source, offset, coded_len)?;
                self.activate(unit, From::Open(Box::new(opening)), len)
            }
        }
    }

    /// Makes an op the one under way once its range is checked.
    fn activate(&mut self, unit: &mut Unit, from: From, len: u64) -> Result<(), Failure> {
        if let From::Copy { source, offset }
        | From::Edit { source, offset }
        | From::Executable { source, offset } = from
        {
            self.view(0).check_range(source, offset, len)?;
        }
        self.meter.work(len)?;
        unit.rest.produced(len);
        unit.active = Some(Active { from, left: len });
        Ok(())
    }

    /// Gives the next bytes of the op under way.
    pub(super) fn produce(&mut self, unit: &mut Unit) -> Result<(), Failure> {
        let Some(mut active) = unit.active.take() else { return Ok(()) };
        let most = match active.from {
            From::Computed(Computed::Symbols | Computed::FrameIndex) => SYMBOLS_LEN,
            _ => CHUNK_LEN as u64,
        };
        let n = active.left.min(most);
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.resize(n as usize, 0);
        match &mut active.from {
            From::Copy { source, offset } => {
                self.view(u64::MAX).read_at(*source, *offset, &mut chunk)?;
                *offset += n;
            }
            From::Edit { source, offset } => {
                self.view(u64::MAX).read_at(*source, *offset, &mut chunk)?;
                *offset += n;
                let mut spare = std::mem::take(&mut self.spare);
                let corrections = self.stream(stream::CORRECTIONS)?.as_mut();
                corrections.ok_or_else(|| absent(stream::CORRECTIONS))?.correct(
                    &mut chunk,
                    &[],
                    &mut spare,
                )?;
                self.spare = spare;
            }
            From::Executable { source, offset } => {
                self.view(u64::MAX).read_at(*source, *offset, &mut chunk)?;
                self.predict(unit, *offset, &mut chunk)?;
                *offset += n;
            }
            From::Stream(kind) => {
                self.fill(*kind, &mut chunk)?;
                if *kind == stream::CODE {
                    self.finish_literals(unit, &mut chunk);
                }
            }
            From::Computed(Computed::Zeros) => chunk.fill(0),
            From::Computed(Computed::Symbols) => self.symbols(unit, &mut chunk)?,
            From::Computed(Computed::FrameIndex) => self.index(unit, &mut chunk)?,
            From::Computed(Computed::Exceptions) => self.exceptions(unit, &mut chunk)?,
            From::Computed(Computed::Names) => self.names(unit, &mut chunk)?,
            From::Open(opening) => opening.fill(&mut chunk, &mut self.view(0))?,
        }
        if let Some(run) = &mut unit.run {
            run.made(&chunk);
        }
        self.chunk = chunk;
        active.left -= n;
        if active.left > 0 {
            unit.active = Some(active);
        } else if let From::Open(opening) = active.from {
            opening.finish(&mut self.view(0))?;
            self.meter.release(OPENING);
        }
        self.deliver(unit)
    }

    fn fill(&mut self, kind: u64, buf: &mut [u8]) -> Result<(), Failure> {
        self.stream(kind)?.as_mut().ok_or_else(|| absent(kind))?.fill(buf)
    }

    fn digest_hex(&mut self, unit: &mut Unit, slot: u64) -> Result<(), Failure> {
        let digest = usize::try_from(slot).ok().and_then(|slot| *self.slots.get(slot)?);
        let digest =
            digest.ok_or_else(|| failure!(PackageCorrupt, "digest slot {slot} is empty"))?;
        self.chunk = Form::Hex.text(&digest);
        self.generated(unit)
    }

    fn digest(&mut self, unit: &mut Unit, form: Form, step: i64) -> Result<(), Failure> {
        self.chunk = form.text(self.digests.take(step)?);
        unit.control.predictor.skip(self.chunk.len() as u64);
        self.generated(unit)
    }

    fn generate(&mut self, unit: &mut Unit, id: u64) -> Result<(), Failure> {
        self.meter.work(WORK_GENERATE)?;
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.clear();
        let generators = match unit.output {
            Output::Layer => &self.layer_generators,
            Output::Kept(_) => &self.kept_generators,
        };
        if !generators.iter().any(|(known, _)| *known == id) {
            self.hold(meter::generator(id))?;
        }
        let tools = &self.tools;
        let generators = match unit.output {
            Output::Layer => &mut self.layer_generators,
            Output::Kept(_) => &mut self.kept_generators,
        };
        let generator = open(generators, id, || tools.generators.open(id))?;
        let mut view = View {
            sources: &self.sources,
            count: self.head.sources.len(),
            kept: &self.kept,
            meter: &mut self.meter,
            free: WORK_GENERATE,
        };
        let entry = generator.generate(&mut unit.columns, &mut view, &mut chunk)?;
        if chunk.len() > GENERATED_LEN {
            return Err(out_of_range("the length of generated bytes"));
        }
        unit.control.predictor.skip(chunk.len() as u64);
        self.chunk = chunk;
        self.generated(unit)?;
        if let Some(entry) = entry {
            self.mtime = entry.mtime.unwrap_or(self.mtime);
            unit.control.predictor.entry(&entry);
            unit.rest.entry(&entry);
        }
        Ok(())
    }

    /// Delivers a chunk that was computed.
    fn generated(&mut self, unit: &mut Unit) -> Result<(), Failure> {
        let len = self.chunk.len() as u64;
        self.meter.work(len)?;
        unit.rest.produced(len);
        self.deliver(unit)
    }
}

type Generators = Vec<(u64, Box<dyn Generator>)>;

/// The generator with this id, opened at its first use.
fn open(
    generators: &mut Generators,
    id: u64,
    make: impl FnOnce() -> Option<Box<dyn Generator>>,
) -> Result<&mut Box<dyn Generator>, Failure> {
    let index = match generators.iter().position(|(known, _)| *known == id) {
        Some(index) => index,
        None => {
            let made = make().ok_or_else(|| super::super::ids::unknown("generator", id))?;
            generators.push((id, made));
            generators.len() - 1
        }
    };
    let found = generators.get_mut(index).map(|(_, generator)| generator);
    found.ok_or_else(|| out_of_range("a generator"))
}

pub(super) fn absent(kind: u64) -> Failure {
    failure!(PackageCorrupt, "the slice has no stream of kind {kind}")
}
