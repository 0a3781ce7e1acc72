//! Which encoder made a deflate stream: found by running it.

use dd_extract::encoding::zlib::{Deflater, ZlibParams};

use crate::program::ids;

/// Plain bytes that an encoder is given at a time.
const PIECE_LEN: usize = 64 << 10;

/// How a member's bytes are made again from its content: an encoding of the delta program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coder {
    /// Its id.
    pub encoding: u64,
    /// Its parameters.
    pub params: Vec<u8>,
    /// What it takes beside them.
    pub exact: Vec<u8>,
}

/// zlib's levels and memLevels, those first that are used most: most programs set level 6 or 9 and memLevel
/// 8, GNU gzip's successors memLevel 9.
const ZLIB: [(u8, u8); 18] = [
    (6, 8),
    (9, 9),
    (9, 8),
    (6, 9),
    (1, 8),
    (5, 8),
    (8, 8),
    (7, 8),
    (4, 8),
    (3, 8),
    (2, 8),
    (8, 9),
    (7, 9),
    (5, 9),
    (4, 9),
    (3, 9),
    (2, 9),
    (1, 9),
];

/// The first encoder that makes `coded` from `plain`.
pub(super) fn coder(plain: &[u8], coded: &[u8]) -> Option<Coder> {
    let (level, mem_level) =
        ZLIB.into_iter().find(|&(level, mem_level)| makes(level, mem_level, plain, coded))?;
    Some(Coder { encoding: ids::encoding::ZLIB, params: vec![level, mem_level], exact: Vec::new() })
}

/// Whether zlib makes `coded` from `plain`; stops at the first difference.
fn makes(level: u8, mem_level: u8, plain: &[u8], coded: &[u8]) -> bool {
    let Ok(mut deflater) = Deflater::new(ZlibParams { level, mem_level }) else { return false };
    let (mut out, mut at) = (Vec::new(), 0);
    let agrees = |out: &mut Vec<u8>, at: &mut usize| {
        let same = coded.get(*at..*at + out.len()) == Some(&out[..]);
        *at += out.len();
        out.clear();
        same
    };
    for piece in plain.chunks(PIECE_LEN) {
        if deflater.write(piece, &mut out).is_err() || !agrees(&mut out, &mut at) {
            return false;
        }
    }
    deflater.finish(&mut out).is_ok() && agrees(&mut out, &mut at) && at == coded.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::encode::opened::samples::{deflated, text};

    #[test]
    fn every_level_is_found_or_gives_the_same_bytes() {
        let plain = text(1, 200_000);
        for (level, mem_level) in ZLIB {
            let coded = deflated(level, mem_level, &plain);
            let found = coder(&plain, &coded).unwrap();
            assert_eq!(deflated(found.params[0], found.params[1], &plain), coded);
        }
        let coded = deflated(9, 9, &plain);
        assert_eq!(coder(&plain, &coded).unwrap().params, [9, 9]);
    }

    #[test]
    fn other_streams_are_of_none() {
        let plain = text(1, 100_000);
        let coded = deflated(6, 8, &plain);
        assert_eq!(coder(&plain[1..], &coded), None);
        assert_eq!(coder(&plain, &coded[1..]), None);
        assert_eq!(coder(&plain, &[&coded[..], &[0]].concat()), None);
        assert_eq!(coder(&plain, &[]), None);
    }
}
