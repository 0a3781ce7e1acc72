//! dd-diff as a program: records on stdin, records on stdout.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use dd_inspect::digest::{DiffId, Digest};
use serde_json::{Value, json};

/// An image of layers in files of their own, and the records that dd-extract would write.
struct World {
    root: tempfile::TempDir,
    records: Vec<Value>,
    layers: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self { root: tempfile::tempdir().unwrap(), records: Vec::new(), layers: 0 };
        world.records.push(json!({"type": "stream", "version": 1, "stage": "dd-extract", "tool_version": "0", "stages": ["dd-inspect"]}));
        for role in ["base", "target"] {
            world.records.push(json!({"type": "image", "key": format!("{role}:0"), "role": role,
                "reference": format!("{role}.tar"), "transport": "oci-archive", "names": [], "exact": "file"}));
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A layer of an image with its blob and entries.
    fn layer(&mut self, role: &str, bytes: &[u8]) -> DiffId {
        let diff_id = DiffId::of(bytes);
        let path = self.path(&diff_id.hex());
        if !path.exists() {
            fs::write(&path, bytes).unwrap();
        }
        let meta = fs::metadata(&path).unwrap();
        let mtime = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        let len = bytes.len();
        let location = json!({"file": path, "offset": 0, "size": len, "file_size": len, "mtime_ns": mtime.to_string()});
        self.layers += 1;
        self.records.push(json!({"type": "layer", "image": format!("{role}:0"), "manifest": 0,
            "position": self.layers, "digest": diff_id, "diff_id": diff_id, "location": location}));
        self.records.push(json!({"type": "blob", "diff_id": diff_id, "digest": diff_id,
            "stored_size": len, "size": len, "location": location, "tar": true}));
        dd_extract::layer::walk(bytes, |entry| {
            let path = String::from_utf8(entry.path).unwrap();
            self.records.push(json!({"type": "entry", "layer": diff_id, "path": path, "kind": entry.kind,
                "mode": entry.mode, "uid": entry.uid, "gid": entry.gid, "mtime": entry.mtime, "size": entry.size,
                "digest": entry.digest, "header_offset": entry.header_offset, "content_offset": entry.content_offset}));
            Ok(())
        })
        .unwrap();
        diff_id
    }

    fn input(&self) -> String {
        let mut input: String = self.records.iter().map(|record| format!("{record}\n")).collect();
        input += "{\"type\":\"end\",\"stage\":\"dd-extract\"}\n";
        input
    }

    fn run_on(&self, input: &str, arguments: &[&str]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_dd-diff"))
            .args(arguments)
            .env("DD_STORE", self.path("store"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The program may end before it has read everything.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run_on(&self.input(), arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        lines(&output)
    }

    fn fails(&self, input: &str, arguments: &[&str], exit: i32) -> (Value, String) {
        let output = self.run_on(input, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{stderr}");
        let error = lines(&output).pop().unwrap();
        assert_eq!((&error["type"], &error["exit"]), (&json!("error"), &json!(exit)));
        (error, stderr)
    }
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Text that does not compress to nothing.
fn text(seed: u32, words: u32) -> String {
    (0..words).map(|word| format!("{:x} ", (word ^ seed).wrapping_mul(2_654_435_761))).collect()
}

/// A base with two layers and a target that has one of them and a changed one.
fn pair() -> (World, [DiffId; 3]) {
    let mut world = World::new();
    let changed = text(1, 3000).replacen("a ", "changed ", 3);
    let shared = world.layer("base", &tar(&[("lib", &text(9, 500))]));
    let old = world.layer("base", &tar(&[("app", &text(1, 3000)), ("gone", "x"), ("same", "y")]));
    world.layer("target", &tar(&[("lib", &text(9, 500))]));
    let new = world.layer("target", &tar(&[("app", &changed), ("new", "z"), ("same", "y")]));
    (world, [shared, old, new])
}

#[test]
fn a_changed_layer_becomes_a_small_proven_delta() {
    let (world, [shared, old, new]) = pair();
    let records = world.run(&[]);
    let deltas = of_type(&records, "delta");
    assert_eq!(deltas.len(), 2);
    assert_eq!((&deltas[0]["layer"], &deltas[0]["means"]), (&json!(shared), &json!("base")));
    assert_eq!(deltas[0]["sources"], json!([shared]));
    let delta = deltas[1];
    assert_eq!((&delta["layer"], &delta["means"]), (&json!(new), &json!("delta")));
    assert_eq!((&delta["sources"], &delta["proven"]), (&json!([old]), &json!(true)));
    let payload = fs::read(delta["location"]["file"].as_str().unwrap()).unwrap();
    assert_eq!(delta["digest"], json!(Digest::of(&payload)));
    assert_eq!(delta["size"], json!(payload.len()));
    assert!(payload.len() < 600, "{}", payload.len());
}

#[test]
fn changes_are_told() {
    let (world, _) = pair();
    let records = world.run(&[]);
    let told: Vec<(&str, &str)> = of_type(&records, "change")
        .iter()
        .map(|change| (change["path"].as_str().unwrap(), change["change"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("app", "modified"), ("new", "added"), ("gone", "removed")]);
}

#[test]
fn entries_end_here_and_everything_else_passes_as_the_same_bytes() {
    let (mut world, _) = pair();
    world.records.push(json!({"type": "note", "x": 1.0, "z": [null]}));
    let input = world.input();
    let output = world.run_on(&input, &[]);
    let out = String::from_utf8(output.stdout).unwrap();
    for line in input.lines() {
        let own = ["\"stream\"", "\"end\"", "\"entry\""].iter().any(|kind| line.contains(kind));
        assert_eq!(out.lines().any(|other| other == line), !own, "{line}");
    }
    assert!(out.ends_with("{\"type\":\"end\",\"stage\":\"dd-diff\"}\n"));
}

#[test]
fn threads_and_levels() {
    let (world, _) = pair();
    let digest =
        |arguments: &[&str]| world.run(arguments).iter().rev().nth(1).unwrap()["digest"].clone();
    let usual = digest(&["--jobs", "1"]);
    assert_eq!(digest(&["--jobs", "3"]), usual);
    for arguments in [
        &["--fast"][..],
        &["--best"],
        &["-l", "3"],
        &["--memory", "1M"],
        &["--method", "copy"],
        &["--pair", "any"],
    ] {
        assert!(digest(arguments).is_string(), "{arguments:?}");
    }
}

#[test]
fn a_layer_that_travels_whole_says_why() {
    let (mut world, _) = pair();
    let whole = |records: &[Value]| {
        let delta = records.iter().rev().nth(1).unwrap().clone();
        (delta["means"] == "whole" && delta["sources"] == json!([])).then(|| delta["why"].clone())
    };
    assert_eq!(whole(&world.run(&["--method", "whole"])), Some(json!("--method whole")));
    assert_eq!(whole(&world.run(&[])), None);
    world.layer("target", &tar(&[("other", &text(77, 900).to_uppercase())]));
    assert!(whole(&world.run(&[])).is_some());
    world.records.retain(|record| record["image"] != "base:0");
    assert_eq!(whole(&world.run(&[])), Some(json!("there is no base to make it from")));
}

#[test]
fn only_some_layers() {
    let (mut world, [shared, _, new]) = pair();
    let other = world.layer("target", &tar(&[("app", &text(1, 2000))]));
    let made = |arguments: &[&str]| {
        let records = world.run(arguments);
        let deltas = of_type(&records, "delta");
        deltas.iter().map(|delta| delta["layer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(made(&["--only", &other.to_string()]), [shared.to_string(), other.to_string()]);
    assert_eq!(made(&["--only", &new.to_string()]), [shared.to_string(), new.to_string()]);
    let absent = DiffId::of(b"absent").to_string();
    let (error, _) = world.fails(&world.input(), &["--only", &absent], 3);
    assert!(error["message"].as_str().unwrap().contains(&absent));
}

#[test]
fn a_filter_may_take_entries_away() {
    let (mut world, _) = pair();
    world.records.retain(|record| record["type"] != "entry" || record["path"] == "same");
    let records = world.run(&[]);
    let delta = of_type(&records, "delta")[1];
    assert_eq!(delta["means"], "delta");
    assert!(delta["size"].as_u64().unwrap() < 1500, "{}", delta["size"]);
}

#[test]
fn what_is_wrong_is_told() {
    let (mut world, _) = pair();
    let input = world.input();
    let (error, stderr) =
        world.fails(&input.replace("\"type\":\"blob\"", "\"type\":\"bulb\""), &[], 3);
    assert_eq!(error["category"], "usage");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let (error, _) = world.fails(&input.replace("\"type\":\"end\"", "\"type\":\"and\""), &[], 4);
    assert_eq!(error["category"], "upstream");
    let (_, stderr) = world.fails(
        &format!("{}\n{{\"type\":\"error\",\"stage\":\"dd-extract\",\"exit\":4,\"category\":\"io\",\"message\":\"m\"}}\n",
            input.lines().next().unwrap()), &[], 4);
    assert_eq!(stderr, "");
    let target = world.records.iter().rev().find(|record| record["type"] == "blob").unwrap();
    let file = target["location"]["file"].as_str().unwrap().to_owned();
    fs::OpenOptions::new().append(true).open(file).unwrap().write_all(b"more").unwrap();
    let (error, _) = world.fails(&input, &[], 4);
    assert_eq!(error["category"], "base-changed");
    world.records.clear();
}

#[test]
fn entries_that_are_not_those_of_the_layer_do_not_pass_the_proof() {
    let (world, _) = pair();
    let wrong: String = world
        .input()
        .lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            if record["path"] == "app" {
                record["digest"] = json!(Digest::of(b"the same for both"));
                record["size"] = json!(5000);
            }
            format!("{record}\n")
        })
        .collect();
    let (error, _) = world.fails(&wrong, &[], 4);
    assert_eq!(error["category"], "digest-mismatch");
}

#[test]
fn people_get_one_line() {
    let (world, _) = pair();
    let output = world.run_on(&world.input(), &["--format", "table"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("1 layer is in the base, 1 layer of "), "{text}");
}
