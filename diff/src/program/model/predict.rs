//! Predicts addresses, and learns from those that are corrected.

use super::aarch64::{Form, LEN, first, second};
use super::map::Map;
use super::space::{Place, Space};
use super::stretch::{Reference, put, value};
use super::version::Version;
use super::{Begin, Executable, Kind, Known, NAMES};

impl Executable {
    /// Where a part of the stretch ends that begins at `at`: it has whole blocks, and no address begins
    /// behind its first block.
    pub(crate) fn next_end(&self, at: usize, len: usize, block: usize) -> usize {
        let next = self.references.get(self.predicted).map_or(len, |next| next.at as usize);
        len.min((next / block * block).max(at + block))
    }

    /// Predicts the addresses that begin before `to` of the stretch and were not predicted yet. `classes`
    /// says how.
    pub(crate) fn predict(&mut self, bytes: &mut [u8], classes: &mut [u8], to: usize) {
        while let Some(reference) = self.references.get(self.predicted).copied() {
            if reference.at as usize >= to {
                return;
            }
            self.predicted += 1;
            let at = reference.at as usize;
            let place = at..at + usize::from(reference.width);
            let (Some(bytes), Some(classes)) =
                (bytes.get_mut(place.clone()), classes.get_mut(place))
            else {
                continue;
            };
            let (new, known) = self.value(&reference, value(bytes));
            put(bytes, new);
            let class = reference.kind.class(known);
            for (class_of, class) in classes.iter_mut().zip(class..) {
                *class_of = class;
            }
        }
    }

    /// Bytes up to `to` of the stretch are corrected: their addresses tell where targets are.
    pub(crate) fn learn(&mut self, bytes: &[u8], base: &[u8], to: usize) {
        while let Some(reference) = self.references.get(self.told).copied() {
            let at = reference.at as usize;
            let place = at..at + usize::from(reference.width);
            if place.end > to || self.told >= self.predicted {
                return;
            }
            self.told += 1;
            if let Kind::Word(form, back) = reference.kind {
                if let Some(target) = told(form, back, &reference, bytes)
                    && !(form.is_local()
                        && self.moved(reference.target, reference.kind).0 == target)
                {
                    self.tell(reference.target, target);
                }
                continue;
            }
            if !matches!(reference.kind, Kind::Code(_) | Kind::Name | Kind::Table) {
                continue;
            }
            let (Some(now), Some(then)) = (bytes.get(place.clone()), base.get(place)) else {
                continue;
            };
            let change = (value(now) as u32).wrapping_sub(value(then) as u32) as i32;
            let change = i64::from(change) as u64;
            let target = reference.target.wrapping_add(change).wrapping_sub(reference.change);
            if reference.kind == Kind::Name {
                let is_later = self.params.version != Version::First;
                self.last_name = is_later.then_some((reference.target, target));
                continue;
            }
            if reference.kind == Kind::Table {
                self.last_table = Some((reference.target, target));
                continue;
            }
            self.tell(reference.target, target);
        }
    }

    /// What stands at an address of the base stands at one of the target.
    fn tell(&mut self, base: u64, target: u64) {
        if let Some((base, target)) = self.base.relative(base).zip(self.target.relative(target)) {
            self.learned.tell(base, target);
        }
    }

    /// What the value of a reference is now.
    fn value(&self, reference: &Reference, value: u64) -> (u64, Known) {
        let Reference { kind, target, change, width, .. } = *reference;
        match kind {
            Kind::Back => {
                let (moved, known) = self.map.find(target as u32);
                let new =
                    value.wrapping_add(change).wrapping_sub(u64::from(moved)).wrapping_add(target);
                (new, if known { Known::Mapped } else { Known::Near })
            }
            Kind::Word(form, _) => {
                let (moved, known) = self.moved(target, kind);
                (u64::from(form.meaning(value as u32, moved, change)), known)
            }
            Kind::Span(begin, unit) | Kind::Short(begin, unit) => {
                // What is inserted at the end of something does not belong to it.
                let behind = |address: u64| {
                    let (moved, known) = self.moved(address.wrapping_sub(1), kind);
                    (moved.wrapping_add(1), known)
                };
                let (end, known) = behind(target);
                let start = match begin {
                    Begin::First => self.moved(change, kind).0,
                    Begin::Behind => behind(change).0,
                };
                let span = end.wrapping_sub(start) >> unit;
                let (most, rest) = match (kind, width) {
                    (Kind::Short(..), _) => (0x3f, value & 0xc0),
                    (_, 4..) => (0xffff_ffff, 0),
                    (_, width) => ((1 << (8 * width)) - 1, 0),
                };
                (if span <= most { span | rest } else { value }, known)
            }
            _ => {
                let (moved, known) = self.moved(target, kind);
                (value.wrapping_add(moved.wrapping_sub(target)).wrapping_add(change), known)
            }
        }
    }

    /// Where a target is now.
    pub(super) fn moved(&self, target: u64, kind: Kind) -> (u64, Known) {
        if kind == Kind::Offset {
            let (place, known) = self.map.find(target as u32);
            return (u64::from(place), if known { Known::Mapped } else { Known::Near });
        }
        if kind == Kind::Name {
            if let Some((base, last)) = self.last_name
                && target.checked_sub(base).is_some_and(|distance| distance < NAMES)
            {
                return (last.wrapping_add(target - base), Known::Learned);
            }
            let (place, known) = self.map.find(target as u32);
            return (u64::from(place), if known { Known::Mapped } else { Known::Near });
        }
        if let (Kind::Table, Some((base, last))) = (kind, self.last_table) {
            return (last.wrapping_add(target.wrapping_sub(base)), Known::Learned);
        }
        let learned = self.base.relative(target).and_then(|base| self.learned.find(base));
        if let Some(learned) = learned {
            return (self.target.absolute(learned), Known::Learned);
        }
        match self.base.place(target) {
            Some(place) => moved_by_map((&self.target, &self.map), place, target),
            None => (target, Known::Near),
        }
    }
}

/// What a corrected instruction means, if it is still one of the form. One that adds to a page needs the one that takes it, which
/// stands before it in the stretch.
fn told(form: Form, back: u8, reference: &Reference, stretch: &[u8]) -> Option<u64> {
    let at = reference.at as usize;
    let word = |at: usize| {
        let bytes = stretch.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let own = word(at).filter(|&word| Form::of(word) == Some(form))?;
    let target = form.target(own, reference.change);
    match form {
        Form::Page => None,
        Form::Add | Form::Access(_) => {
            let back = LEN * usize::from(back);
            let page = word(at.checked_sub(back)?)?;
            let is_pair = Form::of(page) == Some(Form::Page) && first(page) == second(own);
            let here = reference.change.wrapping_sub(back as u64);
            is_pair.then(|| Form::Page.target(page, here).wrapping_add(target))
        }
        _ => Some(target),
    }
}

/// Where what stands at an address of the base is, as far as the map says.
pub(super) fn moved_by_map((to, map): (&Space, &Map), place: Place, target: u64) -> (u64, Known) {
    match place {
        Place::File(offset) => {
            let (place, known) = map.find(offset);
            match to.address(u64::from(place)) {
                Some(address) if known => (address, Known::Mapped),
                Some(address) => (address, Known::Near),
                None => (target, Known::Near),
            }
        }
        Place::Memory(number, behind) => (to.memory(number, behind).unwrap_or(target), Known::Near),
    }
}
