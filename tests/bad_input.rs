//! Bad input: one clear line, the documented exit code, no output, no trace.

use std::process::Command;

use crate::support::format::{Pressed, Shape, tar_of};
use crate::support::image::{Image, versions};
use crate::support::world::{World, bin_dir, have, project, root};

const MAKE: &str = "dd-extract | dd-diff | dd-pack -o p";

/// Images `1` and `2` and the package `p` between them.
fn world() -> World {
    let (one, two) = versions();
    let world = World::new();
    let shape = Shape::DockerOci(Pressed::Gzip(6));
    world.write("1", shape.archive(&[&one]));
    world.write("2", shape.archive(&[&two]));
    world.package("1", "2", "p");
    world
}

fn whole_pipeline(image: &str) -> String {
    format!("dd-inspect --base 1 --target {image} | {MAKE}x")
}

#[test]
fn no_such_file() {
    let world = world();
    world.fails(3, "absent.tar", &whole_pipeline("absent.tar"));
    world.fails(3, "absent.delta", "dd-apply absent.delta --base 1 --output out");
    world.fails(3, "absent.tar", "dd-apply p --base absent.tar --output out");
    world.fails(3, "absent", "dd-inspect oci:absent");
}

#[test]
fn not_an_image() {
    let world = world();
    world.write("empty", "");
    world.write("text", "hello".repeat(1000));
    world.write("noise", (0..9000u32).map(|n| ((n * n) >> 3) as u8).collect::<Vec<_>>());
    world.write("tar", tar_of(&vec![("file".to_owned(), b"x".to_vec())]));
    world.write("null", tar_of(&vec![("manifest.json".to_owned(), b"null".to_vec())]));
    world.write("json", tar_of(&vec![("manifest.json".to_owned(), b"[{".to_vec())]));
    world.write("list", tar_of(&vec![("manifest.json".to_owned(), b"[]".to_vec())]));
    world.write("gz", Pressed::Gzip(6).bytes(b"hello"));
    std::fs::create_dir(world.path("dir")).expect("a directory");
    for name in ["empty", "text", "noise", "tar", "null", "json", "list", "gz", "dir"] {
        world.fails(3, name, &whole_pipeline(&format!("./{name}")));
    }
}

#[test]
fn what_is_no_package() {
    let world = world();
    let (_, two) = versions();
    world.write("docker", Shape::Docker.archive(&[&two]));
    world.write("tar", tar_of(&vec![("file".to_owned(), b"x".to_vec())]));
    Shape::Oci(Pressed::No).directory(&[&two], &world.path("layout"));
    std::fs::create_dir(world.path("empty")).expect("a directory");
    world.write("text", "hello");
    world.write("book", "hello".repeat(1000));
    world.write("zeros", [0; 4096]);
    world.sh("mkdir package && dd-inspect --base 1 --target 2 | dd-extract | dd-diff | dd-pack --plain -o - | tar -x -C package -f -").ok();
    let cases = [
        ("2", 3, "this is a container image, not a delta package"),
        ("docker", 3, "this is a container image, not a delta package"),
        ("tar", 3, "this is a tar without index.json, not a delta package"),
        ("layout", 3, "this directory is a container image, not a delta package"),
        ("empty", 3, "this is a directory, not a delta package"),
        ("text", 4, "this is no delta package, or a part of one"),
        ("book", 3, "this is no delta package: it is neither a zstd frame nor a tar"),
        ("zeros", 3, "this is no delta package: it is neither a zstd frame nor a tar"),
        ("package", 4, "skopeo copy oci:DIR oci-archive:FILE"),
    ];
    for (what, exit, says) in cases {
        world.fails(exit, says, &format!("dd-apply {what} --base 1 --output out"));
        world.fails(exit, says, &format!("dd-inspect --verify {what}"));
    }
    world.fails(3, "this is a container image", "dd-apply - --base 1 --output out <docker");
}

#[test]
fn an_index_without_a_manifest() {
    let world = world();
    let shape = Shape::Oci(Pressed::No);
    shape.directory(&[], &world.path("layout"));
    world.write("archive", shape.archive(&[]));
    for name in ["layout", "archive"] {
        let says = format!("{name} is no image: its index.json names no manifest");
        world.fails(3, &says, &whole_pipeline(&format!("./{name}")));
    }
}

