//! What the user chooses, and what follows from it.

use clap::ValueEnum;

use super::executable::Depth;
use super::similar::Ways;
use crate::matching::{Effort, Reach};
use crate::program::{Choice, Coders};

/// How a layer is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The effort, 1 to 9.
    pub level: u8,
    /// Whether contents that changed are searched in those that they were; else they travel whole.
    pub search: bool,
    /// Bytes of memory for the search of one large content.
    pub memory: u64,
    /// What is left out, to measure what it saves.
    pub without: Without,
}

/// A technique that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Technique {
    /// Tar headers as columns against those of the base; else as bytes.
    Headers,
    /// Files with new names paired by the lines that they have in common with others.
    Likeness,
    /// Archives and compressed files opened.
    Archives,
    /// Executables compared by what their addresses mean.
    Executables,
    /// Digests in texts computed from the files that they name.
    Digests,
    /// Times in compiled Python code taken from tar headers.
    Times,
    /// Former contents as dictionaries of literals.
    Dictionaries,
    /// Coding by context mixing.
    Mixing,
    /// LZMA for literals; else zstd.
    Lzma,
}

/// A set of techniques.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Without(u32);

impl Without {
    /// Whether a technique is in it.
    pub fn has(self, technique: Technique) -> bool {
        self.0 >> technique as u32 & 1 == 1
    }

    /// These, and this one.
    pub fn and(self, technique: Technique) -> Self {
        Self(self.0 | 1 << technique as u32)
    }
}

impl FromIterator<Technique> for Without {
    fn from_iter<T: IntoIterator<Item = Technique>>(techniques: T) -> Self {
        techniques.into_iter().fold(Self::default(), Self::and)
    }
}

impl Default for Options {
    /// Level 6, with a search, 512 MiB.
    fn default() -> Self {
        Self { level: 6, search: true, memory: 512 << 20, without: Without::default() }
    }
}

/// Of so many positions of an executable one is indexed where there is little time.
const QUICK_EVERY: usize = 4;

/// What follows from a level: the level of zstd, and how contents are searched.
struct Row {
    zstd: i32,
    search: Reach,
}

/// Each level, from the first on.
const LEVELS: [Row; 9] = [
    row(9, 12, 4, 6),
    row(12, 12, 4, 6),
    row(16, 12, 8, 6),
    row(16, 12, 8, 6),
    row(16, 12, 8, 4),
    row(19, 12, 8, 4),
    row(19, 12, 16, 2),
    row(20, 12, 16, 0),
    row(22, 10, 32, 0),
];

/// How contents are searched too with the most effort: some get smaller with a longer key, or as at the usual level; and how
/// executables are, for which each search takes long.
const ALSO: &[Reach] = &[LONGER, reach(12, 8, 4)];
const ALSO_EXECUTABLES: &[Reach] = &[LONGER];
const LONGER: Reach = reach(12, 32, 0);

const fn row(zstd: i32, key: usize, candidates: usize, trust: usize) -> Row {
    Row { zstd, search: reach(key, candidates, trust) }
}

const fn reach(key: usize, candidates: usize, trust: usize) -> Reach {
    Reach { key, candidates, trust }
}

impl Options {
    fn row(&self) -> &'static Row {
        &LEVELS[usize::from(self.level.clamp(1, 9)) - 1]
    }

    /// Which coders are tried.
    pub(super) fn choice(&self) -> Choice {
        Choice {
            level: self.row().zstd,
            coders: self.coders(),
            mixing: self.uses(Technique::Mixing),
            lzma: self.uses(Technique::Lzma),
            window_log: 23,
        }
    }

    fn coders(&self) -> Coders {
        match self.level {
            ..=3 => Coders::Quick,
            4..=8 => Coders::Usual,
            _ => Coders::Most,
        }
    }

    /// How contents are searched.
    pub(super) fn ways(&self) -> Ways {
        let also = if self.coders() == Coders::Most { ALSO } else { &[] };
        Ways { effort: self.effort(), also, models: self.models() }
    }

    fn models(&self) -> Option<Depth> {
        let depth = match self.coders() {
            Coders::Quick => Depth { rounds: 0, every: QUICK_EVERY, also: &[] },
            Coders::Usual => Depth { rounds: 2, every: 1, also: &[] },
            Coders::Most => Depth { rounds: 2, every: 1, also: ALSO_EXECUTABLES },
        };
        self.uses(Technique::Executables).then_some(depth)
    }

    /// Whether a technique is not left out.
    pub(super) fn uses(&self, technique: Technique) -> bool {
        !self.without.has(technique)
    }

    fn effort(&self) -> Effort {
        let memory = usize::try_from(self.memory).unwrap_or(usize::MAX);
        Effort { reach: self.row().search, memory, every: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_left_out_one_by_one() {
        let without: Without = [Technique::Lzma, Technique::Headers].into_iter().collect();
        let options = Options { without, ..Options::default() };
        let used = Technique::value_variants().iter().filter(|one| options.uses(**one));
        assert_eq!(used.count(), Technique::value_variants().len() - 2);
        assert!(!options.uses(Technique::Lzma) && !options.uses(Technique::Headers));
        let without = [Technique::Executables].into_iter().collect();
        assert_eq!(Options { without, ..Options::default() }.ways().models, None);
    }

    #[test]
    fn with_the_most_effort_contents_are_searched_as_usual_too() {
        let usual = Options::default().ways();
        let best = Options { level: 9, ..Options::default() }.ways();
        assert!(usual.also.is_empty() && usual.models.is_some());
        assert!(best.also.contains(&usual.effort.reach));
    }

    #[test]
    fn every_level_has_an_effort() {
        for level in 0..=u8::MAX {
            let options = Options { level, ..Options::default() };
            assert!((1..=22).contains(&options.choice().level), "{level}");
            assert!((4..=32).contains(&options.effort().reach.key), "{level}");
        }
    }
}
