//! Units whose streams are coded go to the spool; at the end the head goes before them.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use dd_inspect::failure::Failure;
use tempfile::SpooledTempFile;

use super::super::head::{Head, KeptObject};
use super::super::hooks::Sources;
use super::super::ids::{Registry, coder};
use super::super::input::io_failure;
use super::super::kept::{Place, Placement};
use super::super::streams::{Range, Record};
use super::super::{meter, varint};
use super::chain::PartRef;
use super::slice::ClosedSlice;
use super::unit::ClosedUnit;
use super::{PayloadSummary, PayloadWriter, wrong};

/// A stream that takes less memory than this may stay open.
const WORTH_CLOSING: u64 = 1 << 20;
/// Bytes of the spool that stay in memory.
const SPOOL_MEMORY: usize = 8 << 20;

/// Where units wait for the head.
#[derive(Debug)]
pub(super) struct Spool {
    file: SpooledTempFile,
    dir: PathBuf,
    len: u64,
}

impl Spool {
    pub(super) fn new(dir: &Path) -> Self {
        Self { file: SpooledTempFile::new_in(SPOOL_MEMORY, dir), dir: dir.to_owned(), len: 0 }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.len += bytes.len() as u64;
        let doing = || format!("writing a delta in {}", self.dir.display());
        self.file.write_all(bytes).map_err(|error| io_failure(&doing(), error))
    }
}

impl<S: Sources + Sync> PayloadWriter<S> {
    /// Codes what waits and writes the units that are complete.
    pub(super) fn drain(&mut self, end: bool) -> Result<(), Failure> {
        let read = |ranges: &[Range]| self.bases.dictionary(ranges);
        self.chains.code(end, &read)?;
        while let Some(unit) = self.closed.front() {
            let slices = unit.slices.iter().flat_map(|slice| &slice.parts);
            if !unit.control.iter().chain(slices).all(|part| self.chains.is_coded(part)) {
                break;
            }
            if let Some(unit) = self.closed.pop_front() {
                self.write_unit(unit)?;
            }
        }
        Ok(())
    }

    /// Writes a unit and keeps the account of memory and work that its reader will keep.
    fn write_unit(&mut self, unit: ClosedUnit) -> Result<(), Failure> {
        let mut out = Vec::new();
        varint::put(&mut out, unit.kept.map_or(0, |index| u64::from(index) + 1));
        varint::put(&mut out, unit.models.len() as u64);
        let mut models_held = 0;
        for (id, params) in &unit.models {
            varint::put(&mut out, *id);
            varint::put(&mut out, params.len() as u64);
            out.extend_from_slice(params);
            models_held += meter::model_params(params.len() as u64);
        }
        varint::put(&mut out, unit.ops);
        varint::put(&mut out, unit.slices.len() as u64);
        self.meter.take_peak();
        self.meter.hold(models_held)?;
        let held = models_held + self.write_control(&unit.control, &mut out)?;
        self.meter.hold(unit.digests * meter::DIGEST)?;
        for slice in &unit.slices {
            self.write_slice(slice, unit.frames_peak, &mut out)?;
        }
        self.meter.release(held);
        let peak = self.meter.take_peak();
        self.peaks.push(peak);
        self.spool.write(&out)
    }

    fn write_control(&mut self, parts: &[PartRef], out: &mut Vec<u8>) -> Result<u64, Failure> {
        let (records, coded) = self.take_parts(parts)?;
        let held = records.iter().map(|(record, _)| record.raw_len).sum();
        self.meter.hold(held)?;
        self.meter.work(held)?;
        for (record, apart) in &records {
            self.meter.work(meter::decoding(record.coder, record.raw_len))?;
            self.meter.work(meter::ready(record.memory()))?;
            let transient = record.memory() + record.coded_len + apart;
            self.meter.hold(transient)?;
            self.meter.release(transient);
        }
        put_all(&records, &coded, out);
        Ok(held)
    }

    fn write_slice(
        &mut self,
        slice: &ClosedSlice,
        frames_peak: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let (mut records, coded) = self.take_parts(&slice.parts)?;
        self.close_streams(&mut records);
        for (record, _) in records.iter().filter(|(record, _)| !record.continued) {
            let before = self.streams_held.insert(record.kind, record.memory());
            self.meter.release(before.unwrap_or(0));
        }
        let mut held = coded.len() as u64;
        self.meter.hold(frames_peak + held)?;
        for (record, apart) in &records {
            self.meter.work(meter::decoding(record.coder, record.raw_len))?;
            if !record.continued {
                self.meter.hold(record.memory())?;
                self.meter.work(meter::ready(record.memory()))?;
                let loading = record.dictionary_len();
                let loaded = meter::loaded(record.coder, loading);
                self.meter.hold(loaded)?;
                self.meter.work(meter::loading(record.coder, loading))?;
                self.meter.release(loaded);
            }
            self.meter.hold(*apart)?;
            held += apart;
        }
        self.meter.release(frames_peak + held);
        varint::put(out, slice.ops);
        put_all(&records, &coded, out);
        Ok(())
    }

    /// Replaces streams that nothing continues, and that take memory, by empty ones.
    fn close_streams(&mut self, records: &mut Vec<(Record, u64)>) {
        for (&kind, &held) in &self.streams_held {
            let ended = self.streams_ended.contains(&kind);
            if ended
                && held > WORTH_CLOSING
                && records.iter().all(|(record, _)| record.kind != kind)
            {
                records.push((Record { kind, ..Record::default() }, 0));
            }
        }
        records.sort_by_key(|(record, _)| record.kind);
        for (record, _) in records {
            self.note_stream(record.kind, record.coder);
        }
    }

