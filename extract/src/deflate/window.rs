//! Text in buffers of a fixed length, read by masked places: no place is out of bounds, and none needs a comparison.
//!
//! A buffer has a power of two bytes and at least eight more. A place is taken modulo that power; what stands behind the text is
//! whatever was there, so whoever reads beyond the text does not let it count.

/// A boxed array of this value, made on the heap.
pub(crate) fn boxed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
    match vec![value; N].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("it has this length"),
    }
}

/// What a place is masked with in a buffer of that length: the greatest power of two below it, less one.
const fn mask(len: usize) -> usize {
    len.next_power_of_two() / 2 - 1
}

/// Four bytes from a place on.
#[inline(always)]
pub(crate) fn load32<const N: usize>(text: &[u8; N], at: usize) -> u32 {
    load64(text, at) as u32
}

/// Eight bytes from a place on.
#[inline(always)]
pub(crate) fn load64<const N: usize>(text: &[u8; N], at: usize) -> u64 {
    let at = at & const { mask(N) };
    match text[at..].first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    }
}

/// How many bytes are the same from two places on, at most `most`.
#[inline(always)]
pub(crate) fn common<const N: usize>(text: &[u8; N], a: usize, b: usize, most: usize) -> usize {
    let mut n = 0;
    while n < most {
        let difference = load64(text, a + n) ^ load64(text, b + n);
        if difference != 0 {
            return most.min(n + difference.trailing_zeros() as usize / 8);
        }
        n += 8;
    }
    most
}

/// How many bytes are the same before two places, at most `most`.
#[inline(always)]
pub(crate) fn common_before<const N: usize>(
    text: &[u8; N],
    a: usize,
    b: usize,
    most: usize,
) -> usize {
    let byte = |at: usize| text[at & const { mask(N) }];
    (1..=most).take_while(|n| byte(a - n) == byte(b - n)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_masked() {
        let mut text = boxed::<u8, { 64 + 8 }>(0);
        (0..72).for_each(|at| text[at] = at as u8);
        assert_eq!(load64(&text, 63), u64::from_le_bytes([63, 64, 65, 66, 67, 68, 69, 70]));
        assert_eq!(load32(&text, 64 + 2), u32::from_le_bytes([2, 3, 4, 5]));
    }

    #[test]
    fn common_bytes_are_counted_as_far_as_asked() {
        let mut text = boxed::<u8, { 128 + 8 }>(0);
        for at in 0..100 {
            text[at] = (at % 40) as u8;
        }
        for (a, b, most) in [(0, 40, 60), (3, 43, 9), (0, 40, 8), (1, 41, 0), (5, 45, 55)] {
            assert_eq!(common(&text, a, b, most), most, "{a} {b}");
        }
        assert_eq!(common(&text, 0, 41, 50), 0);
        text[50] = 0;
        assert_eq!((common(&text, 0, 40, 60), common(&text, 2, 42, 60)), (10, 8));
        assert_eq!(common_before(&text, 20, 60, 20), 9);
        assert_eq!(common_before(&text, 20, 60, 4), 4);
        assert_eq!(common_before(&text, 30, 60, 4), 0);
    }
}
