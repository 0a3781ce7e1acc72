//! The base: which layers there are, and reading them.

mod elsewhere;
mod missing;
mod read;

use std::collections::HashMap;

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::record::{Compression, Layer, Location};

pub use elsewhere::look;
pub use missing::{Missing, describe};
pub use read::{Sequential, check};

/// One image that was given as base.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// How the user named it.
    pub reference: String,
    /// Its layers.
    pub layers: Vec<Layer>,
}

/// A layer of a base.
#[derive(Debug, Clone)]
pub struct BaseLayer {
    /// The image that has it, as the user named it.
    pub image: String,
    /// What its content is said to hash to.
    pub diff_id: DiffId,
    /// What its stored bytes are said to hash to, where anything says it.
    pub digest: Option<Digest>,
    /// How the stored bytes are compressed; none while they are not fetched.
    pub compression: Option<Compression>,
    /// The stored bytes.
    pub location: Location,
}

impl BaseLayer {
    /// Bytes stored; none while they are not fetched.
    pub fn size(&self) -> Option<u64> {
        self.location.size()
    }

    /// Whether the stored bytes are the content.
    pub fn is_plain(&self) -> bool {
        self.compression == Some(Compression::None) || self.digest == Some(self.diff_id.into())
    }
}

/// All layers of all bases.
///
/// What the records say of a layer is believed only for choosing: whoever reads one verifies it.
#[derive(Debug, Clone, Default)]
pub struct Bases {
    references: Vec<String>,
    layers: Vec<BaseLayer>,
    by_content: HashMap<DiffId, usize>,
    by_digest: HashMap<Digest, usize>,
}

impl Bases {
    /// The layers of these images. Of layers with the same content, one that is stored uncompressed is read.
    pub fn new(images: Vec<BaseImage>) -> Self {
        let mut bases = Self::default();
        for image in images {
            for layer in image.layers {
                bases.add(&image.reference, layer);
            }
            bases.references.push(image.reference);
        }
        bases
    }

    fn add(&mut self, image: &str, layer: Layer) {
        let Some(location) = layer.location.filter(|_| !layer.gap) else { return };
        let number = self.layers.len();
        let layer = BaseLayer {
            image: image.to_owned(),
            diff_id: layer.diff_id,
            digest: layer.digest,
            compression: layer.compression,
            location,
        };
        let known = self.by_content.get(&layer.diff_id).and_then(|n| self.layers.get(*n));
        if known.is_none_or(|known| !known.is_plain() && layer.is_plain()) {
            self.by_content.insert(layer.diff_id, number);
        }
        let stored = layer.digest.or(layer.is_plain().then(|| layer.diff_id.into()));
        if let Some(digest) = stored {
            self.by_digest.entry(digest).or_insert(number);
        }
        self.layers.push(layer);
    }

    /// How the user named the bases.
    pub fn references(&self) -> &[String] {
        &self.references
    }

    /// A layer with this content.
    pub fn content(&self, diff_id: &DiffId) -> Option<&BaseLayer> {
        self.layers.get(*self.by_content.get(diff_id)?)
    }

    /// A layer with these stored bytes.
    pub fn blob(&self, digest: &Digest) -> Option<&BaseLayer> {
        self.layers.get(*self.by_digest.get(digest)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;

    /// A layer record whose stored bytes are a whole file.
    pub(crate) fn layer(file: &Path, diff_id: DiffId, compression: Compression) -> Layer {
        let range = dd_inspect::range::FileRange::open(file).unwrap();
        let mut stored = range.clone();
        let (digest, size) = dd_inspect::digest::hash_reader(&mut stored).unwrap();
        Layer {
            image: "base:0".to_owned(),
            manifest: 0,
            position: 0,
            digest: Some(digest),
            media_type: None,
            diff_id,
            opaque: false,
            size: Some(size),
            compression: Some(compression),
            location: Some(range.location()),
            gap: false,
            in_base: None,
        }
    }

    #[test]
    fn prefers_uncompressed_layers_and_skips_gaps() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, packed) = (dir.path().join("plain"), dir.path().join("packed"));
        std::fs::write(&plain, b"content").unwrap();
        std::fs::write(&packed, b"\x1f\x8b\x08...").unwrap();
        let diff_id = DiffId::of(b"content");
        let compressed = layer(&packed, diff_id, Compression::Gzip);
        let gap = Layer { gap: true, diff_id: DiffId::of(b"gap"), ..compressed.clone() };
        let first = BaseImage { reference: "a".to_owned(), layers: vec![compressed.clone(), gap] };
        let second = BaseImage {
            reference: "b".to_owned(),
            layers: vec![layer(&plain, diff_id, Compression::None)],
        };
        let bases = Bases::new(vec![first, second]);
        assert_eq!(bases.content(&diff_id).unwrap().image, "b");
        assert_eq!(bases.blob(&compressed.digest.unwrap()).unwrap().image, "a");
        assert!(bases.blob(&diff_id.into()).is_some());
        assert!(bases.content(&DiffId::of(b"gap")).is_none());
    }
}
