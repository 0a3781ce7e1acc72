//! Progress: drawn by the one stage whose stdout is no pipe; the others send it records.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{CommonArgs, ProgressMode};
use crate::ndjson::Line;
use crate::record::Progress;

/// How often a stage inside a pipeline reports.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often a line is written in mode `lines`.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// What worker threads have done, read by the thread that reports.
#[derive(Debug, Default)]
pub struct Meter {
    done: AtomicU64,
    total: AtomicU64,
    task: Mutex<String>,
    started: Mutex<Option<Instant>>,
}

impl Meter {
    /// A meter for work of `total` bytes.
    pub fn new(task: &str, total: u64) -> Self {
        Self {
            done: AtomicU64::new(0),
            total: AtomicU64::new(total),
            task: Mutex::new(task.to_owned()),
            started: Mutex::new(Some(Instant::now())),
        }
    }

    /// Counts bytes that were done.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says what is being done now.
    pub fn task(&self, task: &str) {
        task.clone_into(&mut self.task.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn read(&self) -> (String, u64, u64) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (task, self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Whether the work has just begun, so that it may end any moment.
    pub(super) fn is_short(&self) -> bool {
        let started = *self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.is_some_and(|at| at.elapsed() < Duration::from_millis(500))
    }
}

#[derive(Debug)]
enum Display {
    Off,
    /// Inside a pipeline: records.
    Records(Option<Instant>),
    Bars(MultiProgress, BTreeMap<String, ProgressBar>),
    Lines(Option<Instant>),
}

#[derive(Debug)]
pub(super) struct Reporter {
    stage: &'static str,
    display: Display,
}

impl Reporter {
    pub(super) fn new(stage: &'static str, common: &CommonArgs, last: bool) -> Self {
        let display = match common.progress {
            _ if common.quiet => Display::Off,
            ProgressMode::Off => Display::Off,
            _ if !last => Display::Records(None),
            ProgressMode::Lines => Display::Lines(None),
            ProgressMode::Auto if std::io::stderr().is_terminal() => Display::Bars(
                MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
                BTreeMap::new(),
            ),
            ProgressMode::Auto => Display::Off,
        };
        Self { stage, display }
    }

    /// Reports this stage's progress; gives a record when one is due, and for the `last` report of a task.
    pub(super) fn report(
        &mut self,
        task: &str,
        (done, total): (u64, u64),
        last_report: bool,
    ) -> Option<Progress> {
        let progress =
            Progress { stage: self.stage.to_owned(), task: task.to_owned(), done, total };
        if let Display::Records(last) = &mut self.display {
            return (due(last, INTERVAL) || last_report).then_some(progress);
        }
        self.draw(&progress);
        None
    }

    /// Takes in another stage's `progress` record; false if it is to be passed on.
    pub(super) fn consume(&mut self, line: &Line) -> bool {
        if matches!(self.display, Display::Records(_)) {
            return false;
        }
        if let Ok(progress) = line.parse() {
            self.draw(&progress);
        }
        true
    }

    fn draw(&mut self, progress: &Progress) {
        match &mut self.display {
            Display::Off | Display::Records(_) => {}
            Display::Lines(last) => {
                if due(last, LINE_INTERVAL) {
                    let Progress { stage, task, done, total } = progress;
                    let _ = writeln!(std::io::stderr(), "{stage}: {task}: {done} of {total} bytes");
                }
            }
            Display::Bars(bars, shown) => {
                let bar = shown.entry(progress.stage.clone()).or_insert_with(|| {
                    let style = ProgressStyle::with_template(
                        "{prefix:10} {bar:24} {bytes:>10}/{total_bytes:10} {msg}",
                    );
                    let bar = bars.add(ProgressBar::new(0));
                    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                    bar.with_prefix(progress.stage.clone())
                });
                bar.set_length(progress.total);
                bar.set_position(progress.done);
                bar.set_message(progress.task.escape_debug().to_string());
            }
        }
    }

    /// Takes the display away for good.
    pub(super) fn clear(&mut self) {
        if let Display::Bars(bars, shown) = &mut self.display {
            shown.clear();
            let _ = bars.clear();
        }
    }

    /// Writes something else to stderr without disturbing the display.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        match &self.display {
            Display::Bars(bars, _) => bars.suspend(write),
            _ => write(),
        }
    }
}

fn due(last: &mut Option<Instant>, interval: Duration) -> bool {
    let now = Instant::now();
    let due = last.is_none_or(|at| now.duration_since(at) >= interval);
    if due {
        *last = Some(now);
    }
    due
}
