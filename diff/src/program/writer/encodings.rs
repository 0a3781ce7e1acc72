//! Encodings that what follows goes through, and digest slots.

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::super::hooks::Sources;
use super::super::ids::stream;
use super::super::limits;
use super::super::op::Op;
use super::{PayloadWriter, wrong};

impl<S: Sources + Sync> PayloadWriter<S> {
    /// A digest slot that nothing uses yet.
    pub fn new_slot(&mut self) -> Result<u64, Failure> {
        if self.slots == limits::SLOTS {
            return Err(failure!(Limit, "a delta has at most {} digest slots", limits::SLOTS));
        }
        self.slots += 1;
        Ok(self.slots - 1)
    }

    /// What follows is hashed into a slot, until [`PayloadWriter::leave`].
    pub fn enter_digest(&mut self, slot: u64) -> Result<(), Failure> {
        self.enter(Op::EnterDigest { slot }, &[])
    }

    /// The hexadecimal digits of a slot.
    pub fn digest_hex(&mut self, slot: u64) -> Result<(), Failure> {
        self.flush_op()?;
        self.emit(Op::DigestHex { slot })
    }

    /// What follows goes through an encoder, until [`PayloadWriter::leave`], and becomes
    /// `encoded_len` bytes. `exact` is what the encoder takes beside its parameters.
    pub fn enter_encoding(
        &mut self,
        encoding: u64,
        params: &[u8],
        exact: &[u8],
        encoded_len: u64,
    ) -> Result<(), Failure> {
        let (exact_len, params) = (exact.len() as u64, params.to_vec());
        if exact_len > limits::EXACT_LEN || params.len() as u64 > limits::PARAMS_LEN {
            return Err(wrong("an encoding has too many parameters"));
        }
        self.enter(Op::Enter { encoding, params, exact_len, encoded_len }, exact)
    }

    pub(super) fn enter(&mut self, op: Op, exact: &[u8]) -> Result<(), Failure> {
        self.flush_op()?;
        if self.unit.frames.depth() == limits::DEPTH {
            return Err(wrong("encodings are nested too deep"));
        }
        if self.unit.frames.depth() == 0 && !self.unit.has_room_for_models() {
            // No unit can begin inside.
            self.next_unit()?;
        }
        if !exact.is_empty() && exact.len() > self.unit.slice.room() {
            self.cut_slice()?;
        }
        self.unit.bytes(stream::EXACT, exact);
        self.emit(op)
    }

    /// Ends the innermost digest or encoding.
    pub fn leave(&mut self) -> Result<(), Failure> {
        self.flush_op()?;
        if self.unit.frames.depth() == 0 {
            return Err(wrong("no encoding is entered"));
        }
        self.emit(Op::Leave)
    }
}
