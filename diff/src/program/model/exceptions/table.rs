//! The table that says where the exceptions of a function are handled.
//!
//! As GCC and LLVM write it (the language-specific data of "Exception Handling ABI" for Itanium, part II, "LSDA"; LLVM's
//! `EHStreamer`): a head, call sites, actions, types. Only tables that are written again to the same bytes are known.

use super::super::super::varint;

/// Bytes of the longest table that is known.
pub(super) const LONGEST: usize = 1 << 17;
/// Forms that are remembered, and bytes of one that is.
pub(super) const FORMS: usize = 64;
pub(super) const FORM: usize = 1024;
/// What stands in place of encodings that are absent, and the encoding of call sites that is known.
const ABSENT: u8 = 0xff;
const LEB128: u8 = 1;
/// Actions of a chain that are looked at.
const CHAIN: usize = 64;

/// A call site: code whose exceptions are handled alike, by its distances from the function's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Site {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Where it is gone on; 0: nowhere.
    pub(super) pad: u32,
    pub(super) action: u32,
}

/// What a table is beside its call sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// The encoding of types.
    pub(super) encoding: u8,
    pub(super) actions: Vec<u8>,
    pub(super) types: Vec<u8>,
    /// What stands behind the place from which types count.
    pub(super) behind: Vec<u8>,
}

impl Form {
    /// A form without types.
    pub(super) fn plain() -> Self {
        Self { encoding: ABSENT, actions: Vec::new(), types: Vec::new(), behind: Vec::new() }
    }
}

impl Form {
    /// Bytes of it.
    pub(super) fn len(&self) -> usize {
        self.actions.len() + self.types.len() + self.behind.len()
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) form: Form,
    pub(super) sites: Vec<Site>,
}

impl Table {
    /// The table that is all of `bytes` and stands at `address`.
    pub(super) fn parse(bytes: &[u8], address: u64) -> Option<Self> {
        let mut at = 0;
        let byte = |at: &mut usize| {
            *at += 1;
            bytes.get(*at - 1).copied()
        };
        if bytes.len() > LONGEST || byte(&mut at)? != ABSENT {
            return None;
        }
        let encoding = byte(&mut at)?;
        let types_end = match encoding {
            ABSENT => bytes.len(),
            _ => (integer(bytes, &mut at)? as usize).checked_add(at)?,
        };
        if byte(&mut at)? != LEB128 {
            return None;
        }
        let len = integer(bytes, &mut at)? as usize;
        let end = at.checked_add(len).filter(|&end| end <= bytes.len())?;
        let mut sites = Vec::new();
        while at < end {
            let start = integer(bytes, &mut at)?;
            let len = integer(bytes, &mut at)?;
            let (pad, action) = (integer(bytes, &mut at)?, integer(bytes, &mut at)?);
            sites.push(Site { start, end: start.checked_add(len)?, pad, action });
        }
        let rest = bytes.get(end..)?;
        let actions = actions(rest, &sites)?;
        let types = padding(address.wrapping_add((end + actions) as u64)) + actions;
        let form = Form {
            encoding,
            actions: rest.get(..actions)?.to_vec(),
            types: bytes.get(end + types..types_end)?.to_vec(),
            behind: bytes.get(types_end..)?.to_vec(),
        };
        let table = Self { form, sites };
        (table.to_bytes(address)? == bytes).then_some(table)
    }

    /// Its bytes where it stands at `address`; none where these would be too many.
    pub(super) fn to_bytes(&self, address: u64) -> Option<Vec<u8>> {
        let mut sites = Vec::new();
        for site in &self.sites {
            let len = site.end.wrapping_sub(site.start);
            for value in [site.start, len, site.pad, site.action] {
                put(&mut sites, value);
            }
            if sites.len() > LONGEST {
                return None;
            }
        }
        let mut rest = vec![LEB128];
        put(&mut rest, sites.len() as u32);
        rest.append(&mut sites);
        rest.extend_from_slice(&self.form.actions);
        let has_types = self.form.encoding != ABSENT;
        // How far the types end behind its own end depends on the bytes of the integer that says so.
        for width in 0..5 {
            let head = 2 + width as u64;
            let gap = padding(address.wrapping_add(head + rest.len() as u64));
            let mut bytes = vec![ABSENT, self.form.encoding];
            if has_types {
                put(&mut bytes, u32::try_from(rest.len() + gap + self.form.types.len()).ok()?);
            }
            if bytes.len() as u64 == head {
                bytes.append(&mut rest);
                bytes.resize(bytes.len() + gap, 0);
                bytes.extend_from_slice(&self.form.types);
                bytes.extend_from_slice(&self.form.behind);
                return Some(bytes);
            }
        }
        None
    }
}

/// Bytes up to the next multiple of four.
fn padding(address: u64) -> usize {
    (address.wrapping_neg() % 4) as usize
}

