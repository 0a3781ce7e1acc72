//! Deflate streams (RFC 1951): which encoder writes one, with what parameters.

use std::fmt;
use std::io::{self, Read};

use dd_inspect::failure;
use dd_inspect::failure::Failure;
use serde::{Deserialize, Serialize};

use super::varint;
use super::zlib::{self, Deflater, ZlibParams};
use crate::deflate::{Class, Go, Klauspost, Pgzip};

/// The longest block of pgzip that is taken; it decides the memory that encoding takes.
pub const MAX_BLOCK: u64 = 4 << 20;
/// Blocks of pgzip are encoded on this many threads at most.
const MAX_THREADS: u64 = 4;

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
}

/// Releases of Go whose encoders differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GoRelease {
    /// Go 1.16 to 1.26.
    #[serde(rename = "1.16")]
    V1_16,
    /// Go 1.27 and later.
    #[serde(rename = "1.27")]
    V1_27,
}

/// Releases of klauspost/compress whose encoders differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KlauspostRelease {
    /// 1.15.11 to 1.17.11.
    #[serde(rename = "1.15.11")]
    V1_15_11,
    /// 1.18.0.
    #[serde(rename = "1.18.0")]
    V1_18_0,
    /// 1.18.1 and later.
    #[serde(rename = "1.18.1")]
    V1_18_1,
}

/// How a script says which encoder it is.
pub(super) const ZLIB: u8 = 1;
pub(super) const GO: u8 = 3;
pub(super) const KLAUSPOST: u8 = 4;

const GO_RELEASES: [(GoRelease, &str); 2] =
    [(GoRelease::V1_16, "1.16"), (GoRelease::V1_27, "1.27")];
const KLAUSPOST_RELEASES: [(KlauspostRelease, &str); 3] = [
    (KlauspostRelease::V1_15_11, "1.15.11"),
    (KlauspostRelease::V1_18_0, "1.18.0"),
    (KlauspostRelease::V1_18_1, "1.18.1"),
];

/// The features that encoders of this module are.
pub(super) fn features() -> Vec<String> {
    let go = GO_RELEASES.map(|(_, name)| format!("go-{name}"));
    let klauspost = KLAUSPOST_RELEASES.map(|(_, name)| format!("klauspost-{name}"));
    [&go[..], &klauspost, &["zlib".to_owned()]].concat()
}

impl Known {
    /// What a reader must have: `zlib`, `go-1.16`, `klauspost-1.15.11`.
    pub fn feature(&self) -> String {
        match self {
            Self::Zlib(_) => "zlib".to_owned(),
            Self::Go { release, .. } => format!("go-{}", name(&GO_RELEASES, *release)),
            Self::Klauspost { release, .. } => {
                format!("klauspost-{}", name(&KLAUSPOST_RELEASES, *release))
            }
        }
    }

    /// Memory that encoding takes at most, in bytes.
    pub fn memory(&self) -> u64 {
        match self {
            Self::Zlib(_) => zlib::MEMORY,
            Self::Go { .. } | Self::Klauspost { block: None, .. } => 4 << 20,
            Self::Klauspost { block: Some(block), .. } => memory(*block),
        }
    }

    /// Bytes in a block of pgzip, 0 without.
    pub(super) fn block(&self) -> u64 {
        match self {
            Self::Klauspost { block, .. } => block.unwrap_or(0),
            _ => 0,
        }
    }

    /// An encoder.
    ///
    /// # Errors
    /// `package-corrupt` for parameters that the encoder does not have.
    pub(super) fn writer(&self) -> Result<Writer, Failure> {
        let known = |level: i8| level == -2 || (0..=9).contains(&level);
        match *self {
            Self::Zlib(params) => Deflater::new(params).map(Writer::Zlib),
            Self::Go { release: GoRelease::V1_16, level } if known(level) => {
                Ok(Writer::Go(Go::new(level)))
            }
            Self::Go { release: GoRelease::V1_27, level } if known(level) => {
                Ok(Writer::Klauspost(Box::new(Klauspost::new(level, Class::Go1_27))))
            }
            Self::Klauspost { release, level, block: None } if known(level) => {
                Ok(Writer::Klauspost(Box::new(Klauspost::new(level, class(release)))))
            }
            Self::Klauspost { release, level, block: Some(block) }
                if known(level) && (1..=MAX_BLOCK).contains(&block) =>
            {
                // Blocks are encoded by rayon's threads: one of them must not wait for another.
                let inside = rayon::current_thread_index().is_some();
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let threads = if inside { 1 } else { cores.min(threads(block) as usize) };
                Ok(Writer::Pgzip(Pgzip::new(level, class(release), block as usize, threads)))
            }
            _ => Err(failure!(PackageCorrupt, "no deflate encoder has these parameters: {self:?}")),
        }
    }

