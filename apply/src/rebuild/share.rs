//! Memory that programs share: each begins when what it declares is free.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a program is counted as at least, in bytes: its buffers.
pub const LEAST: u64 = 4 << 20;

/// So many bytes of memory.
#[derive(Debug)]
pub struct Share {
    all: u64,
    free: Mutex<u64>,
    changed: Condvar,
}

/// What a program holds until it is dropped.
#[derive(Debug)]
pub struct Part<'a> {
    share: &'a Share,
    len: u64,
}

impl Share {
    /// All of it is free.
    pub fn new(all: u64) -> Self {
        Self { all, free: Mutex::new(all), changed: Condvar::new() }
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many bytes are free, and takes them. What needs more than there is waits until it is alone.
    ///
    /// Whoever has a part must not wait for another.
    pub fn take(&self, len: u64) -> Part<'_> {
        let len = len.max(LEAST).min(self.all);
        let free = self.changed.wait_while(self.free(), |free| *free < len);
        *free.unwrap_or_else(PoisonError::into_inner) -= len;
        Part { share: self, len }
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        *self.share.free() += self.len;
        self.share.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn no_more_is_taken_than_there_is() {
        let (share, taken, most) = (Share::new(20 << 20), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for len in [1, 3, 9, 12, 30, 9, 5, 20] {
                let (share, taken, most) = (&share, &taken, &most);
                scope.spawn(move || {
                    let part = share.take(len << 20);
                    most.fetch_max(
                        taken.fetch_add(part.len, Ordering::SeqCst) + part.len,
                        Ordering::SeqCst,
                    );
                    std::thread::yield_now();
                    taken.fetch_sub(part.len, Ordering::SeqCst);
                });
            }
        });
        assert!(most.into_inner() <= 20 << 20);
        assert_eq!(*share.free(), 20 << 20);
    }

    #[test]
    fn two_that_fit_run_together() {
        let share = Share::new(20 << 20);
        let parts = [share.take(0), share.take(16 << 20)];
        assert_eq!((parts[0].len, *share.free()), (LEAST, 0));
        drop(parts);
        assert_eq!(share.take(u64::MAX).len, 20 << 20);
    }
}
