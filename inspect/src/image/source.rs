//! What is wanted of an image: by name, by number, by platform.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::archive::TarIndex;
use super::assemble::Found;
use super::blobs::Blobs;
use super::docker::{DockerImage, config, full_name};
use super::document::{Budget, DockerEntry, Document};
use super::node::Top;
use super::platform::Platform;
use super::walk::{MAX_LAYERS, Walk};
use super::{Options, Origin};
use crate::digest::Digest;
use crate::fail;

/// An image and where its blobs are.
pub struct Source<'a> {
    /// Where its blobs are.
    pub blobs: &'a dyn Blobs,
    /// The archive whose members `manifest.json` names.
    pub archive: Option<&'a TarIndex>,
    /// `index.json`.
    pub index: Option<Document>,
    /// `manifest.json`.
    pub docker: Option<Document>,
}

impl Source<'_> {
    /// Finds everything that is wanted, and whether that is less than all.
    pub fn find(
        self,
        tops: &[Top],
        entries: &[DockerEntry],
        origin: &Origin<'_>,
        options: &Options,
    ) -> anyhow::Result<(Found, bool)> {
        let what = origin.reference;
        let chosen = choose(tops, entries, origin)?;
        let budget = Budget::default();
        // An old docker-archive has no manifests: its images are narrowed in another way.
        let platform = options.platform.as_ref().filter(|_| !chosen.tops.is_empty());
        let walk = Walk { blobs: self.blobs, what, platform, budget: &budget };
        let nodes = walk.nodes(&chosen.tops)?;
        let known: HashSet<Digest> =
            nodes.iter().filter_map(|node| Some(node.config.as_ref()?.descriptor.digest)).collect();
        let docker = self.docker_images(&chosen.entries, &known, &budget, what)?;
        let (docker, left_out) = narrow(docker, options.platform.as_ref());
        if let Some(wanted) =
            options.platform.as_ref().filter(|_| chosen.tops.is_empty() && docker.is_empty())
        {
            let platforms = left_out.iter().filter_map(|image| image.parsed.platform.as_ref());
            let platforms: BTreeSet<String> = platforms.map(ToString::to_string).collect();
            let list = platforms.into_iter().collect::<Vec<_>>().join(", ");
            fail!(NotFound, "{what} has no image for {wanted}; its platforms: {list}");
        }
        let narrowed =
            chosen.narrowed || !left_out.is_empty() || nodes.iter().any(|node| node.left_out);
        let tops: HashSet<Digest> = chosen.tops.iter().map(|top| top.descriptor.digest).collect();
        // After narrowing by name the documents name more than there is; by platform, index.json keeps its digest.
        let found = Found {
            names: names(&chosen.tops, &chosen.entries, &docker, &left_out),
            top: if tops.len() == 1 && docker.is_empty() { tops.into_iter().next() } else { None },
            index: self.index.filter(|_| !chosen.narrowed).map(|document| document.range),
            docker_manifest: self
                .docker
                .filter(|_| !chosen.narrowed && left_out.is_empty())
                .map(|document| document.range),
            nodes,
            docker,
        };
        Ok((found, narrowed))
    }

    /// The images that only `manifest.json` names: whose configuration is no manifest's.
    fn docker_images(
        &self,
        entries: &[DockerEntry],
        known: &HashSet<Digest>,
        budget: &Budget,
        what: &str,
    ) -> anyhow::Result<Vec<DockerImage>> {
        let mut images = Vec::new();
        let mut layers = 0;
        for entry in entries {
            let Some(archive) = self.archive else { break };
            let document = config(archive, entry, budget, what)?;
            if known.contains(&document.digest()) {
                continue;
            }
            layers += entry.layers.as_ref().map_or(0, Vec::len);
            if layers > MAX_LAYERS {
                fail!(Limit, "{what} has more than {MAX_LAYERS} layers");
            }
            images.push(DockerImage::find(archive, entry, document, what)?);
        }
        Ok(images)
    }
}
/// Gives what `index.json` names the spelling of `manifest.json`, where both name the same.
pub fn name_tops(tops: &mut [Top], entries: &[DockerEntry]) {
    let tags = entries.iter().flat_map(|entry| entry.repo_tags.iter().flatten());
    let spelling: HashMap<String, &String> = tags.map(|tag| (full_name(tag), tag)).collect();
    for name in tops.iter_mut().flat_map(|top| top.names.iter_mut()) {
        if let Some(tag) = spelling.get(&full_name(name)) {
            (*tag).clone_into(name);
        }
    }
}

