//! One header block of a tar.

use dd_inspect::record::EntryKind;

/// Bytes in a block.
pub(super) const BLOCK_LEN: usize = 512;

pub(super) type Block = [u8; BLOCK_LEN];

/// The fields of a header block that say something about the entry.
#[derive(Debug)]
pub(super) struct Header {
    pub path: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub size: u64,
    pub mtime: i64,
    pub link: Vec<u8>,
    type_flag: u8,
    /// A header from before POSIX, where a name that ends with `/` is a directory.
    pub old: bool,
    /// Blocks with the map of a sparse file follow.
    pub continues: bool,
}

/// What a header block is for.
pub(super) enum Meaning {
    Entry(EntryKind),
    /// Its content says something about the next entry: `x`, `g` (pax), `L`, `K` (GNU).
    Extension(u8),
}

impl Header {
    /// Reads a block; none if its check sum is wrong or its size is no number.
    pub fn parse(block: &Block) -> Option<Self> {
        let stored = number(&block[148..156])?;
        let field = 148..156;
        let as_spaces = |(i, b): (usize, &u8)| if field.contains(&i) { b' ' } else { *b };
        // Some old programs took bytes for signed.
        let unsigned: i64 = block.iter().enumerate().map(as_spaces).map(i64::from).sum();
        let signed: i64 =
            block.iter().enumerate().map(as_spaces).map(|b| i64::from(b.cast_signed())).sum();
        if stored != unsigned && stored != signed {
            return None;
        }
        let size = u64::try_from(number(&block[124..136])?).ok()?;
        let posix = &block[257..263] == b"ustar\0";
        let gnu = &block[257..263] == b"ustar ";
        let mut path = until_nul(&block[..100]).to_vec();
        let prefix = until_nul(&block[345..500]);
        if posix && !prefix.is_empty() {
            path = [prefix, b"/", &path].concat();
        }
        let natural = |range| number(range).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        Some(Self {
            path,
            // Bits above are the file type in some archives; they do not matter.
            mode: (natural(&block[100..108]) & 0xffff_ffff) as u32,
            uid: natural(&block[108..116]),
            gid: natural(&block[116..124]),
            size,
            mtime: number(&block[136..148]).unwrap_or(0),
            link: until_nul(&block[157..257]).to_vec(),
            type_flag: block[156],
            old: !posix && !gnu,
            continues: block[156] == b'S' && block[482] != 0,
        })
    }

    pub fn meaning(&self) -> Meaning {
        Meaning::Entry(match self.type_flag {
            b'x' | b'g' | b'L' | b'K' => return Meaning::Extension(self.type_flag),
            b'0' | 0 | b'7' => EntryKind::File,
            b'1' => EntryKind::Hardlink,
            b'2' => EntryKind::Symlink,
            b'3' => EntryKind::Character,
            b'4' => EntryKind::Block,
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            b'S' => EntryKind::Sparse,
            _ => EntryKind::Other,
        })
    }
}

/// A field up to its first zero byte.
pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// A number: octal digits with spaces and zero bytes around them, or GNU's base 256 with the highest bit set. An empty
/// field is 0.
fn number(field: &[u8]) -> Option<i64> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => {
            // Two's complement with 0x80 as the mark; 0xff begins a negative number.
            let start = if first & 0x40 == 0 {
                i64::from(first & 0x3f)
            } else {
                i64::from(first.cast_signed())
            };
            rest.iter()
                .try_fold(start, |value, b| value.checked_mul(256)?.checked_add(i64::from(*b)))
        }
        _ => {
            let text = until_nul(field).trim_ascii();
            text.iter().try_fold(0i64, |value, b| match b {
                b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(b - b'0')),
                _ => None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"777777777777"), Some(0o777_777_777_777));
        assert_eq!(number(b"12x"), None);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 1]), Some(0x7f00_0001));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Some(-2));
        assert_eq!(number(&[0xbf; 12]), None);
        assert_eq!(number(&[0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
