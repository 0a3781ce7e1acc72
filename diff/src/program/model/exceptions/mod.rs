//! Tables that say where exceptions are handled (.gcc_except_table), made from those of a base.
//!
//! Descriptions of frames, which stand before them, name the functions and where their tables begin. What is expected of a
//! function are the call sites of the base's code that went there.

mod described;
mod project;
mod table;

use dd_inspect::failure::Failure;

use super::super::input::out_of_range;
use super::super::varint::{unzigzag, zigzag};
use super::map::{Interval, Map};
use super::params::{Area, Content, Params};
use super::space::Space;
use super::symbol::Values;
use super::version::Machine;
use described::{Function, functions};
use project::{Base, Went};
use table::{FORM, FORMS, Form, LONGEST, Site, Table};

/// Columns: what differs of a table and of a call site, and then what it is.
mod column {
    pub(super) const FLAGS: u8 = 80;
    pub(super) const FORM: u8 = 81;
    pub(super) const NEW_FORM: u8 = 82;
    pub(super) const COUNT: u8 = 83;
    pub(super) const SITE: u8 = 84;
    pub(super) const GONE: u8 = 85;
    pub(super) const START: u8 = 86;
    pub(super) const END: u8 = 87;
    pub(super) const PAD: u8 = 88;
    pub(super) const ACTION: u8 = 89;
    pub(super) const GAP: u8 = 90;
    pub(super) const LEN: u8 = 91;
    pub(super) const NEW_PAD: u8 = 92;
    pub(super) const NEW_ACTION: u8 = 93;
}

/// Bits of the flags of a table.
mod flag {
    pub(super) const RAW: u64 = 1;
    pub(super) const FORM: u64 = 2;
    pub(super) const SITES: u64 = 4;
    pub(super) const ALL: u64 = 7;
}

/// Bits of those of a call site.
mod site {
    pub(super) const GONE: u64 = 1;
    pub(super) const NEW: u64 = 2;
    pub(super) const START: u64 = 4;
    pub(super) const END: u64 = 8;
    pub(super) const PAD: u64 = 16;
    pub(super) const ACTION: u64 = 32;
    pub(super) const ALL: u64 = 63;
}

/// Bytes of a call site at least.
const SITE: usize = 4;
/// Call sites that are looked at to find one.
#[cfg(feature = "encode")]
const AHEAD: usize = 64;

/// Memory of a table that is made, with its call sites.
const MEMORY: u64 = 24 * LONGEST as u64;

/// Memory of tables over those of a base.
pub(crate) fn memory(params: &Params) -> u64 {
    let len = |areas, content| first(areas, content).map_or(0, |area| area.len);
    MEMORY
        + 3 * len(&params.areas, Content::Frames)
        + 8 * len(&params.areas, Content::Exceptions)
        + 3 * len(&params.new, Content::Frames)
}

/// The first area with a content.
pub(super) fn first(areas: &[Area], content: Content) -> Option<&Area> {
    areas.iter().find(|area| area.content == content)
}

/// Tables in progress.
#[derive(Debug, Clone)]
pub(crate) struct Exceptions {
    base: Base,
    /// Functions of the target that are still to come, the last one first.
    functions: Vec<Function>,
    /// Where the next table begins in the target's file, and where the last one ends; the address of the file's start.
    at: u64,
    end: u64,
    area: u64,
    address: u64,
    /// Bytes that are made and not given yet, and those that follow as they are.
    made: Vec<u8>,
    given: usize,
    raw: u64,
    forms: Vec<Form>,
    last: Form,
    work: u64,
}

/// Where bytes of the base went.
pub(crate) struct Where<'a> {
    pub(super) covers: &'a [Interval],
    pub(super) map: &'a Map,
}

impl Exceptions {
    /// The tables of an area of a target, whose frames are known, over those of a base.
    pub(super) fn new(
        machine: Machine,
        (base, base_area, base_frames): (&Space, &Area, (&[u8], u64)),
        bytes: &[u8],
        (space, area, frames): (&Space, &Area, (&[u8], u64)),
    ) -> Option<Self> {
        let old = functions(base_frames, machine, base, base_area);
        let mut functions = functions(frames, machine, space, area);
        functions.reverse();
        Some(Self {
            base: Base::new(bytes, base_area, base, &old),
            functions,
            at: area.offset,
            end: area.offset + area.len,
            area: area.offset,
            address: space.address(area.offset)?,
            made: Vec::new(),
            given: 0,
            raw: 0,
            forms: Vec::new(),
            last: Form::plain(),
            work: 0,
        })
    }

