//! A directory to work in, and the programs run there in plain `sh` as a user would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// The directory of the built programs: where cargo put this test's own executable, one up.
pub fn bin_dir() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let deps = test.parent().expect("target/PROFILE/deps");
    deps.parent().expect("target/PROFILE").to_owned()
}

/// The root of the project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether these programs are installed. A missing one fails the test in CI and skips it elsewhere.
pub fn have(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|name| !installed(name)).collect();
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(missing.is_empty() || !ci, "{missing:?} not installed: run scripts/check");
    if !missing.is_empty() {
        eprintln!("skipped: {missing:?} not installed");
    }
    missing.is_empty()
}

fn installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}

/// Whether the tests run as root, which some of them need.
pub fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The SHA-256 of bytes as a digest is written.
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A working directory with a store beside it. Both go when it is dropped.
#[derive(Debug)]
pub struct World {
    root: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let world = Self { root: tempfile::tempdir().expect("a temporary directory") };
        fs::create_dir(world.dir()).expect("the working directory");
        world
    }

    /// The working directory.
    pub fn dir(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub fn store(&self) -> PathBuf {
        self.root.path().join("store")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, bytes).expect("a written file");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn digest(&self, name: &str) -> String {
        sha256(&self.read(name))
    }

    /// Runs a script in plain `sh`, without `pipefail`, the programs first in `PATH`.
    pub fn sh(&self, script: &str) -> Run {
        self.sh_with(script, &[])
    }

    /// The same with environment variables.
    pub fn sh_with(&self, script: &str, variables: &[(&str, &str)]) -> Run {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs =
            [bin_dir(), project().join("scripts")].into_iter().chain(std::env::split_paths(&path));
        let output = Command::new("sh")
            .args(["-c", script])
            .current_dir(self.dir())
            .env("PATH", std::env::join_paths(dirs).expect("PATH"))
            .env("DD_STORE", self.store())
            .env("LC_ALL", "C.UTF-8")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("sh runs");
        Run {
            script: script.to_owned(),
            status: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Makes a package of two images through the whole pipeline and returns its records.
    pub fn package(&self, base: &str, target: &str, package: &str) -> Run {
        self.sh(&format!(
            "dd-inspect --base {base} --target {target} | dd-extract | dd-diff | dd-pack -o {package}"
        ))
        .ok()
    }

    /// Applies a package.
    pub fn apply(&self, package: &str, base: &str, output: &str) -> Run {
        self.sh(&format!("dd-apply {package} --base {base} --output {output}")).ok()
    }

    /// Every file below the working directory with its digest: what a failing run must leave alone.
    pub fn files(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![self.dir()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).expect("a directory") {
                let path = entry.expect("an entry").path();
                let kind = fs::symlink_metadata(&path).expect("metadata");
                if kind.is_dir() {
                    dirs.push(path);
                } else if kind.is_file() {
                    let digest = sha256(&fs::read(&path).expect("a file"));
                    files.insert(path, digest);
                } else {
                    files.insert(path, "special".to_owned());
                }
            }
        }
        files
    }

    /// Runs a script that must fail with this exit code, one line on stderr, and no trace in the working directory.
    pub fn fails(&self, exit: i32, says: &str, script: &str) -> Run {
        let before = self.files();
        let run = self.sh(script).failed(exit, says);
        assert_eq!(before, self.files(), "{script}: left files or changed them");
        run
    }
}

/// What a script did.
#[derive(Debug)]
pub struct Run {
    pub script: String,
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Run {
    /// It succeeded and said nothing on stderr.
    #[track_caller]
    pub fn ok(self) -> Self {
        let Self { script, status, stderr, .. } = &self;
        assert_eq!(*status, Some(0), "{script}: {stderr}");
        self
    }

    /// It failed with this exit code and exactly one line, of one of the programs, that contains a text.
    #[track_caller]
    pub fn failed(self, exit: i32, says: &str) -> Self {
        let Self { script, status, stderr, .. } = &self;
        assert_eq!(*status, Some(exit), "{script}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{script}: {stderr}");
        assert!(
            stderr.starts_with("dd-") || stderr.starts_with("docker_delta"),
            "{script}: {stderr}"
        );
        assert!(stderr.contains(says), "{script}: no {says:?} in {stderr}");
        assert!(!stderr.contains("panicked"), "{script}: {stderr}");
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its stdout as records.
    #[track_caller]
    pub fn records(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}: {line}", self.script))
        };
        self.text().lines().map(parse).collect()
    }

    /// The one record of a type.
    #[track_caller]
    pub fn record(&self, kind: &str) -> serde_json::Value {
        let mut found = self.records();
        found.retain(|record| record["type"] == kind);
        assert_eq!(found.len(), 1, "{}: {kind} records: {found:#?}", self.script);
        found.remove(0)
    }
}
