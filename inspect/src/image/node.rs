//! The parts of an image as they were found.

use super::blobs::Blob;
use super::document::{ConfigDocument, Descriptor, Parsed};
use super::platform::Platform;
use crate::digest::{DiffId, Digest};
use crate::range::FileRange;

/// A manifest that stands at the top: what `index.json` names, or a registry's answer.
#[derive(Debug, Clone)]
pub struct Top {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Its names.
    pub names: Vec<String>,
}

/// A configuration.
#[derive(Debug, Clone)]
pub struct ConfigNode {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Where its bytes lie.
    pub range: FileRange,
    /// What they say.
    pub parsed: ConfigDocument,
}

/// A layer, or another blob of a manifest.
#[derive(Debug, Clone)]
pub struct LayerNode {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// The digest of its content.
    pub diff_id: DiffId,
    /// It is carried as it is.
    pub opaque: bool,
    /// Its bytes; absent for a gap.
    pub blob: Option<Blob>,
}

/// A manifest or an index.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Its names.
    pub names: Vec<String>,
    /// The index that names it.
    pub parent: Option<Digest>,
    /// Its bytes; absent for a gap.
    pub document: Option<FileRange>,
    /// What they say.
    pub parsed: Parsed,
    /// The configuration.
    pub config: Option<ConfigNode>,
    /// The layers, bottom first.
    pub layers: Vec<LayerNode>,
    /// It was left out by `--platform`.
    pub left_out: bool,
    /// Blobs that it names and that are absent, though they should be there.
    pub missing: Vec<Digest>,
}

impl Node {
    /// The platform that the descriptor or the configuration says.
    pub fn platform(&self) -> Option<&Platform> {
        let config = || self.config.as_ref()?.parsed.platform.as_ref();
        self.descriptor.platform.as_ref().or_else(config)
    }

    /// The manifest that this one is about.
    pub fn subject(&self) -> Option<Digest> {
        let subject = match &self.parsed {
            Parsed::Manifest(manifest) => manifest.subject,
            _ => None,
        };
        subject.or_else(|| self.descriptor.attests())
    }

    /// Whether it is the manifest of an image that can be run.
    pub fn is_image(&self) -> bool {
        let unknown = self.platform().is_some_and(Platform::is_unknown);
        matches!(self.parsed, Parsed::Manifest(_)) && self.subject().is_none() && !unknown
    }

    /// Makes a gap of it, as `--platform` does.
    pub fn leave_out(&mut self) {
        self.left_out = true;
        self.descriptor.platform = self.platform().cloned();
        self.document = None;
        self.parsed = Parsed::Opaque;
        self.config = None;
        self.layers.clear();
        self.missing.clear();
    }
}
