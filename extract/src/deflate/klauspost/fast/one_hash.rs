//! Levels 1 to 3: one table, with the last position of each hash, or the last two.

use super::super::history::REACH;
use super::{Match, Search};
use crate::deflate::symbols::Token;

impl Search {
    /// Bytes that must follow a position entered at the end of a block.
    fn after_end(&self) -> usize {
        if self.class.hashes_five_bytes() { 8 } else { 4 }
    }

    /// The next match of levels 1 and 2, and the position after the last one that was probed.
    fn probe_pairs(&mut self, mut next: usize, emitted: usize) -> Option<(Match, usize)> {
        let limit = self.limit();
        let mut cv = self.history.load64(next);
        loop {
            let mut at = next;
            next = at + 2 + ((at - emitted) >> 5);
            if next > limit {
                return None;
            }
            let candidate = self.set(self.hash(cv), at);
            let ahead = self.history.load64(next);
            if let Some(from) = self.history.near(candidate, at, cv as u32) {
                self.set(self.hash(ahead), next);
                return Some((self.whole(at, from), next));
            }
            cv = ahead;
            at = next;
            next += 1;
            let hash = self.hash(cv);
            let candidate = self.set(hash, at);
            if let Some(from) = self.history.near(candidate, at, cv as u32) {
                if self.level == 1 {
                    self.set(hash, next);
                }
                return Some((self.whole(at, from), next));
            }
            cv = self.history.load64(next);
        }
    }

    pub(super) fn level_1_2(&mut self, start: usize, emitted: &mut usize, tokens: &mut Vec<Token>) {
        let limit = self.limit();
        let mut at = start;
        while let Some((mut found, next)) = self.probe_pairs(at, *emitted) {
            loop {
                let (end, len) = self.emit(found, emitted, tokens);
                at = if next >= end { next + 1 } else { end };
                if at >= limit {
                    if at + len + self.after_end() < self.history.text.len() {
                        self.set(self.hash(self.history.load64(at)), at);
                    }
                    return;
                }
                if self.level == 2 {
                    for i in (at - len + 2..at.saturating_sub(5)).step_by(7) {
                        let x = self.history.load64(i);
                        self.set(self.hash(x), i);
                        self.set(self.hash(x >> 16), i + 2);
                        self.set(self.hash(x >> 32), i + 4);
                    }
                }
                let x = self.history.load64(at - 2);
                self.set(self.hash(x), at - 2);
                if self.level == 2 {
                    self.set(self.hash(x >> 8), at - 1);
                }
                let candidate = self.set(self.hash(x >> 16), at);
                match self.reached(candidate, at, (x >> 16) as u32) {
                    Some(from) => found = self.whole(at, from),
                    None => break,
                }
            }
            at += 1;
        }
    }

    /// The next match of level 3.
    fn probe_two(&mut self, mut next: usize, emitted: usize) -> Option<(Match, usize)> {
        let limit = self.limit();
        let skip = if self.class.hashes_five_bytes() { 7 } else { 6 };
        let mut cv = self.history.load64(next);
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> skip);
            if next > limit {
                return None;
            }
            let [current, previous] = self.push(self.hash(cv), at);
            let four = cv as u32;
            cv = self.history.load64(next);
            let least = at as i64 - (REACH - 4);
            if self.history.place(current) < least {
                continue;
            }
            let previous_place = self.history.place(previous);
            let previous = self.reached(previous, at, four);
            match (self.reached(current, at, four), previous) {
                (Some(from), Some(older)) if previous_place >= least => {
                    let (newer, older) = (self.whole(at, from), self.whole(at, older));
                    return Some((if older.len > newer.len { older } else { newer }, next));
                }
                (Some(from), _) => return Some((self.whole(at, from), next)),
                (None, Some(from)) if previous_place > least => {
                    return Some((self.whole(at, from), next));
                }
                _ => {}
            }
        }
    }

    pub(super) fn level_3(&mut self, start: usize, emitted: &mut usize, tokens: &mut Vec<Token>) {
        let limit = self.limit();
        let mut at = start;
        while let Some((mut found, next)) = self.probe_two(at, *emitted) {
            loop {
                let (end, len) = self.emit(found, emitted, tokens);
                at = if next >= end { next + 1 } else { end };
                if at >= limit {
                    let after = found.from + found.len;
                    if after + self.after_end() < self.history.text.len() && after > 0 {
                        self.push(self.hash(self.history.load64(after)), after);
                    }
                    return;
                }
                let step = if self.class.hashes_five_bytes() { 6 } else { 5 };
                for i in (at - len + 2..at.saturating_sub(5)).step_by(step) {
                    self.push(self.hash(self.history.load64(i)), i);
                }
                let x = self.history.load64(at - 2);
                self.push(self.hash(x), at - 2);
                self.push(self.hash(x >> 8), at - 1);
                let candidates = self.push(self.hash(x >> 16), at);
                let least = at as i64 - (REACH - 4);
                // The older one may be the nearer: the last insertion of a block is no new position.
                let again = candidates
                    .into_iter()
                    .take_while(|&slot| self.history.place(slot) > least)
                    .find_map(|slot| self.reached(slot, at, (x >> 16) as u32));
                match again {
                    Some(from) => found = self.whole(at, from),
                    None => break,
                }
            }
            at += 1;
        }
    }
}
