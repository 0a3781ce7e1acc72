//! The documents that are written anew: `index.json`, `manifest.json` of docker-archive, `oci-layout`.

use serde_json::{Map, Value, json};

use super::images::{DockerImage, Images, Top, content_of};
use super::names;
use anyhow::Context;
use dd_inspect::digest::Digest;
use dd_inspect::package::Recipe;

/// The content of `oci-layout` (OCI image layout specification, "oci-layout file"), written as skopeo writes it.
pub const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion": "1.0.0"}"#;
/// The annotation that names an image in a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that containerd and Docker read a full name from.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// How names stand in an `index.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// As Docker and containerd write it: the tag as reference name, the full name beside.
    Docker,
    /// The name as it is as reference name.
    Layout,
}

/// The descriptors of an image, one for each of its names.
pub fn descriptors(top: &Top, naming: Naming) -> Vec<Value> {
    let fits = |original: &Value| {
        let annotation = original.get("annotations").and_then(|a| a.get(CONTAINERD_NAME));
        naming == Naming::Layout || annotation.is_some()
    };
    if !top.originals.is_empty() && top.originals.iter().all(fits) {
        return top.originals.clone();
    }
    if top.names.is_empty() {
        return vec![unnamed(&top.descriptor)];
    }
    top.names.iter().map(|name| named(&top.descriptor, name, naming)).collect()
}

fn unnamed(descriptor: &Value) -> Value {
    let mut descriptor = descriptor.clone();
    if let Some(annotations) = descriptor.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove(REF_NAME);
        annotations.shift_remove(CONTAINERD_NAME);
    }
    let annotations = descriptor.get("annotations").and_then(Value::as_object);
    if annotations.is_some_and(Map::is_empty)
        && let Some(fields) = descriptor.as_object_mut()
    {
        fields.shift_remove("annotations");
    }
    descriptor
}

fn named(descriptor: &Value, name: &str, naming: Naming) -> Value {
    let mut descriptor = unnamed(descriptor);
    let Some(fields) = descriptor.as_object_mut() else { return descriptor };
    let annotations = fields.entry("annotations").or_insert_with(|| json!({}));
    let Some(annotations) = annotations.as_object_mut() else { return descriptor };
    if naming == Naming::Docker
        && names::is_tagged(&names::with_tag(name))
        && name.contains([':', '/'])
    {
        annotations.insert(CONTAINERD_NAME.to_owned(), names::full(name).into());
        annotations.insert(REF_NAME.to_owned(), names::tag(name).into());
    } else {
        annotations.insert(REF_NAME.to_owned(), name.into());
    }
    descriptor
}

/// An `index.json` of these images.
///
/// # Errors
/// None in practice: texts and numbers always become JSON.
pub fn index_json(images: &Images, naming: Naming) -> anyhow::Result<Vec<u8>> {
    let manifests: Vec<_> = images.tops.iter().flat_map(|top| descriptors(top, naming)).collect();
    Ok(serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    }))?)
}

/// A `manifest.json` of docker-archive; with `plain` the layers stand uncompressed under their diff_ids.
///
/// # Errors
/// A layer that the recipe does not have.
pub fn docker_manifest(
    images: &[DockerImage],
    recipe: &Recipe,
    plain: bool,
) -> anyhow::Result<Vec<u8>> {
    let mut entries = Vec::new();
    for image in images {
        let mut layers = Vec::new();
        for number in &image.layers {
            let digest = match plain {
                true => content_of(recipe, *number).map(|(_, diff_id)| diff_id.into()),
                false => recipe.layer_digest(*number),
            };
            layers.push(blob_name(&digest.context("a layer has no content")?));
        }
        let tags = image.names.iter().filter(|name| name.contains([':', '/']));
        let tags: Vec<_> =
            tags.map(|name| names::with_tag(name)).filter(|n| names::is_tagged(n)).collect();
        let tags = if tags.is_empty() { Value::Null } else { tags.into() };
        entries
            .push(json!({"Config": blob_name(&image.config), "RepoTags": tags, "Layers": layers}));
    }
    Ok(serde_json::to_vec(&entries)?)
}

/// Where a blob lies in a layout.
pub fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
