//! Levels 1 to 6 of klauspost/compress flate: what they search and when they enter positions into their tables.

use super::Class;
use super::history::{History, REACH, Slot, hash4, hash5, hash7};
use crate::deflate::go_lazy::common_prefix;
use crate::deflate::symbols::Token;

/// A search stops so many bytes before the end of its block.
const MARGIN: usize = 11;
/// Shorter blocks are not searched.
const MIN_SEARCHED: usize = 13;
const MAX_MATCH: usize = 258;
/// Matches below this may be bettered by a look at their end, at level 5.
const SHORT: usize = 30;

/// A match: where it stands, where its text stands before, and its length.
#[derive(Debug, Clone, Copy)]
struct Match {
    at: usize,
    from: usize,
    len: usize,
}

/// The search of one level, 1 to 6.
#[derive(Debug)]
pub(super) struct Search {
    level: u8,
    class: Class,
    history: History,
    short: Vec<Slot>,
    /// The newest position and the one before.
    long: Vec<[Slot; 2]>,
    /// The last distance, at level 6.
    repeat: usize,
}

impl Search {
    pub(super) fn new(level: u8, class: Class) -> Self {
        let (short, long) = match level {
            1 => (15, None),
            2 => (17, None),
            3 => (0, Some(16)),
            _ => (15, Some(15)),
        };
        Self {
            level,
            class,
            history: History::new(),
            short: vec![0; 1 << short],
            long: long.map_or_else(Vec::new, |bits: u32| vec![[0; 2]; 1 << bits]),
            repeat: 1,
        }
    }

    /// Forgets the text before.
    pub(super) fn drop_history(&mut self) {
        self.history.drop_all();
    }

    /// The tokens of the next block; none if it has no match.
    pub(super) fn block(&mut self, block: &[u8], tokens: &mut Vec<Token>) {
        tokens.clear();
        if let Some(excess) = self.history.rebase() {
            let rebase = |slot: &mut Slot| *slot = slot.saturating_sub(excess);
            self.short.iter_mut().for_each(rebase);
            self.long.iter_mut().flatten().for_each(rebase);
        }
        let start = self.history.append(block);
        if block.len() < MIN_SEARCHED {
            return;
        }
        self.repeat = 1;
        let mut emitted = start;
        match self.level {
            1 => self.level_1_2(start, 15, &mut emitted, tokens),
            2 => self.level_1_2(start, 17, &mut emitted, tokens),
            3 => self.level_3(start, &mut emitted, tokens),
            4 => self.level_4(start, &mut emitted, tokens),
            5 => self.level_5(start, &mut emitted, tokens),
            _ => self.level_6(start, &mut emitted, tokens),
        }
        if !tokens.is_empty() {
            tokens.extend(self.history.text[emitted..].iter().map(|&byte| Token::literal(byte)));
        }
    }

    fn limit(&self) -> usize {
        self.history.text.len() - MARGIN
    }

    /// Bytes in common from two places on, at most to the end of the block.
    #[inline]
    fn extent(&self, from: usize, at: usize) -> usize {
        common_prefix(&self.history.text[from..], &self.history.text[at..])
    }

    /// The length of a match whose first four bytes are known to be equal, at most 258.
    #[inline]
    fn capped(&self, from: usize, at: usize) -> usize {
        let text = &self.history.text;
        let end = text.len().min(at + MAX_MATCH);
        4 + common_prefix(&text[from + 4..], &text[at + 4..end])
    }

    /// Extends a match backwards and emits it and the literals before it; its end and its whole length.
    fn emit(&self, found: Match, emitted: &mut usize, tokens: &mut Vec<Token>) -> (usize, usize) {
        let Match { mut at, mut from, mut len } = found;
        let text = &self.history.text;
        while from > 0 && at > *emitted && text[from - 1] == text[at - 1] {
            at -= 1;
            from -= 1;
            len += 1;
        }
        tokens.extend(text[*emitted..at].iter().map(|&byte| Token::literal(byte)));
        let (distance, end, whole) = (at - from, at + len, len);
        while len > 0 {
            let piece = match len {
                0..=MAX_MATCH => len,
                259..=261 => MAX_MATCH - 3,
                _ => MAX_MATCH,
            };
            tokens.push(Token::matched(piece, distance));
            len -= piece;
        }
        *emitted = end;
        (end, whole)
    }

    /// A match of all bytes in common from two places on, of which four are known to be equal.
    #[inline]
    fn whole(&self, at: usize, from: usize) -> Match {
        Match { at, from, len: 4 + self.extent(from + 4, at + 4) }
    }

    #[inline]
    fn set(&mut self, hash: usize, at: usize) -> Slot {
        let slot = self.history.slot(at);
        std::mem::replace(&mut self.short[hash], slot)
    }

    #[inline]
    fn push(&mut self, hash: usize, at: usize) -> [Slot; 2] {
        let slot = self.history.slot(at);
        let old = self.long[hash];
        self.long[hash] = [slot, old[0]];
        old
    }

