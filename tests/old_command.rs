//! scripts/docker_delta: the old command line.

use crate::support::format::{Pressed, Shape};
use crate::support::image::versions;
use crate::support::world::{Run, World, have};

fn world() -> World {
    let (one, two) = versions();
    let world = World::new();
    let shape = Shape::DockerOci(Pressed::No);
    world.write("1.tar", shape.archive(&[&one]));
    world.write("2.tar", shape.archive(&[&two]));
    world
}

fn made(world: &World, options: &str) -> Run {
    let run = world.sh(&format!("docker_delta create {options} 1.tar 2.tar p -f"));
    assert_eq!(run.status, Some(0), "{options}: {}", run.stderr);
    world.sh("dd-apply p --base 1.tar --output out -f && cmp out 2.tar").ok();
    run
}

#[test]
fn create_takes_all_options() {
    let world = world();
    let silent = [
        "",
        "-l 1",
        "--level=9",
        "-m layer",
        "-s docker-archive",
        "--source-format=docker-archive",
        "-p linux/amd64",
    ];
    for options in silent {
        assert_eq!(made(&world, options).stderr, "", "{options}");
    }
    for options in ["-m xdelta3", "--method bsdiff", "-c gzip", "--compression=xz"] {
        let run = made(&world, options);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains("no meaning"), "{}", run.stderr);
    }
    let run = world.sh("docker_delta create -v 1.tar 2.tar p -f");
    assert_eq!(run.status, Some(0), "{}", run.stderr);
}

#[test]
fn changed_layers_whole() {
    let world = world();
    made(&world, "");
    let small = world.read("p").len();
    made(&world, "-m layer");
    assert!(world.read("p").len() > small * 2);
}

#[test]
fn without_a_base_the_package_holds_all() {
    let world = world();
    world.sh("docker_delta create 2.tar p").ok();
    world.sh("dd-apply p --output out && cmp out 2.tar").ok();
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = world();
    let before = world.files();
    let run = world.sh("docker_delta create -d 1.tar 2.tar p").ok();
    assert!(!run.text().is_empty());
    assert_eq!(before, world.files());
}

#[test]
fn an_existing_package_is_kept_without_force() {
    let world = world();
    world.write("p", "mine");
    world.fails(3, "p", "docker_delta create 1.tar 2.tar p");
    made(&world, "--force");
}

#[test]
fn a_daemon_that_is_down_is_a_failed_operation() {
    let world = world();
    made(&world, "");
    world.write(
        "bin/docker",
        "#!/bin/sh\necho 'a warning' >&2; echo 'Cannot connect to the daemon' >&2; exit 1\n",
    );
    world.sh("chmod +x bin/docker").ok();
    world.fails(4, "Cannot connect", "PATH=$PWD/bin:$PATH docker_delta apply p");
    world.fails(3, "absent", "PATH=$PWD/bin:$PATH docker_delta apply absent.delta");
}

#[test]
fn list_and_info_show_a_package() {
    let world = world();
    made(&world, "");
    for action in ["list", "info"] {
        let text = world.sh(&format!("docker_delta {action} p")).ok().text();
        assert!(text.contains("example/app:2"), "{action}: {text}");
    }
    world.fails(3, "absent", "docker_delta info absent.delta");
}

#[test]
fn misuse_is_exit_3_and_said_in_one_line() {
    let world = world();
    let cases = [
        ("", "what is to be done"),
        ("frobnicate", "unknown action"),
        ("create 1.tar", "create needs"),
        ("create a b c d", "create needs"),
        ("create -x 1.tar 2.tar p", "unknown option -x"),
        ("create -l 10 1.tar 2.tar p", "1 to 9"),
        ("create -l", "needs a value"),
        ("create -m magic 1.tar 2.tar p", "unknown method"),
        ("create -s floppy 1.tar 2.tar p", "unknown format"),
        ("create ./absent.tar 2.tar p", "absent.tar"),
        ("apply", "apply needs"),
        ("apply p -t oci", "NAME"),
        ("list", "list needs"),
    ];
    for (words, says) in cases {
        world.fails(3, says, &format!("docker_delta {words}"));
    }
    for words in ["-h", "--help"] {
        assert!(world.sh(&format!("docker_delta {words}")).ok().text().contains("Usage:"));
    }
    assert!(world.sh("docker_delta --version").ok().text().contains(env!("CARGO_PKG_VERSION")));
}

/// The old way, whole: two versions are built in the daemon; the second is removed, comes back, and runs.
#[test]
fn through_the_daemon() {
    let Some(host) = std::env::var("DD_TEST_DOCKER_HOST").ok().filter(|_| have(&["docker", "cc"]))
    else {
        return;
    };
    let world = World::new();
    let repository = format!("dd-old-{}", std::process::id());
    let docker = |script: &str| {
        let script = script.replace("APP", &repository);
        world.sh_with(&script, &[("DOCKER_HOST", &host), ("DOCKER_BUILDKIT", "0")]).ok()
    };
    for version in ["1", "2"] {
        let program = format!(
            "#include <stdio.h>\nint main(void) {{ return puts(\"version {version}\") < 0; }}\n"
        );
        world.write(&format!("{version}/main.c"), program);
        world.write(
            &format!("{version}/Dockerfile"),
            "FROM scratch\nCOPY app /app\nCMD [\"/app\"]\n",
        );
        docker(&format!(
            "cc -static -o {version}/app {version}/main.c && docker build -q -t APP:{version} {version}"
        ));
    }
    docker("docker image inspect -f '{{.Id}}' APP:2 >id");
    docker("docker_delta create APP:1 APP:2 p && docker rmi APP:2 >/dev/null");
    docker("docker_delta apply -d p && ! docker image inspect APP:2 >/dev/null 2>&1");
    docker("docker_delta apply p && docker image inspect -f '{{.Id}}' APP:2 | cmp - id");
    let said = docker("docker run --rm --network none APP:2").text();
    assert_eq!(said, "version 2\n");
    docker(
        "docker_delta apply p APP:other && docker image inspect -f '{{.Id}}' APP:other | cmp - id",
    );
    docker("docker_delta apply -t docker-archive p out.tar && dd-inspect out.tar");
    docker("docker rmi -f APP:1 APP:2 APP:other");
}
