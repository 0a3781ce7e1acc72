//! Puts pieces into an order in which a file is hashed before its digest is quoted.

use std::collections::{BTreeMap, BTreeSet};

use super::{Link, Links, Quote, Quoted};
use crate::encode::plan::Piece;
use crate::encode::similar::{Cover, Found};
use crate::program::Hash;

/// Bytes of a file that may be kept until the layer comes to it: they lie in a reader's memory or scratch
/// file.
const KEPT_FILE: u64 = 16 << 20;
/// Bytes of all of them.
const KEPT: u64 = 1 << 30;
/// Kept objects: a file that is quoted and quotes others is in one after that of these.
const LEVELS: usize = 8;

/// What becomes of pieces.
pub(super) struct Plan {
    links: Links,
    /// For each kept object the pieces that are its content, and their sizes.
    kept: Vec<BTreeMap<usize, u64>>,
    /// How quoted pieces are hashed.
    hashed: BTreeMap<usize, BTreeSet<Hash>>,
}

impl Plan {
    /// `size` gives the bytes of a piece. Quotes of files that cannot be kept are left out.
    pub(super) fn new(mut links: Links, size: impl Fn(usize) -> u64) -> Self {
        let mut most = KEPT_FILE;
        let mut kept = kept(&mut links, |piece| size(piece) <= most);
        while kept.iter().map(|&piece| size(piece)).sum::<u64>() > KEPT {
            most /= 2;
            kept = self::kept(&mut links, |piece| size(piece) <= most);
        }
        let mut objects = vec![BTreeMap::new(); LEVELS];
        for (piece, level) in levels(&mut links, &kept) {
            objects[level].insert(piece, size(piece));
        }
        objects.retain(|object| !object.is_empty());
        let mut hashed: BTreeMap<usize, BTreeSet<Hash>> = BTreeMap::new();
        for link in links.values().flatten() {
            hashed.entry(link.of).or_default().insert(link.hash);
        }
        Self { links, kept: objects, hashed }
    }

    /// The pieces in their new order and what was found of them, digests in the place of covers.
    pub(super) fn apply(
        &self,
        mut pieces: Vec<Piece>,
        found: BTreeMap<usize, Found>,
    ) -> (Vec<Piece>, Vec<(usize, Found)>) {
        let mut out = Order {
            plan: self,
            found,
            digests: BTreeMap::new(),
            done: Vec::new(),
            pieces: Vec::new(),
        };
        for (object, content) in (0..).zip(&self.kept) {
            out.pieces.push(Piece::BeginKept { size: content.values().sum() });
            for (&number, &len) in content {
                if let Some(piece) = pieces.get_mut(number) {
                    out.put(
                        number,
                        std::mem::replace(piece, Piece::Following { kept: object, len }),
                    );
                }
            }
            out.pieces.push(Piece::EndKept);
        }
        for (number, piece) in pieces.into_iter().enumerate() {
            match piece {
                Piece::Following { .. } => out.pieces.push(piece),
                piece => out.put(number, piece),
            }
        }
        (out.pieces, out.done)
    }
}

/// The pieces that must be made before the layer: those that are quoted before they come, or by one of these.
/// Quotes of pieces that cannot be are taken out.
fn kept(links: &mut Links, can_be: impl Fn(usize) -> bool) -> BTreeSet<usize> {
    let mut kept = BTreeSet::new();
    loop {
        let before = kept.len();
        for (&text, links) in links.iter_mut() {
            links.retain(|link| {
                let is_early = link.of > text || kept.contains(&text);
                if is_early && can_be(link.of) {
                    kept.insert(link.of);
                }
                !is_early || can_be(link.of)
            });
        }
        if kept.len() == before {
            return kept;
        }
    }
}

/// In which kept object each piece is: after what it quotes. Quotes beyond the last object are taken out.
fn levels(links: &mut Links, kept: &BTreeSet<usize>) -> BTreeMap<usize, usize> {
    let mut levels: BTreeMap<usize, usize> = kept.iter().map(|&piece| (piece, 0)).collect();
    for _ in 0..LEVELS {
        for (text, links) in links.iter().filter(|(text, _)| kept.contains(text)) {
            let quoted = links.iter().filter_map(|link| levels.get(&link.of)).max();
            let level = quoted.map_or(0, |level| (level + 1).min(LEVELS - 1));
            levels.insert(*text, level);
        }
    }
    for (text, links) in links.iter_mut().filter(|(text, _)| kept.contains(text)) {
        links.retain(|link| levels.get(&link.of) < levels.get(text));
    }
    levels
}

/// Pieces under arrangement.
struct Order<'a> {
    plan: &'a Plan,
    found: BTreeMap<usize, Found>,
    /// The numbers of digests so far.
    digests: BTreeMap<(usize, Hash), u64>,
    pieces: Vec<Piece>,
    done: Vec<(usize, Found)>,
}

