//! Finds how a file of several Zstandard frames was made.

use std::collections::HashMap;
use std::io::{self, Read, Seek, Write};
use std::ops::Range;

use dd_inspect::digest::Digest;
use dd_inspect::range::ReadAt;
use tempfile::SpooledTempFile;
use zstd::stream::read::Decoder;

use super::compare::{Compare, RangeReader, encodes_to, settle};
use super::{Proven, SPOOL_LEN, Task};
use crate::encoding::zstd_frames::{self, Fact, Following, FramesParams, Text, Written};
use crate::encoding::{Encoding, varint};
use crate::layer;
use crate::zstd::{Klauspost, encoders};

/// Frames at most.
const FRAMES: usize = 1 << 20;
/// Frames that show which encoder made them, and bytes of content in them, about.
const SAMPLES: usize = 400;
const SAMPLES_LEN: u64 = 16 << 20;
/// Tables that are looked at; the others stay as they are.
const TABLES: usize = 4;
/// Content at a time.
const PIECE_LEN: usize = 64 << 10;
/// Characters of a digest.
const HEX_LEN: usize = 64;
/// What a digest follows in a table.
const BEFORE_DIGEST: &[u8] = b"sha256:";
/// Numbers of fewer digits stand as they are.
const MIN_DIGITS: usize = 3;
/// A number is looked for among so many frames from the last one on.
const NEAR: usize = 64;

/// A frame of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    coded: Range<u64>,
    plain: Range<u64>,
    skippable: bool,
}

