//! Images that are no files: in the Docker daemon, in registries, in containers-storage.
//!
//! They are read by helper programs: the daemon's through `docker save`, everything else through skopeo. What is fetched
//! becomes objects of the store, verified by digest, so that later stages of the pipeline find it. Of an image in a registry
//! only the documents are fetched here; [`fetch_layers`] fetches layers when they are needed.

mod copy;
pub mod daemon;
pub mod manifest;
mod registry;

use std::collections::BTreeMap;

pub use manifest::{Choice, Descriptor};
pub use registry::fetch_layers;

use crate::child::{RegistryOptions, Skopeo, is_installed};
use crate::digest::Digest;
use crate::failure::{Category, Failure};
use crate::range::FileRange;
use crate::record::Location;
use crate::store::Store;

/// The transports of skopeo that are no files of a format which this project reads itself.
pub const TRANSPORTS: [&str; 7] =
    ["docker-daemon", "docker", "containers-storage", "ostree", "sif", "tarball", "atomic"];

const READ_REGISTRY: &str = "to read images in registries";
const READ_OTHER: &str = "to read images of this transport";

/// Splits `transport:reference` where the transport is one of [`TRANSPORTS`].
pub fn split(reference: &str) -> Option<(&str, &str)> {
    reference.split_once(':').filter(|(transport, _)| TRANSPORTS.contains(transport))
}

/// The name, with its tag, that a registry or containers-storage has an image under; none where a reference names it by
/// a digest or an ID alone.
pub fn stored_name(reference: &str) -> Option<String> {
    let name = match split(reference)? {
        ("docker", rest) => rest.strip_prefix("//")?,
        ("containers-storage", rest) => match rest.strip_prefix('[') {
            Some(storage) => storage.split_once(']')?.1,
            None => rest,
        },
        _ => return None,
    };
    (!name.is_empty() && !name.contains('@')).then(|| daemon::with_tag(name))
}

/// An image elsewhere, made addressable on this machine.
#[derive(Debug)]
pub enum Fetched {
    /// An archive as `docker save` writes it, an object of the store. What is exact about it follows from its content: the
    /// containerd image store of Docker 29 gives manifests, the classic store configurations; never the file itself.
    Archive(FileRange),
    /// Its documents and perhaps its layers.
    Documents(Documents),
}

/// The documents of an image, by digest.
#[derive(Debug)]
pub struct Documents {
    /// The manifest or index that the reference names.
    pub top: Descriptor,
    /// Manifests, indexes and configurations, and layers where these were fetched too. A manifest that is not here was
    /// left out by the choice of platforms.
    pub blobs: BTreeMap<Digest, FileRange>,
    /// `docker://host/name`, where layers were not fetched.
    repository: Option<String>,
    /// Manifests are those of the source. Copies out of containers-storage keep the configuration alone.
    pub exact_manifests: bool,
}

impl Documents {
    /// Where a layer of a manifest lies: here, or in the registry. None if it is in neither.
    pub fn layer(&self, manifest: &Digest, layer: &Digest) -> Option<Location> {
        if let Some(range) = self.blobs.get(layer) {
            return Some(range.location());
        }
        let reference = format!("{}@{manifest}", self.repository.as_ref()?);
        Some(Location::Reference { reference, digest: *layer })
    }
}

/// Makes an image elsewhere addressable. A reference without one of [`TRANSPORTS`] is a name in the Docker daemon.
///
/// # Errors
/// `missing-program`, `not-found`, `helper-failed`, `digest-mismatch`; `usage` for an index of several platforms of which
/// none was chosen.
pub fn fetch(
    reference: &str,
    choice: Choice<'_>,
    options: &RegistryOptions,
    store: &Store,
) -> anyhow::Result<Fetched> {
    let skopeo = |purpose| Skopeo { options, store, purpose };
    match split(reference) {
        Some(("docker", _)) => {
            registry::documents(reference, choice, skopeo(READ_REGISTRY)).map(Fetched::Documents)
        }
        Some(("docker-daemon", name)) => from_daemon(name, choice, options, store),
        Some(_) => copy::documents(reference, choice, skopeo(READ_OTHER)).map(Fetched::Documents),
        None => from_daemon(reference, choice, options, store),
    }
}

