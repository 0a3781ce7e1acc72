//! Which encoders a stream may be by.

use super::{Known, releases};
use crate::encoding::zlib::ZlibParams;

impl Known {
    /// What may have written a gzip file with this header, likely ones first; blocks of pgzip are not looked at.
    ///
    /// RFC 1952, 2.3.1: XFL 2 is the strongest level, 4 the fastest; OS 255 is unknown, which Go writes. klauspost writes
    /// Go's zero time cut to 32 bits.
    pub(in crate::encoding) fn candidates(header: &[u8]) -> Vec<Self> {
        let first = match header.get(8) {
            Some(2) => 9,
            Some(4) => 1,
            _ => 6,
        };
        let levels = |first: i8| {
            std::iter::once(first)
                .chain([6, 5, 9, 1, 7, 8, 4, 3, 2, 0, -2].into_iter().filter(move |l| *l != first))
        };
        let zlib = [8, 9].into_iter().flat_map(|mem_level| {
            let levels = levels(first).filter_map(|level| u8::try_from(level).ok());
            levels.map(move |level| Self::Zlib(ZlibParams { level, mem_level }))
        });
        let go = releases::GO
            .into_iter()
            .flat_map(|(release, _)| levels(first).map(move |level| Self::Go { release, level, flush: false }));
        let usual = if first == 6 { 5 } else { first };
        let klauspost = levels(usual).flat_map(|level| {
            releases::KLAUSPOST.map(|(release, _)| Self::Klauspost { release, level, block: None })
        });
        let (zlib, go, klauspost): (Vec<_>, Vec<_>, Vec<_>) =
            (zlib.collect(), go.collect(), klauspost.collect());
        match (header.get(4..8), header.get(9)) {
            (Some([0, 9, 0x6e, 0x88]), _) => [klauspost, go, zlib].concat(),
            (_, Some(0xff)) => [go, zlib, klauspost].concat(),
            _ => [zlib, go, klauspost].concat(),
        }
    }

    /// A text of this length shows whether an encoder fits; the shortest block of pgzip is no shorter.
    pub(in crate::encoding) fn prefix_len(&self) -> u64 {
        match self {
            Self::Klauspost { .. } => 250_000,
            _ => 1 << 20,
        }
    }

    /// The encoder itself, and for klauspost's the blocks that pgzip had in its time.
    pub(in crate::encoding) fn variants(self) -> Vec<Self> {
        match self {
            Self::Klauspost { release, level, .. } => {
                let blocks = [Some(1 << 20), Some(256 << 10), Some(250_000), None];
                blocks.map(|block| Self::Klauspost { release, level, block }).to_vec()
            }
            other => vec![other],
        }
    }
}
