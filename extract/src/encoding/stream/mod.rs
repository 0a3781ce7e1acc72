//! Deflate streams (RFC 1951): which encoder writes one, with what parameters.

#[cfg(feature = "identify")]
pub(super) mod candidates;
mod releases;

use std::fmt;
use std::io::{self, Read};

use dd_inspect::failure;
use dd_inspect::failure::Failure;
use serde::{Deserialize, Serialize};

use super::pigz::Pigz;
use super::varint;
use super::zlib::{self, Deflater, ZlibParams};
use crate::deflate::{Blocks, Class, Gnu, Go, Klauspost, Piece, blocks_held};
pub use releases::{GoRelease, KlauspostRelease};
use releases::{name, place};

/// The longest block of pgzip and pigz that is taken; it decides the memory that encoding takes.
pub const MAX_BLOCK: u64 = 4 << 20;
/// The shortest block of pigz: its dictionary is as long.
const MIN_PIGZ_BLOCK: u64 = 32 << 10;
/// Blocks are encoded on this many threads at most.
const MAX_THREADS: u64 = 4;
/// Memory that an encoder on several threads takes at most, in bytes.
const MOST_MEMORY: u64 = 20 << 20;
/// Memory that an encoder of one block takes, in bytes.
const ENCODER_MEMORY: u64 = 2 << 20;

/// A deflate stream that an encoder writes which is known: nothing but its parameters is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deflate", rename_all = "lowercase")]
pub enum Known {
    /// zlib.
    Zlib(ZlibParams),
    /// Go's compress/flate.
    Go {
        /// The first release that writes these bytes.
        release: GoRelease,
        /// -2 (Huffman only), 0 to 9.
        level: i8,
        /// The stream is flushed before it is closed, as eStargz does it.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        flush: bool,
    },
    /// klauspost/compress flate, and pgzip, which uses it.
    Klauspost {
        /// The first release that writes these bytes.
        release: KlauspostRelease,
        /// -2 (Huffman only), 0 to 9.
        level: i8,
        /// Bytes of text in a block of pgzip; absent for a stream of one piece.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        block: Option<u64>,
    },
    /// pigz: zlib's streams in blocks.
    Pigz {
        /// 1 to 9.
        level: u8,
        /// Bytes of text in a block.
        block: u64,
        /// One thread wrote it, so that blocks are no streams of their own.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        one_thread: bool,
    },
    /// GNU gzip.
    #[serde(rename = "gnu-gzip")]
    Gnu {
        /// 1 to 9.
        level: u8,
    },
}

/// How a script says which encoder it is.
const ZLIB: u8 = 1;
const GO: u8 = 3;
const KLAUSPOST: u8 = 4;
const PIGZ: u8 = 5;
const GO_FLUSHED: u8 = 6;
const GNU: u8 = 8;

/// The features that encoders of this module are.
pub(super) fn features() -> Vec<String> {
    let go = releases::GO.map(|(_, name)| format!("go-{name}"));
    let klauspost = releases::KLAUSPOST.map(|(_, name)| format!("klauspost-{name}"));
    [&go[..], &klauspost, &["gnu-gzip", "pigz", "zlib"].map(str::to_owned)].concat()
}

impl Known {
    /// What a reader must have: `zlib`, `go-1.16`, `klauspost-1.15.11`.
    pub fn feature(&self) -> String {
        match self {
            Self::Zlib(_) => "zlib".to_owned(),
            Self::Go { release, .. } => format!("go-{}", name(&releases::GO, *release)),
            Self::Klauspost { release, .. } => {
                format!("klauspost-{}", name(&releases::KLAUSPOST, *release))
            }
            Self::Pigz { .. } => "pigz".to_owned(),
            Self::Gnu { .. } => "gnu-gzip".to_owned(),
        }
    }

