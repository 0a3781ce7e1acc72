//! Images in a registry.

use std::ffi::OsString;

use dd_apply::elsewhere::{Arrived, push};
use dd_inspect::digest::Digest;
use dd_inspect::elsewhere::{Choice, Documents, Fetched, fetch, fetch_layers};
use dd_inspect::failure::{Category, Failure, classify};
use dd_inspect::record::Location;
use dd_inspect::store::Store;

use super::{config_digest, plain_http, service, store, unique};
use crate::support::format::{Pressed, Shape};
use crate::support::image::{Image, versions};
use crate::support::world::{World, have};

const INSECURE: &str = "--dest-tls-verify=false";

/// Puts a layout of these images into the registry; returns its reference.
fn put(world: &World, registry: &str, shape: Shape, images: &[&Image]) -> String {
    shape.directory(images, &world.path("layout"));
    let reference = format!("docker://{registry}/{}:1", unique("app"));
    world
        .sh(&format!(
            "skopeo copy --quiet --all --preserve-digests {INSECURE} oci:layout {reference}"
        ))
        .ok();
    reference
}

fn documents(reference: &str, choice: Choice<'_>, store: &Store) -> anyhow::Result<Documents> {
    match fetch(reference, choice, &plain_http(), store)? {
        Fetched::Documents(documents) => Ok(documents),
        Fetched::Archive(_) => panic!("a registry gives no archive"),
    }
}

fn failure(result: anyhow::Result<Documents>) -> Failure {
    classify(&result.expect_err("a failure"))
}

fn registry() -> Option<String> {
    if !have(&["skopeo"]) {
        return None;
    }
    service("DD_TEST_REGISTRY")
}

#[test]
fn documents_come_without_layers_and_layers_one_by_one() {
    let Some(registry) = registry() else { return };
    let world = World::new();
    let (one, two) = versions();
    let pressed = Pressed::Gzip(6);
    let reference = put(&world, &registry, Shape::Oci(pressed), &[&two]);
    let store = store(&world);
    let found = documents(&reference, Choice::Unsaid, &store).expect("documents");
    assert_eq!(found.blobs.len(), 2, "the manifest and the configuration");
    assert!(found.blobs.contains_key(&config_digest(&two)) && found.exact_manifests);
    let layers: Vec<Digest> = two.layers.iter().map(|l| Digest::of(&pressed.bytes(l))).collect();
    assert_eq!(two.layers[0], one.layers[0]);
    assert!(layers.iter().all(|layer| store.object(layer).is_none()));

    let location = found.layer(&found.top.digest, &layers[1]).expect("a location");
    let Location::Reference { reference: pinned, digest } = location else {
        panic!("{location:?}")
    };
    assert!(pinned.ends_with(&format!("@{}", found.top.digest)), "{pinned}");
    let fetched = fetch_layers(&pinned, &[digest], &plain_http(), &store).expect("a layer");
    assert_eq!(fetched.keys().copied().collect::<Vec<_>>(), [layers[1]]);
    assert!(store.object(&layers[1]).is_some());
    assert!(store.object(&layers[0]).is_none(), "a layer that nobody asked for");
    let fetched = fetch_layers(&pinned, &layers, &plain_http(), &store).expect("both layers");
    assert_eq!(fetched.len(), 2);
    let left = std::fs::read_dir(store.path().join("tmp")).expect("tmp").count();
    assert_eq!(left, 0, "temporary files");
}

#[test]
fn docker_manifests_and_uncompressed_layers_stay_as_they_are() {
    let Some(registry) = registry() else { return };
    let world = World::new();
    let (one, _) = versions();
    world.write("old.tar", Shape::Docker.archive(&[&one]));
    let reference = format!("docker://{registry}/{}:1", unique("schema2"));
    // A `dir:` keeps the layers of an archive uncompressed.
    world
        .sh(&format!(
            "skopeo copy --quiet docker-archive:old.tar dir:d && \
             skopeo copy --quiet --preserve-digests {INSECURE} dir:d {reference}"
        ))
        .ok();
    let store = store(&world);
    let found = documents(&reference, Choice::Unsaid, &store).expect("documents");
    assert!(found.top.media_type.as_deref().is_some_and(|t| t.contains("docker.distribution")));
    let layers: Vec<Digest> = one.layers.iter().map(|layer| Digest::of(layer)).collect();
    let pinned = format!("{}@{}", reference.trim_end_matches(":1"), found.top.digest);
    let fetched = fetch_layers(&pinned, &layers, &plain_http(), &store).expect("layers");
    assert_eq!(fetched.len(), layers.len());
}

