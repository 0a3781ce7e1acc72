//! Names of a target's symbols, made from those of the base that they resemble, and what these told of others.

use std::collections::HashMap;

use dd_inspect::failure::Failure;

use super::super::varint;
use super::names::{Field, Text, digest, fields, hex, number};
use super::symbol::{Symbol, Values, column};

/// Bytes of a name that a base's symbol has at most.
const NAME: usize = 1 << 16;

/// Work of a byte of a name.
const WORK_NAME: u64 = 16;

/// Names of base and target.
#[derive(Debug, Clone)]
pub(super) struct Told {
    base: Vec<u8>,
    names: Vec<u8>,
    /// Where the next new name begins.
    end: usize,
    /// By digests: where a name stands, what a hash became (where that stands, bytes of it), how much higher numbers are.
    places: HashMap<u64, u32>,
    hashes: HashMap<u64, (u32, u8)>,
    shifts: HashMap<u64, u64>,
    /// Hashes, and shifts, at most.
    most: usize,
    pub(super) work: u64,
}

impl Told {
    /// Names of so many bytes over those of a base, of so many symbols.
    pub(super) fn new(base: Vec<u8>, len: usize, count: usize) -> Self {
        Self {
            base,
            names: vec![0; len],
            end: 1,
            places: HashMap::new(),
            hashes: HashMap::new(),
            shifts: HashMap::new(),
            most: count,
            work: 0,
        }
    }

    /// Names from a place on, as far as they are known.
    pub(super) fn bytes(&self, at: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(at).ok()?;
        self.names.get(at..at.checked_add(len)?)
    }

    /// Where the next new name begins.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// A name of so many bytes that is not known stands at a place; none where it does not fit.
    pub(super) fn leave(&mut self, place: u64, len: u64) -> Option<()> {
        let end = place.checked_add(len)?.checked_add(1)?;
        self.end = usize::try_from(end).ok().filter(|&end| end <= self.names.len())?;
        Some(())
    }

    fn base_name(&self, symbol: &Symbol) -> &[u8] {
        let rest = self.base.get(symbol.name as usize..).unwrap_or_default();
        let rest = rest.get(..NAME).unwrap_or(rest);
        rest.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// The name of a base's symbol with what its fields became; without values all as expected.
    pub(super) fn rename(
        &self,
        from: &Symbol,
        mut values: Option<&mut dyn Values>,
        wanted: Option<&[u8]>,
    ) -> Result<Vec<u8>, Failure> {
        let base = self.base_name(from);
        let wanted = wanted.map(|name| (name, fields(name))).unwrap_or_default();
        let mut name = Vec::with_capacity(base.len() + 16);
        let (mut at, mut scope) = (0, 0);
        for (place, field) in fields(base).into_iter().enumerate() {
            name.extend_from_slice(base.get(at..field.at).unwrap_or_default());
            let to = wanted.1.get(place).map_or(&[][..], |field| field.of(wanted.0));
            let old = field.of(base);
            at = field.at + field.len;
            let start = name.len();
            match field.text {
                Text::Number => {
                    let shift = self.shifts.get(&scope).copied().unwrap_or(0);
                    let mut value = number(old).unwrap_or(0).wrapping_add(shift);
                    if let Some(values) = &mut values {
                        let change = number(to).unwrap_or(0).wrapping_sub(value) as i64;
                        let change = values.integer(column::NUMBERS, varint::zigzag(change))?;
                        value = value.wrapping_add(varint::unzigzag(change) as u64);
                    }
                    name.extend_from_slice(value.to_string().as_bytes());
                }
                Text::Hash | Text::Large => {
                    let with = self.hashes.get(&scope).filter(|_| field.text == Text::Large);
                    let learned = with.or_else(|| self.hashes.get(&digest(old)));
                    let learned = learned.and_then(|&(at, len)| {
                        self.names.get(at as usize..at as usize + usize::from(len))
                    });
                    let guess = learned.unwrap_or(old);
                    let is_new = match &mut values {
                        Some(values) => {
                            values.integer(column::HASHES, u64::from(to != guess))? != 0
                        }
                        None => false,
                    };
                    match &mut values {
                        Some(values) if is_new => new_field(*values, &field, to, &mut name)?,
                        _ => name.extend_from_slice(guess),
                    }
                    scope = beside(name.get(start..).unwrap_or_default());
                }
            }
        }
        name.extend_from_slice(base.get(at..).unwrap_or_default());
        Ok(name)
    }

    /// Where a name is expected to stand.
    pub(super) fn expected(&self, name: &[u8]) -> usize {
        match self.places.get(&digest(name)) {
            _ if name.is_empty() => 0,
            Some(&place) => place as usize,
            None => self.end,
        }
    }

    /// A name stands at a place: there, if that is behind all others, and what it tells is learned.
    pub(super) fn put(&mut self, from: &Symbol, name: &[u8], place: u32) {
        let start = place as usize;
        let end = start.saturating_add(name.len()).saturating_add(1);
        if start >= self.end
            && let Some(room) = self.names.get_mut(start..end - 1)
        {
            room.copy_from_slice(name);
            self.end = end;
            self.places.insert(digest(name), place);
        }
        self.work += WORK_NAME * (name.len() as u64 + 1);
        if self.names.get(start..end - 1) != Some(name) {
            return;
        }
        self.learn(from, name, place);
    }

    /// What a name of the base became, which stands at a place.
    fn learn(&mut self, from: &Symbol, name: &[u8], place: u32) {
        let base = self.base_name(from).to_vec();
        let mut scope = 0;
        for (old, new) in fields(&base).iter().zip(&fields(name)) {
            if old.text == Text::Number {
                let shift = number(new.of(name)).unwrap_or(0);
                let shift = shift.wrapping_sub(number(old.of(&base)).unwrap_or(0));
                note(&mut self.shifts, self.most, scope, shift);
                continue;
            }
            let there = (place + new.at as u32, new.len as u8);
            note(&mut self.hashes, self.most, digest(old.of(&base)), there);
            if old.text == Text::Large {
                note(&mut self.hashes, self.most, scope, there);
            }
            scope = beside(new.of(name));
        }
    }
}

/// Notes something in a table of at most so many.
fn note<T>(table: &mut HashMap<u64, T>, most: usize, key: u64, what: T) {
    if table.len() < most || table.contains_key(&key) {
        table.insert(key, what);
    }
}

/// The key of what stands behind a hash in a name; 0 is that of what has none before it.
fn beside(hash: &[u8]) -> u64 {
    !digest(hash)
}

/// A field that is none of those that were expected.
fn new_field(
    values: &mut dyn Values,
    field: &Field,
    wanted: &[u8],
    name: &mut Vec<u8>,
) -> Result<(), Failure> {
    if field.text == Text::Large {
        let value = values.integer(column::LARGE, number(wanted).unwrap_or(0))?;
        name.extend_from_slice(value.to_string().as_bytes());
        return Ok(());
    }
    let mut bytes = [0; 16];
    let bytes = bytes.get_mut(..field.len / 2).unwrap_or_default();
    #[cfg(feature = "encode")]
    bytes.iter_mut().zip(super::names::packed(wanted)).for_each(|(byte, new)| *byte = new);
    values.bytes(bytes)?;
    name.extend_from_slice(&hex(bytes));
    Ok(())
}