    /// The work since this was asked last.
    pub(super) fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// Fills `out` with the bytes that follow. `wanted` are all of the target's tables.
    pub(super) fn fill(
        &mut self,
        values: &mut impl Values,
        mut out: &mut [u8],
        wanted: Option<&[u8]>,
        went: &Where<'_>,
    ) -> Result<(), Failure> {
        while !out.is_empty() {
            let made = self.made.get(self.given..).unwrap_or_default();
            let len = match self.raw {
                0 => made.len().min(out.len()),
                raw => out.len().min(usize::try_from(raw).unwrap_or(usize::MAX)),
            };
            if len == 0 {
                self.next(values, wanted, went)?;
                continue;
            }
            let (now, rest) = std::mem::take(&mut out).split_at_mut(len);
            out = rest;
            if self.raw == 0 {
                now.iter_mut().zip(made).for_each(|(byte, made)| *byte = *made);
                self.given += len;
                continue;
            }
            let at = (self.at - self.raw - self.area) as usize;
            if let Some(wanted) = wanted.and_then(|wanted| wanted.get(at..at + len)) {
                now.copy_from_slice(wanted);
            }
            values.bytes(now)?;
            self.raw -= len as u64;
        }
        Ok(())
    }

    /// Makes the next table.
    fn next(
        &mut self,
        values: &mut impl Values,
        wanted: Option<&[u8]>,
        went: &Where<'_>,
    ) -> Result<(), Failure> {
        if self.at >= self.end {
            return Err(out_of_range("the length of tables of exceptions"));
        }
        (self.made, self.given) = (Vec::new(), 0);
        let at = self.at;
        let here = |function: &Function| u64::from(function.table) == at;
        let function = self.functions.pop_if(|function| here(function));
        let next = self.functions.last().map_or(self.end, |next| u64::from(next.table));
        self.at = next;
        let len = next - at;
        let Some(function) = function else {
            self.raw = len;
            return Ok(());
        };
        let range = (at - self.area) as usize..(next - self.area) as usize;
        let address = self.address.wrapping_add(at - self.area);
        let wanted = wanted.and_then(|wanted| wanted.get(range));
        let table = wanted.map(|bytes| Table::parse(bytes, address));
        let most = (len as usize).min(LONGEST) / SITE;
        let went = Went { covers: went.covers, map: went.map };
        let expected = went.expect(&self.base, &function, 2 * most);
        self.work += 64 * (1 + expected.sites.len() as u64);
        let form = expected.origin.and_then(|origin| self.base.form(origin));
        let form = form.unwrap_or(&self.last).clone();
        let flags = match &table {
            Some(Some(table)) if table.form.len() <= FORM => {
                let differs = |flag, differs| if differs { flag } else { 0 };
                differs(flag::FORM, table.form != form)
                    | differs(flag::SITES, table.sites != expected.sites)
            }
            Some(_) => flag::RAW,
            None => 0,
        };
        let flags = values.integer(column::FLAGS, flags)?;
        if flags > flag::ALL {
            return Err(out_of_range("what differs of a table of exceptions"));
        }
        if flags & flag::RAW != 0 {
            self.raw = len;
            return Ok(());
        }
        let table = table.flatten();
        let form = match flags & flag::FORM {
            0 => form,
            _ => self.form(values, table.as_ref().map(|table| &table.form))?,
        };
        let sites = match flags & flag::SITES {
            0 => expected.sites,
            _ => sites(values, &expected.sites, table.as_ref().map(|t| &t.sites[..]), most)?,
        };
        let made = Table { form, sites };
        self.made = made
            .to_bytes(address)
            .filter(|made| made.len() as u64 == len)
            .ok_or_else(|| out_of_range("the length of a table of exceptions"))?;
        self.last = made.form;
        Ok(())
    }

