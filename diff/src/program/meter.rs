//! Accounts of memory and work, kept alike by reader and writer (docs/delta-format.md, "Limits").

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::coder::{
    BYTES_MEMORY, CORRECTIONS_MEMORY, IN_LAYERS_MEMORY, LZMA_CONTEXT, Sort, literals_memory,
};
use super::ids::{coder, generator};
use super::model;
use super::model::params::Params;
use super::model::version::Version;

/// Work of one op beside its bytes.
pub(crate) const WORK_OP: u64 = 64;
/// Work of one piece from columns beside its bytes: what it reads of the sources.
pub(crate) const WORK_GENERATE: u64 = 8192;
/// Memory of one range that is being opened.
pub(crate) const OPENING: u64 = 64 << 10;
/// Work of a raw byte that is coded by mixing, beside what is counted for it otherwise.
const WORK_MIXED: u64 = 7;
/// The same of corrections in layers.
const WORK_CORRECTED: u64 = 15;
/// Work of a literal that is coded by mixing, beside what is counted for it otherwise, and of a byte of its dictionary.
const WORK_LITERAL: u64 = 23;
const WORK_LEARNED: u64 = 3;
/// Of this many bytes of memory that a stream, the model of a run or an encoding counts as, making them ready is one unit of work;
/// encoders clear less of what they count as.
const READY: u64 = 256;
const ENCODER_READY: u64 = 1024;
/// Work of passing by one range of the scratch file that is in use, when a place is looked for.
const WORK_PASSED: u64 = 16;
/// Memory of one range of a dictionary of literals by mixing, beside its bytes.
const RANGE: u64 = 64;
/// Memory of one frame of zstd beside its window.
const ZSTD_CONTEXT: u64 = 512 << 10;
/// Memory of one declared kept object beside its bytes.
const KEPT_RECORD: u64 = 64;
/// Memory of one digest slot.
const SLOT: u64 = 40;
/// Memory of the directories of an archive: that of the base, that of the target, and where a walk through them is.
const ZIP: u64 = 8 << 20;
/// Memory of one numbered digest, from its ENTER to the end of the payload.
pub(crate) const DIGEST: u64 = 96;

/// What is held and done, against what was declared.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    held: u64,
    peak: u64,
    work: u64,
    memory_allowed: u64,
    work_allowed: u64,
}

impl Meter {
    /// An account with bounds.
    pub(crate) fn new(memory_allowed: u64, work_allowed: u64) -> Self {
        Self { held: 0, peak: 0, work: 0, memory_allowed, work_allowed }
    }

    /// An account that only counts.
    #[cfg(feature = "encode")]
    pub(crate) fn unbounded() -> Self {
        Self::new(u64::MAX, u64::MAX)
    }

    /// Takes memory.
    pub(crate) fn hold(&mut self, bytes: u64) -> Result<(), Failure> {
        self.held = self.held.saturating_add(bytes);
        self.peak = self.peak.max(self.held);
        if self.held > self.memory_allowed {
            let (held, allowed) = (self.held, self.memory_allowed);
            return Err(failure!(
                PackageCorrupt,
                "the delta needs {held} bytes of memory and declares {allowed}"
            ));
        }
        Ok(())
    }

    /// Memory that may still be taken.
    pub(crate) fn room(&self) -> u64 {
        self.memory_allowed.saturating_sub(self.held)
    }

    /// Gives memory back.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Counts work.
    pub(crate) fn work(&mut self, amount: u64) -> Result<(), Failure> {
        self.work = self.work.saturating_add(amount);
        if self.work > self.work_allowed {
            let allowed = self.work_allowed;
            return Err(failure!(
                PackageCorrupt,
                "the delta does more than the {allowed} units of work that it declares"
            ));
        }
        Ok(())
    }

    /// The largest amount of memory held since the last call.
    #[cfg(feature = "encode")]
    pub(crate) fn take_peak(&mut self) -> u64 {
        std::mem::replace(&mut self.peak, self.held)
    }

    /// All work counted.
    #[cfg(feature = "encode")]
    pub(crate) fn work_done(&self) -> u64 {
        self.work
    }
}

/// The memory that the tables of the head count as.
pub(crate) fn tables(kept: u64, slots: u64) -> u64 {
    kept.saturating_mul(KEPT_RECORD).saturating_add(slots.saturating_mul(SLOT))
}

/// The memory that a generator counts as, from its first use in the layer to the end, or in a kept object to the end of that.
pub(crate) fn generator(id: u64) -> u64 {
    if id == generator::ZIP { ZIP } else { 0 }
}

