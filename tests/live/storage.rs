//! Images in containers-storage.

use std::ffi::OsString;
use std::process::Command;

use crate::support::format::{Pressed, Shape};
use crate::support::image::versions;
use crate::support::world::{World, have, root};

/// The transport with a storage of the test's own, without a configuration file.
fn storage(world: &World) -> String {
    let (graph, run) = (world.path("graph"), world.path("run"));
    format!("containers-storage:[vfs@{}+{}]", graph.display(), run.display())
}

#[test]
fn the_configuration_and_the_layers_content_come_out() {
    use dd_inspect::elsewhere::{Choice, Fetched, fetch};
    if !have(&["skopeo"]) || !root() {
        return;
    }
    let world = World::new();
    let (one, _) = versions();
    Shape::Oci(Pressed::Gzip(6)).directory(&[&one], &world.path("layout"));
    let reference = format!("{}localhost/app:1", storage(&world));
    world.sh(&format!("skopeo copy --quiet oci:layout '{reference}'")).ok();
    let store = super::store(&world);
    let fetched = fetch(&reference, Choice::Unsaid, &Default::default(), &store).expect("fetched");
    let Fetched::Documents(documents) = fetched else { panic!("no documents") };
    assert!(!documents.exact_manifests);
    assert!(documents.blobs.contains_key(&super::config_digest(&one)));
    for diff_id in super::diff_ids(&one) {
        assert!(documents.blobs.contains_key(&diff_id.into()), "layer {diff_id}, uncompressed");
    }
    let absent = format!("{}localhost/none:1", storage(&world));
    let error = fetch(&absent, Choice::Unsaid, &Default::default(), &store).expect_err("absent");
    assert_eq!(dd_inspect::failure::classify(&error).category.exit(), 3);
}

#[test]
fn an_image_arrives_with_its_manifest() {
    use dd_apply::elsewhere::{Arrived, push};
    use dd_inspect::digest::Digest;
    if !have(&["skopeo"]) || !root() {
        return;
    }
    let world = World::new();
    let (one, _) = versions();
    Shape::Oci(Pressed::Gzip(6)).directory(&[&one], &world.path("layout"));
    world.sh("skopeo copy --quiet --preserve-digests oci:layout dir:d").ok();
    let store = super::store(&world);
    let mut source = OsString::from("dir:");
    source.push(world.path("d"));
    let manifest = Digest::of(&world.read("d/manifest.json"));
    let config = Some(super::config_digest(&one));
    let mut wanted = Arrived { manifest, is_index: false, config };
    let destination = format!("{}localhost/app:2", storage(&world));
    let kept = push(&source, &destination, &wanted, &Default::default(), &store).expect("arrived");
    assert!(kept);
    let raw = Command::new("skopeo").args(["inspect", "--config", "--raw", &destination]).output();
    assert_eq!(raw.expect("skopeo").stdout, one.config());
    wanted.is_index = true;
    let error = push(&source, &destination, &wanted, &Default::default(), &store);
    assert!(error.expect_err("no index").to_string().contains("one platform only"));
}
