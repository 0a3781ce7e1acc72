//! One 512-byte block of a tar header and its fields.
//!
//! The layout is that of POSIX.1-2017, pax, "ustar Interchange Format"; GNU's and old V7 headers have
//! the same fields in the same places.

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;

/// A header block.
pub(crate) type Block = [u8; BLOCK];

/// How a field's bytes are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Octal digits, zeros in front, and what ends them.
    Number,
    /// Bytes up to a zero byte, zero bytes after it.
    Text,
    /// The sum of the block's bytes, these counted as spaces.
    Checksum,
    /// Bytes.
    Bytes,
}

/// A field of a header block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    start: usize,
    len: usize,
    pub form: Form,
}

const fn field(start: usize, len: usize, form: Form) -> Field {
    Field { start, len, form }
}

/// The fields; a field's place here is its bit in a mask and part of the delta format.
pub(crate) const FIELDS: [Field; 16] = [
    field(136, 12, Form::Number),  // mtime
    field(124, 12, Form::Number),  // size
    field(0, 100, Form::Text),     // name
    field(157, 100, Form::Text),   // linkname
    field(100, 8, Form::Number),   // mode
    field(108, 8, Form::Number),   // uid
    field(116, 8, Form::Number),   // gid
    field(148, 8, Form::Checksum), // chksum
    field(265, 32, Form::Text),    // uname
    field(297, 32, Form::Text),    // gname
    field(345, 155, Form::Text),   // prefix
    field(329, 8, Form::Number),   // devmajor
    field(337, 8, Form::Number),   // devminor
    field(257, 8, Form::Bytes),    // magic and version
    field(500, 12, Form::Bytes),   // what is left of the block
    field(156, 1, Form::Bytes),    // typeflag
];

/// The place of `mtime` in [`FIELDS`].
pub(crate) const MTIME: usize = 0;
/// The place of `size` in [`FIELDS`].
pub(crate) const SIZE: usize = 1;
/// The place of `chksum` in [`FIELDS`].
pub(crate) const CHECKSUM: usize = 7;

impl Field {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn of<'a>(&self, block: &'a Block) -> &'a [u8] {
        &block[self.start..self.start + self.len]
    }

    /// Sets the field; bytes that are missing become zero.
    pub(crate) fn set(&self, block: &mut Block, bytes: &[u8]) {
        let place = &mut block[self.start..self.start + self.len];
        place.fill(0);
        place[..bytes.len()].copy_from_slice(bytes);
    }
}

/// The typeflag.
pub(crate) fn kind(block: &Block) -> u8 {
    block[156]
}

/// Whether a block begins an extension (pax `x` and `g`, GNU `L` and `K`) of the entry that follows.
pub(crate) fn is_extension(block: &Block) -> bool {
    matches!(kind(block), b'x' | b'g' | b'L' | b'K')
}

/// The text of a field, if only zeros follow it.
pub(crate) fn text(bytes: &[u8]) -> Option<&[u8]> {
    let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    bytes[len..].iter().all(|&byte| byte == 0).then_some(&bytes[..len])
}

/// Octal digits at the start of a field, if only zeros and spaces follow them: how many, and what
/// they say.
fn digits(bytes: &[u8]) -> Option<(usize, u64)> {
    let count = bytes.iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let ends = bytes[count..].iter().all(|byte| matches!(byte, 0 | b' '));
    let value = bytes[..count].iter().fold(0, |value, digit| value << 3 | u64::from(digit - b'0'));
    (count > 0 && ends).then_some((count, value))
}

/// The number in a field of octal digits.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    digits(bytes).map(|(_, value)| value)
}

/// A number written as a field like `model` writes its own; none if it does not fit.
pub(crate) fn write_number(model: &[u8], value: u64) -> Option<Vec<u8>> {
    let (count, _) = digits(model)?;
    let written = format!("{value:0count$o}");
    let fits = written.len() == count;
    fits.then(|| [written.as_bytes(), &model[count..]].concat())
}

/// The number in a field of octal digits or, with the high bit set, of base 256 (a GNU extension).
pub(crate) fn wide_number(bytes: &[u8]) -> Option<u64> {
    match bytes.split_first() {
        Some((0x80, rest)) => {
            let (high, low) = rest.split_at(rest.len().saturating_sub(8));
            let value = low.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
            high.iter().all(|byte| *byte == 0).then_some(value)
        }
        _ => number(bytes),
    }
}

/// The checksum of a block as its field would say it.
pub(crate) fn checksum(block: &Block) -> u64 {
    let all: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = FIELDS[CHECKSUM].of(block).iter().map(|byte| u64::from(*byte)).sum();
    all - own + 8 * u64::from(b' ')
}

/// A block to begin with where there is none to resemble: a plain file of root.
pub(crate) fn blank() -> Block {
    let mut block = [0; BLOCK];
    for (place, bytes) in [
        (MTIME, &b"00000000000"[..]),
        (SIZE, b"00000000000"),
        (4, b"0000644"),
        (5, b"0000000"),
        (6, b"0000000"),
        (CHECKSUM, b"000000\0 "),
        (11, b"0000000"),
        (12, b"0000000"),
        (13, b"ustar\x0000"),
        (15, b"0"),
    ] {
        FIELDS[place].set(&mut block, bytes);
    }
    block
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_fill_the_block_once() {
        let mut seen = [0; BLOCK];
        for field in FIELDS {
            seen[field.start..field.start + field.len].iter_mut().for_each(|count| *count += 1);
        }
        assert_eq!(seen, [1; BLOCK]);
    }

    #[test]
    fn numbers_are_written_like_their_model() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"000644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0"), None);
        assert_eq!(number(b" 644\0"), None);
        assert_eq!(number(b"64a\0"), None);
        assert_eq!(write_number(b"000644 \0", 0o755).unwrap(), b"000755 \0");
        assert_eq!(write_number(b"7\0", 8), None);
        assert_eq!(wide_number(b"\x80\0\0\x02\0\0\0\0\0\0\x01\x02"), None);
        assert_eq!(wide_number(b"\x80\0\0\0\0\0\0\x02\0\0\x01\x02"), Some(0x2_0000_0102));
    }

    #[test]
    fn text_ends_with_zeros() {
        assert_eq!(text(b"ab\0\0"), Some(&b"ab"[..]));
        assert_eq!(text(b"abcd"), Some(&b"abcd"[..]));
        assert_eq!(text(b"a\0b\0"), None);
    }

    #[test]
    fn the_checksum_is_that_of_tar() {
        let mut header = tar::Header::new_ustar();
        header.set_path("usr/bin/x").unwrap();
        header.set_size(77);
        header.set_cksum();
        let block: Block = *header.as_bytes();
        assert_eq!(checksum(&block), u64::from(header.cksum().unwrap()));
        assert_eq!(number(FIELDS[CHECKSUM].of(&block)), Some(checksum(&block)));
    }
}
