//! Makes records of what was found.

use std::collections::{HashMap, HashSet};

use super::archive::TarIndex;
use super::blobs::Blob;
use super::compressed::{compression_of, start_of};
use super::docker::DockerImage;
use super::document::{ConfigDocument, Parsed};
use super::hash::TarDigests;
use super::node::{ConfigNode, LayerNode, Node};
use super::{ImageRecords, Origin};
use crate::digest::{DiffId, Digest};
use crate::range::{FileRange, ReadAt};
use crate::record::{
    Archive, Compression, Config, Exact, Image, Layer, Location, Manifest, Member, RecordPath, Role,
};

/// All that was found of one image.
#[derive(Debug, Default)]
pub struct Found {
    /// Manifests and indexes.
    pub nodes: Vec<Node>,
    /// Images that only `manifest.json` names.
    pub docker: Vec<DockerImage>,
    /// The names, in order.
    pub names: Vec<String>,
    /// The digest of the one manifest at the top.
    pub top: Option<Digest>,
    /// The layout's `index.json`.
    pub index: Option<FileRange>,
    /// `manifest.json`.
    pub docker_manifest: Option<FileRange>,
}

/// An archive file, for the records that rebuild it.
#[derive(Debug)]
pub struct ArchiveFile<'a> {
    /// The file.
    pub file: &'a FileRange,
    /// Its digest.
    pub file_digest: Digest,
    /// Its compression.
    pub compression: Compression,
    /// Its tar.
    pub index: &'a TarIndex,
    /// The tar's digests.
    pub digests: &'a TarDigests,
}

impl Found {
    /// What identifies the image within a stream: its content and its reference.
    fn key(&self, origin: &Origin<'_>, role: Role) -> String {
        let mut text = format!("{}\n{}\n", origin.reference, origin.transport);
        for node in &self.nodes {
            text.push_str(&format!(
                "{} {:?} {}\n",
                node.descriptor.digest,
                node.names,
                node.document.is_some()
            ));
        }
        for image in &self.docker {
            text.push_str(&format!("{} {:?}\n", image.config_digest, image.names));
        }
        format!("{}:{}", role_name(role), &Digest::of(text.as_bytes()).hex()[..16])
    }

    fn exact(&self, origin: &Origin<'_>, file: bool) -> Exact {
        let exact = match (file, self.docker.is_empty()) {
            (true, _) => Exact::File,
            (false, true) => Exact::Manifest,
            (false, false) => Exact::Config,
        };
        exact.max(origin.exact)
    }

    /// The records of an image.
    ///
    /// # Errors
    /// What looking at the first bytes of layers fails with.
    pub fn records(
        self,
        origin: &Origin<'_>,
        role: Role,
        file: Option<&ArchiveFile<'_>>,
    ) -> anyhow::Result<ImageRecords> {
        let mut records = Records {
            key: self.key(origin, role),
            configs: Vec::new(),
            manifests: Vec::new(),
            layers: Vec::new(),
            known: HashSet::new(),
        };
        let exact = self.exact(origin, file.is_some());
        for node in &self.nodes {
            records.node(node)?;
        }
        for image in &self.docker {
            records.docker(image)?;
        }
        let config_digest = match &records.configs[..] {
            [config] => Some(config.digest),
            _ => None,
        };
        let image = Image {
            key: records.key.clone(),
            role,
            reference: origin.reference.to_owned(),
            transport: origin.transport.to_owned(),
            names: self.names,
            exact,
            manifest_digest: self.top,
            config_digest,
            index: self.index.map(|range| range.location()),
            docker_manifest: self.docker_manifest.map(|range| range.location()),
        };
        let Records { manifests, configs, mut layers, .. } = records;
        let (archive, members) = match file {
            Some(file) => {
                file.check_layers(&mut layers)?;
                let (archive, members) = file.records(&image.key);
                (Some(archive), members)
            }
            None => (None, Vec::new()),
        };
        Ok(ImageRecords { archive, members, image, manifests, configs, layers })
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Base => "base",
        Role::Target => "target",
        Role::Image => "image",
    }
}

struct Records {
    key: String,
    manifests: Vec<Manifest>,
    configs: Vec<Config>,
    layers: Vec<Layer>,
    known: HashSet<Digest>,
}

impl Records {
    fn node(&mut self, node: &Node) -> anyhow::Result<()> {
        let position = self.manifests.len() as u64;
        let (children, layers, config_digest) = match &node.parsed {
            Parsed::Index(entries) => {
                let mut seen = HashSet::new();
                let entries =
                    entries.iter().map(|entry| entry.digest).filter(|digest| seen.insert(*digest));
                (entries.collect(), Vec::new(), None)
            }
            Parsed::Manifest(manifest) => {
                let layers = manifest.layers.iter().map(|layer| layer.digest).collect();
                (Vec::new(), layers, manifest.config.as_ref().map(|config| config.digest))
            }
            Parsed::Opaque => (Vec::new(), Vec::new(), None),
        };
        let media_type = Some(node.descriptor.media_type.clone()).filter(|name| !name.is_empty());
        self.manifests.push(Manifest {
            image: self.key.clone(),
            position,
            digest: Some(node.descriptor.digest),
            media_type,
            size: Some(node.descriptor.size),
            platform: node.platform().map(ToString::to_string),
            names: node.names.clone(),
            parent: node.parent,
            manifests: children,
            config_digest,
            layers,
            diff_ids: node
                .config
                .as_ref()
                .and_then(|config| config.parsed.diff_ids.clone())
                .unwrap_or_default(),
            location: node.document.as_ref().map(FileRange::location),
            gap: node.document.is_none(),
            subject: node.subject(),
        });
        if let Some(ConfigNode { descriptor, range, parsed }) = &node.config {
            let media_type = Some(descriptor.media_type.clone()).filter(|name| !name.is_empty());
            self.config(descriptor.digest, media_type, range, parsed);
        }
        for (number, layer) in node.layers.iter().enumerate() {
            let layer = self.layer(layer, position, number as u64)?;
            self.layers.push(layer);
        }
        Ok(())
    }

