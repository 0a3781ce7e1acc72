//! Which symbol of the base comes next.

/// The order in which the symbols of a base are taken.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    /// The one that is expected.
    next: u32,
    /// The one that was taken last.
    last: Option<u32>,
    taken: Vec<bool>,
    /// Symbols that were passed over.
    passed: u64,
}

impl Walk {
    /// A walk over so many symbols.
    pub(crate) fn new(count: usize) -> Self {
        Self { next: 0, last: None, taken: vec![false; count], passed: 0 }
    }

    /// The one that is expected; it may be behind the last one.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// The one that was taken last.
    pub(crate) fn last(&self) -> Option<u32> {
        self.last
    }

    /// Takes a symbol. Where the walk goes on there, the one behind it that was not taken yet is expected; else the
    /// same as before.
    pub(crate) fn take(&mut self, number: u32, goes_on: bool) {
        if let Some(taken) = self.taken.get_mut(number as usize) {
            *taken = true;
        }
        self.last = Some(number);
        if goes_on {
            self.next = number.saturating_add(1);
        }
        while self.is_taken(self.next) {
            self.next += 1;
            self.passed += 1;
        }
    }

    /// How many symbols were passed over since this was asked last, which a walk to and fro makes many.
    pub(crate) fn take_passed(&mut self) -> u64 {
        std::mem::take(&mut self.passed)
    }

    /// Whether a symbol was taken.
    pub(crate) fn is_taken(&self, number: u32) -> bool {
        self.taken.get(number as usize).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_not_expected() {
        let mut walk = Walk::new(5);
        assert_eq!((walk.next(), walk.last()), (0, None));
        walk.take(1, false);
        assert_eq!((walk.next(), walk.last()), (0, Some(1)));
        walk.take(0, true);
        assert_eq!(walk.next(), 2);
        walk.take(3, true);
        assert_eq!((walk.next(), walk.is_taken(2)), (4, false));
        walk.take(4, true);
        walk.take(9, true);
        assert_eq!(walk.next(), 10);
        assert_eq!((walk.take_passed(), walk.take_passed()), (1, 0));
    }
}
