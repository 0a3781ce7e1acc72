//! Which encoders a stream may be by.

use super::{GoRelease, KlauspostRelease, Known, MAX_BLOCK, MIN_PIGZ_BLOCK};
use crate::encoding::zlib::ZlibParams;

/// Blocks that pgzip has had: since 1.2.2, before, and in 1.0.
const PGZIP_BLOCKS: [u64; 3] = [1 << 20, 256 << 10, 250_000];
/// pigz's block, if it is told nothing.
const PIGZ_BLOCK: u64 = 128 << 10;
/// klauspost's releases, the usual ones first.
const BY_USE: [KlauspostRelease; 10] = [
    KlauspostRelease::V1_15_11,
    KlauspostRelease::V1_18_1,
    KlauspostRelease::V1_18_0,
    KlauspostRelease::V1_12_3,
    KlauspostRelease::V1_10_2,
    KlauspostRelease::V1_14_0,
    KlauspostRelease::V1_15_0,
    KlauspostRelease::V1_14_3,
    KlauspostRelease::V1_15_10,
    KlauspostRelease::V1_12_2,
];

/// What a gzip member tells of its encoder at a look.
#[derive(Debug, Clone, Default)]
pub(in crate::encoding) struct Signs {
    /// Its header.
    pub(in crate::encoding) header: Vec<u8>,
    /// The last bytes of its deflate stream, some ten.
    pub(in crate::encoding) end: Vec<u8>,
    /// Bytes of its text.
    pub(in crate::encoding) plain_len: u64,
    /// Where in the text the first empty block stands that is not the last, which is what a flush leaves.
    pub(in crate::encoding) flushed_at: Option<u64>,
    /// Whether the first block with codes of its own declares all codes.
    pub(in crate::encoding) full_header: Option<bool>,
}

impl Signs {
    /// klauspost writes Go's zero time cut to 32 bits.
    pub(in crate::encoding) fn is_klauspost(&self) -> bool {
        matches!(self.header.get(4..8), Some([0, 9, 0x6e, 0x88]))
    }

    /// RFC 1952, 2.3.1: OS 255 is unknown, which Go writes.
    pub(in crate::encoding) fn is_go(&self) -> bool {
        !self.is_klauspost() && self.header.get(9) == Some(&0xff)
    }

    /// RFC 1952, 2.3.1: OS 3, which pigz writes.
    fn is_unix(&self) -> bool {
        self.header.get(9) == Some(&3)
    }

    /// Go's encoder up to 1.26 ends with an empty stored block.
    fn ends_stored(&self) -> bool {
        self.end.is_empty() || self.end.ends_with(&[0, 0, 0xff, 0xff])
    }

    /// It was flushed before it was closed.
    fn ends_flushed(&self) -> bool {
        let flushed = [0, 0, 0xff, 0xff];
        let before = self.end.strip_suffix(&[1, 0, 0, 0xff, 0xff]);
        before.or(self.end.strip_suffix(&[3, 0])).is_some_and(|before| before.ends_with(&flushed))
    }

    /// The likely level: XFL 2 is the strongest, 4 the fastest (RFC 1952, 2.3.1).
    fn level(&self) -> i8 {
        match self.header.get(8) {
            Some(2) => 9,
            Some(4) => 1,
            _ => 6,
        }
    }

    /// Blocks that pgzip may have had; none: one piece.
    fn pgzip_blocks(&self) -> Vec<Option<u64>> {
        match self.flushed_at {
            None => vec![None],
            Some(at) if at > 0 && at < self.plain_len && at <= MAX_BLOCK => vec![Some(at), None],
            Some(_) => PGZIP_BLOCKS.into_iter().map(Some).chain([None]).collect(),
        }
    }

    /// Blocks that pigz may have had. A block that happens to end at a whole byte has no mark.
    fn pigz_blocks(&self) -> Vec<u64> {
        let Some(at) = self.flushed_at else { return Vec::new() };
        let usual = Some(PIGZ_BLOCK).filter(|block| at.is_multiple_of(*block));
        let own = Some(at).filter(|at| *at != PIGZ_BLOCK);
        let blocks = usual.into_iter().chain(own);
        blocks.filter(|block| (MIN_PIGZ_BLOCK..=MAX_BLOCK).contains(block)).collect()
    }
}

