//! What a model predicts of a target, as its reader will: cover after cover, learning on the way.

use dd_inspect::failure::Failure;

use super::file::File;
use super::pair::Pair;
use super::thin::PART;
use super::{Scored, model};
use crate::program::limits::BLOCK_LEN;
use crate::program::{Executable, STRETCH, inner};

/// A range of a base as it is predicted to have become.
pub(super) struct Predicted {
    pub(super) bytes: Vec<u8>,
    /// What each byte is part of.
    pub(super) classes: Vec<u8>,
}

/// Predicts what `wanted` is, which went from `from` in the base's file to `to` in the target's; none where it is the base's
/// bytes and nothing is to be learned. What the model reads is added to `work`.
///
/// # Errors
/// What reading the base fails with.
pub(super) fn predicted(
    executable: &mut Executable,
    (base, work): (File<'_>, &mut u64),
    (from, to): (u64, u64),
    wanted: &[u8],
) -> anyhow::Result<Option<Predicted>> {
    let bytes = &base.read(from..from + wanted.len() as u64)?[..];
    let machine = executable.params().machine;
    let mut read = base.reader();
    let mut read = |offset: u64, buf: &mut [u8]| {
        *work += machine.work(buf.len());
        read(offset, buf)
    };
    if bytes == wanted && !is_learned(executable, (from, to), bytes, &mut read)? {
        return Ok(None);
    }
    let (mut predicted, mut classes) = (bytes.to_vec(), vec![0; wanted.len()]);
    for at in (0..wanted.len()).step_by(STRETCH) {
        let end = wanted.len().min(at + STRETCH);
        let (now, then) = (&wanted[at..end], &bytes[at..end]);
        let (predicted, classes) = (&mut predicted[at..end], &mut classes[at..end]);
        executable.begin(from + at as u64, to + at as u64, then, &mut read)?;
        let mut at = 0;
        while at < now.len() {
            let end = executable.next_end(at, now.len(), BLOCK_LEN);
            executable.predict(predicted, classes, end);
            executable.learn(now, then, end);
            at = end;
        }
    }
    Ok(Some(Predicted { bytes: predicted, classes }))
}

/// Whether there are addresses in a range.
fn is_learned(
    executable: &mut Executable,
    (from, to): (u64, u64),
    bytes: &[u8],
    read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let mut any = false;
    for (at, bytes) in (0..).step_by(STRETCH).zip(bytes.chunks(STRETCH)) {
        executable.look(from + at, to + at, bytes, read)?;
        any |= executable.addresses() > 0;
    }
    Ok(any)
}

/// What covers come to in bytes, about: their corrections coded, covers and literals as [`Pair::costs`] has it.
///
/// # Errors
/// What reading the files fails with.
pub(super) fn measured(
    pair: &Pair,
    (base, target): (File<'_>, File<'_>),
    scored: &[Scored],
) -> anyhow::Result<usize> {
    let covers = pair.whole(scored);
    let mut executable = model(&pair.params, covers.iter().copied());
    let mut work = 0;
    let corrections = inner::measured(|corrections| {
        for cover in &covers {
            let (from, to) = (cover.base as u64, cover.target as u64);
            for at in (0..cover.len as u64).step_by(PART as usize) {
                let end = (to + at + PART).min(cover.target_end() as u64);
                let wanted = target.read(to + at..end)?;
                let (base, places) = ((base, &mut work), (from + at, to + at));
                if let Some(made) = predicted(&mut executable, base, places, &wanted)? {
                    corrections.push(&made.bytes, &made.classes, &wanted);
                    corrections.end_op();
                }
            }
        }
        anyhow::Ok(())
    })?;
    Ok(corrections + pair.costs().beside(&covers, target.len() as usize))
}