#[test]
fn layers_that_are_compressed_in_another_way() {
    let (_, two) = versions();
    for (pressed, says) in [
        (Pressed::Xz, "it is compressed with xz, "),
        (Pressed::ZstdWide, "it is compressed with a zstd window above 128 MiB"),
    ] {
        let world = World::new();
        world.write("2", Shape::Oci(pressed).archive(&[&two]));
        let make = format!("dd-inspect --target 2 | {MAKE}");
        let run = world.fails(4, says, &make);
        assert!(run.stderr.contains("layer 0 of 2"), "{}", run.stderr);
        assert!(!run.stderr.contains("damaged"), "{}", run.stderr);
    }
}

#[test]
fn truncated_archives() {
    let world = world();
    let target = world.read("2");
    for part in [1, 2, 3, 5, 7] {
        world.write("cut", &target[..target.len() * part / 8]);
        let run = world.sh(&whole_pipeline("./cut"));
        let exit = run.status.unwrap_or_default();
        assert!(matches!(exit, 3 | 4), "{part}/8: {exit} {}", run.stderr);
        run.failed(exit, "cut");
        assert!(!world.path("px").exists());
    }
}

#[test]
fn documents_that_lie() {
    let world = world();
    let (_, two) = versions();
    let layout = world.path("layout");
    let shape = Shape::Oci(Pressed::Gzip(6));
    let reset = || {
        drop(std::fs::remove_dir_all(&layout));
        shape.directory(&[&two], &layout);
    };
    let blob = |position: usize| {
        let run = world.sh("dd-inspect oci:layout").ok();
        let layers: Vec<_> =
            run.records().into_iter().filter(|record| record["type"] == "layer").collect();
        let digest = layers[position]["digest"].as_str().expect("a digest").replace(':', "/");
        layout.join("blobs").join(digest)
    };
    reset();
    let path = blob(1);
    let content = std::fs::read(&path).expect("a blob");
    let mut other = content.clone();
    let middle = other.len() / 2;
    other[middle] ^= 1;
    std::fs::write(&path, other).expect("written");
    world.fails(4, "sha256:", &whole_pipeline("oci:layout"));
    std::fs::write(&path, Pressed::Gzip(6).bytes(b"another tar")).expect("written");
    let run = world.sh(&whole_pipeline("oci:layout"));
    assert!(matches!(run.status, Some(3 | 4)), "{}", run.stderr);
    reset();
    let manifest = world.sh("dd-inspect oci:layout").ok().record("manifest");
    let digest = manifest["digest"].as_str().expect("a digest").replace(':', "/");
    let document = layout.join("blobs").join(digest);
    let mut text = std::fs::read(&document).expect("a manifest");
    text.push(b' ');
    std::fs::write(&document, text).expect("written");
    let run = world.sh(&whole_pipeline("oci:layout"));
    assert!(matches!(run.status, Some(3 | 4)), "{}", run.stderr);
    let exit = run.status.unwrap_or_default();
    run.failed(exit, "sha256:");
    assert!(!world.path("px").exists());
}

#[test]
fn an_absent_layer() {
    let world = world();
    let (_, two) = versions();
    let absent = "blobs/sha256/";
    let mut members = Vec::new();
    let archive = Shape::DockerOci(Pressed::No).archive(&[&two]);
    let mut tar = tar::Archive::new(archive.as_slice());
    for entry in tar.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).expect("content");
        if !(name.starts_with(absent) && content.len() > 100_000) {
            members.push((name, content));
        }
    }
    world.write("gap", tar_of(&members));
    let run = world.sh(&whole_pipeline("./gap"));
    if run.status == Some(0) {
        // Absent on purpose: the same gaps come back.
        world.sh("dd-apply px --base 1 --output out && cmp out gap").ok();
    } else {
        run.failed(3, "sha256:");
    }
}

#[test]
fn the_wrong_base() {
    let world = world();
    let other = Image::new("other:1").layer("text other words");
    world.write("other", Shape::Docker.archive(&[&other]));
    let run = world.fails(3, "sha256:", "dd-apply p --base other --output out");
    assert!(run.stderr.contains("example/app:1") || run.stderr.contains("layer"), "{}", run.stderr);
    world.fails(3, "sha256:", "dd-apply p --base other --check");
    world.sh("dd-apply p --base 1 --check").ok();
    world.fails(3, "sha256:", "dd-apply p --output out");
}

#[test]
fn a_package_cut_anywhere() {
    let world = world();
    let package = world.read("p");
    let points = [
        0,
        1,
        4,
        20,
        package.len() / 4,
        package.len() / 2,
        package.len() * 3 / 4,
        package.len() - 20,
        package.len() - 1,
    ];
    for point in points {
        world.write("cut", &package[..point]);
        for script in [
            "dd-apply cut --base 1 --output out",
            "cat cut | dd-apply - --base 1 --output out",
            "dd-inspect --verify ./cut",
        ] {
            let run = world.sh(script);
            let exit = run.status.unwrap_or_default();
            assert!(matches!(exit, 3 | 4), "{script} at {point}: {exit} {}", run.stderr);
            run.failed(exit, "");
            assert!(!world.path("out").exists());
        }
    }
}

