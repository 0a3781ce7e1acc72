//! Ops: the steps of a delta program (docs/delta-format.md, "Ops").

use dd_inspect::failure::Failure;

use super::hooks::Source;
use super::ids::{self, Registry, encoding, generator, op};
use super::input::out_of_range;
use super::quoted::{Form, Hash};

/// One step of a delta program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Bytes of a source.
    Copy {
        /// What is read.
        source: Source,
        /// From where.
        offset: u64,
        /// How many bytes, at least 1.
        len: u64,
    },
    /// Bytes of a source, predicted by a model and corrected by the `corrections` stream.
    Edit {
        /// 0 for the bytes as they are, else the place of one of the unit's models, counted from 1.
        model: u64,
        /// What is read.
        source: Source,
        /// From where.
        offset: u64,
        /// How many bytes, at least 1.
        len: u64,
    },
    /// Literal bytes.
    Literal {
        /// The stream that holds them.
        kind: Literal,
        /// How many, at least 1.
        len: u64,
    },
    /// Computed bytes, of a length that stands here.
    Computed {
        /// What they are.
        kind: Computed,
        /// How many, at least 1.
        len: u64,
    },
    /// The 64 hexadecimal digits of a digest slot.
    DigestHex {
        /// The slot, filled before.
        slot: u64,
    },
    /// The next piece of a generator that works from columns.
    Generate {
        /// Its id.
        generator: u64,
    },
    /// The text of a numbered digest.
    Digest {
        /// How it is written.
        form: Form,
        /// Its number, as a difference to that after the last one that was written.
        step: i64,
    },
    /// The bytes of a source after those that the last such op of this source gave.
    Following {
        /// What is read.
        source: Source,
        /// How many bytes, at least 1.
        len: u64,
    },
    /// The time of the last tar header plus a difference, modulo 2^32, as 4 bytes, the lowest first.
    Mtime {
        /// The difference in seconds.
        step: i64,
    },
    /// What follows is hashed into the next numbered digest.
    EnterHash {
        /// How it is hashed.
        hash: Hash,
    },
    /// What follows is hashed into a digest slot.
    EnterDigest {
        /// The slot; what it held before is forgotten at LEAVE.
        slot: u64,
    },
    /// What follows goes through an encoder.
    Enter {
        /// The id of the encoding.
        encoding: u64,
        /// Its parameters.
        params: Vec<u8>,
        /// Bytes of the `exact` stream that it takes.
        exact_len: u64,
        /// Bytes that come out of it.
        encoded_len: u64,
    },
    /// Ends the innermost ENTER.
    Leave,
    /// The content of a compressed range of a source.
    Open {
        /// How it is compressed.
        opening: u64,
        /// What is read.
        source: Source,
        /// Where the compressed range begins.
        offset: u64,
        /// Its length in bytes.
        coded_len: u64,
        /// Bytes of content, at least 1.
        len: u64,
    },
}

impl Op {
    /// The bytes that the op gives, as far as it says that: 0 where a generator or a digest does, or where there are none.
    pub(crate) fn said_len(&self) -> u64 {
        match self {
            Self::Copy { len, .. }
            | Self::Edit { len, .. }
            | Self::Literal { len, .. }
            | Self::Computed { len, .. }
            | Self::Following { len, .. }
            | Self::Open { len, .. } => *len,
            Self::DigestHex { .. } => 64,
            Self::Mtime { .. } => 4,
            Self::Generate { .. }
            | Self::Digest { .. }
            | Self::EnterHash { .. }
            | Self::EnterDigest { .. }
            | Self::Enter { .. }
            | Self::Leave => 0,
        }
    }

    /// The bytes that an op gives which goes on with a run; none for other ops, which end it.
    pub(crate) fn plain_len(&self) -> Option<u64> {
        let is_plain = matches!(
            self,
            Self::Copy { .. } | Self::Edit { .. } | Self::Literal { .. } | Self::Computed { .. }
        );
        is_plain.then(|| self.said_len())
    }
}

/// Kinds of computed bytes of which the op says how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Computed {
    /// Zero bytes.
    Zeros,
    /// Records of symbols, whole ones, by the model of the run and from columns.
    Symbols,
    /// Names of these symbols.
    Names,
    /// Rows of the table that finds frame descriptions, whole ones, by the model of the run and from columns.
    FrameIndex,
    /// Tables of exceptions, by the model of the run and from columns.
    Exceptions,
}

impl Computed {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Zeros, Self::Symbols, Self::Names, Self::FrameIndex, Self::Exceptions];

    /// The generator (registry 2) that makes it.
    pub const fn generator(self) -> u64 {
        match self {
            Self::Zeros => generator::ZEROS,
            Self::Symbols => generator::SYMBOLS,
            Self::Names => generator::NAMES,
            Self::FrameIndex => generator::FRAME_INDEX,
            Self::Exceptions => generator::EXCEPTIONS,
        }
    }

    /// What a generator makes, if that is one of these.
    pub fn from_generator(id: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.generator() == id)
    }
}

/// Kinds of literal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Literal {
    /// Text.
    Text,
    /// Machine code.
    Code,
    /// Anything else.
    Raw,
}

impl Literal {
    /// The stream kind that holds these bytes.
    pub const fn stream(self) -> u64 {
        match self {
            Self::Text => ids::stream::TEXT,
            Self::Code => ids::stream::CODE,
            Self::Raw => ids::stream::RAW,
        }
    }

    pub(super) fn from_number(number: u64) -> Result<Self, Failure> {
        match number {
            0 => Ok(Self::Text),
            1 => Ok(Self::Code),
            2 => Ok(Self::Raw),
            _ => Err(out_of_range("a kind of literals")),
        }
    }
}

/// The ids that an op makes use of; models are the unit's matter.
pub(crate) fn ids_of(op: &Op) -> [Option<(Registry, u64)>; 2] {
    let code = |code: u8| Some((Registry::Op, u64::from(code)));
    match op {
        Op::Copy { .. } => [code(op::COPY), None],
        Op::Edit { model: 0, .. } => [code(op::EDIT), Some((Registry::Model, ids::model::BYTES))],
        Op::Edit { .. } => [code(op::EDIT), None],
        Op::Literal { .. } => [code(op::LIT), None],
        Op::Computed { kind, .. } => [code(op::GEN), Some((Registry::Generator, kind.generator()))],
        Op::DigestHex { .. } => [code(op::GEN), Some((Registry::Generator, generator::DIGEST_HEX))],
        Op::Generate { generator } => [code(op::GEN), Some((Registry::Generator, *generator))],
        Op::Digest { form, .. } => [code(op::GEN), Some((Registry::Generator, form.generator()))],
        Op::Mtime { .. } => [code(op::GEN), Some((Registry::Generator, generator::MTIME))],
        Op::Following { .. } => [code(op::GEN), Some((Registry::Generator, generator::FOLLOWING))],
        Op::EnterHash { hash } => [code(op::ENTER), Some((Registry::Encoding, hash.encoding()))],
        Op::EnterDigest { .. } => [code(op::ENTER), Some((Registry::Encoding, encoding::DIGEST))],
        Op::Enter { encoding, .. } => [code(op::ENTER), Some((Registry::Encoding, *encoding))],
        Op::Leave => [code(op::LEAVE), None],
        Op::Open { opening, .. } => [code(op::OPEN), Some((Registry::Opening, *opening))],
    }
}