impl Order<'_> {
    /// Takes a piece by its old number; it is hashed if it is quoted.
    fn put(&mut self, number: usize, piece: Piece) {
        let hashes = self.plan.hashed.get(&number);
        for &hash in hashes.into_iter().flatten() {
            self.digests.insert((number, hash), self.digests.len() as u64);
            self.pieces.push(Piece::Hash(hash));
        }
        let quotes: Vec<Quote> = self
            .plan
            .links
            .get(&number)
            .into_iter()
            .flatten()
            .filter_map(|link| self.quote(link))
            .collect();
        if let Some(mut found) =
            self.found.remove(&number).or_else(|| (!quotes.is_empty()).then(Found::default))
        {
            found.covers = around(&found.covers, &quotes);
            found.quotes = quotes;
            self.done.push((self.pieces.len(), found));
        }
        self.pieces.push(piece);
        self.pieces.extend(hashes.into_iter().flatten().map(|_| Piece::Leave));
    }

    fn quote(&self, link: &Link) -> Option<Quote> {
        let Link { offset, len, form, hash, of } = *link;
        let number = *self.digests.get(&(of, hash))?;
        Some(Quote { offset, len, of: Quoted::Digest { form, number } })
    }
}

/// Covers without what quotes give. Both are in order.
pub(super) fn around(covers: &[Cover], quotes: &[Quote]) -> Vec<Cover> {
    let mut parts = Vec::with_capacity(covers.len());
    for cover in covers {
        let end = cover.target + cover.len;
        let after = quotes.partition_point(|quote| quote.offset + quote.len <= cover.target);
        let mut at = cover.target;
        let mut part = |from: u64, to: u64| {
            if from < to {
                parts.push(Cover {
                    target: from,
                    base: cover.base + (from - cover.target),
                    len: to - from,
                });
            }
        };
        for quote in quotes[after..].iter().take_while(|quote| quote.offset < end) {
            part(at, quote.offset);
            at = quote.offset + quote.len;
        }
        part(at, end);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Form;

    fn link(of: usize) -> Link {
        Link { offset: 0, len: 32, form: Form::Hex, hash: Hash::Md5, of }
    }

    fn links(quotes: &[(usize, &[usize])]) -> Links {
        quotes.iter().map(|(text, of)| (*text, of.iter().map(|&of| link(of)).collect())).collect()
    }

    /// The pieces of each kept object of a plan, and how many quotes it has.
    fn plan(quotes: &[(usize, &[usize])], size: impl Fn(usize) -> u64) -> (Vec<Vec<usize>>, usize) {
        let plan = Plan::new(links(quotes), size);
        let kept = plan.kept.iter().map(|object| object.keys().copied().collect()).collect();
        (kept, plan.links.values().map(Vec::len).sum())
    }

    #[test]
    fn only_what_is_quoted_before_it_comes_is_kept() {
        assert_eq!(plan(&[(5, &[1, 7])], |_| 1), (vec![vec![7]], 2));
        assert_eq!(plan(&[(5, &[1])], |_| 1), (vec![], 1));
    }

    #[test]
    fn texts_that_are_quoted_are_made_after_what_they_quote() {
        let quotes: [(usize, &[usize]); 3] = [(0, &[2, 3, 4]), (2, &[1, 3]), (3, &[4])];
        assert_eq!(plan(&quotes, |_| 1), (vec![vec![1, 4], vec![3], vec![2]], 6));
    }

    #[test]
    fn long_files_are_not_kept() {
        let size = |piece| if piece == 3 { KEPT_FILE + 1 } else { 1 };
        assert_eq!(plan(&[(0, &[2, 3])], size), (vec![vec![2]], 1));
        let (kept, quotes) = plan(&[(0, &(1..200).collect::<Vec<_>>())], |_| KEPT_FILE);
        assert_eq!((kept.len(), quotes), (0, 0), "more than all together may have");
    }

    #[test]
    fn circles_and_long_chains_end() {
        let (_, quotes) = plan(&[(1, &[2]), (2, &[1])], |_| 1);
        assert!(quotes < 2);
        let chain: Vec<[usize; 1]> = (1..30).map(|next| [next]).collect();
        let quotes: Vec<(usize, &[usize])> =
            chain.iter().enumerate().map(|(at, next)| (at, &next[..])).collect();
        let (kept, quotes) = plan(&quotes, |_| 1);
        assert_eq!((kept.len(), quotes), (LEVELS, LEVELS));
    }

    #[test]
    fn covers_end_where_quotes_begin() {
        let quote = |offset, len| Quote { offset, len, of: Quoted::Mtime };
        let cover = |target, base, len| Cover { target, base, len };
        let covers = [cover(10, 110, 10), cover(30, 230, 30), cover(60, 60, 5)];
        let quotes = [quote(5, 7), quote(35, 5), quote(45, 20)];
        let parts = [cover(12, 112, 8), cover(30, 230, 5), cover(40, 240, 5)];
        assert_eq!(around(&covers, &quotes), parts);
        assert_eq!(around(&covers, &[]), covers);
    }
}
