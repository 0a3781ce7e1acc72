//! What the records say there is: images, their layers, where the bytes lie, the entries.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use dd_inspect::digest::DiffId;
use dd_inspect::fail;
use dd_inspect::ndjson::Line;
use dd_inspect::range::FileRange;
use dd_inspect::record::{Blob, Entry, Image, Layer as LayerRecord, Manifest, Role};

use crate::cli::Pair;
use crate::encode::{File, Layer};

/// The records that matter.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    images: HashMap<String, Image>,
    manifests: HashMap<(String, u64), Manifest>,
    layers: Vec<LayerRecord>,
    blobs: HashMap<DiffId, Blob>,
    entries: HashMap<DiffId, Vec<File>>,
}

/// A layer of a target, and what it may be made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub layer: DiffId,
    /// Bytes of it uncompressed.
    pub size: u64,
    /// A base that every image with this layer is paired with has it.
    pub held: bool,
    /// The layers of bases that it may be made from.
    pub sources: Vec<DiffId>,
}

/// A manifest by its image and its number there.
type Key = (String, u64);

impl Inventory {
    /// Takes a record in; says whether it is one that ends here.
    pub(crate) fn read(&mut self, line: &Line) -> anyhow::Result<bool> {
        match line.kind.as_str() {
            "image" => {
                let image: Image = line.parse()?;
                self.images.insert(image.key.clone(), image);
            }
            "manifest" => {
                let manifest: Manifest = line.parse()?;
                self.manifests.insert((manifest.image.clone(), manifest.position), manifest);
            }
            "layer" => self.layers.push(line.parse()?),
            "blob" => {
                let blob: Blob = line.parse()?;
                self.blobs.entry(blob.diff_id).or_insert(blob);
            }
            "entry" => {
                let entry: Entry = line.parse()?;
                let Some(file) = File::from_record(&entry) else {
                    fail!(Usage, "line {} of the input: the entry record has no path", line.number;
                        "docs/records.md has an example of each record")
                };
                self.entries.entry(entry.layer).or_default().push(file);
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    /// The layers of targets, each once, in the order of the records.
    ///
    /// A layer may be made from what every image that has it is paired with.
    pub(crate) fn jobs(&self, pair: Pair) -> anyhow::Result<Vec<Job>> {
        let bases = self.manifests_of(Role::Base)?;
        let mut jobs: Vec<Job> = Vec::new();
        let mut places: HashMap<DiffId, usize> = HashMap::new();
        for (target, layers) in self.manifests_of(Role::Target)? {
            let sources = self.paired(&target, &bases, pair);
            for layer in layers {
                if let Some(&place) = places.get(&layer) {
                    jobs[place].sources.retain(|source| sources.contains(source));
                } else {
                    places.insert(layer, jobs.len());
                    jobs.push(Job { layer, size: 0, held: false, sources: sources.clone() });
                }
            }
        }
        for job in &mut jobs {
            job.held = job.sources.contains(&job.layer);
            job.size = match self.blobs.get(&job.layer) {
                Some(blob) => blob.size,
                None if job.held => 0,
                None => {
                    fail!(Usage, "no blob record says where layer {} lies", job.layer; "run dd-extract before dd-diff")
                }
            };
            job.sources.retain(|source| self.blobs.contains_key(source));
        }
        Ok(jobs)
    }

    /// The manifests of all images of a role with their layers, in the order of the records.
    fn manifests_of(&self, role: Role) -> anyhow::Result<Vec<(Key, Vec<DiffId>)>> {
        let mut order: Vec<Key> = Vec::new();
        let mut found: HashMap<Key, BTreeMap<u64, DiffId>> = HashMap::new();
        for layer in self.layers.iter().filter(|layer| !layer.gap) {
            let Some(image) = self.images.get(&layer.image) else {
                fail!(Usage, "a layer record names the image {:?}, of which there is no record", layer.image;
                    "a filter dropped it: keep all `image` records")
            };
            if image.role != role {
                continue;
            }
            let key = (layer.image.clone(), layer.manifest);
            let layers = found.entry(key.clone()).or_insert_with(|| {
                order.push(key);
                BTreeMap::new()
            });
            layers.insert(layer.position, layer.diff_id);
        }
        let layers = |key: Key| {
            let layers = found.remove(&key).unwrap_or_default().into_values().collect();
            (key, layers)
        };
        Ok(order.into_iter().map(layers).collect())
    }

    /// The layers of the base manifests that a target's manifest is paired with.
    fn paired(&self, target: &Key, bases: &[(Key, Vec<DiffId>)], pair: Pair) -> Vec<DiffId> {
        let mut chosen: Vec<&(Key, Vec<DiffId>)> = bases.iter().collect();
        if pair == Pair::Auto {
            let platform = self.platform(target);
            narrow(&mut chosen, |base| platform.is_some() && self.platform(&base.0) == platform);
            let repositories = self.repositories(target);
            narrow(&mut chosen, |base| !self.repositories(&base.0).is_disjoint(&repositories));
        }
        let mut seen = HashSet::new();
        let layers = chosen.into_iter().flat_map(|base| base.1.iter().copied());
        layers.filter(|layer| seen.insert(*layer)).collect()
    }

    fn platform(&self, key: &Key) -> Option<&str> {
        self.manifests.get(key)?.platform.as_deref()
    }

    /// The names of a manifest and its image without tag or digest.
    fn repositories(&self, key: &Key) -> HashSet<&str> {
        let image = self.images.get(&key.0).map(|image| &image.names);
        let manifest = self.manifests.get(key).map(|manifest| &manifest.names);
        let own = manifest.filter(|names| !names.is_empty()).or(image);
        own.into_iter().flatten().filter_map(|name| repository(name)).collect()
    }

    /// A layer with its entries, opened, and the file that it lies in.
    ///
    /// # Errors
    /// It is not there, or changed since it was looked at.
    pub(crate) fn open(&mut self, diff_id: DiffId) -> anyhow::Result<(Layer, FileRange)> {
        let blob = self.blobs.get(&diff_id);
        let blob =
            blob.with_context(|| format!("no blob record says where layer {diff_id} lies"))?;
        let bytes =
            FileRange::at(&blob.location).with_context(|| format!("opening layer {diff_id}"))?;
        let files = self.entries.remove(&diff_id).unwrap_or_default();
        Ok((Layer::new(diff_id, Arc::new(bytes.clone()), files), bytes))
    }
}

/// Keeps what fulfils a condition, if anything does.
fn narrow<T: Copy>(list: &mut Vec<T>, condition: impl Fn(T) -> bool) {
    let fulfilling: Vec<T> = list.iter().copied().filter(|item| condition(*item)).collect();
    if !fulfilling.is_empty() {
        *list = fulfilling;
    }
}

/// `registry/path` of `registry/path:tag@digest`; none for a bare tag.
fn repository(name: &str) -> Option<&str> {
    let name = name.split('@').next().unwrap_or(name);
    let slash = name.rfind('/').map_or(0, |slash| slash + 1);
    name[slash..]
        .find(':')
        .map(|colon| &name[..slash + colon])
        .or_else(|| (slash > 0).then_some(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn inventory(records: &[String]) -> Inventory {
        let mut inventory = Inventory::default();
        for (number, record) in (1..).zip(records) {
            let value: serde_json::Value = serde_json::from_str(record).unwrap();
            let kind = value["type"].as_str().unwrap().to_owned();
            inventory.read(&Line { number, kind, raw: record.clone().into_bytes() }).unwrap();
        }
        inventory
    }

    /// An image with one manifest: its records.
    fn image(role: &str, name: &str, platform: &str, layers: &[&str]) -> Vec<String> {
        let key = format!("{role}:{name}:{platform}");
        let mut records = vec![
            format!(
                r#"{{"type":"image","key":"{key}","role":"{role}","reference":"x","transport":"oci","names":["{name}"],"exact":"file"}}"#
            ),
            format!(
                r#"{{"type":"manifest","image":"{key}","position":0,"platform":"{platform}","names":[]}}"#
            ),
        ];
        for (position, layer) in layers.iter().enumerate() {
            let diff_id = DiffId::of(layer.as_bytes());
            records.push(format!(
                r#"{{"type":"layer","image":"{key}","manifest":0,"position":{position},"diff_id":"{diff_id}"}}"#
            ));
            records.push(format!(
                r#"{{"type":"blob","diff_id":"{diff_id}","digest":"{diff_id}","stored_size":1,"size":7,"location":{{"file":"/x","offset":0,"size":7,"file_size":7,"mtime_ns":"0"}},"tar":true}}"#
            ));
        }
        records
    }

    fn jobs(images: &[Vec<String>], pair: Pair) -> Vec<(bool, usize)> {
        let jobs = inventory(&images.concat()).jobs(pair).unwrap();
        jobs.iter().map(|job| (job.held, job.sources.len())).collect()
    }

    #[test]
    fn layers_that_the_base_has_are_held() {
        let images = [
            image("base", "a:1", "linux/amd64", &["1", "2"]),
            image("target", "a:2", "linux/amd64", &["1", "3"]),
        ];
        assert_eq!(jobs(&images, Pair::Auto), [(true, 2), (false, 2)]);
    }

    #[test]
    fn platform_comes_before_repository() {
        let images = [
            image("base", "a:1", "linux/amd64", &["1"]),
            image("base", "a:1", "linux/arm64", &["2", "3"]),
            image("base", "b:1", "linux/arm64", &["4", "5", "6"]),
            image("target", "a:2", "linux/arm64", &["7"]),
        ];
        assert_eq!(jobs(&images, Pair::Auto), [(false, 2)]);
        assert_eq!(jobs(&images, Pair::Any), [(false, 6)]);
        let other = image("target", "c:2", "linux/riscv64", &["7"]);
        assert_eq!(jobs(&[&images[..3], &[other]].concat(), Pair::Auto), [(false, 6)]);
    }

    #[test]
    fn a_shared_layer_is_made_from_what_both_targets_have() {
        let images = [
            image("base", "a:1", "linux/amd64", &["0", "1"]),
            image("base", "b:1", "linux/amd64", &["0", "2"]),
            image("target", "a:2", "linux/amd64", &["1", "9"]),
            image("target", "b:2", "linux/amd64", &["1", "9"]),
        ];
        assert_eq!(jobs(&images, Pair::Auto), [(false, 1), (false, 1)]);
    }

    #[test]
    fn missing_records_are_named() {
        let target = image("target", "a:2", "linux/amd64", &["1"]);
        let jobs =
            |records: &[String]| inventory(records).jobs(Pair::Auto).unwrap_err().to_string();
        assert!(jobs(&target[..3]).contains("no blob record"));
        assert!(jobs(&target[1..]).contains("no record"));
    }

    #[test]
    fn repositories_of_names() {
        assert_eq!(repository("a:1"), Some("a"));
        assert_eq!(repository("reg:5000/x/a"), Some("reg:5000/x/a"));
        assert_eq!(repository("reg:5000/x/a:1@sha256:00"), Some("reg:5000/x/a"));
        assert_eq!(repository("latest"), None);
    }
}
