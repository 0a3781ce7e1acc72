//! Inputs that reach every kind of block, made from integers only.

const KINDS: [&str; 5] = ["zeros", "noise", "words", "records", "far"];
/// About the borders of searches, blocks and windows.
const LENGTHS: [usize; 13] =
    [0, 1, 17, 33, 128, 1000, 32_767, 32_769, 65_535, 65_536, 65_791, 131_073, 300_000];
const LONG: [(&str, usize); 2] = [("words", 1_048_576), ("records", 1_048_577)];

/// Lengths of windows and blocks, and how far from them every length is tried.
const BORDERS: [(usize, usize); 5] =
    [(32 << 10, 8), ((64 << 10) - 1, 8), (128 << 10, 8), (256 << 10, 8), (1 << 20, 2)];
/// What zlib and GNU gzip want to see ahead (MIN_LOOKAHEAD).
const AHEAD: usize = 262;

/// The names of all inputs.
#[allow(dead_code)]
pub fn names() -> Vec<String> {
    let short = KINDS.into_iter().flat_map(|kind| LENGTHS.map(|len| (kind, len)));
    short.chain(LONG).map(|(kind, len)| format!("{kind}-{len}")).collect()
}

/// The names of inputs of every length near a border, up to a length.
#[allow(dead_code)]
pub fn borders(max: usize) -> Vec<String> {
    let near = |(border, reach)| {
        let ahead = [AHEAD - 1, AHEAD, AHEAD + 1].map(|ahead| border - ahead);
        (border - reach..=border + reach).chain(ahead)
    };
    let lengths = BORDERS.into_iter().filter(|(border, _)| *border <= max).flat_map(near);
    lengths.flat_map(|len| KINDS.map(|kind| format!("{kind}-{len}"))).collect()
}

/// The input with this name, its kind and its length; inputs of one kind begin with the same bytes.
pub fn input(name: &str) -> Vec<u8> {
    let (kind, len) = name.rsplit_once('-').unwrap_or((name, "0"));
    let len = len.parse().unwrap_or(0);
    let mut state = 1u64;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let mut text: Vec<u8> = Vec::with_capacity(len + 400);
    while text.len() < len {
        match kind {
            "zeros" => text.push(0),
            "noise" => text.push((next() >> 8) as u8),
            "words" => {
                let word = next() % 4096;
                text.extend((0..2 + word % 7).map(|i| b'a' + ((word >> (i % 5)) % 23) as u8));
                text.push(if word.is_multiple_of(11) { b'\n' } else { b' ' });
            }
            "records" => {
                let id = text.len() as u32 / 24;
                text.extend(id.to_le_bytes());
                text.extend((next() % 50).to_le_bytes());
                text.extend([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
                text.extend(u64::from(next() % 3).to_le_bytes());
            }
            // Repeats at all distances, also some that are out of reach, and runs.
            _ => match next() % 6 {
                0 => {
                    for _ in 0..next() % 60 {
                        text.push((next() >> 8) as u8);
                    }
                }
                1 => {
                    let (byte, count) = (next() as u8, next() % 700);
                    text.extend((0..count).map(|_| byte));
                }
                _ if text.len() > 64 => {
                    let reach = text.len().min(40_000) as u32;
                    let from = text.len() - 1 - (next() % reach) as usize;
                    let count = 3 + (next() % 320) as usize;
                    for i in 0..count {
                        text.push(text[from + i]);
                    }
                    text.push(next() as u8);
                }
                _ => text.push(next() as u8),
            },
        }
    }
    text.truncate(len);
    text
}
