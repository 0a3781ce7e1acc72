//! What the records say, put together: the targets, and what is known of their layers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::Hash;

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::fail;
use dd_inspect::ndjson::Line;
use dd_inspect::record::{Archive, Blob, Config, Delta, Image, Layer, Manifest, Member, Role};

/// One target with its records, in the order of the stream.
#[derive(Debug)]
pub struct TargetRecords {
    /// The image.
    pub image: Image,
    /// Its manifests, by position.
    pub manifests: Vec<Manifest>,
    /// Its configurations.
    pub configs: Vec<Config>,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// Its file, with the members by position.
    pub archive: Option<(Archive, Vec<Member>)>,
}

/// All records of the input that a package is made of.
#[derive(Debug, Default)]
pub struct Gathered {
    images: Vec<Image>,
    manifests: Vec<Manifest>,
    configs: Vec<Config>,
    layers: Vec<Layer>,
    archives: Vec<Archive>,
    members: HashMap<String, Vec<Member>>,
    blobs: HashMap<(DiffId, Digest), Blob>,
    deltas: HashMap<DiffId, Delta>,
    sizes: HashMap<DiffId, u64>,
}

impl Gathered {
    /// Takes a record in; others than those of a package are left alone.
    ///
    /// # Errors
    /// `usage` for a record that is not as expected or contradicts another.
    pub fn take(&mut self, line: &Line) -> anyhow::Result<()> {
        match line.kind.as_str() {
            "image" => self.images.push(line.parse()?),
            "manifest" => self.manifests.push(line.parse()?),
            "config" => self.configs.push(line.parse()?),
            "layer" => {
                let layer: Layer = line.parse()?;
                if let (Some(digest), Some(size)) = (layer.digest, layer.size)
                    && digest == layer.diff_id.into()
                {
                    once(&mut self.sizes, layer.diff_id, size, line)?;
                }
                self.layers.push(layer);
            }
            "archive" => self.archives.push(line.parse()?),
            "member" => {
                let member: Member = line.parse()?;
                self.members.entry(member.archive.clone()).or_default().push(member);
            }
            "blob" => {
                let blob: Blob = line.parse()?;
                once(&mut self.sizes, blob.diff_id, blob.size, line)?;
                once(&mut self.blobs, (blob.diff_id, blob.digest), blob, line)?;
            }
            "delta" => {
                let delta: Delta = line.parse()?;
                once(&mut self.deltas, delta.layer, delta, line)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// How a layer is made.
    pub fn delta(&self, layer: &DiffId) -> Option<&Delta> {
        self.deltas.get(layer)
    }

    /// How the stored form of a layer follows from its content.
    pub fn blob(&self, diff_id: DiffId, digest: Digest) -> Option<&Blob> {
        self.blobs.get(&(diff_id, digest))
    }

    /// Bytes in the uncompressed layer.
    pub fn size(&self, diff_id: DiffId) -> Option<u64> {
        self.sizes.get(&diff_id).copied()
    }

    /// The digest of the only stored form of this size that dd-extract found for a layer.
    pub fn stored_digest(&self, diff_id: DiffId, size: Option<u64>) -> Option<Digest> {
        let mut found = self.blobs.values().filter(|blob| {
            blob.diff_id == diff_id && size.is_none_or(|size| size == blob.stored_size)
        });
        let digest = found.next()?.digest;
        found.next().is_none().then_some(digest)
    }

    /// The targets, in the order of the stream.
    ///
    /// # Errors
    /// `usage` if there is none.
    pub fn targets(&self) -> anyhow::Result<Vec<TargetRecords>> {
        let targets: Vec<_> = self
            .images
            .iter()
            .filter(|image| image.role == Role::Target)
            .map(|image| self.target(image))
            .collect();
        if targets.is_empty() {
            fail!(Usage, "there is no target among the records"; "dd-inspect --target IMAGE names one");
        }
        Ok(targets)
    }

    fn target(&self, image: &Image) -> TargetRecords {
        let key = &image.key;
        let mut manifests: Vec<_> =
            self.manifests.iter().filter(|m| m.image == *key).cloned().collect();
        manifests.sort_by_key(|manifest| manifest.position);
        let mut layers: Vec<_> = self.layers.iter().filter(|l| l.image == *key).cloned().collect();
        layers.sort_by_key(|layer| (layer.manifest, layer.position));
        let archive = self.archives.iter().find(|archive| archive.image == *key).map(|archive| {
            let mut members = self.members.get(&archive.key).cloned().unwrap_or_default();
            members.sort_by_key(|member| member.position);
            (archive.clone(), members)
        });
        TargetRecords {
            image: image.clone(),
            manifests,
            configs: self.configs.iter().filter(|c| c.image == *key).cloned().collect(),
            layers,
            archive,
        }
    }
}

fn once<K: Hash + Eq + Debug, V: PartialEq>(
    map: &mut HashMap<K, V>,
    key: K,
    value: V,
    line: &Line,
) -> anyhow::Result<()> {
    match map.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(value);
        }
        Entry::Occupied(entry) if *entry.get() == value => {}
        Entry::Occupied(_) => {
            fail!(Usage, "line {} of the input: the {} record contradicts an earlier one", line.number, line.kind;
                "records of several runs must come from the same options")
        }
    }
    Ok(())
}
