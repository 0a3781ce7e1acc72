//! One pass over a tar: the digest of the whole and of each member's content.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::Context;

use super::archive::{ArchiveMember, TarIndex};
use crate::digest::{Digest, Hasher};
use crate::range::ReadAt;
use crate::stage::Meter;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// The digests of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarDigests {
    /// Of the whole tar.
    pub tar: Digest,
    /// Of each member's content; none for those without.
    pub members: Vec<Option<Digest>>,
}

/// Reads a tar once, hashing the whole on one thread and the members on another.
///
/// # Errors
/// What reading fails with, or the file changed meanwhile.
pub fn hash(index: &TarIndex, meter: Option<&Meter>) -> anyhow::Result<TarDigests> {
    let range = index.range();
    let digests = thread::scope(|scope| {
        let (send, receive) = sync_channel::<Arc<Vec<u8>>>(4);
        let whole = scope.spawn(move || {
            let mut hasher = Hasher::new();
            for chunk in receive {
                hasher.update(&chunk);
            }
            hasher.finish()
        });
        let mut members = MemberHashes::new(index.members());
        let mut offset = 0;
        while offset < range.size() {
            let len = usize::try_from(range.size() - offset).map_or(CHUNK, |left| left.min(CHUNK));
            let mut chunk = vec![0; len];
            range.read_exact_at(&mut chunk, offset)?;
            let chunk = Arc::new(chunk);
            // The receiver lives until the sender is dropped.
            let _ = send.send(chunk.clone());
            members.update(offset, &chunk);
            offset += len as u64;
            if let Some(meter) = meter {
                meter.add(len as u64);
            }
        }
        drop(send);
        let tar =
            whole.join().map_err(|_| std::io::Error::other("a thread stopped unexpectedly"))?;
        Ok::<_, std::io::Error>(TarDigests { tar, members: members.finish() })
    });
    let digests = digests.with_context(|| format!("reading {}", range.path().display()))?;
    range.check_unchanged()?;
    Ok(digests)
}

/// Hashes the parts of a sequence of chunks that are members' content; members lie in order.
struct MemberHashes<'a> {
    members: &'a [ArchiveMember],
    next: usize,
    hasher: Hasher,
    digests: Vec<Option<Digest>>,
}

impl<'a> MemberHashes<'a> {
    fn new(members: &'a [ArchiveMember]) -> Self {
        Self { members, next: 0, hasher: Hasher::new(), digests: vec![None; members.len()] }
    }

    fn update(&mut self, offset: u64, chunk: &[u8]) {
        let chunk_end = offset + chunk.len() as u64;
        while let Some(member) = self.members.get(self.next) {
            let (start, end) = (member.content_offset, member.content_offset + member.size);
            if start >= chunk_end && member.size > 0 {
                return;
            }
            let inside = |at: u64| {
                usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX).min(chunk.len())
            };
            self.hasher.update(chunk.get(inside(start)..inside(end)).unwrap_or_default());
            if end > chunk_end {
                return;
            }
            let digest = std::mem::take(&mut self.hasher).finish();
            self.digests[self.next] = (member.size > 0).then_some(digest);
            self.next += 1;
        }
    }

    fn finish(self) -> Vec<Option<Digest>> {
        self.digests
    }
}