/// The memory that a stream of a slice counts as while it can be continued; its dictionary has so many ranges and bytes.
pub(crate) fn stream(
    (coder, sort): (u64, Option<Sort>),
    window_log: u8,
    (ranges, dictionary_len): (u64, u64),
) -> u64 {
    let window = 1u64 << window_log.min(63);
    let own = match coder {
        coder::ZSTD => ZSTD_CONTEXT + window,
        coder::SPARSE => 2 * (ZSTD_CONTEXT + window),
        coder::LZMA | coder::LZMA_MOVED => LZMA_CONTEXT + window,
        coder::CORRECTIONS => CORRECTIONS_MEMORY,
        coder::CORRECTIONS_LAYERED => IN_LAYERS_MEMORY,
        coder::BYTES => BYTES_MEMORY,
        _ if coder::is_literals(coder) => {
            literals_memory(sort.unwrap_or(Sort::X86_64), window, dictionary_len) + ranges * RANGE
        }
        _ => 0,
    };
    own + dictionary_len
}

/// The work of making ready what a fresh stream or the model of a run counts as.
pub(crate) fn ready(memory: u64) -> u64 {
    memory / READY
}

/// The work of making an encoder ready.
pub(crate) fn encoder_ready(memory: u64) -> u64 {
    memory / ENCODER_READY
}

/// The work of passing by so many ranges of the scratch file.
pub(crate) fn passed(ranges: u64) -> u64 {
    ranges.saturating_mul(WORK_PASSED)
}

/// The work of decoding so many raw bytes, beside what ops give.
pub(crate) fn decoding(coder: u64, raw_len: u64) -> u64 {
    match coder {
        coder::CORRECTIONS | coder::BYTES => raw_len.saturating_mul(WORK_MIXED),
        _ if coder::is_literals(coder) => raw_len.saturating_mul(WORK_LITERAL),
        coder::CORRECTIONS_LAYERED => raw_len.saturating_mul(WORK_CORRECTED),
        _ => 0,
    }
}

/// The memory that loading a dictionary of so many bytes takes beside the stream's: it is there twice, but where the stream keeps
/// it as it came.
pub(crate) fn loaded(coder: u64, dictionary_len: u64) -> u64 {
    if coder::is_literals(coder) { 0 } else { dictionary_len }
}

/// The work of loading a dictionary of so many bytes.
pub(crate) fn loading(coder: u64, dictionary_len: u64) -> u64 {
    let learned = if coder::is_literals(coder) { WORK_LEARNED } else { 0 };
    dictionary_len.saturating_mul(1 + learned)
}

/// The memory that the parameters of a model count as.
pub(crate) fn model_params(len: u64) -> u64 {
    len.saturating_mul(8)
}

/// The memory that a model in use counts as, for so many ops of its run that read a source.
pub(crate) fn model(ops: u64) -> u64 {
    model::MEMORY + ops.saturating_mul(model::MEMORY_OP)
}

/// The memory that tables of a model count as, beside an index of frames.
pub(crate) fn model_tables(params: &Params) -> u64 {
    let exceptions =
        if params.version >= Version::Fifth { model::exceptions_memory(params) } else { 0 };
    params.symbols.memory().saturating_add(exceptions)
}

/// The work that a payload may declare: 32 times the bytes of base layers and output, and 256 MiB.
pub(crate) fn work_allowed(sources_len: u64, output_len: u64) -> u64 {
    sources_len.saturating_add(output_len).saturating_mul(32).saturating_add(256 << 20)
}

/// The ops that a payload may have for so many bytes of output and kept objects.
pub(crate) fn ops_allowed(produced: u64) -> u64 {
    produced / 8 + 65_536
}

/// The plain bytes that may go through encoders, digest slots not counted.
pub(crate) fn encoded_allowed(produced: u64) -> u64 {
    produced.saturating_mul(8).saturating_add(1 << 20)
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_its_peak_known() {
        let mut meter = Meter::new(100, 10);
        meter.hold(60).unwrap();
        meter.release(20);
        meter.hold(60).unwrap();
        assert!(meter.hold(1).is_err());
        meter.release(61);
        assert_eq!(meter.take_peak(), 101);
        assert_eq!(meter.take_peak(), 40);
    }

    #[test]
    fn work_is_bounded() {
        let mut meter = Meter::new(0, 10);
        meter.work(10).unwrap();
        assert!(meter.work(1).is_err());
        assert_eq!(work_allowed(u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn streams_count_their_windows() {
        assert_eq!(stream((coder::STORED, None), 23, (0, 0)), 0);
        assert_eq!(stream((coder::ZSTD, None), 20, (1, 5)), (512 << 10) + (1 << 20) + 5);
        assert_eq!(stream((coder::SPARSE, None), 10, (0, 0)), 2 * ((512 << 10) + 1024));
        let (text, code) = (Some(Sort::Text), Some(Sort::X86_64));
        assert_eq!(
            stream((coder::LITERALS, text), 20, (2, 1 << 20)),
            128 + (12 << 20) + (16 << 20) + (2 << 20)
        );
        assert_eq!(
            stream((coder::LITERALS_MOVED, code), 10, (0, 0)),
            (15 << 20) + (16 << 12) + 1024
        );
    }
}
