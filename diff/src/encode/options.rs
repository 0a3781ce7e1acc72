//! What the user chooses, and what follows from it.

use clap::ValueEnum;

use super::executable::Depth;
use crate::matching::Effort;
use crate::program::Coders;

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
}

impl FromIterator<Technique> for Without {
    fn from_iter<T: IntoIterator<Item = Technique>>(techniques: T) -> Self {
        Self(techniques.into_iter().fold(0, |set, technique| set | 1 << technique as u32))
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

/// Bytes of the shortest match at the usual levels: some executables get smaller so than with the most effort.
const USUAL_KEY: usize = 12;

/// For each level: the level of zstd, and key, candidates and trust of the search.
const LEVELS: [(i32, usize, usize, usize); 9] = [
    (9, 12, 4, 6),
    (12, 12, 4, 6),
    (16, 12, 8, 6),
    (16, 12, 8, 6),
    (16, 12, 8, 4),
    (19, 12, 8, 4),
    (19, 12, 16, 2),
    (20, 12, 16, 0),
    (22, 10, 32, 0),
];

impl Options {
    fn row(&self) -> (i32, usize, usize, usize) {
        LEVELS[usize::from(self.level.clamp(1, 9)) - 1]
    }

    pub(super) fn zstd_level(&self) -> i32 {
        self.row().0
    }

    pub(super) fn coders(&self) -> Coders {
        match self.level {
            ..=3 => Coders::Quick,
            4..=8 => Coders::Usual,
            _ => Coders::Most,
        }
    }

    /// How executables are searched with their model, if they are.
    pub(super) fn models(&self) -> Option<Depth> {
        let depth = match self.coders() {
            Coders::Quick => Depth { rounds: 0, every: QUICK_EVERY, also: None },
            Coders::Usual => Depth { rounds: 2, every: 1, also: None },
            Coders::Most => Depth { rounds: 2, every: 1, also: Some(USUAL_KEY) },
        };
        self.uses(Technique::Executables).then_some(depth)
    }

    /// Whether a technique is not left out.
    pub(super) fn uses(&self, technique: Technique) -> bool {
        !self.without.has(technique)
    }

    pub(super) fn effort(&self) -> Effort {
        let (_, key, candidates, trust) = self.row();
        let memory = usize::try_from(self.memory).unwrap_or(usize::MAX);
        Effort { key, candidates, trust, memory, every: 1 }
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
        assert!(Options::default().models().is_some_and(|depth| depth.also.is_none()));
        let best = Options { level: 9, ..Options::default() };
        assert!(
            best.models().is_some_and(|depth| depth.also == Some(Options::default().effort().key))
        );
        let without = [Technique::Executables].into_iter().collect();
        assert_eq!(Options { without, ..Options::default() }.models(), None);
    }

    #[test]
    fn every_level_has_an_effort() {
        for level in 0..=u8::MAX {
            let options = Options { level, ..Options::default() };
            assert!((1..=22).contains(&options.zstd_level()), "{level}");
            assert!((4..=32).contains(&options.effort().key), "{level}");
        }
    }
}
