//! What the work needs, compared with what there is.

use std::collections::HashSet;
use std::path::Path;

use dd_inspect::package::Recipe;
use dd_inspect::range::ReadAt;
use dd_inspect::record::Compression;
use dd_inspect::{fail, failure};

use crate::base::Bases;
use crate::rebuild::Work;
use crate::rebuild::share::LEAST;
use crate::rebuild::work::{Step, Way};
use crate::resources::{available_memory, free_space, same_disk};
use crate::size::show;

/// Code, I/O and the encoder of a layer, in bytes, beside what programs need.
const OWN_MEMORY: u64 = 8 << 20;
/// Memory that is used where nothing is said, though one layer alone may need more: what a small device has.
const USUAL_MEMORY: u64 = 96 << 20;

/// The figures, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// What is written.
    pub output: u64,
    /// What is free where it is written.
    pub output_free: Option<u64>,
    /// Memory for one layer at a time.
    pub memory: u64,
    /// Memory that there is.
    pub memory_available: Option<u64>,
    /// Scratch space, at most.
    pub scratch: u64,
    /// What is free where scratch files lie.
    pub scratch_free: Option<u64>,
    /// Output and scratch lie on one disk.
    pub same_disk: bool,
}

/// What decides how much scratch is needed.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Each layer is verified before it is handed on.
    pub verified_first: bool,
    /// The package's payloads may have to be kept: bytes of them.
    pub spool: u64,
}

impl Figures {
    /// Adds up what the work needs.
    ///
    /// # Errors
    /// A layer of the base cannot be opened.
    pub fn new(
        recipe: &Recipe,
        work: &Work,
        bases: &Bases,
        output: u64,
        manner: Manner,
    ) -> anyhow::Result<Self> {
        let mut scratch = recipe.scratch.saturating_add(manner.spool);
        let mut sources = HashSet::new();
        for step in &work.steps {
            let (number, held) = match *step {
                Step::Hold(number) => (number, true),
                Step::Piece(place) => match work.ways.get(place) {
                    Some(Way::Content(number)) if work.makes(place) => {
                        (*number, work.holds(*step, recipe).is_some())
                    }
                    _ => continue,
                },
            };
            let Some(content) = recipe.content(number) else { continue };
            if held {
                scratch = scratch.saturating_add(content.size);
            }
            sources.extend(content.sources.iter().copied());
        }
        for layer in sources.iter().filter_map(|diff_id| bases.content(diff_id)) {
            if !layer.is_plain() {
                let known = recipe.contents.iter().find(|c| c.diff_id == layer.diff_id);
                let size = known.map_or_else(|| unpacked_size(layer), |content| content.size);
                scratch = scratch.saturating_add(size);
            }
        }
        if manner.verified_first {
            let pieces = work.pieces.iter().zip(&work.ways);
            let made = pieces.filter(|(_, way)| matches!(way, Way::Content(_)));
            let largest = made.filter_map(|(piece, _)| piece.size(recipe)).max();
            scratch = scratch.saturating_add(largest.unwrap_or(0));
        }
        let memory = OWN_MEMORY.saturating_add(recipe.memory.max(LEAST));
        Ok(Self { output, memory, scratch, ..Self::default() })
    }

    /// Looks up what there is.
    #[must_use]
    pub fn with_resources(mut self, output: Option<&Path>, scratch: &Path) -> Self {
        self.memory_available = available_memory();
        self.output_free = output.and_then(free_space);
        self.scratch_free = free_space(scratch);
        self.same_disk = output.is_some_and(|output| same_disk(output, scratch));
        self
    }

    /// Compares.
    ///
    /// # Errors
    /// `limit` for memory or the user's limits, `no-space` for disks.
    pub fn check(&self, memory: Option<u64>, scratch: u64) -> anyhow::Result<()> {
        match (memory, self.memory_available) {
            (Some(limit), _) if limit < self.memory => {
                fail!(Limit, "rebuilding needs {} of memory, --memory allows {}", show(self.memory), show(limit);
                    "allow more with --memory")
            }
            (None, Some(available)) if available < self.memory => {
                fail!(Limit, "rebuilding needs {} of memory, {} are available", show(self.memory), show(available);
                    "--memory {} tries it all the same", self.memory)
            }
            _ => {}
        }
        if self.scratch > scratch {
            fail!(Limit, "rebuilding may need {} of scratch space, --scratch allows {}", show(self.scratch), show(scratch);
                "allow more with --scratch");
        }
        let together = if self.same_disk { self.scratch } else { 0 };
        let lacks = |needed: u64, free: Option<u64>| free.is_some_and(|free| free < needed);
        if lacks(self.output.saturating_add(together), self.output_free) {
            return Err(failure!(NoSpace, "the output needs {} and {} of scratch space, its disk has {}", show(self.output), show(together),
                show(self.output_free.unwrap_or(0)); "make room, or put scratch files elsewhere with --scratch-dir").into());
        }
        if lacks(self.scratch, self.scratch_free) {
            return Err(failure!(NoSpace, "scratch files may need {}, their disk has {}", show(self.scratch), show(self.scratch_free.unwrap_or(0));
                "choose another with --scratch-dir").into());
        }
        Ok(())
    }

