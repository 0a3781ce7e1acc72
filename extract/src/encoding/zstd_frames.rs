//! Files of several Zstandard frames by klauspost/compress, as `zstd:chunked` has them: one for each stretch of headers and
//! each file of a layer, then a table of contents that only readers of single files look at, in a skippable frame
//! (containers/storage, `pkg/chunked`; RFC 8878, section 3.1.2).
//!
//! The script is what [`super::Encoding::ZstdFrames`] has as its corrections. Numbers are unsigned LEB128, at most ten bytes. Each frame
//! begins with a number:
//!
//! | number | then |
//! |---|---|
//! | 0 | all further bytes of the script are the file's last bytes |
//! | 1 | *stored*: a number of bytes, these bytes, and the number of bytes of content that they hold |
//! | 2 | a *table*: its length (number), the last digit of its magic number (a byte), and its text, pieces and facts of frames by turns |
//! | 3 + 2 *n* | a frame of the next *n* bytes of content, with which a file begins |
//! | 4 + 2 *n* | the same, where a file goes on |

use std::fmt;
use std::io::{self, Read, Write};

use dd_inspect::digest::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use super::members::{copy, in_steps};
use super::zstd_klauspost::{check_level, feature};
use super::{Encoder, varint};
use crate::zstd::{Klauspost, Level, MAX_BLOCK_LEN, Release};

/// What a reader must have beside the encoder.
pub const ID: &str = "zstd-frames-1";

/// The number that ends the frames.
pub(super) const END: u64 = 0;
/// The number of a frame that stands in the script.
pub(super) const STORED: u64 = 1;
/// The number of a table.
pub(super) const TABLE: u64 = 2;
/// What is added to twice the length of a frame's content; one more where a file goes on.
pub(super) const FRAME: u64 = 3;

/// Frames that tables may speak of.
pub(super) const MAX_NAMED: u64 = 1 << 18;
/// Bytes that are copied at once.
const PIECE_LEN: u64 = 64 << 10;

/// Which encoder writes the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FramesParams {
    /// The first release of klauspost/compress that writes these bytes.
    pub release: Release,
    /// The level.
    pub level: Level,
    /// Bytes of content of the longest frame that is made, or of a table's text.
    pub longest: u64,
    /// Tables speak of so many frames: of the first ones that are not stored.
    #[serde(skip_serializing_if = "super::is_zero", default)]
    pub named: u64,
}

impl FramesParams {
    /// What a reader must have: `klauspost-zstd-1.17.8` and [`ID`].
    pub fn features(&self) -> Vec<String> {
        vec![feature(self.release), ID.to_owned()]
    }

    /// Memory that compressing takes, in bytes.
    pub fn memory(&self) -> u64 {
        self.level.memory(self.longest) + self.named.saturating_mul(size_of::<Written>() as u64)
    }

    /// Whether an encoder has these parameters.
    ///
    /// # Errors
    /// Invalid data for tables that speak of too many frames, or a release that is not known at that level.
    pub(super) fn check(&self) -> io::Result<()> {
        check_level(self.release, self.level)?;
        if self.named > MAX_NAMED {
            return Err(invalid(&format!("has tables of {} frames", self.named)));
        }
        Ok(())
    }

    /// An encoder of one frame after the other.
    pub(super) fn encoder(&self) -> Klauspost {
        Klauspost::new(self.release, self.level, 0)
    }
}

impl fmt::Display for FramesParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by frames, klauspost {} level {}", self.release.name(), self.level.name())
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the script of a zstd file {why}"))
}

/// The beginning of a skippable frame.
pub(super) fn skippable(digit: u8, len: u32) -> [u8; 8] {
    let mut start = [0x50 | digit, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    start[4..].copy_from_slice(&len.to_le_bytes());
    start
}

/// What tables say of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// Where it lies in the file.
    pub start: u64,
    pub end: u64,
    /// Bytes of its content, and of that of the file up to its end.
    pub len: u64,
    pub file_len: u64,
    /// The digests of these.
    pub digest: Digest,
    pub file_digest: Digest,
}

/// What a table says of a frame: a digest in hexadecimal digits, or a number in decimal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    Digest,
    FileDigest,
    Start,
    End,
    Len,
    FileLen,
    /// Bytes of the file before the frame.
    Before,
}

impl Fact {
    /// All, in the order of their numbers.
    pub(super) const ALL: [Self; 7] = [
        Self::Digest,
        Self::FileDigest,
        Self::Start,
        Self::End,
        Self::Len,
        Self::FileLen,
        Self::Before,
    ];

