//! Compiled Python code (.pyc) names the time of its source, which as a rule is its own: it is computed from the
//! header of its entry.
//!
//! PEP 552: 4 bytes of magic number, the last two of them CR and LF, 4 of flags, which are 0 where time and size of
//! the source follow, 4 bytes each.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use super::arrange::around;
use super::{Quote, Quoted, stands};
use crate::encode::layer::{File, Layer};
use crate::encode::plan::{From, Piece};
use crate::encode::similar::Found;
use crate::headers;

/// Where the time stands.
const TIME: Range<usize> = 8..12;

/// Bytes of the beginning of such a file.
const LEN: u64 = 16;

/// Seconds between the source and the compiled code at most.
const APART: u64 = 1 << 16;

/// What was found of pieces, with times computed that are not those of the base.
///
/// # Errors
/// What reading the layers fails with.
pub(super) fn times(
    target: &Layer,
    bases: &[Layer],
    entries: usize,
    pieces: &[Piece],
    found: Vec<(usize, Found)>,
) -> io::Result<Vec<(usize, Found)>> {
    let mut found: BTreeMap<usize, Found> = found.into_iter().collect();
    for (number, pair) in (1..).zip(pieces.windows(2)) {
        let [Piece::Header { .. }, Piece::Content { file, from }] = *pair else { continue };
        let Some(file) = target.files.get(file as usize).filter(|_| (file as usize) < entries)
        else {
            continue;
        };
        let Some(time) = time(target, file)? else { continue };
        let offset = file.content_offset + TIME.start as u64;
        if let (From::Relative(place), Some(found)) = (from, found.get(&number))
            && let Some(base) = bases.get(place.layer as usize)
            && stands(base, &found.covers, offset, &time)?
        {
            continue;
        }
        if !matches!(from, From::Twin(_)) {
            let quote = Quote { offset, len: TIME.len() as u64, of: Quoted::Mtime };
            let found = found.entry(number).or_default();
            if found.model.is_none() && found.quotes.is_empty() {
                found.quotes.push(quote);
                found.covers = around(&found.covers, &found.quotes);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// The time in compiled code, if it is about that of its entry.
fn time(target: &Layer, file: &File) -> io::Result<Option<[u8; 4]>> {
    if file.size < LEN || file.content_offset < headers::LEN {
        return Ok(None);
    }
    let start = target.read(file.content_offset, LEN)?;
    let (Some(&[_, _, b'\r', b'\n', 0, 0, 0, 0]), Some(&[a, b, c, d])) =
        (start.first_chunk(), start.get(TIME))
    else {
        return Ok(None);
    };
    let time = [a, b, c, d];
    let header = target.read(file.content_offset - headers::LEN, headers::LEN)?;
    let own = headers::mtime(&header).map(|own| own.abs_diff(u64::from(u32::from_le_bytes(time))));
    Ok(own.filter(|apart| *apart <= APART).map(|_| time))
}

#[cfg(test)]
mod tests {
    use crate::encode::Encoded;
    use crate::encode::tests::{encoded, noise, tar};
    use crate::program::ids::generator;

    /// Compiled code of 50 files, with these flags, whose sources are `apart` seconds older than it.
    fn compiled(time: u64, flags: u8, apart: u64) -> Vec<u8> {
        let files: Vec<(String, Vec<u8>, u64)> = (0..50)
            .map(|number| {
                let time = time + number * number * 7919 % 100_000;
                let source = ((time - apart) as u32).to_le_bytes();
                let start = [&[0xa7, 13, b'\r', b'\n', flags, 0, 0, 0][..], &source, &[9, 1, 0, 0]];
                let content = [&start.concat(), &noise(number, 300)[..]].concat();
                (format!("__pycache__/f{number}.pyc"), content, time)
            })
            .collect();
        let parts: Vec<_> = files.iter().map(|(n, c, t)| (n.as_str(), &c[..], *t)).collect();
        tar(&parts)
    }

    fn versions(flags: u8, apart: u64) -> (u64, Encoded) {
        encoded(compiled(1_717_200_000, flags, apart), &[compiled(1_701_388_800, flags, apart)])
    }

    fn has_times(encoded: &Encoded) -> bool {
        encoded.summary.head.ids.contains(&(2, generator::MTIME))
    }

    #[test]
    fn the_time_of_the_source_is_computed() {
        for apart in [0, 3] {
            let (len, encoded) = versions(0, apart);
            assert!(has_times(&encoded) && len < 270, "{len}");
        }
    }

    #[test]
    fn other_times_and_kinds_are_differences() {
        assert!(!has_times(&versions(0, 100_000).1));
        assert!(!has_times(&versions(1, 0).1));
    }

    #[test]
    fn times_that_did_not_change_are_copied() {
        let (old, mut new) = (compiled(1_701_388_800, 0, 0), compiled(1_701_388_800, 0, 0));
        new[600] ^= 1;
        assert!(!has_times(&encoded(new, &[old]).1));
    }
}
