//! The control of a unit: its streams are read whole, before its first op, where there is memory for it by two threads.

use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::thread;

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::super::coder::ByteReader;
use super::super::columns::Columns;
use super::super::control::ControlStreams;
use super::super::hooks::Sources;
use super::super::ids::{coder, stream};
use super::super::input::out_of_range;
use super::super::limits::CONTROL_LEN;
use super::super::meter;
use super::super::spares::Spares;
use super::super::stream::Stream;
use super::super::streams::Record;
use super::Decoder;

/// Coded bytes of a control from which on a second thread helps.
const LONG: u64 = 8 << 10;

/// A stream with its coded bytes, and room for its raw ones; its place among those of the unit.
type Job<'a> = (usize, &'a Record, Vec<u8>, Vec<u8>);

impl<R: Read, S: Sources> Decoder<R, S> {
    /// The control streams and columns of a unit, and the memory that they count as.
    pub(super) fn read_control(&mut self) -> Result<(ControlStreams, Columns, u64), Failure> {
        let records =
            Record::parse_all(&mut self.input, stream::OPS..=stream::COLUMNS, &self.head)?;
        let held = records.iter().fold(0u64, |sum, record| sum.saturating_add(record.raw_len));
        let coded = records.iter().fold(0u64, |sum, record| sum.saturating_add(record.coded_len));
        if held > CONTROL_LEN
            || coded > CONTROL_LEN
            || records.iter().any(|record| record.continued || !record.dictionary.is_empty())
        {
            return Err(out_of_range("the length of a unit's control"));
        }
        self.hold(held)?;
        self.meter.work(held)?;
        let most = records.iter().map(Record::memory).max().unwrap_or(0);
        let is_sparse = records.iter().any(|record| record.coder == coder::SPARSE);
        let together = coded + 2 * most;
        let all = if coded >= LONG && !is_sparse && together <= self.free() {
            self.hold(together)?;
            let all = self.read_together(&records)?;
            self.meter.release(together);
            all
        } else {
            records.iter().map(|record| self.read_whole(record)).collect::<Result<_, _>>()?
        };
        let mut streams = ControlStreams::default();
        let mut columns = Columns::default();
        for (record, raw) in records.iter().zip(all) {
            match streams.raw.get_mut(record.kind as usize) {
                Some(place) => *place = raw,
                None => columns = Columns::parse(raw)?,
            }
        }
        Ok((streams, columns, held))
    }

    /// Memory that is neither in use nor spare.
    fn free(&self) -> u64 {
        self.meter.room().saturating_sub(self.spares.memory())
    }

    fn read_whole(&mut self, record: &Record) -> Result<Vec<u8>, Failure> {
        self.meter.work(meter::decoding(record.coder, record.raw_len))?;
        let transient = record.memory() + record.coded_len;
        self.spares.claim(record);
        self.hold(transient)?;
        self.meter.work(meter::ready(record.memory()))?;
        let mut coded = Vec::new();
        self.input.bytes(record.coded_len, &mut coded)?;
        let apart = Stream::apart(record.coder, &coded)?;
        self.hold(apart)?;
        let mut stream = Stream::fresh(record, Vec::new(), &mut self.spares)?;
        stream.begin(coded, record.raw_len)?;
        let mut raw = vec![0; record.raw_len as usize];
        stream.fill(&mut raw)?;
        stream.finish()?;
        stream.give_up(&mut self.spares);
        self.meter.release(transient + apart);
        Ok(raw)
    }

    /// All streams, by two threads: the raw bytes of each.
    fn read_together(&mut self, records: &[Record]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut jobs = Vec::with_capacity(records.len());
        for (place, record) in records.iter().enumerate() {
            self.meter.work(meter::decoding(record.coder, record.raw_len))?;
            self.meter.work(meter::ready(record.memory()))?;
            let mut coded = Vec::new();
            self.input.bytes(record.coded_len, &mut coded)?;
            jobs.push((place, record, coded, vec![0; record.raw_len as usize]));
        }
        // The longest first, so that both threads end together.
        jobs.sort_by_key(|(_, record, ..)| std::cmp::Reverse(record.raw_len));
        let jobs = Mutex::new(jobs.into_iter());
        // What is large is allocated by this thread: the C library keeps memory for each thread.
        let mut tables = Spares::default();
        if records.iter().any(|record| record.coder == coder::BYTES) {
            tables.bytes.keep(Box::new(ByteReader::new()), 0);
        }
        let mut done = thread::scope(|scope| {
            let helper = || read_jobs(&jobs, &mut tables);
            let helper =
                thread::Builder::new().name("control".to_owned()).spawn_scoped(scope, helper);
            let mut done = read_jobs(&jobs, &mut self.spares);
            // Without a helper this thread did all.
            if let Ok(Ok(more)) = helper.map(thread::ScopedJoinHandle::join) {
                done.extend(more);
            }
            done
        });
        done.sort_by_key(|(place, _)| *place);
        if done.len() != records.len() {
            return Err(failure!(Unexpected, "a thread stopped that decodes"));
        }
        done.into_iter().map(|(_, raw)| raw).collect()
    }
}

/// Reads streams until there are no more.
fn read_jobs<'a>(
    jobs: &Mutex<impl Iterator<Item = Job<'a>>>,
    spares: &mut Spares,
) -> Vec<(usize, Result<Vec<u8>, Failure>)> {
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let mut done = Vec::new();
    while let Some((place, record, coded, mut raw)) = next() {
        let read = || {
            let mut stream = Stream::fresh(record, Vec::new(), spares)?;
            stream.begin(coded, record.raw_len)?;
            stream.fill(&mut raw)?;
            stream.finish()?;
            stream.give_up(spares);
            Ok(raw)
        };
        done.push((place, read()));
    }
    done
}
