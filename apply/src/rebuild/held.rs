//! Contents that are read at any offset: sources of programs, and what is written more than once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::bail;
use dd_inspect::digest::DiffId;
use dd_inspect::range::ReadAt;

/// The contents that are there, and how often each will still be read.
pub struct Held {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    entries: HashMap<DiffId, Entry>,
    readers: HashMap<DiffId, usize>,
    failed: bool,
}

/// A content, if there is one.
type Found = Option<Arc<dyn ReadAt>>;

enum Entry {
    /// A thread makes it.
    InWork,
    Ready(Arc<dyn ReadAt>),
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("entries", &self.lock().entries.len()).finish_non_exhaustive()
    }
}

impl Held {
    /// Nothing held, with the number of reads that each content will see.
    pub fn new(readers: HashMap<DiffId, usize>) -> Self {
        let state = State { entries: HashMap::new(), readers, failed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the calling thread makes this content: others that ask for it wait.
    pub fn begin(&self, diff_id: DiffId) {
        self.lock().entries.insert(diff_id, Entry::InWork);
    }

    /// Gives a content that was made.
    pub fn put(&self, diff_id: DiffId, content: Arc<dyn ReadAt>) {
        self.lock().entries.insert(diff_id, Entry::Ready(content));
        self.changed.notify_all();
    }

    /// A content, if it is there or being made.
    ///
    /// # Errors
    /// Another thread failed meanwhile.
    pub fn get(&self, diff_id: &DiffId) -> anyhow::Result<Option<Arc<dyn ReadAt>>> {
        self.wait(self.lock(), diff_id).map(|(_, content)| content)
    }

    /// A content, made by `make` if no thread has made it or does so.
    ///
    /// # Errors
    /// What `make` fails with, or another thread failed meanwhile.
    pub fn get_or_make(
        &self,
        diff_id: DiffId,
        make: impl FnOnce() -> anyhow::Result<Arc<dyn ReadAt>>,
    ) -> anyhow::Result<Arc<dyn ReadAt>> {
        let (mut state, content) = self.wait(self.lock(), &diff_id)?;
        if let Some(content) = content {
            return Ok(content);
        }
        state.entries.insert(diff_id, Entry::InWork);
        drop(state);
        let content = make()?;
        self.put(diff_id, Arc::clone(&content));
        Ok(content)
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        diff_id: &DiffId,
    ) -> anyhow::Result<(MutexGuard<'a, State>, Found)> {
        loop {
            if state.failed {
                bail!("another part of the work failed");
            }
            match state.entries.get(diff_id) {
                None => return Ok((state, None)),
                Some(Entry::Ready(content)) => {
                    let content = Arc::clone(content);
                    return Ok((state, Some(content)));
                }
                Some(Entry::InWork) => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Says that one of the reads is over; after the last the content is forgotten.
    pub fn release(&self, diff_id: &DiffId) {
        let mut state = self.lock();
        let Some(readers) = state.readers.get_mut(diff_id) else { return };
        *readers = readers.saturating_sub(1);
        if *readers == 0 {
            state.entries.remove(diff_id);
        }
    }

    /// Says that the work failed: whoever waits stops.
    pub fn fail(&self) {
        self.lock().failed = true;
        self.changed.notify_all();
    }

    /// Whether the work failed.
    pub fn has_failed(&self) -> bool {
        self.lock().failed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn content(bytes: &[u8]) -> Arc<dyn ReadAt> {
        Arc::new(bytes.to_vec())
    }

    #[test]
    fn is_forgotten_after_the_last_read() {
        let id = DiffId::of(b"a");
        let held = Held::new(HashMap::from([(id, 2)]));
        assert_eq!(held.get_or_make(id, || Ok(content(b"a"))).unwrap().size(), 1);
        held.release(&id);
        assert_eq!(held.get_or_make(id, || bail!("it is there")).unwrap().size(), 1);
        held.release(&id);
        assert!(held.get(&id).unwrap().is_none());
    }

    #[test]
    fn waits_for_another_thread_and_stops_when_it_fails() {
        let (a, b) = (DiffId::of(b"a"), DiffId::of(b"b"));
        let held = Held::new(HashMap::new());
        held.begin(a);
        held.begin(b);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| held.get(&a));
            held.put(a, content(b"a"));
            assert_eq!(waiting.join().unwrap().unwrap().unwrap().size(), 1);
            let waiting = scope.spawn(|| held.get(&b).map(|_| ()));
            held.fail();
            assert!(waiting.join().unwrap().is_err());
        });
        assert!(held.has_failed());
    }
}
