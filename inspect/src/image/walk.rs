//! Follows an image's documents: from the top through indexes to manifests, configurations and layers.

use std::collections::{HashMap, HashSet};

use super::blobs::{Blob, Blobs};
use super::document::{
    Budget, Descriptor, Document, MAX_DOCUMENT_LEN, ManifestDocument, Parsed, is_foreign_type,
    is_layer_type, is_manifest_type, parse_config, parse_manifest,
};
use super::node::{ConfigNode, LayerNode, Node, Top};
use super::platform::Platform;
use crate::digest::{DiffId, Digest};
use crate::fail;
use crate::range::ReadAt;

/// How deep indexes may stand in each other.
const MAX_DEPTH: usize = 8;
/// Manifests and indexes that one image may have.
const MAX_MANIFESTS: usize = 10_000;
/// Layers that one image may have, over all its manifests.
pub const MAX_LAYERS: usize = 100_000;

/// What to follow, and how.
pub struct Walk<'a> {
    /// Where the blobs are.
    pub blobs: &'a dyn Blobs,
    /// Names the image in errors.
    pub what: &'a str,
    /// Only this platform; the others become gaps.
    pub platform: Option<&'a Platform>,
    /// What may be read.
    pub budget: &'a Budget,
}

impl Walk<'_> {
    /// All manifests and indexes, each index before what it names.
    ///
    /// # Errors
    /// `not-an-image` for broken documents and absent blobs; `not-found` if nothing has the platform, naming those
    /// present; `limit`.
    pub fn nodes(&self, tops: &[Top]) -> anyhow::Result<Vec<Node>> {
        let mut walker = Walker { walk: self, nodes: Vec::new(), seen: HashMap::new(), layers: 0 };
        let descriptors: Vec<&Descriptor> = tops.iter().map(|top| &top.descriptor).collect();
        let kept = self.kept(&descriptors);
        for top in tops {
            walker.visit(
                &top.descriptor,
                &top.names,
                None,
                0,
                kept.contains(&top.descriptor.digest),
            )?;
        }
        let mut nodes = walker.nodes;
        if let Some(platform) = self.platform {
            self.narrow(&mut nodes, platform)?;
        }
        self.check_missing(&nodes)?;
        Ok(nodes)
    }

    /// The entries of an index that are wanted, as far as the index tells: those of the platform, their
    /// attestations, and those that say no platform.
    fn kept(&self, entries: &[&Descriptor]) -> HashSet<Digest> {
        let Some(wanted) = self.platform else {
            return entries.iter().map(|entry| entry.digest).collect();
        };
        let fits = |entry: &&&Descriptor| {
            entry.attests().is_none()
                && entry.platform.as_ref().is_none_or(|found| wanted.accepts(found))
        };
        let mut kept: HashSet<Digest> =
            entries.iter().filter(fits).map(|entry| entry.digest).collect();
        let attests =
            |entry: &&&Descriptor| entry.attests().is_some_and(|about| kept.contains(&about));
        let attestations: Vec<Digest> =
            entries.iter().filter(attests).map(|entry| entry.digest).collect();
        kept.extend(attestations);
        kept
    }

    /// Leaves out what turned out to be of another platform.
    fn narrow(&self, nodes: &mut [Node], wanted: &Platform) -> anyhow::Result<()> {
        let mut present: Vec<String> = Vec::new();
        let mut kept = HashSet::new();
        for node in nodes.iter() {
            let Some(found) = node.platform().filter(|found| !found.is_unknown()) else { continue };
            let has_document = node.document.is_some() || node.left_out;
            if has_document && !present.contains(&found.to_string()) {
                present.push(found.to_string());
            }
            if node.document.is_some() && node.is_image() && wanted.accepts(found) {
                kept.insert(node.descriptor.digest);
            }
        }
        if kept.is_empty() {
            let list = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
            fail!(NotFound, "{} has no image for {wanted}; its platforms: {list}", self.what);
        }
        for node in nodes.iter_mut().filter(|node| matches!(node.parsed, Parsed::Manifest(_))) {
            let about = node.subject().is_some_and(|subject| kept.contains(&subject));
            if !about && !kept.contains(&node.descriptor.digest) {
                node.leave_out();
            }
        }
        Ok(())
    }

    /// A manifest's blobs must be there, unless the whole manifest was not pulled.
    fn check_missing(&self, nodes: &[Node]) -> anyhow::Result<()> {
        let any_whole = nodes.iter().any(|node| node.is_image() && node.missing.is_empty());
        for node in nodes.iter().filter(|node| !node.missing.is_empty()) {
            let without_config = matches!(&node.parsed, Parsed::Manifest(m) if m.config.is_some())
                && node.config.is_none();
            let not_pulled = without_config || node.layers.iter().all(|layer| layer.blob.is_none());
            let chosen = self.platform.is_some() && node.is_image();
            if any_whole && (!node.is_image() || (not_pulled && !chosen)) {
                continue;
            }
            if let Some(missing) = node.missing.first() {
                fail!(NotAnImage, "{} is incomplete: the manifest {} names the blob {missing}, which is absent",
                    self.what, node.descriptor.digest; "get the whole image again");
            }
        }
        if nodes
            .iter()
            .any(|node| matches!(node.parsed, Parsed::Manifest(_)) || node.document.is_some())
        {
            return Ok(());
        }
        match nodes.first() {
            Some(node) => fail!(NotAnImage, "{} is incomplete: its manifest {} is absent",
                self.what, node.descriptor.digest; "get the whole image again"),
            None => Ok(()),
        }
    }
}

