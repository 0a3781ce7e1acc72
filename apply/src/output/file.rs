//! A plan into a file that can seek: pieces in any order by several threads, the file hashed close behind them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context, bail};
use dd_inspect::digest::{Digest, Hasher};
use dd_inspect::failure;
use dd_inspect::package::Documents;

use super::plan::{Part, Plan};
use crate::rebuild::run::Places;
use crate::rebuild::{Piece, Rebuilder, Work};

/// Writes the file and returns its digest and size. Everything in it was verified.
///
/// # Errors
/// The base or the package is damaged; no space.
pub fn write(
    plan: &Plan,
    rebuilder: &Rebuilder,
    work: &Work,
    file: &File,
    jobs: usize,
) -> anyhow::Result<(Digest, u64)> {
    let target = Target::new(plan, rebuilder, work, file)?;
    reserve(file, target.size)?;
    std::thread::scope(|scope| {
        let filler = scope.spawn(|| target.fill(&rebuilder.documents));
        let result = rebuilder.run(work, jobs, &target);
        if result.is_err() {
            target.progress(|progress| progress.failed = true);
        }
        let filled = filler.join().map_err(|_| anyhow::anyhow!("the hashing thread stopped"))?;
        result?;
        filled
    })
}

/// Takes the space before work, so that a full disk is noticed at once; filesystems that cannot do without.
fn reserve(file: &File, size: u64) -> anyhow::Result<()> {
    let flags = rustix::fs::FallocateFlags::empty();
    match rustix::fs::fallocate(file, flags, 0, size.max(1)) {
        Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => {
            Err(failure!(NoSpace, "the output needs {size} bytes, which its disk does not have")
                .into())
        }
        _ => file.set_len(size).context("writing the output"),
    }
}

struct Target<'a> {
    plan: &'a Plan,
    file: Arc<File>,
    numbers: HashMap<Piece, usize>,
    /// Where each part begins and its size.
    parts: Vec<(u64, u64)>,
    /// Where each piece stands first.
    first: Vec<u64>,
    size: u64,
    progress: Mutex<Progress>,
    changed: Condvar,
}

struct Progress {
    pieces: Vec<Progressed>,
    failed: bool,
}

/// How far a piece is.
#[derive(Clone, Copy, Default)]
struct Progressed {
    /// Bytes of it that are in their place.
    written: u64,
    /// All of them are, verified.
    done: bool,
}

impl<'a> Target<'a> {
    fn new(
        plan: &'a Plan,
        rebuilder: &Rebuilder,
        work: &'a Work,
        file: &File,
    ) -> anyhow::Result<Self> {
        let size = plan.size(&rebuilder.recipe)?;
        let mut parts = Vec::with_capacity(plan.parts.len());
        let mut first = vec![None; work.pieces.len()];
        let numbers = work.numbers();
        let mut offset = 0;
        for part in &plan.parts {
            let size = part.size(&rebuilder.recipe)?;
            if let Part::Piece(piece) = part {
                let slot = numbers.get(piece).and_then(|n| first.get_mut(*n));
                slot.context("a piece is not planned")?.get_or_insert(offset);
            }
            parts.push((offset, size));
            offset += size;
        }
        let first = first.into_iter().map(|offset| offset.context("a piece has no place"));
        Ok(Self {
            plan,
            file: Arc::new(file.try_clone()?),
            numbers,
            parts,
            first: first.collect::<anyhow::Result<_>>()?,
            size,
            progress: Mutex::new(Progress {
                pieces: vec![Progressed::default(); work.pieces.len()],
                failed: false,
            }),
            changed: Condvar::new(),
        })
    }

    fn progress(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until more than `at` bytes of a piece are in their place, or all of it is; returns how many are.
    fn wait(&self, piece: usize, at: u64) -> anyhow::Result<u64> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if progress.failed {
                bail!("rebuilding failed");
            }
            match progress.pieces.get(piece) {
                Some(one) if one.done => return Ok(u64::MAX),
                Some(one) if one.written > at => return Ok(one.written),
                _ => {}
            }
            progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes what is no piece, and hashes the file in order behind the pieces.
    fn fill(&self, documents: &Documents) -> anyhow::Result<(Digest, u64)> {
        let mut hasher = Hasher::new();
        for (part, (offset, size)) in self.plan.parts.iter().zip(&self.parts) {
            match part {
                Part::Piece(piece) => {
                    let number =
                        self.numbers.get(piece).copied().context("a piece is not planned")?;
                    let from = self.first.get(number).copied().context("a piece has no place")?;
                    let mut at = 0;
                    while at < *size {
                        let end = self.wait(number, at)?.min(*size);
                        let part = At { file: &self.file, offset: from + at, left: end - at };
                        self.copy(part, *offset + at, from != *offset, &mut hasher)?;
                        at = end;
                    }
                }
                other => {
                    let reader = other.reader(documents).context("a part cannot be read")?;
                    self.copy(reader, *offset, true, &mut hasher)?;
                }
            }
        }
        let size = hasher.len();
        Ok((hasher.finish(), size))
    }

    fn copy(
        &self,
        mut from: impl Read,
        mut offset: u64,
        write: bool,
        hasher: &mut Hasher,
    ) -> anyhow::Result<()> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let n = match from.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                result => result.context("reading back")?,
            };
            if n == 0 {
                return Ok(());
            }
            hasher.update(&buffer[..n]);
            if write {
                self.file.write_all_at(&buffer[..n], offset).context("writing the output")?;
            }
            offset += n as u64;
        }
    }
}

/// A range of a file from its beginning to its end.
struct At<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let n = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

impl Places for Target<'_> {
    fn open(&self, piece: usize) -> anyhow::Result<(Arc<File>, u64)> {
        let offset = self.first.get(piece).context("a piece has no place")?;
        Ok((Arc::clone(&self.file), *offset))
    }

    fn written(&self, piece: usize, len: u64) {
        self.progress(|progress| {
            if let Some(piece) = progress.pieces.get_mut(piece) {
                piece.written += len;
            }
        });
    }

    fn done(&self, piece: usize) -> anyhow::Result<()> {
        self.progress(|progress| {
            if let Some(piece) = progress.pieces.get_mut(piece) {
                piece.done = true;
            }
        });
        Ok(())
    }
}
