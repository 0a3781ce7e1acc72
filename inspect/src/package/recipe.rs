//! The recipe: which images a package rebuilds, and how.
//!
//! It names no path and no time. Blobs of the package are referred to by number, documents by their range in
//! the documents blob, layers and contents by their place in the recipe's own lists.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest};
use crate::record::Exact;

/// The version of the package format.
pub const VERSION: u32 = 1;
/// Bytes that a recipe may have, unpacked.
pub const MAX_RECIPE_LEN: u64 = 4 << 20;
/// Sizes and offsets stay below this, so that any JSON reader keeps them whole.
pub const MAX_SIZE: u64 = 1 << 53;

/// A recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// [`VERSION`].
    pub version: u32,
    /// Features that a reader must have, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub requires: Vec<String>,
    /// Memory that decoding needs at most at one time, in bytes.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub memory: u64,
    /// Scratch space that decoding needs at most at one time, in bytes.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub scratch: u64,
    /// Bytes of the documents, unpacked.
    pub documents: u64,
    /// The uncompressed layers, each after those of this list that it reads.
    pub contents: Vec<Content>,
    /// The layers as they are stored.
    pub layers: Vec<Layer>,
    /// The images, in the order in which they were given.
    pub targets: Vec<Target>,
}

/// One uncompressed layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// What it must hash to.
    pub diff_id: DiffId,
    /// Bytes uncompressed.
    pub size: u64,
    /// The number of the blob with the program that makes it; without one a base has the layer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<u32>,
    /// What the program reads, in the program's order: earlier contents with a payload where they have this diff_id,
    /// else layers of a base.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sources: Vec<DiffId>,
}

/// How a content is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Means {
    /// A base has it.
    Base,
    /// From sources and a program.
    Delta,
    /// From a program alone.
    Whole,
}

impl Content {
    /// How it is made.
    pub fn means(&self) -> Means {
        match self.payload {
            None => Means::Base,
            Some(_) if self.sources.is_empty() => Means::Whole,
            Some(_) => Means::Delta,
        }
    }
}

/// Which form of a layer the base must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The very compressed blob: the package has no way to make it from the content.
    Compressed,
}

/// One layer as it is stored: exactly one of `content`, `document` and `gap` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The number of its content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<u32>,
    /// The digest of the stored bytes; left out where they are the content itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// Bytes stored; left out where they are the content itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// The media type, as a descriptor says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// How the stored bytes follow from the content (docs/package-format.md, "Encodings").
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding: Option<serde_json::Value>,
    /// The number of the blob that the encoding needs beside its parameters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrections: Option<u32>,
    /// The base must hold these very bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub form: Option<Form>,
    /// The stored bytes themselves, among the documents.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub document: Option<Range>,
    /// The image was given without this blob, and is rebuilt without it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub gap: bool,
}

/// A range of the documents: `[offset, len]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 2]", into = "[u64; 2]")]
pub struct Range {
    /// Where it begins.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

impl From<[u64; 2]> for Range {
    fn from([offset, len]: [u64; 2]) -> Self {
        Self { offset, len }
    }
}

impl From<Range> for [u64; 2] {
    fn from(range: Range) -> Self {
        [range.offset, range.len]
    }
}

/// One image, as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The transport that it was read by; a bare output path gives back the same kind of thing.
    pub transport: String,
    /// How exactly it can be rebuilt.
    pub exact: Exact,
    /// Suggested names, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub names: Vec<String>,
    /// The digest of the top document, where there is exactly one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// The layout's `index.json`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<Range>,
    /// docker-archive's `manifest.json`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub docker_manifest: Option<Range>,
    /// Indexes and manifests, each index before what it names.
    pub manifests: Vec<Manifest>,
    /// The archive file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<FileLayout>,
}

/// An index or manifest. One without `document` but with `digest` is absent on purpose; one without either is an
/// image of an old docker-archive, which has only a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The digest of the document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// The document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub document: Option<Range>,
    /// Bytes in a document that is absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// The media type, as its descriptor says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// `OS/ARCH[/VARIANT]`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<String>,
    /// Its own names.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub names: Vec<String>,
    /// The place in `manifests` of the index that names it; absent at the top.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<u32>,
    /// The configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub config: Option<ConfigRef>,
    /// The numbers of its layers, bottom first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub layers: Vec<u32>,
    /// The digest of the manifest that this one is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<Digest>,
}

impl Manifest {
    /// Whether the image was given without this document.
    pub fn gap(&self) -> bool {
        self.digest.is_some() && self.document.is_none()
    }
}

