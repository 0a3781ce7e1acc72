//! A docker client that does what it is told: no daemon is needed.

use crate::support::format::{Pressed, Shape};
use crate::support::image::versions;
use crate::support::world::{World, sha256};

/// The containerd store of Docker 29 saves gzip layers and the manifests that it pulled; a stand-in for its client does it
/// here.
#[test]
fn a_daemon_that_has_manifests_gives_them() {
    let world = World::new();
    let (_, two) = versions();
    let archive = Shape::Nested(Pressed::Gzip(6)).archive(&[&two]);
    world.write("saved.tar", &archive);
    let diff_ids: Vec<String> = two.layers.iter().map(|layer| sha256(layer)).collect();
    let answer = serde_json::json!({"Id": sha256(b"an index"), "RepoTags": [two.name], "Os": "linux",
        "Architecture": "amd64", "RootFS": {"Type": "layers", "Layers": diff_ids}});
    world.write("answer", answer.to_string());
    world.write(
        "bin/docker",
        "#!/bin/sh\ncase $1 in image) cat answer ;; save) cat saved.tar ;; *) exit 1 ;; esac\n",
    );
    let run =
        "chmod +x bin/docker; PATH=$PWD/bin:$PATH; dd-inspect docker-daemon:example/app:2 | cat";
    let image = world.sh(run).ok().record("image");
    assert_eq!(image["exact"], "manifest");
    assert_eq!(image["transport"], "docker-daemon");
    assert_eq!(image["reference"], "docker-daemon:example/app:2");
}

#[test]
fn a_client_that_fails_half_way_gives_no_image() {
    let world = World::new();
    let (_, two) = versions();
    world.write("saved.tar", Shape::Docker.archive(&[&two]));
    let answer = serde_json::json!({"Id": sha256(b"x"), "RepoTags": [], "Os": "linux", "Architecture": "amd64",
        "RootFS": {"Layers": []}});
    world.write("answer", answer.to_string());
    let script = "#!/bin/sh\ncase $1 in image) cat answer ;; *) head -c 5000 saved.tar; echo lost >&2; exit 1 ;; esac\n";
    world.write("bin/docker", script);
    world.sh("chmod +x bin/docker").ok();
    world.fails(4, "docker failed: lost", "PATH=$PWD/bin:$PATH; dd-inspect docker-daemon:app:2");
}

#[test]
fn an_interrupted_stage_ends_its_helper_and_cleans_up() {
    let world = World::new();
    let answer = serde_json::json!({"Id": sha256(b"x"), "RepoTags": [], "Os": "linux", "Architecture": "amd64",
        "RootFS": {"Layers": []}});
    world.write("answer", answer.to_string());
    let script =
        "#!/bin/sh\ncase $1 in image) cat answer ;; *) echo $$ >pid; exec sleep 60 ;; esac\n";
    world.write("bin/docker", script);
    let run = "chmod +x bin/docker; PATH=$PWD/bin:$PATH; dd-inspect docker-daemon:app:2 >records & stage=$!
        until [ -s pid ]; do sleep 0.05; done
        kill -TERM $stage; wait $stage; echo $?
        for n in $(seq 50); do kill -0 $(cat pid) 2>/dev/null || break; sleep 0.2; done
        kill -0 $(cat pid) 2>/dev/null && echo alive
        ls $DD_STORE/tmp";
    assert_eq!(world.sh(run).text(), "143\n");
}
