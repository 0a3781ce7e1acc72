//! A package as people and records see it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::reader::BlobInfo;
use super::recipe::{Form, Layer, Means, Recipe, Target};
use crate::digest::{DiffId, Digest};
use crate::record;
use crate::record::RecordPath;
use crate::table::{printable, thousands};

/// The `package` record of a package that lies in `file`.
pub fn describe(
    recipe: &Recipe,
    manifest_digest: Digest,
    file: Option<&Path>,
    size: u64,
    file_digest: Digest,
) -> record::Package {
    let file = file.map(|file| RecordPath::new(file.as_os_str().as_bytes()));
    let RecordPath { path: file, path_base64: file_base64 } = file.unwrap_or_default();
    let targets = &recipe.targets;
    let manifests = || targets.iter().flat_map(|target| &target.manifests);
    let tops = targets.iter().flat_map(|target| match target.digest {
        Some(digest) => vec![digest],
        None => target
            .manifests
            .iter()
            .filter(|m| m.parent.is_none())
            .filter_map(|m| m.digest)
            .collect(),
    });
    record::Package {
        file,
        file_base64,
        size,
        file_digest,
        manifest_digest,
        targets: unique(tops),
        config_digests: unique(manifests().filter_map(|m| Some(m.config?.digest))),
        names: unique(targets.iter().flat_map(|target| target.names.clone())),
        requires: recipe.all_needs().contents,
        memory: recipe.memory,
        scratch: recipe.scratch,
        target_size: targets
            .iter()
            .map(|target| target_size(recipe, target))
            .fold(0, u64::saturating_add),
    }
}

fn unique<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut list = Vec::new();
    for item in items {
        if !list.contains(&item) {
            list.push(item);
        }
    }
    list
}

/// Bytes that the target has as a file, else as layers and documents.
fn target_size(recipe: &Recipe, target: &Target) -> u64 {
    if let Some(file) = &target.file {
        return file.size;
    }
    let layers = target.layers().into_iter().filter(|n| !is_gap(recipe, *n));
    let layers = layers.filter_map(|n| recipe.layer_size(n));
    let documents =
        target.manifests.iter().flat_map(|m| [m.document, m.config.and_then(|c| c.document)]);
    let documents = documents.flatten().map(|range| range.len);
    layers.chain(documents).fold(0, u64::saturating_add)
}

fn is_gap(recipe: &Recipe, number: u32) -> bool {
    recipe.layers.get(number as usize).is_some_and(|layer| layer.gap)
}

/// The table of a package: its images and, layer by layer, what the base has and what travels. `why` has remarks about
/// contents.
pub fn table(recipe: &Recipe, blobs: &[BlobInfo], why: &HashMap<DiffId, String>) -> String {
    let mut text = String::new();
    for target in &recipe.targets {
        let names = target.names.iter().map(|name| printable(name)).collect::<Vec<_>>().join(", ");
        let names = if names.is_empty() { "(no name)".to_owned() } else { names };
        let _ = writeln!(text, "{names}  [{}]", target.transport);
        for manifest in
            target.manifests.iter().filter(|m| !m.layers.is_empty() || m.parent.is_none())
        {
            let digest = manifest.digest.or(manifest.config.map(|config| config.digest));
            let platform = manifest.platform.as_deref().map(printable).unwrap_or_default();
            let gap = if manifest.gap() { "  left out" } else { "" };
            let digest = digest.map(|digest| digest.to_string()).unwrap_or_default();
            let _ = writeln!(text, "  {digest}  {platform}{gap}");
        }
        let _ = writeln!(text, "  {:<19} {:<7} {:>15} {:>15}", "layer", "means", "bytes", "travel");
        for number in target.layers() {
            if let Some(layer) = recipe.layers.get(number as usize) {
                let row = row(recipe, blobs, number, layer);
                let why = layer.content.and_then(|n| why.get(&recipe.content(n)?.diff_id));
                let why = why.map(|why| format!("  {}", printable(why))).unwrap_or_default();
                let _ = writeln!(text, "  {row}{why}");
            }
        }
    }
    text
}

/// Changes that the table of costs shows.
const SHOWN: usize = 20;

