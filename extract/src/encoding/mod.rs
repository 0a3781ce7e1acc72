//! How compressed bytes follow from uncompressed ones: found once, proven, and made again in a stream.
//!
//! An [`Encoding`] is parameters, plus, for some, *corrections*: a stream of bytes beside them. It is found by
//! [`identify::identify`], which takes the first of these tiers that makes the very bytes again when it is run:
//!
//! 1. an encoder that is known: parameters only (zlib, Go, klauspost and pgzip in a gzip file; klauspost's zstd and
//!    libzstd);
//! 2. corrections to a prediction: to what a known encoder writes, or preflate's;
//! 3. the bytes as they are.
//!
//! gzip framing (headers, several members, wrong check sums, bytes after the last member) is kept apart from the
//! deflate streams inside. The same values serve layers and whole archive files. docs/package-format.md has them as a
//! reader sees them; each new encoder gets a new id, and an id never changes its meaning.

mod amended;
pub mod decompress;
pub mod gzip;
#[cfg(feature = "identify")]
pub mod identify;
pub mod inflate;
mod members;
mod pigz;
pub mod preflate;
pub mod stream;
mod varint;
pub mod zlib;
pub mod zstd;
pub mod zstd_frames;
pub mod zstd_klauspost;

use std::fmt;
use std::io::{self, Cursor, Read, Write};

use dd_inspect::failure;
use dd_inspect::failure::Failure;
use serde::{Deserialize, Serialize};

use stream::Known;
use zstd::ZstdParams;
use zstd_frames::FramesParams;
use zstd_klauspost::KlauspostParams;

/// How compressed bytes follow from the uncompressed ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "encoding", rename_all = "kebab-case")]
pub enum Encoding {
    /// They are the same bytes.
    Identity {},
    /// They are the corrections; nothing follows from the uncompressed ones.
    Bytes {},
    /// A gzip file of one member.
    Gzip {
        /// The member's header.
        #[serde(with = "hex_text")]
        header: Vec<u8>,
        /// Its deflate stream.
        #[serde(flatten)]
        deflate: Deflate,
        /// Bytes after the member.
        #[serde(with = "hex_text", skip_serializing_if = "Vec::is_empty", default)]
        tail: Vec<u8>,
    },
    /// A gzip file of any members; the corrections are a script that says how each is made.
    GzipMembers {
        /// Plain bytes of the longest chunk that is corrected, 0 without one.
        #[serde(skip_serializing_if = "is_zero", default)]
        chunk: u64,
        /// The longest block of pgzip, 0 without one.
        #[serde(skip_serializing_if = "is_zero", default)]
        block: u64,
        /// What a reader must have for it ([`Encoding::features`]), sorted.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        uses: Vec<String>,
    },
    /// One Zstandard frame by libzstd; the corrections, if there are any, are the bytes after it.
    Zstd(ZstdParams),
    /// One Zstandard frame by klauspost/compress; the corrections, if there are any, are the bytes after it.
    ZstdKlauspost(KlauspostParams),
    /// Several Zstandard frames by klauspost/compress; the corrections are a script that says what is in each.
    ZstdFrames(FramesParams),
}

/// How a deflate stream follows from its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Deflate {
    /// An encoder writes it that is known.
    Known(Known),
    /// It follows from the corrections.
    Preflate(Preflate),
}

/// A deflate stream that follows from corrections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deflate")]
pub enum Preflate {
    /// In the coding of [`preflate`].
    #[serde(rename = "preflate-0.7.6")]
    V0_7_6 {
        /// Plain bytes of the longest chunk.
        chunk: u64,
    },
}

const KNOWN: [&str; 7] =
    ["identity", "bytes", "gzip", "gzip-members", "zstd", "zstd-frames", "zstd-klauspost"];
const KNOWN_DEFLATE: [&str; 6] = ["zlib", "go", "klauspost", "pigz", "gnu-gzip", preflate::ID];

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// An encoder under way: uncompressed bytes are written to it, the exact compressed ones go to its output.
///
/// How the bytes are cut into writes makes no difference. `flush` ends no block.
pub trait Encoder<W>: Write + Send {
    /// Writes what is left and returns the output.
    ///
    /// # Errors
    /// The content or the corrections are not those that the encoding was found for (as far as that shows), or writing
    /// fails.
    fn finish(self: Box<Self>) -> io::Result<W>;
}

