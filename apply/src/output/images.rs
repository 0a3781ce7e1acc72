//! The chosen images as content: blobs by digest, and what names them.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context;
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::package::{Documents, Manifest, Recipe, Target};
use dd_inspect::{fail, failure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::plan::Part;
use crate::choice::Chosen;
use crate::rebuild::Piece;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How to write images anew.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names instead of those that the package suggests.
    pub names: Vec<String>,
}

/// A manifest or index that nothing in the output names but its index.
#[derive(Debug, Clone, PartialEq)]
pub struct Top {
    /// Its descriptor.
    pub descriptor: Value,
    /// The descriptors, one a name, that the target's own `index.json` has for it; none once it has other names.
    pub originals: Vec<Value>,
    /// Its digest.
    pub digest: Digest,
    /// Its names.
    pub names: Vec<String>,
    /// The digest of its configuration, or of the only one below it.
    pub config: Option<Digest>,
    /// The manifest was made: the target had none.
    pub made: bool,
}

/// An image as docker-archive's `manifest.json` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerImage {
    /// The digest of its configuration.
    pub config: Digest,
    /// Its names.
    pub names: Vec<String>,
    /// The numbers of its layers.
    pub layers: Vec<u32>,
}

/// The chosen images.
#[derive(Debug, Clone, Default)]
pub struct Images {
    /// Layers as stored, each digest once.
    pub layers: Vec<(Digest, Part)>,
    /// Configurations, manifests and indexes, each digest once, what is named before what names it.
    pub documents: Vec<(Digest, Part)>,
    /// Those of the documents that are manifests or indexes.
    pub manifests: BTreeSet<Digest>,
    /// Those of the manifests that are images.
    pub image_manifests: BTreeSet<Digest>,
    /// What an `index.json` lists.
    pub tops: Vec<Top>,
    /// What a `manifest.json` of docker-archive lists.
    pub docker: Vec<DockerImage>,
}

#[derive(Deserialize)]
struct LayoutIndex {
    manifests: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct DockerEntry {
    #[serde(rename = "Config")]
    config: String,
}

impl Images {
    /// Gathers what the chosen images consist of.
    ///
    /// # Errors
    /// `usage` if names are given for several images; `package-corrupt`.
    pub fn new(
        recipe: &Recipe,
        documents: &Documents,
        chosen: &[Chosen],
        options: &Options,
    ) -> anyhow::Result<Self> {
        let mut images = Self::default();
        let mut seen = BTreeSet::new();
        for one in chosen {
            let Some(target) = one.target(recipe) else { continue };
            let context = Gathering { recipe, documents, target, one };
            images.add_layers(&context, &mut seen)?;
            images.add_documents(&context, &mut seen)?;
            images.add_docker(&context)?;
        }
        images.rename(options)?;
        Ok(images)
    }

    /// Whether a document is the manifest of an image, in contrast to an index.
    pub fn is_image(&self, digest: &Digest) -> bool {
        self.image_manifests.contains(digest)
    }

    /// One of the image manifests below an index, without the index.
    ///
    /// # Errors
    /// There is no such manifest.
    pub fn alone(&self, digest: Digest, recipe: &Recipe) -> anyhow::Result<Self> {
        let mut alone = self.clone();
        let manifests = recipe.targets.iter().flat_map(|target| &target.manifests);
        let manifest = manifests.into_iter().find(|manifest| manifest.digest == Some(digest));
        let manifest = manifest.context("there is no such manifest")?;
        let names = self.tops.iter().flat_map(|top| top.names.iter().cloned()).collect();
        let size = manifest.document.map_or(0, |range| range.len);
        let media_type = manifest.media_type.as_deref().unwrap_or(MANIFEST);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": size});
        let config = manifest.config.map(|config| config.digest);
        alone.tops =
            vec![Top { descriptor, originals: Vec::new(), digest, names, config, made: false }];
        let keep = |document: &Digest| {
            *document == digest || Some(*document) == config || !self.manifests.contains(document)
        };
        alone.documents.retain(|(document, _)| keep(document));
        let layers: BTreeSet<_> =
            manifest.layers.iter().filter_map(|n| recipe.layer_digest(*n)).collect();
        alone.layers.retain(|(layer, _)| layers.contains(layer));
        Ok(alone)
    }