/// The table of what paths cost, the costliest first, and what is left of the package's size.
pub fn costs(changes: &[Vec<u8>], size: u64) -> String {
    let parsed =
        changes.iter().filter_map(|raw| serde_json::from_slice::<record::Change>(raw).ok());
    let mut costly: Vec<record::Change> = parsed.filter(|change| change.cost > Some(0)).collect();
    if costly.is_empty() {
        return String::new();
    }
    costly.sort_by_key(|change| std::cmp::Reverse(change.cost));
    costly.truncate(SHOWN);
    let mut text = format!("{:>15}  {:<8} path\n", "travel", "means");
    let mut left = size;
    for change in &costly {
        let (cost, means) = (change.cost.unwrap_or(0), change.means.as_deref().unwrap_or("header"));
        left = left.saturating_sub(cost);
        let path = change.path.bytes().unwrap_or_default();
        let path = printable(&String::from_utf8_lossy(&path));
        let _ = writeln!(text, "{:>15}  {:<8} {path}", thousands(cost), printable(means));
    }
    let _ = writeln!(text, "{:>15}  everything else", thousands(left));
    text
}

fn row(recipe: &Recipe, blobs: &[BlobInfo], number: u32, layer: &Layer) -> String {
    let digest = recipe.layer_digest(number).map(|digest| digest.to_string());
    let digest = digest.as_deref().and_then(|d| d.get(..19)).unwrap_or_default();
    let content = layer.content.and_then(|n| recipe.content(n));
    let means = match (content.map(super::Content::means), layer.gap) {
        (_, true) => "absent",
        (Some(Means::Base), _) => "base",
        (Some(Means::Delta), _) => "delta",
        (Some(Means::Whole), _) | (None, _) => "whole",
    };
    let size = |number: Option<u32>| {
        number.and_then(|n| blobs.get(n as usize)).map_or(0, |blob: &BlobInfo| blob.size)
    };
    let payload = size(content.and_then(|content| content.payload));
    let document = layer.document.map_or(0, |range| range.len);
    let travel = payload.saturating_add(size(layer.corrections)).saturating_add(document);
    let form = if layer.form == Some(Form::Compressed) {
        "  only from the same compressed blob"
    } else {
        ""
    };
    let total = thousands(recipe.layer_size(number).unwrap_or(0));
    format!("{digest:<19} {means:<7} {total:>15} {:>15}{form}", thousands(travel))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::reader::{Options, Reader};
    use super::super::sample::{PROGRAM, Sample};
    use super::*;

    #[test]
    fn costs_are_sorted_and_add_up() {
        let change = |path: &str, cost: u64| {
            let layer = DiffId::of(b"");
            format!(
                r#"{{"type":"change","layer":"{layer}","path":"{path}","change":"added","size":1,"means":"edit","cost":{cost}}}"#
            )
            .into_bytes()
        };
        let changes = [change("a\\u0007", 5), change("none", 0), b"{}".to_vec(), change("b", 1234)];
        let table = costs(&changes, 1500);
        let lines: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1..3], [["1,234", "edit", "b"], ["5", "edit", "a\\u{7}"]]);
        assert_eq!(lines[3], ["261", "everything", "else"]);
        assert_eq!(costs(&[], 5), "");
    }

    #[test]
    fn record_and_table() {
        let sample = Sample::new();
        let reader =
            Reader::open(std::io::Cursor::new(sample.framed()), &Options::default()).unwrap();
        let recipe = reader.recipe();
        let digest = Digest::of(b"package");
        let package = describe(&recipe, reader.manifest_digest(), Some(Path::new("p")), 5, digest);
        assert_eq!(package.requires, [DiffId::of(b"base")]);
        assert_eq!(package.targets, [recipe.targets[0].digest.unwrap()]);
        assert_eq!(package.config_digests, [recipe.targets[0].manifests[0].config.unwrap().digest]);
        assert_eq!(package.names, ["app:2"]);
        assert_eq!(package.target_size, recipe.targets[0].file.as_ref().unwrap().size);
        let why = HashMap::from([(recipe.contents[0].diff_id, "no\u{1b}reason".to_owned())]);
        let table = table(&recipe, reader.blobs(), &why);
        let row = table.lines().last().unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        assert_eq!(words[1..], ["delta", "22", &PROGRAM.len().to_string(), "no\\u{1b}reason"]);
        assert!(table.starts_with("app:2  [oci-archive]\n"), "{table}");
    }
}