    /// The place of a slot that is at most a whole reach back and has these four bytes.
    #[inline]
    fn reached(&self, slot: Slot, at: usize, four: u32) -> Option<usize> {
        let place = self.history.place(slot);
        let place = usize::try_from(place).ok().filter(|_| at as i64 - place <= REACH)?;
        (self.history.load32(place) == four).then_some(place)
    }

    /// The next match of levels 1 and 2, and the position after the last one that was probed.
    fn probe_pairs(
        &mut self,
        mut next: usize,
        emitted: usize,
        bits: u32,
    ) -> Option<(Match, usize)> {
        let limit = self.limit();
        let mut cv = self.history.load64(next);
        loop {
            let mut at = next;
            next = at + 2 + ((at - emitted) >> 5);
            if next > limit {
                return None;
            }
            let candidate = self.set(hash5(cv, bits), at);
            let ahead = self.history.load64(next);
            if let Some(from) = self.history.near(candidate, at, cv as u32) {
                self.set(hash5(ahead, bits), next);
                return Some((self.whole(at, from), next));
            }
            cv = ahead;
            at = next;
            next += 1;
            let hash = hash5(cv, bits);
            let candidate = self.set(hash, at);
            if let Some(from) = self.history.near(candidate, at, cv as u32) {
                if bits == 15 {
                    self.set(hash, next);
                }
                return Some((self.whole(at, from), next));
            }
            cv = self.history.load64(next);
        }
    }

    fn level_1_2(&mut self, start: usize, bits: u32, emitted: &mut usize, tokens: &mut Vec<Token>) {
        let limit = self.limit();
        let mut at = start;
        while let Some((mut found, next)) = self.probe_pairs(at, *emitted, bits) {
            loop {
                let (end, len) = self.emit(found, emitted, tokens);
                at = if next >= end { next + 1 } else { end };
                if at >= limit {
                    if at + len + 8 < self.history.text.len() {
                        self.set(hash5(self.history.load64(at), bits), at);
                    }
                    return;
                }
                if bits == 17 {
                    for i in (at - len + 2..at.saturating_sub(5)).step_by(7) {
                        let x = self.history.load64(i);
                        self.set(hash5(x, bits), i);
                        self.set(hash5(x >> 16, bits), i + 2);
                        self.set(hash5(x >> 32, bits), i + 4);
                    }
                }
                let x = self.history.load64(at - 2);
                self.set(hash5(x, bits), at - 2);
                if bits == 17 {
                    self.set(hash5(x >> 8, bits), at - 1);
                }
                let candidate = self.set(hash5(x >> 16, bits), at);
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
        let mut cv = self.history.load64(next);
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> 7);
            if next > limit {
                return None;
            }
            let [current, previous] = self.push(hash5(cv, 16), at);
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

    fn level_3(&mut self, start: usize, emitted: &mut usize, tokens: &mut Vec<Token>) {
        let limit = self.limit();
        let mut at = start;
        while let Some((mut found, next)) = self.probe_two(at, *emitted) {
            loop {
                let (end, len) = self.emit(found, emitted, tokens);
                at = if next >= end { next + 1 } else { end };
                if at >= limit {
                    let after = found.from + found.len;
                    if after + 8 < self.history.text.len() && after > 0 {
                        self.push(hash5(self.history.load64(after), 16), after);
                    }
                    return;
                }
                for i in (at - len + 2..at.saturating_sub(5)).step_by(6) {
                    self.push(hash5(self.history.load64(i), 16), i);
                }
                let x = self.history.load64(at - 2);
                self.push(hash5(x, 16), at - 2);
                self.push(hash5(x >> 8, 16), at - 1);
                let candidates = self.push(hash5(x >> 16, 16), at);
                let least = at as i64 - (REACH - 4);
                let again = candidates.into_iter().find_map(|slot| {
                    self.reached(slot, at, (x >> 16) as u32).filter(|&place| place as i64 > least)
                });
                match again {
                    Some(from) => found = self.whole(at, from),
                    None => break,
                }
            }
            at += 1;
        }
    }

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

    fn level_4(&mut self, start: usize, emitted: &mut usize, tokens: &mut Vec<Token>) {
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
        let at = found.at + 2;
        let slots = self.long[hash7(self.history.load64(end), 15)];
        for (i, slot) in slots.into_iter().enumerate() {
            let place = self.history.place(slot) - best.len as i64 + 2;
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

    fn level_5(&mut self, start: usize, emitted: &mut usize, tokens: &mut Vec<Token>) {
        let limit = self.limit();
        let mut at = start;
        while let Some((mut found, next)) = self.probe_5_6(at, *emitted) {
            if found.len < SHORT && found.at + found.len < limit {
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

    fn level_6(&mut self, start: usize, emitted: &mut usize, tokens: &mut Vec<Token>) {
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