impl Task<'_> {
    /// The encoding of a file of frames that klauspost/compress wrote, most of them at least.
    pub(super) fn several(&self) -> io::Result<Option<Proven>> {
        let Some(frames) = self.frames_of()? else { return Ok(None) };
        let Some(mut params) = self.encoder_of(&frames)? else { return Ok(None) };
        let mut script = tempfile::spooled_tempfile_in(SPOOL_LEN, self.scratch_dir);
        let mut encoder = params.encoder();
        let contents = self.contents()?;
        let (mut following, mut tables) = (Following::default(), 0);
        for frame in &frames {
            if !frame.skippable && self.makes(&mut encoder, frame)? {
                let goes_on = contents.goes_on(frame.plain.start);
                params.longest = params.longest.max(len(&frame.plain));
                put(&mut script, zstd_frames::FRAME + 2 * len(&frame.plain) + u64::from(goes_on))?;
                if (following.all.len() as u64) < zstd_frames::MAX_NAMED {
                    following.begin(frame.coded.start, goes_on);
                    let mut plain = RangeReader::new(self.plain, frame.plain.clone());
                    io::copy(&mut plain, &mut following)?;
                    following.end(frame.coded.end);
                }
                continue;
            }
            let may_be_table = frame.skippable && tables < TABLES;
            let table = if may_be_table { self.table(&mut encoder, frame)? } else { None };
            match table {
                Some(text) => {
                    tables += 1;
                    params.longest = params.longest.max(text.len() as u64);
                    params.named = following.all.len() as u64;
                    self.put_table(&mut script, frame, &text, &following.all)?;
                }
                None => self.put_stored(&mut script, frame)?,
            }
            if script.stream_position()? >= self.compressed.size() / 10 * 9 {
                return Ok(None);
            }
        }
        put(&mut script, zstd_frames::END)?;
        let end = frames.last().map_or(0, |frame| frame.coded.end);
        io::copy(&mut RangeReader::new(self.compressed, end..self.compressed.size()), &mut script)?;
        self.proven(Encoding::ZstdFrames(params), script)
    }

    fn proven(&self, encoding: Encoding, script: SpooledTempFile) -> io::Result<Option<Proven>> {
        let mut proven = Proven::script(encoding, script)?;
        let super::Corrections::Script(script) = &mut proven.corrections else { return Ok(None) };
        let all = 0..self.plain.size();
        let end = encodes_to(&proven.encoding, &mut *script, self.plain, all, self.compressed, 0)?;
        script.rewind()?;
        Ok((end == Some(self.compressed.size())).then_some(proven))
    }

    /// The frames, if there are several and they hold the content.
    fn frames_of(&self) -> io::Result<Option<Vec<Frame>>> {
        let Some(mut frames) = scan(self.compressed)? else { return Ok(None) };
        let mut at = 0;
        for frame in &mut frames {
            let mut len = 0;
            if !frame.skippable {
                let coded = RangeReader::new(self.compressed, frame.coded.clone());
                let Ok(counted) = count(coded) else { return Ok(None) };
                len = counted;
            }
            frame.plain = at..at + len;
            at += len;
        }
        Ok((at == self.plain.size()).then_some(frames))
    }

    /// The encoder that makes most of some frames, taken from everywhere.
    fn encoder_of(&self, frames: &[Frame]) -> io::Result<Option<FramesParams>> {
        let frames: Vec<&Frame> = frames.iter().filter(|frame| !frame.skippable).collect();
        let mut left = SAMPLES_LEN;
        let mut samples = Vec::new();
        // An odd step: headers and files come by turns.
        for frame in frames.iter().step_by(frames.len().div_ceil(SAMPLES) | 1) {
            if samples.is_empty() || len(&frame.plain) <= left {
                left = left.saturating_sub(len(&frame.plain));
                samples.push(*frame);
            }
        }
        let mut best = (0, None);
        for (release, level) in encoders() {
            let params = FramesParams { release, level, longest: 0, named: 0 };
            let mut encoder = params.encoder();
            let mut made = 0;
            for frame in &samples {
                made += usize::from(self.makes(&mut encoder, frame)?);
            }
            if made > best.0 {
                best = (made, Some(params));
            }
        }
        Ok(best.1)
    }

    /// Whether an encoder makes a frame.
    fn makes(&self, encoder: &mut Klauspost, frame: &Frame) -> io::Result<bool> {
        let content = RangeReader::new(self.plain, frame.plain.clone());
        makes(encoder, content, self.compressed, &frame.coded)
    }

    /// Where the contents of the layer's files lie, if it is one.
    fn contents(&self) -> io::Result<Contents> {
        let mut contents = Contents::default();
        layer::walk(RangeReader::new(self.plain, 0..self.plain.size()), |entry| {
            contents.0.push(entry.content_offset..entry.content_offset + entry.size);
            Ok(())
        })?;
        Ok(contents)
    }

    /// The text of a table: what is in a frame inside of a skippable one, if the encoder makes that.
    fn table(&self, encoder: &mut Klauspost, frame: &Frame) -> io::Result<Option<Vec<u8>>> {
        let inner = frame.coded.start + 8..frame.coded.end;
        let mut text = Vec::new();
        let Ok(decoder) = Decoder::new(RangeReader::new(self.compressed, inner.clone())) else {
            return Ok(None);
        };
        let read = decoder.single_frame().take(self.max_corrections).read_to_end(&mut text);
        if read.is_err() || !makes(encoder, &text[..], self.compressed, &inner)? {
            return Ok(None);
        }
        Ok(Some(text))
    }

    fn put_table(
        &self,
        script: &mut SpooledTempFile,
        frame: &Frame,
        text: &[u8],
        written: &[Written],
    ) -> io::Result<()> {
        put(script, zstd_frames::TABLE)?;
        put(script, len(&frame.coded) - 8)?;
        script.write_all(&[self.bytes(frame.coded.start, frame.coded.start + 1)?[0] & 0xf])?;
        let facts = Facts::new(written);
        let (mut table, mut record, mut last, mut done) = (Text::default(), Vec::new(), 0, 0);
        for place in said(text) {
            let Some((frame, fact)) = facts.find(&text[place.clone()], last) else { continue };
            table.put(&mut record, &text[done..place.start], Some((frame as u64, fact)));
            (last, done) = (frame, place.end);
            script.write_all(&record)?;
            record.clear();
        }
        table.put(&mut record, &text[done..], None);
        script.write_all(&record)
    }

    fn put_stored(&self, script: &mut SpooledTempFile, frame: &Frame) -> io::Result<()> {
        put(script, zstd_frames::STORED)?;
        put(script, len(&frame.coded))?;
        io::copy(&mut RangeReader::new(self.compressed, frame.coded.clone()), script)?;
        put(script, len(&frame.plain))
    }
}

fn len(range: &Range<u64>) -> u64 {
    range.end - range.start
}

fn put(script: &mut SpooledTempFile, number: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    varint::put(&mut bytes, number);
    script.write_all(&bytes)
}

/// Whether an encoder makes these very bytes of a content; it is ready for another frame then.
fn makes(
    encoder: &mut Klauspost,
    mut content: impl Read,
    expected: &dyn ReadAt,
    range: &Range<u64>,
) -> io::Result<bool> {
    let mut compare = Compare::new(expected, range.start);
    let (mut piece, mut coded) = (vec![0; PIECE_LEN], Vec::new());
    let mut run = || {
        loop {
            let len = content.read(&mut piece)?;
            match len {
                0 => encoder.finish(&mut coded),
                _ => encoder.write(&piece[..len], &mut coded),
            }
            compare.write_all(&coded)?;
            coded.clear();
            if len == 0 {
                return Ok(compare.position);
            }
        }
    };
    let end = settle(run())?;
    encoder.reset();
    Ok(end == Some(range.end))
}

/// Where files lie in a layer, one after the other.
#[derive(Debug, Default)]
struct Contents(Vec<Range<u64>>);

impl Contents {
    /// Whether a place is inside of a file, not where it begins.
    fn goes_on(&self, at: u64) -> bool {
        let next = self.0.partition_point(|content| content.start < at);
        next.checked_sub(1).is_some_and(|before| at < self.0[before].end)
    }
}

