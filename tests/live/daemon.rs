//! Images in the Docker daemon.

use std::io::Write;

use dd_apply::elsewhere::daemon::{Load, check_names, has_classic_store, held_layers, tag, verify};
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::elsewhere::daemon::{look, save};
use dd_inspect::failure::{Category, Failure, classify};
use dd_inspect::store::Store;

use super::{config_digest, diff_ids, service, store, unique};
use crate::support::format::{Files, Pressed, Shape, tar_of};
use crate::support::image::{Image, versions};
use crate::support::world::{World, have};

/// Whether the docker client reaches the daemon of the tests: scripts/services.sh sets DOCKER_HOST as well.
fn daemon() -> bool {
    if !have(&["docker"]) {
        return false;
    }
    let Some(host) = service("DD_TEST_DOCKER_HOST") else { return false };
    let reached = std::env::var("DOCKER_HOST").is_ok_and(|reached| reached == host);
    assert!(reached, "DOCKER_HOST is not DD_TEST_DOCKER_HOST: run scripts/services.sh run");
    true
}

/// The first version under a name of its own.
fn image() -> Image {
    let mut image = versions().0;
    image.name = format!("{}:1", unique("app"));
    image
}

fn load(archive: &[u8], store: &Store) -> anyhow::Result<Vec<String>> {
    let mut load = Load::start(store)?;
    match load.write_all(archive) {
        Ok(()) => load.finish(),
        Err(error) => Err(load.give_up(error.into())),
    }
}

fn failure<T: std::fmt::Debug>(result: anyhow::Result<T>) -> Failure {
    classify(&result.expect_err("a failure"))
}

fn remove(name: &str, store: &Store) {
    let helper = dd_inspect::child::Helper::new("docker", "to test", store).expect("docker");
    helper.args(["image", "rm", "--force", name]).output().expect("removed");
}

#[test]
fn every_shape_is_loaded_and_saved() {
    if !daemon() {
        return;
    }
    let world = World::new();
    let store = store(&world);
    for shape in [
        Shape::Docker,
        Shape::DockerOci(Pressed::No),
        Shape::DockerOci(Pressed::Gzip(6)),
        Shape::Nested(Pressed::Gzip(9)),
    ] {
        let image = image();
        let loaded = load(&shape.archive(&[&image]), &store).expect("loaded");
        assert_eq!(loaded, [image.name.as_str()], "{shape:?}");
        let identities = [config_digest(&image)];
        verify(&image.name, &identities, &diff_ids(&image), &store).expect("what was loaded");
        let there = look(&image.name, &store).expect("an answer");
        assert_eq!(there.diff_ids, diff_ids(&image));
        assert_eq!(there.platform, "linux/amd64");
        let saved = save(&image.name, &store).expect("saved");
        let mut found = Files::new();
        for entry in tar::Archive::new(saved).entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("content");
            found.push((entry.path().expect("a path").display().to_string(), bytes));
        }
        assert!(found.iter().any(|(_, bytes)| *bytes == image.config()), "{shape:?}");
        remove(&image.name, &store);
    }
}

#[test]
fn layers_that_the_daemon_has_may_be_left_out() {
    if !daemon() {
        return;
    }
    let world = World::new();
    let store = store(&world);
    if !has_classic_store(&store).expect("an answer") {
        eprintln!("skipped: this daemon has the containerd store");
        return;
    }
    // Other tests may load the two versions meanwhile: the upper layers are this test's own.
    let own =
        |version: &str| crate::support::image::layer(&format!("text own {}", unique(version)));
    let mut image = image();
    image.layers[1] = own("1");
    assert_eq!(held_layers(&[DiffId::of(b"never seen")], &store), 0);
    load(&Shape::Docker.archive(&[&image]), &store).expect("loaded");
    let held = held_layers(&diff_ids(&image), &store);
    assert_eq!(held, 2);
    let mut next = versions().1;
    next.name = format!("{}:2", unique("app"));
    next.layers[1] = own("2");
    assert_eq!(held_layers(&diff_ids(&next), &store), 1);
    let archive = Shape::DockerOci(Pressed::No).archive(&[&next]);
    let shared = format!("blobs/sha256/{}", Digest::of(&next.layers[0]).hex());
    let mut members = Files::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).expect("content");
        members.extend((name != shared).then_some((name, bytes)));
    }
    load(&tar_of(&members), &store).expect("loaded without the shared layer");
    let id = verify(&next.name, &[config_digest(&next)], &[], &store).expect("the image");
    assert_eq!(id, config_digest(&next));
    remove(&next.name, &store);
    remove(&image.name, &store);
}

#[test]
fn a_name_that_means_another_image_is_left_alone() {
    if !daemon() {
        return;
    }
    let world = World::new();
    let store = store(&world);
    let image = image();
    load(&Shape::Docker.archive(&[&image]), &store).expect("loaded");
    let id = look(&image.name, &store).expect("an answer").id;
    let names = [image.name.clone(), format!("{}:1", unique("absent"))];
    check_names(&names, &[id], &store).expect("the same image, and a free name");
    let another = failure(check_names(&names, &[Digest::of(b"another")], &store));
    assert_eq!(another.category, Category::Exists);
    assert!(another.message.contains(&image.name), "{another}");
    tag(&image.name, &names[1..], &store).expect("tagged");
    assert_eq!(look(&names[1], &store).expect("an answer").id, id);
    let wrong = verify(&names[1], &[Digest::of(b"another")], &[], &store);
    assert_eq!(failure(wrong).category, Category::DigestMismatch);
    remove(&names[0], &store);
    remove(&names[1], &store);
}

#[test]
fn failures_say_why_in_one_line() {
    if !daemon() {
        return;
    }
    let world = World::new();
    let store = store(&world);
    let absent = failure(save("dd-test/none:1", &store));
    assert_eq!(absent.category, Category::NotFound);
    assert!(absent.message.contains("dd-test/none:1"), "{absent}");
    let refused = failure(load(b"this is no archive", &store));
    assert_eq!(refused.category, Category::HelperFailed);
    assert!(
        refused.message.starts_with("loading into the Docker daemon: docker failed"),
        "{refused}"
    );
    assert!(!refused.message.contains('\n'));
}

#[test]
fn an_abandoned_load_leaves_nothing() {
    if !daemon() {
        return;
    }
    let world = World::new();
    let store = store(&world);
    let image = image();
    let archive = Shape::Docker.archive(&[&image]);
    let mut load = Load::start(&store).expect("started");
    // All but the end-of-archive mark: an end of the pipe here would complete the image.
    load.write_all(&archive[..archive.len() - 1024]).expect("written");
    drop(load);
    assert_eq!(failure(look(&image.name, &store)).category, Category::NotFound);
}