    /// The parameters as a script has them.
    pub(super) fn put(&self, script: &mut Vec<u8>) {
        match *self {
            Self::Zlib(params) => script.extend([ZLIB, params.level, params.mem_level]),
            Self::Go { release, level } => {
                script.extend([GO, place(&GO_RELEASES, release), level.cast_unsigned()]);
            }
            Self::Klauspost { release, level, block } => {
                let release = place(&KLAUSPOST_RELEASES, release);
                script.extend([KLAUSPOST, release, level.cast_unsigned()]);
                varint::put(script, block.unwrap_or(0));
            }
        }
    }

    /// Reads what [`Known::put`] wrote, after its first byte; none for another encoder or release.
    pub(super) fn get(id: u8, script: &mut impl Read) -> io::Result<Option<Self>> {
        if ![ZLIB, GO, KLAUSPOST].contains(&id) {
            return Ok(None);
        }
        let mut bytes = [0; 2];
        script.read_exact(&mut bytes)?;
        let [first, level] = bytes;
        let (release, signed) = (usize::from(first), level.cast_signed());
        Ok(match id {
            ZLIB => Some(Self::Zlib(ZlibParams { level: first, mem_level: level })),
            GO => GO_RELEASES
                .get(release)
                .map(|(release, _)| Self::Go { release: *release, level: signed }),
            _ => {
                let block = Some(varint::get(script)?).filter(|block| *block > 0);
                KLAUSPOST_RELEASES.get(release).map(|(release, _)| Self::Klauspost {
                    release: *release,
                    level: signed,
                    block,
                })
            }
        })
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zlib(ZlibParams { level, mem_level: 8 }) => write!(f, "zlib {level}"),
            Self::Zlib(params) => write!(f, "zlib {} memLevel {}", params.level, params.mem_level),
            Self::Go { release, level } => {
                write!(f, "Go {} level {level}", name(&GO_RELEASES, *release))
            }
            Self::Klauspost { release, level, block } => {
                let program = if block.is_some() { "pgzip" } else { "klauspost" };
                write!(f, "{program} {} level {level}", name(&KLAUSPOST_RELEASES, *release))
            }
        }
    }
}

/// Memory that any of the encoders takes with blocks of this length.
pub(super) fn memory(block: u64) -> u64 {
    if block == 0 {
        return 4 << 20;
    }
    threads(block).saturating_mul((4 << 20) + block.saturating_mul(4))
}

fn threads(block: u64) -> u64 {
    ((20 << 20) / (4 * block.max(1))).clamp(1, MAX_THREADS)
}

fn class(release: KlauspostRelease) -> Class {
    match release {
        KlauspostRelease::V1_15_11 => Class::V1_15,
        KlauspostRelease::V1_18_0 => Class::V1_18_0,
        KlauspostRelease::V1_18_1 => Class::V1_18_2,
    }
}

