//! What a recipe may say. A reader believes nothing in it before it was compared with the rest, and a writer writes
//! nothing that a reader refuses.

use std::collections::HashSet;

use serde::Deserialize;

use super::recipe::{
    Content, FileLayout, Layer, MAX_SIZE, Manifest, Range, Recipe, Target, VERSION,
};
use super::{BlobInfo, BlobKind};
use crate::failure;
use crate::failure::Failure;

/// Bytes that a name, a media type or a platform may have.
const MAX_TEXT_LEN: usize = 4096;

/// What every version of a recipe says.
#[derive(Deserialize)]
struct Head {
    version: u32,
    #[serde(default)]
    requires: Vec<String>,
}

impl Recipe {
    /// Reads a recipe and compares it with the blobs of its package.
    ///
    /// # Errors
    /// `unsupported`, naming it, for a version or a feature (not in `features`) that this program does not know;
    /// `package-corrupt` for everything else.
    pub fn parse(json: &[u8], blobs: &[BlobInfo], features: &[String]) -> Result<Self, Failure> {
        let head: Head = serde_json::from_slice(json).map_err(not_a_recipe)?;
        if head.version != VERSION {
            return Err(
                failure!(Unsupported, "the package has format version {}, this program reads {VERSION}", head.version;
                "use a release of dd-apply that reads it"),
            );
        }
        if let Some(missing) = head.requires.iter().find(|f| !features.contains(f)) {
            let missing: String = missing.chars().take(100).collect();
            return Err(
                failure!(Unsupported, "the package needs the feature {missing:?}, which this program lacks"; "use a newer release"),
            );
        }
        let recipe: Self = serde_json::from_slice(json).map_err(not_a_recipe)?;
        recipe.check(blobs).map_err(
            |what| failure!(PackageCorrupt, "the package's recipe is broken: {what}"; "get the package again"),
        )?;
        Ok(recipe)
    }

    /// Leaves out the names, media types and platforms that a recipe cannot hold: they are said beside the documents, which
    /// travel as they are.
    pub fn leave_out_texts(&mut self) {
        let fits = |value: &str| text("text", Some(value)).is_ok();
        let clear = |value: &mut Option<String>| drop(value.take_if(|value| !fits(value)));
        for layer in &mut self.layers {
            clear(&mut layer.media_type);
        }
        for target in &mut self.targets {
            target.names.retain(|name| fits(name));
            for manifest in &mut target.manifests {
                clear(&mut manifest.media_type);
                clear(&mut manifest.platform);
                manifest.names.retain(|name| fits(name));
            }
        }
    }

