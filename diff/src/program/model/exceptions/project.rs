//! Call sites of a target's function as those of the base say that went there.

use super::super::map::{Interval, Map};
use super::super::params::Area;
use super::super::space::Space;
use super::described::Function;
use super::table::{FORM, FORMS, Form, Site, Table};

/// Covers of a function that are looked at, and those on each side of a site.
const COVERS: usize = 4096;
const NEAR: usize = 8;

/// Functions of a base with their call sites.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// Where the code of functions begins, ascending, and which form their tables have.
    functions: Vec<(u32, u8)>,
    forms: Vec<Form>,
    /// Places of the file, ascending by the end, each end once; without where it is gone on 0.
    sites: Vec<Site>,
}

impl Base {
    /// The base whose tables are `bytes`, an area of its file; `functions` by the places of their tables.
    pub(super) fn new(bytes: &[u8], area: &Area, space: &Space, functions: &[Function]) -> Self {
        let address = space.address(area.offset).unwrap_or(0);
        let (mut forms, mut starts) = (Vec::new(), Vec::with_capacity(functions.len()));
        let mut sites = Vec::with_capacity(bytes.len() / 8);
        let ends = functions.iter().skip(1).map(|next| u64::from(next.table) - area.offset);
        for (function, end) in functions.iter().zip(ends.chain([area.len])) {
            let at = u64::from(function.table) - area.offset;
            let table = bytes.get(at as usize..end as usize);
            let Some(table) = table.and_then(|b| Table::parse(b, address.wrapping_add(at))) else {
                continue;
            };
            starts.push((function.code, number(&mut forms, table.form)));
            let place = |at: u32| function.code.saturating_add(at);
            sites.extend(table.sites.iter().map(|site| Site {
                start: place(site.start),
                end: place(site.end),
                pad: if site.pad == 0 { 0 } else { place(site.pad) },
                action: site.action,
            }));
        }
        starts.sort_unstable();
        sites.sort_unstable_by_key(|site| (site.end, site.start, site.pad, site.action));
        sites.dedup_by_key(|site| site.end);
        Self { functions: starts, forms, sites }
    }

    /// The form of the table of the function that has the code at a place, or of the last one before.
    pub(super) fn form(&self, place: u32) -> Option<&Form> {
        let next = self.functions.partition_point(|function| function.0 <= place);
        self.forms.get(usize::from(self.functions.get(next.checked_sub(1)?)?.1))
    }
}

/// The number of a form; that of none for those that are too many or too long.
fn number(forms: &mut Vec<Form>, form: Form) -> u8 {
    if let Some(known) = forms.iter().position(|known| *known == form) {
        return known as u8;
    }
    if forms.len() == FORMS || form.len() > FORM {
        return u8::MAX;
    }
    forms.push(form);
    forms.len() as u8 - 1
}

/// Where the base's file went.
pub(super) struct Went<'a> {
    /// Ascending in the target, without overlap.
    pub(super) covers: &'a [Interval],
    pub(super) map: &'a Map,
}

/// What is expected of a function.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) sites: Vec<Site>,
    /// Where in the base's code it was.
    pub(super) origin: Option<u32>,
}