    /// Fails unless there is something that an archive or a layout can name.
    ///
    /// # Errors
    /// `usage`.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.tops.is_empty() {
            fail!(
                Usage,
                "the package's images have no manifest and no configuration: they can be written only as their own file"
            );
        }
        Ok(())
    }

    fn rename(&mut self, options: &Options) -> anyhow::Result<()> {
        if options.names.is_empty() {
            return Ok(());
        }
        let [top] = &mut self.tops[..] else {
            fail!(Usage, "a name is given for {} images", self.tops.len(); "choose one with --image NAME|DIGEST");
        };
        top.names.clone_from(&options.names);
        top.originals.clear();
        for (n, image) in self.docker.iter_mut().enumerate() {
            image.names = if n == 0 { options.names.clone() } else { Vec::new() };
        }
        Ok(())
    }

    fn add_layers(
        &mut self,
        context: &Gathering<'_>,
        seen: &mut BTreeSet<Digest>,
    ) -> anyhow::Result<()> {
        let mut layers = context.one.layers(context.recipe);
        layers.sort_unstable();
        for number in layers {
            let digest = context.layer(number)?;
            if seen.insert(digest) {
                self.layers.push((digest, Part::Piece(Piece::Layer(number))));
            }
        }
        Ok(())
    }

    /// Children stand after their parents in the recipe: from the last to the first.
    fn add_documents(
        &mut self,
        context: &Gathering<'_>,
        seen: &mut BTreeSet<Digest>,
    ) -> anyhow::Result<()> {
        let originals = context.descriptors()?;
        let mut tops = Vec::new();
        for (_, manifest) in
            context.one.manifests(context.recipe).collect::<Vec<_>>().into_iter().rev()
        {
            let config =
                manifest.config.and_then(|c| Some((c.digest, Part::Document(c.document?))));
            let own = manifest.digest.zip(manifest.document.map(Part::Document));
            let made = match (&own, &config) {
                (None, Some(_)) if !manifest.gap() => Some(context.make_manifest(manifest)?),
                _ => None,
            };
            let made_part =
                made.as_ref().map(|(bytes, digest)| (*digest, Part::Bytes(bytes.clone())));
            let manifests: Vec<Digest> =
                [&own, &made_part].into_iter().flatten().map(|(digest, _)| *digest).collect();
            self.manifests.extend(&manifests);
            if manifest.config.is_some() {
                self.image_manifests.extend(manifests);
            }
            for (digest, part) in [config, own, made_part].into_iter().flatten() {
                if seen.insert(digest) {
                    self.documents.push((digest, part));
                }
            }
            if manifest.parent.is_none() {
                tops.extend(context.top(manifest, made, &originals)?);
            }
        }
        self.tops.extend(tops.into_iter().rev());
        Ok(())
    }

    fn add_docker(&mut self, context: &Gathering<'_>) -> anyhow::Result<()> {
        let listed = context.docker_configs()?;
        let mut named: BTreeSet<Vec<String>> = BTreeSet::new();
        for (place, manifest) in context.one.manifests(context.recipe) {
            let Some(config) = manifest.config.filter(|config| config.document.is_some()) else {
                continue;
            };
            let attestation = manifest.subject.is_some()
                || manifest.platform.as_deref() == Some("unknown/unknown");
            let complete = manifest
                .layers
                .iter()
                .all(|n| context.recipe.layers.get(*n as usize).is_some_and(|layer| !layer.gap));
            if attestation
                || !complete
                || !listed.as_ref().is_none_or(|l| l.contains(&config.digest))
            {
                continue;
            }
            let names = context.names_of(place);
            // Of the platforms of one name, a docker-archive lists the first.
            if !names.is_empty() && !named.insert(names.clone())
                || context.follows_another(place, &self.docker)
            {
                continue;
            }
            let layers = manifest.layers.clone();
            self.docker.push(DockerImage { config: config.digest, names, layers });
        }
        Ok(())
    }
}

struct Gathering<'a> {
    recipe: &'a Recipe,
    documents: &'a Documents,
    target: &'a Target,
    one: &'a Chosen,
}

