//! What must be undone when the process is interrupted: temporary files and helper programs.
//!
//! A signal can come at any time, so the list of them is the one global value of this program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, process, thread};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

#[derive(Debug)]
enum Item {
    File(PathBuf),
    Directory(PathBuf),
    ProcessGroup(Pid),
}

#[derive(Debug)]
struct Registry {
    next: u64,
    items: BTreeMap<u64, Item>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { next: 0, items: BTreeMap::new() });

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something to undo if the process is interrupted while this value lives.
///
/// Dropping it only takes it off the list; the owner tidies up in the ordinary way.
#[derive(Debug)]
#[must_use]
pub struct Guard(u64);

impl Guard {
    fn new(item: Item) -> Self {
        let mut registry = registry();
        let id = registry.next;
        registry.next += 1;
        registry.items.insert(id, item);
        Self(id)
    }

    /// Removes a file if the process is interrupted.
    pub fn file(path: &Path) -> Self {
        Self::new(Item::File(path.to_owned()))
    }

    /// Removes a directory and all in it if the process is interrupted.
    pub fn directory(path: &Path) -> Self {
        Self::new(Item::Directory(path.to_owned()))
    }

    /// Ends a helper's process group if the process is interrupted.
    pub fn process_group(leader: Pid) -> Self {
        Self::new(Item::ProcessGroup(leader))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        registry().items.remove(&self.0);
    }
}

/// Undoes everything that is registered: helpers first, so that they write no more.
fn undo_all() {
    let items = std::mem::take(&mut registry().items);
    for item in items.values() {
        if let Item::ProcessGroup(leader) = item {
            let _ = kill_process_group(*leader, Signal::TERM);
        }
    }
    for item in items.into_values() {
        let _ = match item {
            Item::File(path) => std::fs::remove_file(path),
            Item::Directory(path) => std::fs::remove_dir_all(path),
            Item::ProcessGroup(_) => Ok(()),
        };
    }
}

/// From here on SIGINT, SIGTERM and SIGHUP undo what is registered and end the process with
/// 128 + the signal's number. Signals that the process was started to ignore stay ignored (`nohup`, the background commands
/// of a script). A file that would become larger than the process may write (`ulimit -f`) is no signal but an error of the
/// write, as a full disk is.
///
/// # Errors
/// The handlers or their thread cannot be installed.
pub fn install() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::default())?;
    let ignored = ignored();
    let taken = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !ignores(ignored, *signal));
    let mut signals = Signals::new(taken)?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            undo_all();
            process::exit(128 + signal);
        }
    })?;
    Ok(())
}

/// The mask of the signals that this process ignores; none where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn ignores(mask: u64, signal: i32) -> bool {
    mask >> (signal - 1) & 1 == 1
}
