//! Images made by the tools that people use, and their word on what was rebuilt.

use crate::support::format::{Pressed, Shape};
use crate::support::image::versions;
use crate::support::world::{World, have};

/// Two versions as OCI layouts `1` and `2` written by umoci, with tag `v`.
fn by_umoci() -> World {
    let world = World::new();
    world
        .sh("set -e
            for v in 1 2; do
                umoci init --layout $v
                umoci new --image $v:v
                umoci unpack --rootless --image $v:v b$v
                mkdir -p b$v/rootfs/bin b$v/rootfs/etc
                seq 1 40000 >b$v/rootfs/etc/numbers
                [ $v = 1 ] || echo changed >>b$v/rootfs/etc/numbers
                head -c 100000 \"$(command -v umoci)\" >b$v/rootfs/bin/app
                umoci repack --image $v:v b$v
                rm -rf b$v
            done")
        .ok();
    world
}

#[test]
fn umoci_and_skopeo_agree() {
    if !have(&["umoci", "skopeo"]) {
        return;
    }
    let world = by_umoci();
    world.sh("skopeo copy -q oci:1:v oci-archive:1.tar:v && skopeo copy -q oci:2:v oci-archive:2.tar:v").ok();
    world.package("1.tar", "2.tar", "p");
    world.sh("dd-apply p --base 1.tar --output out.tar && cmp out.tar 2.tar").ok();
    world.sh("dd-apply p --base 1 --output oci:out").ok();
    let raw = |image: &str| world.sh(&format!("skopeo inspect --raw {image}")).ok().text();
    let wanted = raw("oci:2:v");
    assert!(wanted.contains("sha256:"));
    assert_eq!(raw("oci-archive:out.tar:v"), wanted);
    assert_eq!(raw("oci:out:v"), wanted);
    world
        .sh("umoci stat --image out:v >/dev/null && umoci unpack --rootless --image out:v bundle")
        .ok();
    assert_eq!(world.sh("tail -n 1 bundle/rootfs/etc/numbers").text(), "changed\n");
}

#[test]
fn skopeo_reads_every_output() {
    if !have(&["skopeo"]) {
        return;
    }
    let (one, two) = versions();
    let world = World::new();
    world.write("1", Shape::Docker.archive(&[&one]));
    world.write("2", Shape::Oci(Pressed::Gzip(6)).archive(&[&two]));
    world.package("1", "2", "p");
    let config = |image: &str| {
        world.sh(&format!("skopeo inspect --config --raw {image} | sha256sum")).ok().text()
    };
    let wanted = config("oci-archive:2");
    for output in ["docker-archive:a.tar", "oci-archive:b.tar", "oci:c", "dir:d"] {
        world.sh(&format!("dd-apply p --base 1 --output {output}")).ok();
        assert_eq!(config(output), wanted, "{output}");
    }
}

#[test]
fn what_skopeo_writes_is_read() {
    if !have(&["skopeo"]) {
        return;
    }
    let (one, two) = versions();
    let world = World::new();
    world.write("1.oci", Shape::Oci(Pressed::Gzip(6)).archive(&[&one]));
    world.write("2.oci", Shape::Oci(Pressed::Gzip(6)).archive(&[&two]));
    for (from, to) in
        [("docker-archive:", ":a:1"), ("oci-archive:", ":a"), ("oci:", ":a"), ("dir:", "")]
    {
        let form = from.trim_end_matches(':');
        for version in ["1", "2"] {
            world
                .sh(&format!("skopeo copy -q oci-archive:{version}.oci {from}{form}-{version}{to}"))
                .ok();
        }
        world.package(&format!("{form}-1"), &format!("{form}-2"), &format!("{form}.p"));
        let output = if form == "oci" || form == "dir" {
            format!("{form}:{form}-out")
        } else {
            format!("{form}-out")
        };
        world.apply(&format!("{form}.p"), &format!("{form}-1"), &output);
        world.sh(&format!("diff -r -x oci-layout {form}-2 {form}-out")).ok();
    }
}

#[test]
fn skopeo_s_zstd_follows_from_parameters() {
    if !have(&["skopeo"]) {
        return;
    }
    let (one, two) = versions();
    // By default chunks have klauspost's strongest level, which skopeo 1.9 has from a release before the one that is known.
    for (format, encoding) in
        [("zstd", "zstd-klauspost"), ("zstd:chunked --dest-compress-level 3", "zstd-frames")]
    {
        let world = World::new();
        for (version, layers) in [("1", &one), ("2", &two)] {
            world.write(&format!("{version}.oci"), Shape::Oci(Pressed::Gzip(6)).archive(&[layers]));
            world.sh(&format!("skopeo copy -q --dest-compress-format {format} oci-archive:{version}.oci oci-archive:{version}:v")).ok();
        }
        world.package("1", "2", "p");
        world.apply("p", "1", "out");
        world.sh("cmp out 2 && test $(($(wc -c <p) * 10)) -lt $(wc -c <2)").ok();
        world.sh("skopeo inspect oci-archive:2 >wanted && skopeo inspect oci-archive:out | cmp - wanted").ok();
        let layers = world.sh("dd-inspect --base 1 --target 2 | dd-extract | jq -r 'select(.type == \"blob\") | .encoding.encoding // empty'").ok();
        assert!(!layers.text().is_empty());
        assert!(layers.text().lines().all(|line| line == encoding), "{}", layers.text());
    }
}

#[test]
fn buildah_s_images_come_back() {
    if !have(&["buildah"]) {
        return;
    }
    let world = World::new();
    let build = "set -e
        export STORAGE_DRIVER=vfs
        buildah() { command buildah --root $PWD/../storage --runroot $PWD/../run \"$@\"; }
        for v in 1 2; do
            c=$(buildah from scratch)
            seq 1 30000 >numbers; [ $v = 1 ] || echo changed >>numbers
            buildah copy -q $c numbers /etc/numbers >/dev/null
            buildah config --cmd /bin/app $c
            buildah commit -q $c example/app:$v >/dev/null
            buildah push -q example/app:$v oci-archive:$PWD/$v:v
            rm numbers
        done";
    let run = world.sh(build);
    if run.status != Some(0) {
        eprintln!("skipped: buildah does not work here: {}", run.stderr);
        return;
    }
    world.package("1", "2", "p");
    world.sh("dd-apply p --base 1 --output out && cmp out 2").ok();
}

#[test]
fn a_package_is_an_artifact_that_skopeo_reads() {
    if !have(&["skopeo"]) {
        return;
    }
    let (one, two) = versions();
    let world = World::new();
    world.write("1", Shape::Docker.archive(&[&one]));
    world.write("2", Shape::Oci(Pressed::Gzip(6)).archive(&[&two]));
    let package = world.package("1", "2", "p").record("package");
    let raw = world.sh("skopeo inspect --raw oci-archive:p").ok();
    assert_eq!(
        crate::support::world::sha256(&raw.stdout),
        package["manifest_digest"].as_str().expect("a digest")
    );
    let manifest: serde_json::Value = serde_json::from_slice(&raw.stdout).expect("JSON");
    assert_eq!(manifest["artifactType"], "application/vnd.docker-delta.package.v1");
    world.sh("skopeo copy -q --preserve-digests oci-archive:p oci-archive:copy:p && dd-apply copy --base 1 --output out && cmp out 2").ok();
}