impl Gathering<'_> {
    fn layer(&self, number: u32) -> anyhow::Result<Digest> {
        let digest = self.recipe.layer_digest(number);
        Ok(digest
            .ok_or_else(|| failure!(PackageCorrupt, "the package's recipe lacks layer {number}"))?)
    }

    /// The descriptors that the target's own `index.json` has, by digest.
    fn descriptors(&self) -> anyhow::Result<HashMap<String, Vec<Value>>> {
        let Some(range) = self.target.index else { return Ok(HashMap::new()) };
        let index: LayoutIndex = serde_json::from_slice(&self.documents.read(range)?)
            .map_err(|e| failure!(PackageCorrupt, "the package's index.json is broken: {e}"))?;
        let mut by_digest: HashMap<String, Vec<Value>> = HashMap::new();
        for descriptor in index.manifests.unwrap_or_default() {
            if let Some(digest) = descriptor.get("digest").and_then(Value::as_str) {
                by_digest.entry(digest.to_owned()).or_default().push(descriptor);
            }
        }
        Ok(by_digest)
    }

    /// The configurations that the target's own `manifest.json` lists; none without one.
    fn docker_configs(&self) -> anyhow::Result<Option<BTreeSet<Digest>>> {
        let Some(range) = self.target.docker_manifest else { return Ok(None) };
        let entries: Vec<DockerEntry> = serde_json::from_slice(&self.documents.read(range)?)
            .map_err(|e| failure!(PackageCorrupt, "the package's manifest.json is broken: {e}"))?;
        let hex = |entry: DockerEntry| {
            let name = entry.config.rsplit('/').next()?.trim_end_matches(".json").to_owned();
            format!("sha256:{name}").parse().ok()
        };
        let listed: BTreeSet<_> = entries.into_iter().filter_map(hex).collect();
        let chosen = self.one.manifests(self.recipe).filter_map(|(_, m)| Some(m.config?.digest));
        // A narrowed image may have none of them left.
        Ok(chosen.into_iter().any(|digest| listed.contains(&digest)).then_some(listed))
    }

    /// The names of a manifest: its own, else those of what stands above it, else those of the target.
    fn names_of(&self, place: usize) -> Vec<String> {
        let mut at = Some(place);
        while let Some(manifest) = at.and_then(|n| self.target.manifests.get(n)) {
            if !manifest.names.is_empty() {
                return manifest.names.clone();
            }
            at = manifest.parent.map(|parent| parent as usize).filter(|parent| Some(*parent) < at);
        }
        let tops = self.one.manifests(self.recipe).filter(|(_, m)| m.parent.is_none()).count();
        if tops == 1 { self.target.names.clone() } else { Vec::new() }
    }

    /// Whether a manifest is the second or later without a name below one index.
    fn follows_another(&self, place: usize, before: &[DockerImage]) -> bool {
        let Some(parent) = self.target.manifests.get(place).and_then(|m| m.parent) else {
            return false;
        };
        let earlier = self.target.manifests.iter().take(place).filter(|m| m.parent == Some(parent));
        let mut configs = earlier.filter_map(|m| Some(m.config?.digest));
        configs.any(|config| before.iter().any(|image| image.config == config))
    }

    fn top(
        &self,
        manifest: &Manifest,
        made: Option<(Vec<u8>, Digest)>,
        originals: &HashMap<String, Vec<Value>>,
    ) -> anyhow::Result<Option<Top>> {
        let place = self.target.manifests.iter().position(|other| std::ptr::eq(other, manifest));
        let names = place.map(|place| self.names_of(place)).unwrap_or_default();
        let config = self.only_config(manifest, place);
        if let Some((bytes, digest)) = made {
            let descriptor = json!({"mediaType": MANIFEST, "digest": digest, "size": bytes.len()});
            return Ok(Some(Top {
                descriptor,
                originals: Vec::new(),
                digest,
                names,
                config,
                made: true,
            }));
        }
        let Some((digest, document)) = manifest.digest.zip(manifest.document) else {
            return Ok(None);
        };
        let originals = originals.get(&digest.to_string()).cloned().unwrap_or_default();
        if let Some(descriptor) = originals.first().cloned() {
            return Ok(Some(Top { descriptor, originals, digest, names, config, made: false }));
        }
        let is_index = self.target.manifests.iter().any(|m| m.parent.map(|p| p as usize) == place)
            || manifest.config.is_none() && manifest.layers.is_empty();
        let media_type = match &manifest.media_type {
            Some(media_type) => media_type.as_str(),
            None if is_index => INDEX,
            None => MANIFEST,
        };
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": document.len});
        Ok(Some(Top { descriptor, originals: Vec::new(), digest, names, config, made: false }))
    }

    /// The configuration of a manifest, or of the only image below an index.
    fn only_config(&self, manifest: &Manifest, place: Option<usize>) -> Option<Digest> {
        if let Some(config) = manifest.config {
            return Some(config.digest);
        }
        let below = self.one.manifests(self.recipe).filter(|(_, m)| {
            m.parent.is_some()
                && m.parent.map(|parent| parent as usize) == place
                && m.subject.is_none()
        });
        let mut configs = below.filter_map(|(_, m)| Some(m.config?.digest));
        configs.next().filter(|_| configs.next().is_none())
    }

    /// An OCI manifest for an image that had none (an old docker-archive).
    fn make_manifest(&self, manifest: &Manifest) -> anyhow::Result<(Vec<u8>, Digest)> {
        let config = manifest.config.context("an image has no configuration")?;
        let len = config.document.map_or(0, |range| range.len);
        let mut layers = Vec::new();
        for number in &manifest.layers {
            let digest = self.layer(*number)?;
            let layer = self.recipe.layers.get(*number as usize);
            let media_type = layer.and_then(|layer| layer.media_type.clone());
            let packed =
                layer.is_some_and(|layer| layer.encoding.is_some() || layer.form.is_some());
            let media_type = media_type
                .unwrap_or_else(|| if packed { format!("{LAYER}+gzip") } else { LAYER.to_owned() });
            let size = self.recipe.layer_size(*number).unwrap_or(0);
            layers.push(json!({"mediaType": media_type, "digest": digest, "size": size}));
        }
        let value = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config.digest, "size": len},
            "layers": layers,
        });
        let bytes = serde_json::to_vec(&value)?;
        let digest = Digest::of(&bytes);
        Ok((bytes, digest))
    }
}

/// The content of a layer; none for a layer that has none.
pub fn content_of(recipe: &Recipe, layer: u32) -> Option<(u32, DiffId)> {
    let number = recipe.layers.get(layer as usize)?.content?;
    Some((number, recipe.content(number)?.diff_id))
}
