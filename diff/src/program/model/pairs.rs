//! Finds the addresses in A64 code of a base's file: those of branches and calls, and those that two instructions make, of
//! which the first takes the address of a page and the second adds what is behind its start.

use dd_inspect::failure::Failure;

use super::Kind;
use super::aarch64::{Form, LEN, Leaves, first, leaves, second};
use super::params::Area;
use super::stretch::{Reference, Stretch};
use super::sweep::Read;

/// Instructions behind the one that takes a page among which one may add to it.
const REACH: usize = 16;
/// Bytes before and behind what is looked at that are seen.
pub(super) const AROUND: u64 = (REACH * LEN) as u64;

/// A page whose address is in a register.
#[derive(Debug, Clone, Copy)]
struct Page {
    /// The number of the instruction, and the address of the page.
    number: usize,
    address: u64,
    /// Its reference, until an instruction adds to it.
    reference: Option<usize>,
}

/// The code that is looked at, with what stands around it.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    code: Vec<u8>,
}

impl Window {
    /// The references of instructions that lie wholly in `from..to`, a part of the area and of the stretch.
    pub(super) fn find(
        &mut self,
        stretch: &Stretch<'_>,
        area: &Area,
        (from, to): (u64, u64),
        read: &mut Read<'_>,
        list: &mut Vec<Reference>,
    ) -> Result<(), Failure> {
        let start = area.offset.max(from.saturating_sub(AROUND)).next_multiple_of(LEN as u64);
        let end = (area.offset + area.len).min(to + AROUND);
        if start >= to {
            return Ok(());
        }
        self.code.clear();
        self.code.resize((end - start) as usize, 0);
        let (before, rest) =
            self.code.split_at_mut_checked(from.saturating_sub(start) as usize).unwrap_or_default();
        let (inside, behind) =
            rest.split_at_mut_checked((to - from.max(start)) as usize).unwrap_or_default();
        let known = stretch.bytes.get((from.max(start) - stretch.base) as usize..);
        for (byte, known) in inside.iter_mut().zip(known.unwrap_or_default()) {
            *byte = *known;
        }
        if !before.is_empty() {
            read(start, before)?;
        }
        if !behind.is_empty() {
            read(to, behind)?;
        }
        find(&self.code, start, stretch, (from, to), list);
        Ok(())
    }
}

/// The references of `code`, which stands at `start` of the file.
fn find(
    code: &[u8],
    start: u64,
    stretch: &Stretch<'_>,
    (from, to): (u64, u64),
    list: &mut Vec<Reference>,
) {
    let mut pages: [Option<Page>; 32] = [None; 32];
    let words = code.chunks_exact(LEN).filter_map(|bytes| bytes.first_chunk::<LEN>());
    for (number, word) in words.map(|bytes| u32::from_le_bytes(*bytes)).enumerate() {
        let place = start + (number * LEN) as u64;
        let is_inside = place >= from && place + LEN as u64 <= to;
        let form = Form::of(word);
        let mut taken = None;
        let reference = form.and_then(|form| {
            let base = stretch.from.address(place)?;
            let mut back = 0;
            let target = match form {
                Form::Add | Form::Access(_) => {
                    let page = pages.get_mut(second(word))?.as_mut()?;
                    back = number - page.number;
                    if back > REACH {
                        return None;
                    }
                    let target = page.address.wrapping_add(form.target(word, base));
                    stretch.from.place(target)?;
                    if let Some(of) = page.reference.take().and_then(|at| list.get_mut(at)) {
                        of.target = target;
                    }
                    target
                }
                Form::Page => {
                    let address = form.target(word, base);
                    let reference = is_inside.then_some(list.len());
                    taken = Some(Page { number, address, reference });
                    address
                }
                _ => {
                    let target = form.target(word, base);
                    stretch.from.place(target)?;
                    target
                }
            };
            let (_, change) = stretch.field(place).filter(|_| is_inside)?;
            Some(Reference {
                at: (place - stretch.base) as u32,
                width: LEN as u8,
                kind: Kind::Word(form, back as u8),
                target,
                change: base.wrapping_sub(change),
            })
        });
        match reference {
            Some(reference) => list.push(reference),
            None => {
                if let Some(page) = &mut taken {
                    page.reference = None;
                }
            }
        }
        forget(&mut pages, word);
        if let (Some(page), Some(register)) = (taken, pages.get_mut(first(word))) {
            *register = Some(page);
        }
    }
}

