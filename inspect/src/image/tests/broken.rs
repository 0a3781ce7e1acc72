//! Images that are damaged, incomplete or made to harm.

use super::*;

#[test]
fn an_absent_blob_is_an_error() {
    let mut files = simple();
    let error = target(&files.remove(&gzip(b"b")).tar()).unwrap_err();
    assert!(error.to_string().contains(&Digest::of(&gzip(b"b")).to_string()), "{error}");
    assert_eq!(refused(simple().remove(&config("amd64", &["a", "b"]))), Category::NotAnImage);
    assert_eq!(refused(simple().remove(&manifest("amd64", &["a", "b"]))), Category::NotAnImage);
    let mut old = old_docker();
    old.0.retain(|(name, _)| name != "3/layer.tar");
    assert_eq!(refused(&old), Category::NotAnImage);
}

#[test]
fn a_foreign_layer_may_be_absent() {
    let mut files = Files::default();
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let config = config("amd64", &["a"]);
    let manifest = json!({"config": descriptor(CONFIG, &config), "layers": [descriptor(foreign, b"far away")]}).to_string();
    files
        .blob(config)
        .blob(manifest.as_bytes())
        .layout(&[descriptor(MANIFEST, manifest.as_bytes())]);
    let records = target_of(&files);
    assert!(records.layers[0].gap && records.layers[0].location.is_none());
    assert_eq!(Digest::from(records.layers[0].diff_id), Digest::of(b"a"));
}

#[test]
fn damaged_blobs_are_noticed() {
    let damage = |wanted: &[u8], change: fn(&mut Vec<u8>)| {
        let mut files = simple();
        let name = format!("blobs/sha256/{}", Digest::of(wanted).hex());
        change(&mut files.0.iter_mut().find(|(found, _)| *found == name).unwrap().1);
        refused(&files)
    };
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    for blob in [manifest("amd64", &["a", "b"]), config("amd64", &["a", "b"]), gzip(b"a")] {
        assert_eq!(damage(&blob, flip), Category::DigestMismatch);
        assert_eq!(damage(&blob, |bytes| bytes.push(b' ')), Category::NotAnImage);
    }
}

#[test]
fn documents_have_a_limit() {
    let mut files = simple();
    let position = files.0.iter().position(|(name, _)| name == "index.json").unwrap();
    files.0[position].1.resize((MAX_DOCUMENT_LEN + 1) as usize, b' ');
    assert_eq!(refused(&files), Category::Limit);
}

#[test]
fn documents_have_a_limit_in_all() {
    let mut files = Files::default();
    let mut config = config("amd64", &["a"]);
    config.resize(MAX_DOCUMENT_LEN as usize, b' ');
    let entry = json!({"Config": "c", "RepoTags": null, "Layers": ["l"]});
    files
        .add("c", config)
        .add("l", "a")
        .add("manifest.json", json!([entry.clone(), entry]).to_string());
    assert_eq!(target_of(&files).manifests.len(), 2);
    let entries: Vec<_> = (0..17).map(|_| json!({"Config": "c", "Layers": ["l"]})).collect();
    files.0.last_mut().unwrap().1 = json!(entries).to_string().into_bytes();
    assert_eq!(refused(&files), Category::Limit);
}

#[test]
fn indexes_within_indexes_have_a_limit() {
    let nested = |depth: usize| {
        let mut files = Files::default();
        let mut entry = files.image("amd64", &["a"]);
        for _ in 0..depth {
            let bytes = index(&[entry]);
            entry = descriptor(INDEX, &bytes);
            files.blob(bytes);
        }
        files.layout(&[entry]);
        target(&files.tar())
    };
    assert_eq!(nested(8).unwrap().manifests.len(), 9);
    assert_eq!(category(nested(9)), Category::Limit);
}

#[test]
fn numbers_of_layers_must_agree() {
    let mut old = old_docker();
    let manifest = old.0.last_mut().unwrap();
    manifest.1 = String::from_utf8(manifest.1.clone())
        .unwrap()
        .replace(r#""2/layer.tar","#, "")
        .into_bytes();
    assert_eq!(refused(&old), Category::NotAnImage);
}

#[test]
fn what_is_no_image() {
    for (bytes, wanted) in [
        (&b""[..], "is empty"),
        (b"{}", "looks like JSON"),
        (&[0; 2048], "begins with zeros"),
        (&gzip(b"hello"), "no container image"),
        (&gzip(b""), "empty inside"),
    ] {
        let error = target(bytes).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(classify(&error).category.exit(), 3);
    }
    let mut files = Files::default();
    assert_eq!(refused(files.add("hello", "x")), Category::NotAnImage);
    assert_eq!(refused(Files::default().add("manifest.json", "null")), Category::NotAnImage);
    assert_eq!(refused(Files::default().add("manifest.json", "{}")), Category::NotAnImage);
    assert_eq!(refused(Files::default().layout(&[])), Category::NotAnImage);
    let world = World::new();
    let fifo = world.dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    assert_eq!(
        category(world.inspect(&fifo.display().to_string(), Role::Base, &Options::default())),
        Category::NotAnImage
    );
    let directory = world.dir.path().display().to_string();
    assert_eq!(
        category(world.inspect(&directory, Role::Base, &Options::default())),
        Category::NotAnImage
    );
}

#[test]
fn any_cut_is_an_error_or_an_image() {
    let tar = containerd().tar();
    let whole = target(&tar).unwrap();
    for len in (0..tar.len()).step_by(97) {
        match target(&tar[..len]) {
            Ok(records) => assert_eq!(records.layers.len(), whole.layers.len(), "{len}"),
            Err(error) => {
                assert_eq!(classify(&error).category, Category::NotAnImage, "{len}: {error}")
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

    /// Whatever stands in the documents that no digest guards, it is an image or a failure that says so.
    #[test]
    fn broken_documents_are_ordinary_failures(
        old in proptest::bool::ANY,
        flips in proptest::collection::vec((0usize..2000, 0u8..128), 1..4),
    ) {
        let mut files = if old { old_docker() } else { containerd() };
        let documents = ["index.json", "manifest.json"];
        for (_, bytes) in files.0.iter_mut().filter(|(name, _)| documents.contains(&name.as_str())) {
            for (at, value) in &flips {
                let at = at % bytes.len();
                bytes[at] = *value;
            }
        }
        if let Err(error) = target(&files.tar()) {
            let failure = classify(&error);
            proptest::prop_assert!(failure.category != Category::Unexpected && failure.category != Category::Io, "{}", failure);
        }
    }
}
