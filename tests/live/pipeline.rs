//! Whole pipelines with images in a daemon, a registry and containers-storage at their ends.

use super::{config_digest, service, unique};
use crate::support::format::{Pressed, Shape};
use crate::support::image::{Image, versions};
use crate::support::world::{Run, World, have, root, sha256};

/// `DOCKER_HOST` of the tests, and a script run with it.
struct Daemon {
    host: String,
    repository: String,
}

impl Daemon {
    fn new() -> Option<Self> {
        if !have(&["docker"]) {
            return None;
        }
        Some(Self { host: service("DD_TEST_DOCKER_HOST")?, repository: unique("pipe") })
    }

    /// Runs a script, `APP` standing for the test's repository.
    fn sh(&self, world: &World, script: &str) -> Run {
        world.sh_with(&script.replace("APP", &self.repository), &[("DOCKER_HOST", &self.host)])
    }

    fn named(&self, image: &Image, tag: &str) -> Image {
        let mut image = image.clone();
        image.name = format!("{}:{tag}", self.repository);
        image
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // By name: other tests may have the same image under theirs.
        let list = "docker image ls --format '{{.Repository}}:{{.Tag}}' APP";
        self.sh(&World::new(), &format!("{list} | xargs -r docker image rm -f"));
    }
}

/// A registry, and a repository of the test's own in it.
fn repository() -> Option<String> {
    if !have(&["skopeo"]) {
        return None;
    }
    Some(format!("docker://{}/{}", service("DD_TEST_REGISTRY")?, unique("pipe")))
}

const PACK: &str = "dd-extract --tls-verify=false | dd-diff | dd-pack -o p";

/// Puts two versions with gzip layers into the registry; returns the digests of their manifests.
fn fill(world: &World, repository: &str) -> [String; 2] {
    let (one, two) = versions();
    [(one, "1"), (two, "2")].map(|(image, tag)| {
        Shape::Oci(Pressed::Gzip(6)).directory(&[&image], &world.path(tag));
        let copy = format!(
            "skopeo copy --quiet --preserve-digests --dest-tls-verify=false oci:{tag} {repository}:{tag} && \
             skopeo inspect --raw --tls-verify=false {repository}:{tag}"
        );
        sha256(&world.sh(&copy).ok().stdout)
    })
}

#[test]
fn from_the_daemon_into_the_daemon() {
    let Some(daemon) = Daemon::new() else { return };
    let world = World::new();
    let (one, two) = versions();
    world.write("1.tar", Shape::Docker.archive(&[&daemon.named(&one, "1")]));
    world.write("2.tar", Shape::Docker.archive(&[&daemon.named(&two, "2")]));
    daemon.sh(&world, "docker load -q -i 1.tar && docker load -q -i 2.tar").ok();
    let make = "dd-inspect --base APP:1 --target docker-daemon:APP:2 | dd-extract | dd-diff | dd-pack -o p";
    daemon.sh(&world, make).ok();
    daemon.sh(&world, "docker image inspect -f '{{.Id}}' APP:2 >id && docker image rm APP:2").ok();
    let applied = daemon.sh(&world, "dd-apply p --base APP:1 --output docker-daemon:").ok();
    assert_eq!(applied.record("applied")["exact"], "config");
    daemon.sh(&world, "docker image inspect -f '{{.Id}}' APP:2 | cmp - id").ok();
    daemon.sh(&world, "dd-apply p --base APP:1 --output docker-daemon:APP:new").ok();
    daemon.sh(&world, "docker image inspect -f '{{.Id}}' APP:new | cmp - id").ok();
    // A name of the package's that means another image stays, unless it is forced.
    daemon.sh(&world, "docker image tag APP:1 APP:2").ok();
    let refused = "dd-apply p --base APP:1 --output docker-daemon:";
    daemon.sh(&world, refused).failed(3, &format!("{}:2", daemon.repository));
    daemon.sh(&world, "dd-apply p -f --base APP:1 --output docker-daemon:").ok();
    daemon.sh(&world, "docker image inspect -f '{{.Id}}' APP:2 | cmp - id").ok();
}

#[test]
fn one_package_for_a_base_in_the_daemon_and_in_files() {
    let Some(daemon) = Daemon::new() else { return };
    let world = World::new();
    let (one, two) = versions();
    world.write("1.tar", Shape::Docker.archive(&[&daemon.named(&one, "1")]));
    world.write("1.oci", Shape::Oci(Pressed::Gzip(6)).archive(&[&one]));
    world.write("2.oci", Shape::Oci(Pressed::Gzip(6)).archive(&[&two]));
    daemon.sh(&world, "docker load -q -i 1.tar").ok();
    world.package("1.oci", "2.oci", "p");
    for base in ["APP:1", "1.tar", "1.oci"] {
        daemon
            .sh(
                &world,
                &format!("dd-apply p --base {base} --output out && cmp out 2.oci && rm out"),
            )
            .ok();
    }
}

