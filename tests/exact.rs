//! Layers as they are compressed come back, and with them what is said of their digests.

use crate::support::format::{Pressed, Shape};
use crate::support::image::versions;
use crate::support::world::{World, have};

/// Two versions with layers compressed like this, as files `1` and `2`, and the package between them.
fn world(pressed: Pressed) -> World {
    let (one, two) = versions();
    let world = World::new();
    world.write("1", Shape::Oci(pressed).archive(&[&one]));
    world.write("2", Shape::Oci(pressed).archive(&[&two]));
    world.package("1", "2", "p");
    world
}

#[test]
fn a_signature_over_the_manifest_s_digest_holds() {
    if !have(&["openssl"]) {
        return;
    }
    let world = world(Pressed::Gzip(6));
    let manifest = "jq -r 'select(.type == \"image\") | .manifest_digest'";
    world
        .sh(&format!(
            "set -e
            dd-inspect 2 | {manifest} >digest
            openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>/dev/null
            openssl pkey -in key -pubout -out public
            openssl dgst -sha256 -sign key -out signature digest
            rm key 2"
        ))
        .ok();
    world.sh("dd-apply p --base 1 --output oci:out").ok();
    // The digest of the bytes that lie there, not what a program says.
    let verify = "sed 's/.*\"digest\":\"\\(sha256:[0-9a-f]*\\)\".*/\\1/' out/index.json >named
        sha256sum <out/blobs/sha256/$(sed s/sha256:// named) | sed 's/^/sha256:/; s/ .*//' >rebuilt
        openssl dgst -sha256 -verify public -signature signature rebuilt";
    assert_eq!(world.sh(verify).ok().text(), "Verified OK\n");
    world.sh("echo sha256:0 >rebuilt").ok();
    let other = "openssl dgst -sha256 -verify public -signature signature rebuilt 2>/dev/null";
    assert_eq!(world.sh(other).text(), "Verification failure\n");
}

#[test]
fn many_members_and_a_footer_come_back() {
    let world = world(Pressed::Members);
    for base in [Pressed::Members, Pressed::No, Pressed::Zstd(3)] {
        world.write("base", Shape::Oci(base).archive(&[&versions().0]));
        world.apply("p", "base", "out");
        world.sh("cmp out 2 && rm out base").ok();
    }
    let (package, target) = (world.read("p").len(), world.read("2").len());
    assert!(package * 4 < target, "{package} bytes for {target}");
}

#[test]
fn layers_whose_trailer_lies_come_back() {
    let world = world(Pressed::Damaged);
    world.apply("p", "1", "out");
    world.sh("cmp out 2").ok();
    let (package, target) = (world.read("p").len(), world.read("2").len());
    assert!(package * 5 < target, "{package} bytes for {target}");
}
