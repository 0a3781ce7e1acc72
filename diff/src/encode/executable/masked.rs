//! What of an executable is compared first: all but the addresses that its code uses. And what is compared then: all but the
//! tables that are made otherwise.

use std::borrow::Cow;
use std::io;
use std::ops::Range;

use rayon::prelude::*;

use super::cut::Cuts;
use super::file::File;
use super::model;
use crate::matching::Target;
use crate::program::{Params, STRETCH};

/// Bytes that one thread handles at a time: whole stretches.
const PART: usize = 4 << 20;

/// A file as it is compared, read in parts.
#[derive(Debug)]
pub(super) struct Compared<'a> {
    pub(super) file: File<'a>,
    /// Ranges that are left out.
    pub(super) cuts: &'a Cuts,
    /// The model of it against itself, if addresses are masked.
    pub(super) mask: Option<&'a Params>,
}

impl Target for Compared<'_> {
    type Error = io::Error;

    fn len(&self) -> usize {
        self.cuts.len_without(self.file.len() as usize)
    }

    fn part(&self, range: Range<usize>) -> io::Result<Cow<'_, [u8]>> {
        let mut bytes = Vec::with_capacity(range.len());
        for piece in self.cuts.pieces(&range) {
            match self.mask {
                None => bytes.append(&mut self.file.read(piece.start as u64..piece.end as u64)?),
                Some(params) => {
                    // Masks are the same wherever a part begins.
                    let first = piece.start / STRETCH * STRETCH;
                    let end = (piece.end.next_multiple_of(STRETCH)).min(self.file.len() as usize);
                    let mut wide = self.file.read(first as u64..end as u64)?;
                    mask(params, self.file, first, &mut wide)?;
                    bytes.extend_from_slice(&wide[piece.start - first..piece.end - first]);
                }
            }
        }
        Ok(Cow::Owned(bytes))
    }
}

/// A whole file without the addresses that its code uses, and without tables.
pub(super) fn masked(params: &Params, file: File<'_>, tables: &Cuts) -> io::Result<Vec<u8>> {
    let mut bytes = file.whole()?;
    let parts = bytes.par_chunks_mut(PART).enumerate();
    parts.try_for_each(|(number, part)| mask(params, file, number * PART, part))?;
    Ok(tables.without(bytes))
}

/// Masks the addresses in bytes that stand at `from` of a file, the start of a stretch.
fn mask(params: &Params, file: File<'_>, from: usize, bytes: &mut [u8]) -> io::Result<()> {
    let mut executable = model(params, std::iter::empty());
    let mut read = file.reader();
    for (number, stretch) in bytes.chunks_mut(STRETCH).enumerate() {
        let at = (from + number * STRETCH) as u64;
        executable.look(at, at, stretch, &mut read).map_err(io::Error::other)?;
        executable.mask(stretch);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::elf::Elf;
    use super::super::params;
    use super::super::tests::program;
    use super::*;

    #[test]
    fn a_part_is_masked_as_the_whole() {
        let bytes = program(5000, |_| false);
        let elf = Elf::parse(&bytes).unwrap();
        let params = params(&elf, &elf, bytes.len(), bytes.len()).unwrap();
        let file = File::new(&bytes, 0, bytes.len() as u64);
        let whole = masked(&params, file, &Cuts::default()).unwrap();
        let changed = whole.iter().zip(&bytes).filter(|(masked, byte)| masked != byte);
        assert!(changed.count() > 5000 * 5 * 2);
        let cuts = Cuts(vec![5000..5100, 70_000..90_000]);
        let whole = masked(&params, file, &cuts).unwrap();
        let compared = Compared { file, cuts: &cuts, mask: Some(&params) };
        assert_eq!(compared.len(), whole.len());
        for range in [0..whole.len(), 4900..70_000, 65_500..65_600, 150_001..150_001] {
            assert_eq!(*compared.part(range.clone()).unwrap(), whole[range]);
        }
        let compared = Compared { mask: None, ..compared };
        assert_eq!(
            *compared.part(4900..5100).unwrap(),
            [&bytes[4900..5000], &bytes[5100..5200]].concat()
        );
    }
}
