//! What dd-inspect shows to people: an image as a few lines, its layers as a table.

mod text;

use std::fmt::Write as _;

pub(crate) use text::{printable, thousands};

use crate::digest::Digest;
use crate::image::ImageRecords;
use crate::record::{Compression, Exact, Layer, Manifest, Role};

/// The view of one image.
pub fn image(records: &ImageRecords) -> String {
    let mut text = String::new();
    let image = &records.image;
    let role = match image.role {
        Role::Base => "base  ",
        Role::Target => "target  ",
        Role::Image => "",
    };
    let _ =
        write!(text, "{role}{}  [{}]", printable(&image.reference), printable(&image.transport));
    if let Some(archive) = &records.archive {
        let compression = match archive.compression {
            Compression::None => "",
            Compression::Gzip => " in gzip",
            Compression::Zstd => " in zstd",
        };
        let _ = write!(text, "  {} bytes{compression}", thousands(archive.size));
    }
    text.push('\n');
    if !image.names.is_empty() {
        let names: Vec<String> = image.names.iter().map(|name| printable(name)).collect();
        line(&mut text, "names", &names.join(", "));
    }
    if let Some(digest) = &image.manifest_digest {
        let is_index = records.manifests.first().is_some_and(|top| !top.manifests.is_empty());
        line(&mut text, if is_index { "index" } else { "manifest" }, &digest.to_string());
    }
    if let Some(archive) = &records.archive {
        line(&mut text, "file", &archive.file_digest.to_string());
    }
    if image.role == Role::Target {
        let exact = match image.exact {
            Exact::File => "the file itself, bit for bit",
            Exact::Manifest => "manifests and compressed layers",
            Exact::Config => "configuration and content of layers",
        };
        line(&mut text, "rebuilt", exact);
    }
    for manifest in records.manifests.iter().filter(|manifest| manifest.manifests.is_empty()) {
        show_manifest(&mut text, records, manifest);
    }
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<9} {value}");
}

fn show_manifest(text: &mut String, records: &ImageRecords, manifest: &Manifest) {
    let platform = manifest.platform.as_deref().map_or("no platform".to_owned(), printable);
    let kind = match (manifest.gap, &manifest.subject) {
        (true, _) => "  not here",
        (_, Some(_)) => "  attestation",
        _ => "",
    };
    let names = manifest
        .names
        .iter()
        .filter(|name| !records.image.names.contains(name) || records.image.names.len() > 1);
    let names: String = names.map(|name| format!("  {}", printable(name))).collect();
    let _ = writeln!(text, "\n  {platform}{kind}{names}");
    for (name, digest) in [("manifest", manifest.digest), ("config", manifest.config_digest)] {
        if let Some(digest) = digest {
            line(text, name, &digest.to_string());
        }
    }
    if let Some(subject) = &manifest.subject {
        line(text, "about", &subject.to_string());
    }
    let mut layers =
        records.layers.iter().filter(|layer| layer.manifest == manifest.position).peekable();
    if layers.peek().is_some() {
        let _ = writeln!(
            text,
            "  {:>5}  {:<19}  {:<19}  {:>15}  form",
            "layer", "stored as", "content", "bytes"
        );
    }
    for layer in layers {
        show_layer(text, layer);
    }
}

fn show_layer(text: &mut String, layer: &Layer) {
    let form = match layer.compression {
        _ if layer.gap => "absent".to_owned(),
        _ if layer.opaque => layer.media_type.as_deref().map_or("unknown".to_owned(), printable),
        Some(Compression::None) => "tar".to_owned(),
        Some(Compression::Gzip) => "gzip".to_owned(),
        Some(Compression::Zstd) => "zstd".to_owned(),
        None => "not fetched".to_owned(),
    };
    let base = if layer.in_base == Some(true) { "  in base" } else { "" };
    let stored = layer.digest.as_ref().map(short).unwrap_or_default();
    let bytes = layer.size.map(thousands).unwrap_or_default();
    let content = short(&layer.diff_id.into());
    let position = layer.position;
    let _ =
        writeln!(text, "  {position:>5}  {stored:<19}  {content:<19}  {bytes:>15}  {form}{base}");
}

/// The beginning of a digest, enough to tell it from others.
fn short(digest: &Digest) -> String {
    let mut text = digest.to_string();
    text.truncate(19);
    text
}