struct Walker<'a> {
    walk: &'a Walk<'a>,
    nodes: Vec<Node>,
    seen: HashMap<Digest, usize>,
    layers: usize,
}

impl Walker<'_> {
    fn visit(
        &mut self,
        descriptor: &Descriptor,
        names: &[String],
        parent: Option<Digest>,
        depth: usize,
        kept: bool,
    ) -> anyhow::Result<()> {
        if depth > MAX_DEPTH {
            fail!(
                Limit,
                "{} has indexes within indexes, more than {MAX_DEPTH} deep",
                self.walk.what
            );
        }
        let number = match self.seen.get(&descriptor.digest).copied() {
            Some(number) => {
                let node = &mut self.nodes[number];
                for name in names {
                    if !node.names.contains(name) {
                        node.names.push(name.clone());
                    }
                }
                if !node.left_out || !kept {
                    return Ok(());
                }
                node.left_out = false;
                node.descriptor = descriptor.clone();
                number
            }
            None => self.add(descriptor, names, parent, !kept)?,
        };
        if kept { self.load(number, depth) } else { Ok(()) }
    }

    fn add(
        &mut self,
        descriptor: &Descriptor,
        names: &[String],
        parent: Option<Digest>,
        left_out: bool,
    ) -> anyhow::Result<usize> {
        let number = self.nodes.len();
        if number >= MAX_MANIFESTS {
            fail!(Limit, "{} has more than {MAX_MANIFESTS} manifests", self.walk.what);
        }
        self.seen.insert(descriptor.digest, number);
        self.nodes.push(Node {
            descriptor: descriptor.clone(),
            names: names.to_vec(),
            parent,
            document: None,
            parsed: Parsed::Opaque,
            config: None,
            layers: Vec::new(),
            left_out,
            missing: Vec::new(),
        });
        Ok(number)
    }

    fn load(&mut self, number: usize, depth: usize) -> anyhow::Result<()> {
        let descriptor = self.nodes[number].descriptor.clone();
        let Some(range) = self.walk.blobs.document(&descriptor)? else { return Ok(()) };
        self.nodes[number].document = Some(range.clone());
        let what = format!("{}: the manifest {}", self.walk.what, descriptor.digest);
        let declared = is_manifest_type(&descriptor.media_type);
        if !declared && range.size() > MAX_DOCUMENT_LEN {
            return Ok(());
        }
        self.walk.budget.take(range.size(), &what)?;
        let document = Document::read_verified(range, &descriptor, &what)?;
        let parsed = match parse_manifest(&document.bytes, &what) {
            Err(error) if declared => return Err(error),
            parsed => parsed.unwrap_or(Parsed::Opaque),
        };
        self.nodes[number].parsed = parsed.clone();
        match parsed {
            Parsed::Index(entries) => self.index(&entries, descriptor.digest, depth),
            Parsed::Manifest(manifest) => self.manifest(number, &manifest),
            Parsed::Opaque => Ok(()),
        }
    }

    fn index(
        &mut self,
        entries: &[Descriptor],
        digest: Digest,
        depth: usize,
    ) -> anyhow::Result<()> {
        let kept = self.walk.kept(&entries.iter().collect::<Vec<_>>());
        for entry in entries {
            self.visit(entry, &[], Some(digest), depth + 1, kept.contains(&entry.digest))?;
        }
        Ok(())
    }

    fn manifest(&mut self, number: usize, manifest: &ManifestDocument) -> anyhow::Result<()> {
        self.layers += manifest.layers.len();
        if self.layers > MAX_LAYERS {
            fail!(Limit, "{} has more than {MAX_LAYERS} layers", self.walk.what);
        }
        let config = manifest
            .config
            .as_ref()
            .map(|descriptor| self.config(descriptor))
            .transpose()?
            .flatten();
        let diff_ids = config.as_ref().and_then(|config| config.parsed.diff_ids.as_deref());
        let manifest_digest = self.nodes[number].descriptor.digest;
        let Some(contents) = pair(&manifest.layers, diff_ids) else {
            fail!(
                NotAnImage,
                "{}: the manifest {manifest_digest} has {} layers, and its configuration lists {}",
                self.walk.what,
                manifest.layers.len(),
                diff_ids.map_or(0, <[DiffId]>::len)
            );
        };
        let mut missing = Vec::new();
        if let (Some(descriptor), None) = (&manifest.config, &config) {
            missing.push(descriptor.digest);
        }
        let mut layers = Vec::with_capacity(manifest.layers.len());
        for (descriptor, content) in manifest.layers.iter().zip(contents) {
            let blob = self.layer(&manifest_digest, descriptor)?;
            let foreign = descriptor.has_urls || is_foreign_type(&descriptor.media_type);
            if blob.is_none() && !foreign {
                missing.push(descriptor.digest);
            }
            layers.push(LayerNode {
                descriptor: descriptor.clone(),
                diff_id: content.unwrap_or_else(|| descriptor.digest.into()),
                opaque: content.is_none(),
                blob,
            });
        }
        let node = &mut self.nodes[number];
        (node.config, node.layers, node.missing) = (config, layers, missing);
        Ok(())
    }

    fn config(&self, descriptor: &Descriptor) -> anyhow::Result<Option<ConfigNode>> {
        let Some(range) = self.walk.blobs.document(descriptor)? else { return Ok(None) };
        let what = format!("{}: the configuration {}", self.walk.what, descriptor.digest);
        self.walk.budget.take(range.size(), &what)?;
        let document = Document::read_verified(range, descriptor, &what)?;
        let is_image = matches!(
            descriptor.media_type.as_str(),
            "application/vnd.oci.image.config.v1+json"
                | "application/vnd.docker.container.image.v1+json"
        );
        let parsed = match parse_config(&document.bytes, &what) {
            Err(error) if is_image => return Err(error),
            parsed => parsed.unwrap_or_default(),
        };
        Ok(Some(ConfigNode { descriptor: descriptor.clone(), range: document.range, parsed }))
    }

    fn layer(&self, manifest: &Digest, descriptor: &Descriptor) -> anyhow::Result<Option<Blob>> {
        let blob = self.walk.blobs.blob(manifest, descriptor)?;
        if let Some(Blob::Here(range)) = &blob
            && range.size() != descriptor.size
        {
            fail!(NotAnImage, "{}: the layer {} has {} bytes, and its descriptor says {}",
                self.walk.what, descriptor.digest, range.size(), descriptor.size; "the image is damaged; get it again");
        }
        Ok(blob)
    }
}