impl Encoding {
    /// Reads an encoding from a record or a recipe.
    ///
    /// # Errors
    /// `unsupported` for an encoder that this program does not have, `package-corrupt` for fields that are wrong.
    pub fn parse(value: &serde_json::Value) -> Result<Self, Failure> {
        for (field, known) in [("encoding", &KNOWN[..]), ("deflate", &KNOWN_DEFLATE[..])] {
            let id = value.get(field).and_then(|id| id.as_str());
            if let Some(id) = id.filter(|id| !known.contains(id)) {
                return Err(
                    failure!(Unsupported, "a layer's {field} is {id:?}, which this program does not have"; "use a newer release"),
                );
            }
        }
        if let Some(feature) = unknown_feature(value) {
            return Err(
                failure!(Unsupported, "a layer was compressed by {feature}, which this program does not have"; "use a newer release"),
            );
        }
        let encoding = Self::deserialize(value)
            .map_err(|e| failure!(PackageCorrupt, "an encoding is not as expected: {e}"))?;
        if let Self::Zstd(params) = &encoding
            && params.library != zstd::library()
        {
            return Err(
                failure!(Unsupported, "a layer was compressed by zstd {}, this program has {}", params.library, zstd::library();
                "use the release that made the package"),
            );
        }
        let checked = match &encoding {
            Self::ZstdKlauspost(params) => params.check(),
            Self::ZstdFrames(params) => params.check(),
            _ => Ok(()),
        };
        checked.map_err(|e| failure!(PackageCorrupt, "an encoding is wrong: {e}"))?;
        if encoding.chunk() > preflate::MAX_CHUNK_PLAIN {
            return Err(failure!(
                PackageCorrupt,
                "an encoding has chunks of {} bytes",
                encoding.chunk()
            ));
        }
        Ok(encoding)
    }

