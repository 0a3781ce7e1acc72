//! Images to places that are no files: what they get, and what is compared afterwards.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;

use anyhow::Context;
use dd_inspect::child::RegistryOptions;
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::elsewhere::daemon::with_tag;
use dd_inspect::fail;
use dd_inspect::package::Recipe;
use dd_inspect::store::Store;

use crate::choice::Chosen;
use crate::elsewhere::daemon::{self, Load};
use crate::elsewhere::{Arrived, push};
use crate::output::archive::{self, Kind};
use crate::output::images::{Images, content_of};
use crate::output::tree::Tree;
use crate::output::{Plan, dir, stream};
use crate::rebuild::{Rebuilder, Work};

/// How images get to their place.
#[derive(Debug)]
pub enum Remote {
    /// An archive into `docker load`.
    Load(Plan, Vec<Loaded>),
    /// A directory that skopeo copies to this reference.
    Push(String, Tree, Arrived),
}

/// An image that a daemon is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its names, with tags.
    pub names: Vec<String>,
    /// The digests that a daemon may know it by.
    pub identities: Vec<Digest>,
    /// Its layers.
    pub diff_ids: Vec<DiffId>,
}

/// Whether this reference is a daemon that takes archives.
pub fn is_loaded(reference: &str) -> bool {
    reference.starts_with("docker-daemon:") && daemon::by_client()
}

/// The name in `docker-daemon:NAME`.
pub fn name_in(reference: &str) -> Option<&str> {
    reference.strip_prefix("docker-daemon:").filter(|name| !name.is_empty())
}

impl Remote {
    /// Decides; `store` is where a daemon may be asked what it has.
    ///
    /// # Errors
    /// `usage` if the place does not take these images.
    pub fn new(
        reference: &str,
        recipe: &Recipe,
        chosen: &[Chosen],
        images: &Images,
        store: Option<&Store>,
    ) -> anyhow::Result<Self> {
        if is_loaded(reference) {
            let loaded = loaded(recipe, images)?;
            let held = match (&loaded[..], store) {
                ([one], Some(store)) => daemon::held_layers(&one.diff_ids, store),
                _ => 0,
            };
            return Ok(Self::Load(archive_without(held, recipe, images)?, loaded));
        }
        let complete = chosen.iter().all(|one| is_complete(one, recipe));
        let images = match only_image(chosen, recipe) {
            Some(manifest) if !complete || !takes_indexes(reference) => {
                images.alone(manifest, recipe)?
            }
            _ if complete => images.clone(),
            _ => {
                fail!(Usage, "{reference} would get an index without some of its images"; "choose one with --platform")
            }
        };
        let tree = dir::tree(&images)?;
        let top = images.tops.first().context("there is no image")?;
        let is_index = !images.is_image(&top.digest);
        let arrived = Arrived { manifest: top.digest, is_index, config: top.config };
        let reference = match reference {
            "docker-daemon:" => match top.names.first() {
                Some(name) => format!("docker-daemon:{}", with_tag(name)),
                None => fail!(Usage, "the image has no name"; "docker-daemon:NAME gives one"),
            },
            other => other.to_owned(),
        };
        Ok(Self::Push(reference, tree, arrived))
    }

    /// The pieces that are to be made.
    pub fn pieces(&self) -> Vec<crate::rebuild::Piece> {
        match self {
            Self::Load(plan, _) => plan.pieces().collect(),
            Self::Push(_, tree, _) => tree.pieces().collect(),
        }
    }

    /// Bytes that are handed over.
    ///
    /// # Errors
    /// `package-corrupt` for impossible sizes.
    pub fn size(&self, recipe: &Recipe) -> anyhow::Result<u64> {
        match self {
            Self::Load(plan, _) => plan.size(recipe),
            Self::Push(_, tree, _) => tree.size(recipe),
        }
    }

    /// Fails if a name already means another image. What is pushed is named by the user.
    ///
    /// # Errors
    /// `exists`; the daemon cannot be asked.
    pub fn check_names(&self, store: &Store) -> anyhow::Result<()> {
        let Self::Load(_, loaded) = self else { return Ok(()) };
        loaded.iter().try_for_each(|one| daemon::check_names(&one.names, &one.identities, store))
    }