    /// Records, what a reader holds of each beside its coded bytes, and all coded bytes.
    #[allow(clippy::type_complexity)]
    fn take_parts(&mut self, parts: &[PartRef]) -> Result<(Vec<(Record, u64)>, Vec<u8>), Failure> {
        let (mut records, mut coded) = (Vec::new(), Vec::new());
        for part in parts {
            let chain = self.chains.coded(part).ok_or_else(|| wrong("a stream is not coded"))?;
            let piece = chain.pieces.get_mut(part.piece);
            let piece = piece.ok_or_else(|| wrong("a stream is not there"))?;
            piece.used = true;
            let apart = piece.apart;
            if part.piece == 0 {
                self.meter.work(chain.turning)?;
            }
            let continued = part.piece > 0 && chain.coder != coder::STORED;
            let record = Record {
                kind: part.kind,
                coder: chain.coder,
                continued,
                raw_len: piece.raw_len,
                coded_len: piece.bytes.len() as u64,
                window_log: if continued { 0 } else { chain.window_log },
                sort: if continued { None } else { chain.sort },
                dictionary: if continued { Vec::new() } else { chain.dictionary.clone() },
            };
            self.ledger.charge(part.chain, part.piece, record.coded_len);
            coded.append(&mut std::mem::take(&mut piece.bytes));
            let total = self.totals.entry(part.kind).or_default();
            *total = (total.0 + record.raw_len, total.1 + record.coded_len);
            if part.piece + 1 == chain.pieces.len() {
                self.streams_ended.insert(part.kind);
            } else {
                self.streams_ended.remove(&part.kind);
            }
            let (kind, coder) = (record.kind, record.coder);
            records.push((record, apart));
            self.chains.forget_used(part);
            self.note_stream(kind, coder);
        }
        Ok((records, coded))
    }

    /// Notes ids of the frame itself.
    fn note_stream(&mut self, kind: u64, coder: u64) {
        self.ids.insert((Registry::Stream as u64, kind));
        self.ids.insert((Registry::Coder as u64, coder));
    }

    /// Writes the payload.
    ///
    /// # Errors
    /// A kept object or an encoding is not ended; there are more ops than a payload of this length may
    /// have; `out` cannot be written.
    pub fn finish(mut self, out: &mut impl Write) -> Result<PayloadSummary, Failure> {
        if self.unit.kept.is_some() {
            return Err(wrong("a kept object is still being made"));
        }
        self.close_unit()?;
        self.drain(true)?;
        let Placed { memory: kept_memory, scratch, passed } = place(&self.kept, &self.peaks);
        self.meter.work(meter::passed(passed))?;
        let generators = self.generators.iter().map(|(_, id)| meter::generator(*id)).sum::<u64>();
        let head = Head {
            ids: self.ids.iter().copied().collect(),
            sources: self.bases.used().map(|(diff_id, _)| diff_id).collect(),
            output_len: self.output_len,
            kept: self.kept.clone(),
            slots: self.slots,
            units: self.units_begun,
            ops: self.ops,
            memory: meter::tables(self.kept.len() as u64, self.slots) + kept_memory + generators,
            scratch,
            // Headers of a base may be longer than was counted.
            work: self.meter.work_done() + self.meter.work_done() / 4 + (1 << 20),
        };
        let sources_len = self.bases.used().map(|(_, len)| len).sum();
        let work_allowed = meter::work_allowed(sources_len, head.output_len);
        if head.ops > meter::ops_allowed(head.produced()) || head.work > work_allowed {
            return Err(wrong("more ops or work than a payload of this length may have"));
        }
        let bytes = head.to_bytes();
        let payload_len = bytes.len() as u64 + self.spool.len;
        let file = &mut self.spool.file;
        let done =
            out.write_all(&bytes).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| {
                let mut buffer = vec![0; 256 << 10];
                loop {
                    match file.read(&mut buffer)? {
                        0 => return Ok(()),
                        n => out.write_all(buffer.get(..n).unwrap_or_default())?,
                    }
                }
            });
        done.map_err(|error| io_failure("writing a delta", error))?;
        let costs = self.ledger.into_costs();
        Ok(PayloadSummary { head, payload_len, streams: self.totals, costs })
    }
}

/// Memory of the units with kept objects, the scratch space of those that do not fit, and ranges of it that were passed by.
struct Placed {
    memory: u64,
    scratch: u64,
    passed: u64,
}

fn place(kept: &[KeptObject], peaks: &[u64]) -> Placed {
    let mut placement = Placement::default();
    let mut ends: BTreeMap<u64, Vec<(Place, u64)>> = BTreeMap::new();
    let mut objects = kept.iter().peekable();
    let (mut memory, mut passed) = (0, 0);
    for (unit, peak) in (0u64..).zip(peaks) {
        if let Some(ended) = unit.checked_sub(1).and_then(|before| ends.remove(&before)) {
            ended.into_iter().for_each(|(place, size)| placement.release(place, size));
        }
        while let Some(object) = objects.next_if(|object| object.first == unit) {
            let (place, by) = placement.take(object.size);
            passed += by;
            ends.entry(object.last).or_default().push((place, object.size));
        }
        memory = memory.max(peak + placement.in_memory());
    }
    Placed { memory, scratch: placement.scratch_peak(), passed }
}

fn put_all(records: &[(Record, u64)], coded: &[u8], out: &mut Vec<u8>) {
    varint::put(out, records.len() as u64);
    records.iter().for_each(|(record, _)| record.put(out));
    out.extend_from_slice(coded);
}
