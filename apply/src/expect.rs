//! `--expect`: what the user knows of the images from elsewhere, compared with the recipe before work.

use dd_inspect::digest::Digest;
use dd_inspect::fail;
use dd_inspect::package::Recipe;

use crate::choice::Chosen;

/// What a digest is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Index,
    Config,
    File,
}

/// One expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    kind: Option<Kind>,
    digest: Digest,
}

impl Expectation {
    /// Reads `[KIND=]DIGEST`.
    ///
    /// # Errors
    /// `usage`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (kind, digest) = match text.split_once('=') {
            None => (None, text),
            Some(("manifest", digest)) => (Some(Kind::Manifest), digest),
            Some(("index", digest)) => (Some(Kind::Index), digest),
            Some(("config", digest)) => (Some(Kind::Config), digest),
            Some(("file", digest)) => (Some(Kind::File), digest),
            Some((other, _)) => {
                fail!(Usage, "--expect {other:?}: the kinds are manifest, index, config and file")
            }
        };
        let Ok(digest) = digest.parse() else {
            fail!(Usage, "--expect {text:?} is no digest"; "--expect [manifest=|index=|config=|file=]sha256:<64 hex digits>");
        };
        Ok(Self { kind, digest })
    }

    fn fits(&self, has: &[(Kind, Digest)]) -> bool {
        has.iter().any(|(kind, digest)| {
            *digest == self.digest && self.kind.is_none_or(|wanted| wanted == *kind)
        })
    }
}

/// Compares. A digest alone must fit every image; of those with a kind each must fit an image, and every image one of
/// them. Returns whether anything was expected.
///
/// The file's digest counts only where the file itself is rebuilt (`exact_file`): else nothing would verify it.
///
/// # Errors
/// `digest-mismatch` if the package rebuilds something else.
pub fn compare(
    expected: &[Expectation],
    recipe: &Recipe,
    chosen: &[Chosen],
    exact_file: bool,
) -> anyhow::Result<bool> {
    let images: Vec<_> =
        chosen.iter().map(|one| (one, identities(one, recipe, exact_file))).collect();
    for expectation in expected {
        let fits = |(_, has): &(&Chosen, Vec<(Kind, Digest)>)| expectation.fits(has);
        let good = match expectation.kind {
            None => images.iter().all(fits),
            Some(_) => images.iter().any(fits),
        };
        if !good {
            let names: Vec<_> = chosen.iter().map(|one| one.describe(recipe)).collect();
            fail!(DigestMismatch, "{} was expected, the package rebuilds {}", expectation.digest, names.join(", ");
                "dd-inspect shows the digests in the package");
        }
    }
    for (one, has) in &images {
        if !expected.is_empty() && !expected.iter().any(|expectation| expectation.fits(has)) {
            fail!(DigestMismatch, "the package also rebuilds {}, which was not expected", one.describe(recipe);
                "--image leaves it out");
        }
    }
    Ok(!expected.is_empty())
}

/// The digests that stand for a whole image: of its top documents, of its only configuration, of its file.
fn identities(one: &Chosen, recipe: &Recipe, exact_file: bool) -> Vec<(Kind, Digest)> {
    let mut has = Vec::new();
    let tops: Vec<_> = one.manifests(recipe).filter(|(_, m)| m.parent.is_none()).collect();
    if let [(place, top)] = tops[..] {
        let is_index = recipe_names_children(one, recipe, place);
        let kind = if is_index { Kind::Index } else { Kind::Manifest };
        has.extend(top.digest.map(|digest| (kind, digest)));
    }
    // Of a narrowed index, the only image; its attestations come along.
    let images: Vec<_> =
        one.manifests(recipe).filter(|(_, m)| m.config.is_some() && m.subject.is_none()).collect();
    if let [(_, image)] = images[..] {
        has.extend(image.digest.map(|digest| (Kind::Manifest, digest)));
        has.extend(image.config.map(|config| (Kind::Config, config.digest)));
    }
    let file = one.target(recipe).and_then(|target| target.file.as_ref());
    has.extend(file.filter(|_| exact_file).map(|file| (Kind::File, file.digest)));
    has
}

fn recipe_names_children(one: &Chosen, recipe: &Recipe, place: usize) -> bool {
    one.target(recipe).is_some_and(|target| {
        let parent = u32::try_from(place).ok();
        target
            .manifests
            .iter()
            .any(|manifest| manifest.parent.is_some() && manifest.parent == parent)
    })
}