#[test]
fn a_package_with_a_bit_changed() {
    let world = world();
    world
        .sh("dd-inspect --base 1 --target 2 | dd-extract | dd-diff | dd-pack --plain -o plain")
        .ok();
    let package = world.read("plain");
    for part in 1..16 {
        let mut bytes = package.clone();
        let at = bytes.len() * part / 16;
        bytes[at] ^= 0x10;
        world.write("bad", &bytes);
        let run = world.sh("dd-apply bad --base 1 --output out");
        // A bit in padding or in a tar header's unused field changes nothing.
        if run.status == Some(0) {
            assert_eq!(world.digest("out"), world.digest("2"));
            std::fs::remove_file(world.path("out")).expect("removed");
            continue;
        }
        let exit = run.status.unwrap_or_default();
        assert!(matches!(exit, 3 | 4), "{part}: {exit} {}", run.stderr);
        run.failed(exit, "");
        assert!(!world.path("out").exists());
    }
}

#[test]
fn what_is_expected_is_compared_before_work() {
    let world = world();
    let wrong = format!("sha256:{}", "0".repeat(64));
    world.fails(4, &wrong[..20], &format!("dd-apply p --base 1 --output out --expect {wrong}"));
    let manifest = world.sh("dd-inspect 2").ok().record("image")["manifest_digest"].clone();
    let manifest = manifest.as_str().expect("a digest");
    let applied =
        world.sh(&format!("dd-apply p --base 1 --output out --expect manifest={manifest}")).ok();
    assert_eq!(applied.record("applied")["expected"], "match");
}

#[test]
fn the_output_exists() {
    let world = world();
    world.write("there", "mine");
    world.fails(3, "there", "dd-apply p --base 1 --output there");
    world.fails(
        3,
        "there",
        "dd-inspect --base 1 --target 2 | dd-extract | dd-diff | dd-pack -o there",
    );
    world.fails(3, "nowhere", "dd-apply p --base 1 --output nowhere/out");
    std::fs::remove_dir_all(world.store()).expect("removed");
    world.fails(3, "there", "dd-apply p --base 1 --output there --check");
    world.fails(3, "nowhere", "dd-apply p --base 1 --output nowhere/out --check");
    world.fails(3, "nowhere", "dd-apply p --base 1 --output oci:nowhere/out --check");
    world
        .sh("dd-apply p --base 1 --output there --check -f && dd-apply p --base 1 -o 2 --check")
        .ok();
    world.sh("dd-apply p --base 1 --output oci:new --check").ok();
    assert!(!world.store().exists(), "--check writes nothing");
}

#[test]
fn outputs_with_colons() {
    let world = world();
    world.fails(3, "docker-deamon", "dd-apply p --base 1 --output docker-deamon:app:2");
    world.sh("mkdir co:lon && dd-apply p --base 1 --output docker-archive:co:lon/y.tar").ok();
    world.sh("mkdir c:dir && dd-apply p --base 1 --output oci:c:dir").ok();
    world.sh("dd-apply p --base 1 --output ./a:b && cmp a:b 2").ok();
    world
        .sh("test -f co:lon/y.tar && test -f c:dir/index.json && test ! -e co && test ! -e c")
        .ok();
    let named =
        world.sh("dd-apply p --base 1 --output docker-archive:co:lon/z.tar:host:5000/app:3").ok();
    assert_eq!(named.record("applied")["images"][0]["names"][0], "host:5000/app:3");
    world.sh("test -f co:lon/z.tar").ok();
}

#[test]
fn a_full_disk() {
    let world = world();
    let disk = world.path("disk");
    std::fs::create_dir(&disk).expect("a directory");
    let mounted = root()
        && Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(&disk)
            .status()
            .is_ok_and(|status| status.success());
    if !mounted {
        eprintln!("skipped: a tmpfs cannot be mounted");
        return;
    }
    let apply = world.sh("dd-apply p --base 1 --output disk/out");
    let left = world.sh("ls -A disk").text();
    let store = world.sh(
        "dd-inspect --base 1 --target 2 | dd-extract --store disk/store | dd-diff | dd-pack -o q",
    );
    let package = world.sh("head -c 60000 /dev/zero >disk/fill; dd-inspect --base 1 --target 2 | dd-extract | dd-diff | dd-pack -o disk/q");
    let left_too = world.sh("ls -A disk | grep -v '^fill$\\|^store$'").text();
    assert!(Command::new("umount").arg(&disk).status().is_ok_and(|status| status.success()));
    apply.failed(4, "disk");
    store.failed(4, "67108864 stay free");
    package.failed(4, "");
    assert_eq!((left.as_str(), left_too.as_str()), ("", ""));
    assert!(!world.path("q").exists());
}

