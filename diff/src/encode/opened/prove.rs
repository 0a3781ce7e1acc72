//! Which encoder made a deflate stream: found by running it.

use dd_extract::encoding::stream::{GoRelease, KlauspostRelease, Known};
use dd_extract::encoding::zlib::ZlibParams;

use crate::program::encoding_of;

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

/// What the container tells of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// Nothing.
    None,
    /// A section of an ELF file: Go's linker has its level 1, others have zlib's level 6.
    Section,
    /// The fields of a gzip header (RFC 1952, 2.3.1): XFL, and OS.
    Gzip {
        /// 2: the strongest level; 4: the fastest.
        flags: u8,
        /// 3: Unix; 255: unknown, which Go and Python write.
        system: u8,
    },
}

/// Levels, those first that are used most.
const LEVELS: [u8; 9] = [6, 9, 1, 5, 8, 7, 4, 3, 2];
/// OS 255.
const UNKNOWN: u8 = 255;
/// Releases of klauspost/compress that are tried: those of the last years.
const KLAUSPOST: [KlauspostRelease; 3] =
    [KlauspostRelease::V1_15_11, KlauspostRelease::V1_18_1, KlauspostRelease::V1_18_0];

impl Hint {
    /// The hint of a gzip header.
    pub(super) fn of_gzip(header: &[u8]) -> Self {
        match *header {
            [_, _, _, _, _, _, _, _, flags, system, ..] => Self::Gzip { flags, system },
            _ => Self::None,
        }
    }

    /// The likely level, and the others.
    fn levels(self) -> impl Iterator<Item = u8> {
        let first = match self {
            Self::Gzip { flags: 2, .. } => 9,
            Self::Gzip { flags: 4, .. } => 1,
            _ => 6,
        };
        std::iter::once(first).chain(LEVELS.into_iter().filter(move |level| *level != first))
    }

    /// What may have written a stream, likely ones first. zlib's memLevel is 8, which is its default, or 9.
    fn candidates(self) -> Vec<Known> {
        let zlib = |level, mem_level| Known::Zlib(ZlibParams { level, mem_level });
        let go = |level: u8| {
            let level = level.cast_signed();
            let release = |release| Known::Go { release, level, flush: false };
            [release(GoRelease::V1_16), release(GoRelease::V1_27)]
        };
        let of_level = |level| match self {
            Self::Gzip { system: UNKNOWN, .. } => {
                [&[zlib(level, 8)], &go(level)[..], &[zlib(level, 9)]].concat()
            }
            Self::Gzip { .. } => vec![Known::Gnu { level }, zlib(level, 8), zlib(level, 9)],
            Self::None | Self::Section => vec![zlib(level, 8)],
        };
        let mut all: Vec<Known> = match self {
            Self::Section => go(1).into(),
            _ => Vec::new(),
        };
        all.extend(self.levels().flat_map(of_level));
        match self {
            // Go's archive/zip has level 5, Info-ZIP is a relative of GNU gzip.
            Self::None => {
                all.extend(LEVELS.map(|level| zlib(level, 9)));
                all.extend(go(5));
                all.extend([6, 9].map(|level| Known::Gnu { level }));
            }
            Self::Gzip { system: UNKNOWN, .. } => {
                let known = |(level, release)| Known::Klauspost { release, level, block: None };
                let levels = [5, 6, 9, 1].into_iter();
                all.extend(
                    levels.flat_map(|level| KLAUSPOST.map(|release| known((level, release)))),
                );
            }
            Self::Gzip { .. } | Self::Section => {}
        }
        all
    }
}

/// The first encoder that makes `coded` from `plain`.
pub(super) fn coder(plain: &[u8], coded: &[u8], hint: Hint) -> Option<Coder> {
    let known = hint.candidates().into_iter().find(|known| makes(known, plain, coded))?;
    let (encoding, params) = encoding_of(&known)?;
    Some(Coder { encoding, params, exact: Vec::new() })
}

/// Whether an encoder makes `coded` from `plain`; stops at the first difference.
fn makes(known: &Known, plain: &[u8], coded: &[u8]) -> bool {
    let Ok(mut writer) = known.writer_here() else { return false };
    let (mut out, mut at) = (Vec::new(), 0);
    let agrees = |out: &mut Vec<u8>, at: &mut usize| {
        let same = coded.get(*at..*at + out.len()) == Some(&out[..]);
        *at += out.len();
        out.clear();
        same
    };
    for piece in plain.chunks(PIECE_LEN) {
        if writer.write(piece, &mut out).is_err() || !agrees(&mut out, &mut at) {
            return false;
        }
    }
    writer.finish(&mut out).is_ok() && agrees(&mut out, &mut at) && at == coded.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::encode::opened::samples::{deflated, text};
    use crate::program::{Encoders, Encodings};

    const UNIX: Hint = Hint::Gzip { flags: 2, system: 3 };
    const GO: Hint = Hint::Gzip { flags: 0, system: UNKNOWN };
    const ALL: [Hint; 4] = [Hint::None, Hint::Section, UNIX, GO];

    /// What a coder makes of a content.
    fn encoded(coder: &Coder, plain: &[u8]) -> Vec<u8> {
        let mut encoder = Encodings.open(coder.encoding, &coder.params, &coder.exact).unwrap();
        let mut out = Vec::new();
        encoder.write(plain, &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn every_level_is_found_or_gives_the_same_bytes() {
        let plain = text(1, 200_000);
        for hint in ALL {
            for known in hint.candidates() {
                let coded = known.encode(&plain).unwrap();
                let found = coder(&plain, &coded, hint).unwrap();
                assert_eq!(encoded(&found, &plain), coded, "{known}");
            }
        }
        let coded = deflated(9, 9, &plain);
        assert_eq!(coder(&plain, &coded, Hint::None).unwrap().params, [9, 9]);
        let coded = Known::Gnu { level: 9 }.encode(&plain).unwrap();
        let found = coder(&plain, &coded, UNIX).unwrap();
        assert_eq!((found.encoding, found.params), (2, vec![9]));
    }

    #[test]
    fn the_header_puts_the_likely_one_first() {
        let gzip = |flags, system| Hint::of_gzip(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, flags, system]);
        assert_eq!(gzip(2, 3), UNIX);
        assert_eq!(UNIX.candidates()[0], Known::Gnu { level: 9 });
        assert_eq!(gzip(4, 3).candidates()[0], Known::Gnu { level: 1 });
        let python = Known::Zlib(ZlibParams { level: 9, mem_level: 8 });
        assert_eq!(gzip(2, 255).candidates()[0], python);
        assert_eq!(Hint::of_gzip(&[0x1f]), Hint::None);
        assert!(matches!(Hint::Section.candidates()[0], Known::Go { level: 1, .. }));
        let all = ALL.map(Hint::candidates);
        assert!(all.iter().flatten().all(|known| encoding_of(known).is_some()));
    }

    #[test]
    fn other_streams_are_of_none() {
        let plain = text(1, 100_000);
        let coded = deflated(6, 8, &plain);
        for hint in ALL {
            assert_eq!(coder(&plain[1..], &coded, hint), None);
            assert_eq!(coder(&plain, &coded[1..], hint), None);
            assert_eq!(coder(&plain, &[&coded[..], &[0]].concat(), hint), None);
            assert_eq!(coder(&plain, &[], hint), None);
        }
    }
}