fn from_daemon(
    name: &str,
    choice: Choice<'_>,
    options: &RegistryOptions,
    store: &Store,
) -> anyhow::Result<Fetched> {
    if is_installed("docker") || !is_installed("skopeo") {
        return daemon::save(name, store).map(Fetched::Archive);
    }
    let skopeo = Skopeo { options, store, purpose: READ_OTHER };
    let reference = format!("docker-daemon:{}", daemon::with_tag(name));
    copy::documents(&reference, choice, skopeo).map(Fetched::Documents)
}

/// Gives a helper's failure the category that its words stand for, and a hint.
pub fn explain(error: anyhow::Error, what: &str) -> anyhow::Error {
    let Some(failure) = error.downcast_ref::<Failure>() else {
        return error.context(what.to_owned());
    };
    if failure.category != Category::HelperFailed {
        return error;
    }
    let said = |words: &[&str]| words.iter().any(|word| failure.message.contains(word));
    let mut failure = failure.clone();
    if said(&["manifest unknown", "name unknown", "name not known", "does not resolve to an image"])
        || said(&[
            "o such image",
            "reference does not exist",
            "registry 404",
            "identifier is not an image",
        ])
    {
        failure.category = Category::NotFound;
    } else if said(&["HTTP response to HTTPS client"]) {
        failure.hint =
            Some("--tls-verify=false if this registry is meant to speak plain HTTP".to_owned());
    } else if said(&["unauthorized", "authentication required", "denied"])
        && !said(&["permission denied"])
    {
        failure.hint = Some("give credentials: skopeo login, --authfile or --creds".to_owned());
    } else if said(&["onnect to the Docker daemon", "docker daemon socket", "docker API"]) {
        failure.hint = Some(
            "is it running, and may you use it? DOCKER_HOST or a docker context names another"
                .to_owned(),
        );
    } else if said(&["is too old"]) {
        failure.hint = Some("this client is refused by the daemon: install a newer one".to_owned());
    }
    failure.message = format!("{what}: {failure}");
    failure.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure;

    #[test]
    fn transports_are_told_from_names() {
        assert_eq!(split("docker://host/a:1"), Some(("docker", "//host/a:1")));
        assert_eq!(split("docker-daemon:a:1"), Some(("docker-daemon", "a:1")));
        for name in ["app:1", "dockers:1", "app", "host:5000/app:1"] {
            assert_eq!(split(name), None);
        }
    }

    #[test]
    fn references_tell_the_stored_name() {
        let name = |reference| stored_name(reference);
        assert_eq!(name("docker://h:5000/app:1").as_deref(), Some("h:5000/app:1"));
        assert_eq!(name("docker://busybox").as_deref(), Some("busybox:latest"));
        let storage = "containers-storage:[vfs@/a+/b]localhost/app:1";
        assert_eq!(name(storage).as_deref(), Some("localhost/app:1"));
        for none in
            ["docker://h/app@sha256:00", "containers-storage:@00", "dir:/x", "app", "docker:x"]
        {
            assert_eq!(name(none), None, "{none}");
        }
    }

    #[test]
    fn words_of_helpers_become_categories() {
        let of = |message: &str| {
            let error = explain(failure!(HelperFailed, "{message}").into(), "reading x");
            error.downcast::<Failure>().unwrap()
        };
        let absent =
            of("skopeo failed: reading manifest v1 in h/a: manifest unknown: manifest unknown");
        assert_eq!(absent.category, Category::NotFound);
        assert!(absent.message.starts_with("reading x: skopeo failed: reading manifest"));
        assert_eq!(of("docker failed: Error: No such image: a:1").category, Category::NotFound);
        let down =
            of("docker failed: Cannot connect to the Docker daemon at unix:///x. Is it running?");
        assert_eq!(down.category, Category::HelperFailed);
        assert!(down.hint.unwrap().contains("DOCKER_HOST"));
        assert!(of("skopeo failed: unauthorized: x").hint.unwrap().contains("--authfile"));
        assert_eq!(of("skopeo failed: i/o timeout").hint, None);
    }

    #[test]
    fn other_failures_keep_their_category() {
        let error =
            explain(failure!(MissingProgram, "the program skopeo is needed").into(), "reading x");
        assert_eq!(error.downcast::<Failure>().unwrap().category, Category::MissingProgram);
    }
}
