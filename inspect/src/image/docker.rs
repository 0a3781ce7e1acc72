//! The images of a docker-archive's `manifest.json`, which name members of the archive (Docker image specification
//! 1.2, "Combined Image JSON + Filesystem Changeset Format").

use super::archive::TarIndex;
use super::document::{Budget, ConfigDocument, DockerEntry, Document, parse_config};
use crate::digest::{DiffId, Digest};
use crate::fail;
use crate::range::{FileRange, ReadAt};

/// One image.
#[derive(Debug, Clone)]
pub struct DockerImage {
    /// Its names.
    pub names: Vec<String>,
    /// The configuration.
    pub config: FileRange,
    /// The configuration's digest.
    pub config_digest: Digest,
    /// What it says.
    pub parsed: ConfigDocument,
    /// The layers, bottom first.
    pub layers: Vec<(DiffId, FileRange)>,
}

/// The configuration that an entry of `manifest.json` names.
///
/// # Errors
/// `not-an-image` if it is absent or too large.
pub fn config(
    archive: &TarIndex,
    entry: &DockerEntry,
    budget: &Budget,
    what: &str,
) -> anyhow::Result<Document> {
    let what = format!("{what}: the configuration {:.200?}", entry.config);
    match archive.file(&entry.config)? {
        Some(range) => {
            budget.take(range.size(), &what)?;
            Document::read(range, &what)
        }
        None => {
            fail!(NotAnImage, "{what} is absent"; "the archive is incomplete; save the image again")
        }
    }
}

impl DockerImage {
    /// Finds what an entry of `manifest.json` names.
    ///
    /// # Errors
    /// `not-an-image` if a member is absent, or the configuration lists another number of layers.
    pub fn find(
        archive: &TarIndex,
        entry: &DockerEntry,
        config: Document,
        what: &str,
    ) -> anyhow::Result<Self> {
        let parsed = parse_config(
            &config.bytes,
            &format!("{what}: the configuration {:.200?}", entry.config),
        )?;
        let diff_ids = parsed.diff_ids.clone().unwrap_or_default();
        let members = entry.layers.as_deref().unwrap_or_default();
        if diff_ids.len() != members.len() {
            fail!(
                NotAnImage,
                "{what}: manifest.json names {} layers, and the configuration lists {}",
                members.len(),
                diff_ids.len()
            );
        }
        let mut layers = Vec::with_capacity(members.len());
        for (name, diff_id) in members.iter().zip(diff_ids) {
            let Some(range) = archive.file(name)? else {
                fail!(NotAnImage, "{what} is incomplete: the layer {name:.200?} is absent"; "save the image again");
            };
            layers.push((diff_id, range));
        }
        let names = entry.repo_tags.clone().unwrap_or_default();
        Ok(Self { names, config_digest: config.digest(), config: config.range, parsed, layers })
    }
}

/// A name with all that docker leaves out when it shows one: `docker.io/library/app` and `app` are `app:latest`.
pub fn full_name(name: &str) -> String {
    let mut name = name;
    for prefix in ["docker.io/", "index.docker.io/"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    let name = name.strip_prefix("library/").unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

#[cfg(test)]
mod tests {
    use super::full_name;

    #[test]
    fn names_that_docker_shortens_are_equal() {
        for name in ["app", "app:latest", "docker.io/app", "docker.io/library/app:latest"] {
            assert_eq!(full_name(name), "app:latest");
        }
        assert_eq!(full_name("localhost:5000/app"), "localhost:5000/app:latest");
        assert_ne!(full_name("other/app"), full_name("app"));
    }
}
