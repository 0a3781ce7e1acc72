//! Chains of the positions whose next four bytes have the same hash, in a window of 64 KiB.

use super::window::{boxed, common, load32};

/// The longest distance.
pub(crate) const WINDOW: usize = 1 << 15;
/// Bytes of text that are held at most.
pub(crate) const BUFFER: usize = 2 * WINDOW;
pub(crate) const MIN_MATCH: usize = 4;
pub(crate) const MAX_MATCH: usize = 258;
/// Look-ahead that a search wants unless the text ends.
pub(crate) const LOOK_AHEAD: usize = MIN_MATCH + MAX_MATCH;
/// Where the upper half of the buffer moves down.
const MOVE_AT: usize = BUFFER - LOOK_AHEAD;
const HASH_BITS: u32 = 17;

/// A place in the buffer plus one; 0 is none.
pub(crate) type Link = u16;

/// What a search may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The longest match that there can be.
    pub(crate) most: usize,
    /// A match of this length ends the search.
    pub(crate) nice: usize,
    /// Positions of the chain that are looked at.
    pub(crate) chain: u32,
}

/// A window and the chains through it.
#[derive(Debug)]
pub(crate) struct Chains {
    pub(crate) text: Box<[u8; BUFFER + 8]>,
    /// Bytes of text in the buffer.
    pub(crate) len: usize,
    heads: Box<[Link; 1 << HASH_BITS]>,
    links: Box<[Link; WINDOW]>,
}

impl Chains {
    pub(crate) fn new() -> Self {
        Self { text: boxed(0), len: 0, heads: boxed(0), links: boxed(0) }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.heads.fill(0);
    }

    /// Takes in as much text as there is room for; what is left.
    pub(crate) fn append<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let (now, later) = text.split_at(text.len().min(BUFFER - self.len));
        self.text[self.len..][..now.len()].copy_from_slice(now);
        self.len += now.len();
        later
    }

    /// Moves the upper half of the buffer down if the search has come far enough; how many bytes all places are less then.
    pub(crate) fn move_on(&mut self, at: usize) -> usize {
        if at < MOVE_AT {
            return 0;
        }
        self.text.copy_within(WINDOW..self.len, 0);
        self.len -= WINDOW;
        for link in self.heads.iter_mut().chain(&mut *self.links) {
            *link = link.saturating_sub(WINDOW as Link);
        }
        WINDOW
    }

    #[inline(always)]
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.text[at & (BUFFER - 1)]
    }

    /// Enters a place into the chain of a hash; what the head of the chain was. Four bytes of text stand at the place.
    #[inline(always)]
    pub(crate) fn insert(&mut self, hash: usize, at: usize) -> Link {
        let head = std::mem::replace(&mut self.heads[hash], (at + 1) as Link);
        self.links[at & (WINDOW - 1)] = head;
        head
    }

    /// The place that was entered last with a hash.
    #[inline(always)]
    pub(crate) fn last(&self, hash: usize) -> Option<usize> {
        usize::from(self.heads[hash]).checked_sub(1)
    }

    /// The hash of Go's compress/flate.
    #[inline(always)]
    pub(crate) fn go_hash(&self, at: usize) -> usize {
        (load32(&self.text, at).swap_bytes().wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)) as usize
    }

    /// The hash of klauspost/compress.
    #[inline(always)]
    pub(crate) fn klauspost_hash(&self, at: usize) -> usize {
        (load32(&self.text, at).wrapping_mul(2_654_435_761) >> (32 - HASH_BITS)) as usize
    }

    /// The length and distance of the best match along a chain, (3, 0) without any.
    ///
    /// It is the first of those that are longer than any before it and that `accept` says yes to.
    #[inline(always)]
    pub(crate) fn find(
        &self,
        head: Link,
        at: usize,
        limits: Limits,
        mut accept: impl FnMut(usize, usize) -> bool,
    ) -> (usize, usize) {
        let (text, links) = (&*self.text, &*self.links);
        let (mut length, mut distance) = (MIN_MATCH - 1, 0);
        let reach = at.saturating_sub(WINDOW);
        let mut link = usize::from(head);
        // The last four of the bytes that a better match has at least.
        let mut last_four = load32(text, at);
        for _ in 0..limits.chain {
            if link <= reach {
                break;
            }
            let place = link - 1;
            if load32(text, place + length - 3) == last_four {
                let n = common(text, place, at, limits.most);
                if n > length && accept(n, at - place) {
                    (length, distance) = (n, at - place);
                    if n >= limits.nice {
                        break;
                    }
                    last_four = load32(text, at + length - 3);
                }
            }
            // The link of the farthest place was overwritten by the nearest.
            if place == reach {
                break;
            }
            link = usize::from(links[place & (WINDOW - 1)]);
        }
        (length, distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains(text: &[u8]) -> Chains {
        let mut chains = Chains::new();
        assert!(chains.append(text).is_empty());
        chains
    }

    fn enter(chains: &mut Chains, to: usize) -> Link {
        let mut head = 0;
        for at in 0..=to {
            head = chains.insert(chains.go_hash(at), at);
        }
        head
    }

    #[test]
    fn the_longest_match_is_found_and_of_equals_the_nearest() {
        let mut chains = chains(b"abcdefgh-abcdeX-abcdeY-abcdefgZ");
        let head = enter(&mut chains, 23);
        let limits = |chain, nice| Limits { most: 8, nice, chain };
        assert_eq!(chains.find(head, 23, limits(9, 258), |_, _| true), (7, 23));
        assert_eq!(chains.find(head, 23, limits(2, 258), |_, _| true), (5, 7));
        assert_eq!(chains.find(head, 23, limits(9, 5), |_, _| true), (5, 7));
        assert_eq!(chains.find(head, 23, limits(9, 258), |_, distance| distance < 20), (5, 7));
        assert_eq!(chains.find(0, 23, limits(9, 258), |_, _| true), (3, 0));
    }

    #[test]
    fn places_move_with_the_text() {
        let text: Vec<u8> = (0..BUFFER as u32).map(|at| (at % 251) as u8).collect();
        let mut chains = chains(&text);
        assert_eq!(chains.append(b"rest"), b"rest");
        let entered = chains.go_hash(WINDOW + 7);
        chains.insert(entered, WINDOW + 7);
        assert_eq!((chains.move_on(MOVE_AT - 1), chains.len), (0, BUFFER));
        assert_eq!((chains.move_on(MOVE_AT), chains.len), (WINDOW, WINDOW));
        assert_eq!((chains.last(entered), chains.byte(7)), (Some(7), text[WINDOW + 7]));
        chains.append(&text[..WINDOW]);
        chains.move_on(MOVE_AT);
        assert_eq!(chains.last(entered), None, "it is out of the window");
    }
}
