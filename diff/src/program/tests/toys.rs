//! A generator and an encoder small enough to see through, and programs as data.

use std::sync::Arc;

use dd_inspect::digest::DiffId;
use dd_inspect::failure;
use dd_inspect::failure::Failure;

use crate::program::*;
use crate::zips::Zips;

/// Generator 1: a head of 'h' and 16 bytes of a source; column 3 says how many 'h', column 9 where.
pub struct ToyGenerator;

impl Generator for ToyGenerator {
    fn generate(
        &mut self,
        columns: &mut Columns,
        sources: &mut dyn SourceBytes,
        out: &mut Vec<u8>,
    ) -> Result<Option<Entry>, Failure> {
        let count = columns.varint(3)?;
        let content_len = columns.varint(3)?;
        let source = Source::from_number(columns.varint(9)?);
        let source = source.ok_or_else(|| failure!(PackageCorrupt, "a source"))?;
        let offset = columns.varint(9)?;
        let mut bytes = [0; 16];
        sources.read_at(source, offset, &mut bytes)?;
        out.resize(usize::try_from(count.min(2 << 20)).unwrap_or(0), b'h');
        out.extend_from_slice(&bytes);
        Ok(Some(Entry {
            content_len,
            base: Some((source, offset.wrapping_add(16))),
            mtime: Some(0),
        }))
    }
}

/// Encoding 1: every byte twice, the second one with the parameter added, then the exact bytes.
pub struct ToyEncoder {
    add: u8,
    exact: Vec<u8>,
}

impl Encoder for ToyEncoder {
    fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        out.extend(plain.iter().flat_map(|&byte| [byte, byte.wrapping_add(self.add)]));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        out.append(&mut self.exact);
        Ok(())
    }
}

/// Makes both, and the framing of archives.
pub struct Toys;

impl Generators for Toys {
    fn knows(&self, id: u64) -> bool {
        id == 1 || Zips.knows(id)
    }

    fn open(&self, id: u64) -> Option<Box<dyn Generator>> {
        if id == 1 { Some(Box::new(ToyGenerator)) } else { Zips.open(id) }
    }
}

impl Encoders for Toys {
    fn memory(&self, id: u64) -> Option<u64> {
        (id == 1).then_some(1000)
    }

    fn open(&self, _: u64, params: &[u8], exact: &[u8]) -> Result<Box<dyn Encoder>, Failure> {
        let [add] = *params else { return Err(failure!(PackageCorrupt, "one parameter")) };
        Ok(Box::new(ToyEncoder { add, exact: exact.to_vec() }))
    }
}

pub fn tools() -> Tools {
    let toys = Arc::new(Toys);
    Tools { generators: toys.clone(), encoders: toys, scratch_dir: std::env::temp_dir() }
}

pub fn options(level: i32) -> WriterOptions {
    let (encoders, spool_dir) = (Arc::new(Toys), std::env::temp_dir());
    WriterOptions { choice: choice(level, Coders::Quick), encoders, spool_dir }
}

fn choice(level: i32, coders: Coders) -> Choice {
    Choice { level, coders, mixing: true, lzma: true, window_log: 23 }
}

/// Content that compresses a little and does not repeat.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as u8 & 0x3f
        })
        .collect()
}

pub type Writer = PayloadWriter<MemorySources>;

pub fn writer(bases: &[Vec<u8>], level: i32) -> Writer {
    writer_of(bases, options(level))
}

/// A writer that tries these coders.
pub fn writer_with(bases: &[Vec<u8>], coders: Coders) -> Writer {
    writer_of(bases, WriterOptions { choice: choice(3, coders), ..options(3) })
}

fn writer_of(bases: &[Vec<u8>], options: WriterOptions) -> Writer {
    let known = bases.iter().map(|base| (DiffId::of(base), base.len() as u64)).collect();
    PayloadWriter::new(options, known, MemorySources(bases.to_vec()))
}

pub fn finish(writer: Writer) -> (Vec<u8>, PayloadSummary) {
    let mut payload = Vec::new();
    let summary = writer.finish(&mut payload).unwrap();
    assert_eq!(summary.payload_len, payload.len() as u64);
    assert_eq!(Head::read(&payload[..]).unwrap(), summary.head);
    (payload, summary)
}

/// The base layers that a payload names, in its order.
pub fn named(bases: &[Vec<u8>], head: &Head) -> MemorySources {
    let find = |id: &DiffId| bases.iter().find(|base| DiffId::of(base) == *id).unwrap().clone();
    MemorySources(head.sources.iter().map(find).collect())
}

/// Decodes with exactly what the payload says that it needs.
pub fn decode(payload: &[u8], bases: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    let head = Head::read(payload)?;
    let limits = Limits { memory: head.memory, scratch: head.scratch };
    let mut out = Vec::new();
    let mut decoder = Decoder::new(payload, named(bases, &head), tools(), limits)?;
    let len = decoder.decode_to(&mut out)?;
    assert_eq!(len, out.len() as u64);
    Ok(out)
}

