//! The registries of ids: what an op, a stream, a coder … is called in a payload.
//!
//! An id is given once and never changes its meaning; a later version adds ids. The head of a payload
//! lists every id that it uses, so that a reader refuses what it does not know before any work.

use dd_inspect::failure;
use dd_inspect::failure::Failure;

/// A group of ids with one meaning each (docs/delta-format.md, "Registries").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Registry {
    /// What an op does.
    Op = 0,
    /// How EDIT predicts.
    Model = 1,
    /// What GEN computes.
    Generator = 2,
    /// How a stream is coded.
    Coder = 3,
    /// What a stream holds.
    Stream = 4,
    /// What ENTER puts between the ops and their output.
    Encoding = 5,
    /// How OPEN reads a compressed range.
    Opening = 6,
}

impl Registry {
    /// The registry with this number.
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Op,
            1 => Self::Model,
            2 => Self::Generator,
            3 => Self::Coder,
            4 => Self::Stream,
            5 => Self::Encoding,
            6 => Self::Opening,
            _ => return None,
        })
    }

    /// The word for one of its ids in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Op => "op",
            Self::Model => "model",
            Self::Generator => "generator",
            Self::Coder => "coder",
            Self::Stream => "stream kind",
            Self::Encoding => "encoding",
            Self::Opening => "opening",
        }
    }
}

/// The error for an id that this version does not know.
pub(crate) fn unknown(registry: &str, id: u64) -> Failure {
    failure!(Unsupported, "the delta needs {registry} {id}, which this version does not know"; "use a newer dd-apply")
}

/// Ops (registry 0).
pub mod op {
    /// Bytes of a source.
    pub const COPY: u8 = 0;
    /// Bytes of a source, predicted by a model and corrected.
    pub const EDIT: u8 = 1;
    /// Bytes of the payload.
    pub const LIT: u8 = 2;
    /// Computed bytes.
    pub const GEN: u8 = 3;
    /// What follows goes through an encoding.
    pub const ENTER: u8 = 4;
    /// Ends the innermost ENTER.
    pub const LEAVE: u8 = 5;
    /// The content of a compressed range of a source.
    pub const OPEN: u8 = 6;
}

/// Models (registry 1).
pub mod model {
    /// The source's bytes as they are.
    pub const BYTES: u64 = 0;
    /// The source is an executable for x86-64, and what it means by addresses moved.
    pub const X86_64: u64 = 1;
    /// The same, and literals of code have addresses in place of distances.
    pub const X86_64_CODE: u64 = 2;
    /// The same with tables: those of Go programs, and new rows.
    pub const X86_64_TABLES: u64 = 3;
    /// The same with tables of symbols and their names.
    pub const X86_64_SYMBOLS: u64 = 4;
    /// The same with tables of exceptions.
    pub const X86_64_EXCEPTIONS: u64 = 5;
    /// What the fifth model is, for AArch64.
    pub const AARCH64: u64 = 6;
}

/// Generators (registry 2).
pub mod generator {
    /// Zero bytes.
    pub const ZEROS: u64 = 0;
    /// Padding of the entry before and header of the next entry of a tar, from columns.
    pub const TAR_HEADER: u64 = 1;
    /// The 64 lower-case hexadecimal digits of a digest slot.
    pub const DIGEST_HEX: u64 = 2;
    /// Framing of zip archives, from columns.
    pub const ZIP: u64 = 3;
    /// A numbered digest in lower-case hexadecimal digits.
    pub const HEX: u64 = 16;
    /// A numbered digest in base64 without padding.
    pub const BASE64: u64 = 17;
    /// A numbered digest in base64 for URLs, without padding.
    pub const BASE64_URL: u64 = 18;
    /// The bytes of a source that follow those that it gave last.
    pub const FOLLOWING: u64 = 19;
    /// Tar headers as those of `TAR_HEADER`, whose texts may move like ones before.
    pub const TAR_HEADER_MOVED: u64 = 20;
    /// The time of the last tar header, 4 bytes.
    pub const MTIME: u64 = 21;
    /// No bytes: which entry of a base the content that follows was, from columns.
    pub const BASE_ENTRY: u64 = 22;
    /// Records of symbols of an executable, from columns.
    pub const SYMBOLS: u64 = 23;
    /// Their names.
    pub const NAMES: u64 = 24;
    /// Rows of the table that finds frame descriptions of an executable, from columns.
    pub const FRAME_INDEX: u64 = 25;
    /// Tables that say where exceptions are handled, from columns.
    pub const EXCEPTIONS: u64 = 26;
}