fn name<R: PartialEq>(releases: &[(R, &'static str)], release: R) -> &'static str {
    releases.iter().find(|(r, _)| *r == release).map_or("", |(_, name)| name)
}

fn place<R: PartialEq>(releases: &[(R, &'static str)], release: R) -> u8 {
    releases.iter().position(|(r, _)| *r == release).unwrap_or(0) as u8
}

/// An encoder under way.
#[derive(Debug)]
pub(super) enum Writer {
    Zlib(Deflater),
    Go(Go),
    Klauspost(Box<Klauspost>),
    Pgzip(Pgzip),
}

impl Writer {
    /// Takes plain bytes and appends what is ready.
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Zlib(deflater) => return deflater.write(plain, out),
            Self::Go(go) => go.write(plain, out),
            Self::Klauspost(klauspost) => klauspost.write(plain, out),
            Self::Pgzip(pgzip) => pgzip.write(plain, out),
        }
        Ok(())
    }

    /// Appends the rest.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Zlib(deflater) => return deflater.finish(out),
            Self::Go(mut go) => go.finish(out),
            Self::Klauspost(mut klauspost) => klauspost.finish(out),
            Self::Pgzip(mut pgzip) => pgzip.finish(out),
        }
        Ok(())
    }
}

#[cfg(feature = "identify")]
impl Known {
    /// What may have written a gzip file with this header, likely ones first; blocks of pgzip are not looked at.
    ///
    /// RFC 1952, 2.3.1: XFL 2 is the strongest level, 4 the fastest; OS 255 is unknown, which Go writes. klauspost writes
    /// Go's zero time cut to 32 bits.
    pub(super) fn candidates(header: &[u8]) -> Vec<Self> {
        let first = match header.get(8) {
            Some(2) => 9,
            Some(4) => 1,
            _ => 6,
        };
        let levels = |first: i8| {
            std::iter::once(first)
                .chain([6, 5, 9, 1, 7, 8, 4, 3, 2, 0, -2].into_iter().filter(move |l| *l != first))
        };
        let zlib = [8, 9].into_iter().flat_map(|mem_level| {
            let levels = levels(first).filter_map(|level| u8::try_from(level).ok());
            levels.map(move |level| Self::Zlib(ZlibParams { level, mem_level }))
        });
        let go = GO_RELEASES
            .into_iter()
            .flat_map(|(release, _)| levels(first).map(move |level| Self::Go { release, level }));
        let usual = if first == 6 { 5 } else { first };
        let klauspost = levels(usual).flat_map(|level| {
            KLAUSPOST_RELEASES.map(|(release, _)| Self::Klauspost { release, level, block: None })
        });
        let (zlib, go, klauspost): (Vec<_>, Vec<_>, Vec<_>) =
            (zlib.collect(), go.collect(), klauspost.collect());
        match (header.get(4..8), header.get(9)) {
            (Some([0, 9, 0x6e, 0x88]), _) => [klauspost, go, zlib].concat(),
            (_, Some(0xff)) => [go, zlib, klauspost].concat(),
            _ => [zlib, go, klauspost].concat(),
        }
    }

    /// A text of this length shows whether an encoder fits; the shortest block of pgzip is no shorter.
    pub(super) fn prefix_len(&self) -> u64 {
        match self {
            Self::Klauspost { .. } => 250_000,
            _ => 1 << 20,
        }
    }

    /// The encoder itself, and for klauspost's the blocks that pgzip had in its time.
    pub(super) fn variants(self) -> Vec<Self> {
        match self {
            Self::Klauspost { release, level, .. } => {
                let blocks = [Some(1 << 20), Some(256 << 10), Some(250_000), None];
                blocks.map(|block| Self::Klauspost { release, level, block }).to_vec()
            }
            other => vec![other],
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn scripts_give_the_parameters_back() {
        let mut all = Known::candidates(&[]);
        let block = Some(1 << 20);
        all.push(Known::Klauspost { release: KlauspostRelease::V1_18_1, level: 5, block });
        for known in all {
            let mut script = Vec::new();
            known.put(&mut script);
            let read = Known::get(script[0], &mut &script[1..]).unwrap();
            assert_eq!(read, Some(known));
            assert!(features().contains(&known.feature()), "{known}");
            assert!(known.memory() <= 40 << 20, "{known}");
            assert!(known.writer().is_ok(), "{known}");
        }
        assert_eq!(Known::get(9, &mut &[0, 0][..]).unwrap(), None);
        assert_eq!(Known::get(GO, &mut &[2, 6][..]).unwrap(), None);
    }

    #[test]
    fn parameters_that_no_encoder_has() {
        let release = KlauspostRelease::V1_15_11;
        let wrong = [
            Known::Go { release: GoRelease::V1_16, level: 10 },
            Known::Go { release: GoRelease::V1_27, level: -1 },
            Known::Klauspost { release, level: -3, block: None },
            Known::Klauspost { release, level: 5, block: Some(0) },
            Known::Klauspost { release, level: 5, block: Some(MAX_BLOCK + 1) },
        ];
        for known in wrong {
            assert!(known.writer().is_err(), "{known}");
        }
    }
}
