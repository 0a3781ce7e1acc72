//! Numbered digests, times, and bytes of kept objects one after the other.

use dd_inspect::failure::Failure;

use super::super::hooks::{Source, Sources};
use super::super::op::Op;
use super::super::quoted::{Form, Hash};
use super::{PayloadWriter, wrong};

impl<S: Sources + Sync> PayloadWriter<S> {
    /// What follows is hashed until [`PayloadWriter::leave`]. The digests have the numbers 0, 1 … in the order
    /// of these calls.
    ///
    /// # Errors
    /// Encodings are nested too deep.
    pub fn enter_hash(&mut self, hash: Hash) -> Result<(), Failure> {
        self.enter(Op::EnterHash { hash }, &[])
    }

    /// The text of a numbered digest.
    ///
    /// # Errors
    /// No such digest was entered and left.
    pub fn digest(&mut self, form: Form, number: u64) -> Result<(), Failure> {
        self.flush_op()?;
        let step = self.digests.step_to(number);
        let (step, len) = step.ok_or_else(|| wrong("there is no such digest"))?;
        self.emit_generated(Op::Digest { form, step }, form.text_len(len) as u64, None)
    }

    /// These 4 bytes, as the time of the last tar header and a difference.
    ///
    /// # Errors
    /// What writing a unit fails with.
    pub fn mtime(&mut self, bytes: [u8; 4]) -> Result<(), Failure> {
        self.flush_op()?;
        let distance = u32::from_le_bytes(bytes).wrapping_sub(self.mtime as u32);
        let step = i64::from(distance as i32);
        self.emit(Op::Mtime { step })
    }

    /// The bytes of a source after those that the last such call gave, at first from its start.
    ///
    /// # Errors
    /// The source has not so many bytes.
    pub fn following(&mut self, source: Source, len: u64) -> Result<(), Failure> {
        let offset = self.following.get(&source).copied().unwrap_or(0);
        self.check_range(source, offset, len)?;
        if len == 0 {
            return Ok(());
        }
        self.flush_op()?;
        self.following.insert(source, offset + len);
        self.emit(Op::Following { source, len })
    }
}
