//! Copying a staged image to its destination by skopeo.

use std::ffi::OsStr;

use dd_inspect::child::{RegistryOptions, Side, Skopeo};
use dd_inspect::digest::Digest;
use dd_inspect::elsewhere::explain;
use dd_inspect::fail;
use dd_inspect::store::Store;

pub(super) const PURPOSE: &str = "to write images to registries and other stores";

/// What must be found at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The digest of the manifest or index.
    pub manifest: Digest,
    /// It is an index, all of whose manifests are staged.
    pub is_index: bool,
    /// The digest of the configuration, if the image has one only: for destinations that keep no manifest.
    pub config: Option<Digest>,
}

/// Whether a destination stores manifests as they are, not layers uncompressed below a manifest of its own.
pub(super) fn keeps_manifests(destination: &str) -> bool {
    let transport = destination.split(':').next().unwrap_or_default();
    !["docker-daemon", "docker-archive", "sif", "tarball", "ostree"].contains(&transport)
}

/// Whether several manifests can be stored under one name (containers-storage and the daemon cannot).
pub(super) fn takes_indexes(destination: &str) -> bool {
    ["docker:", "oci:", "dir:"].iter().any(|transport| destination.starts_with(transport))
}

/// Copies `source` (`dir:PATH` or another reference of skopeo's, all its blobs verified) to `destination`, and compares
/// what is there then. Returns whether the manifest is there unchanged.
///
/// # Errors
/// `missing-program`, `helper-failed`; `digest-mismatch` if something else is at the destination afterwards.
pub fn push(
    source: &OsStr,
    destination: &str,
    wanted: &Arrived,
    options: &RegistryOptions,
    store: &Store,
) -> anyhow::Result<bool> {
    if wanted.is_index && !takes_indexes(destination) {
        fail!(Usage, "{destination} takes an image for one platform only"; "choose it with --platform");
    }
    let skopeo = Skopeo { options, store, purpose: PURPOSE };
    let keeps = keeps_manifests(destination);
    let mut helper = skopeo.command("copy", Side::Destination)?.arg("--quiet");
    if keeps {
        helper = helper.arg("--preserve-digests");
    }
    if wanted.is_index {
        helper = helper.arg("--all");
    }
    if let Some(host) = daemon_host(destination) {
        helper = helper.arg(format!("--dest-daemon-host={host}"));
    }
    let copied = helper.arg("--").arg(source).arg(destination).output();
    copied.map_err(|e| explain(e, &format!("writing to {destination}")))?;
    match (keeps, wanted.config) {
        (true, _) => {
            compare(destination, &["--raw"], "manifest", wanted.manifest, skopeo)?;
            Ok(true)
        }
        (false, Some(config)) => {
            compare(destination, &["--config", "--raw"], "configuration", config, skopeo)?;
            Ok(false)
        }
        (false, None) => Ok(false),
    }
}

/// skopeo does not look for the daemon where the docker client does.
fn daemon_host(destination: &str) -> Option<String> {
    destination.starts_with("docker-daemon:").then(|| std::env::var("DOCKER_HOST").ok())?
}

fn compare(
    destination: &str,
    what: &[&str],
    name: &str,
    wanted: Digest,
    skopeo: Skopeo<'_>,
) -> anyhow::Result<()> {
    let mut helper = skopeo.command("inspect", Side::Inspected)?;
    if let Some(host) = daemon_host(destination) {
        helper = helper.arg(format!("--daemon-host={host}"));
    }
    let answer = helper.args(what).args(["--", destination]).output();
    let answer = answer.map_err(|e| explain(e, &format!("reading {destination} again")))?;
    let found = Digest::of(&answer);
    if found != wanted {
        fail!(
            DigestMismatch,
            "{destination} has a {name} of digest {found} afterwards, not {wanted}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_that_keep_manifests() {
        for destination in ["docker://h/a:1", "containers-storage:a:1", "oci:/tmp/x", "dir:/tmp/x"]
        {
            assert!(keeps_manifests(destination), "{destination}");
        }
        for destination in ["docker-daemon:a:1", "docker-archive:/tmp/x"] {
            assert!(!keeps_manifests(destination), "{destination}");
        }
        assert!(takes_indexes("docker://h/a:1") && !takes_indexes("docker-daemon:a:1"));
        assert!(!takes_indexes("containers-storage:a:1"));
    }

    #[test]
    fn only_the_daemon_has_a_host() {
        assert_eq!(daemon_host("docker://h/a:1"), None);
    }
}
