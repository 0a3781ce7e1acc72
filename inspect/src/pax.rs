//! Records of pax extended headers: `LENGTH KEY=VALUE\n` (POSIX.1-2017, pax, "pax Extended Header").

/// Key and value of the first record, and what follows it; none if there is no well-formed one.
///
/// The length is decimal, of at most nine digits, and counts the whole record.
pub fn split_record(content: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = content.iter().position(|b| *b == b' ').filter(|n| (1..=9).contains(n))?;
    let len: usize = std::str::from_utf8(&content[..digits]).ok()?.parse().ok()?;
    let (record, after) = content.split_at_checked(len)?;
    let record = record.get(digits + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    Some((&record[..equals], &record[equals + 1..], after))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_length() {
        let (key, value, after) = split_record(b"18 path=with\nline\n11 size=12\n").unwrap();
        assert_eq!((key, value), (&b"path"[..], &b"with\nline"[..]));
        assert_eq!(split_record(after), Some((&b"size"[..], &b"12"[..], &b""[..])));
    }

    #[test]
    fn what_is_no_record() {
        for bad in [
            &b""[..],
            b"x path=a\n",
            b"99 path=a\n",
            b"0 path=a\n",
            b"9 path=ab",
            b"7 path\n",
            b"3 \n",
            b"9999999999 a=b\n",
            b"99999999999999999999 a=b\n",
        ] {
            assert_eq!(split_record(bad), None, "{bad:?}");
        }
    }
}
