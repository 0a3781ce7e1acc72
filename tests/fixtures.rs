//! Images made by other tools, where a folder of them is at hand (`DD_SHARED`, or `../shared`): each as base and as target, in all forms.

use std::fs;
use std::path::PathBuf;

use crate::support::world::{World, have, project};

const BROKEN: [&str; 2] = ["no_manifest.tar", "null_manifest.tar"];

fn fixtures() -> Vec<PathBuf> {
    let shared =
        std::env::var_os("DD_SHARED").map_or_else(|| project().join("../shared"), Into::into);
    let Ok(dir) = fs::read_dir(shared.join("fixtures")) else {
        eprintln!("skipped: no folder of fixtures");
        return Vec::new();
    };
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