    /// Memory that encoding takes at most, in bytes.
    pub fn memory(&self) -> u64 {
        match self {
            Self::Zlib(_) => zlib::MEMORY,
            Self::Go { .. } | Self::Klauspost { block: None, .. } => 4 << 20,
            Self::Pigz { one_thread: true, .. } | Self::Gnu { .. } => zlib::MEMORY,
            Self::Klauspost { block: Some(block), .. } | Self::Pigz { block, .. } => memory(*block),
        }
    }

    /// Bytes in a block of pgzip or pigz, 0 without.
    pub fn block(&self) -> u64 {
        match self {
            Self::Klauspost { block, .. } => block.unwrap_or(0),
            Self::Pigz { block, one_thread: false, .. } => *block,
            _ => 0,
        }
    }

    /// An encoder that writes the same for so many bytes of text, and writes it as it comes: without blocks, if they are longer.
    #[cfg(feature = "identify")]
    pub(super) fn until(self, len: u64) -> Self {
        match self {
            Self::Klauspost { release, level, block: Some(block) } if block >= len => {
                Self::Klauspost { release, level, block: None }
            }
            Self::Pigz { level, block, .. } if block >= len => {
                Self::Pigz { level, block, one_thread: true }
            }
            other => other,
        }
    }

    /// The whole stream of a text.
    ///
    /// # Errors
    /// `package-corrupt` for parameters that the encoder does not have.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u8>, Failure> {
        let (mut writer, mut out) = (self.writer()?, Vec::new());
        writer.write(text, &mut out)?;
        writer.finish(&mut out)?;
        Ok(out)
    }

    /// An encoder, on as many threads as its memory is counted for and this machine has.
    ///
    /// # Errors
    /// `package-corrupt` for parameters that the encoder does not have.
    pub(super) fn writer(&self) -> Result<Writer, Failure> {
        self.writer_on(threads(self.block()))
    }

    /// An encoder that works on this thread alone. With blocks of *b* bytes it takes at most 4 MiB + 4 *b*.
    ///
    /// # Errors
    /// `package-corrupt` for parameters that the encoder does not have.
    pub fn writer_here(&self) -> Result<Writer, Failure> {
        self.writer_on(1)
    }

    fn writer_on(&self, threads: usize) -> Result<Writer, Failure> {
        let known = |level: i8| level == -2 || (0..=9).contains(&level);
        let kind = match *self {
            Self::Zlib(params) => Deflater::new(params).map(Kind::Zlib),
            Self::Go { release: GoRelease::V1_16, level, flush } if known(level) => {
                Ok(Kind::Go(Go::new(level), flush))
            }
            Self::Go { release: GoRelease::V1_27, level, flush } if known(level) => {
                Ok(Kind::Klauspost(Box::new(Klauspost::new(level, Class::Go1_27)), flush))
            }
            Self::Klauspost { release, level, block: None } if release.has(level) => {
                Ok(Kind::Klauspost(Box::new(Klauspost::new(level, release.class())), false))
            }
            Self::Klauspost { release, level, block: Some(block) }
                if release.has(level) && (1..=MAX_BLOCK).contains(&block) =>
            {
                let piece = Piece { level, class: release.class() };
                Ok(Kind::Pgzip(piece.blocks(block as usize, threads)))
            }
            Self::Pigz { level: level @ 1..=9, block, one_thread }
                if (MIN_PIGZ_BLOCK..=MAX_BLOCK).contains(&block) =>
            {
                let threads = (!one_thread).then_some(threads);
                Pigz::new(level, block as usize, threads).map(Kind::Pigz)
            }
            Self::Gnu { level: level @ 1..=9 } => Ok(Kind::Gnu(Box::new(Gnu::new(level)))),
            _ => Err(failure!(PackageCorrupt, "no deflate encoder has these parameters: {self:?}")),
        };
        kind.map(Writer)
    }

    /// The parameters as a script has them.
    pub fn put(&self, script: &mut Vec<u8>) {
        match *self {
            Self::Zlib(params) => script.extend([ZLIB, params.level, params.mem_level]),
            Self::Go { release, level, flush } => {
                let id = if flush { GO_FLUSHED } else { GO };
                script.extend([id, place(&releases::GO, release), level.cast_unsigned()]);
            }
            Self::Klauspost { release, level, block } => {
                let release = place(&releases::KLAUSPOST, release);
                script.extend([KLAUSPOST, release, level.cast_unsigned()]);
                varint::put(script, block.unwrap_or(0));
            }
            Self::Pigz { level, block, one_thread } => {
                script.extend([PIGZ, level, u8::from(one_thread)]);
                varint::put(script, block);
            }
            Self::Gnu { level } => script.extend([GNU, level, 0]),
        }
    }

    /// Reads what [`Known::put`] wrote, after its first byte; none for another encoder or release.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn get(id: u8, script: &mut impl Read) -> io::Result<Option<Self>> {
        if ![ZLIB, GO, KLAUSPOST, PIGZ, GO_FLUSHED, GNU].contains(&id) {
            return Ok(None);
        }
        let mut bytes = [0; 2];
        script.read_exact(&mut bytes)?;
        let [first, level] = bytes;
        let (release, signed) = (usize::from(first), level.cast_signed());
        Ok(match id {
            ZLIB => Some(Self::Zlib(ZlibParams { level: first, mem_level: level })),
            GNU => (level == 0).then_some(Self::Gnu { level: first }),
            PIGZ => {
                let block = varint::get(script)?;
                (level <= 1).then_some(Self::Pigz { level: first, block, one_thread: level == 1 })
            }
            KLAUSPOST => {
                let block = Some(varint::get(script)?).filter(|block| *block > 0);
                releases::KLAUSPOST.get(release).map(|(release, _)| Self::Klauspost {
                    release: *release,
                    level: signed,
                    block,
                })
            }
            _ => releases::GO.get(release).map(|(release, _)| Self::Go {
                release: *release,
                level: signed,
                flush: id == GO_FLUSHED,
            }),
        })
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zlib(ZlibParams { level, mem_level: 8 }) => write!(f, "zlib {level}"),
            Self::Zlib(params) => write!(f, "zlib {} memLevel {}", params.level, params.mem_level),
            Self::Go { release, level, .. } => {
                write!(f, "Go {} level {level}", name(&releases::GO, *release))
            }
            Self::Pigz { level, one_thread: true, .. } => write!(f, "pigz {level} -p 1"),
            Self::Pigz { level, .. } => write!(f, "pigz {level}"),
            Self::Gnu { level } => write!(f, "GNU gzip {level}"),
            Self::Klauspost { release, level, block } => {
                let program = if block.is_some() { "pgzip" } else { "klauspost" };
                write!(f, "{program} {} level {level}", name(&releases::KLAUSPOST, *release))
            }
        }
    }
}