impl Went<'_> {
    /// The sites, at most so many, that are expected of a function.
    pub(super) fn expect(&self, base: &Base, function: &Function, most: usize) -> Expected {
        let (code, end) = (function.code, function.code.saturating_add(function.len));
        let first = self.covers.partition_point(|c| c.target.saturating_add(c.len) <= code);
        let last = self.covers.partition_point(|c| c.target < end);
        let covers = self.covers.get(first..last).unwrap_or_default();
        let covers = covers.get(..COVERS).unwrap_or(covers);
        let mut expected = Expected::default();
        for (number, cover) in covers.iter().enumerate() {
            let from = cover.base + code.saturating_sub(cover.target);
            let to = cover.base + cover.len.min(end - cover.target);
            expected.origin.get_or_insert(from);
            let next = base.sites.partition_point(|site| site.end <= from);
            let sites = base.sites.get(next..).unwrap_or_default();
            for site in sites.iter().take_while(|site| site.end <= to) {
                if expected.sites.is_empty() {
                    expected.origin = Some(site.end - 1);
                }
                if expected.sites.len() == most {
                    return expected;
                }
                let place =
                    |at: u32| self.place(at, (covers, number), (code, end)).wrapping_sub(code);
                expected.sites.push(Site {
                    start: place(site.start),
                    end: place(site.end - 1).wrapping_add(1),
                    pad: if site.pad == 0 { 0 } else { place(site.pad) },
                    action: site.action,
                });
            }
        }
        expected
    }

    /// Where a place of the base is in a function of the target: in the nearest cover that has it, else as the map says, else
    /// with the cover.
    fn place(&self, at: u32, (covers, number): (&[Interval], usize), code: (u32, u32)) -> u32 {
        let moved = |cover: &Interval| cover.target.wrapping_add(at.wrapping_sub(cover.base));
        let has = |cover: &&Interval| at.wrapping_sub(cover.base) < cover.len;
        for distance in 0..=NEAR {
            let before = number.checked_sub(distance).and_then(|number| covers.get(number));
            let behind = covers.get(number + distance);
            if let Some(cover) = before.into_iter().chain(behind).find(has) {
                return moved(cover);
            }
        }
        let place = self.map.find(at).0;
        match (code.0..code.1).contains(&place) {
            true => place,
            false => covers.get(number).map_or(place, moved),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(start: u32, end: u32, pad: u32) -> Site {
        Site { start, end, pad, action: 1 }
    }

    fn cover(base: u32, target: u32, len: u32) -> Interval {
        Interval { base, target, len }
    }

    fn expected(covers: &[Interval], sites: &[Site], most: usize) -> (Vec<Site>, Option<u32>) {
        let base = Base { functions: Vec::new(), forms: Vec::new(), sites: sites.to_vec() };
        let map = Map::new(covers);
        let function = Function { table: 0, code: 1000, len: 200 };
        let expected = Went { covers, map: &map }.expect(&base, &function, most);
        (expected.sites, expected.origin)
    }

    #[test]
    fn sites_go_with_their_code() {
        let covers = [cover(50, 950, 100), cover(150, 1060, 100), cover(700, 1160, 90)];
        let sites = [
            site(90, 100, 200),
            // The first in the function; one that goes over an insertion; one without where it is gone on.
            site(101, 110, 240),
            site(140, 160, 170),
            site(200, 210, 0),
            site(710, 720, 5),
            site(738, 745, 5),
        ];
        let wanted = [
            site(1, 10, 150),
            site(40, 70, 80),
            site(110, 120, 0),
            // Elsewhere: as if it had gone with its cover.
            site(170, 180, 5u32.wrapping_sub(700).wrapping_add(160)),
        ];
        assert_eq!(expected(&covers, &sites, 9), (wanted.to_vec(), Some(109)));
        assert_eq!(expected(&covers, &sites, 2).0, wanted[..2]);
        assert_eq!(expected(&covers, &[], 9), (Vec::new(), Some(100)));
        assert_eq!(expected(&covers[..0], &sites, 9), (Vec::new(), None));
    }

    #[test]
    fn forms_are_numbered_while_there_is_room() {
        let form = |n: u8| Form { encoding: n, ..Form::plain() };
        let mut forms = Vec::new();
        let numbers: Vec<u8> = (0..70).map(|n| number(&mut forms, form(n % 66))).collect();
        assert_eq!(numbers[..2], [0, 1]);
        assert_eq!(numbers[63..70], [63, 255, 255, 0, 1, 2, 3]);
        let long = Form { types: vec![0; FORM + 1], ..form(99) };
        assert_eq!(number(&mut Vec::new(), long), 255);
    }
}
