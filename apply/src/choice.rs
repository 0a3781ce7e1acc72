//! Which images of a package are rebuilt.
//!
//! Without a choice all of them, whole. `--image` chooses by name or digest, `--platform` by platform; what is not chosen
//! of an image that has several manifests becomes a gap.

use std::collections::BTreeSet;

use dd_inspect::digest::Digest;
use dd_inspect::fail;
use dd_inspect::image::full_name;
use dd_inspect::package::{Manifest, Recipe, Target};

/// What the user asked for; empty lists ask for everything.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Names or digests.
    pub targets: Vec<String>,
    /// `OS/ARCH[/VARIANT]`.
    pub platforms: Vec<String>,
}

/// One image that is rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its number among the targets of the recipe.
    pub number: usize,
    /// The places of the manifests and indexes that are rebuilt, ascending.
    pub manifests: Vec<usize>,
    /// Others of it are left out.
    pub narrowed: bool,
    /// It was narrowed by name or digest, not only by platform: the target's own index does not fit.
    pub picked: bool,
}

impl Chosen {
    /// The target in the recipe.
    pub fn target<'a>(&self, recipe: &'a Recipe) -> Option<&'a Target> {
        recipe.targets.get(self.number)
    }

    /// The chosen manifests.
    pub fn manifests<'a>(
        &'a self,
        recipe: &'a Recipe,
    ) -> impl Iterator<Item = (usize, &'a Manifest)> {
        let target = self.target(recipe);
        self.manifests.iter().filter_map(move |n| Some((*n, target?.manifests.get(*n)?)))
    }

    /// The numbers of its layers that are not gaps, each once.
    pub fn layers(&self, recipe: &Recipe) -> Vec<u32> {
        let mut seen = BTreeSet::new();
        let all = self.manifests(recipe).flat_map(|(_, manifest)| manifest.layers.iter().copied());
        let all = all.filter(|n| recipe.layers.get(*n as usize).is_some_and(|layer| !layer.gap));
        all.filter(|n| seen.insert(*n)).collect()
    }

    /// What to call it in messages.
    pub fn describe(&self, recipe: &Recipe) -> String {
        self.target(recipe).map_or_else(String::new, describe)
    }
}

/// A target's name, else its digest.
pub fn describe(target: &Target) -> String {
    let names = target.manifests.iter().flat_map(|manifest| &manifest.names);
    if let Some(name) = target.names.iter().chain(names).next() {
        return name.clone();
    }
    let digests = target.manifests.iter().filter_map(identity);
    target.digest.or_else(|| digests.into_iter().next()).map_or_else(String::new, |d| d.to_string())
}

/// What names a manifest: its digest, else that of its configuration.
fn identity(manifest: &Manifest) -> Option<Digest> {
    manifest.digest.or(manifest.config.map(|config| config.digest))
}

/// Chooses.
///
/// # Errors
/// `not-found`, with what there is, if the package has nothing of what is wanted.
pub fn choose(recipe: &Recipe, wanted: &Wanted) -> anyhow::Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    for (number, target) in recipe.targets.iter().enumerate() {
        let all: BTreeSet<usize> = (0..target.manifests.len()).collect();
        let Some(named) = by_name(target, &all, &wanted.targets) else { continue };
        let Some(kept) = by_platform(target, &named, &wanted.platforms) else { continue };
        let narrowed = kept.len() < all.len();
        let picked = named.len() < all.len();
        let manifests = kept.into_iter().collect();
        chosen.push(Chosen { number, manifests, narrowed, picked });
    }
    if chosen.is_empty() {
        let there: Vec<_> = recipe.targets.iter().map(describe).collect();
        let platforms: BTreeSet<_> = recipe
            .targets
            .iter()
            .flat_map(|t| &t.manifests)
            .filter_map(|m| m.platform.as_deref())
            .collect();
        let platforms: Vec<_> = platforms.into_iter().collect();
        fail!(NotFound, "the package has no such image: it has {} ({})", there.join(", "), platforms.join(", ");
            "choose with --image NAME|DIGEST and --platform OS/ARCH");
    }
    Ok(chosen)
}

/// The manifests that one of the names or digests means: all, if it names the whole target.
fn by_name(target: &Target, all: &BTreeSet<usize>, names: &[String]) -> Option<BTreeSet<usize>> {
    if names.is_empty() {
        return Some(all.clone());
    }
    let top: Vec<_> = target.manifests.iter().filter(|m| m.parent.is_none()).collect();
    let single = top.len() <= 1;
    let whole = |name: &String| {
        target.names.iter().any(|known| same_name(known, name)) && single
            || [target.digest, target.file.as_ref().map(|file| file.digest)]
                .into_iter()
                .flatten()
                .any(|digest| digest.to_string() == *name)
    };
    if names.iter().any(whole) {
        return Some(all.clone());
    }
    let means = |manifest: &Manifest| {
        let digests = [manifest.digest, manifest.config.map(|config| config.digest)];
        let mut digests = digests.into_iter().flatten().map(|digest| digest.to_string());
        digests.any(|digest| names.contains(&digest))
            || manifest.names.iter().any(|known| names.iter().any(|name| same_name(known, name)))
    };
    let seeds = all.iter().copied().filter(|n| target.manifests.get(*n).is_some_and(means));
    family(target, seeds.collect(), all)
}

/// `app`, `app:latest` and `docker.io/library/app:latest` are one name, as for docker.
fn same_name(one: &str, other: &str) -> bool {
    full_name(one) == full_name(other)
}

