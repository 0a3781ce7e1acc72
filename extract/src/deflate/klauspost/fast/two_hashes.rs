//! Levels 4 to 6: a table by the hash of four bytes and one by the hash of seven.

use super::super::history::{REACH, hash4, hash7};
use super::{MAX_MATCH, Match, Search};
use crate::deflate::go_lazy::common_prefix;
use crate::deflate::symbols::Token;

/// Matches below this may be bettered by a look at their end, at level 5.
const SHORT: usize = 30;

impl Search {
    /// The next match of level 4.
    fn probe_4(&mut self, mut next: usize, emitted: usize) -> Option<(Match, usize)> {
        let limit = self.limit();
        let mut cv = self.history.load64(next);
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> 6);
            if next > limit {
                return None;
            }
            let short = self.set(hash4(cv, 15), at);
            let [long, _] = self.push(hash7(cv, 15), at);
            let ahead = self.history.load64(next);
            if let Some(from) = self.history.near(long, at, cv as u32) {
                return Some((self.whole(at, from), next));
            }
            if let Some(from) = self.history.near(short, at, cv as u32) {
                let found = self.whole(at, from);
                let long = self.long[hash7(ahead, 15)][0];
                if let Some(from) = self.history.near(long, next, ahead as u32) {
                    let measured = if self.class.slips_at_level_4() { next - from } else { from };
                    let len = common_prefix(
                        &self.history.text[measured + 4..],
                        &self.history.text[next + 4..],
                    );
                    if 4 + len > found.len {
                        return Some((self.whole(next, from), next));
                    }
                }
                return Some((found, next));
            }
            cv = ahead;
        }
    }

    pub(super) fn level_4(&mut self, start: usize, emitted: &mut usize, tokens: &mut Vec<Token>) {
        let limit = self.limit();
        let mut at = start;
        while let Some((found, next)) = self.probe_4(at, *emitted) {
            let (end, _) = self.emit(found, emitted, tokens);
            at = if next >= end { next + 1 } else { end };
            if at >= limit {
                if at + 8 < self.history.text.len() {
                    let x = self.history.load64(at);
                    self.set(hash4(x, 15), at);
                    self.push(hash7(x, 15), at);
                }
                return;
            }
            for i in (next..at - 1).step_by(3) {
                let x = self.history.load64(i);
                self.push(hash7(x, 15), i);
                self.push(hash7(x >> 8, 15), i + 1);
                self.set(hash4(x >> 8, 15), i + 1);
            }
            let x = self.history.load64(at - 1);
            self.set(hash4(x, 15), at - 1);
            self.push(hash7(x, 15), at - 1);
        }
    }

    /// The next match of levels 5 and 6, before it is extended.
    fn probe_5_6(&mut self, mut next: usize, emitted: usize) -> Option<(Match, usize)> {
        let limit = self.limit();
        let six = self.level == 6;
        let mut cv = self.history.load64(next);
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> (if six { 7 } else { 6 }));
            if next > limit {
                return None;
            }
            let four = cv as u32;
            let short = self.set(hash4(cv, 15), at);
            let [current, previous] = self.push(hash7(cv, 15), at);
            let ahead = self.history.load64(next);
            if at as i64 - self.history.place(current) < REACH {
                let newer = self.history.near(current, at, four);
                let older = self.history.near(previous, at, four);
                if newer.or(older).is_some() {
                    self.set(hash4(ahead, 15), next);
                    self.push(hash7(ahead, 15), next);
                }
                match (newer, older) {
                    (Some(newer), Some(older)) => {
                        let (a, b) = (self.capped(newer, at), self.capped(older, at));
                        let (from, len) = if b > a { (older, b) } else { (newer, a) };
                        return Some((self.extend(at, from, len), next));
                    }
                    (Some(from), None) | (None, Some(from)) => {
                        return Some((self.whole(at, from), next));
                    }
                    (None, None) => {}
                }
            }
            if let Some(from) = self.history.near(short, at, four) {
                let best = self.better(at, from, cv, next, ahead);
                return Some((self.extend(best.at, best.from, best.len), next));
            }
            cv = ahead;
        }
    }

    /// The best of a short match and what stands at the next positions; lengths are capped.
    fn better(&mut self, at: usize, from: usize, cv: u64, next: usize, ahead: u64) -> Match {
        let mut best = Match { at, from, len: self.capped(from, at) };
        self.set(hash4(ahead, 15), next);
        let [current, previous] = self.push(hash7(ahead, 15), next);
        if self.level == 6 && at + 1 >= self.repeat {
            let from = at + 1 - self.repeat;
            if self.history.load32(from) == (cv >> 8) as u32 {
                let len = self.capped(from, at + 1);
                if len > best.len {
                    return Match { at: at + 1, from, len };
                }
            }
        }
        if next as i64 - self.history.place(current) >= REACH {
            return best;
        }
        for slot in [current, previous] {
            let Some(from) = self.history.near(slot, next, ahead as u32) else { continue };
            let len = self.capped(from, next);
            if len > best.len {
                best = Match { at: next, from, len };
                if self.level == 5 {
                    break;
                }
            }
        }
        best
    }

    /// A match of known length; one of the greatest length goes on as far as it does.
    fn extend(&self, at: usize, from: usize, len: usize) -> Match {
        let more = if len == MAX_MATCH { self.extent(from + len, at + len) } else { 0 };
        Match { at, from, len: len + more }
    }

    /// Looks for a longer match that ends beyond this one, by the text at its end.
    fn look_at_end(&self, found: Match, both: bool) -> Match {
        let end = found.at + found.len;
        let mut best = found;
        let offset = self.class.end_search_offset();
        let at = found.at + offset;
        let slots = self.long[hash7(self.history.load64(end), 15)];
        for (i, slot) in slots.into_iter().enumerate() {
            let place = self.history.place(slot) - best.len as i64 + offset as i64;
            let distance = at as i64 - place;
            if i == 0 && distance >= REACH {
                break;
            }
            if let Ok(from) = usize::try_from(place)
                && distance > 0
                && distance < REACH
            {
                let len = self.extent(from, at);
                if len > best.len {
                    best = Match { at, from, len };
                }
            }
            if !both {
                break;
            }
        }
        best
    }

    pub(super) fn level_5(&mut self, start: usize, emitted: &mut usize, tokens: &mut Vec<Token>) {
        let limit = self.limit();
        let mut at = start;
        while let Some((mut found, next)) = self.probe_5_6(at, *emitted) {
            if found.len < SHORT
                && found.at + found.len < limit
                && self.class.searches_ends_at_level_5()
            {
                found = self.look_at_end(found, false);
            }
            let (end, len) = self.emit(found, emitted, tokens);
            at = if next >= end { next + 1 } else { end };
            if at >= limit {
                return;
            }
            let mut i = at - len + 1;
            if i < at - 1 {
                let x = self.history.load64(i);
                self.set(hash4(x, 15), i);
                self.push(hash7(x, 15), i);
                self.push(hash7(x >> 8, 15), i + 1);
                self.set(hash4(x >> 16, 15), i + 2);
                i += 4;
                while i < at - 1 {
                    let x = self.history.load64(i);
                    self.push(hash7(x, 15), i);
                    self.set(hash4(x >> 8, 15), i + 1);
                    i += 3;
                }
            }
            let x = self.history.load64(at - 1);
            self.set(hash4(x, 15), at - 1);
            self.push(hash7(x, 15), at - 1);
        }
    }

    pub(super) fn level_6(&mut self, start: usize, emitted: &mut usize, tokens: &mut Vec<Token>) {
        let limit = self.limit();
        let mut at = start;
        while let Some((mut found, next)) = self.probe_5_6(at, *emitted) {
            if found.at + found.len < limit {
                found = self.look_at_end(found, true);
            }
            let (end, _) = self.emit(found, emitted, tokens);
            self.repeat = found.at - found.from;
            at = if next >= end { next + 1 } else { end };
            let last = at >= limit;
            let to = if last { self.history.text.len().saturating_sub(8) } else { at - 1 };
            for i in (next + 1..to).step_by(2) {
                let x = self.history.load64(i);
                self.set(hash4(x, 15), i);
                self.push(hash7(x, 15), i);
                if !last {
                    self.push(hash7(x >> 8, 15), i + 1);
                }
            }
            if last {
                return;
            }
        }
    }
}
