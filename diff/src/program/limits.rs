//! Bounds of the format and of a reader (docs/delta-format.md, "Limits").

/// Bytes that the head may have.
pub const HEAD_LEN: u64 = 4 << 20;
/// Base layers that a payload may read.
pub const SOURCES: u64 = 4096;
/// Kept objects that a payload may make.
pub const KEPT: u64 = 1 << 16;
/// Digest slots.
pub const SLOTS: u64 = 1 << 16;
/// Models of a unit.
pub const UNIT_MODELS: u64 = 16;
/// Ops of a unit.
pub const UNIT_OPS: u64 = 1 << 18;
/// Raw bytes of the control streams of a unit together, and of its columns.
pub const CONTROL_LEN: u64 = 8 << 20;
/// Coded bytes of a slice.
pub const SLICE_LEN: u64 = 4 << 20;
/// Raw bytes of runs and values of a sparse stream in one slice, together.
pub const SPARSE_LEN: u64 = 8 << 20;
/// Bytes of an EDIT that are predicted, then corrected, together; counted from its first byte.
pub const BLOCK_LEN: usize = 32;
/// Bytes of a dictionary.
pub const DICTIONARY_LEN: u64 = 8 << 20;
/// Largest window of a coder, as a power of two.
pub const WINDOW_LOG: u8 = 23;
/// Encodings open at once, digest slots among them.
pub const DEPTH: usize = 4;
/// Bytes of parameters of an encoding or a model.
pub const PARAMS_LEN: u64 = 64 << 10;
/// Bytes of the `exact` stream that one encoding takes.
pub const EXACT_LEN: u64 = 1 << 20;
/// Bytes that one GEN gives whose bytes come from columns: tar headers and framing of zip archives.
pub const GENERATED_LEN: usize = 1 << 20;
/// How many times longer the content of an opened range may be.
pub const OPENED_RATIO: u64 = 64;
/// Bytes of kept objects that stay in memory; the others lie in the scratch file.
pub const KEPT_IN_MEMORY: u64 = 16 << 20;

/// What a reader is willing to spend; compared with the head before work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes, beside code and I/O buffers (some 8 MiB).
    pub memory: u64,
    /// Scratch file in bytes.
    pub scratch: u64,
}

impl Default for Limits {
    /// 80 MiB of memory, 4 GiB of scratch.
    fn default() -> Self {
        Self { memory: 80 << 20, scratch: 4 << 30 }
    }
}
