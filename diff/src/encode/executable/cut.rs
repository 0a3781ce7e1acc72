//! Files without the tables that are made otherwise.

use crate::matching::Cover;

/// A range that is left out of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cut {
    pub(super) at: usize,
    pub(super) len: usize,
}

impl Cut {
    /// The file without the range.
    pub(super) fn without(self, mut file: Vec<u8>) -> Vec<u8> {
        file.drain(self.at..self.at + self.len);
        file
    }

    /// Where a place of the shorter file is in the whole one.
    fn place(self, at: usize) -> usize {
        if at < self.at { at } else { at + self.len }
    }
}

/// The covers of whole files that those of the shorter ones stand for: parts of them where one goes over a cut.
pub(super) fn whole(covers: &[Cover], base: Cut, target: Cut) -> Vec<Cover> {
    let mut found = Vec::with_capacity(covers.len() + 2);
    for cover in covers {
        let crossing = |at: usize, from: usize| at.checked_sub(from).filter(|at| *at < cover.len);
        let mut ends: Vec<usize> =
            [crossing(base.at, cover.base), crossing(target.at, cover.target)]
                .into_iter()
                .flatten()
                .chain([cover.len])
                .collect();
        ends.sort_unstable();
        let mut from = 0;
        for end in ends {
            if end > from {
                found.push(Cover {
                    target: target.place(cover.target + from),
                    base: base.place(cover.base + from),
                    len: end - from,
                });
            }
            from = end;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(target: usize, base: usize, len: usize) -> Cover {
        Cover { target, base, len }
    }

    #[test]
    fn covers_are_parted_where_something_was_left_out() {
        let (base, target) = (Cut { at: 100, len: 10 }, Cut { at: 120, len: 1000 });
        let covers = [cover(0, 0, 50), cover(60, 80, 90), cover(150, 40, 20)];
        let wanted = [
            cover(0, 0, 50),
            cover(60, 80, 20),
            cover(80, 110, 40),
            cover(1120, 150, 30),
            cover(1150, 40, 20),
        ];
        assert_eq!(whole(&covers, base, target), wanted);
        assert_eq!(whole(&covers, Cut::default(), Cut::default()), covers);
        assert_eq!(base.without((0..120).collect()).len(), 110);
    }
}
