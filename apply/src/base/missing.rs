//! Comparing what a package needs with what the base has.

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::failure;
use dd_inspect::failure::Failure;
use dd_inspect::package::Recipe;
use dd_inspect::package::recipe::Needs;

use super::Bases;

/// Missing layers that one line on stderr names; `--check` lists all.
const NAMED: usize = 16;

/// What the base lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Contents that no base has.
    pub contents: Vec<DiffId>,
    /// Stored bytes that no base has, although a base has their content (given beside).
    pub forms: Vec<(Digest, DiffId)>,
}

impl Missing {
    /// What of these needs the bases lack.
    pub fn new(needs: &Needs, recipe: &Recipe, bases: &Bases) -> Self {
        let contents: Vec<_> =
            needs.contents.iter().copied().filter(|id| bases.content(id).is_none()).collect();
        let absent = needs.blobs.iter().filter(|digest| bases.blob(digest).is_none());
        let mut missing = Self { contents, forms: Vec::new() };
        for digest in absent {
            let layer = recipe.layers.iter().find(|layer| layer.digest == Some(*digest));
            let content = layer.and_then(|layer| recipe.content(layer.content?));
            match content.map(|content| content.diff_id) {
                Some(diff_id) if bases.content(&diff_id).is_some() => {
                    missing.forms.push((*digest, diff_id));
                }
                Some(diff_id) if !missing.contents.contains(&diff_id) => {
                    missing.contents.push(diff_id);
                }
                _ => {}
            }
        }
        missing
    }

    /// Whether the base will do.
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.forms.is_empty()
    }

    /// The failure that names each missing layer, for `image`.
    pub fn failure(&self, recipe: &Recipe, image: &str, bases: &Bases) -> Failure {
        let given = match bases.references() {
            [] => "no base was given".to_owned(),
            [one] => format!("{one} is not the base of this package"),
            many => format!("{} are not the base of this package", many.join(", ")),
        };
        if !self.contents.is_empty() {
            let count = self.contents.len();
            let named = list(self.contents.iter().map(|id| describe(recipe, id)), count);
            let layers = if count == 1 { "layer" } else { "layers" };
            return failure!(WrongBase, "{given}: {image} needs {count} {layers} that it lacks: {named}";
                "give with --base the version that the package was made against");
        }
        let count = self.forms.len();
        let named =
            list(self.forms.iter().map(|(digest, id)| format!("{digest} (content {id})")), count);
        failure!(BaseForm, "the right base in the wrong form: {image} needs the very compressed bytes of {named}";
            "give the base as it comes from the registry, or make the package with --any-form")
    }
}

/// A needed layer and its size, where the recipe says it.
pub fn describe(recipe: &Recipe, diff_id: &DiffId) -> String {
    let content = recipe.contents.iter().find(|content| content.diff_id == *diff_id);
    content.map_or_else(
        || diff_id.to_string(),
        |content| format!("{diff_id} ({} bytes)", content.size),
    )
}

fn list(names: impl Iterator<Item = String>, count: usize) -> String {
    let named: Vec<_> = names.take(NAMED).collect();
    let rest = count.saturating_sub(named.len());
    let more =
        if rest > 0 { format!(" and {rest} more (--check lists them)") } else { String::new() };
    named.join(", ") + &more
}
