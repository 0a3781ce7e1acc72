//! `oci:DIR`: an OCI image layout, made or added to.

use std::path::Path;

use dd_inspect::package::Range;
use dd_inspect::{fail, failure};
use serde_json::Value;

use super::images::Images;
use super::index::{Naming, OCI_LAYOUT, REF_NAME, blob_name, descriptors, index_json};
use super::plan::Part;
use super::tree::{Tree, read_small};

/// Which names in an existing layout may come to mean another image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// All: the user named them, or forced it.
    Any,
    /// None: the names are only suggestions of the package.
    Refuse,
}

/// The files of a layout with these images. Where `root` is a layout already, its `index.json` keeps what it lists.
/// `index` is an `index.json` to be taken as it is in a new layout.
///
/// # Errors
/// `exists` if the directory is no layout, or a name means another image and must not move.
pub fn tree(
    root: &Path,
    images: &Images,
    index: Option<Range>,
    names: Move,
) -> anyhow::Result<Tree> {
    let blobs = images.layers.iter().chain(&images.documents);
    let files = blobs.map(|(digest, part)| (blob_name(digest), part.clone())).collect();
    let index = match existing(root)? {
        Some(existing) => Part::Bytes(merge(existing, images, names)?),
        None => match index {
            Some(range) => Part::Document(range),
            None => Part::Bytes(index_json(images, Naming::Layout)?),
        },
    };
    let layout = Part::Bytes(OCI_LAYOUT.to_vec());
    let mut last = vec![("index.json".to_owned(), index)];
    if !root.join("oci-layout").exists() {
        last.insert(0, ("oci-layout".to_owned(), layout));
    }
    Ok(Tree { files, last })
}

/// The `index.json` that is there; none where the directory is absent or empty.
fn existing(root: &Path) -> anyhow::Result<Option<Value>> {
    let is_empty = match std::fs::read_dir(root) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(_) => fail!(Exists, "{} exists and is not a directory", root.display()),
        Ok(mut entries) => entries.next().is_none(),
    };
    if is_empty {
        return Ok(None);
    }
    let path = root.join("index.json");
    if !path.exists() {
        fail!(Exists, "{} exists and is not an OCI layout", root.display(); "choose an empty or new directory");
    }
    let value = serde_json::from_slice(&read_small(&path)?)
        .map_err(|e| failure!(NotAnImage, "{} is broken: {e}", path.display()))?;
    Ok(Some(value))
}

fn merge(mut index: Value, images: &Images, names: Move) -> anyhow::Result<Vec<u8>> {
    let Some(fields) = index.as_object_mut() else {
        fail!(NotAnImage, "the layout's index.json is not an object");
    };
    let list = fields.entry("manifests").or_insert(Value::Null);
    if list.is_null() {
        *list = Value::Array(Vec::new());
    }
    let Some(list) = list.as_array_mut() else {
        fail!(NotAnImage, "the layout's index.json has no list of manifests");
    };
    for new in images.tops.iter().flat_map(|top| descriptors(top, Naming::Layout)) {
        let same_digest = |old: &Value| old.get("digest") == new.get("digest");
        match name_of(&new) {
            None => {
                if !list.iter().any(same_digest) {
                    list.push(new);
                }
            }
            Some(name) => {
                let there = list.iter().position(|old| name_of(old) == Some(name));
                match there.and_then(|n| list.get_mut(n)) {
                    None => list.push(new),
                    Some(old) if same_digest(old) => {}
                    Some(_) if names == Move::Refuse => {
                        fail!(Exists, "the layout has another image with the name {name}";
                            "-f moves the name; oci:DIR:NAME or --name gives another")
                    }
                    Some(old) => *old = new,
                }
            }
        }
    }
    Ok(serde_json::to_vec(&index)?)
}

fn name_of(descriptor: &Value) -> Option<&str> {
    descriptor.get("annotations")?.get(REF_NAME)?.as_str()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::output::images::Top;
    use dd_inspect::digest::Digest;
    use dd_inspect::failure::{Category, classify};
    use serde_json::json;

    fn images(content: &[u8], name: Option<&str>) -> Images {
        let digest = Digest::of(content);
        let top = Top {
            descriptor: json!({"mediaType": "m", "digest": digest, "size": 1}),
            originals: Vec::new(),
            digest,
            names: name.map(str::to_owned).into_iter().collect(),
            config: None,
            made: false,
        };
        Images { tops: vec![top], ..Images::default() }
    }

    fn merged(index: &[u8], images: &Images, names: Move) -> anyhow::Result<Vec<u8>> {
        merge(serde_json::from_slice(index).unwrap(), images, names)
    }

    #[test]
    fn a_layout_keeps_what_it_lists() {
        let first = merged(
            br#"{"schemaVersion":2,"manifests":null}"#,
            &images(b"a", Some("v1")),
            Move::Refuse,
        )
        .unwrap();
        let second = merged(&first, &images(b"b", Some("v2")), Move::Refuse).unwrap();
        let text = String::from_utf8(second.clone()).unwrap();
        assert!(text.contains("v1") && text.contains("v2"), "{text}");
        assert_eq!(merged(&second, &images(b"a", Some("v1")), Move::Refuse).unwrap(), second);
        let unnamed = merged(&second, &images(b"a", None), Move::Refuse).unwrap();
        assert_eq!(unnamed, second, "it is listed already");
    }

    #[test]
    fn a_name_moves_only_when_it_may() {
        let first = merged(b"{}", &images(b"a", Some("v1")), Move::Refuse).unwrap();
        let error = merged(&first, &images(b"b", Some("v1")), Move::Refuse).unwrap_err();
        assert_eq!(classify(&error).category, Category::Exists);
        let moved = merged(&first, &images(b"b", Some("v1")), Move::Any).unwrap();
        let text = String::from_utf8(moved).unwrap();
        assert!(
            text.contains(&Digest::of(b"b").to_string())
                && !text.contains(&Digest::of(b"a").to_string())
        );
    }

    #[test]
    fn other_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(existing(dir.path()).unwrap().is_none());
        std::fs::write(dir.path().join("mine"), b"x").unwrap();
        assert_eq!(classify(&existing(dir.path()).unwrap_err()).category, Category::Exists);
        assert!(existing(&dir.path().join("mine")).is_err());
    }
}
