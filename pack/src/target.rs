//! One target of the recipe: its file's skeleton, its documents, its layers in order.

use std::collections::{HashMap, HashSet};

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::fail;
use dd_inspect::package::Layer as RecipeLayer;
use dd_inspect::package::{ConfigRef, FileLayout, Manifest, Range, Target};
use dd_inspect::record::Manifest as ManifestRecord;
use dd_inspect::record::{Archive, Compression, Exact, Layer, Location, Member};

use crate::documents::{Cut, Skeleton, within};
use crate::gather::TargetRecords;
use crate::plan::{Coded, Planner, costly, empty_layer, number};

/// Opaque blobs up to this size stand among the documents; larger ones are made like layers where a record says how.
const MAX_DOCUMENT_LAYER: u64 = 64 << 10;

impl Planner<'_> {
    pub(crate) fn target(&mut self, target: &TargetRecords) -> anyhow::Result<Target> {
        let archive = target.archive.as_ref().map(|(archive, members)| (archive, &members[..]));
        let coded = match archive {
            Some((archive, _)) => self.file_encoding(archive)?,
            None => None,
        };
        let digests = self.stored_digests(target)?;
        self.add_layers(target, &digests)?;
        let skeleton = match archive {
            Some((archive, members)) => {
                let cuts = self.cuts(archive, members, &digests)?;
                Some(self.documents.add_skeleton(archive, &cuts)?)
            }
            None => None,
        };
        let documents = Finder { skeleton: skeleton.as_ref(), target };
        self.add_rest(target, &digests, &documents)?;
        let image = &target.image;
        let manifests = self.manifests(target, &digests, &documents)?;
        let mut whole = |location: &Option<Location>| match location {
            Some(location) => self.find(&documents, location, None).map(Some),
            None => Ok(None),
        };
        let (index, docker_manifest) = (whole(&image.index)?, whole(&image.docker_manifest)?);
        let exact = match (image.exact, archive) {
            (_, Some(_)) => Exact::File,
            (Exact::File, None) if image.manifest_digest.is_none() && image.index.is_none() => {
                Exact::Config
            }
            (Exact::File, None) => Exact::Manifest,
            (exact, None) => exact,
        };
        Ok(Target {
            transport: image.transport.clone(),
            exact,
            names: image.names.clone(),
            digest: image.manifest_digest,
            index,
            docker_manifest,
            manifests,
            file: archive
                .zip(skeleton)
                .map(|((archive, _), skeleton)| file(archive, coded, skeleton)),
        })
    }

    /// How a compressed file follows from its tar.
    fn file_encoding(&mut self, archive: &Archive) -> anyhow::Result<Option<Coded>> {
        if archive.compression == Compression::None {
            return Ok(None);
        }
        let tar = DiffId::from(archive.tar_digest);
        let Some(blob) = self.records.blob(tar, archive.file_digest) else {
            fail!(Usage, "no record says how the file {} is compressed", archive.file_digest; "run dd-extract before dd-diff")
        };
        let memory = blob.encoding_memory.unwrap_or(0);
        self.recipe.memory = self.recipe.memory.max(memory);
        self.coded(blob, "the target's file", costly(blob)?).map(Some)
    }

    /// The digest of every layer as stored.
    fn stored_digests(&self, target: &TargetRecords) -> anyhow::Result<Vec<Digest>> {
        let mut by_place = HashMap::new();
        for member in target.archive.iter().flat_map(|(_, members)| members) {
            if let (Some(content), Some(digest)) = (&member.content, member.digest) {
                by_place.insert(place(content), digest);
            }
        }
        let find = |layer: &Layer| {
            let at_place = || by_place.get(&place(layer.location.as_ref()?)).copied();
            let stored = || self.records.stored_digest(layer.diff_id, layer.size);
            match layer.digest.or_else(at_place).or_else(stored) {
                Some(digest) => Ok(digest),
                None => {
                    fail!(Usage, "no record gives the digest of layer {} as it is stored", layer.diff_id; "run dd-extract before dd-diff")
                }
            }
        };
        target.layers.iter().map(find).collect()
    }

    /// Adds the layers that are made from contents, in the order of the file, else of the manifests.
    fn add_layers(&mut self, target: &TargetRecords, digests: &[Digest]) -> anyhow::Result<()> {
        let tar = target.archive.as_ref().map(|(archive, _)| &archive.tar);
        let at = |layer: &Layer| {
            let location = layer.location.as_ref()?;
            Some(within(location, tar?)?.0)
        };
        let mut order: Vec<_> = target.layers.iter().zip(digests).collect();
        order.sort_by_key(|(layer, _)| at(layer).unwrap_or(u64::MAX));
        for (layer, digest) in order {
            if !layer.gap && !self.is_document(layer) {
                self.layer(layer, *digest)?;
            }
        }
        Ok(())
    }

    /// Whether a layer stands among the documents.
    fn is_document(&self, layer: &Layer) -> bool {
        let small = layer.size.is_some_and(|size| size <= MAX_DOCUMENT_LAYER);
        layer.opaque && (small || self.records.delta(&layer.diff_id).is_none())
    }

    /// The members of the archive's tar that are layers made from contents.
    fn cuts(
        &self,
        archive: &Archive,
        members: &[Member],
        digests: &[Digest],
    ) -> anyhow::Result<Vec<Cut>> {
        let own: HashSet<_> = digests.iter().collect();
        let mut cuts = Vec::new();
        for member in members {
            let (Some(content), Some(digest)) = (&member.content, &member.digest) else { continue };
            let Some(layer) = self.layers.get(digest).filter(|_| own.contains(digest)) else {
                continue;
            };
            let Some((offset, size)) = within(content, &archive.tar) else {
                fail!(
                    Usage,
                    "member {} of {} lies outside the archive",
                    member.position,
                    archive.key
                )
            };
            let made = self.recipe.layers.get(*layer as usize).is_some_and(|l| l.content.is_some());
            if made && self.recipe.layer_size(*layer) == Some(size) {
                cuts.push(Cut { offset, size, layer: *layer });
            }
        }
        cuts.sort_by_key(|cut| cut.offset);
        Ok(cuts)
    }

    /// Adds the layers that are documents or absent.
    fn add_rest(
        &mut self,
        target: &TargetRecords,
        digests: &[Digest],
        documents: &Finder<'_>,
    ) -> anyhow::Result<()> {
        for (layer, digest) in target.layers.iter().zip(digests) {
            if self.layers.contains_key(digest) {
                continue;
            }
            let mut entry = RecipeLayer {
                media_type: layer.media_type.clone(),
                digest: Some(*digest),
                ..empty_layer()
            };
            match &layer.location {
                Some(location) if !layer.gap => {
                    entry.document = Some(self.find(documents, location, Some(*digest))?);
                }
                _ => (entry.gap, entry.size) = (true, layer.size),
            }
            self.push_layer(*digest, entry)?;
        }
        Ok(())
    }

    fn manifests(
        &mut self,
        target: &TargetRecords,
        digests: &[Digest],
        documents: &Finder<'_>,
    ) -> anyhow::Result<Vec<Manifest>> {
        let mut layers: HashMap<u64, Vec<u32>> = HashMap::new();
        for (layer, digest) in target.layers.iter().zip(digests) {
            if let Some(number) = self.layers.get(digest) {
                layers.entry(layer.manifest).or_default().push(*number);
            }
        }
        let mut places: HashMap<Digest, u32> = HashMap::new();
        let mut list = Vec::new();
        for manifest in parents_first(&target.manifests) {
            let document = match (&manifest.location, manifest.gap) {
                (Some(location), false) => Some(self.find(documents, location, manifest.digest)?),
                _ => None,
            };
            let config = match manifest.config_digest {
                Some(digest) => {
                    Some(ConfigRef { digest, document: self.config(documents, digest)? })
                }
                None => None,
            };
            let parent = match manifest.parent {
                None => None,
                Some(parent) => match places.get(&parent) {
                    Some(place) => Some(*place),
                    None => {
                        fail!(Usage, "no manifest record describes the index {parent}"; "records must be those of dd-inspect")
                    }
                },
            };
            if let Some(digest) = manifest.digest {
                places.entry(digest).or_insert(number(list.len())?);
            }
            list.push(Manifest {
                digest: manifest.digest,
                document,
                size: if document.is_none() { manifest.size } else { None },
                media_type: manifest.media_type.clone(),
                platform: manifest.platform.clone(),
                names: manifest.names.clone(),
                parent,
                config,
                layers: layers.remove(&manifest.position).unwrap_or_default(),
                subject: manifest.subject,
            });
        }
        Ok(list)
    }

    fn config(&mut self, documents: &Finder<'_>, digest: Digest) -> anyhow::Result<Option<Range>> {
        let target = documents.target;
        let config = target.configs.iter().find(|config| config.digest == digest);
        let members = target.archive.iter().flat_map(|(_, members)| members);
        let mut members = members.filter(|member| member.digest == Some(digest));
        let location = config.map(|config| &config.location);
        match location.or_else(|| members.find_map(|member| member.content.as_ref())) {
            Some(location) => self.find(documents, location, Some(digest)).map(Some),
            None => Ok(None),
        }
    }

    /// A document's range: in the skeleton where it lies there, else added.
    fn find(
        &mut self,
        documents: &Finder<'_>,
        location: &Location,
        digest: Option<Digest>,
    ) -> anyhow::Result<Range> {
        match documents.skeleton.and_then(|skeleton| skeleton.find(location)) {
            Some(range) => Ok(range),
            None => self.documents.add(location, digest),
        }
    }
}

