//! What is to be made, in which order, and what must be held because it is read again.

use std::collections::{HashMap, HashSet};

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::package::{Range, Recipe};
use dd_inspect::{fail, failure};

use crate::base::Bases;

/// A piece of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Piece {
    /// The layer with this number, as it is stored.
    Layer(u32),
    /// The content with this number, uncompressed.
    Content(u32),
}

impl Piece {
    /// What it hashes to; none for a number out of range.
    pub fn digest(self, recipe: &Recipe) -> Option<Digest> {
        match self {
            Self::Layer(n) => recipe.layer_digest(n),
            Self::Content(n) => recipe.content(n).map(|content| content.diff_id.into()),
        }
    }

    /// Bytes in it; none for a number out of range.
    pub fn size(self, recipe: &Recipe) -> Option<u64> {
        match self {
            Self::Layer(n) => recipe.layer_size(n),
            Self::Content(n) => recipe.content(n).map(|content| content.size),
        }
    }
}

/// How a piece is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It lies in the package.
    Document(Range),
    /// A base has these very bytes.
    Base(Digest),
    /// From a content.
    Content(u32),
}

impl Way {
    fn of(piece: Piece, recipe: &Recipe, bases: &Bases) -> anyhow::Result<Self> {
        let digest = piece.digest(recipe).ok_or_else(|| {
            failure!(PackageCorrupt, "the package's recipe names {piece:?}, which it does not have")
        })?;
        let (content, layer) = match piece {
            Piece::Content(n) => (Some(n), None),
            Piece::Layer(n) => {
                let layer = recipe.layers.get(n as usize);
                (layer.and_then(|layer| layer.content), layer)
            }
        };
        if let Some(range) = layer.and_then(|layer| layer.document) {
            return Ok(Self::Document(range));
        }
        if bases.blob(&digest).is_some() {
            return Ok(Self::Base(digest));
        }
        match content {
            Some(_) if layer.is_some_and(|layer| layer.form.is_some()) => {
                fail!(BaseForm, "the base lacks the compressed layer {digest}")
            }
            Some(content) => Ok(Self::Content(content)),
            None => fail!(PackageCorrupt, "the layer {digest} is a gap, it cannot be written"),
        }
    }
}

/// One step of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Makes a content and holds it in scratch: later steps read it.
    Hold(u32),
    /// Makes the piece with this place in [`Work::pieces`].
    Piece(usize),
}

/// The whole work.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// The pieces, each once.
    pub pieces: Vec<Piece>,
    /// How each of them is made.
    pub ways: Vec<Way>,
    /// The steps: each after those that it needs.
    pub steps: Vec<Step>,
    /// How often a content is read: as a source, or to make a piece of it.
    pub readers: HashMap<DiffId, usize>,
    /// The pieces whose content is made with them.
    makes: HashSet<usize>,
}

impl Work {
    /// Plans to make these pieces, in this order. Repetitions are dropped.
    ///
    /// # Errors
    /// A piece that the package does not have, or a compressed layer that it cannot make and no base has.
    pub fn new(
        recipe: &Recipe,
        bases: &Bases,
        wanted: impl IntoIterator<Item = Piece>,
    ) -> anyhow::Result<Self> {
        let made = recipe.contents.iter().enumerate().filter(|(_, c)| c.payload.is_some());
        let numbers = made.filter_map(|(n, c)| Some((c.diff_id, u32::try_from(n).ok()?))).collect();
        let mut planner = Planner { recipe, numbers, made: HashSet::new(), work: Self::default() };
        let mut seen = HashSet::new();
        for piece in wanted {
            if seen.insert(piece) {
                planner.piece(piece, Way::of(piece, recipe, bases)?);
            }
        }
        Ok(planner.work)
    }

    /// Whether a content is read more than once, so that it must be held after it was made.
    pub fn is_held(&self, diff_id: &DiffId) -> bool {
        self.readers.get(diff_id).is_some_and(|readers| *readers > 1)
    }

    /// The numbers of the package's blobs that the work reads, and `more`.
    pub fn blobs(&self, recipe: &Recipe, more: Option<u32>) -> Vec<u32> {
        let mut blobs: Vec<u32> = more.into_iter().collect();
        for step in &self.steps {
            match *step {
                Step::Hold(number) => blobs.extend(recipe.content(number).and_then(|c| c.payload)),
                Step::Piece(place) => {
                    let Some(Way::Content(number)) = self.ways.get(place) else { continue };
                    if self.makes(place) {
                        blobs.extend(recipe.content(*number).and_then(|c| c.payload));
                    }
                    if let Some(Piece::Layer(layer)) = self.pieces.get(place) {
                        let layer = recipe.layers.get(*layer as usize);
                        blobs.extend(layer.and_then(|layer| layer.corrections));
                    }
                }
            }
        }
        blobs
    }

    /// The place of each piece in [`Work::pieces`].
    pub fn numbers(&self) -> HashMap<Piece, usize> {
        self.pieces.iter().enumerate().map(|(n, piece)| (*piece, n)).collect()
    }

    /// Whether the content of this piece is made with it, in contrast to one that was made before.
    pub fn makes(&self, piece: usize) -> bool {
        self.makes.contains(&piece)
    }