    /// The fact of a frame, if it is a number.
    pub(super) fn number(self, of: &Written) -> Option<u64> {
        Some(match self {
            Self::Digest | Self::FileDigest => return None,
            Self::Start => of.start,
            Self::End => of.end,
            Self::Len => of.len,
            Self::FileLen => of.file_len,
            Self::Before => of.file_len.saturating_sub(of.len),
        })
    }

    fn text(self, of: &Written) -> String {
        match self {
            Self::Digest => of.digest.hex(),
            Self::FileDigest => of.file_digest.hex(),
            _ => self.number(of).unwrap_or_default().to_string(),
        }
    }
}

/// Follows frames as they are written, for the tables behind them.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// The frames so far.
    pub all: Vec<Written>,
    /// Of the frame under way: where it began, its content, and that of its file.
    start: u64,
    own: Hasher,
    file: Hasher,
    /// A file goes on: its content is not that of one frame.
    goes_on: bool,
}

impl Following {
    /// A frame begins at a place.
    pub(super) fn begin(&mut self, start: u64, goes_on: bool) {
        if goes_on && !self.goes_on {
            // The file's first frame.
            self.file = std::mem::take(&mut self.own);
        }
        (self.start, self.goes_on, self.own) = (start, goes_on, Hasher::new());
    }

    /// Content of it.
    pub(super) fn update(&mut self, plain: &[u8]) {
        self.own.update(plain);
        if self.goes_on {
            self.file.update(plain);
        }
    }

    /// It ends at a place.
    pub(super) fn end(&mut self, end: u64) {
        let (len, digest) = (self.own.len(), self.own.clone().finish());
        let (file_len, file_digest) = if self.goes_on {
            (self.file.len(), self.file.clone().finish())
        } else {
            (len, digest)
        };
        self.all.push(Written { start: self.start, end, len, file_len, digest, file_digest });
    }
}