/// A step of a program, with what it gives.
#[derive(Debug, Clone)]
pub enum Step {
    /// Base, start and length as parts of 256 of what there is.
    Copy(usize, u8, u8),
    /// The same, and corrections at distances.
    Edit(usize, u8, u8, Vec<(u16, u8)>),
    Literal(Literal, Vec<u8>),
    Zeros(u16),
    /// Padding, content length, base and place of the source.
    Header(u8, u16, usize, u8),
    /// Hash what is inside; then the digits.
    Digest(Vec<Step>),
    Encode(u8, Vec<u8>, Vec<Step>),
    /// Only outside of the last two: an object made, of which a part is copied at once and later.
    Kept(Vec<Step>, u8, u8),
    Group(usize, u8, u8),
}

fn range(len: usize, start: u8, part: u8) -> (u64, usize) {
    let start = len * usize::from(start) / 256;
    (start as u64, (len - start) * usize::from(part) / 255)
}

/// Writes steps and gives their bytes.
pub fn write(writer: &mut Writer, bases: &[Vec<u8>], steps: &[Step]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut kept: Vec<(Source, Vec<u8>)> = Vec::new();
    for step in steps {
        match step {
            Step::Copy(base, start, part) => {
                let base = base % bases.len();
                let (offset, len) = range(bases[base].len(), *start, *part);
                let source = writer.base(base).unwrap();
                writer.copy(source, offset, len as u64).unwrap();
                out.extend_from_slice(&bases[base][offset as usize..][..len]);
            }
            Step::Edit(base, start, part, changes) => {
                let base = base % bases.len();
                let (offset, len) = range(bases[base].len(), *start, *part);
                let mut corrections = vec![0; len];
                let mut at = 0;
                for (distance, value) in changes {
                    at += usize::from(*distance);
                    if let Some(place) = corrections.get_mut(at) {
                        *place = *value;
                    }
                }
                let source = writer.base(base).unwrap();
                let base = &bases[base][offset as usize..][..len];
                let bytes: Vec<u8> =
                    base.iter().zip(corrections).map(|(b, c)| b.wrapping_add(c)).collect();
                writer.edit_predicted(0, source, offset, base, &[], &bytes).unwrap();
                out.extend(bytes);
            }
            Step::Literal(kind, bytes) => {
                writer.literal(*kind, bytes).unwrap();
                out.extend_from_slice(bytes);
            }
            Step::Zeros(len) => {
                writer.zeros(u64::from(*len)).unwrap();
                out.resize(out.len() + usize::from(*len), 0);
            }
            Step::Header(padding, content_len, base, start) => {
                let base = base % bases.len();
                let (offset, len) = range(bases[base].len(), *start, 255);
                if len < 16 {
                    continue;
                }
                let source = writer.base(base).unwrap();
                let entry = Entry {
                    content_len: u64::from(*content_len),
                    base: Some((source, offset + 16)),
                    mtime: Some(0),
                };
                let told = writer.generate(1, u64::from(*padding) + 16, |columns| {
                    columns.put_varint(3, u64::from(*padding));
                    columns.put_varint(3, entry.content_len);
                    columns.put_varint(9, source.number());
                    columns.put_varint(9, offset);
                    Some(entry)
                });
                assert!(told.unwrap());
                out.resize(out.len() + usize::from(*padding), b'h');
                out.extend_from_slice(&bases[base][offset as usize..][..16]);
            }
            Step::Digest(steps) => {
                let slot = writer.new_slot().unwrap();
                writer.enter_digest(slot).unwrap();
                let inner = write(writer, bases, steps);
                writer.leave().unwrap();
                writer.digest_hex(slot).unwrap();
                out.extend_from_slice(&inner);
                out.extend_from_slice(DiffId::of(&inner).hex().as_bytes());
            }
            Step::Encode(add, exact, steps) => {
                // The length must be known before: give the same steps to a writer of no use.
                let mut spare = self::writer(bases, 1);
                let inner = write(&mut spare, bases, steps);
                let encoded_len = inner.len() * 2 + exact.len();
                writer.enter_encoding(1, &[*add], exact, encoded_len as u64).unwrap();
                assert_eq!(write(writer, bases, steps), inner);
                writer.leave().unwrap();
                out.extend(inner.iter().flat_map(|&byte| [byte, byte.wrapping_add(*add)]));
                out.extend_from_slice(exact);
            }
            Step::Kept(steps, start, part) => {
                let mut spare = self::writer(bases, 1);
                let size = write(&mut spare, bases, steps).len();
                if size == 0 {
                    continue;
                }
                let source = writer.begin_kept(size as u64).unwrap();
                let bytes = write(writer, bases, steps);
                writer.end_kept().unwrap();
                kept.push((source, bytes));
                for (source, bytes) in kept.iter().rev().take(2) {
                    let (offset, len) = range(bytes.len(), *start, *part);
                    writer.copy(*source, offset, len as u64).unwrap();
                    out.extend_from_slice(&bytes[offset as usize..][..len]);
                }
            }
            Step::Group(base, start, part) => {
                let base = base % bases.len();
                let (offset, len) = range(bases[base].len(), *start, *part);
                let source = writer.base(base).unwrap();
                let ranges = vec![Range { source, offset, len: len as u64 }];
                writer.group(vec![(Literal::Text, ranges)]).unwrap();
            }
        }
    }
    out
}
