//! The encodings that are entered, and how bytes pass through them.

use std::io::Read;

use dd_inspect::failure;
use dd_inspect::failure::Failure;
use sha2::{Digest as _, Sha256};

use super::super::hooks::{Encoder, Sources};
use super::super::limits::DEPTH;
use super::super::meter;
use super::super::quoted::{Hash, Hasher};
use super::unit::{Output, Unit};
use super::{CHUNK_LEN, Decoder};

/// An encoding that is entered.
pub(super) struct Frame {
    through: Through,
    /// Bytes that came out of it.
    given: u64,
}

enum Through {
    Digest { slot: usize, hash: Box<Sha256> },
    Hash { number: usize, hasher: Hasher },
    Encoder { encoder: Box<dyn Encoder>, encoded_len: u64, held: u64 },
}

impl<R: Read, S: Sources> Decoder<R, S> {
    pub(super) fn enter_digest(&mut self, unit: &mut Unit, slot: u64) -> Result<(), Failure> {
        let slot = usize::try_from(slot).ok().filter(|&slot| slot < self.slots.len());
        let slot = slot.ok_or_else(|| failure!(PackageCorrupt, "there is no such digest slot"))?;
        push(unit, Through::Digest { slot, hash: Box::default() })
    }

    pub(super) fn enter_hash(&mut self, unit: &mut Unit, hash: Hash) -> Result<(), Failure> {
        self.hold(meter::DIGEST)?;
        let number = self.digests.enter();
        push(unit, Through::Hash { number, hasher: Hasher::new(hash) })
    }

    pub(super) fn enter_encoder(
        &mut self,
        unit: &mut Unit,
        encoding: u64,
        params: &[u8],
        exact: &[u8],
        encoded_len: u64,
    ) -> Result<(), Failure> {
        let memory = self.tools.encoders.memory(encoding);
        let memory = memory.ok_or_else(|| super::super::ids::unknown("encoding", encoding))?;
        let held = memory.saturating_add((params.len() + exact.len()) as u64);
        self.hold(held)?;
        self.meter.work(meter::encoder_ready(memory))?;
        let encoder = self.tools.encoders.open(encoding, params, exact)?;
        push(unit, Through::Encoder { encoder, encoded_len, held })
    }

    pub(super) fn leave(&mut self, unit: &mut Unit) -> Result<(), Failure> {
        let frame = unit.frames.pop();
        let mut frame = frame.ok_or_else(|| failure!(PackageCorrupt, "no encoding is entered"))?;
        match frame.through {
            Through::Digest { slot, hash } => {
                if let Some(place) = self.slots.get_mut(slot) {
                    *place = Some(hash.finalize().into());
                }
            }
            Through::Hash { number, hasher } => self.digests.fill(number, hasher.finish()),
            Through::Encoder { mut encoder, encoded_len, held } => {
                self.chunk.clear();
                encoder.finish(&mut self.chunk)?;
                drop(encoder);
                self.meter.release(held);
                frame.given = frame.given.saturating_add(self.chunk.len() as u64);
                if frame.given != encoded_len {
                    let given = frame.given;
                    return Err(failure!(
                        PackageCorrupt,
                        "an encoding gives {given} bytes, {encoded_len} were declared"
                    ));
                }
                self.deliver(unit)?;
            }
        }
        unit.rest.leave(frame.given);
        Ok(())
    }

    /// Passes the chunk through the encodings and hands it to the unit's output.
    pub(super) fn deliver(&mut self, unit: &mut Unit) -> Result<(), Failure> {
        for frame in unit.frames.iter_mut().rev() {
            let len = self.chunk.len() as u64;
            self.meter.work(len)?;
            match &mut frame.through {
                Through::Digest { hash, .. } => hash.update(&self.chunk),
                Through::Hash { hasher, .. } => hasher.update(&self.chunk),
                Through::Encoder { encoder, encoded_len, .. } => {
                    self.encoded = self.encoded.saturating_add(len);
                    if self.encoded > meter::encoded_allowed(self.head.produced()) {
                        return Err(failure!(PackageCorrupt, "too many bytes go through encoders"));
                    }
                    self.spare.clear();
                    for part in self.chunk.chunks(CHUNK_LEN) {
                        encoder.write(part, &mut self.spare)?;
                        if frame.given.saturating_add(self.spare.len() as u64) > *encoded_len {
                            return Err(failure!(
                                PackageCorrupt,
                                "an encoding gives more than the declared {encoded_len} bytes"
                            ));
                        }
                    }
                    std::mem::swap(&mut self.chunk, &mut self.spare);
                }
            }
            frame.given = frame.given.saturating_add(self.chunk.len() as u64);
        }
        self.put(unit.output)
    }

    fn put(&mut self, output: Output) -> Result<(), Failure> {
        match output {
            Output::Kept(index) => self.kept.write(index, &self.chunk),
            Output::Layer => {
                let made = self.made.saturating_add(self.chunk.len() as u64);
                if made > self.head.output_len {
                    return Err(failure!(PackageCorrupt, "the layer is longer than declared"));
                }
                self.made = made;
                if self.pending_at == self.pending.len() {
                    std::mem::swap(&mut self.pending, &mut self.chunk);
                    self.pending_at = 0;
                } else {
                    self.pending.extend_from_slice(&self.chunk);
                }
                Ok(())
            }
        }
    }
}

fn push(unit: &mut Unit, through: Through) -> Result<(), Failure> {
    if unit.frames.len() >= DEPTH {
        return Err(failure!(PackageCorrupt, "encodings are nested deeper than {DEPTH}"));
    }
    unit.rest.enter(!matches!(through, Through::Encoder { .. }));
    unit.frames.push(Frame { through, given: 0 });
    Ok(())
}