fn by_platform(
    target: &Target,
    within: &BTreeSet<usize>,
    platforms: &[String],
) -> Option<BTreeSet<usize>> {
    if platforms.is_empty() {
        return Some(within.clone());
    }
    let fits = |manifest: &Manifest| {
        let platform = manifest.platform.as_deref().filter(|_| !manifest.gap());
        platform.is_some_and(|has| platforms.iter().any(|wanted| same_platform(wanted, has)))
    };
    let seeds = within.iter().copied().filter(|n| target.manifests.get(*n).is_some_and(fits));
    family(target, seeds.collect(), within)
}

/// These manifests with the indexes above them, the manifests below them, and what is about them (attestations).
fn family(
    target: &Target,
    seeds: BTreeSet<usize>,
    within: &BTreeSet<usize>,
) -> Option<BTreeSet<usize>> {
    if seeds.is_empty() {
        return None;
    }
    let parent = |n: usize| target.manifests.get(n)?.parent.map(|parent| parent as usize);
    let subjects: BTreeSet<_> =
        seeds.iter().filter_map(|n| target.manifests.get(*n)?.digest).collect();
    let mut kept = seeds.clone();
    for n in within {
        // Parents stand before their children.
        let below = parent(*n).is_some_and(|parent| seeds.contains(&parent));
        let about = target.manifests.get(*n).and_then(|manifest| manifest.subject);
        if below || about.is_some_and(|subject| subjects.contains(&subject)) {
            kept.insert(*n);
        }
    }
    for n in kept.clone() {
        let mut above = parent(n);
        while let Some(n) = above {
            kept.insert(n);
            above = parent(n).filter(|up| *up < n);
        }
    }
    Some(kept)
}

/// `linux/arm64` means every variant; 64-bit ARM without a variant is v8.
fn same_platform(wanted: &str, has: &str) -> bool {
    let parts = |text: &str| {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        (parts.next(), parts.next(), parts.next())
    };
    let (os, arch, variant) = parts(wanted);
    let (has_os, has_arch, has_variant) = parts(has);
    let default = (arch.as_deref() == Some("arm64")).then(|| "v8".to_owned());
    os == has_os && arch == has_arch && (variant.is_none() || variant == has_variant.or(default))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dd_inspect::failure::{Category, classify};
    use dd_inspect::package::Range;
    use dd_inspect::record::Exact;

    fn manifest(name: &str, platform: Option<&str>, parent: Option<u32>) -> Manifest {
        Manifest {
            digest: Some(Digest::of(name.as_bytes())),
            document: Some(Range { offset: 0, len: 0 }),
            size: None,
            media_type: None,
            platform: platform.map(str::to_owned),
            names: vec![name.to_owned()],
            parent,
            config: None,
            layers: Vec::new(),
            subject: None,
        }
    }

    fn target(manifests: Vec<Manifest>) -> Target {
        Target {
            transport: "docker-archive".to_owned(),
            exact: Exact::File,
            names: Vec::new(),
            digest: None,
            index: None,
            docker_manifest: None,
            manifests,
            file: None,
        }
    }

    fn recipe() -> Recipe {
        let about = Manifest {
            subject: Some(Digest::of(b"arm")),
            ..manifest("sbom", Some("unknown/unknown"), Some(0))
        };
        let multi = target(vec![
            manifest("index", None, None),
            manifest("amd", Some("linux/amd64"), Some(0)),
            manifest("arm", Some("linux/arm64/v8"), Some(0)),
            about,
        ]);
        let two = target(vec![
            manifest("a:1", Some("linux/amd64"), None),
            manifest("b:1", Some("linux/amd64"), None),
        ]);
        Recipe {
            version: 1,
            requires: Vec::new(),
            memory: 0,
            scratch: 0,
            documents: 0,
            contents: Vec::new(),
            layers: Vec::new(),
            targets: vec![multi, two],
        }
    }

    fn chosen(targets: &[&str], platforms: &[&str]) -> Vec<(usize, Vec<usize>, bool)> {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let wanted = Wanted { targets: texts(targets), platforms: texts(platforms) };
        let chosen = choose(&recipe(), &wanted).unwrap();
        chosen.into_iter().map(|c| (c.number, c.manifests, c.narrowed)).collect()
    }

    #[test]
    fn everything_without_a_choice() {
        assert_eq!(chosen(&[], &[]), [(0, vec![0, 1, 2, 3], false), (1, vec![0, 1], false)]);
    }

    #[test]
    fn a_platform_keeps_its_index_and_attestation() {
        assert_eq!(chosen(&[], &["linux/arm64"]), [(0, vec![0, 2, 3], true)]);
        assert_eq!(chosen(&["index"], &["linux/amd64"]), [(0, vec![0, 1], true)]);
    }

    #[test]
    fn names_and_digests() {
        assert_eq!(chosen(&["b:1"], &[]), [(1, vec![1], true)]);
        assert_eq!(chosen(&[&Digest::of(b"a:1").to_string()], &[]), [(1, vec![0], true)]);
        assert_eq!(chosen(&["index"], &[]), [(0, vec![0, 1, 2, 3], false)]);
        for spelling in ["docker.io/b:1", "library/b:1", "docker.io/library/b:1"] {
            assert_eq!(chosen(&[spelling], &[]), [(1, vec![1], true)]);
        }
        assert_eq!(chosen(&["docker.io/library/index:latest"], &[]).len(), 1);
        let nothing = Wanted { targets: vec!["c:1".to_owned()], ..Wanted::default() };
        let error = choose(&recipe(), &nothing).unwrap_err();
        assert_eq!(classify(&error).category, Category::NotFound);
    }

    #[test]
    fn variants() {
        assert!(same_platform("linux/arm64", "linux/arm64/v8"));
        assert!(same_platform("linux/arm64/v8", "linux/arm64"));
        assert!(!same_platform("linux/arm/v6", "linux/arm/v7"));
        assert!(!same_platform("linux/arm64", "linux/amd64"));
    }
}
