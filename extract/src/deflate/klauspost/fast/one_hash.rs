//! Levels 1 to 3: one table, with the last position of each hash, or the last two.

use super::super::history::{REACH, hash4, hash4_old, hash5};
use super::{Match, Newest, NewestTwo, Run, push, set};
use crate::deflate::window::load64;

/// Bytes that must follow a position entered at the end of a block.
const fn after_end(five: bool) -> usize {
    if five { 8 } else { 4 }
}

/// The hash of a level, by five bytes or by four.
#[inline(always)]
fn hash<const LEVEL: u8, const FIVE: bool>(x: u64) -> usize {
    let bits = match LEVEL {
        1 => 15,
        2 => 17,
        _ => 16,
    };
    match LEVEL {
        _ if FIVE => hash5(x, bits),
        1 => hash4_old(x, bits),
        _ => hash4(x, bits),
    }
}

impl Run<'_> {
    #[inline(always)]
    fn load(&self, at: usize) -> u64 {
        load64(self.view.text, at)
    }

    /// The next match of levels 1 and 2, and the position after the last one that was probed.
    #[inline(always)]
    fn probe_pairs<const LEVEL: u8, const FIVE: bool, const N: usize>(
        &self,
        table: &mut Newest<N>,
        mut next: usize,
    ) -> Option<(Match, usize)> {
        let mut cv = self.load(next);
        loop {
            let mut at = next;
            next = at + 2 + ((at - self.emitted) >> 5);
            if next > self.limit {
                return None;
            }
            let candidate = set(table, self.view, hash::<LEVEL, FIVE>(cv), at);
            let ahead = self.load(next);
            if let Some(from) = self.view.near(candidate, at, cv as u32) {
                set(table, self.view, hash::<LEVEL, FIVE>(ahead), next);
                return Some((self.whole(at, from), next));
            }
            cv = ahead;
            at = next;
            next += 1;
            let hash = hash::<LEVEL, FIVE>(cv);
            let candidate = set(table, self.view, hash, at);
            if let Some(from) = self.view.near(candidate, at, cv as u32) {
                if LEVEL == 1 {
                    set(table, self.view, hash, next);
                }
                return Some((self.whole(at, from), next));
            }
            cv = self.load(next);
        }
    }

    /// The search of levels 1 and 2; the end of its last match.
    pub(super) fn level_1_2<const LEVEL: u8, const FIVE: bool, const N: usize>(
        mut self,
        table: &mut Newest<N>,
        start: usize,
    ) -> usize {
        let mut at = start;
        while let Some((mut found, next)) = self.probe_pairs::<LEVEL, FIVE, N>(table, at) {
            loop {
                let (end, len) = self.emit(found);
                at = if next >= end { next + 1 } else { end };
                if at >= self.limit {
                    if at + len + after_end(FIVE) < self.view.len {
                        set(table, self.view, hash::<LEVEL, FIVE>(self.load(at)), at);
                    }
                    return self.emitted;
                }
                if LEVEL == 2 {
                    for i in (at - len + 2..at.saturating_sub(5)).step_by(7) {
                        let x = self.load(i);
                        set(table, self.view, hash::<LEVEL, FIVE>(x), i);
                        set(table, self.view, hash::<LEVEL, FIVE>(x >> 16), i + 2);
                        set(table, self.view, hash::<LEVEL, FIVE>(x >> 32), i + 4);
                    }
                }
                let x = self.load(at - 2);
                set(table, self.view, hash::<LEVEL, FIVE>(x), at - 2);
                if LEVEL == 2 {
                    set(table, self.view, hash::<LEVEL, FIVE>(x >> 8), at - 1);
                }
                let candidate = set(table, self.view, hash::<LEVEL, FIVE>(x >> 16), at);
                match self.reached(candidate, at, (x >> 16) as u32) {
                    Some(from) => found = self.whole(at, from),
                    None => break,
                }
            }
            at += 1;
        }
        self.emitted
    }

    /// The next match of level 3.
    #[inline(always)]
    fn probe_two<const FIVE: bool>(
        &self,
        table: &mut NewestTwo<{ 1 << 16 }>,
        mut next: usize,
    ) -> Option<(Match, usize)> {
        let skip = if FIVE { 7 } else { 6 };
        let mut cv = self.load(next);
        loop {
            let at = next;
            next = at + 1 + ((at - self.emitted) >> skip);
            if next > self.limit {
                return None;
            }
            let [current, previous] = push(table, self.view, hash::<3, FIVE>(cv), at);
            let four = cv as u32;
            cv = self.load(next);
            if self.view.distance(current, at) > REACH - 4 {
                continue;
            }
            let far = self.view.distance(previous, at);
            let previous = self.reached(previous, at, four);
            match (self.reached(current, at, four), previous) {
                (Some(from), Some(older)) if far <= REACH - 4 => {
                    let (newer, older) = (self.whole(at, from), self.whole(at, older));
                    return Some((if older.len > newer.len { older } else { newer }, next));
                }
                (Some(from), _) => return Some((self.whole(at, from), next)),
                (None, Some(from)) if far < REACH - 4 => {
                    return Some((self.whole(at, from), next));
                }
                _ => {}
            }
        }
    }

    /// The search of level 3; the end of its last match.
    pub(super) fn level_3<const FIVE: bool>(
        mut self,
        table: &mut NewestTwo<{ 1 << 16 }>,
        start: usize,
    ) -> usize {
        let mut at = start;
        while let Some((mut found, next)) = self.probe_two::<FIVE>(table, at) {
            loop {
                let (end, len) = self.emit(found);
                at = if next >= end { next + 1 } else { end };
                if at >= self.limit {
                    let after = found.from + found.len;
                    if after + after_end(FIVE) < self.view.len && after > 0 {
                        push(table, self.view, hash::<3, FIVE>(self.load(after)), after);
                    }
                    return self.emitted;
                }
                let step = if FIVE { 6 } else { 5 };
                for i in (at - len + 2..at.saturating_sub(5)).step_by(step) {
                    push(table, self.view, hash::<3, FIVE>(self.load(i)), i);
                }
                let x = self.load(at - 2);
                push(table, self.view, hash::<3, FIVE>(x), at - 2);
                push(table, self.view, hash::<3, FIVE>(x >> 8), at - 1);
                let candidates = push(table, self.view, hash::<3, FIVE>(x >> 16), at);
                // The older one may be the nearer: the last insertion of a block is no new position.
                let again = candidates
                    .into_iter()
                    .take_while(|&slot| self.view.distance(slot, at) < REACH - 4)
                    .find_map(|slot| self.reached(slot, at, (x >> 16) as u32));
                match again {
                    Some(from) => found = self.whole(at, from),
                    None => break,
                }
            }
            at += 1;
        }
        self.emitted
    }
}
