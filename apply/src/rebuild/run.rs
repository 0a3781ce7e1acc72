//! All steps of a session: in order by one thread, or by several.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use dd_inspect::range::ReadAt;

use super::layers::{Place, Rebuilder, Session};
use super::sources::InOrder;
use super::work::{Step, Way, Work};

/// Where pieces go when the output can seek.
pub trait Places: Sync {
    /// The file and the offset of a piece.
    ///
    /// # Errors
    /// The file cannot be made.
    fn open(&self, piece: usize) -> anyhow::Result<(Arc<File>, u64)>;

    /// So many more bytes of a piece are in their place, not verified.
    fn written(&self, _piece: usize, _len: u64) {}

    /// A piece is in its place, verified.
    ///
    /// # Errors
    /// What finishing it fails with.
    fn done(&self, piece: usize) -> anyhow::Result<()>;
}

impl Rebuilder {
    /// Makes all pieces in their places, with `jobs` threads.
    ///
    /// # Errors
    /// The first failure; the other threads stop.
    pub fn run(&self, work: &Work, jobs: usize, places: &dyn Places) -> anyhow::Result<()> {
        let jobs = jobs.clamp(1, work.steps.len().max(1));
        let session = Session::new(self, work, jobs == 1);
        if jobs == 1 {
            return work.steps.iter().try_for_each(|step| session.step(*step, places));
        }
        let next = Mutex::new(0);
        let take = || {
            let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
            let step = work.steps.get(*next).copied()?;
            *next += 1;
            // Under the lock, so that whoever gets a later step finds it begun.
            if let Some(diff_id) = work.holds(step, &self.recipe) {
                session.held().begin(diff_id);
            }
            Some(step)
        };
        let failure = Mutex::new(None);
        let worker = || {
            while let Some(step) = take().filter(|_| !session.held().has_failed()) {
                if let Err(error) = session.step(step, places) {
                    let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(error);
                    session.held().fail();
                }
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
            for worker in workers {
                worker.join().map_err(|_| anyhow::anyhow!("a worker thread stopped"))?;
            }
            anyhow::Ok(())
        })?;
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Gives all pieces in their order to an output.
    ///
    /// # Errors
    /// The first failure.
    pub fn stream(&self, work: &Work, output: &mut dyn InSequence) -> anyhow::Result<()> {
        let session = Session::new(self, work, true);
        for step in &work.steps {
            let number = match *step {
                Step::Hold(number) => {
                    session.hold(number)?;
                    continue;
                }
                Step::Piece(number) => number,
            };
            let from_base = matches!(work.ways.get(number), Some(Way::Base(_)));
            let handling = match output.handling(number) {
                // A blob of the base is read twice instead of copied to scratch.
                Handling::VerifiedFirst if from_base => {
                    session.piece(number, Place::Stream(&mut io::sink()))?;
                    Handling::Direct
                }
                other => other,
            };
            if handling == Handling::Direct {
                session.piece(number, Place::Stream(output.begin(number)?))?;
                output.end(number, None)?;
                continue;
            }
            let mut file = self.scratch.file()?;
            session.piece(number, Place::Stream(&mut file))?;
            let file: Arc<dyn ReadAt> = Arc::new(file);
            let out = output.begin(number)?;
            io::copy(&mut InOrder::new(Arc::clone(&file)), out).context("writing the output")?;
            output.end(number, Some(file))?;
        }
        Ok(())
    }
}

/// What becomes of a piece before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// It is written as it is made.
    Direct,
    /// All of it is verified before any of it is handed on.
    VerifiedFirst,
    /// The same, and it is given again afterwards.
    Again,
}

/// An output that takes pieces in their order.
pub trait InSequence {
    /// What must become of a piece before it is written.
    fn handling(&self, piece: usize) -> Handling;

    /// What a piece is to be written to, after everything that stands before it was.
    ///
    /// # Errors
    /// What writing fails with.
    fn begin(&mut self, piece: usize) -> anyhow::Result<&mut (dyn Write + Send)>;

    /// A piece was written; it is given again if it was verified first.
    ///
    /// # Errors
    /// What finishing it fails with.
    fn end(&mut self, piece: usize, again: Option<Arc<dyn ReadAt>>) -> anyhow::Result<()>;
}

impl Session<'_> {
    fn step(&self, step: Step, places: &dyn Places) -> anyhow::Result<()> {
        match step {
            Step::Hold(number) => self.hold(number),
            Step::Piece(number) => {
                let (file, offset) = places.open(number)?;
                let written = |len| places.written(number, len);
                self.piece(number, Place::File(file, offset, &written))?;
                places.done(number)
            }
        }
    }
}