/// The diff_id of each layer; none for blobs that are no layers. None at all if the numbers do not fit.
fn pair(layers: &[Descriptor], diff_ids: Option<&[DiffId]>) -> Option<Vec<Option<DiffId>>> {
    let diff_ids = diff_ids.unwrap_or_default();
    let known = |layer: &Descriptor| is_layer_type(&layer.media_type);
    if diff_ids.len() == layers.len() {
        return Some(
            layers.iter().zip(diff_ids).map(|(layer, id)| known(layer).then_some(*id)).collect(),
        );
    }
    let mut rest = diff_ids.iter();
    if diff_ids.len() == layers.iter().filter(|layer| known(layer)).count() {
        let next = |layer| if known(layer) { rest.next().copied() } else { None };
        return Some(layers.iter().map(next).collect());
    }
    diff_ids.is_empty().then(|| vec![None; layers.len()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn layer(media_type: &str) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(media_type.as_bytes()),
            size: 1,
            platform: None,
            annotations: Default::default(),
            artifact_type: None,
            has_urls: false,
        }
    }

    #[test]
    fn layers_get_their_diff_ids() {
        let tar = layer("application/vnd.oci.image.layer.v1.tar");
        let other = layer("application/vnd.in-toto+json");
        let (a, b) = (DiffId::of(b"a"), DiffId::of(b"b"));
        let of = |layers: &[&Descriptor], ids: Option<&[DiffId]>| {
            pair(&layers.iter().map(|l| (*l).clone()).collect::<Vec<_>>(), ids)
        };
        assert_eq!(of(&[&tar, &tar], Some(&[a, b])), Some(vec![Some(a), Some(b)]));
        assert_eq!(of(&[&tar, &other], Some(&[a, b])), Some(vec![Some(a), None]));
        assert_eq!(of(&[&other, &tar], Some(&[a])), Some(vec![None, Some(a)]));
        assert_eq!(of(&[&other, &tar], None), Some(vec![None, None]));
        assert_eq!(of(&[&tar, &tar], Some(&[a])), None);
    }
}