/// Memory that any of the encoders takes with blocks of this length, the threads' included.
pub(super) fn memory(block: u64) -> u64 {
    if block == 0 {
        return 4 << 20;
    }
    memory_on(max_threads(block), block)
}

fn memory_on(threads: u64, block: u64) -> u64 {
    (threads * ENCODER_MEMORY).saturating_add(blocks_held(threads).saturating_mul(block))
}

/// Threads that memory is counted for, by the length of a block.
fn max_threads(block: u64) -> u64 {
    let fits = |threads: &u64| memory_on(*threads, block) <= MOST_MEMORY;
    (1..=MAX_THREADS).rev().find(fits).unwrap_or(1)
}

/// Threads for blocks of this length on this machine.
fn threads(block: u64) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.min(max_threads(block) as usize)
}

/// An encoder under way.
#[derive(Debug)]
pub struct Writer(Kind);

#[derive(Debug)]
enum Kind {
    Zlib(Deflater),
    /// And whether it is flushed before it is closed.
    Go(Go, bool),
    /// And whether it is flushed before it is closed.
    Klauspost(Box<Klauspost>, bool),
    Pgzip(Blocks<Piece>),
    Pigz(Pigz),
    Gnu(Box<Gnu>),
}

impl Writer {
    /// Takes plain bytes and appends what is ready.
    ///
    /// # Errors
    /// `unexpected`, if zlib's state is broken.
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.0 {
            Kind::Zlib(deflater) => return deflater.write(plain, out),
            Kind::Go(go, _) => go.write(plain, out),
            Kind::Klauspost(klauspost, _) => klauspost.write(plain, out),
            Kind::Pgzip(blocks) => blocks.write(plain, out),
            Kind::Pigz(pigz) => return pigz.write(plain, out),
            Kind::Gnu(gnu) => gnu.write(plain, out),
        }
        Ok(())
    }

    /// Appends the rest.
    ///
    /// # Errors
    /// `unexpected`, if zlib's state is broken.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), Failure> {
        match self.0 {
            Kind::Zlib(deflater) => return deflater.finish(out),
            Kind::Go(mut go, flush) => {
                if flush {
                    go.flush(out);
                }
                go.finish(out);
            }
            Kind::Klauspost(mut klauspost, flush) => {
                if flush {
                    klauspost.flush(out);
                }
                klauspost.finish(out);
            }
            Kind::Pgzip(mut blocks) => blocks.finish(out),
            Kind::Pigz(pigz) => return pigz.finish(out),
            Kind::Gnu(mut gnu) => gnu.finish(out),
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn scripts_give_the_parameters_back() {
        let mut all = Known::candidates(&candidates::Signs::default());
        all.push(Known::Pigz { level: 6, block: 1 << 17, one_thread: false });
        all.push(Known::Pigz { level: 9, block: 1 << 15, one_thread: true });
        all.push(Known::Go { release: GoRelease::V1_16, level: 9, flush: true });
        let block = Some(1 << 20);
        all.push(Known::Klauspost { release: KlauspostRelease::V1_18_1, level: 5, block });
        for known in all {
            let mut script = Vec::new();
            known.put(&mut script);
            let read = Known::get(script[0], &mut &script[1..]).unwrap();
            assert_eq!(read, Some(known));
            assert!(features().contains(&known.feature()), "{known}");
            assert!(known.memory() <= 24 << 20, "{known}");
            assert!(known.writer().is_ok(), "{known}");
        }
        assert_eq!(Known::get(9, &mut &[0, 0][..]).unwrap(), None);
        assert_eq!(Known::get(GO, &mut &[2, 6][..]).unwrap(), None);
    }

    #[test]
    fn parameters_that_no_encoder_has() {
        let release = KlauspostRelease::V1_15_11;
        let wrong = [
            Known::Go { release: GoRelease::V1_16, level: 10, flush: false },
            Known::Go { release: GoRelease::V1_27, level: -1, flush: true },
            Known::Pigz { level: 0, block: 1 << 17, one_thread: false },
            Known::Pigz { level: 6, block: 1 << 14, one_thread: true },
            Known::Gnu { level: 0 },
            Known::Gnu { level: 10 },
            Known::Klauspost { release, level: -3, block: None },
            Known::Klauspost { release, level: 5, block: Some(0) },
            Known::Klauspost { release, level: 5, block: Some(MAX_BLOCK + 1) },
        ];
        for known in wrong {
            assert!(known.writer().is_err(), "{known}");
        }
    }

    #[cfg(feature = "identify")]
    #[test]
    fn blocks_begin_as_a_stream_without_them_does() {
        let text: Vec<u8> = (0..300_000u32).map(|at| (at.wrapping_mul(at) >> 9) as u8).collect();
        let release = KlauspostRelease::V1_15_11;
        for known in [
            Known::Klauspost { release, level: 5, block: Some(256 << 10) },
            Known::Pigz { level: 6, block: 256 << 10, one_thread: false },
        ] {
            let whole = known.encode(&text).unwrap();
            let (begun, mut out) = (known.until(256 << 10), Vec::new());
            assert_ne!(begun, known);
            begun.writer().unwrap().write(&text[..256 << 10], &mut out).unwrap();
            assert!(out.len() > 1000 && whole.starts_with(&out), "{known}");
            assert_eq!(known.until((256 << 10) + 1), known);
        }
    }
}
