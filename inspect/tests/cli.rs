//! The program dd-inspect: exit codes, what stdout and stderr get.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dd-inspect"));
    command
        .current_dir(dir)
        .env("DD_STORE", dir.join("store"))
        .env_remove("DOCKER_HOST")
        .args(args);
    command.output().unwrap()
}

fn records(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["type"] != "progress").collect()
}

fn kinds(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["type"].as_str().unwrap()).collect()
}

/// A docker-archive of one layer.
fn image(dir: &Path, name: &str, layer: &str) {
    let diff_id = format!("sha256:{}", hex::encode(Sha256::digest(layer)));
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [diff_id]}})
        .to_string();
    let manifest =
        json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["l/layer.tar"]}]).to_string();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in
        [("c.json", config.as_str()), ("l/layer.tar", layer), ("manifest.json", &manifest)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    std::fs::write(dir.join(name), tar.into_inner().unwrap()).unwrap();
}

#[test]
fn a_pair_becomes_records() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path(), "1.tar", "one");
    image(dir.path(), "2.tar", "one");
    let output = run(dir.path(), &["--base", "1.tar", "--target", "2.tar"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let records = records(&output);
    let one = ["image", "manifest", "config", "layer"];
    let members = ["archive", "member", "member", "member"];
    assert_eq!(kinds(&records), [&["stream"], &one[..], &members, &one, &["end"]].concat());
    assert_eq!(records[4].get("in_base"), None);
    assert_eq!(records[12]["in_base"], true);
    assert_eq!(records[9]["reference"], "2.tar");
    let file = records[12]["location"]["file"].as_str().unwrap();
    assert!(Path::new(file).is_absolute(), "{file}");
}

#[test]
fn records_go_to_a_file() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path(), "1.tar", "one");
    let output = run(dir.path(), &["1.tar", "-o", "records"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let text = std::fs::read_to_string(dir.path().join("records")).unwrap();
    assert!(
        text.starts_with(r#"{"type":"stream""#)
            && text.ends_with("\"end\",\"stage\":\"dd-inspect\"}\n"),
        "{text}"
    );
    let failed = run(dir.path(), &["none.tar", "-o", "records"]);
    assert_eq!(failed.status.code(), Some(3));
    assert_eq!(std::fs::read_to_string(dir.path().join("records")).unwrap(), text);
}

#[test]
fn a_table_is_for_people() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path(), "1.tar", "one");
    let output = run(dir.path(), &["1.tar", "1.tar", "--format", "table"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let wanted = "\
1.tar  [docker-archive]
  names     app:1

  linux/amd64
  config    sha256:e9ef8e51";
    assert!(text.starts_with(wanted.rsplit_once("sha256").unwrap().0), "{text}");
    assert_eq!(text.matches("[docker-archive]").count(), 1, "given twice, shown once: {text}");
}

#[test]
fn failures_are_one_line_and_an_error_record() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("text"), "hello").unwrap();
    std::fs::write(dir.path().join("empty"), "").unwrap();
    for (args, code, category) in [
        (&[][..], 3, "usage"),
        (&["--no-such-option"][..], 3, "usage"),
        (&["--platform", "linux", "text"][..], 3, "usage"),
        (&["none.tar"][..], 3, "not-found"),
        (&["--base", "/none"][..], 3, "not-found"),
        (&["text"][..], 3, "not-an-image"),
        (&["--target", "empty"][..], 3, "not-an-image"),
        (&["."][..], 3, "not-an-image"),
        (&["--verify", "empty"][..], 4, "package-corrupt"),
    ] {
        let output = run(dir.path(), args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(said.starts_with("dd-inspect: ") && said.lines().count() == 1, "{said}");
        let records = records(&output);
        assert_eq!(records.last().unwrap()["category"], category, "{args:?}: {said}");
        assert_eq!(kinds(&records), ["stream", "error"], "{args:?}");
    }
}

#[test]
fn a_name_without_a_daemon_says_both_readings() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dd-inspect"));
    command
        .current_dir(dir.path())
        .env("DD_STORE", dir.path().join("store"))
        .env("PATH", dir.path());
    let output = command.args(["--base", "app:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no file app:1") && said.contains("docker is needed"), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn help_has_examples() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("Examples:") && text.contains("--authfile") && text.contains("References:"),
        "{text}"
    );
}