/// What an instruction leaves.
fn forget(pages: &mut [Option<Page>; 32], word: u32) {
    match leaves(word) {
        Leaves::All => {}
        Leaves::AllBut(one, other) => {
            for register in [one, other] {
                if let Some(page) = pages.get_mut(register) {
                    *page = None;
                }
            }
        }
        Leaves::Kept => {
            for (register, page) in pages.iter_mut().enumerate() {
                if !(19..=29).contains(&register) {
                    *page = None;
                }
            }
        }
        Leaves::Nothing => *pages = [None; 32],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::params::{Content, Segment};
    use super::super::space::Space;
    use super::super::version::Machine;
    use super::*;

    const FIRST: u64 = 0x40_0000;
    const NOP: u32 = 0xd503_201f;
    /// ADRP of the page 0x405000 into x1 in the page at `FIRST`; ADD of 0x7f0 to x1; LDR of 8 bytes 0xff8 behind x8.
    const PAGE: u32 = 0xb000_0021;
    const ADD: u32 = 0x911f_c021;
    const LOAD: u32 = 0xf947_fd08;

    /// What is found in words at the start of a file, which go 16 bytes further, between two places, in the area
    /// behind another place: place, form, instructions back, target.
    fn found(words: &[u32], (from, to): (u64, u64), area: u64) -> Vec<(u32, Form, u8, u64)> {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let space = Space::new(&[Segment { offset: 0, len: 30_000, address: FIRST, extra: 0 }]);
        let bytes = &code[from as usize..to as usize];
        let stretch = Stretch {
            base: from,
            target: from + 16,
            bytes,
            lowest: 0,
            machine: Machine::AArch64,
            from: &space,
            to: &space,
        };
        let len = code.len() as u64 - area;
        let area = Area { offset: area, len, content: Content::Code };
        let mut list = Vec::new();
        let mut read = |at: u64, buf: &mut [u8]| {
            assert!(!buf.is_empty() && buf.len() as u64 <= AROUND);
            buf.copy_from_slice(&code[at as usize..][..buf.len()]);
            Ok(())
        };
        Window::default().find(&stretch, &area, (from, to), &mut read, &mut list).unwrap();
        let of = |reference: &Reference| {
            let place = from + u64::from(reference.at);
            assert_eq!(reference.change, FIRST + place + 16);
            let Kind::Word(form, back) = reference.kind else { panic!("{reference:?}") };
            (place as u32, form, back, reference.target)
        };
        list.iter().map(of).collect()
    }

    fn all(words: &[u32]) -> Vec<(u32, Form, u8, u64)> {
        found(words, (0, 4 * words.len() as u64), 0)
    }

    #[test]
    fn two_instructions_make_an_address() {
        let target = 0x40_57f0;
        let pair = [(0, Form::Page, 0, target), (8, Form::Add, 2, target)];
        assert_eq!(all(&[PAGE, NOP, ADD]), pair);
        // The second of them adds to another page, or to none.
        assert_eq!(all(&[PAGE, NOP, LOAD]), [(0, Form::Page, 0, 0x40_5000)]);
        assert_eq!(all(&[ADD, LOAD]), []);
        // The first that adds counts for the page; its result is no page.
        let again = all(&[PAGE, LOAD & !0x3e0 | 1 << 5, ADD, ADD]);
        let access = (4, Form::Access(3), 1, 0x40_5ff8);
        assert_eq!(again, [(0, Form::Page, 0, 0x40_5ff8), access, (8, Form::Add, 2, target)]);
    }

    #[test]
    fn a_page_is_forgotten() {
        let lone = [(0, Form::Page, 0, 0x40_5000)];
        let target = 0x40_57f0;
        for between in [0xaa14_03e1, 0xa940_07e2, 0xf940_0001, 0xd65f_03c0, 0xd63f_0100] {
            assert_eq!(all(&[PAGE, between, ADD]), lone, "{between:x}");
        }
        let words = |count: usize| [&[PAGE][..], &vec![NOP; count], &[ADD]].concat();
        let pair = [(0, Form::Page, 0, target), (64, Form::Add, 16, target)];
        assert_eq!(all(&words(15)), pair);
        assert_eq!(all(&words(16)), lone);
    }

    #[test]
    fn a_pair_may_go_over_a_border() {
        let words = [PAGE, NOP, ADD, NOP];
        let target = 0x40_57f0;
        assert_eq!(found(&words, (0, 4), 0), [(0, Form::Page, 0, target)]);
        assert_eq!(found(&words, (4, 16), 0), [(8, Form::Add, 2, target)]);
        // What stands before the area is not seen, nor is a part of an instruction.
        assert_eq!(found(&words, (4, 16), 2), []);
        assert_eq!(found(&words, (9, 16), 0), []);
        assert_eq!(found(&words, (1, 11), 0), []);
        assert_eq!(found(&words, (5, 7), 5), []);
    }

    #[test]
    fn branches_mean_what_is_there() {
        let call = 0x9400_0000;
        assert_eq!(all(&[NOP, call | 3]), [(4, Form::Call, 0, FIRST + 16)]);
        // Before and behind the file.
        assert_eq!(all(&[NOP, call | 0x3ff_fffe, call | 8000]), []);
        assert_eq!(all(&[NOP, call | 0x3ff_ffff]), [(4, Form::Call, 0, FIRST)]);
    }
}