    /// A form that is told.
    fn form(&mut self, values: &mut impl Values, wanted: Option<&Form>) -> Result<Form, Failure> {
        let known = wanted.and_then(|form| self.forms.iter().position(|known| known == form));
        let known = values.integer(column::FORM, known.map_or(0, |known| known as u64 + 1))?;
        if let Some(known) = known.checked_sub(1) {
            let known = usize::try_from(known).ok().and_then(|known| self.forms.get(known));
            return known.cloned().ok_or_else(|| out_of_range("the form of a table"));
        }
        let mut tell = |value: u64, most: usize| {
            let value = values.integer(column::NEW_FORM, value)?;
            if value > most as u64 { Err(out_of_range("the form of a table")) } else { Ok(value) }
        };
        let encoding = tell(wanted.map_or(0, |form| u64::from(form.encoding)), 255)? as u8;
        let actions = tell(wanted.map_or(0, |form| form.actions.len() as u64), FORM)?;
        let types = tell(wanted.map_or(0, |form| form.types.len() as u64), FORM)?;
        let behind = tell(wanted.map_or(0, |form| form.behind.len() as u64), FORM)?;
        let mut form = Form {
            encoding,
            actions: vec![0; actions as usize],
            types: vec![0; types as usize],
            behind: vec![0; behind as usize],
        };
        if let Some(wanted) = wanted {
            form.clone_from(wanted);
        }
        values.bytes(&mut form.actions)?;
        values.bytes(&mut form.types)?;
        values.bytes(&mut form.behind)?;
        if self.forms.len() < FORMS {
            self.forms.push(form.clone());
        }
        Ok(form)
    }
}

/// Call sites, at most so many, over those that are expected.
fn sites(
    values: &mut impl Values,
    expected: &[Site],
    wanted: Option<&[Site]>,
    most: usize,
) -> Result<Vec<Site>, Failure> {
    let count = wanted.map_or(0, |wanted| wanted.len() as i64 - expected.len() as i64);
    let count = unzigzag(values.integer(column::COUNT, zigzag(count))?);
    let count = (expected.len() as i64).checked_add(count).filter(|&count| count >= 0);
    let count = count.map(|count| count as usize).filter(|&count| count <= most);
    let count = count.ok_or_else(|| out_of_range("the count of call sites"))?;
    let mut made = Vec::with_capacity(count);
    let (mut next, mut last, mut pad) = (0usize, Site::default(), 0);
    for number in 0..count {
        let wanted = wanted.and_then(|wanted| wanted.get(number)).copied();
        let (flags, gone) = plan(expected.get(next..).unwrap_or_default(), wanted);
        let flags = values.integer(column::SITE, flags)?;
        if flags > site::ALL {
            return Err(out_of_range("what differs of a call site"));
        }
        if flags & site::GONE != 0 {
            let gone = values.integer(column::GONE, gone)?;
            next = next.saturating_add(usize::try_from(gone).unwrap_or(usize::MAX));
        }
        let want = wanted.unwrap_or_default();
        let here = if flags & site::NEW != 0 {
            new_site(values, (last, pad), want)?
        } else {
            let mut here = expected.get(next).copied().unwrap_or(last);
            next = next.saturating_add(1);
            let mut change = |flag: u64, column: u8, value: &mut u32, want: u32| {
                if flags & flag != 0 {
                    let change = zigzag(i64::from(want.wrapping_sub(*value) as i32));
                    let change = unzigzag(values.integer(column, change)?);
                    *value = value.wrapping_add(change as u32);
                }
                Ok::<_, Failure>(())
            };
            change(site::START, column::START, &mut here.start, want.start)?;
            change(site::END, column::END, &mut here.end, want.end)?;
            change(site::PAD, column::PAD, &mut here.pad, want.pad)?;
            change(site::ACTION, column::ACTION, &mut here.action, want.action)?;
            here
        };
        if here.pad != 0 {
            pad = here.pad;
        }
        last = here;
        made.push(here);
    }
    Ok(made)
}