/// Coders (registry 3).
pub mod coder {
    /// The bytes themselves.
    pub const STORED: u64 = 0;
    /// A zstd frame.
    pub const ZSTD: u64 = 1;
    /// Runs of zeros and the bytes between them, each a zstd frame.
    pub const SPARSE: u64 = 2;
    /// LZMA2 with a preset dictionary.
    pub const LZMA: u64 = 3;
    /// Bytes by context mixing.
    pub const BYTES: u64 = 5;
    /// LZMA2 with a preset dictionary as the model of the run turns it.
    pub const LZMA_MOVED: u64 = 6;
    /// Corrections by context mixing.
    pub const CORRECTIONS: u64 = 9;
    /// Corrections by context mixing in two layers.
    pub const CORRECTIONS_LAYERED: u64 = 12;
    /// Literals by context mixing, with a dictionary.
    pub const LITERALS: u64 = 13;
    /// The same with a dictionary as the model of the run turns it.
    pub const LITERALS_MOVED: u64 = 14;

    /// Whether a coder is one of these; 4, 7, 8, 10 and 11 were given up before the first release.
    pub(crate) const fn is_known(id: u64) -> bool {
        matches!(id, STORED..=LZMA | BYTES | LZMA_MOVED | CORRECTIONS | CORRECTIONS_LAYERED..=LITERALS_MOVED)
    }

    /// Whether it codes corrections by mixing.
    pub(crate) const fn is_corrections(id: u64) -> bool {
        matches!(id, CORRECTIONS | CORRECTIONS_LAYERED)
    }

    /// Whether it codes literals by mixing.
    pub(crate) const fn is_literals(id: u64) -> bool {
        matches!(id, LITERALS | LITERALS_MOVED)
    }

    /// Whether the model of the run turns its dictionary.
    pub(crate) const fn is_moved(id: u64) -> bool {
        matches!(id, LZMA_MOVED | LITERALS_MOVED)
    }

    /// Whether a fresh stream has a dictionary.
    pub(crate) const fn has_dictionary(id: u64) -> bool {
        matches!(id, ZSTD | LZMA | LZMA_MOVED | LITERALS | LITERALS_MOVED)
    }

    /// Whether a fresh stream says how large its window is.
    pub(crate) const fn has_window(id: u64) -> bool {
        id == SPARSE || has_dictionary(id)
    }
}

/// Kinds of streams (registry 4).
pub mod stream {
    /// One byte an op: what it is.
    pub const OPS: u64 = 0;
    /// Lengths of ops, and of what comes out of encodings.
    pub const LENGTHS: u64 = 1;
    /// Sources of ops that read one.
    pub const SOURCES: u64 = 2;
    /// Offsets in these, against the predicted ones.
    pub const OFFSETS: u64 = 3;
    /// What else ops need.
    pub const OPERANDS: u64 = 4;
    /// Values of generators, column by column.
    pub const COLUMNS: u64 = 5;
    /// Literal bytes of text.
    pub const TEXT: u64 = 6;
    /// Literal bytes of machine code.
    pub const CODE: u64 = 7;
    /// Literal bytes of anything else.
    pub const RAW: u64 = 8;
    /// Differences between predicted and wanted bytes.
    pub const CORRECTIONS: u64 = 9;
    /// What encodings need beside their parameters.
    pub const EXACT: u64 = 10;
}

/// Encodings (registry 5).
pub mod encoding {
    /// No change; the SHA-256 of the bytes goes into a digest slot.
    pub const DIGEST: u64 = 0;
    /// A raw deflate stream (RFC 1951) as zlib writes it.
    pub const ZLIB: u64 = 1;
    /// A raw deflate stream as GNU gzip writes it.
    pub const GNU_GZIP: u64 = 2;
    /// A raw deflate stream as Go, klauspost/compress, pgzip or pigz writes it.
    pub const DEFLATE: u64 = 3;
    /// No change; the MD5 of the bytes becomes the next numbered digest.
    pub const MD5: u64 = 16;
    /// The same with SHA-1.
    pub const SHA1: u64 = 17;
    /// The same with SHA-256.
    pub const SHA256: u64 = 18;
    /// The same with SHA-512.
    pub const SHA512: u64 = 19;
}

/// Openings (registry 6).
pub mod opening {
    /// A raw deflate stream (RFC 1951).
    pub const DEFLATE: u64 = 0;
}
