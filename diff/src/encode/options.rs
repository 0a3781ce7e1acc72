//! What the user chooses, and what follows from it.

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
}

impl Default for Options {
    /// Level 6, with a search, 512 MiB.
    fn default() -> Self {
        Self { level: 6, search: true, memory: 512 << 20 }
    }
}

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

    /// Whether executables are searched with their model: that takes three times as long.
    pub(super) fn models(&self) -> bool {
        self.coders() != Coders::Quick
    }

    pub(super) fn effort(&self) -> Effort {
        let (_, key, candidates, trust) = self.row();
        let memory = usize::try_from(self.memory).unwrap_or(usize::MAX);
        Effort { key, candidates, trust, memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_an_effort() {
        for level in 0..=u8::MAX {
            let options = Options { level, ..Options::default() };
            assert!((1..=22).contains(&options.zstd_level()), "{level}");
            assert!((4..=32).contains(&options.effort().key), "{level}");
        }
    }
}
