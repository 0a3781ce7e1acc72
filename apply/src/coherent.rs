//! Whether the recipe agrees with the documents that it carries.
//!
//! The documents are what people trust: they are compared by digest. The recipe says which layers are rebuilt for them; if it
//! named others, an image could come out whole and verified and still not be the one that its manifest describes.

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::failure;
use dd_inspect::package::{Documents, Manifest, Recipe, Target};
use serde::Deserialize;

use crate::choice::Chosen;

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
}

#[derive(Deserialize)]
struct Document {
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: Option<RootFs>,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<DiffId>>,
}

/// Compares the chosen manifests and configurations with the recipe.
///
/// # Errors
/// `package-corrupt`, naming the document.
pub fn check(recipe: &Recipe, documents: &Documents, chosen: &[Chosen]) -> anyhow::Result<()> {
    for one in chosen {
        let Some(target) = one.target(recipe) else { continue };
        for (_, manifest) in one.manifests(recipe) {
            check_manifest(recipe, documents, target, manifest)?;
        }
    }
    Ok(())
}

fn check_manifest(
    recipe: &Recipe,
    documents: &Documents,
    target: &Target,
    manifest: &Manifest,
) -> anyhow::Result<()> {
    let wrong = |what: &str, digest: Option<Digest>| {
        let document = digest.map_or_else(|| "an image".to_owned(), |digest| digest.to_string());
        failure!(PackageCorrupt, "the package's recipe disagrees with {document}: {what}"; "get the package again")
    };
    if let Some(range) = manifest.document {
        let document: Document = serde_json::from_slice(&documents.read(range)?)
            .map_err(|e| wrong(&format!("it cannot be read ({e})"), manifest.digest))?;
        let config = document.config.map(|config| config.digest);
        if config != manifest.config.map(|config| config.digest) {
            return Err(wrong("it has another configuration", manifest.digest).into());
        }
        let named = document.layers.unwrap_or_default();
        let rebuilt = manifest.layers.iter().map(|number| recipe.layer_digest(*number));
        if !named.iter().map(|layer| Some(layer.digest)).eq(rebuilt) {
            return Err(wrong("it has other layers", manifest.digest).into());
        }
        let below = document.manifests.unwrap_or_default();
        let place = target.manifests.iter().position(|other| std::ptr::eq(other, manifest));
        let mut children = target
            .manifests
            .iter()
            .filter(|m| m.parent.map(|p| p as usize) == place && place.is_some());
        let named = |digest: Digest| below.iter().any(|descriptor| descriptor.digest == digest);
        if !children.all(|child| child.digest.is_some_and(named)) {
            return Err(wrong(
                "it does not name a manifest that should stand below it",
                manifest.digest,
            )
            .into());
        }
    }
    let Some((config, range)) = manifest.config.and_then(|c| Some((c.digest, c.document?))) else {
        return Ok(());
    };
    // Configurations of artifacts need not be JSON.
    let Ok(document) = serde_json::from_slice::<Config>(&documents.read(range)?) else {
        return Ok(());
    };
    let diff_ids = document.rootfs.and_then(|rootfs| rootfs.diff_ids).unwrap_or_default();
    if diff_ids.len() != manifest.layers.len() {
        return Ok(());
    }
    for (diff_id, number) in diff_ids.iter().zip(&manifest.layers) {
        let layer = recipe.layers.get(*number as usize);
        // What the manifest names by its content is no layer to unpack, or it is vouched for.
        let vouched =
            manifest.document.is_some() && layer.is_some_and(|layer| layer.digest.is_none());
        let content = layer.filter(|_| !vouched).and_then(|layer| recipe.content(layer.content?));
        if content.is_some_and(|content| content.diff_id != *diff_id) {
            return Err(wrong(
                &format!("the layer {diff_id} is made with another content"),
                Some(config),
            )
            .into());
        }
    }
    Ok(())
}