    /// Compares the recipe with itself and with the blobs of its package.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn check(&self, blobs: &[BlobInfo]) -> Result<(), String> {
        limit("memory", self.memory)?;
        limit("scratch", self.scratch)?;
        limit("documents", self.documents)?;
        self.check_contents(blobs)?;
        for (n, layer) in self.layers.iter().enumerate() {
            self.check_layer(layer, blobs).map_err(|what| format!("layer {n}: {what}"))?;
        }
        for (n, target) in self.targets.iter().enumerate() {
            self.check_target(target, blobs).map_err(|what| format!("target {n}: {what}"))?;
        }
        if self.targets.is_empty() {
            return Err("it has no target".to_owned());
        }
        Ok(())
    }

    fn check_contents(&self, blobs: &[BlobInfo]) -> Result<(), String> {
        let all: HashSet<_> = self.contents.iter().map(|c| c.diff_id).collect();
        if all.len() != self.contents.len() {
            return Err("a content is listed twice".to_owned());
        }
        let mut later: HashSet<_> =
            self.contents.iter().filter(|c| c.payload.is_some()).map(|c| c.diff_id).collect();
        for (n, content) in self.contents.iter().enumerate() {
            let Content { size, payload, sources, .. } = content;
            limit("size", *size).map_err(|what| format!("content {n}: {what}"))?;
            match payload {
                Some(blob) => blob_is(blobs, *blob, BlobKind::Program)
                    .map_err(|what| format!("content {n}: {what}"))?,
                None if !sources.is_empty() => {
                    return Err(format!("content {n} has sources and no payload"));
                }
                None => {}
            }
            if let Some(source) = sources.iter().find(|source| later.contains(*source)) {
                return Err(format!("content {n} reads {source}, which is not made before it"));
            }
            later.remove(&content.diff_id);
        }
        Ok(())
    }

    fn check_layer(&self, layer: &Layer, blobs: &[BlobInfo]) -> Result<(), String> {
        let kinds = [layer.content.is_some(), layer.document.is_some(), layer.gap];
        if kinds.iter().filter(|k| **k).count() != 1 {
            return Err("it must have exactly one of content, document and gap".to_owned());
        }
        text("media type", layer.media_type.as_deref())?;
        limit("size", layer.size.unwrap_or(0))?;
        if let Some(range) = layer.document {
            self.check_range(range)?;
        }
        let coded = layer.encoding.is_some() || layer.form.is_some();
        match layer.content.map(|n| self.content(n)) {
            Some(None) => return Err("its content is out of range".to_owned()),
            Some(Some(content)) => {
                if coded != layer.digest.is_some() || coded != layer.size.is_some() {
                    return Err(
                        "a compressed layer has digest, size and an encoding or form".to_owned()
                    );
                }
                if layer.form.is_some() && content.payload.is_some() {
                    return Err("a layer that is made cannot need a form of the base".to_owned());
                }
            }
            None if coded => return Err("it has an encoding and no content".to_owned()),
            None if layer.digest.is_none() => return Err("it has no digest".to_owned()),
            None => {}
        }
        check_corrections(layer.corrections, layer.encoding.is_some(), blobs)
    }

    fn check_target(&self, target: &Target, blobs: &[BlobInfo]) -> Result<(), String> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if target.transport.is_empty() || !target.transport.chars().all(known) {
            return Err(format!("{:?} is no transport", target.transport));
        }
        for name in &target.names {
            text("name", Some(name))?;
        }
        for range in [target.index, target.docker_manifest].into_iter().flatten() {
            self.check_range(range)?;
        }
        if target.manifests.is_empty() {
            return Err("it has no manifest".to_owned());
        }
        for (n, manifest) in target.manifests.iter().enumerate() {
            self.check_manifest(manifest, n).map_err(|what| format!("manifest {n}: {what}"))?;
        }
        match &target.file {
            Some(file) => self.check_file(file, blobs).map_err(|what| format!("file: {what}")),
            None => Ok(()),
        }
    }

    fn check_manifest(&self, manifest: &Manifest, position: usize) -> Result<(), String> {
        text("media type", manifest.media_type.as_deref())?;
        text("platform", manifest.platform.as_deref())?;
        for name in &manifest.names {
            text("name", Some(name))?;
        }
        limit("size", manifest.size.unwrap_or(0))?;
        if manifest.document.is_some() && (manifest.digest.is_none() || manifest.size.is_some()) {
            return Err("a document has a digest, and its size is that of its range".to_owned());
        }
        let config = manifest.config.and_then(|config| config.document);
        for range in [manifest.document, config].into_iter().flatten() {
            self.check_range(range)?;
        }
        if manifest.parent.is_some_and(|parent| parent as usize >= position) {
            return Err("its parent does not stand before it".to_owned());
        }
        match manifest.layers.iter().find(|n| **n as usize >= self.layers.len()) {
            Some(n) => Err(format!("its layer {n} is out of range")),
            None => Ok(()),
        }
    }

    fn check_file(&self, file: &FileLayout, blobs: &[BlobInfo]) -> Result<(), String> {
        limit("size", file.size)?;
        let (mut bytes, mut tar) = (0_u64, 0_u64);
        for part in &file.parts {
            let layer = match part.layer {
                None => 0,
                Some(n) => self.layer_size(n).ok_or(format!("layer {n} is out of range"))?,
            };
            bytes = bytes.checked_add(part.bytes).ok_or("its parts are too long")?;
            tar = tar
                .checked_add(part.bytes)
                .and_then(|sum| sum.checked_add(layer))
                .ok_or("its parts are too long")?;
            if part.layer.and_then(|n| self.layers.get(n as usize)).is_some_and(|l| l.gap) {
                return Err("it contains a layer that is a gap".to_owned());
            }
        }
        limit("parts", tar)?;
        self.check_range(Range { offset: file.skeleton, len: bytes })?;
        let coded = file.encoding.is_some();
        if coded != file.tar_digest.is_some() || (!coded && tar != file.size) {
            return Err("its parts do not have the file's size".to_owned());
        }
        check_corrections(file.corrections, coded, blobs)
    }

    fn check_range(&self, range: Range) -> Result<(), String> {
        match range.offset.checked_add(range.len) {
            Some(end) if end <= self.documents => Ok(()),
            _ => {
                Err(format!("the range {}+{} is not inside the documents", range.offset, range.len))
            }
        }
    }
}