/// A configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigRef {
    /// Its digest.
    pub digest: Digest,
    /// The document; left out where the image was given without it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub document: Option<Range>,
}

/// How an archive file is laid out.
///
/// The file's tar is its *skeleton* (a range of the documents: headers, padding, small members, trailer) with layers
/// put in. The file is the tar, or follows from it by an encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileLayout {
    /// The digest of the file.
    pub digest: Digest,
    /// Bytes in the file.
    pub size: u64,
    /// How a compressed file follows from its tar; left out where the file is the tar.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding: Option<serde_json::Value>,
    /// The number of the blob that the encoding needs beside its parameters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrections: Option<u32>,
    /// The digest of the tar of a compressed file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tar_digest: Option<Digest>,
    /// Where the skeleton begins in the documents.
    pub skeleton: u64,
    /// The tar from its beginning to its end.
    pub parts: Vec<Part>,
}

/// A part of a tar: `[bytes, layer]` or, mostly at the end, `[bytes]`: so many next bytes of the skeleton, then the
/// layer with this number as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Part {
    /// Bytes of the skeleton.
    pub bytes: u64,
    /// The layer after them.
    pub layer: Option<u32>,
}

impl TryFrom<Vec<u64>> for Part {
    type Error = &'static str;

    fn try_from(numbers: Vec<u64>) -> Result<Self, Self::Error> {
        const MESSAGE: &str = "a part is [bytes] or [bytes, layer]";
        match numbers[..] {
            [bytes] => Ok(Self { bytes, layer: None }),
            [bytes, layer] => {
                Ok(Self { bytes, layer: Some(u32::try_from(layer).map_err(|_| MESSAGE)?) })
            }
            _ => Err(MESSAGE),
        }
    }
}

impl From<Part> for Vec<u64> {
    fn from(part: Part) -> Self {
        std::iter::once(part.bytes).chain(part.layer.map(u64::from)).collect()
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What a base must hold for a set of layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The contents of layers, in any form, in the order of their first use.
    pub contents: Vec<DiffId>,
    /// The very stored bytes of layers ([`Form::Compressed`]).
    pub blobs: Vec<Digest>,
}

impl Recipe {
    /// The digest of a layer's stored bytes; none for a number out of range.
    pub fn layer_digest(&self, number: u32) -> Option<Digest> {
        let layer = self.layers.get(number as usize)?;
        layer.digest.or_else(|| Some(self.content(layer.content?)?.diff_id.into()))
    }

    /// Bytes in a layer as it is stored; none for a number out of range.
    pub fn layer_size(&self, number: u32) -> Option<u64> {
        let layer = self.layers.get(number as usize)?;
        let document = layer.document.map(|range| range.len);
        layer.size.or(document).or_else(|| Some(self.content(layer.content?)?.size))
    }

    /// A content by its number.
    pub fn content(&self, number: u32) -> Option<&Content> {
        self.contents.get(number as usize)
    }

    /// What a base must hold so that these layers can be rebuilt.
    pub fn needs(&self, layers: impl IntoIterator<Item = u32>) -> Needs {
        let made = self.contents.iter().filter(|content| content.payload.is_some());
        let made: HashMap<_, _> = made.map(|content| (content.diff_id, content)).collect();
        let mut needs = Needs::default();
        let (mut seen, mut blobs) = (HashSet::new(), HashSet::new());
        for number in layers {
            let Some(layer) = self.layers.get(number as usize) else { continue };
            let Some(content) = layer.content.and_then(|n| self.content(n)) else { continue };
            if let (Some(_), Some(digest)) = (layer.form, layer.digest)
                && blobs.insert(digest)
            {
                needs.blobs.push(digest);
            }
            let mut open = vec![content.diff_id];
            while let Some(diff_id) = open.pop() {
                if !seen.insert(diff_id) {
                    continue;
                }
                match made.get(&diff_id) {
                    Some(content) => open.extend(content.sources.iter().rev()),
                    None => needs.contents.push(diff_id),
                }
            }
        }
        needs
    }

    /// What a base must hold for everything in the package.
    pub fn all_needs(&self) -> Needs {
        self.needs((0..self.layers.len()).filter_map(|n| u32::try_from(n).ok()))
    }
}

impl Target {
    /// The numbers of all its layers, each once, in the order of the manifests.
    pub fn layers(&self) -> Vec<u32> {
        let mut seen = HashSet::new();
        let all = self.manifests.iter().flat_map(|m| m.layers.iter().copied());
        all.filter(|n| seen.insert(*n)).collect()
    }
}
