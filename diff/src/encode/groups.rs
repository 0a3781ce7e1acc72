//! Chooses which contents of the bases help to code literals.
//!
//! What is new in a file resembles the file that it was, and its neighbours. So the literals of files
//! that follow each other are coded with the former contents of these files as a dictionary.

use std::io;

use super::catalog::Catalog;
use super::layer::Layer;
use super::plan::{From, Piece, Range};
use super::similar::Found;
use crate::program::{Literal, limits};

/// Pieces whose literals share dictionaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The number of its first piece.
    pub first: usize,
    /// Ranges of bases for each kind of literals.
    pub dictionaries: [(Literal, Vec<Range>); 2],
}

/// Literals of a file below which its former content is no help worth reading it.
const FEW: u64 = 64;

/// How many times longer than its literals a file's former content may be.
const SHARE: u64 = 100;

/// The groups of a layer's pieces; none where no dictionary helps.
///
/// # Errors
/// What reading the target fails with.
pub(crate) fn groups(
    target: &Layer,
    catalog: &Catalog<'_>,
    pieces: &[Piece],
    found: &[(usize, Found)],
) -> io::Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    // Executables with a model have dictionaries of their own.
    for (number, Found { covers, quotes, .. }) in
        found.iter().filter(|(_, found)| found.model.is_none())
    {
        let Some(Piece::Content { file, from: From::Relative(place) }) = pieces.get(*number) else {
            continue;
        };
        let (Some(file), Some(base)) = (target.files.get(*file as usize), catalog.file(*place))
        else {
            continue;
        };
        let covered: u64 = covers.iter().map(|cover| cover.len).sum();
        let literals = file.size - covered - quotes.iter().map(|quote| quote.len).sum::<u64>();
        if literals < FEW
            || base.size > literals.saturating_mul(SHARE)
            || base.size > limits::DICTIONARY_LEN
        {
            continue;
        }
        let kind = literal_kind(target, file.content_offset, file.size)?;
        let range = Range { layer: place.layer, offset: base.content_offset, len: base.size };
        let fits = |group: &Group| group.len() + range.len <= limits::DICTIONARY_LEN;
        if !groups.last().is_some_and(fits) {
            let first = if groups.is_empty() { 0 } else { *number };
            let dictionaries = [(Literal::Text, Vec::new()), (Literal::Raw, Vec::new())];
            groups.push(Group { first, dictionaries });
        }
        if let Some(group) = groups.last_mut() {
            let ranges = group.dictionaries.iter_mut().filter(|(other, _)| *other == kind);
            ranges.for_each(|(_, ranges)| ranges.push(range));
        }
    }
    Ok(groups)
}

impl Group {
    /// Bytes of its dictionaries.
    fn len(&self) -> u64 {
        self.dictionaries.iter().flat_map(|(_, ranges)| ranges).map(|range| range.len).sum()
    }
}

/// Text and other bytes go into streams of their own: each is coded better so.
///
/// # Errors
/// What reading the target fails with.
pub(crate) fn literal_kind(target: &Layer, offset: u64, len: u64) -> io::Result<Literal> {
    let start = target.read(offset, len.min(4096))?;
    Ok(if is_text(&start) { Literal::Text } else { Literal::Raw })
}

/// Whether bytes look like text: none of the control characters that text does not have.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().any(|&byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::encode::{File, catalog::Place, similar::Cover};
    use dd_inspect::digest::DiffId;
    use dd_inspect::record::EntryKind;
    use std::sync::Arc;

    /// A layer of files with these sizes, all of one byte.
    fn layer(sizes: &[u64], byte: u8) -> Layer {
        let mut end = 0;
        let file = |size: &u64| {
            let header_offset = end;
            end += 512 + size;
            File {
                path: b"x"[..].into(),
                kind: EntryKind::File,
                header_offset,
                content_offset: header_offset + 512,
                size: *size,
                digest: None,
            }
        };
        let files: Vec<File> = sizes.iter().map(file).collect();
        let bytes = vec![byte; end as usize];
        Layer::new(DiffId::of(&bytes), Arc::new(bytes), files)
    }

    /// First piece and dictionary lengths of the groups of files of which `covered` bytes are covered.
    fn found(sizes: &[u64], covered: &[u64], byte: u8) -> Vec<(usize, Vec<u64>)> {
        let (target, base) = (layer(sizes, byte), [layer(sizes, byte)]);
        let catalog = Catalog::new(&base);
        let piece = |file: u32| {
            let from = From::Relative(Place { layer: 0, file });
            Piece::Content { file, from }
        };
        let pieces: Vec<Piece> = (0..sizes.len() as u32).map(piece).collect();
        let cover = |&len: &u64| {
            let covers = vec![Cover { target: 0, base: 0, len }];
            Found { covers, ..Found::default() }
        };
        let covers: Vec<(usize, Found)> = covered.iter().map(cover).enumerate().collect();
        let lens = |(_, ranges): &(Literal, Vec<Range>)| ranges.iter().map(|r| r.len).sum();
        groups(&target, &catalog, &pieces, &covers)
            .unwrap()
            .iter()
            .map(|group| (group.first, group.dictionaries.iter().map(lens).collect()))
            .collect()
    }

    #[test]
    fn files_with_few_literals_need_no_dictionary() {
        assert_eq!(found(&[1000, 100_000], &[990, 99_500], b'a'), []);
    }

    #[test]
    fn groups_end_where_their_dictionaries_are_full() {
        let mib = 1 << 20;
        let sizes = [5 * mib, mib, 3 * mib, 9 * mib, 7 * mib];
        let groups = found(&sizes, &[0; 5], b'a');
        assert_eq!(groups, [(0, vec![6 * mib, 0]), (2, vec![3 * mib, 0]), (4, vec![7 * mib, 0])]);
        assert_eq!(found(&[1000], &[0], 0), [(0, vec![0, 1000])]);
    }
}