/// Finds frames by what a table says of them.
struct Facts<'a> {
    written: &'a [Written],
    digests: HashMap<Digest, (usize, Fact)>,
}

impl<'a> Facts<'a> {
    fn new(written: &'a [Written]) -> Self {
        let mut digests = HashMap::new();
        for (number, frame) in written.iter().enumerate() {
            digests.entry(frame.file_digest).or_insert((number, Fact::FileDigest));
            digests.entry(frame.digest).or_insert((number, Fact::Digest));
        }
        Self { written, digests }
    }

    /// The frame, from one on if possible, and the fact of it that a digest or a number is.
    fn find(&self, text: &[u8], from: usize) -> Option<(usize, Fact)> {
        let text = std::str::from_utf8(text).ok()?;
        let near = || (from..self.written.len()).take(NEAR);
        if text.len() == HEX_LEN {
            let digest: Digest = format!("sha256:{text}").parse().ok()?;
            // Contents that are there several times are named in their order.
            let is = |number: &usize| self.written[*number].file_digest == digest;
            let file = near().find(is).map(|number| (number, Fact::FileDigest));
            return file.or_else(|| self.digests.get(&digest).copied());
        }
        let number: u64 = text.parse().ok()?;
        near().find_map(|frame| {
            let is = |fact: &&Fact| fact.number(&self.written[frame]) == Some(number);
            Fact::ALL.iter().find(is).map(|fact| (frame, *fact))
        })
    }
}

/// Where a text says digests, and numbers that are worth it, as JSON has them.
fn said(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + text.get(at..)?.iter().position(|&byte| byte == b':')? + 1;
            let rest = &text[start..];
            let of = |is: fn(&u8) -> bool| rest.iter().take_while(|byte| is(byte)).count();
            let digits = of(u8::is_ascii_digit);
            let ends = |len: usize| !rest.get(len).is_some_and(u8::is_ascii_alphanumeric);
            at = start;
            let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if text[..start].ends_with(BEFORE_DIGEST) && of(is_hex) == HEX_LEN {
                at += HEX_LEN;
            } else if digits >= MIN_DIGITS && rest[0] != b'0' && ends(digits) {
                at += digits;
            } else {
                continue;
            }
            return Some(start..at);
        }
    })
}

/// How much content a frame has.
fn count(frame: RangeReader<'_>) -> io::Result<u64> {
    io::copy(&mut Decoder::new(frame)?.single_frame(), &mut io::sink())
}

/// The frames of a file, their contents yet unknown (RFC 8878, section 3.1); none if there is one alone, or too many. What follows the
/// last one is none.
fn scan(file: &dyn ReadAt) -> io::Result<Option<Vec<Frame>>> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some((end, skippable)) = frame_end(file, at)? {
        frames.push(Frame { coded: at..end, plain: 0..0, skippable });
        if frames.len() > FRAMES {
            return Ok(None);
        }
        at = end;
    }
    Ok((frames.len() > 1).then_some(frames))
}

/// Where the frame ends that begins at a place, and whether it is skippable.
fn frame_end(file: &dyn ReadAt, start: u64) -> io::Result<Option<(u64, bool)>> {
    let bytes = |at: u64, len: usize| -> io::Result<Option<[u8; 4]>> {
        let mut bytes = [0; 4];
        if at.checked_add(len as u64).is_none_or(|end| end > file.size()) {
            return Ok(None);
        }
        file.read_exact_at(&mut bytes[..len], at)?;
        Ok(Some(bytes))
    };
    let Some(magic) = bytes(start, 4)? else { return Ok(None) };
    if matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18]) {
        let Some(len) = bytes(start + 4, 4)? else { return Ok(None) };
        let end = start + 8 + u64::from(u32::from_le_bytes(len));
        return Ok((end <= file.size()).then_some((end, true)));
    }
    let Some([descriptor, ..]) = bytes(start + 4, 1)?.filter(|_| magic == [0x28, 0xb5, 0x2f, 0xfd])
    else {
        return Ok(None);
    };
    let single = descriptor & 0x20 != 0;
    let size_len = match descriptor >> 6 {
        0 => u64::from(single),
        flag => 1 << flag,
    };
    let dictionary_len = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let mut at = start + 5 + u64::from(!single) + dictionary_len + size_len;
    loop {
        let Some(header) = bytes(at, 3)? else { return Ok(None) };
        let header = u32::from_le_bytes(header);
        // A run has one byte, however long it is.
        let len = if header >> 1 & 3 == 1 { 1 } else { header >> 3 };
        at += 3 + u64::from(len);
        if header & 1 == 1 {
            let end = at + if descriptor & 4 != 0 { 4 } else { 0 };
            return Ok((end <= file.size()).then_some((end, false)));
        }
    }
}
