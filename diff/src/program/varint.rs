//! Integers: LEB128 of at most ten bytes, shortest form only; signed ones zigzag.

/// Appends an integer, seven bits a byte, lowest first; the high bit says that more follow.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes one integer from a source of bytes, one byte a call.
///
/// The outer result is the source's; the inner one is `None` for a form that [`put`] never writes.
pub fn take<E>(mut next: impl FnMut() -> Result<u8, E>) -> Result<Option<u64>, E> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = next()?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 || shift > 0 && byte == 0 {
            return Ok(None);
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Maps small negative and positive numbers to small unsigned ones: 0, -1, 1, -2 … to 0, 1, 2, 3 ….
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`zigzag`].
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Option<u64> {
        let mut rest = bytes.iter();
        take(|| rest.next().copied().ok_or(())).ok().flatten().filter(|_| rest.len() == 0)
    }

    #[test]
    fn known_bytes() {
        for (value, bytes) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out, bytes);
            assert_eq!(parse(bytes), Some(value));
        }
    }

    #[test]
    fn long_and_cut_forms_are_refused() {
        assert_eq!(parse(&[0x80, 0]), None);
        assert_eq!(parse(&[0x80]), None);
        assert_eq!(parse(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]), None);
        assert_eq!(parse(&[255; 11]), None);
    }

    proptest! {
        #[test]
        fn round_trip(value: u64, signed: i64) {
            let mut out = Vec::new();
            put(&mut out, value);
            prop_assert_eq!(parse(&out), Some(value));
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }
    }
}