    fn docker(&mut self, image: &DockerImage) -> anyhow::Result<()> {
        let position = self.manifests.len() as u64;
        self.manifests.push(Manifest {
            image: self.key.clone(),
            position,
            digest: None,
            media_type: None,
            size: None,
            platform: image.parsed.platform.as_ref().map(ToString::to_string),
            names: image.names.clone(),
            parent: None,
            manifests: Vec::new(),
            config_digest: Some(image.config_digest),
            layers: Vec::new(),
            diff_ids: image.layers.iter().map(|(diff_id, _)| *diff_id).collect(),
            location: None,
            gap: false,
            subject: None,
        });
        self.config(image.config_digest, None, &image.config, &image.parsed);
        for (number, (diff_id, range)) in image.layers.iter().enumerate() {
            let compression = compression_of(&start_of(range, 4)?);
            self.layers.push(Layer {
                image: self.key.clone(),
                manifest: position,
                position: number as u64,
                digest: (compression == Compression::None).then(|| Digest::from(*diff_id)),
                media_type: None,
                diff_id: *diff_id,
                opaque: false,
                size: Some(range.size()),
                compression: Some(compression),
                location: Some(range.location()),
                gap: false,
                in_base: None,
            });
        }
        Ok(())
    }

    fn layer(&self, layer: &LayerNode, manifest: u64, position: u64) -> anyhow::Result<Layer> {
        let descriptor = &layer.descriptor;
        let compression = match &layer.blob {
            // Bytes that are the content themselves are not compressed, whatever they look like.
            Some(Blob::Here(_)) if Digest::from(layer.diff_id) == descriptor.digest => {
                Some(Compression::None)
            }
            Some(Blob::Here(range)) => Some(compression_of(&start_of(range, 4)?)),
            _ => None,
        };
        let location = layer.blob.as_ref().map(|blob| match blob {
            Blob::Here(range) => range.location(),
            Blob::Elsewhere(location) => location.clone(),
        });
        Ok(Layer {
            image: self.key.clone(),
            manifest,
            position,
            digest: Some(descriptor.digest),
            media_type: Some(descriptor.media_type.clone()).filter(|name| !name.is_empty()),
            diff_id: layer.diff_id,
            opaque: layer.opaque,
            size: Some(descriptor.size),
            compression,
            gap: location.is_none(),
            location,
            in_base: None,
        })
    }

    fn config(
        &mut self,
        digest: Digest,
        media_type: Option<String>,
        range: &FileRange,
        parsed: &ConfigDocument,
    ) {
        if !self.known.insert(digest) {
            return;
        }
        self.configs.push(Config {
            image: self.key.clone(),
            digest,
            media_type,
            size: range.size(),
            platform: parsed.platform.as_ref().map(ToString::to_string),
            diff_ids: parsed.diff_ids.clone().unwrap_or_default(),
            history: parsed.history,
            location: range.location(),
        });
    }
}

impl ArchiveFile<'_> {
    fn records(&self, image: &str) -> (Archive, Vec<Member>) {
        let text = format!("{image} {}", self.file_digest);
        let key = format!("archive:{}", &Digest::of(text.as_bytes()).hex()[..16]);
        let tar = self.index.range();
        let part =
            |offset, size| tar.location().part(offset, size).unwrap_or_else(|| tar.location());
        let members = self.index.members().iter().zip(&self.digests.members).enumerate();
        let members = members.map(|(position, (member, digest))| Member {
            archive: key.clone(),
            position: position as u64,
            path: RecordPath::new(&member.name),
            kind: member.kind.name().to_owned(),
            header: part(member.header_offset, member.content_offset - member.header_offset),
            content: (member.size > 0).then(|| part(member.content_offset, member.size)),
            digest: *digest,
            link: member.link.as_deref().map(RecordPath::new),
        });
        let members = members.collect();
        let archive = Archive {
            key,
            image: image.to_owned(),
            file_digest: self.file_digest,
            size: self.file.size(),
            compression: self.compression,
            location: self.file.location(),
            tar: tar.location(),
            tar_digest: self.digests.tar,
            trailer: self.index.trailer().location(),
        };
        (archive, members)
    }

    /// Every member was hashed: layers get the digests that nothing declared, and declared ones are checked.
    fn check_layers(&self, layers: &mut [Layer]) -> anyhow::Result<()> {
        let members = self.index.members().iter().zip(&self.digests.members);
        let by_offset: HashMap<u64, Digest> = members
            .filter_map(|(member, digest)| {
                Some((self.index.range().offset() + member.content_offset, (*digest)?))
            })
            .collect();
        for layer in layers {
            let Some(Location::File { offset, .. }) = &layer.location else { continue };
            let Some(found) = by_offset.get(offset) else { continue };
            let declared = layer.digest.unwrap_or(*found);
            if declared != *found {
                crate::fail!(DigestMismatch, "{}: the layer {declared} has digest {found}",
                    self.file.path().display(); "the file is damaged; get it again");
            }
            layer.digest = Some(declared);
        }
        Ok(())
    }
}

/// The diff_ids that layers of an image have, for `in_base`.
pub fn contents(records: &ImageRecords) -> impl Iterator<Item = DiffId> {
    records.layers.iter().filter(|layer| !layer.gap).map(|layer| layer.diff_id)
}