    /// Rebuilds and hands over.
    ///
    /// # Errors
    /// The base or the package is damaged; a helper program failed; something else arrived.
    pub fn write(
        &self,
        rebuilder: &Rebuilder,
        work: &Work,
        jobs: usize,
        options: &RegistryOptions,
        store: &Store,
    ) -> anyhow::Result<()> {
        match self {
            Self::Load(plan, loaded) => load(plan, loaded, rebuilder, work, store),
            Self::Push(reference, tree, arrived) => {
                let directory = store.temporary_directory()?;
                tree.write_into(directory.path(), rebuilder, work, jobs)?;
                let mut source = OsString::from("dir:");
                source.push(directory.path());
                push(&source, reference, arrived, options, store)?;
                Ok(())
            }
        }
    }
}

fn load(
    plan: &Plan,
    loaded: &[Loaded],
    rebuilder: &Rebuilder,
    work: &Work,
    store: &Store,
) -> anyhow::Result<()> {
    let mut load = Load::start(store)?;
    let written = stream::write(plan, rebuilder, work, &mut load, true)
        .and_then(|()| rebuilder.blobs.finish())
        .and_then(|()| load.flush().context("writing to docker load"));
    if let Err(error) = written {
        return Err(load.give_up(error));
    }
    let said = load.finish()?;
    for (n, one) in loaded.iter().enumerate() {
        let unnamed = said.get(n).filter(|_| one.names.is_empty());
        for name in one.names.iter().chain(unnamed) {
            daemon::verify(name, &one.identities, &one.diff_ids, store)?;
        }
    }
    Ok(())
}

/// An archive for a daemon that has the lowest `held` layers of the only image. Only the classic store can do without
/// them; it unpacks layers, so that they go there uncompressed.
fn archive_without(held: usize, recipe: &Recipe, images: &Images) -> anyhow::Result<Plan> {
    let ([image], true) = (&images.docker[..], held > 0) else {
        return archive::plan(images, Kind::Docker, recipe, None, &BTreeSet::new());
    };
    let lowest = image.layers.iter().take(held);
    let omitted = lowest.filter_map(|n| Some(content_of(recipe, *n)?.1.into())).collect();
    archive::plan(images, Kind::DockerPlain, recipe, None, &omitted)
}

fn loaded(recipe: &Recipe, images: &Images) -> anyhow::Result<Vec<Loaded>> {
    if images.docker.is_empty() {
        fail!(Usage, "the package has no image that the Docker daemon can load");
    }
    let one = |image: &crate::output::images::DockerImage| {
        let mut identities = vec![image.config];
        identities.extend(images.tops.iter().map(|top| top.digest));
        identities.extend(images.manifests.iter());
        let diff_ids = image.layers.iter().filter_map(|n| Some(content_of(recipe, *n)?.1));
        let names = image.names.iter().map(|name| with_tag(name)).collect();
        Loaded { names, identities, diff_ids: diff_ids.collect() }
    };
    Ok(images.docker.iter().map(one).collect())
}

fn takes_indexes(reference: &str) -> bool {
    reference.starts_with("docker:")
}

/// Whether every manifest that an index of this image names is there.
fn is_complete(one: &Chosen, recipe: &Recipe) -> bool {
    let gaps = |target: &dd_inspect::package::Target| target.manifests.iter().any(|m| m.gap());
    !one.narrowed && !one.target(recipe).is_none_or(gaps)
}

/// The only image among the chosen manifests.
fn only_image(chosen: &[Chosen], recipe: &Recipe) -> Option<Digest> {
    let images = chosen.iter().flat_map(|one| one.manifests(recipe));
    let mut images = images
        .filter(|(_, m)| m.config.is_some() && m.subject.is_none() && !m.gap())
        .filter_map(|(_, m)| m.digest);
    images.next().filter(|_| images.next().is_none())
}
