//! Where the last bytes stood before: in what helps to code literals, or in the literals themselves.
//!
//! Four pointers, each found by the last bytes of a number of its own, follow what they point to as long as it comes
//! true. Every constant here is part of the format (docs/delta-format.md, "Literals by mixing").

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::super::table;

/// Pointers.
pub(super) const POINTERS: usize = 4;
/// Bytes by which each is found.
const LENS: [usize; POINTERS] = [16, 9, 6, 4];
/// Of the places of a dictionary each takes those that are multiples of this.
const STEPS: [usize; POINTERS] = [4, 2, 1, 1];
/// Entries of a table, as a power of two.
const BITS: std::ops::RangeInclusive<u32> = 12..=20;
/// Bytes of a dictionary from which on another thread helps to note its places.
const LONG: usize = 256 << 10;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A place where bytes like the last ones were followed by others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pointer {
    /// The place of the expected byte.
    place: usize,
    /// Bytes before it that are like the last ones; 0 where it points nowhere.
    pub(super) len: usize,
    /// Whether the last expected bytes were wrong, the last one lowest.
    pub(super) wrong: u32,
}

/// The pointers, and for each a table of the places that follow bytes of a hash.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Pointers {
    pub(super) all: [Pointer; POINTERS],
    tables: [Vec<u32>; POINTERS],
    bits: u32,
}

/// Entries of a table for a history of so many bytes, as a power of two.
fn bits(history: u64) -> u32 {
    let len = u64::BITS - history.leading_zeros();
    len.saturating_sub(2).clamp(*BITS.start(), *BITS.end())
}

/// Notes the places of a dictionary that are multiples of `step` in the table of the last `len` bytes, of 2^`bits` entries.
fn note(table: &mut [u32], dictionary: &[u8], (len, step, bits): (usize, usize, u32)) {
    let mut recent = 0u128;
    for (place, byte) in (1usize..).zip(dictionary) {
        recent = recent << 8 | u128::from(*byte);
        if place % step == 0 && place >= len {
            table[entry_of(recent, len, bits)] = place as u32;
        }
    }
}

/// The entry, of 2^`bits`, of the last `len` of 16 bytes, the latest lowest.
#[inline]
fn entry_of(recent: u128, len: usize, bits: u32) -> usize {
    let kept = recent << (128 - 8 * len) >> (128 - 8 * len);
    let folded = kept as u64 ^ ((kept >> 64) as u64).wrapping_mul(GOLDEN);
    ((folded.wrapping_mul(GOLDEN) >> 20).wrapping_mul(GOLDEN) >> (64 - bits)) as usize
}

impl Pointers {
    /// The memory of tables for a history of so many bytes.
    pub(in super::super) fn memory(history: u64) -> u64 {
        (POINTERS as u64 * 4) << bits(history)
    }

    /// Forgets where they point; then pointers into a dictionary, and into what follows it up to a history of `len` bytes.
    pub(super) fn again(self, dictionary: &[u8], len: u64) -> Self {
        let bits = bits(len);
        let mut tables = self.tables.map(|given_up| table(given_up, 1 << bits, 0));
        // One table after the other, so that it stays in the cache; of a long dictionary two at once.
        let mut jobs = tables.iter_mut().zip(LENS).zip(STEPS);
        if dictionary.len() < LONG {
            jobs.for_each(|((table, len), step)| note(table, dictionary, (len, step, bits)));
        } else {
            let jobs = Mutex::new(&mut jobs);
            let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let work = || {
                while let Some(((table, len), step)) = next() {
                    note(table, dictionary, (len, step, bits));
                }
            };
            thread::scope(|scope| {
                // Without another thread this one does all.
                let _ = thread::Builder::new().name("tables".to_owned()).spawn_scoped(scope, work);
                work();
            });
        }
        Self { all: [Pointer::default(); POINTERS], tables, bits }
    }

    /// The entries of the last bytes. All of them come into the cache at once.
    #[inline(always)]
    fn entries(&self, recent: u128) -> [usize; POINTERS] {
        let mut entries = [0; POINTERS];
        let mut all = 0;
        for ((entry, table), len) in entries.iter_mut().zip(&self.tables).zip(LENS) {
            *entry = entry_of(recent, len, self.bits);
            all ^= table[*entry];
        }
        black_box(all);
        entries
    }

