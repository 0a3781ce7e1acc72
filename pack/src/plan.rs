//! Makes the recipe: which blobs travel, in which order, and how everything follows from them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

use anyhow::Context;
use dd_extract::encoding::Encoding;
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::fail;
use dd_inspect::package::Layer as RecipeLayer;
use dd_inspect::package::recipe::VERSION;
use dd_inspect::package::{BlobKind, Content, Form, Recipe, Target};
use dd_inspect::range::FileRange;
use dd_inspect::record::{Blob as BlobRecord, Delta, Layer, Location};
use dd_inspect::store::Store;

use crate::container::{Blob, Source, Subject};
use crate::documents::Documents;
use crate::features;
use crate::gather::Gathered;

/// Blobs before the payloads: recipe and documents.
const FIRST_PAYLOAD: u32 = 2;
/// Corrections up to this are carried for an unchanged layer however small it is: less than naming a requirement costs.
const FREE_CORRECTIONS: u64 = 512;

/// How to pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanOptions {
    /// Carry what rebuilds the compressed form of unchanged layers, whatever it costs.
    pub any_form: bool,
}

/// A package before it is written.
#[derive(Debug)]
pub struct Plan {
    /// The recipe.
    pub recipe: Recipe,
    /// The blobs by number, but the recipe: documents and payloads.
    pub blobs: Vec<Blob>,
    /// The only target's manifest.
    pub subject: Option<Subject>,
    /// Remarks about contents.
    pub why: HashMap<DiffId, String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Plans the package of all targets among the records.
///
/// # Errors
/// `usage` if records are missing or contradict each other; a document cannot be read.
pub fn plan(records: &Gathered, store: Store, options: PlanOptions) -> anyhow::Result<Plan> {
    let mut planner = Planner {
        records,
        options,
        documents: Documents::new(store),
        recipe: Recipe {
            version: VERSION,
            requires: Vec::new(),
            memory: 0,
            scratch: 0,
            documents: 0,
            contents: Vec::new(),
            layers: Vec::new(),
            targets: Vec::new(),
        },
        contents: HashMap::new(),
        layers: HashMap::new(),
        blobs: Vec::new(),
        blob_numbers: HashMap::new(),
        features: BTreeSet::new(),
        why: HashMap::new(),
        warnings: Vec::new(),
    };
    for target in records.targets()? {
        let target = planner.target(&target)?;
        planner.recipe.targets.push(target);
    }
    planner.finish()
}

pub(crate) struct Planner<'a> {
    pub(crate) records: &'a Gathered,
    pub(crate) options: PlanOptions,
    pub(crate) documents: Documents,
    pub(crate) recipe: Recipe,
    contents: HashMap<DiffId, u32>,
    pub(crate) layers: HashMap<Digest, u32>,
    blobs: Vec<Blob>,
    blob_numbers: HashMap<Digest, u32>,
    features: BTreeSet<String>,
    why: HashMap<DiffId, String>,
    pub(crate) warnings: Vec<String>,
}

/// A compressed form and what it takes to make it.
pub(crate) struct Coded {
    pub(crate) encoding: serde_json::Value,
    pub(crate) corrections: Option<u32>,
}

