//! Images: finding their documents and layers, wherever they lie, without unpacking them.
//!
//! [`inspect`] is the way in. A file or directory is recognised by its content; what a blob is follows from its bytes
//! and the configuration's diff_ids, never from the name it is stored under.
//!
//! ```text
//! reference ── open ──┬── opened, archive   the tar's index ──┐
//!                     ├── blobs             a directory       ├── source ──┬── walk    index.json, manifests, configurations
//!                     └── fetched           helper programs ──┘            ├── docker  manifest.json of a docker-archive
//!                                                                          └── assemble, hash   the records
//! ```

mod archive;
mod assemble;
mod blobs;
mod compressed;
mod docker;
mod document;
mod fetched;
mod hash;
mod node;
mod open;
mod opened;
mod packaged;
mod platform;
mod reference;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sample;
mod source;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod walk;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

pub use archive::{ArchiveMember, MemberKind, TarIndex};
pub use blobs::{Blob, Blobs};
pub use compressed::unread_compression_of;
pub use docker::full_name;
pub use document::{Descriptor, MAX_DOCUMENT_LEN, Parsed, parse_manifest};
pub use open::{read_archive, read_directory, read_documents};
pub use platform::{ParsePlatformError, Platform};
pub use reference::{Place, Reference, split_name};

use crate::child::RegistryOptions;
use crate::digest::DiffId;
use crate::fail;
use crate::record::{Archive, Config, Exact, Image, Layer, Manifest, Member, Record, Role};
use crate::stage::Meter;
use crate::store::Store;

/// What is wanted of an image.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only this platform; the other manifests become gaps.
    pub platform: Option<Platform>,
    /// Take all platforms of an image in a registry.
    pub all_platforms: bool,
    /// Options for registries, handed on to skopeo.
    pub registry: RegistryOptions,
    /// Counts the bytes that are hashed or unpacked.
    pub meter: Option<Arc<Meter>>,
}

/// The records of one image, in the order of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecords {
    /// The archive file, for targets that are rebuilt as the very file.
    pub archive: Option<Archive>,
    /// Its members, in order.
    pub members: Vec<Member>,
    /// The image.
    pub image: Image,
    /// Its manifests and indexes, each index before what it names.
    pub manifests: Vec<Manifest>,
    /// Its configurations, each once.
    pub configs: Vec<Config>,
    /// Its layers, manifest by manifest.
    pub layers: Vec<Layer>,
}

impl ImageRecords {
    /// All records, in the order of the stream.
    pub fn records(self) -> impl Iterator<Item = Record> {
        let archive = self.archive.into_iter().map(Record::from);
        let members = self.members.into_iter().map(Record::from);
        let image = std::iter::once(Record::from(self.image));
        let manifests = self.manifests.into_iter().map(Record::from);
        let configs = self.configs.into_iter().map(Record::from);
        let layers = self.layers.into_iter().map(Record::from);
        archive.chain(members).chain(image).chain(manifests).chain(configs).chain(layers)
    }

    /// The diff_ids of the layers that are there.
    pub fn diff_ids(&self) -> impl Iterator<Item = DiffId> {
        assemble::contents(self)
    }

    /// Says for each layer whether a base has its content.
    pub fn mark_in_base(&mut self, bases: &HashSet<DiffId>) {
        for layer in &mut self.layers {
            layer.in_base = Some(bases.contains(&layer.diff_id));
        }
    }
}

/// What a reference turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Inspected {
    /// An image.
    Image(Box<ImageRecords>),
    /// A delta package.
    Package(PathBuf),
}

/// Where an image comes from, for its records.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The reference, as given.
    pub reference: &'a str,
    /// The transport that the records name.
    pub transport: &'a str,
    /// The image among several that was asked for: a name, or `@` and a number.
    pub name: Option<&'a str>,
    /// How exactly it can be rebuilt at best: a file fetched by a helper program is not the user's file.
    pub exact: Exact,
}

/// Finds the documents and layers of an image.
///
/// # Errors
/// `not-found` if it does not exist; `not-an-image` if it is something else or broken, a delta package too.
pub fn inspect(
    reference: &Reference,
    role: Role,
    options: &Options,
    store: &Store,
) -> anyhow::Result<ImageRecords> {
    match look(reference, role, options, store)? {
        Inspected::Image(records) => Ok(*records),
        Inspected::Package(path) => {
            fail!(NotAnImage, "{} is a delta package, not an image", path.display(); "dd-apply makes an image of it")
        }
    }
}

/// Like [`inspect`], and tells delta packages apart.
///
/// # Errors
/// As [`inspect`].
pub fn look(
    reference: &Reference,
    role: Role,
    options: &Options,
    store: &Store,
) -> anyhow::Result<Inspected> {
    match reference.resolve()? {
        Place::Disk { path, transport, name } => {
            let given = reference.given();
            open::look(&path, transport, name.as_deref(), &given, role, options, store)
        }
        Place::Elsewhere { transport, .. } => {
            let records = fetched::read(reference, transport, role, options, store)?;
            Ok(Inspected::Image(Box::new(records)))
        }
    }
}