impl Write for Following {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.update(plain);
        Ok(plain.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a file of frames from its content.
pub(super) struct FramesEncoder<W, R> {
    encoder: Klauspost,
    out: Counter<W>,
    script: R,
    frame: Option<Frame>,
    /// The end of the script's frames was read.
    ended: bool,
    following: Following,
    /// Frames that are followed.
    named: u64,
    /// Content that a frame may have, and what is left of it for the one under way.
    longest: u64,
    left: u64,
    coded: Vec<u8>,
}

/// Counts what is written.
struct Counter<W> {
    out: W,
    at: u64,
}

impl<W: Write> Write for Counter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

struct Frame {
    /// Content still to come.
    left: u64,
    stored: bool,
    followed: bool,
}

impl<W: Write, R: Read> FramesEncoder<W, R> {
    pub(super) fn new(out: W, params: FramesParams, script: R) -> io::Result<Self> {
        params.check()?;
        Ok(Self {
            encoder: params.encoder(),
            out: Counter { out, at: 0 },
            script,
            frame: None,
            ended: false,
            following: Following::default(),
            named: params.named,
            longest: params.longest,
            left: params.longest,
            coded: Vec::new(),
        })
    }

    /// Begins the next frame; whether there is one.
    fn open(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let (left, stored, goes_on) = match varint::get(&mut self.script)? {
            END => {
                self.ended = true;
                return Ok(false);
            }
            STORED => {
                let len = varint::get(&mut self.script)?;
                copy(&mut self.script, &mut self.out, len)?;
                (varint::get(&mut self.script)?, true, false)
            }
            TABLE => {
                self.table()?;
                (0, true, false)
            }
            number => ((number - FRAME) >> 1, false, (number - FRAME) & 1 == 1),
        };
        let followed = !stored && (self.following.all.len() as u64) < self.named;
        if followed {
            self.following.begin(self.out.at, goes_on);
        }
        self.frame = Some(Frame { left, stored, followed });
        Ok(true)
    }

    /// Writes a table.
    fn table(&mut self) -> io::Result<()> {
        let len = varint::get(&mut self.script)?;
        let len = u32::try_from(len).map_err(|_| invalid("has a table that is too long"))?;
        let mut digit = [0];
        self.script.read_exact(&mut digit)?;
        if digit[0] > 15 {
            return Err(invalid("has a table with a wrong magic number"));
        }
        self.out.write_all(&skippable(digit[0], len))?;
        let mut text = Text::default();
        loop {
            let mut len = varint::get(&mut self.script)?;
            let mut piece = Vec::new();
            while len > 0 {
                piece.clear();
                (&mut self.script).take(len.min(PIECE_LEN)).read_to_end(&mut piece)?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.encode(&piece)?;
                len -= piece.len() as u64;
            }
            let Some((frame, fact)) = text.fact(&mut self.script)? else { break };
            let frame = usize::try_from(frame).ok().and_then(|frame| self.following.all.get(frame));
            let frame = frame.ok_or_else(|| invalid("speaks of a frame that did not come"))?;
            self.encode(fact.text(frame).as_bytes())?;
        }
        self.end_frame()
    }

    /// Encodes the next bytes of a frame, no more than a block.
    fn encode(&mut self, plain: &[u8]) -> io::Result<()> {
        let left = self.left.checked_sub(plain.len() as u64);
        self.left = left.ok_or_else(|| invalid("has a frame that is longer than it may be"))?;
        self.encoder.write(plain, &mut self.coded);
        self.pass_on()
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.coded)?;
        self.coded.clear();
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.encoder.finish(&mut self.coded);
        self.encoder.reset();
        self.left = self.longest;
        self.pass_on()
    }

    fn close(&mut self, frame: Frame) -> io::Result<()> {
        if !frame.stored {
            self.end_frame()?;
        }
        if frame.followed {
            self.following.end(self.out.at);
        }
        Ok(())
    }

    /// Takes content for the open frame, or opens the next one; returns how much was taken.
    fn step(&mut self, plain: &[u8]) -> io::Result<usize> {
        let Some(mut frame) = self.frame.take() else {
            return if self.open()? { Ok(0) } else { Err(invalid("has frames for less content")) };
        };
        let len = usize::try_from(frame.left).map_or(plain.len(), |left| left.min(plain.len()));
        let (plain, _) = plain.split_at(len.min(MAX_BLOCK_LEN));
        if frame.followed {
            self.following.update(plain);
        }
        if !frame.stored {
            self.encode(plain)?;
        }
        frame.left -= plain.len() as u64;
        match frame.left {
            0 => self.close(frame)?,
            _ => self.frame = Some(frame),
        }
        Ok(plain.len())
    }
}

/// The text of a table as the script has it: a number of bytes and these bytes; then a number, 0 at the end, else one more than eight times
/// how far (signed, zigzag) the frame of which a fact comes next stands behind the frame of the last one (the first one at first), plus the number of
/// the fact (its place in [`Fact::ALL`]). And so on.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// The number of the frame of the last fact.
    last: u64,
}

impl Text {
    /// Reads which fact of which frame follows, if one does.
    fn fact(&mut self, script: &mut impl Read) -> io::Result<Option<(u64, Fact)>> {
        let Some(number) = varint::get(script)?.checked_sub(1) else { return Ok(None) };
        let fact = Fact::ALL.get((number & 7) as usize);
        let fact = *fact.ok_or_else(|| invalid("says something unknown of a frame"))?;
        let distance = ((number >> 4).cast_signed()) ^ -(number >> 3 & 1).cast_signed();
        self.last = self.last.wrapping_add_signed(distance);
        Ok(Some((self.last, fact)))
    }

    /// Appends bytes and the fact that follows them, none at the end.
    #[cfg(feature = "identify")]
    pub(super) fn put(&mut self, script: &mut Vec<u8>, bytes: &[u8], fact: Option<(u64, Fact)>) {
        varint::put(script, bytes.len() as u64);
        script.extend_from_slice(bytes);
        let number = fact.map_or(0, |(frame, fact)| {
            let distance = frame.wrapping_sub(self.last).cast_signed();
            self.last = frame;
            let distance = ((distance << 1) ^ (distance >> 63)).cast_unsigned();
            1 + (distance << 3 | fact as u64)
        });
        varint::put(script, number);
    }
}

impl<W: Write, R: Read> Write for FramesEncoder<W, R> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        in_steps(plain, |rest| self.step(rest))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write + Send, R: Read + Send> Encoder<W> for FramesEncoder<W, R> {
    fn finish(mut self: Box<Self>) -> io::Result<W> {
        loop {
            match self.frame.take() {
                Some(frame) if frame.left == 0 => self.close(frame)?,
                Some(_) => return Err(invalid("has frames for more content")),
                None if !self.open()? => break,
                None => {}
            }
        }
        io::copy(&mut self.script, &mut self.out)?;
        Ok(self.out.out)
    }
}
