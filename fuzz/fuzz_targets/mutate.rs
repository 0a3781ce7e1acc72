//! Changes of layers that leave what surrounds them readable: fields of ELF files and words of their sections take values that lie,
//! and the checksums of tar headers are made right behind every change.

use std::ops::Range;

use libfuzzer_sys::fuzzer_mutate;

struct Random(u64);

impl Random {
    /// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014): SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// Changes `data[..size]`, in place or to at most `max` bytes, and says how many there are; layers begin at `head`.
pub fn mutate(data: &mut [u8], size: usize, max: usize, seed: u32, head: usize) -> usize {
    let mut random = Random(seed.into());
    let mut lied = false;
    if random.below(2) == 0 {
        for _ in 0..=random.below(3) {
            lied |= lie(&mut data[..size], &mut random).is_some();
        }
    }
    let size = if lied { size } else { fuzzer_mutate(data, size, max) };
    if let Some((head, layers)) = data[..size].split_at_mut_checked(head) {
        let middle = head.last_chunk().map_or(0, |middle| u32::from_le_bytes(*middle) as usize);
        let (base, target) = layers.split_at_mut(middle % (layers.len() + 1));
        sum(base);
        sum(target);
    }
    size
}

/// Offsets and widths of the fields of the three kinds of headers (System V ABI, "Object Files").
const FILE: [(usize, usize); 11] = [
    (16, 2),
    (18, 2),
    (24, 8),
    (32, 8),
    (40, 8),
    (52, 2),
    (54, 2),
    (56, 2),
    (58, 2),
    (60, 2),
    (62, 2),
];
const SEGMENT: [(usize, usize); 7] = [(0, 4), (4, 4), (8, 8), (16, 8), (32, 8), (40, 8), (48, 8)];
const SECTION: [(usize, usize); 10] =
    [(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 4), (44, 4), (48, 8), (56, 8)];

/// Gives one field of one ELF file a value that it should not have.
fn lie(layers: &mut [u8], random: &mut Random) -> Option<()> {
    let is_start = |at: &usize| layers[*at..].starts_with(b"\x7fELF");
    let starts: Vec<usize> = (0..layers.len()).filter(is_start).collect();
    let start = *starts.get(random.below(starts.len()))?;
    let file = &mut layers[start..];
    // One of the headers of a table: where its offset stands, and its count.
    let mut one_of = |offset: usize, count: usize, len: usize| {
        let number = random.below(get(file, count..count + 2)? as usize);
        get(file, offset..offset + 8)?.checked_add((number * len) as u64)
    };
    let (segment, section) = (one_of(32, 56, 56), one_of(40, 60, 64));
    let (offset, width) = match random.below(8) {
        0 => random.one(&FILE),
        1 => within(segment?, random.one(&SEGMENT))?,
        2..5 => within(section?, random.one(&SECTION))?,
        // A word of what a section holds.
        _ => {
            let header = usize::try_from(section?).ok()?;
            let content = get(file, header.checked_add(24)?..header.checked_add(32)?)?;
            let size = get(file, header + 32..header.checked_add(40)?)?.min(file.len() as u64);
            let width = random.one(&[1, 2, 4, 8]);
            within(content, (random.below(size as usize) & !(width - 1), width))?
        }
    };
    let place = offset..offset.checked_add(width)?;
    let old = get(file, place.clone())?;
    let new = match random.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => file.len() as u64,
        3 => old.wrapping_add(1),
        4 => old.wrapping_sub(1),
        5 => 1 << random.below(64),
        6 => old ^ (1 << random.below(8 * width)),
        _ => random.below(file.len()) as u64,
    };
    file[place].copy_from_slice(&new.to_le_bytes()[..width]);
    Some(())
}

/// A field behind an offset.
fn within(offset: u64, (field, width): (usize, usize)) -> Option<(usize, usize)> {
    Some((usize::try_from(offset).ok()?.checked_add(field)?, width))
}

/// A number of at most eight bytes.
fn get(file: &[u8], place: Range<usize>) -> Option<u64> {
    let bytes = file.get(place)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Makes the checksums of a layer's headers right, up to the first block that is none (POSIX pax, "ustar Interchange Format").
fn sum(layer: &mut [u8]) {
    let mut rest = layer;
    while let Some((header, files)) = rest.split_at_mut_checked(512) {
        if !header[257..].starts_with(b"ustar") {
            return;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = header[124..136].iter().take_while(|byte| (b'0'..b'8').contains(*byte));
        let size = digits.fold(0usize, |size, digit| size << 3 | usize::from(digit - b'0'));
        let Some((_, next)) = files.split_at_mut_checked(size.next_multiple_of(512)) else {
            return;
        };
        rest = next;
    }
}