fn not_a_recipe(error: serde_json::Error) -> Failure {
    failure!(PackageCorrupt, "the package's recipe is broken: {error}"; "get the package again")
}

fn limit(what: &str, size: u64) -> Result<(), String> {
    if size < MAX_SIZE { Ok(()) } else { Err(format!("{what} of {size} bytes is out of range")) }
}

fn text(what: &str, value: Option<&str>) -> Result<(), String> {
    match value {
        Some(value) if value.len() > MAX_TEXT_LEN => Err(format!("a {what} is too long")),
        Some(value) if value.chars().any(char::is_control) => {
            Err(format!("the {what} {value:?} has control characters"))
        }
        _ => Ok(()),
    }
}

fn blob_is(blobs: &[BlobInfo], number: u32, kind: BlobKind) -> Result<(), String> {
    match blobs.get(number as usize) {
        Some(blob) if blob.kind == Some(kind) => Ok(()),
        Some(_) => Err(format!("blob {number} has another media type")),
        None => Err(format!("blob {number} is out of range")),
    }
}

fn check_corrections(blob: Option<u32>, coded: bool, blobs: &[BlobInfo]) -> Result<(), String> {
    match blob {
        None => Ok(()),
        Some(_) if !coded => Err("it has corrections and no encoding".to_owned()),
        Some(blob) => blob_is(blobs, blob, BlobKind::Corrections),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::digest::Digest;
    use crate::failure::Category;
    use crate::package::sample::Sample;

    fn blobs() -> Vec<BlobInfo> {
        let info = |(media_type, bytes): &(String, Vec<u8>)| BlobInfo {
            kind: BlobKind::parse(media_type).map(|(kind, _)| kind),
            zstd: false,
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        Sample::new().blobs.iter().map(info).collect()
    }

    fn parse(recipe: &Value) -> Result<Recipe, Failure> {
        Recipe::parse(recipe.to_string().as_bytes(), &blobs(), &["known".to_owned()])
    }

    #[test]
    fn round_trip() {
        let json = Sample::new().recipe();
        let recipe = parse(&json).unwrap();
        assert_eq!(serde_json::to_value(&recipe).unwrap(), json);
        let needs = recipe.all_needs();
        assert_eq!(needs.contents, [crate::digest::DiffId::of(b"base")]);
        assert_eq!(recipe.layer_digest(0), Some(recipe.contents[0].diff_id.into()));
    }

    #[test]
    fn version_and_features_are_named() {
        let mut recipe = Sample::new().recipe();
        recipe["requires"] = json!(["known"]);
        parse(&recipe).unwrap();
        recipe["requires"] = json!(["known", "model x"]);
        recipe["surprise"] = json!(1);
        let failure = parse(&recipe).unwrap_err();
        assert_eq!(failure.category, Category::Unsupported);
        assert!(failure.message.contains("\"model x\""), "{failure}");
        recipe["version"] = json!(2);
        let failure = parse(&recipe).unwrap_err();
        assert_eq!(failure.category, Category::Unsupported);
        assert!(failure.message.contains("version 2"), "{failure}");
    }

    /// Sets a field and expects the recipe to be refused with a message.
    fn refused(pointer: &str, value: Value, message: &str) {
        let mut recipe = Sample::new().recipe();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        match recipe.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.insert(field.to_owned(), value)),
            Value::Array(list) => list[field.parse::<usize>().unwrap()] = value,
            other => panic!("{other}"),
        }
        let failure = parse(&recipe).unwrap_err();
        assert_eq!(failure.category, Category::PackageCorrupt);
        assert!(failure.message.contains(message), "{pointer}: {failure}");
    }

    #[test]
    fn every_number_is_compared() {
        refused("/unknown", json!(1), "unknown field");
        refused("/documents", json!(u64::MAX), "documents");
        refused("/documents", json!(10), "not inside the documents");
        refused("/targets", json!([]), "no target");
        refused("/contents/0/payload", json!(9), "blob 9 is out of range");
        refused("/contents/0/payload", json!(1), "another media type");
        refused("/contents/0/payload", Value::Null, "sources and no payload");
        refused("/contents/0/size", json!(1_u64 << 60), "out of range");
        refused(
            "/contents/0/sources",
            json!([Sample::new().recipe()["contents"][0]["diff_id"]]),
            "not made before",
        );
        refused("/layers/0/content", json!(1), "content is out of range");
        refused("/layers/0/gap", json!(true), "exactly");
        refused("/layers/0/encoding", json!({}), "has digest, size");
        refused("/layers/0/corrections", json!(2), "no encoding");
        refused("/layers/0/media_type", json!("a\u{1b}[2J"), "control characters");
        refused("/targets/0/transport", json!("../x"), "no transport");
        refused("/targets/0/manifests", json!([]), "no manifest");
        refused("/targets/0/manifests/0/layers/0", json!(1), "out of range");
        refused("/targets/0/manifests/0/parent", json!(0), "parent");
        refused("/targets/0/manifests/0/document", json!([0, u64::MAX]), "not inside");
        refused("/targets/0/manifests/0/config/document", json!([u64::MAX, 2]), "not inside");
        refused("/targets/0/index", json!([30, 5]), "not inside");
        refused("/targets/0/file/size", json!(3), "the file's size");
        refused("/targets/0/file/skeleton", json!(1), "not inside");
        refused("/targets/0/file/parts/0", json!([30, 7]), "layer 7 is out of range");
        refused("/targets/0/file/parts/0", json!([1, 2, 3]), "a part is");
        refused("/targets/0/file/parts/0", json!([u64::MAX, 0]), "too long");
    }

    #[test]
    fn texts_that_no_recipe_holds_are_left_out() {
        let mut json = Sample::new().recipe();
        let manifest = &mut json["targets"][0]["manifests"][0];
        manifest["media_type"] = json!("a".repeat(MAX_TEXT_LEN + 1));
        manifest["platform"] = json!("linux\n/amd64");
        manifest["names"] = json!(["a\u{1b}[2J", "app:1"]);
        json["targets"][0]["names"] = json!(["app:1", "a\u{7f}"]);
        json["layers"][0]["media_type"] = json!("application/x\u{1}");
        let mut recipe: Recipe = serde_json::from_value(json).unwrap();
        recipe.check(&blobs()).unwrap_err();
        recipe.leave_out_texts();
        recipe.check(&blobs()).unwrap();
        let target = &recipe.targets[0];
        assert_eq!(target.names, ["app:1"]);
        assert_eq!(target.manifests[0].names, ["app:1"]);
        assert_eq!(target.manifests[0].platform, None);
    }

    #[test]
    fn the_documented_recipe_is_one() {
        let page = include_str!("../../../docs/package-format.md");
        let json = page.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
        let features = ["program-1", "zlib"].map(str::to_owned);
        let recipe = Recipe::parse(json.as_bytes(), &blobs(), &features).unwrap();
        assert_eq!(
            serde_json::to_string(&recipe).unwrap(),
            json,
            "the fields are in the order of the types"
        );
        for feature in crate::package::features() {
            assert!(page.contains(&format!("`{feature}`")), "{feature} is documented");
        }
    }

    /// Every value of the recipe replaced by every other kind of value: refused, or shown without a panic.
    #[test]
    fn no_value_makes_it_panic() {
        let wrong = [
            Value::Null,
            json!(-1),
            json!(0),
            json!(1),
            json!(u32::MAX),
            json!((1_u64 << 53) - 1),
            json!(u64::MAX),
            json!("\u{7f}"),
            json!([]),
            json!([[0, 0], [u64::MAX]]),
            json!({}),
        ];
        let recipe = Sample::new().recipe();
        let mut pointers = Vec::new();
        collect(&recipe, String::new(), &mut pointers);
        let mut accepted = 0;
        for pointer in &pointers {
            for value in &wrong {
                let mut recipe = recipe.clone();
                *recipe.pointer_mut(pointer).unwrap() = value.clone();
                if let Ok(recipe) = parse(&recipe) {
                    accepted += 1;
                    let digest = Digest::of(b"");
                    crate::package::describe(&recipe, digest, None, 0, digest);
                    crate::package::table(&recipe, &blobs(), &std::collections::HashMap::new());
                }
            }
        }
        assert!(accepted > 0 && accepted < pointers.len() * wrong.len() / 4, "{accepted}");
    }

    fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(k, v)| collect(v, format!("{at}/{k}"), pointers));
            }
            Value::Array(list) => {
                (0..)
                    .zip(list)
                    .for_each(|(i, v): (u32, _)| collect(v, format!("{at}/{i}"), pointers));
            }
            _ => {}
        }
        pointers.push(at);
    }
}
