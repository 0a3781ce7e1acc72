//! How the files of a layer were made, for the records.

use std::collections::{BTreeMap, HashMap};

use super::catalog::Place;
use super::plan::{From, Piece};
use crate::program::Owner;

/// How one file of the target was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The file's place in the target layer.
    pub file: usize,
    /// The base layer's and the file's place that it came from.
    pub from: Option<(usize, usize)>,
    /// By which means its content came.
    pub means: Means,
    /// Bytes of the payload that it takes: its part of each coded stream.
    pub cost: u64,
}

/// By which means content came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// Content as it is in the base, or elsewhere in the target, under another header.
    Copy,
    /// Content of the base with differences.
    Edit,
    /// Bytes that travel.
    Literal,
}

/// Notes what becomes of each file while pieces are written.
///
/// The owner of a piece is the place of its file.
#[derive(Debug)]
pub(crate) struct Log {
    made: Vec<Made>,
    /// Files that are entries; those behind are members of opened ones.
    entries: usize,
    /// The entries that members are in.
    owners: HashMap<u32, u32>,
    /// How contents came that were made before their headers.
    before: HashMap<u32, Means>,
    /// To whom the last piece belonged.
    owner: Option<Owner>,
}

impl Log {
    /// A log of a layer with so many entries; `owners` are those that hold members.
    pub(crate) fn new(entries: usize, owners: HashMap<u32, u32>) -> Self {
        Self { made: Vec::new(), entries, owners, before: HashMap::new(), owner: None }
    }

    /// A piece is about to be written; says to whom it belongs.
    pub(crate) fn begin(&mut self, piece: &Piece) -> Option<Owner> {
        self.owner = match *piece {
            Piece::Header { file, model, whole: false, .. } => {
                let from = model.map(|Place { layer, file }| (layer as usize, file as usize));
                let means = self.before.get(&file).copied().unwrap_or(Means::Copy);
                self.made.push(Made { file: file as usize, from, means, cost: 0 });
                Some(file)
            }
            Piece::Content { file, .. } if (file as usize) < self.entries => Some(file),
            Piece::Content { file, .. } if self.owners.contains_key(&file) => {
                self.owners.get(&file).copied()
            }
            // Parts of the last entry, which was opened.
            Piece::Content { .. }
            | Piece::Frame { .. }
            | Piece::Framing(_)
            | Piece::Enter { .. } => {
                self.made.last().and_then(|last| Owner::try_from(last.file).ok())
            }
            Piece::Hash(_) | Piece::Leave | Piece::Following { .. } => self.owner,
            _ => None,
        };
        self.owner
    }

    /// A piece was written; `covered` if a base has the like of it.
    pub(crate) fn end(&mut self, piece: &Piece, covered: bool) {
        let last = self.made.last_mut();
        match *piece {
            Piece::Content { file, from } if (file as usize) < self.entries => {
                let means = match from {
                    From::Twin(_) => self.before.get(&file).copied().unwrap_or(Means::Copy),
                    _ if covered => Means::Edit,
                    _ => Means::Literal,
                };
                match last.filter(|last| last.file == file as usize) {
                    Some(last) => last.means = means,
                    None => drop(self.before.insert(file, means)),
                }
            }
            Piece::Content { .. } | Piece::Frame { .. } | Piece::Framing(_) => {
                let has_like =
                    covered || matches!(piece, Piece::Content { from: From::Twin(_), .. });
                if let Some(last) = last {
                    last.means = match last.means {
                        _ if has_like => Means::Edit,
                        Means::Copy => Means::Literal,
                        means => means,
                    };
                }
            }
            _ => {}
        }
    }

    /// The files that are not wholly in a base, and what each was charged.
    pub(crate) fn finish(mut self, costs: &BTreeMap<Owner, u64>) -> Vec<Made> {
        for made in &mut self.made {
            let cost = Owner::try_from(made.file).ok().and_then(|owner| costs.get(&owner));
            made.cost = cost.copied().unwrap_or(0);
        }
        self.made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_belong_to_their_files() {
        let place = Place { layer: 1, file: 2 };
        let header = |file, whole| Piece::Header { file, zeros: 0, model: Some(place), whole };
        let mut log = Log::new(9, HashMap::from([(12, 5)]));
        let pieces = [
            (Piece::BeginKept { size: 9 }, None),
            (Piece::Content { file: 6, from: From::Nowhere }, Some(6)),
            (Piece::Content { file: 12, from: From::Nowhere }, Some(5)),
            (Piece::EndKept, None),
            (Piece::Zeros { len: 1 }, None),
            (Piece::Leave, None),
            (header(3, false), Some(3)),
            (Piece::Content { file: 3, from: From::Relative(place) }, Some(3)),
            (header(4, true), None),
            (Piece::Content { file: 4, from: From::Twin(place) }, Some(4)),
            (header(5, false), Some(5)),
            (Piece::Leave, Some(5)),
            (Piece::Content { file: 77, from: From::Twin(place) }, Some(5)),
            (header(6, false), Some(6)),
            (Piece::Content { file: 6, from: From::Twin(place) }, Some(6)),
        ];
        for (piece, owner) in pieces {
            assert_eq!(log.begin(&piece), owner, "{piece:?}");
            log.end(&piece, false);
        }
        let made = log.finish(&BTreeMap::from([(3, 30), (4, 40)]));
        let found: Vec<_> = made.iter().map(|made| (made.file, made.means, made.cost)).collect();
        use Means::{Edit, Literal};
        assert_eq!(found, [(3, Literal, 30), (5, Edit, 0), (6, Literal, 0)]);
        assert_eq!(made[0].from, Some((1, 2)));
    }
}