/// Where documents of a target are looked for.
struct Finder<'a> {
    skeleton: Option<&'a Skeleton>,
    target: &'a TargetRecords,
}

/// What tells places in files apart.
fn place(location: &Location) -> Option<(std::path::PathBuf, u64, u64)> {
    let Location::File { offset, size, .. } = location else { return None };
    Some((location.path()?, *offset, *size))
}

/// The manifests with each index before what it names, else in their order.
fn parents_first(manifests: &[ManifestRecord]) -> Vec<&ManifestRecord> {
    let mut list: Vec<&ManifestRecord> = Vec::with_capacity(manifests.len());
    let mut listed = HashSet::new();
    let mut left: Vec<_> = manifests.iter().collect();
    while !left.is_empty() {
        let known: HashSet<_> = listed.iter().copied().collect();
        let (ready, later): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|m| m.parent.is_none_or(|parent| known.contains(&parent)));
        if ready.is_empty() {
            // Their parents are missing; whoever places them says so.
            list.extend(later);
            break;
        }
        listed.extend(ready.iter().filter_map(|manifest| manifest.digest));
        list.extend(ready);
        left = later;
    }
    list
}

fn file(archive: &Archive, coded: Option<Coded>, skeleton: Skeleton) -> FileLayout {
    let tar_digest = coded.is_some().then_some(archive.tar_digest);
    let (encoding, corrections) = match coded {
        Some(coded) => (Some(coded.encoding), coded.corrections),
        None => (None, None),
    };
    FileLayout {
        digest: archive.file_digest,
        size: archive.size,
        encoding,
        corrections,
        tar_digest,
        skeleton: skeleton.offset,
        parts: skeleton.parts,
    }
}
