//! Whole images, good and broken, through [`inspect`].

mod broken;

use std::path::Path;

use serde_json::json;

use super::sample::*;
use super::*;
use crate::digest::Digest;
use crate::failure::{Category, classify};
use crate::range::{FileRange, ReadAt};
use crate::record::{Compression, Location};

struct World {
    dir: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&dir.path().join("store"))).unwrap();
        Self { dir, store }
    }

    fn write(&self, bytes: &[u8]) -> String {
        let path = self.dir.path().join("image");
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    fn inspect(&self, given: &str, role: Role, options: &Options) -> anyhow::Result<ImageRecords> {
        inspect(&Reference::from(given), role, options, &self.store)
    }
}

fn target(bytes: &[u8]) -> anyhow::Result<ImageRecords> {
    let world = World::new();
    let records = world.inspect(&world.write(bytes), Role::Target, &Options::default())?;
    check_members(&records);
    Ok(records)
}

/// Of the tar with these files, seen as a target.
fn target_of(files: &Files) -> ImageRecords {
    target(&files.tar()).unwrap()
}

fn refused(files: &Files) -> Category {
    category(target(&files.tar()))
}

fn category(result: anyhow::Result<ImageRecords>) -> Category {
    classify(&result.expect_err("a broken image")).category
}

fn bytes(location: &Location) -> Vec<u8> {
    let range = FileRange::at(location).unwrap();
    let mut bytes = vec![0; usize::try_from(range.size()).unwrap()];
    range.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// The members follow each other from the beginning of the tar to its trailer, and have the digests that they say.
fn check_members(records: &ImageRecords) {
    let Some(archive) = &records.archive else { return };
    assert_eq!(Digest::of(&bytes(&archive.location)), archive.file_digest);
    assert_eq!(Digest::of(&bytes(&archive.tar)), archive.tar_digest);
    let part = |location: &Location| match location {
        Location::File { offset, size, .. } => (*offset, *size),
        Location::Reference { .. } => panic!("not fetched"),
    };
    let mut end = 0;
    for member in &records.members {
        let (offset, size) = part(&member.header);
        assert_eq!(offset, end, "{:?}", member.path);
        end = offset + size;
        if let Some(content) = &member.content {
            assert_eq!(Some(Digest::of(&bytes(content))), member.digest);
            assert_eq!(part(content).0, end);
            end = (end + part(content).1).next_multiple_of(512);
        }
    }
    let (offset, size) = part(&archive.trailer);
    let len = part(&archive.tar).1;
    assert_eq!((offset, offset + size), (end.min(len), len), "the last padding may be cut off");
}

fn with_platform(platform: &str) -> Options {
    Options { platform: Some(platform.parse().unwrap()), ..Options::default() }
}

/// `layout` of one image, without anything else.
fn simple() -> Files {
    let mut files = Files::default();
    let image = files.image("amd64", &["a", "b"]);
    files.layout(&[image]);
    files
}

#[test]
fn an_old_docker_archive() {
    let world = World::new();
    let path = world.write(&old_docker().tar());
    let records = world.inspect(&path, Role::Target, &Options::default()).unwrap();
    assert_eq!(
        (records.image.transport.as_str(), records.image.exact),
        ("docker-archive", Exact::File)
    );
    assert_eq!(records.image.names, ["app:1", "app:2"]);
    assert_eq!((records.image.manifest_digest, records.image.config_digest), (None, None));
    assert_eq!(records.manifests.len(), 2);
    assert_eq!(records.manifests[1].config_digest, Some(Digest::of(&config("amd64", &["a", "b"]))));
    let layers: Vec<_> = records
        .layers
        .iter()
        .map(|l| (l.manifest, l.digest.unwrap(), l.compression.unwrap()))
        .collect();
    let none = Compression::None;
    assert_eq!(
        layers,
        [(0, Digest::of(b"a"), none), (1, Digest::of(b"a"), none), (1, Digest::of(b"b"), none)]
    );
    assert_eq!(bytes(records.layers[1].location.as_ref().unwrap()), b"a", "through the link");
    assert_eq!(records.members.len(), old_docker().0.len());
}

#[test]
fn a_base_has_no_members() {
    let world = World::new();
    let given = world.write(&old_docker().tar());
    let records = world.inspect(&given, Role::Base, &Options::default()).unwrap();
    assert!(records.archive.is_none() && records.members.is_empty());
    assert_eq!(records.image.exact, Exact::Config);
    assert_eq!(records.diff_ids().count(), 3);
    assert!(records.image.key.starts_with("base:"), "{}", records.image.key);
}

#[test]
fn one_image_of_several() {
    let world = World::new();
    let path = world.write(&old_docker().tar());
    let one = |name: &str| {
        world.inspect(&format!("docker-archive:{path}:{name}"), Role::Target, &Options::default())
    };
    for name in ["app:2", "docker.io/library/app:2", "@1"] {
        let records = one(name).unwrap();
        assert_eq!(records.image.names, ["app:2"], "{name}");
        assert_eq!(records.layers.len(), 2);
        assert_eq!((records.image.exact, records.archive), (Exact::Config, None));
        assert_eq!(records.image.docker_manifest, None);
    }
    let error = one("other").unwrap_err();
    assert!(error.to_string().contains("app:1, app:2"), "{error}");
    assert_eq!(category(one("@2")), Category::NotFound);
}

#[test]
fn compressed_as_a_whole() {
    let tar = containerd().tar();
    let plain = target(&tar).unwrap();
    for (bytes, compression) in [
        (gzip(&tar), Compression::Gzip),
        (zstd::encode_all(&tar[..], 3).unwrap(), Compression::Zstd),
    ] {
        let records = target(&bytes).unwrap();
        let archive = records.archive.unwrap();
        assert_eq!(archive.compression, compression);
        assert_eq!(archive.file_digest, Digest::of(&bytes));
        assert_eq!(archive.tar_digest, Digest::of(&tar));
        assert_eq!(records.members.len(), plain.members.len());
        assert_eq!(records.layers.len(), plain.layers.len());
    }
}

#[test]
fn containerds_archive_whole() {
    let records = target_of(&containerd());
    assert_eq!(
        (records.image.transport.as_str(), records.image.exact),
        ("docker-archive", Exact::File)
    );
    assert_eq!(records.image.names, ["app:2"]);
    assert!(records.image.index.is_some() && records.image.docker_manifest.is_some());
    let platforms: Vec<_> =
        records.manifests.iter().map(|m| m.platform.as_deref().unwrap_or("index")).collect();
    assert_eq!(platforms, ["index", "linux/amd64", "linux/arm64", "unknown/unknown"]);
    assert_eq!(records.image.manifest_digest, records.manifests[0].digest);
    assert_eq!(records.manifests[0].manifests.len(), 3);
    assert_eq!(records.manifests[3].parent, records.manifests[0].digest);
    assert_eq!(records.manifests[3].subject, records.manifests[1].digest);
    let layers: Vec<_> =
        records.layers.iter().map(|l| (l.manifest, l.opaque, l.compression.unwrap())).collect();
    let (gzip, none) = (Compression::Gzip, Compression::None);
    assert_eq!(layers, [(1, false, gzip), (1, false, gzip), (2, false, gzip), (3, true, none)]);
    assert_eq!(Digest::from(records.layers[3].diff_id), records.layers[3].digest.unwrap());
}

#[test]
fn a_platform_leaves_gaps() {
    let world = World::new();
    let path = world.write(&containerd().tar());
    let of = |platform| world.inspect(&path, Role::Target, &with_platform(platform));
    let records = of("linux/amd64").unwrap();
    let gaps: Vec<_> = records.manifests.iter().map(|m| (m.gap, m.location.is_none())).collect();
    assert_eq!(gaps, [(false, false), (false, false), (true, true), (false, false)]);
    assert_eq!((records.image.exact, &records.archive), (Exact::Manifest, &None));
    assert_eq!(records.layers.len(), 3, "the attestation stays with its image");
    assert!(records.image.index.is_some() && records.image.docker_manifest.is_some());
    let records = of("linux/arm64/v8").unwrap();
    assert_eq!(records.layers.len(), 1);
    assert_eq!(records.image.docker_manifest, None, "it names what is left out");
    let error = of("linux/s390x").unwrap_err();
    assert!(error.to_string().ends_with("linux/amd64, linux/arm64"), "{error}");
    assert_eq!(classify(&error).category, Category::NotFound);
}

#[test]
fn a_platform_that_fits_everything_changes_nothing() {
    let world = World::new();
    let path = world.write(&old_docker().tar());
    let records = world.inspect(&path, Role::Target, &with_platform("linux/amd64")).unwrap();
    assert_eq!(records.image.exact, Exact::File);
    assert_eq!(
        category(world.inspect(&path, Role::Target, &with_platform("linux/arm64"))),
        Category::NotFound
    );
}

#[test]
fn directories() {
    let world = World::new();
    let layout = world.dir.path().join("layout");
    let mut files = Files::default();
    let named = |image, name| {
        with(image, &json!({"annotations": {"org.opencontainers.image.ref.name": name}}))
    };
    let (one, two) = (files.image("amd64", &["a"]), files.image("amd64", &["b", "b", ""]));
    files.layout(&[named(one, "one"), named(two, "two")]).write(&layout);
    let of = |given: String| world.inspect(&given, Role::Target, &Options::default());
    let records = of(layout.display().to_string()).unwrap();
    assert_eq!((records.image.transport.as_str(), records.image.exact), ("oci", Exact::Manifest));
    assert_eq!(records.image.names, ["one", "two"]);
    assert_eq!((records.image.manifest_digest, records.layers.len()), (None, 4));
    let records = of(format!("oci:{}:two", layout.display())).unwrap();
    assert_eq!((records.image.names, records.image.index), (vec!["two".to_owned()], None));
    assert_eq!(records.image.manifest_digest, records.manifests[0].digest);
    assert_eq!(category(of(format!("oci:{}:three", layout.display()))), Category::NotFound);
    assert_eq!(category(of(format!("dir:{}", layout.display()))), Category::NotAnImage);
}

#[test]
fn a_directory_of_skopeo() {
    let world = World::new();
    let path = world.dir.path().join("dir");
    let mut files = Files::default();
    let plain = |bytes: &[u8]| Digest::of(bytes).hex();
    let top = index(&[descriptor(MANIFEST, &manifest("amd64", &["a"]))]);
    files.add("manifest.json", top.clone()).add("version", "Directory Transport Version: 1.1\n");
    let inner = manifest("amd64", &["a"]);
    files.add(&format!("{}.manifest.json", plain(&inner)), inner);
    files
        .add(&plain(&gzip(b"a")), gzip(b"a"))
        .add(&plain(&config("amd64", &["a"])), config("amd64", &["a"]));
    files.write(&path);
    let records =
        world.inspect(&path.display().to_string(), Role::Target, &Options::default()).unwrap();
    assert_eq!(records.image.transport, "dir");
    assert_eq!(records.image.manifest_digest, Some(Digest::of(&top)));
    assert_eq!(
        records.manifests[1].platform.as_deref(),
        Some("linux/amd64"),
        "of the configuration"
    );
    assert_eq!(records.layers.len(), 1);
}

#[test]
fn what_was_not_pulled_is_a_gap() {
    let mut files = containerd();
    files.remove(&manifest("arm64", &["c"])).remove(&gzip(b"c")).remove(&config("arm64", &["c"]));
    let records = target_of(&files);
    assert!(records.manifests[2].gap && records.manifests[2].location.is_none());
    let mut files = containerd();
    files.remove(&gzip(b"c")).remove(&config("arm64", &["c"]));
    let records = target_of(&files);
    assert!(!records.manifests[2].gap && records.layers[2].gap);
    assert_eq!(records.configs.len(), 2);
    let world = World::new();
    let path = world.write(&files.tar());
    assert_eq!(
        category(world.inspect(&path, Role::Target, &with_platform("linux/arm64"))),
        Category::NotAnImage
    );
}

#[test]
fn a_package_is_told_apart() {
    let artifact = json!({"artifactType": crate::package::ARTIFACT_TYPE, "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": []});
    let artifact = artifact.to_string().into_bytes();
    let mut first = Files::default();
    let entry = descriptor(MANIFEST, &artifact);
    let marked = with(entry.clone(), &json!({"artifactType": crate::package::ARTIFACT_TYPE}));
    first.layout(&[marked]).blob(artifact.clone());
    // A registry's copy may have lost the mark in the index, and may stand in another order.
    let mut copied = Files::default();
    copied.blob(artifact).layout(&[entry]);
    let world = World::new();
    for files in [first, copied] {
        let tar = files.tar();
        for bytes in [zstd::encode_all(&tar[..], 1).unwrap(), tar] {
            let path = world.write(&bytes);
            let found = look(
                &Reference::from(path.as_str()),
                Role::Image,
                &Options::default(),
                &world.store,
            )
            .unwrap();
            assert_eq!(found, Inspected::Package(Path::new(&path).to_owned()));
            assert_eq!(
                category(world.inspect(&path, Role::Base, &Options::default())),
                Category::NotAnImage
            );
        }
    }
}

#[test]
fn layers_in_a_base_are_marked() {
    let world = World::new();
    let path = world.write(&containerd().tar());
    let base = world.inspect(&path, Role::Base, &with_platform("linux/amd64")).unwrap();
    let mut records = world.inspect(&path, Role::Target, &Options::default()).unwrap();
    records.mark_in_base(&base.diff_ids().collect());
    let marks: Vec<_> = records.layers.iter().map(|layer| layer.in_base.unwrap()).collect();
    assert_eq!(marks, [true, true, false, true]);
}

#[test]
fn a_table_shows_it() {
    let world = World::new();
    let mut files = old_docker();
    let manifest = files.0.last_mut().unwrap();
    manifest.1 = String::from_utf8(manifest.1.clone())
        .unwrap()
        .replace("app:2", r"a\u001b[2J:2")
        .into_bytes();
    let path = world.write(&files.tar());
    let records = world.inspect(&path, Role::Target, &Options::default()).unwrap();
    let text = crate::table::image(&records).replace(world.dir.path().to_str().unwrap(), "DIR");
    assert!(text.starts_with("target  DIR/image  [docker-archive]  "), "{text}");
    assert!(
        text.contains("  names     app:1, a\\u{1b}[2J:2\n") && !text.contains('\u{1b}'),
        "{text}"
    );
    assert!(text.contains("\n  linux/amd64  app:1\n"), "{text}");
    assert!(
        text.ends_with("      1  sha256:3e23e8160039  sha256:3e23e8160039                1  tar\n"),
        "{text}"
    );
}