    /// The encoding as a record and a recipe have it.
    pub fn to_value(&self) -> serde_json::Value {
        // A type of texts and numbers always has a value.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Whether it needs a stream of corrections to be given.
    pub fn needs_corrections(&self) -> bool {
        match self {
            Self::Identity {} | Self::Zstd(_) | Self::ZstdKlauspost(_) => false,
            Self::Bytes {} | Self::GzipMembers { .. } | Self::ZstdFrames(_) => true,
            Self::Gzip { deflate, .. } => matches!(deflate, Deflate::Preflate(_)),
        }
    }

    /// What a reader must have: `zlib`, `go-1.16`, `preflate-0.7.6`, `zstd-1.5.7`; in the order of the alphabet.
    pub fn features(&self) -> Vec<String> {
        match self {
            Self::Identity {} | Self::Bytes {} => Vec::new(),
            Self::Gzip { deflate: Deflate::Known(known), .. } => vec![known.feature()],
            Self::Gzip { deflate: Deflate::Preflate(_), .. } => vec![preflate::ID.to_owned()],
            Self::GzipMembers { uses, .. } => uses.clone(),
            Self::Zstd(params) => vec![format!("zstd-{}", params.library)],
            Self::ZstdKlauspost(params) => vec![params.feature()],
            Self::ZstdFrames(params) => params.features(),
        }
    }

    /// Plain bytes of the longest chunk with corrections.
    fn chunk(&self) -> u64 {
        match self {
            Self::Gzip { deflate: Deflate::Preflate(Preflate::V0_7_6 { chunk }), .. }
            | Self::GzipMembers { chunk, .. } => *chunk,
            _ => 0,
        }
    }

    /// Memory that its encoder takes at most, in bytes.
    pub fn memory(&self) -> u64 {
        match self {
            Self::Identity {} | Self::Bytes {} => 64 << 10,
            Self::Gzip { deflate: Deflate::Known(known), .. } => known.memory(),
            Self::Gzip { .. } => preflate::memory(self.chunk()),
            Self::GzipMembers { chunk, block, uses } => {
                let corrected = if *chunk > 0 { preflate::memory(*chunk) } else { 0 };
                let amends = uses.iter().any(|feature| feature == amended::ID);
                let amended = if amends { amended::memory(*block) } else { 0 };
                corrected.max(stream::memory(*block).saturating_add(amended))
            }
            Self::Zstd(params) => params.memory(),
            Self::ZstdKlauspost(params) => params.memory(),
            Self::ZstdFrames(params) => params.memory(),
        }
    }

    /// An encoder that writes to `out`; `corrections` may be empty where [`Encoding::needs_corrections`] says no.
    ///
    /// The output is not limited: whoever knows its declared size counts in `out`.
    ///
    /// # Errors
    /// Parameters out of range, or an encoder that cannot begin.
    pub fn encoder<'a, W, R>(&self, out: W, corrections: R) -> io::Result<Box<dyn Encoder<W> + 'a>>
    where
        W: Write + Send + 'a,
        R: Read + Send + 'a,
    {
        Ok(match self {
            Self::Identity {} => Box::new(Plain(out)),
            Self::Bytes {} => Box::new(Given { out, bytes: corrections }),
            Self::Gzip { header, deflate, tail } => {
                let (before, after) = script_around(header, deflate, tail);
                let script = Cursor::new(before).chain(corrections).chain(Cursor::new(after));
                let block = match deflate {
                    Deflate::Known(known) => known.block(),
                    Deflate::Preflate(_) => 0,
                };
                Box::new(members::GzipEncoder::new(out, script, self.chunk(), block))
            }
            Self::GzipMembers { chunk, block, .. } => {
                Box::new(members::GzipEncoder::new(out, corrections, *chunk, *block))
            }
            Self::Zstd(params) => Box::new(zstd::ZstdEncoder::new(out, params, corrections)?),
            Self::ZstdKlauspost(params) => {
                Box::new(zstd_klauspost::KlauspostEncoder::new(out, *params, corrections)?)
            }
            Self::ZstdFrames(params) => {
                Box::new(zstd_frames::FramesEncoder::new(out, *params, corrections)?)
            }
        })
    }
}

/// The first encoder of an encoding that this program does not have, if its release or its `uses` say so.
fn unknown_feature(value: &serde_json::Value) -> Option<String> {
    let mut known = stream::features();
    known.extend([preflate::ID, amended::ID, zstd_frames::ID].map(str::to_owned));
    known.extend(zstd_klauspost::features());
    let text = |field: &str| value.get(field)?.as_str();
    let encoder = match text("encoding") {
        Some("zstd-klauspost" | "zstd-frames") => Some("klauspost-zstd"),
        _ => text("deflate"),
    };
    let release = encoder.zip(text("release")).map(|(id, release)| format!("{id}-{release}"));
    let uses = value.get("uses").and_then(|uses| uses.as_array()).into_iter().flatten();
    let uses = uses.filter_map(|feature| feature.as_str()).map(str::to_owned);
    release.into_iter().chain(uses).find(|feature| !known.contains(feature))
}

/// The script of a file with one member: what stands before the corrections and after them.
fn script_around(header: &[u8], deflate: &Deflate, tail: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut before = script_header(header, None);
    match deflate {
        Deflate::Known(known) => known.put(&mut before),
        Deflate::Preflate(_) => before.push(members::PREFLATE),
    }
    // The trailer follows from the content; no further member.
    let after = [&[0, 0], tail].concat();
    (before, after)
}

/// How a member begins in a script: its header, and the length of its content if it is known.
fn script_header(header: &[u8], plain_len: Option<u64>) -> Vec<u8> {
    let mut script = Vec::new();
    varint::put(&mut script, header.len() as u64 + 1);
    script.extend_from_slice(header);
    varint::put(&mut script, plain_len.map_or(0, |len| len.saturating_add(1)));
    script
}

impl fmt::Display for Encoding {
    /// The encoding in words, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity {} => f.write_str("uncompressed"),
            Self::Bytes {} => f.write_str("as stored"),
            Self::Gzip { deflate: Deflate::Known(known), .. } => write!(f, "gzip, {known}"),
            Self::Gzip { deflate: Deflate::Preflate(_), .. } => f.write_str("gzip, preflate"),
            Self::GzipMembers { uses, .. } => {
                f.write_str("gzip, by members")?;
                uses.iter().try_for_each(|feature| write!(f, ", {feature}"))
            }
            Self::Zstd(params) => write!(f, "zstd {} level {}", params.library, params.level),
            Self::ZstdKlauspost(params) => write!(f, "zstd, {params}"),
            Self::ZstdFrames(params) => write!(f, "zstd {params}"),
        }
    }
}

/// [`Encoding::Identity`].
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.0.write(plain)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send> Encoder<W> for Plain<W> {
    fn finish(self: Box<Self>) -> io::Result<W> {
        Ok(self.0)
    }
}

/// [`Encoding::Bytes`].
struct Given<W, R> {
    out: W,
    bytes: R,
}

impl<W: Write, R> Write for Given<W, R> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        Ok(plain.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write + Send, R: Read + Send> Encoder<W> for Given<W, R> {
    fn finish(mut self: Box<Self>) -> io::Result<W> {
        io::copy(&mut self.bytes, &mut self.out)?;
        Ok(self.out)
    }
}

/// Bytes as hexadecimal text.
mod hex_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        hex::decode(text.as_ref()).map_err(serde::de::Error::custom)
    }
}