#[test]
fn several_platforms_need_a_choice() {
    let Some(registry) = registry() else { return };
    let world = World::new();
    let (amd64, arm64) = versions();
    let arm64 = arm64.platform("linux", "arm64");
    // One image for each platform, copied as an index.
    Shape::Oci(Pressed::Gzip(6)).directory(&[&amd64, &arm64], &world.path("layout"));
    let index = world.read("layout/index.json");
    let name = Digest::of(&index).hex();
    world.write(&format!("layout/blobs/sha256/{name}"), &index);
    let outer = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": Digest::of(&index), "size": index.len()}]});
    world.write("layout/index.json", outer.to_string());
    let reference = format!("docker://{registry}/{}:1", unique("multi"));
    world
        .sh(&format!(
            "skopeo copy --quiet --all --preserve-digests {INSECURE} oci:layout {reference}"
        ))
        .ok();
    let store = store(&world);
    let unsaid = failure(documents(&reference, Choice::Unsaid, &store));
    assert_eq!(unsaid.category.exit(), 3);
    assert!(unsaid.message.contains("linux/amd64, linux/arm64"), "{unsaid}");
    let all = documents(&reference, Choice::All, &store).expect("both");
    assert_eq!(all.top.digest, Digest::of(&index));
    assert_eq!(all.blobs.len(), 5);
    let [wanted, absent] = ["linux/arm64", "linux/s390x"].map(|text| text.parse().expect(text));
    let one = documents(&reference, Choice::Only(&wanted), &store).expect("one");
    assert_eq!(one.blobs.len(), 3);
    assert!(one.blobs.contains_key(&config_digest(&arm64)));
    let absent = failure(documents(&reference, Choice::Only(&absent), &store));
    assert_eq!(absent.category, Category::NotFound);
}

#[test]
fn a_push_keeps_the_digest() {
    let Some(registry) = registry() else { return };
    let world = World::new();
    let (one, _) = versions();
    let reference = put(&world, &registry, Shape::Oci(Pressed::Zstd(3)), &[&one]);
    let store = store(&world);
    let top = documents(&reference, Choice::Unsaid, &store).expect("documents").top.digest;
    world
        .sh(&format!(
            "skopeo copy --quiet --preserve-digests --src-tls-verify=false {reference} dir:d"
        ))
        .ok();
    let mut source = OsString::from("dir:");
    source.push(world.path("d"));
    let destination = format!("docker://{registry}/{}:2", unique("pushed"));
    let mut wanted = Arrived { manifest: top, is_index: false, config: None };
    let kept = push(&source, &destination, &wanted, &plain_http(), &store).expect("pushed");
    assert!(kept);
    wanted.manifest = Digest::of(b"another");
    let error = push(&source, &destination, &wanted, &plain_http(), &store).expect_err("noticed");
    assert_eq!(classify(&error).category, Category::DigestMismatch);
}

#[test]
fn failures_say_why_in_one_line() {
    let Some(registry) = registry() else { return };
    let world = World::new();
    let store = store(&world);
    let absent = failure(documents(&format!("docker://{registry}/none:1"), Choice::Unsaid, &store));
    assert_eq!(absent.category, Category::NotFound);
    assert!(absent.message.contains("manifest unknown"), "{absent}");
    let down = failure(documents("docker://127.0.0.1:1/none:1", Choice::Unsaid, &store));
    assert_eq!(down.category, Category::HelperFailed);
    assert!(down.message.contains("connection refused"), "{down}");
    let (one, _) = versions();
    let reference = put(&world, &registry, Shape::Oci(Pressed::No), &[&one]);
    let strict = fetch(&reference, Choice::Unsaid, &Default::default(), &store).map(|_| ());
    let strict = classify(&strict.expect_err("HTTPS is the default"));
    assert!(
        strict.hint.is_some_and(|hint| hint.contains("--tls-verify=false")),
        "{}",
        strict.message
    );
    assert!(!strict.message.contains('\n'));
}
