//! dd-extract as a program: records on stdin, records on stdout.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dd_extract::encoding::Encoding;
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::range::FileRange;
use dd_inspect::record::Location;
use serde_json::{Value, json};

struct World {
    root: tempfile::TempDir,
    records: Vec<Value>,
}

impl World {
    fn new() -> Self {
        let mut world = Self { root: tempfile::tempdir().unwrap(), records: Vec::new() };
        world.records.push(json!({"type": "stream", "version": 1, "stage": "dd-inspect", "tool_version": "0", "stages": []}));
        for role in ["base", "target"] {
            world.records.push(json!({"type": "image", "key": format!("{role}:0"), "role": role,
                "reference": format!("{role}.tar"), "transport": "oci-archive", "names": [], "exact": "file"}));
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn location(&self, name: &str) -> Value {
        let path = self.path(name);
        let meta = fs::metadata(&path).unwrap();
        let mtime = meta.mtime() as i128 * 1_000_000_000 + meta.mtime_nsec() as i128;
        json!({"file": path, "offset": 0, "size": meta.len(), "file_size": meta.len(), "mtime_ns": mtime.to_string()})
    }

    /// A layer of an image: its stored bytes and the content that it is said to have.
    fn layer(&mut self, role: &str, name: &str, stored: &[u8], content: &[u8]) {
        if fs::read(self.path(name)).is_ok_and(|there| there == stored) {
            // Written again it would be another file.
        } else {
            fs::write(self.path(name), stored).unwrap();
        }
        let location = self.location(name);
        self.records.push(
            json!({"type": "layer", "image": format!("{role}:0"), "manifest": 0, "position": 0,
            "digest": Digest::of(stored), "diff_id": DiffId::of(content), "location": location}),
        );
    }

    fn run_with(&self, arguments: &[&str]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_dd-extract"))
            .args(arguments)
            .env("DD_STORE", self.path("store"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = String::new();
        for record in &self.records {
            input += &format!("{record}\n");
        }
        input += "{\"type\":\"end\",\"stage\":\"dd-inspect\"}\n";
        let mut stdin = child.stdin.take().unwrap();
        // The program may end before it has read everything.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn run(&self) -> Vec<Value> {
        let output = self.run_with(&[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "{stderr}");
        records(&output)
    }

    fn fails(&self, code: i32, word: &str) {
        let output = self.run_with(&[]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(word) && stderr.lines().count() == 1, "{stderr}");
        let last = records(&output).pop().unwrap();
        assert_eq!(
            (last["type"].as_str(), last["exit"].as_i64()),
            (Some("error"), Some(code.into()))
        );
        let store = self.path("store");
        assert_eq!(fs::read_dir(store.join("tmp")).unwrap().count(), 0, "temporary files are left");
    }
}

fn records(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let all = text.lines().map(|line| serde_json::from_str(line).unwrap());
    all.filter(|record: &Value| record["type"] != "progress").collect()
}

fn of_type<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|r| r["type"] == kind).collect()
}

fn bytes_at(location: &Value) -> Vec<u8> {
    let location: Location = serde_json::from_value(location.clone()).unwrap();
    let mut bytes = Vec::new();
    FileRange::at(&location).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// The stored bytes that a blob record says how to make.
fn remade(blob: &Value) -> Vec<u8> {
    let encoding = Encoding::parse(&blob["encoding"]).unwrap();
    let corrections = blob.get("corrections").map(bytes_at).unwrap_or_default();
    if let Some(digest) = blob.get("corrections_digest") {
        assert_eq!(*digest, json!(Digest::of(&corrections)));
    }
    let mut encoder = encoding.encoder(Vec::new(), &corrections[..]).unwrap();
    encoder.write_all(&bytes_at(&blob["location"])).unwrap();
    encoder.finish().unwrap()
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzEncoder::new(plain, flate2::Compression::new(6)).read_to_end(&mut out).unwrap();
    out
}

#[test]
fn every_target_layer_can_be_made_again() {
    let mut world = World::new();
    let (same, old) = (tar(&[("same", "1")]), tar(&[("a", "old")]));
    let new = tar(&[("a", "new"), ("b", &"many words ".repeat(5000))]);
    let zstd = tar(&[("z", "standard")]);
    world.layer("base", "1", &same, &same);
    world.layer("base", "2", &old, &old);
    world.layer("target", "1.gz", &gzip(&same), &same);
    world.layer("target", "2.gz", &gzip(&new), &new);
    world.layer("target", "3.zst", &zstd::encode_all(&zstd[..], 3).unwrap(), &zstd);
    world.layer("target", "4", b"no tar", b"no tar");
    let records = world.run();
    let blobs = of_type(&records, "blob");
    assert_eq!(blobs.len(), 6);
    for blob in &blobs {
        assert_eq!(json!(Digest::of(&bytes_at(&blob["location"]))), blob["diff_id"]);
        if blob.get("encoding").is_some() {
            assert_eq!(json!(Digest::of(&remade(blob))), blob["digest"]);
        }
    }
    assert_eq!(blobs.iter().filter(|b| b.get("encoding").is_some()).count(), 4);
    let paths: Vec<_> = of_type(&records, "entry").iter().map(|e| e["path"].clone()).collect();
    assert_eq!(paths, ["same", "a", "a", "b", "z"]);
    assert_eq!(records.last().unwrap()["type"], "end");
    // An uncompressed layer is used where it lies.
    assert_eq!(blobs[0]["location"]["file"], json!(world.path("1")));
    // Proofs are remembered, and nothing depends on that or on the number of threads.
    assert!(fs::read_dir(world.path("store/notes/encoding")).unwrap().count() >= 3);
    assert_eq!(records, world.run());
    assert_eq!(records, self::records(&world.run_with(&["--jobs", "1", "--memory", "64M"])));
}

#[test]
fn records_pass_and_joined_forms_are_one() {
    let mut world = World::new();
    let layer = tar(&[("a", "1")]);
    let packed = gzip(&layer);
    world.records.push(json!({"type": "x:note", "n": 1}));
    world.layer("base", "b", &packed, &layer);
    world.layer("target", "t", &packed, &layer);
    world.layer("target", "t", &packed, &layer);
    world.layer("target", "new", b"new", b"new");
    let records = world.run();
    let given: Vec<Value> = world.records[1..].to_vec();
    // An exact repetition is dropped.
    assert_eq!(records[1..7], [&given[..4], &given[5..]].concat()[..6]);
    let blobs = of_type(&records, "blob");
    assert_eq!(blobs.len(), 2);
    assert!(blobs[0].get("encoding").is_some());
}

#[test]
fn archives_that_are_compressed_as_a_whole() {
    let mut world = World::new();
    let tar = tar(&[("layer.tar", "x")]);
    for (name, bytes) in [("a.tar", tar.clone()), ("a.tar.gz", gzip(&tar))] {
        fs::write(world.path(name), bytes).unwrap();
    }
    let (whole, inner) = (world.location("a.tar.gz"), world.location("a.tar"));
    world.records.push(json!({"type": "archive", "key": "archive:0", "image": "target:0",
        "file_digest": Digest::of(&gzip(&tar)), "size": whole["size"], "compression": "gzip", "location": whole,
        "tar": inner, "tar_digest": Digest::of(&tar), "trailer": inner}));
    let records = world.run();
    let blobs = of_type(&records, "blob");
    assert_eq!(blobs.len(), 1);
    assert_eq!(remade(blobs[0]), gzip(&tar));
}

#[test]
fn damaged_layers() {
    let layer = tar(&[("a", &"content ".repeat(1000))]);
    let packed = gzip(&layer);
    let cut = &packed[..packed.len() - 20];
    let cases: [(&[u8], &[u8], &str); 4] = [
        (cut, &layer, "cut off"),
        (b"\x1f\x8b\x08garbage", &layer, "diff_id"),
        (b"not compressed", &layer, "its bytes have digest"),
        (&packed, b"something else", "diff_id"),
    ];
    for (stored, content, word) in cases {
        let mut world = World::new();
        world.layer("target", "1", stored, content);
        world.fails(4, word);
    }
}

#[test]
fn a_layer_that_only_looks_damaged_is_carried() {
    let layer = tar(&[("a", &"content ".repeat(1000))]);
    let mut wrong_crc = gzip(&layer);
    let at = wrong_crc.len() - 8;
    wrong_crc[at] ^= 1;
    let no_trailer = &gzip(&layer)[..at];
    let garbage_after = [&gzip(&layer)[..], b"garbage"].concat();
    for stored in [&wrong_crc[..], no_trailer, &garbage_after] {
        let mut world = World::new();
        world.layer("target", "1", stored, &layer);
        let records = world.run();
        assert_eq!(remade(of_type(&records, "blob")[0]), stored);
    }
}

#[test]
fn other_failures() {
    let mut world = World::new();
    world.layer("target", "1", b"layer", b"layer");
    let packed = gzip(b"layer");
    fs::write(world.path("1"), b"other").unwrap();
    world.fails(4, "changed");
    fs::remove_file(world.path("1")).unwrap();
    world.fails(3, "opening layer 0 of target.tar");
    let mut world = World::new();
    world.layer("target", "1", &packed, b"layer");
    let wrong = json!(Digest::of(b"other"));
    world.records.last_mut().unwrap()["digest"] = wrong;
    world.fails(4, "the stored bytes have digest");
}

#[test]
fn pruning_alone_reads_no_records() {
    let world = World::new();
    let output = Command::new(env!("CARGO_BIN_EXE_dd-extract"))
        .args(["--store-prune", "--format", "table", "--store"])
        .arg(world.path("store"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0 bytes freed\n");
    assert!(Path::new(&world.path("store/CACHEDIR.TAG")).exists());
}
