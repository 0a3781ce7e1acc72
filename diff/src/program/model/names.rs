//! What changes in the names of symbols from one build to the next: hashes and numbers.

/// Fields of a name that are looked at.
const MOST: usize = 16;
/// Digits from which on a number is as good as a hash.
const LARGE: usize = 10;

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// 16 or 32 hexadecimal digits.
    Hash,
    /// A decimal number of at least [`LARGE`] digits.
    Large,
    /// A smaller one.
    Number,
}

/// A part of a name that may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) at: usize,
    pub(crate) len: usize,
    pub(crate) text: Text,
}

impl Field {
    /// Its bytes in a name.
    pub(crate) fn of<'a>(&self, name: &'a [u8]) -> &'a [u8] {
        name.get(self.at..self.at + self.len).unwrap_or_default()
    }
}

/// The fields of a name, ascending, without overlap.
pub(crate) fn fields(name: &[u8]) -> Vec<Field> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < name.len() && found.len() < MOST {
        let run = name.iter().skip(at).take_while(|byte| is_hex(**byte)).count();
        if run == 0 {
            at += 1;
            continue;
        }
        found.extend(field(name, at, run));
        at += run;
    }
    found
}

/// The field in `len` hexadecimal digits, before and behind which others stand.
fn field(name: &[u8], at: usize, len: usize) -> Option<Field> {
    if len == 16 || len == 32 {
        return Some(Field { at, len, text: Text::Hash });
    }
    let end = at + len;
    let run = name.get(at..end)?;
    let digits = run.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let dot = |place: Option<usize>| place.and_then(|place| name.get(place)) == Some(&b'.');
    let between = digits == len && dot(at.checked_sub(1)) && dot(Some(end));
    if digits == 0 || !(between || end == name.len()) {
        return None;
    }
    let field = Field { at: end - digits, len: digits, text: Text::Number };
    let (first, value) = (field.of(name).first(), number(field.of(name)));
    if value.is_none() || first == Some(&b'0') && digits > 1 {
        return None;
    }
    let text = if digits >= LARGE { Text::Large } else { Text::Number };
    Some(Field { text, ..field })
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// The number in decimal digits, if it is below 2^64.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0')))
    })
}

/// The digits of bytes, the high ones first.
pub(crate) fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of an even number of digits.
#[cfg(feature = "encode")]
pub(crate) fn packed(digits: &[u8]) -> Vec<u8> {
    let value = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
    digits.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect()
}

/// A number for bytes: FNV-1a of 64 bits.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(name: &str) -> Vec<(&str, Text)> {
        let of = |field: Field| (&name[field.at..field.at + field.len], field.text);
        fields(name.as_bytes()).into_iter().map(of).collect()
    }

    #[test]
    fn hashes_and_numbers_are_fields() {
        let (hash, number) = (Text::Hash, Text::Number);
        assert_eq!(
            found("_ZN4core3ptr58drop17hf59e853f8d6c0634E.llvm.12"),
            [("f59e853f8d6c0634", hash), ("12", number)]
        );
        let anon = "anon.50224ec23fd0ad7756e3423f609142c8.172.llvm.3799923998891517879";
        assert_eq!(
            found(anon),
            [
                ("50224ec23fd0ad7756e3423f609142c8", hash),
                ("172", number),
                ("3799923998891517879", Text::Large)
            ]
        );
        assert_eq!(found("GCC_except_table94"), [("94", number)]);
        assert_eq!(found("a.d262c8209090184e-cgu.0"), [("d262c8209090184e", hash), ("0", number)]);
        for none in ["", "a.d262c820909018-cgu.08", "x12y", "1.2x", "9.99999999999999999999"] {
            assert!(found(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn digits_come_back() {
        assert_eq!(hex(&packed(b"09af")), b"09af");
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(digest(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