impl Planner<'_> {
    fn finish(mut self) -> anyhow::Result<Plan> {
        self.recipe.requires = self.features.into_iter().collect();
        self.recipe.documents = self.documents.size();
        self.recipe.leave_out_texts();
        let mut blobs = vec![self.documents.finish()?];
        blobs.append(&mut self.blobs);
        let subject = match &self.recipe.targets[..] {
            [target] => subject(target),
            _ => None,
        };
        let Self { recipe, why, warnings, .. } = self;
        Ok(Plan { recipe, blobs, subject, why, warnings })
    }

    /// A payload's number; equal payloads travel once.
    fn payload(
        &mut self,
        kind: BlobKind,
        digest: Digest,
        location: &Location,
    ) -> anyhow::Result<u32> {
        if let Some(number) = self.blob_numbers.get(&digest) {
            return Ok(*number);
        }
        let Some(size) = location.size() else {
            fail!(Usage, "the payload {digest} is not on this machine"; "run the stages of a pipeline on one machine")
        };
        let number = number(self.blobs.len())? + FIRST_PAYLOAD;
        let source = Source::Location(location.clone());
        self.blobs.push(Blob { kind, zstd: false, digest, size, source });
        self.blob_numbers.insert(digest, number);
        Ok(number)
    }

    /// A content's number; what its program reads comes before it.
    fn content(&mut self, diff_id: DiffId, open: &mut HashSet<DiffId>) -> anyhow::Result<u32> {
        if let Some(number) = self.contents.get(&diff_id) {
            return Ok(*number);
        }
        let Some(delta) = self.records.delta(&diff_id) else {
            fail!(Usage, "no record says how layer {diff_id} is made"; "run dd-diff before dd-pack")
        };
        let (payload, sources) = self.program(delta, open)?;
        let size = match self.records.size(diff_id) {
            Some(size) => size,
            None => {
                fail!(Usage, "no blob record gives the size of layer {diff_id}"; "run dd-extract before dd-diff")
            }
        };
        let number = number(self.recipe.contents.len())?;
        self.recipe.contents.push(Content { diff_id, size, payload, sources });
        self.contents.insert(diff_id, number);
        Ok(number)
    }

    /// The number of the program that makes a layer, and what it reads, by its own head.
    fn program(
        &mut self,
        delta: &Delta,
        open: &mut HashSet<DiffId>,
    ) -> anyhow::Result<(Option<u32>, Vec<DiffId>)> {
        if delta.means == "base" {
            return Ok((None, Vec::new()));
        }
        let diff_id = delta.layer;
        let (Some(location), Some(digest)) = (&delta.location, delta.digest) else {
            fail!(Usage, "the delta record of layer {diff_id} has no payload")
        };
        if !delta.proven {
            fail!(Usage, "the delta of layer {diff_id} was not proven by decoding it"; "run dd-diff without an option that skips it");
        }
        let head = features::head(location)?;
        if !open.insert(diff_id) {
            fail!(Usage, "the deltas of layer {diff_id} and others read each other");
        }
        for source in &head.sources {
            if self.records.delta(source).is_some_and(|made| made.means != "base") {
                self.content(*source, open)?;
            }
        }
        open.remove(&diff_id);
        self.features.extend(features::of_program(&head));
        self.recipe.scratch = self.recipe.scratch.max(delta.scratch).max(head.scratch);
        if let Some(why) = &delta.why {
            self.why.insert(diff_id, why.clone());
        }
        let payload = self.payload(BlobKind::Program, digest, location)?;
        Ok((Some(payload), head.sources))
    }

    /// How compressed bytes follow from their content. `what` names them for the user, who is told where they cost much ([`costly`]).
    pub(crate) fn coded(
        &mut self,
        blob: &BlobRecord,
        what: &str,
        cost: Option<u64>,
    ) -> anyhow::Result<Coded> {
        let Some(value) = &blob.encoding else {
            fail!(Usage, "no record says how {} is compressed", blob.digest; "run dd-extract before dd-diff")
        };
        let encoding = Encoding::parse(value)?;
        if let Some(size) = cost {
            self.warnings.push(format!(
                "the compression of {what} could not be reproduced by an encoder: {size} bytes travel for it"
            ));
        }
        self.features.extend(encoding.features());
        let corrections = match (&blob.corrections, blob.corrections_digest) {
            (Some(location), Some(digest)) => {
                Some(self.payload(BlobKind::Corrections, digest, location)?)
            }
            _ => None,
        };
        Ok(Coded { encoding: encoding.to_value(), corrections })
    }

    /// The number of a layer that is stored or made from its content.
    pub(crate) fn layer(&mut self, layer: &Layer, digest: Digest) -> anyhow::Result<u32> {
        if let Some(number) = self.layers.get(&digest) {
            return Ok(*number);
        }
        let diff_id = layer.diff_id;
        let mut entry = RecipeLayer { media_type: layer.media_type.clone(), ..empty_layer() };
        let delta = self.records.delta(&diff_id);
        let memory = delta.map_or(0, |delta| delta.memory);
        let mut encoding_memory = 0;
        if digest != diff_id.into() {
            let Some(blob) = self.records.blob(diff_id, digest) else {
                fail!(Usage, "no record says how layer {digest} is compressed"; "run dd-extract before dd-diff")
            };
            entry.digest = Some(digest);
            entry.size = Some(blob.stored_size);
            let unchanged = delta.is_some_and(|delta| delta.means == "base");
            let cost = costly(blob)?;
            if unchanged && !self.options.any_form && cost.is_some() {
                entry.form = Some(Form::Compressed);
            } else {
                let Coded { encoding, corrections } =
                    self.coded(blob, &format!("layer {digest}"), cost)?;
                (entry.encoding, entry.corrections) = (Some(encoding), corrections);
                encoding_memory = blob.encoding_memory.unwrap_or(0);
            }
        }
        entry.content = Some(self.content(diff_id, &mut HashSet::new())?);
        self.recipe.memory = self.recipe.memory.max(memory.saturating_add(encoding_memory));
        self.push_layer(digest, entry)
    }

    pub(crate) fn push_layer(&mut self, digest: Digest, entry: RecipeLayer) -> anyhow::Result<u32> {
        let number = number(self.recipe.layers.len())?;
        self.recipe.layers.push(entry);
        self.layers.insert(digest, number);
        Ok(number)
    }
}

/// How many bytes travel if only corrections of more than 1 % of the compressed bytes, or these themselves, would rebuild them.
pub(crate) fn costly(blob: &BlobRecord) -> anyhow::Result<Option<u64>> {
    let Some(location) = &blob.corrections else { return Ok(None) };
    let free = FREE_CORRECTIONS.max(blob.stored_size / 100);
    let size = location.size().unwrap_or(0);
    if size <= free || size >= blob.stored_size {
        return Ok((size > free).then_some(size));
    }
    // Tables of contents among them are text.
    let packed = zstd::stream::read::Encoder::new(FileRange::at(location)?, 3)
        .and_then(|mut packed| io::copy(&mut packed, &mut io::sink()))
        .context("reading corrections")?;
    Ok((packed > free).then_some(packed))
}

pub(crate) fn empty_layer() -> RecipeLayer {
    RecipeLayer {
        content: None,
        digest: None,
        size: None,
        media_type: None,
        encoding: None,
        corrections: None,
        form: None,
        document: None,
        gap: false,
    }
}

/// A number in a recipe.
pub(crate) fn number(len: usize) -> anyhow::Result<u32> {
    match u32::try_from(len) {
        Ok(number) if number < 1 << 20 => Ok(number),
        _ => fail!(Limit, "a package holds at most {} layers", 1 << 20),
    }
}

fn subject(target: &Target) -> Option<Subject> {
    let mut tops = target.manifests.iter().filter(|manifest| manifest.parent.is_none());
    let top = tops.next().filter(|_| tops.next().is_none())?;
    Some(Subject {
        media_type: top.media_type.clone()?,
        digest: top.digest?,
        size: top.document.map(|range| range.len).or(top.size)?,
    })
}