/// The images that are for a platform, and the others.
fn narrow(
    images: Vec<DockerImage>,
    wanted: Option<&Platform>,
) -> (Vec<DockerImage>, Vec<DockerImage>) {
    let Some(wanted) = wanted else { return (images, Vec::new()) };
    let fits = |image: &DockerImage| {
        image.parsed.platform.as_ref().is_some_and(|found| wanted.accepts(found))
    };
    images.into_iter().partition(fits)
}

/// The names of an image: those of `manifest.json` first, then what only `index.json` says; without those that only
/// what was left out has.
fn names(
    tops: &[Top],
    entries: &[DockerEntry],
    docker: &[DockerImage],
    left_out: &[DockerImage],
) -> Vec<String> {
    let gone: HashSet<&String> = left_out.iter().flat_map(|image| &image.names).collect();
    let of_entries = entries.iter().flat_map(|entry| entry.repo_tags.iter().flatten());
    let of_entries = of_entries.filter(|name| !gone.contains(name));
    let of_docker = docker.iter().flat_map(|image| &image.names);
    let mut seen = HashSet::new();
    let all = of_entries.chain(of_docker).chain(tops.iter().flat_map(|top| &top.names));
    all.filter(|name| seen.insert(*name)).cloned().collect()
}

/// What was asked for among several images.
struct Chosen {
    tops: Vec<Top>,
    entries: Vec<DockerEntry>,
    narrowed: bool,
}

fn choose(tops: &[Top], entries: &[DockerEntry], origin: &Origin<'_>) -> anyhow::Result<Chosen> {
    let Some(name) = origin.name else {
        return Ok(Chosen { tops: tops.to_vec(), entries: entries.to_vec(), narrowed: false });
    };
    let full = full_name(name);
    let is_meant = |found: &String| *found == name || full_name(found) == full;
    let (chosen_tops, chosen_entries): (Vec<Top>, Vec<DockerEntry>) =
        match name.strip_prefix('@').map(str::parse) {
            Some(Ok(number)) => numbered(tops, entries, number),
            _ => {
                let ref_name = |top: &Top| {
                    top.descriptor.annotations.get("org.opencontainers.image.ref.name").cloned()
                };
                let by_name = |top: &&Top| top.names.iter().chain(&ref_name(top)).any(is_meant);
                let by_tag = |entry: &&DockerEntry| entry.repo_tags.iter().flatten().any(is_meant);
                (
                    tops.iter().filter(by_name).cloned().collect(),
                    entries.iter().filter(by_tag).cloned().collect(),
                )
            }
        };
    if chosen_tops.is_empty() && chosen_entries.is_empty() {
        let list = names(tops, entries, &[], &[]);
        let list = if list.is_empty() {
            "it names none".to_owned()
        } else {
            format!("it has {}", list.join(", "))
        };
        fail!(NotFound, "{} holds no image {name}; {list}", origin.reference);
    }
    // A manifest.json that alone has names may still be about the one manifest of the index.
    let chosen_tops =
        if chosen_tops.is_empty() && tops.len() == 1 { tops.to_vec() } else { chosen_tops };
    let narrowed = chosen_tops.len() < tops.len() || chosen_entries.len() < entries.len();
    Ok(Chosen { tops: chosen_tops, entries: chosen_entries, narrowed })
}

fn numbered(tops: &[Top], entries: &[DockerEntry], number: usize) -> (Vec<Top>, Vec<DockerEntry>) {
    let top = tops.get(number).cloned();
    match entries.get(number) {
        None => (top.into_iter().collect(), Vec::new()),
        Some(entry) => {
            let tags: HashSet<String> =
                entry.repo_tags.iter().flatten().map(|tag| full_name(tag)).collect();
            let is_meant =
                |top: &&Top| top.names.iter().any(|name| tags.contains(&full_name(name)));
            (tops.iter().filter(is_meant).cloned().collect(), vec![entry.clone()])
        }
    }
}
