//! Levels 4 to 6: a table by the hash of four bytes and one by the hash of seven.

use super::super::history::{REACH, Slot, hash4, hash7};
use super::{MAX_MATCH, Match, Newest, NewestTwo, Run, push, set};
use crate::deflate::window::{common, load32, load64};

/// Matches below this may be bettered by a look at their end, at level 5.
const SHORT: usize = 30;

/// The search of one block with both tables.
pub(super) struct Both<'a> {
    pub(super) run: Run<'a>,
    pub(super) short: &'a mut Newest<{ 1 << 15 }>,
    pub(super) long: &'a mut NewestTwo<{ 1 << 15 }>,
}

impl Both<'_> {
    #[inline(always)]
    fn word(&self, at: usize) -> u64 {
        load64(self.run.view.text, at)
    }

    /// Enters a position whose bytes these are into the table by four; what stood there.
    #[inline(always)]
    fn set_four(&mut self, x: u64, at: usize) -> Slot {
        set(self.short, self.run.view, hash4(x, 15), at)
    }

    /// The same by seven.
    #[inline(always)]
    fn push_seven(&mut self, x: u64, at: usize) -> [Slot; 2] {
        push(self.long, self.run.view, hash7(x, 15), at)
    }

    /// The next match of level 4.
    #[inline(always)]
    fn probe_4(&mut self, mut next: usize) -> Option<(Match, usize)> {
        let mut cv = self.word(next);
        loop {
            let at = next;
            next = at + 1 + ((at - self.run.emitted) >> 6);
            if next > self.run.limit {
                return None;
            }
            let short = self.set_four(cv, at);
            let [long, _] = self.push_seven(cv, at);
            let ahead = self.word(next);
            if let Some(from) = self.run.view.near(long, at, cv as u32) {
                return Some((self.run.whole(at, from), next));
            }
            if let Some(from) = self.run.view.near(short, at, cv as u32) {
                let found = self.run.whole(at, from);
                let long = self.long[hash7(ahead, 15)][0];
                if let Some(from) = self.run.view.near(long, next, ahead as u32) {
                    let measured =
                        if self.run.class.slips_at_level_4() { next - from } else { from };
                    let most = self.run.view.len - (next + 4);
                    let len = common(
                        self.run.view.text,
                        measured + 4,
                        next + 4,
                        most.min(self.run.view.len - (measured + 4)),
                    );
                    if 4 + len > found.len {
                        return Some((self.run.whole(next, from), next));
                    }
                }
                return Some((found, next));
            }
            cv = ahead;
        }
    }

    /// The search of level 4; the end of its last match.
    pub(super) fn level_4(mut self, start: usize) -> usize {
        let mut at = start;
        while let Some((found, next)) = self.probe_4(at) {
            let (end, _) = self.run.emit(found);
            at = if next >= end { next + 1 } else { end };
            if at >= self.run.limit {
                if at + 8 < self.run.view.len {
                    let x = self.word(at);
                    self.set_four(x, at);
                    self.push_seven(x, at);
                }
                return self.run.emitted;
            }
            for i in (next..at - 1).step_by(3) {
                let x = self.word(i);
                self.push_seven(x, i);
                self.push_seven(x >> 8, i + 1);
                self.set_four(x >> 8, i + 1);
            }
            let x = self.word(at - 1);
            self.set_four(x, at - 1);
            self.push_seven(x, at - 1);
        }
        self.run.emitted
    }

    /// The next match of levels 5 and 6, before it is extended. `repeat` is the last distance, at level 6.
    #[inline(always)]
    fn probe_5_6<const SIX: bool>(
        &mut self,
        mut next: usize,
        repeat: usize,
    ) -> Option<(Match, usize)> {
        let mut cv = self.word(next);
        loop {
            let at = next;
            next = at + 1 + ((at - self.run.emitted) >> (if SIX { 7 } else { 6 }));
            if next > self.run.limit {
                return None;
            }
            let four = cv as u32;
            let short = self.set_four(cv, at);
            let [current, previous] = self.push_seven(cv, at);
            let ahead = self.word(next);
            if self.run.view.distance(current, at) < REACH {
                let newer = self.run.view.near(current, at, four);
                let older = self.run.view.near(previous, at, four);
                if newer.or(older).is_some() {
                    self.set_four(ahead, next);
                    self.push_seven(ahead, next);
                }
                match (newer, older) {
                    (Some(newer), Some(older)) => {
                        let (a, b) = (self.run.capped(newer, at), self.run.capped(older, at));
                        let (from, len) = if b > a { (older, b) } else { (newer, a) };
                        return Some((self.extend(Match { at, from, len }), next));
                    }
                    (Some(from), None) | (None, Some(from)) => {
                        return Some((self.run.whole(at, from), next));
                    }
                    (None, None) => {}
                }
            }
            if let Some(from) = self.run.view.near(short, at, four) {
                let found = Match { at, from, len: self.run.capped(from, at) };
                let best = self.better::<SIX>(found, cv, next, ahead, repeat);
                return Some((self.extend(best), next));
            }
            cv = ahead;
        }
    }

    /// The best of a short match and what stands at the next positions; lengths are capped.
    #[inline(always)]
    fn better<const SIX: bool>(
        &mut self,
        found: Match,
        cv: u64,
        next: usize,
        ahead: u64,
        repeat: usize,
    ) -> Match {
        let mut best = found;
        self.set_four(ahead, next);
        let [current, previous] = self.push_seven(ahead, next);
        let after = found.at + 1;
        if SIX && after >= repeat {
            let from = after - repeat;
            if load32(self.run.view.text, from) == (cv >> 8) as u32 {
                let len = self.run.capped(from, after);
                if len > best.len {
                    return Match { at: after, from, len };
                }
            }
        }
        if self.run.view.distance(current, next) >= REACH {
            return best;
        }
        for slot in [current, previous] {
            let Some(from) = self.run.view.near(slot, next, ahead as u32) else { continue };
            let len = self.run.capped(from, next);
            if len > best.len {
                best = Match { at: next, from, len };
                if !SIX {
                    break;
                }
            }
        }
        best
    }

    /// A match of the greatest length goes on as far as it does.
    #[inline(always)]
    fn extend(&self, found: Match) -> Match {
        let Match { at, from, len } = found;
        let more = if len == MAX_MATCH { self.run.extent(from + len, at + len) } else { 0 };
        Match { at, from, len: len + more }
    }

    /// Looks for a longer match that ends beyond this one, by the text at its end.
    #[inline(always)]
    fn look_at_end(&self, found: Match, both: bool) -> Match {
        let end = found.at + found.len;
        let mut best = found;
        let at = found.at + self.run.class.end_search_offset();
        let slots = self.long[hash7(self.word(end), 15)];
        for (i, slot) in slots.into_iter().enumerate() {
            // The text at the slot is that at the end of what was best before. A position may be beyond that end.
            let back = i64::from(self.run.view.slot(end)) - i64::from(slot);
            let distance = back + best.len as i64 - found.len as i64;
            if i == 0 && distance >= REACH as i64 {
                break;
            }
            if (1..REACH as i64).contains(&distance)
                && let Some(from) = at.checked_sub(distance as usize)
            {
                let len = self.run.extent(from, at);
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

    /// The search of level 5; the end of its last match.
    pub(super) fn level_5(mut self, start: usize) -> usize {
        let mut at = start;
        let looks_at_ends = self.run.class.searches_ends_at_level_5();
        while let Some((mut found, next)) = self.probe_5_6::<false>(at, 1) {
            if found.len < SHORT && found.at + found.len < self.run.limit && looks_at_ends {
                found = self.look_at_end(found, false);
            }
            let (end, len) = self.run.emit(found);
            at = if next >= end { next + 1 } else { end };
            if at >= self.run.limit {
                return self.run.emitted;
            }
            let mut i = at - len + 1;
            if i < at - 1 {
                let x = self.word(i);
                self.set_four(x, i);
                self.push_seven(x, i);
                self.push_seven(x >> 8, i + 1);
                self.set_four(x >> 16, i + 2);
                i += 4;
                while i < at - 1 {
                    let x = self.word(i);
                    self.push_seven(x, i);
                    self.set_four(x >> 8, i + 1);
                    i += 3;
                }
            }
            let x = self.word(at - 1);
            self.set_four(x, at - 1);
            self.push_seven(x, at - 1);
        }
        self.run.emitted
    }

    /// The search of level 6; the end of its last match.
    pub(super) fn level_6(mut self, start: usize) -> usize {
        let mut at = start;
        let mut repeat = 1;
        while let Some((mut found, next)) = self.probe_5_6::<true>(at, repeat) {
            if found.at + found.len < self.run.limit {
                found = self.look_at_end(found, true);
            }
            let (end, _) = self.run.emit(found);
            repeat = found.at - found.from;
            at = if next >= end { next + 1 } else { end };
            let last = at >= self.run.limit;
            let to = if last { self.run.view.len.saturating_sub(8) } else { at - 1 };
            for i in (next + 1..to).step_by(2) {
                let x = self.word(i);
                self.set_four(x, i);
                self.push_seven(x, i);
                if !last {
                    self.push_seven(x >> 8, i + 1);
                }
            }
            if last {
                return self.run.emitted;
            }
        }
        self.run.emitted
    }
}