/// Where the actions of sites end.
fn actions(bytes: &[u8], sites: &[Site]) -> Option<usize> {
    let (mut end, mut last) = (0, 0);
    for site in sites.iter().filter(|site| site.action > 0) {
        if site.action == last {
            continue;
        }
        last = site.action;
        let mut at = site.action as usize - 1;
        for _ in 0..CHAIN {
            skip(bytes, &mut at)?;
            let (here, next) = (at, signed(bytes, &mut at)?);
            end = end.max(at);
            if next == 0 {
                break;
            }
            at = here.checked_add_signed(next)?;
        }
    }
    Some(end)
}

/// Goes over an integer.
fn skip(bytes: &[u8], at: &mut usize) -> Option<()> {
    while bytes.get(*at)? & 0x80 != 0 {
        *at += 1;
    }
    *at += 1;
    Some(())
}

/// A signed integer of one byte or two.
fn signed(bytes: &[u8], at: &mut usize) -> Option<isize> {
    let (mut value, mut bits) = (0, 0);
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= isize::from(byte & 0x7f) << bits;
        bits += 7;
        if byte & 0x80 == 0 {
            let negative = byte & 0x40 != 0;
            return Some(if negative { value - (1 << bits) } else { value });
        }
        if bits == 14 {
            return None;
        }
    }
}

/// An integer of at most 32 bits.
fn integer(bytes: &[u8], at: &mut usize) -> Option<u32> {
    let mut value = 0u64;
    for bits in (0..35).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << bits;
        if byte & 0x80 == 0 {
            return u32::try_from(value).ok();
        }
    }
    None
}

fn put(out: &mut Vec<u8>, value: u32) {
    varint::put(out, u64::from(value));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A site, as GCC has it, where exceptions are only cleaned up behind; padded.
    const CLEANUP: [u8; 8] = [0xff, 0xff, 1, 4, 5, 6, 0x10, 0];
    /// One with an action and an empty list behind its types.
    const TYPES: [u8; 24] =
        [0xff, 0x9b, 0x11, 1, 8, 0, 5, 0x10, 1, 9, 3, 0, 0, 0x7f, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];

    fn site(start: u32, end: u32, pad: u32, action: u32) -> Site {
        Site { start, end, pad, action }
    }

    #[test]
    fn sites_are_known() {
        let table = Table::parse(&CLEANUP, 0x1000).unwrap();
        assert_eq!(table.sites, [site(5, 11, 16, 0)]);
        assert_eq!(table.form, Form::plain());
        let table = Table::parse(&TYPES, 0x1000).unwrap();
        assert_eq!(table.sites, [site(0, 5, 16, 1), site(9, 12, 0, 0)]);
        let (actions, types) = (vec![0x7f, 0], vec![7, 0, 0, 0]);
        let form = Form { encoding: 0x9b, actions, types, behind: vec![0; 4] };
        assert_eq!(table.form, form);
    }

    #[test]
    fn actions_are_followed() {
        assert_eq!(actions(&[0x7f, 0, 0, 0x7d, 1], &[site(0, 1, 2, 3)]), Some(4));
        assert_eq!(actions(&[1, 0xff, 0x7f, 0, 0], &[site(0, 1, 2, 1)]), Some(3));
        // One that leads to itself, before the first, or out of them.
        assert_eq!(actions(&[1, 0x7f], &[site(0, 1, 2, 1)]), Some(2));
        assert_eq!(actions(&[1, 0x7e], &[site(0, 1, 2, 1)]), None);
        assert_eq!(actions(&[1, 5], &[site(0, 1, 2, 1)]), None);
    }

    #[test]
    fn others_are_refused() {
        assert_eq!(Table::parse(&CLEANUP, 0x1001), None);
        for (at, byte) in [(0, 0x1b), (2, 3), (3, 5), (3, 3), (4, 0x85)] {
            let mut table = CLEANUP;
            table[at] = byte;
            assert_eq!(Table::parse(&table, 0x1000), None, "{at}");
        }
        for len in 0..TYPES.len() {
            if len != TYPES.len() - 4 {
                let known = Table::parse(&TYPES[..len], 0x1000);
                assert!(known.is_none_or(|table| table.form.behind.len() < 4), "{len}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, address: u64) {
            if let Some(table) = Table::parse(&bytes, address) {
                prop_assert_eq!(table.to_bytes(address), Some(bytes));
            }
        }

        #[test]
        fn what_is_written_is_known(
            sites in prop::collection::vec((0u32..5000, 0u32..300, 0u32..5000), 0..90),
            has_types: bool,
            address: u64,
        ) {
            let sites = sites.iter().map(|&(start, len, pad)| site(start, start + len, pad, 0));
            let mut table = Table { form: Form::plain(), sites: sites.collect() };
            if has_types {
                table.form.encoding = 0x9b;
                table.form.behind = vec![0; 4];
            }
            let bytes = table.to_bytes(address & !3).unwrap();
            prop_assert_eq!(Table::parse(&bytes, address & !3), Some(table));
        }
    }
}