    /// Pointers that point nowhere look where the last bytes stood before; these are noted as standing at the end.
    #[inline]
    pub(super) fn look(&mut self, history: &[u8], recent: u128) {
        let entries = self.entries(recent);
        for (i, (pointer, table)) in self.all.iter_mut().zip(&mut self.tables).enumerate() {
            let (entry, len) = (&mut table[entries[i]], LENS[i]);
            if pointer.len == 0 {
                let place = *entry as usize;
                let alike = alike(history, place, recent);
                if place < history.len() && alike >= len {
                    (pointer.place, pointer.len) = (place, alike);
                }
            }
            *entry = history.len() as u32;
        }
    }

    /// The byte that each expects; none where it points nowhere, or to where one before it does.
    #[inline]
    pub(super) fn expected(&self, history: &[u8]) -> [Option<u8>; POINTERS] {
        let mut expected = [None; POINTERS];
        for (i, pointer) in self.all.iter().enumerate() {
            let same = |other: &Pointer| other.len > 0 && other.place == pointer.place;
            if pointer.len > 0 && !self.all[..i].iter().any(same) {
                expected[i] = history.get(pointer.place).copied();
            }
        }
        expected
    }

    /// The byte that comes after the history is this one.
    #[inline]
    pub(super) fn learn(&mut self, history: &[u8], byte: u8) {
        for pointer in self.all.iter_mut().filter(|pointer| pointer.len > 0) {
            let right = history.get(pointer.place) == Some(&byte);
            pointer.wrong = pointer.wrong << 1 | u32::from(!right);
            (pointer.place, pointer.len) =
                if right { (pointer.place + 1, pointer.len + 1) } else { (0, 0) };
        }
    }

    /// All point nowhere.
    pub(super) fn reset(&mut self) {
        self.all = [Pointer::default(); POINTERS];
    }
}

/// How many bytes before a place are like the last 16.
#[inline]
fn alike(history: &[u8], place: usize, recent: u128) -> usize {
    let before = history.get(place.saturating_sub(16)..place).unwrap_or_default();
    let last = recent.to_le_bytes();
    before.iter().rev().zip(last).take_while(|(a, b)| **a == *b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(bytes: &[u8]) -> u128 {
        bytes.iter().fold(0, |recent, byte| recent << 8 | u128::from(*byte))
    }

    #[test]
    fn the_last_bytes_are_found_in_the_dictionary() {
        let dictionary = b"\0some words, and some others";
        let mut pointers = Pointers::default().again(dictionary, 100);
        pointers.look(dictionary, recent(b"its some"));
        assert_eq!(pointers.expected(dictionary), [None, None, None, Some(b' ')]);
        // The last one of two places, with the space before.
        assert_eq!((pointers.all[3].place, pointers.all[3].len), (21, 5));
        pointers.learn(dictionary, b' ');
        assert_eq!((pointers.all[3].place, pointers.all[3].len), (22, 6));
        pointers.learn(dictionary, b'w');
        assert_eq!((pointers.all[3].len, pointers.all[3].wrong), (0, 1));
        assert_eq!(pointers.expected(dictionary), [None; 4]);
    }

    #[test]
    fn what_came_before_is_found_again_and_pointers_to_the_same_place_are_one() {
        let text = b"0123456789abcdefghij.0123456789abcdefgh";
        let mut pointers = Pointers::default().again(&[], 64);
        for end in 0..text.len() {
            pointers.look(&text[..end], recent(&text[end.saturating_sub(16)..end]));
            pointers.learn(&text[..end], text[end]);
        }
        assert!(pointers.all.iter().all(|pointer| pointer.place == 18), "{pointers:?}");
        assert_eq!(pointers.expected(text), [Some(b'i'), None, None, None]);
        pointers.reset();
        assert_eq!(pointers.expected(text), [None; 4]);
    }

    #[test]
    fn places_of_a_long_dictionary_are_noted_alike() {
        let dictionary: Vec<u8> =
            (0..LONG as u32 + 99).map(|i| (i.wrapping_mul(i) >> 9) as u8).collect();
        let pointers = Pointers::default().again(&dictionary, 1 << 20);
        for ((table, len), step) in pointers.tables.iter().zip(LENS).zip(STEPS) {
            let mut alone = vec![0; table.len()];
            note(&mut alone, &dictionary, (len, step, pointers.bits));
            assert!(*table == alone && alone.iter().any(|place| *place > LONG as u32), "{len}");
        }
    }

    #[test]
    fn tables_follow_the_history() {
        assert_eq!(Pointers::memory(0), 16 << 12);
        assert_eq!(Pointers::memory(1 << 17), 16 << 16);
        assert_eq!(Pointers::memory(u64::MAX), 16 << 20);
    }
}
