//! Which coders are tried for a stream: what a producer chose, and what a reader's time is worth.

use super::super::coder::Effort;
use super::super::ids::stream;
use super::super::limits;

/// Which coders are tried for each stream; the smallest is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coders {
    /// Those of zstd, and mixing for corrections as long as there are few.
    Quick,
    /// LZMA, and mixing for corrections and control.
    Usual,
    /// The same, with a longer search.
    Most,
}

/// What the producer of a payload chooses of its coders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The level of zstd, 1 to 22.
    pub level: i32,
    /// Which coders are tried.
    pub coders: Coders,
    /// Whether coders that mix are among them.
    pub mixing: bool,
    /// Whether LZMA is.
    pub lzma: bool,
    /// The largest window of a stream, as a power of two, 10 to 23.
    pub window_log: u8,
}

/// Raw bytes up to which a stream is tried with the coder for few bytes; the second where literals are mixed.
const FEW: u64 = 96 << 10;
const VERY_FEW: u64 = 4 << 10;
/// Raw bytes of literals, but of text, below which a model of them is not worth making.
const LEAST_MIXED: u64 = 1 << 10;
/// Raw bytes of literals up to which these are mixed, by kind: that is slower to read than LZMA, 2 µs a byte.
const TEXT_MIXED: u64 = 768 << 10;
const CODE_MIXED: u64 = 128 << 10;
const RAW_MIXED: u64 = 256 << 10;
/// Bytes of a dictionary up to which few literals of code are mixed: a reader takes as long for it as for these. Of one that is
/// not turned more takes longer than it saves.
const CODE_DICTIONARY: u64 = 2 << 20;
/// Raw bytes up to which they are mixed where time does not matter.
const MOST_MIXED: u64 = 4 << 20;
/// Literals of a layer that are mixed, where time matters: a reader takes some 4 s for them.
const LAYER_MIXED: u64 = 3 << 20;
/// Bytes of a dictionary that are learned in the time of one literal.
const LEARNED: u64 = 16;

/// Which coders are tried for a chain of bytes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tried {
    /// That of few bytes.
    pub(super) bytes: bool,
    /// That of literals by mixing, and what it takes of [`Choice::budget`].
    pub(super) literals: Option<u64>,
    /// One that searches: LZMA or zstd.
    pub(super) search: bool,
}

impl Choice {
    /// What readers may take for all literals by mixing of a layer, in literals.
    pub(super) fn budget(self) -> u64 {
        if self.coders == Coders::Most { u64::MAX } else { LAYER_MIXED }
    }

    /// What is tried for so many bytes of a kind with a dictionary of so many, where so much is left of the budget.
    pub(super) fn tried(self, kind: u64, raw_len: u64, dictionary_len: u64, budget: u64) -> Tried {
        if !self.mixing {
            return Tried { bytes: false, literals: None, search: true };
        }
        let strong = self.coders != Coders::Quick;
        if kind <= stream::COLUMNS {
            return Tried { bytes: strong, literals: None, search: !strong };
        }
        let mixed = match (kind, self.coders) {
            (stream::TEXT | stream::CODE | stream::RAW, Coders::Most) => MOST_MIXED,
            (stream::TEXT, Coders::Usual) => TEXT_MIXED,
            (stream::CODE, Coders::Usual) if dictionary_len <= CODE_DICTIONARY => CODE_MIXED,
            (stream::RAW, Coders::Usual) => RAW_MIXED,
            _ => 0,
        };
        let pays = raw_len <= mixed && (kind == stream::TEXT || raw_len >= LEAST_MIXED);
        let literals = Some(cost(raw_len, dictionary_len)).filter(|cost| pays && *cost <= budget);
        let few = if literals.is_some() { VERY_FEW } else { FEW };
        // Of text and of code mixing makes less, unless they repeat the dictionary as it is.
        let search = literals.is_none() || kind == stream::RAW;
        Tried { bytes: strong && raw_len <= few, literals, search }
    }

    /// How long LZMA searches for literals of a kind; none where zstd takes its place.
    pub(super) fn effort(self, kind: u64) -> Option<Effort> {
        match self.coders {
            _ if !self.lzma => None,
            Coders::Quick => None,
            Coders::Usual if kind == stream::TEXT => Some(Effort::Text),
            Coders::Usual => Some(Effort::Usual),
            Coders::Most => Some(Effort::Most),
        }
    }

