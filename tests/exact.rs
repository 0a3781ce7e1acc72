//! Layers as they are compressed come back, and with them what is said of their digests.

use crate::support::format::{Pressed, Shape, tar_of};
use crate::support::image::{Image, versions};
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

#[test]
fn a_check_sum_of_zstd_that_lies_is_no_harm() {
    let (one, two) = versions();
    let world = World::new();
    let shape = Shape::Oci(Pressed::ZstdDamaged);
    world.write("1", shape.archive(&[&one]));
    world.write("2", Shape::Oci(Pressed::Zstd(3)).archive(&[&two]));
    world.write("3", shape.archive(&[&two]));
    for target in ["2", "3"] {
        world.package("1", target, "p");
        world.apply("p", "1", "out");
        world.sh(&format!("cmp out {target} && rm out p")).ok();
    }
}

#[test]
fn a_compression_that_is_not_reproduced_is_said() {
    let (one, two) = versions();
    let world = World::new();
    world.write("1", Shape::Oci(Pressed::ZstdDamaged).archive(&[&one]));
    world.write("2", Shape::Oci(Pressed::ZstdDamaged).archive(&[&two]));
    let run = world.package("1", "2", "p");
    let layer = world.sh("dd-inspect 2").ok().records();
    let layer = layer.iter().rfind(|record| record["type"] == "layer").expect("a layer");
    let (digest, size) = (layer["digest"].as_str().expect("a digest"), &layer["size"]);
    let says = format!(
        "the compression of layer {digest} could not be reproduced by an encoder: {size} bytes travel for it"
    );
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains(&says), "{}", run.stderr);
}

#[test]
fn layers_without_a_trailer_come_back() {
    let world = world(Pressed::Cut);
    world.apply("p", "1", "out");
    world.sh("cmp out 2").ok();
}

#[test]
fn a_layer_that_expands_a_thousandfold_comes_back() {
    let bomb = tar_of(&vec![("zeros".to_owned(), vec![0; 48 << 20])]);
    let (one, two) = (versions().0, Image::new("example/app:2").raw_layer(bomb));
    let world = World::new();
    world.write("1", Shape::Oci(Pressed::Gzip(6)).archive(&[&one]));
    world.write("2", Shape::Oci(Pressed::Gzip(6)).archive(&[&two]));
    world.package("1", "2", "p");
    world.apply("p", "1", "out");
    world.sh("cmp out 2").ok();
    assert!(world.read("p").len() < 20_000, "{}", world.read("p").len());
}

/// Encodings that are well formed and wrong: for other bytes, for parameters that no encoder has, with corrections that are none.
#[test]
fn a_wrong_encoding_is_exit_4() {
    if !have(&["jq"]) {
        return;
    }
    let world = world(Pressed::Gzip(6));
    let head = r#"encoding: "gzip", header: "1f8b0800000000000003""#;
    for edit in [
        format!(
            r#".encoding = {{{head}, deflate: "zlib", level: 6, mem_level: 8}} | del(.corrections)"#
        ),
        format!(
            r#".encoding = {{{head}, deflate: "zlib", level: 77, mem_level: 8}} | del(.corrections)"#
        ),
        format!(
            r#".encoding = {{{head}, deflate: "klauspost", release: "1.10.2", level: 9}} | del(.corrections)"#
        ),
        format!(r#".encoding = {{{head}, deflate: "preflate-0.7.6", chunk: 1}}"#),
        r#".encoding = {encoding: "gzip-members"}"#.to_owned(),
        r#".encoding = {encoding: "bytes"}"#.to_owned(),
        r#".encoding = {encoding: "identity"} | del(.corrections)"#.to_owned(),
    ] {
        world
            .sh(&format!(
                "dd-inspect --base 1 --target 2 | dd-extract |
                 jq -c 'if .type == \"blob\" and .encoding != null then {edit} else . end' >records
                 dd-diff <records | dd-pack -f -o bad"
            ))
            .ok();
        world.sh("dd-apply bad --base 1 --output out").failed(4, "");
        assert!(!world.path("out").exists(), "{edit}");
    }
}