#[test]
fn from_a_registry_into_a_registry() {
    let Some(repository) = repository() else { return };
    let world = World::new();
    let [_, two] = fill(&world, &repository);
    let inspect =
        format!("dd-inspect --tls-verify=false --base {repository}:1 --target {repository}:2");
    let records = world.sh(&format!("{inspect} | cat")).ok();
    assert!(!records.text().contains("creds"));
    world.sh(&format!("{inspect} | {PACK}")).ok();
    let there = format!("{}-copy:2", repository);
    let apply = format!(
        "dd-apply p --tls-verify=false --base {repository}:1 --output {there} --digestfile digest"
    );
    let applied = world.sh(&apply).ok();
    assert_eq!(applied.record("applied")["exact"], "manifest");
    let raw = world.sh(&format!("skopeo inspect --raw --tls-verify=false {there}")).ok();
    assert_eq!(sha256(&raw.stdout), two);
    assert_eq!(String::from_utf8_lossy(&world.read("digest")).trim(), two);
}

/// skopeo carries a package through a registry as the artifact that it is.
#[test]
fn a_package_goes_through_a_registry() {
    let Some(repository) = repository() else { return };
    let world = World::new();
    let (one, two) = versions();
    world.write("1", Shape::Docker.archive(&[&one]));
    world.write("2", Shape::Oci(Pressed::Gzip(6)).archive(&[&two]));
    let package = world.package("1", "2", "p").record("package");
    let there = format!("{repository}:delta");
    for (from, to) in [("oci-archive:p", there.as_str()), (&there, "oci-archive:pulled:delta")] {
        world
            .sh(&format!(
                "skopeo copy -q --preserve-digests --src-tls-verify=false --dest-tls-verify=false {from} {to}"
            ))
            .ok();
    }
    for at in [there.as_str(), "oci-archive:pulled"] {
        let raw = world.sh(&format!("skopeo inspect --raw --tls-verify=false {at}")).ok().stdout;
        assert_eq!(package["manifest_digest"], sha256(&raw), "{at}");
    }
    world.sh("dd-apply pulled --base 1 --output out && cmp out 2").ok();
}

#[test]
fn from_a_registry_into_containers_storage() {
    let Some(repository) = repository().filter(|_| root()) else { return };
    let world = World::new();
    let [_, manifest] = fill(&world, &repository);
    let storage =
        format!("[vfs@{}+{}]", world.path("graph").display(), world.path("run").display());
    let make = format!(
        "dd-inspect --tls-verify=false --base {repository}:1 --target {repository}:2 | {PACK}"
    );
    world.sh(&make).ok();
    let there = format!("'containers-storage:{storage}localhost/app:2'");
    let apply = format!("dd-apply p --tls-verify=false --base {repository}:1 --output {there}");
    world.sh(&apply).ok();
    let raw = world.sh(&format!("skopeo inspect --raw {there}")).ok();
    assert_eq!(sha256(&raw.stdout), manifest);
    let config = world.sh(&format!("skopeo inspect --config --raw {there}")).ok();
    assert_eq!(sha256(&config.stdout), config_digest(&versions().1).to_string());
    // And as a base it is the image that it was.
    Shape::Oci(Pressed::Gzip(6)).directory(&[&versions().0], &world.path("base"));
    let base = format!("'containers-storage:{storage}localhost/app:1'");
    world.sh(&format!("skopeo copy --quiet oci:base {base}")).ok();
    world.sh(&format!("dd-apply p --base {base} --output oci:out:2")).ok();
    let raw = world.sh("skopeo inspect --raw oci:out:2").ok();
    assert_eq!(sha256(&raw.stdout), manifest);
}

#[test]
fn a_target_in_containers_storage_keeps_its_configuration() {
    if !have(&["skopeo"]) || !root() {
        return;
    }
    let world = World::new();
    let (one, two) = versions();
    let storage =
        format!("[vfs@{}+{}]", world.path("graph").display(), world.path("run").display());
    Shape::Oci(Pressed::Gzip(6)).directory(&[&two], &world.path("layout"));
    let target = format!("'containers-storage:{storage}localhost/app:2'");
    world.sh(&format!("skopeo copy --quiet oci:layout {target}")).ok();
    world.write("1.tar", Shape::Docker.archive(&[&one]));
    let image = world.sh(&format!("dd-inspect {target} | cat")).ok().record("image");
    assert_eq!(image["exact"], "config");
    assert_eq!(image["config_digest"], config_digest(&two).to_string());
    world.package("1.tar", &target, "p");
    let applied = world.apply("p", "1.tar", "docker-archive:out.tar").record("applied");
    assert_eq!(applied["exact"], "config");
    assert_eq!(applied["images"][0]["config_digest"], config_digest(&two).to_string());
}
