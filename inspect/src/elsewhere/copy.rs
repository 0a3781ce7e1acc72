//! Images of any other transport: copied by skopeo into a `dir:`, whose files become objects of the store.
//!
//! `dir:` keeps whatever manifest the source gives. Out of containers-storage that is one with uncompressed layers: only the
//! configuration is the image's own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::Context;

use super::manifest::{Choice, Descriptor, Document, choose};
use super::{Documents, explain, registry};
use crate::child::{MAX_ANSWER, Side, Skopeo};
use crate::digest::Digest;
use crate::fail;
use crate::image::Platform;
use crate::range::FileRange;
use crate::store::Store;

/// Copies an image with its layers.
pub(super) fn documents(
    reference: &str,
    choice: Choice<'_>,
    skopeo: Skopeo<'_>,
) -> anyhow::Result<Documents> {
    let (arguments, index) = instances(reference, choice, skopeo)?;
    let directory = skopeo.store.temporary_directory()?;
    let image = directory.path().join("image");
    let mut destination = OsString::from("dir:");
    destination.push(&image);
    let command = match &arguments {
        Some(platform) => skopeo.command_for(platform, "copy", Side::Source)?,
        None => skopeo.command("copy", Side::Source)?,
    };
    let all = if index && arguments.is_none() { &["--all"][..] } else { &[] };
    let helper = command.arg("--quiet").args(all).args(["--", reference]).arg(destination);
    helper.output().map_err(|e| explain(e, &format!("reading {reference}")))?;
    taken_in(&image, reference, skopeo.store)
}

/// Whether the reference names an index, and the one platform to copy of it.
fn instances(
    reference: &str,
    choice: Choice<'_>,
    skopeo: Skopeo<'_>,
) -> anyhow::Result<(Option<Platform>, bool)> {
    let raw = registry::raw(reference, skopeo)?;
    let Some(manifests) = Document::parse(&raw, reference)?.manifests else {
        return Ok((None, false));
    };
    let chosen = choose(&manifests, choice, reference)?;
    let platform = chosen.iter().find_map(|m| m.platform());
    Ok((platform.filter(|_| matches!(choice, Choice::Only(_))).cloned(), true))
}

/// Makes the files of a `dir:` objects of the store.
fn taken_in(image: &Path, reference: &str, store: &Store) -> anyhow::Result<Documents> {
    let raw = document(&image.join("manifest.json"))?;
    let top = Document::parse(&raw, reference)?;
    let mut blobs = BTreeMap::new();
    let (digest, range) = store.put(&raw)?;
    blobs.insert(digest, range);
    match &top.manifests {
        None => adopt(image, &top, store, &mut blobs)?,
        Some(manifests) => {
            for manifest in manifests {
                let path = image.join(format!("{}.manifest.json", manifest.digest.hex()));
                if !path.exists() {
                    continue;
                }
                let raw = document(&path)?;
                if Digest::of(&raw) != manifest.digest {
                    fail!(
                        DigestMismatch,
                        "skopeo changed manifest {} of {reference}",
                        manifest.digest
                    );
                }
                blobs.insert(manifest.digest, store.put(&raw)?.1);
                adopt(image, &Document::parse(&raw, reference)?, store, &mut blobs)?;
            }
        }
    }
    let top = Descriptor::of(&raw, Some(top.media_type()));
    Ok(Documents { top, blobs, repository: None, exact_manifests: false })
}

fn adopt(
    image: &Path,
    manifest: &Document,
    store: &Store,
    blobs: &mut BTreeMap<Digest, FileRange>,
) -> anyhow::Result<()> {
    for blob in manifest.config.iter().chain(&manifest.layers) {
        let path = image.join(blob.digest.hex());
        if !blobs.contains_key(&blob.digest) && path.exists() {
            blobs.insert(blob.digest, store.adopt(&path, blob.digest)?);
        }
    }
    Ok(())
}

fn document(path: &Path) -> anyhow::Result<Vec<u8>> {
    let what = || format!("reading what skopeo wrote, {}", path.display());
    if std::fs::metadata(path).with_context(what)?.len() > MAX_ANSWER {
        fail!(Limit, "{} has more than {} MiB", path.display(), MAX_ANSWER >> 20);
    }
    std::fs::read(path).with_context(what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_of_a_dir_become_objects() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&dir.path().join("s"))).unwrap();
        let image = dir.path().join("image");
        std::fs::create_dir(&image).unwrap();
        let descriptor = |content: &str| {
            let digest = Digest::of(content.as_bytes());
            std::fs::write(image.join(digest.hex()), content).unwrap();
            json!({"digest": digest, "size": content.len()})
        };
        let manifest = json!({"schemaVersion": 2, "config": descriptor("c"), "layers": [descriptor("l"), descriptor("l")]});
        let manifest = manifest.to_string();
        std::fs::write(image.join("manifest.json"), &manifest).unwrap();
        let documents = taken_in(&image, "x", &store).unwrap();
        assert_eq!(documents.top.digest, Digest::of(manifest.as_bytes()));
        for content in ["c", "l", &manifest] {
            let digest = Digest::of(content.as_bytes());
            assert!(documents.blobs.contains_key(&digest) && store.object(&digest).is_some());
        }
        let top = documents.top.digest;
        assert!(documents.layer(&top, &Digest::of(b"l")).unwrap().path().is_some());
        assert!(documents.layer(&top, &Digest::of(b"absent")).is_none());
    }

    #[test]
    fn a_damaged_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&dir.path().join("s"))).unwrap();
        let config = Digest::of(b"c");
        std::fs::write(dir.path().join(config.hex()), "d").unwrap();
        let manifest =
            json!({"schemaVersion": 2, "config": {"digest": config, "size": 1}, "layers": []});
        std::fs::write(dir.path().join("manifest.json"), manifest.to_string()).unwrap();
        let error = taken_in(dir.path(), "x", &store).unwrap_err();
        assert!(error.to_string().contains("was declared"), "{error}");
    }
}