fn levels(first: i8) -> impl Iterator<Item = i8> {
    let others = [6, 5, 9, 1, 7, 8, 4, 3, 2, 0, -2];
    std::iter::once(first).chain(others.into_iter().filter(move |level| *level != first))
}

impl Known {
    /// What may have written a gzip member with these signs, likely ones first.
    pub(in crate::encoding) fn candidates(signs: &Signs) -> Vec<Self> {
        let (zlib, go, klauspost) = (zlib(signs), go(signs), klauspost(signs));
        if signs.is_klauspost() {
            [klauspost, go, zlib].concat()
        } else if signs.is_go() {
            [go, zlib, klauspost].concat()
        } else {
            [zlib, go, klauspost].concat()
        }
    }

    /// The encoder and its level, whatever the release.
    pub(in crate::encoding) fn kind(&self) -> (&'static str, i8, u64) {
        match *self {
            Self::Zlib(ZlibParams { level, .. }) => ("zlib", level.cast_signed(), 0),
            Self::Go { level, .. } => ("go", level, 0),
            Self::Klauspost { level, block, .. } => ("klauspost", level, block.unwrap_or(0)),
            Self::Pigz { level, block, .. } => ("pigz", level.cast_signed(), block),
            Self::Gnu { level } => ("gnu", level.cast_signed(), 0),
        }
    }
}

fn zlib(signs: &Signs) -> Vec<Known> {
    let levels: Vec<u8> =
        levels(signs.level()).filter_map(|level| u8::try_from(level).ok()).collect();
    let pigz = |block| {
        let levels = levels.iter().filter(|level| **level > 0);
        let both =
            move |&level| [false, true].map(|one_thread| Known::Pigz { level, block, one_thread });
        levels.flat_map(both)
    };
    let mut all: Vec<_> = signs.pigz_blocks().into_iter().flat_map(pigz).collect();
    let stored = signs.ends_stored() && !signs.end.is_empty();
    let zlib = |level, mem_level| Known::Zlib(ZlibParams { level, mem_level });
    for &level in &levels {
        // They end with a stored block without bytes at level 0 alone.
        if level == 0 || !stored {
            all.push(zlib(level, 8));
        }
        if level > 0 && !stored {
            all.push(Known::Gnu { level });
        }
    }
    let possible = levels.iter().filter(|level| **level == 0 || !stored);
    all.extend(possible.map(|&level| zlib(level, 9)));
    // The few blocks of a short text may all have ended at whole bytes.
    if signs.flushed_at.is_none() && signs.plain_len > PIGZ_BLOCK && signs.is_unix() {
        all.extend(pigz(PIGZ_BLOCK));
    }
    all
}

fn go(signs: &Signs) -> Vec<Known> {
    let flush = signs.ends_flushed();
    let release =
        |release| levels(signs.level()).map(move |level| Known::Go { release, level, flush });
    let old = signs.ends_stored().then(|| release(GoRelease::V1_16));
    let new = (signs.end.is_empty() || !signs.ends_stored()).then(|| release(GoRelease::V1_27));
    old.into_iter().flatten().chain(new.into_iter().flatten()).collect()
}

fn klauspost(signs: &Signs) -> Vec<Known> {
    if !signs.end.is_empty() && signs.ends_stored() {
        return Vec::new();
    }
    let usual = if signs.level() == 6 { 5 } else { signs.level() };
    let newest = |release: &KlauspostRelease| *release == KlauspostRelease::V1_18_1;
    let mut releases = BY_USE.to_vec();
    match signs.full_header {
        Some(true) => releases.sort_by_key(newest),
        // The one block of a short text is exact in all releases.
        Some(false) if signs.plain_len > 1 << 17 => {
            releases.sort_by_key(|release| !newest(release))
        }
        _ => {}
    }
    let mut all = Vec::new();
    for block in signs.pgzip_blocks() {
        for level in levels(usual) {
            let known = releases.iter().filter(|release| release.has(level));
            all.extend(known.map(|&release| Known::Klauspost { release, level, block }));
        }
    }
    all
}