#[test]
fn files_that_may_not_grow() {
    let world = world();
    let apply = world.sh("mkdir out; (ulimit -f 8; exec dd-apply p --base 1 --output out/image)");
    apply.failed(4, "File too large");
    assert_eq!(world.sh("ls -A out").text(), "");
}

#[test]
fn usage_is_exit_3_and_help_is_0() {
    let world = World::new();
    for stage in ["dd-inspect", "dd-extract", "dd-diff", "dd-pack", "dd-apply"] {
        let run = world.sh(&format!("{stage} --no-such-option"));
        assert_eq!(run.status, Some(3), "{stage}");
        assert!(run.stderr.contains("--no-such-option"), "{stage}: {}", run.stderr);
        assert!(world.sh(&format!("{stage} --help")).ok().text().contains("Usage"), "{stage}");
        assert!(world.sh(&format!("{stage} --version")).ok().text().starts_with(stage), "{stage}");
    }
}

#[test]
fn a_missing_program_is_exit_2() {
    let world = world();
    let bin = bin_dir();
    let path = bin.display();
    let run = world.fails(
        2,
        "skopeo",
        &format!("env PATH={path} dd-inspect docker://example.invalid/app:1"),
    );
    assert!(run.stderr.contains("install"), "{}", run.stderr);
    world.fails(2, "docker", &format!("env PATH={path} dd-inspect docker-daemon:app:1"));
    world.fails(
        2,
        "skopeo",
        &format!(
            "env PATH={path} dd-inspect --base docker://example.invalid/a:1 --target 2 | {MAKE}x"
        ),
    );
    world.fails(
        2,
        "skopeo",
        &format!("env PATH={path} dd-apply p --base 1 --output docker://example.invalid/a:1"),
    );
}

#[test]
fn a_daemon_that_is_down() {
    if have(&["docker"]) {
        let world = world();
        world.fails(4, "docker", "DOCKER_HOST=unix:///no/such.sock dd-inspect docker-daemon:app:1");
        world.fails(
            4,
            "docker",
            "DOCKER_HOST=unix:///no/such.sock dd-apply p --base 1 --output docker-daemon:",
        );
    }
}

#[test]
fn a_registry_that_refuses() {
    if have(&["skopeo"]) {
        let world = world();
        world.fails(4, "127.0.0.1:1", "dd-inspect docker://127.0.0.1:1/app:1");
        world.fails(4, "127.0.0.1:1", "dd-apply p --base 1 --output docker://127.0.0.1:1/app:2");
    }
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let world = world();
    world.write("old", "mine");
    for (signal, exit) in [("TERM", 143), ("INT", 130)] {
        let script = format!(
            "mkfifo in; env --default-signal=INT dd-apply - --base 1 --output old -f <in & pid=$!; \
             exec 3>in; head -c 2000 p >&3; sleep 0.5; kill -{signal} $pid; wait $pid; code=$?; rm in; exit $code"
        );
        let before = world.files();
        let run = world.sh(&script);
        assert_eq!(run.status, Some(exit), "{signal}: {}", run.stderr);
        assert_eq!(before, world.files());
    }
}

/// As `nohup` starts a program, or a script one in the background.
#[test]
fn signals_that_are_ignored_stay_so() {
    let world = world();
    for signal in ["HUP", "INT", "TERM"] {
        let script = format!(
            "trap '' {signal}; mkfifo in; dd-apply - --base 1 --output out -f <in & pid=$!; exec 3>in; \
             head -c 2000 p >&3; sleep 0.5; kill -{signal} $pid; tail -c +2001 p >&3; exec 3>&-; \
             rm in; wait $pid && cmp out 2"
        );
        world.sh(&script).ok();
    }
}

#[test]
fn the_broken_fixtures() {
    let shared =
        std::env::var_os("DD_SHARED").map_or_else(|| project().join("../shared"), Into::into);
    for name in ["no_manifest.tar", "null_manifest.tar"] {
        let path = shared.join("fixtures").join(name);
        if path.is_file() {
            World::new().fails(3, name, &format!("dd-inspect {}", path.display()));
        }
    }
}