    /// Whether corrections by mixing are coded in layers.
    pub(super) fn layers_corrections(self) -> bool {
        self.coders == Coders::Most
    }

    /// Whether a dictionary for literals of code is turned by their model: zstd knows none.
    pub(super) fn turns_dictionaries(self) -> bool {
        self.coders != Coders::Quick && self.lzma
    }

    /// The most bytes of a dictionary for so many literals of code: few of them are better mixed with less than searched for in
    /// more, as long as the budget lasts.
    pub(super) fn code_dictionary(self, literals: u64, budget: u64) -> u64 {
        let few = literals <= CODE_MIXED && cost(literals, CODE_DICTIONARY) <= budget;
        let mixed = self.mixing && self.coders == Coders::Usual && few;
        let short = mixed || !self.turns_dictionaries();
        if short { CODE_DICTIONARY } else { limits::DICTIONARY_LEN }
    }
}

/// What a reader takes for literals by mixing, in literals.
fn cost(raw_len: u64, dictionary_len: u64) -> u64 {
    raw_len + dictionary_len / LEARNED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(coders: Coders) -> Choice {
        Choice { level: 9, coders, mixing: true, lzma: true, window_log: 23 }
    }

    /// That of no chain yet.
    const ALL: u64 = LAYER_MIXED;

    #[test]
    fn few_literals_of_code_have_a_dictionary_with_which_they_are_mixed() {
        let usual = choice(Coders::Usual);
        for literals in [LEAST_MIXED, CODE_MIXED] {
            let most = usual.code_dictionary(literals, ALL);
            assert!(
                usual.tried(stream::CODE, literals, most, ALL).literals.is_some(),
                "{literals}"
            );
        }
        let most = usual.code_dictionary(CODE_MIXED + 1, ALL);
        assert_eq!(most, limits::DICTIONARY_LEN);
        assert!(usual.tried(stream::CODE, CODE_MIXED + 1, most, ALL).literals.is_none());
        assert!(usual.tried(stream::CODE, CODE_MIXED, most, ALL).literals.is_none());
        let most = choice(Coders::Most);
        assert_eq!(most.code_dictionary(1, most.budget()), limits::DICTIONARY_LEN);
        assert!(
            most.tried(stream::CODE, MOST_MIXED, limits::DICTIONARY_LEN, most.budget())
                .literals
                .is_some()
        );
    }

    #[test]
    fn what_a_reader_has_no_time_for_is_searched_for() {
        let usual = choice(Coders::Usual);
        let taken = usual.tried(stream::TEXT, 5000, 16_000, 6000).literals;
        assert_eq!(taken, Some(6000));
        let tried = usual.tried(stream::TEXT, 5000, 16_000, 5999);
        assert!(tried.literals.is_none() && tried.search && tried.bytes);
        let most = usual.code_dictionary(5000, 5999);
        assert_eq!(most, limits::DICTIONARY_LEN);
        assert_eq!(choice(Coders::Most).budget(), u64::MAX);
    }

    #[test]
    fn much_code_is_mixed_with_the_most_effort() {
        let most = choice(Coders::Most);
        for kind in [stream::TEXT, stream::CODE] {
            let tried = most.tried(kind, MOST_MIXED, 0, most.budget());
            assert!(tried.literals.is_some() && !tried.search, "{kind}");
        }
        let raw = most.tried(stream::RAW, MOST_MIXED, 0, most.budget());
        assert!(raw.literals.is_some() && raw.search);
        assert!(most.layers_corrections() && !choice(Coders::Usual).layers_corrections());
    }

    #[test]
    fn what_is_left_out_is_not_tried() {
        let usual = choice(Coders::Usual);
        let plain = Choice { mixing: false, ..usual }.tried(stream::TEXT, 5000, 0, ALL);
        assert!(plain.search && !plain.bytes && plain.literals.is_none());
        let without = Choice { lzma: false, ..usual };
        assert!(without.effort(stream::CODE).is_none() && !without.turns_dictionaries());
        assert_eq!(without.code_dictionary(1 << 20, ALL), CODE_DICTIONARY);
        assert!(usual.effort(stream::CODE).is_some() && usual.turns_dictionaries());
        assert!(choice(Coders::Quick).effort(stream::CODE).is_none());
    }
}
