//! Finds addresses in the code of a base's file, a page at a time.

use dd_inspect::failure::Failure;

use super::params::Area;
use super::x86_64::{Form, LONGEST, decode};

/// Bytes of a page.
pub(crate) const PAGE: u64 = 4096;
/// Pages that are held.
const HELD: u64 = 1024;
/// Where a sweep begins before its page, so that it is in step with the instructions when that begins.
const LEAD: u64 = 64;

/// A field of four bytes in a page of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Where in the page it begins.
    pub(super) at: u16,
    /// Bytes of the instruction behind it.
    pub(super) behind: u8,
    pub(super) form: Form,
}

/// Reads a range of the base's file.
pub(crate) type Read<'a> = dyn FnMut(u64, &mut [u8]) -> Result<(), Failure> + 'a;

/// The pages that were swept last.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    held: Vec<Held>,
    buf: Vec<u8>,
}

/// The page's number and the area's start, and what was found.
type Held = (Option<(u64, u64)>, Vec<Field>);

impl Pages {
    /// Bytes of memory: a field takes at least four bytes of its page.
    pub(super) const MEMORY: u64 = HELD * (PAGE + 32);

    pub(super) fn new() -> Self {
        Self { held: vec![(None, Vec::new()); HELD as usize], buf: Vec::new() }
    }

    /// Forgets all pages.
    pub(super) fn clear(&mut self) {
        self.held.iter_mut().for_each(|(key, _)| *key = None);
    }

    /// The fields that begin in a page, which begins in an area.
    pub(super) fn fields(
        &mut self,
        area: &Area,
        page: u64,
        read: &mut Read<'_>,
    ) -> Result<&[Field], Failure> {
        let key = Some((page, area.offset));
        let Some((held, fields)) = self.held.get_mut((page % HELD) as usize) else {
            return Ok(&[]);
        };
        if *held != key {
            let first = page * PAGE;
            let from = area.offset.max(first.saturating_sub(LEAD));
            let to = (area.offset + area.len).min(first + PAGE + LONGEST as u64);
            self.buf.resize(to.saturating_sub(from) as usize, 0);
            *held = None;
            read(from, &mut self.buf)?;
            fields.clear();
            sweep(&self.buf, from, first, fields);
            *held = key;
        }
        Ok(fields)
    }
}

/// The fields of instructions that follow each other in `code`, which stands at `from` of the file; those that
/// begin in the page at `first`.
fn sweep(code: &[u8], from: u64, first: u64, fields: &mut Vec<Field>) {
    let mut at = 0;
    while let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(instruction) = decode(rest) else {
            at += 1;
            continue;
        };
        if let Some((field, form)) = instruction.field {
            let place = (from + (at + field) as u64).checked_sub(first);
            if let Some(place) = place.filter(|&place| place < PAGE) {
                let behind = (instruction.len - field - 4) as u8;
                fields.push(Field { at: place as u16, behind, form });
            }
        }
        at += instruction.len;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::params::Content;
    use super::*;

    fn fields(code: &[u8], area: &Area, page: u64) -> Vec<(u16, u8)> {
        let mut pages = Pages::new();
        let mut read = |offset: u64, buf: &mut [u8]| {
            let at = offset as usize;
            buf.copy_from_slice(&code[at..at + buf.len()]);
            Ok(())
        };
        let found = pages.fields(area, page, &mut read).unwrap();
        found.iter().map(|field| (field.at, field.behind)).collect()
    }

    #[test]
    fn pages_meet_without_a_gap() {
        let code = [0x90, 0xe8, 1, 0, 0, 0, 0xc6, 0x05, 1, 0, 0, 0, 7].repeat(1000);
        let area = Area { offset: 0, len: code.len() as u64, content: Content::Code };
        let mut all = Vec::new();
        for page in 0..4 {
            let found = fields(&code, &area, page);
            all.extend(found.iter().map(|&(at, behind)| (page * PAGE + u64::from(at), behind)));
        }
        let mut pages = Pages::new();
        let mut swept = 0;
        for _ in 0..3 {
            let mut read = |_: u64, buf: &mut [u8]| {
                swept += 1;
                buf.fill(0x90);
                Ok(())
            };
            pages.fields(&area, 1, &mut read).unwrap();
            pages.fields(&area, 1, &mut read).unwrap();
            pages.clear();
        }
        assert_eq!(swept, 3);
        let expected: Vec<(u64, u8)> =
            (0..1000).flat_map(|n| [(n * 13 + 2, 0), (n * 13 + 8, 1)]).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn an_area_bounds_the_sweep() {
        let code = [0xe8, 0, 0, 0, 0].repeat(10);
        let area = Area { offset: 5, len: 12, content: Content::Code };
        assert_eq!(fields(&code, &area, 0), [(6, 0), (11, 0)]);
    }
}