/// A call site that is like none of the base: over the one before, and where that was gone on last.
fn new_site(
    values: &mut impl Values,
    (last, pad): (Site, u32),
    want: Site,
) -> Result<Site, Failure> {
    let change = |now: u32, then: u32| zigzag(i64::from(now.wrapping_sub(then) as i32));
    let gap = values.integer(column::GAP, change(want.start, last.end))?;
    let start = last.end.wrapping_add(unzigzag(gap) as u32);
    let len = values.integer(column::LEN, u64::from(want.end.wrapping_sub(want.start)))?;
    let end = start.wrapping_add(len as u32);
    let told = if want.pad == 0 { 0 } else { change(want.pad, pad) + 1 };
    let told = values.integer(column::NEW_PAD, told)?;
    let pad = told.checked_sub(1).map_or(0, |told| pad.wrapping_add(unzigzag(told) as u32));
    let action = values.integer(column::NEW_ACTION, u64::from(want.action))?;
    Ok(Site { start, end, pad, action: action as u32 })
}

#[cfg(not(feature = "encode"))]
fn plan(_: &[Site], _: Option<Site>) -> (u64, u64) {
    (0, 0)
}

/// What differs of a call site, and how many of those that are expected are gone before it.
#[cfg(feature = "encode")]
fn plan(expected: &[Site], wanted: Option<Site>) -> (u64, u64) {
    let Some(wanted) = wanted else { return (0, 0) };
    let ahead = expected.get(..AHEAD).unwrap_or(expected);
    let find = |like: &dyn Fn(&Site) -> bool| ahead.iter().position(like);
    let found = find(&|site| site.start == wanted.start && site.end == wanted.end)
        .or_else(|| find(&|site| site.end == wanted.end))
        .or_else(|| find(&|site| site.start == wanted.start));
    let Some(gone) = found else { return (site::NEW, 0) };
    let site = ahead.get(gone).copied().unwrap_or_default();
    let differs = |flag, differs| if differs { flag } else { 0 };
    let flags = differs(site::GONE, gone > 0)
        | differs(site::START, site.start != wanted.start)
        | differs(site::END, site.end != wanted.end)
        | differs(site::PAD, site.pad != wanted.pad)
        | differs(site::ACTION, site.action != wanted.action);
    (flags, gone as u64)
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::symbols::tests::Tape;
    use super::*;

    fn site(start: u32, end: u32, pad: u32, action: u32) -> Site {
        Site { start, end, pad, action }
    }

    /// Writes call sites over those that are expected and reads them again. Returns what each said.
    fn flags(expected: &[Site], wanted: &[Site]) -> Vec<u64> {
        let mut tape = Tape::default();
        assert_eq!(sites(&mut tape, expected, Some(wanted), 9).unwrap(), wanted);
        let of = |&(column, value): &(u8, u64)| (column == column::SITE).then_some(value);
        let flags = tape.integers.iter().filter_map(of).collect();
        tape.reads = true;
        assert_eq!(sites(&mut tape, expected, None, 9).unwrap(), wanted);
        assert!(tape.integers.is_empty());
        flags
    }

    #[test]
    fn call_sites_are_told_by_what_differs() {
        let base = [site(0, 5, 90, 0), site(10, 20, 0, 0), site(30, 40, 80, 1)];
        assert_eq!(flags(&base, &base), [0; 3]);
        assert_eq!(flags(&base, &base[1..]), [site::GONE, 0]);
        let new = [base[0], site(6, 9, 85, 3), site(11, 20, 0, 0), site(30, 41, 70, 0)];
        let last = site::END | site::PAD | site::ACTION;
        assert_eq!(flags(&base, &new), [0, site::NEW, site::START, last]);
        assert_eq!(flags(&[], &base), [site::NEW; 3]);
        assert!(flags(&base, &[]).is_empty());
    }

    #[test]
    fn what_no_writer_gives_is_refused_or_survived() {
        let read = |integers: &[(u8, u64)]| {
            let integers = integers.iter().copied().collect();
            let mut tape = Tape { integers, reads: true, ..Tape::default() };
            sites(&mut tape, &[site(1, 2, 3, 4)], None, 3)
        };
        assert!(read(&[(column::COUNT, zigzag(-2))]).is_err());
        assert!(read(&[(column::COUNT, zigzag(3))]).is_err());
        assert!(read(&[(column::COUNT, u64::MAX)]).is_err());
        assert!(read(&[(column::COUNT, 0), (column::SITE, site::ALL + 1)]).is_err());
        let gone = [(column::COUNT, 0), (column::SITE, site::GONE), (column::GONE, u64::MAX)];
        assert_eq!(read(&gone).unwrap(), [Site::default()]);
    }
}