    /// Memory that the programs of layers may use together, in bytes: what there is where it is said how many layers to
    /// rebuild at once, else what is used as a rule; at least what one of them needs.
    pub fn share(&self, jobs: Option<usize>, memory: Option<u64>) -> u64 {
        let available = self.memory_available.unwrap_or(self.memory);
        let usual = if jobs.is_some() { available } else { available.min(USUAL_MEMORY) };
        memory.unwrap_or(usual).max(self.memory).saturating_sub(OWN_MEMORY)
    }

    /// How many layers to rebuild at once, if there is memory for them when they begin: as many as wanted, or one for each
    /// processor.
    pub fn jobs(&self, wanted: Option<usize>, memory: Option<u64>) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let fit = self.share(wanted, memory) / LEAST;
        let fit = usize::try_from(fit).unwrap_or(usize::MAX).max(1);
        wanted.unwrap_or(cores).clamp(1, 64).min(fit)
    }
}

/// About how many bytes a compressed layer unpacks to: what gzip's last bytes say (RFC 1952, ISIZE), else four times its
/// size.
fn unpacked_size(layer: &crate::base::BaseLayer) -> u64 {
    let size = layer.size().unwrap_or(0);
    let said = || {
        if layer.compression != Some(Compression::Gzip) {
            return None;
        }
        let stored = layer.stored().ok()?;
        let mut last = [0; 4];
        stored.read_exact_at(&mut last, size.checked_sub(4)?).ok()?;
        Some(u64::from(u32::from_le_bytes(last))).filter(|said| *said >= size)
    };
    said().unwrap_or_else(|| size.saturating_mul(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        Figures { output: 100, memory: 48 << 20, scratch: 50, ..Figures::default() }
    }

    #[test]
    fn jobs_fit_into_memory() {
        let figures = figures();
        assert_eq!(figures.jobs(Some(4), Some(1 << 30)), 4);
        assert_eq!(figures.jobs(Some(0), Some(1 << 30)), 1);
        assert_eq!(figures.jobs(Some(9), Some(20 << 20)), 9);
        let small = Figures { memory: 12 << 20, ..figures };
        assert_eq!(small.jobs(Some(9), Some(20 << 20)), 3);
    }

    #[test]
    fn programs_share_what_is_usual_or_said() {
        let share = |figures: &Figures, jobs, memory| figures.share(jobs, memory) >> 20;
        let figures = figures();
        assert_eq!(share(&figures, None, None), 40, "what one needs");
        assert_eq!(share(&figures, None, Some(60 << 20)), 52);
        assert_eq!(share(&figures, None, Some(1)), 40);
        let rich = Figures { memory_available: Some(1 << 30), ..figures };
        assert_eq!((share(&rich, None, None), share(&rich, Some(2), None)), (88, 1016));
        let large = Figures { memory: 150 << 20, ..rich };
        assert_eq!(share(&large, None, None), 142);
    }

    #[test]
    fn what_is_lacking_is_said_before_work() {
        let full = Figures {
            output_free: Some(149),
            scratch_free: Some(149),
            same_disk: true,
            ..figures()
        };
        assert!(full.check(None, 1 << 30).is_err());
        let two = Figures { same_disk: false, ..full.clone() };
        assert!(two.check(None, 1 << 30).is_ok());
        assert!(two.check(None, 49).is_err());
        assert!(two.check(Some(1 << 20), 1 << 30).is_err());
        let small = Figures { memory_available: Some(1 << 20), ..two };
        assert!(small.check(None, 1 << 30).is_err() && small.check(Some(1 << 30), 1 << 30).is_ok());
    }
}
