//! The program dd-pack: its options, its exit codes, and what other tools make of its packages.
#![allow(clippy::unwrap_used, missing_docs)]

mod package;
mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::package::{Options, Reader, verify};
use support::{Content, World};

fn world() -> World {
    let mut world = World::new();
    let key = "target:1";
    let (content, config) = (vec![b'x'; 2048], br#"{"os":"linux"}"#);
    world.image(key, &["app:2"]);
    let places = world.archive(
        "app.tar",
        key,
        &[("c.json", Content::File(config)), ("1.tar", Content::File(&content))],
    );
    world.manifest(key, None, b"", config);
    world.config(key, places[0].as_ref().unwrap(), config);
    world.layer(key, 0, &content, &content, places[1].as_ref());
    world.blob(&content, None);
    world.delta(&content, Some((&[DiffId::of(b"base")], b"end")));
    world
}

fn dd_pack(world: &World, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dd-pack"))
        .args(args)
        .current_dir(world.directory.path())
        .env("DD_STORE", world.directory.path().join("store"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn run(world: &World, args: &[&str]) -> Output {
    dd_pack(world, args, &world.stream())
}

fn fails(output: &Output, code: i32, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

fn read(world: &World, name: &str) -> Vec<u8> {
    std::fs::read(world.directory.path().join(name)).unwrap()
}

fn verified(path: &Path) -> Reader {
    verify(Reader::open_path(path, &Options::default()).unwrap()).unwrap();
    Reader::open_path(path, &Options::default()).unwrap()
}

#[test]
fn writes_a_package_and_a_record() {
    let world = world();
    let output = run(&world, &["-o", "p"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines: Vec<serde_json::Value> = output
        .stdout
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["stream", "image", "package", "end"]);
    let package = read(&world, "p");
    assert_eq!(lines[2]["size"], package.len());
    assert_eq!(lines[2]["file_digest"], Digest::of(&package).to_string());
    let reader = verified(&world.directory.path().join("p"));
    assert_eq!(lines[2]["manifest_digest"], reader.manifest_digest().to_string());
    assert_eq!(lines[2]["requires"][0], DiffId::of(b"base").to_string());
    let again = run(&world, &["-o", "p"]);
    assert_eq!(again.status.code(), Some(0), "the same bytes are success");
    let plain = run(&world, &["-o", "p", "--plain"]);
    fails(&plain, 3, "exists");
    assert_eq!(read(&world, "p"), package);
    assert_eq!(run(&world, &["-o", "p", "--plain", "-f"]).status.code(), Some(0));
    assert!(read(&world, "p").len() > package.len());
    verified(&world.directory.path().join("p"));
}

#[test]
fn stdout_gets_the_package_alone() {
    let world = world();
    run(&world, &["-o", "p"]);
    let output = run(&world, &["-o", "-", "--records", "records"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout == read(&world, "p"));
    let records = String::from_utf8(read(&world, "records")).unwrap();
    assert!(records.contains(r#""type":"package","file":"-""#), "{records}");
    assert!(run(&world, &["-o", "-"]).stdout == read(&world, "p"));
}

#[test]
fn tables_and_dry_runs() {
    let world = world();
    let output = run(&world, &["-n", "--format", "table"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(" delta ") && text.contains("would have"), "{text}");
    let output = run(&world, &["-n", "-o", "p"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(r#""type":"package","size""#), "there is no file: {text}");
    assert!(!world.directory.path().join("p").exists());
}

#[test]
fn sums_and_changes_beside() {
    let mut world = world();
    let layer = DiffId::of(&[b'x'; 2048]);
    let change: dd_inspect::record::Change = serde_json::from_value(serde_json::json!({
        "layer": layer, "path": "etc/app", "change": "modified", "size": 5, "cost": 2,
    }))
    .unwrap();
    world.push(change);
    let output =
        run(&world, &["-o", "p", "--sha256sums", "sums", "--changes", "changes", "--with-changes"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let sums = String::from_utf8(read(&world, "sums")).unwrap();
    assert_eq!(sums, format!("{}  p\n", Digest::of(&read(&world, "p")).hex()));
    let changes = String::from_utf8(read(&world, "changes")).unwrap();
    assert!(changes.lines().count() == 1 && changes.contains("etc/app"), "{changes}");
    let tar = zstd::decode_all(&read(&world, "p")[..]).unwrap();
    assert!(String::from_utf8_lossy(&tar).contains("etc/app"));
    run(&world, &["-o", "q"]);
    let tar = zstd::decode_all(&read(&world, "q")[..]).unwrap();
    assert!(!String::from_utf8_lossy(&tar).contains("etc/app"), "no path without --with-changes");
}

#[test]
fn failures_write_nothing() {
    let world = world();
    fails(&run(&world, &[]), 3, "--output");
    let stream = world.stream();
    fails(&dd_pack(&world, &["-o", "p"], &stream[..stream.len() - 40]), 4, "cut off");
    fails(&dd_pack(&world, &["-o", "p"], b""), 4, "empty");
    let error = br#"{"type":"error","stage":"dd-diff","exit":2,"category":"missing-program","message":"m"}"#;
    let begin = stream.iter().position(|b| *b == b'\n').unwrap() + 1;
    let upstream = [&stream[..begin], error, b"\n"].concat();
    for target in ["p", "-"] {
        let output = dd_pack(&world, &["-o", target], &upstream);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(2), 0), "{output:?}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains(r#""exit":2"#), "the next stage is told: {stdout}");
    }
    assert!(!world.directory.path().join("p").exists());
    let mut changed = support::World::new();
    changed.records = world.records.clone();
    std::fs::write(world.directory.path().join("app.tar"), b"changed").unwrap();
    fails(&run(&world, &["-o", "p"]), 4, "changed since");
    assert!(!world.directory.path().join("p").exists());
}

/// Whether a program is there; a continuous integration without it fails.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "{program} is needed when CI is set");
    if !found {
        eprintln!("skipped: no {program}");
    }
    found
}

fn skopeo(world: &World, args: &[&str]) -> Vec<u8> {
    let mut command = Command::new("skopeo");
    command.args(args).current_dir(world.directory.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A registry on a free port of this machine, ended when dropped.
struct Registry {
    child: std::process::Child,
    port: u16,
}

impl Registry {
    fn start(world: &World) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let root = world.directory.path().join("registry");
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http: {{ addr: \"127.0.0.1:{port}\" }}\n",
            root.display()
        );
        let path = world.directory.path().join("registry.yml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { child: command.spawn().unwrap(), port };
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return registry;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the registry does not answer");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn skopeo_and_a_registry_keep_the_digest() {
    if !has("skopeo") || !has("docker-registry") {
        return;
    }
    let world = world();
    run(&world, &["-o", "framed"]);
    run(&world, &["-o", "plain", "--plain"]);
    let registry = Registry::start(&world);
    for name in ["framed", "plain"] {
        let digest = verified(&world.directory.path().join(name)).manifest_digest();
        let archive = format!("oci-archive:{name}");
        let raw = skopeo(&world, &["inspect", "--raw", &archive]);
        assert_eq!(Digest::of(&raw), digest, "{name}");
        let remote = format!("docker://127.0.0.1:{}/packages/{name}:1", registry.port);
        let pulled = format!("oci-archive:{name}-pulled");
        let tls = "--dest-tls-verify=false";
        skopeo(&world, &["--insecure-policy", "copy", tls, &archive, &remote]);
        let tls = "--src-tls-verify=false";
        skopeo(&world, &["--insecure-policy", "copy", tls, &remote, &pulled]);
        let path = world.directory.path().join(format!("{name}-pulled"));
        assert_eq!(verified(&path).manifest_digest(), digest, "{name}");
        // From a pipe as well, where its order makes the reader keep blobs.
        let piped = Reader::open(std::fs::File::open(&path).unwrap(), &Options::default()).unwrap();
        assert_eq!(verify(piped).unwrap().blobs, 3);
    }
}
