//! Probabilities and what they are stretched to: ln(p / (1 − p)). Both tables are part of the format (docs/delta-format.md,
//! "Mixing").

/// 4096 / (1 + e^(−x / 256)) for x = −2048, −1920 … 2048.
const SQUASHED: [i32; 33] = [
    1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348,
    3607, 3785, 3901, 3975, 4024, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094,
];

/// The probability (of 4096) of a stretched one, −2047 to 2047.
pub(super) const fn squash(stretched: i32) -> i32 {
    if stretched > 2047 {
        return 4095;
    }
    if stretched < -2047 {
        return 1;
    }
    let (part, index) = (stretched & 127, ((stretched >> 7) + 16) as usize);
    (SQUASHED[index] * (128 - part) + SQUASHED[index + 1] * part + 64) >> 7
}

/// [`squash`] of −2048 to 2047.
static SQUASHED_ALL: [i16; 4096] = {
    let mut table = [0; 4096];
    let mut index = 0;
    while index < table.len() {
        table[index] = squash(index as i32 - 2048) as i16;
        index += 1;
    }
    table
};

/// The inverse of [`squash`]: the least value that gives at least so much.
static STRETCHED: [i16; 4096] = {
    let mut table = [2047; 4096];
    let (mut probability, mut value) = (0, -2047);
    while value <= 2047 {
        let reached = squash(value) as usize;
        while probability <= reached {
            table[probability] = value as i16;
            probability += 1;
        }
        value += 1;
    }
    table
};

/// The stretched probability of a slot.
#[inline(always)]
pub(super) fn stretched(slot: u32) -> i16 {
    STRETCHED[(slot >> 20) as usize]
}

/// The probability (of 4096) of a stretched one, kept within −2047 to 2047.
#[inline(always)]
pub(super) fn squashed(stretched: i32) -> i32 {
    i32::from(SQUASHED_ALL[(stretched.clamp(-2047, 2047) + 2048) as usize % 4096])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretching_undoes_squashing() {
        for value in -2047..=2047 {
            let probability = squash(value);
            assert!((1..=4095).contains(&probability));
            let back = i32::from(STRETCHED[probability as usize]);
            assert_eq!(squash(back), probability, "{value}");
        }
        assert!(STRETCHED.is_sorted());
    }
}
