//! Images made by other tools, where a folder of them is at hand (`DD_SHARED`, or `../shared`): each as base and as target, in all forms.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::world::{World, have, project};

const BROKEN: [&str; 2] = ["no_manifest.tar", "null_manifest.tar"];

fn folder() -> Option<PathBuf> {
    let shared: PathBuf =
        std::env::var_os("DD_SHARED").map_or_else(|| project().join("../shared"), Into::into);
    let folder = shared.join("fixtures");
    if !folder.is_dir() {
        eprintln!("skipped: no folder of fixtures");
        return None;
    }
    Some(folder)
}

fn fixtures() -> Vec<PathBuf> {
    let Some(folder) = folder() else { return Vec::new() };
    let dir = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = dir.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "tar"));
    paths.retain(|path| !BROKEN.iter().any(|broken| path.ends_with(broken)));
    paths.sort();
    paths
}

#[test]
fn each_comes_back_from_itself_and_from_another() {
    let paths = fixtures();
    for (number, target) in paths.iter().enumerate() {
        for base in [target, &paths[(number + 1) % paths.len()]] {
            let world = World::new();
            let (base, target) = (base.display().to_string(), target.display().to_string());
            world.package(&base, &target, "p");
            world.apply("p", &base, "out");
            world.sh(&format!("cmp out {target}")).ok();
        }
    }
}

#[test]
fn each_keeps_its_digests_in_all_forms() {
    for target in fixtures() {
        let world = World::new();
        let name = target.display();
        world.sh(&format!("dd-inspect --target {name} | dd-extract | dd-diff | dd-pack -o p")).ok();
        let configs = |of: &str| {
            let records = world.sh(&format!("dd-inspect {of}")).ok().records();
            let mut found: Vec<_> = records
                .iter()
                .filter(|record| record["type"] == "config")
                .map(|record| record["digest"].to_string())
                .collect();
            found.sort();
            found.dedup();
            found
        };
        let wanted = configs(&name.to_string());
        for output in ["docker-archive:a", "oci-archive:b", "oci:c"] {
            world.sh(&format!("dd-apply p --output {output}")).ok();
            assert_eq!(configs(output), wanted, "{name} {output}");
        }
    }
}

/// The images of a fixture as skopeo names them.
fn images(fixture: &Path) -> Vec<String> {
    let name = fixture.display();
    let is = |wanted: &str| name.to_string().contains(wanted);
    match () {
        () if is("containerd") => vec![format!("oci-archive:{name}")],
        // The second image of test_link shares layers by symbolic links, over which skopeo 1.9 stumbles.
        () if is("test_link") => vec![format!("docker-archive:{name}:@0")],
        () if is("bundle") => {
            vec![format!("docker-archive:{name}:@0"), format!("docker-archive:{name}:@1")]
        }
        () => vec![format!("docker-archive:{name}")],
    }
}

/// skopeo writes each in every form; each form is target and base, and comes back as skopeo had written it.
#[test]
fn what_skopeo_makes_of_each_comes_back_in_all_forms() {
    let fixtures = fixtures();
    if fixtures.is_empty() || !have(&["skopeo"]) {
        return;
    }
    let mut checked = 0;
    for image in fixtures.iter().flat_map(|fixture| images(fixture)) {
        let world = World::new();
        world.sh("mkdir in out").ok();
        let several = image.contains("multi-platform");
        for (form, place) in
            [("docker-archive", "a.tar"), ("oci-archive", "b.tar"), ("oci", "c"), ("dir", "d")]
        {
            // A docker-archive of skopeo's holds one platform.
            let all = if several && form != "docker-archive" { "--all" } else { "" };
            world.sh(&format!("skopeo copy -q {all} {image} {form}:in/{place}")).ok();
            for base in [format!("{form}:in/{place}"), fixtures[0].display().to_string()] {
                world.package(&base, &format!("in/{place}"), "p");
                world.sh(&format!("dd-apply p --base {base} --output {form}:out/{place}")).ok();
                world.sh(&format!("diff -r in/{place} out/{place}")).ok();
                let inspect = |what: &str, at: &str| {
                    world.sh(&format!("skopeo inspect {what} {form}:{at}/{place}")).ok().text()
                };
                for what in ["--raw", "--config --raw"] {
                    assert_eq!(inspect(what, "out"), inspect(what, "in"), "{image} {form}");
                }
                world.sh(&format!("rm -r p out/{place}")).ok();
                checked += 1;
            }
        }
    }
    assert!(checked >= 8 * fixtures.len(), "{checked} round trips");
}

#[test]
fn containerd_imports_what_was_rebuilt() {
    let Some(socket) = std::env::var("DD_TEST_CONTAINERD").ok().filter(|_| have(&["ctr"])) else {
        return;
    };
    for target in fixtures().iter().filter(|path| path.display().to_string().contains("containerd"))
    {
        let world = World::new();
        let name = target.display();
        world.sh(&format!("dd-inspect --target {name} | dd-extract | dd-diff | dd-pack -o p")).ok();
        world.sh("dd-apply p --output out").ok();
        let import = |file: &str, namespace: &str| {
            world
                .sh(&format!(
                    "ctr -a {socket} -n {namespace} images import --all-platforms {file} >/dev/null && \
                     ctr -a {socket} -n {namespace} images ls | awk 'NR > 1 {{ print $1, $3 }}'"
                ))
                .ok()
                .text()
        };
        let (wanted, got) = (import(&name.to_string(), "dd-wanted"), import("out", "dd-got"));
        assert!(wanted.contains("sha256:"), "{name}: {wanted}");
        assert_eq!(wanted, got, "{name}");
    }
}