    /// The content that a step makes and later ones read.
    pub fn holds(&self, step: Step, recipe: &Recipe) -> Option<DiffId> {
        let number = match step {
            Step::Hold(number) => number,
            Step::Piece(place) if self.makes.contains(&place) => match self.ways.get(place)? {
                Way::Content(number) => *number,
                _ => return None,
            },
            Step::Piece(_) => return None,
        };
        let diff_id = recipe.content(number)?.diff_id;
        (matches!(step, Step::Hold(_)) || self.is_held(&diff_id)).then_some(diff_id)
    }
}

struct Planner<'a> {
    recipe: &'a Recipe,
    /// The contents that the package makes, by what they hash to.
    numbers: HashMap<DiffId, u32>,
    /// Contents that a step so far makes.
    made: HashSet<u32>,
    work: Work,
}

impl Planner<'_> {
    fn piece(&mut self, piece: Piece, way: Way) {
        if let Way::Content(number) = way
            && let Some(content) = self.recipe.content(number)
        {
            *self.work.readers.entry(content.diff_id).or_default() += 1;
            for needed in self.unmade(number) {
                self.reads_of(needed);
                if needed == number {
                    self.work.makes.insert(self.work.pieces.len());
                } else {
                    self.work.steps.push(Step::Hold(needed));
                }
            }
        }
        self.work.steps.push(Step::Piece(self.work.pieces.len()));
        self.work.pieces.push(piece);
        self.work.ways.push(way);
    }

    /// The contents that must still be made for this one, itself included, in the recipe's order.
    fn unmade(&mut self, number: u32) -> Vec<u32> {
        let mut needed = Vec::new();
        let mut open = vec![number];
        while let Some(number) = open.pop() {
            let Some(content) = self.recipe.content(number) else { continue };
            if content.payload.is_none() || !self.made.insert(number) {
                continue;
            }
            needed.push(number);
            open.extend(content.sources.iter().filter_map(|source| self.numbers.get(source)));
        }
        needed.sort_unstable();
        needed
    }

    fn reads_of(&mut self, number: u32) {
        let Some(content) = self.recipe.content(number) else { return };
        for source in &content.sources {
            *self.work.readers.entry(*source).or_default() += 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dd_inspect::package::{Content, Layer};

    fn content(name: &str, payload: Option<u32>, sources: &[&str]) -> Content {
        let sources = sources.iter().map(|name| DiffId::of(name.as_bytes())).collect();
        Content { diff_id: DiffId::of(name.as_bytes()), size: 1, payload, sources }
    }

    fn layer(content: u32) -> Layer {
        Layer {
            content: Some(content),
            digest: None,
            size: None,
            media_type: None,
            encoding: None,
            corrections: None,
            form: None,
            document: None,
            gap: false,
        }
    }

    fn recipe() -> Recipe {
        Recipe {
            version: 1,
            requires: Vec::new(),
            memory: 0,
            scratch: 0,
            documents: 0,
            contents: vec![
                content("base", None, &[]),
                content("a", Some(2), &["base"]),
                content("b", Some(3), &["a", "other"]),
                content("c", Some(4), &["b", "base"]),
            ],
            layers: (0..4).map(layer).collect(),
            targets: Vec::new(),
        }
    }

    fn plan(pieces: &[Piece]) -> Work {
        Work::new(&recipe(), &Bases::default(), pieces.iter().copied()).unwrap()
    }

    #[test]
    fn sources_that_are_no_piece_are_made_first() {
        let work = plan(&[Piece::Layer(3)]);
        assert_eq!(work.steps, [Step::Hold(1), Step::Hold(2), Step::Piece(0)]);
        assert_eq!(work.readers[&DiffId::of(b"base")], 2);
        assert_eq!(work.readers[&DiffId::of(b"b")], 1);
        assert_eq!(work.holds(Step::Hold(2), &recipe()), Some(DiffId::of(b"b")));
        assert_eq!(work.holds(Step::Piece(0), &recipe()), None);
    }

    #[test]
    fn a_piece_that_is_read_again_is_held_and_made_once() {
        let work = plan(&[Piece::Layer(1), Piece::Layer(2), Piece::Content(1), Piece::Layer(1)]);
        assert_eq!(work.steps, [Step::Piece(0), Step::Piece(1), Step::Piece(2)]);
        assert_eq!(work.holds(Step::Piece(0), &recipe()), Some(DiffId::of(b"a")));
        assert_eq!(work.holds(Step::Piece(1), &recipe()), None, "nobody reads it");
        assert_eq!(work.holds(Step::Piece(2), &recipe()), None, "it was made before");
    }

    #[test]
    fn a_form_that_no_base_has_is_refused() {
        let mut recipe = recipe();
        recipe.layers[0].form = Some(dd_inspect::package::Form::Compressed);
        recipe.layers[0].digest = Some(Digest::of(b"packed"));
        let plan = Work::new(&recipe, &Bases::default(), [Piece::Layer(0)]);
        assert!(plan.is_err());
        assert!(Work::new(&recipe, &Bases::default(), [Piece::Content(0)]).is_ok());
        assert!(Work::new(&recipe, &Bases::default(), [Piece::Layer(4)]).is_err());
    }
}
