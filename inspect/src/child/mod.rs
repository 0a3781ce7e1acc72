//! Helper programs: docker and skopeo, run as children.
//!
//! A helper runs in its own process group, with TMPDIR inside the store, and is ended with the stage: when its
//! [`Running`] is dropped, or by a signal. Its stderr is drained and its last line quoted when it fails. Arguments are
//! never quoted, since credentials are among them.

mod failed;
mod pipe;
mod skopeo;

pub use pipe::{Running, Sink};
pub use skopeo::{RegistryOptions, Secret, Side, Skopeo};

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::store::{Store, TemporaryDirectory};
use crate::{fail, failure};

/// Bytes of a helper's answer that are read at most where it is held in memory: registries limit manifests to 4 MiB, and
/// configurations are of that order.
pub const MAX_ANSWER: u64 = 16 << 20;

/// A helper program about to be run.
#[derive(Debug)]
pub struct Helper {
    program: &'static str,
    purpose: String,
    command: Command,
    secrets: Vec<String>,
    directory: TemporaryDirectory,
}

impl Helper {
    /// A program found in PATH, and what it is needed for: `to read images of the Docker daemon`.
    ///
    /// # Errors
    /// Its temporary directory cannot be made.
    pub fn new(program: &'static str, purpose: &str, store: &Store) -> anyhow::Result<Self> {
        let directory = store.temporary_directory()?;
        let mut command = Command::new(program);
        command.env("TMPDIR", directory.path()).process_group(0);
        let purpose = purpose.to_owned();
        Ok(Self { program, purpose, command, secrets: Vec::new(), directory })
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Adds an argument whose value never appears in an error.
    #[must_use]
    pub fn secret_arg(mut self, flag: &str, secret: &Secret) -> Self {
        let mut arg = OsString::from(flag);
        arg.push("=");
        arg.push(secret.expose());
        self.secrets.extend(secret.parts().map(str::to_owned));
        self.command.arg(arg);
        self
    }

    /// The directory that is its TMPDIR, removed when it has ended.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts it with a pipe for its stdout, and none for its stdin.
    ///
    /// # Errors
    /// `missing-program` if it is not installed, `helper-failed` if it cannot be started.
    pub fn start(mut self) -> anyhow::Result<Running> {
        self.command.stdin(Stdio::null());
        self.spawn()
    }

    /// Starts it with pipes for its stdin and its stdout.
    ///
    /// # Errors
    /// As [`Helper::start`].
    pub fn start_sink(mut self) -> anyhow::Result<Sink> {
        self.command.stdin(Stdio::piped());
        Ok(Sink::new(self.spawn()?))
    }

    /// Runs it and returns what it writes to stdout, at most [`MAX_ANSWER`] bytes.
    ///
    /// # Errors
    /// As [`Helper::start`]; `helper-failed` if it does not end with status 0; `limit` if it writes more.
    pub fn output(self) -> anyhow::Result<Vec<u8>> {
        let program = self.program;
        self.start()?.consume(|stdout| {
            let mut answer = Vec::new();
            stdout.take(MAX_ANSWER + 1).read_to_end(&mut answer)?;
            if answer.len() as u64 > MAX_ANSWER {
                fail!(Limit, "{program} answers with more than {} MiB", MAX_ANSWER >> 20);
            }
            Ok(answer)
        })
    }

    fn spawn(mut self) -> anyhow::Result<Running> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        match self.command.spawn() {
            Ok(child) => Ok(Running::new(child, self.program, self.secrets, self.directory)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(missing(self.program, &self.purpose))
            }
            Err(e) => fail!(HelperFailed, "{} cannot be started: {e}", self.program),
        }
    }
}

fn missing(program: &str, purpose: &str) -> anyhow::Error {
    let get = match program {
        "docker" => {
            "install it (docs.docker.com/engine/install, or the package docker.io or docker-cli)"
        }
        _ => "install it from your distribution (the package has the same name)",
    };
    failure!(MissingProgram, "the program {program} is needed {purpose}, and is not installed"; "{get}, or save the image as a file").into()
}

/// Whether PATH has an executable file of this name.
pub fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| found_in(program, &path))
}

fn found_in(program: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|directory| {
        std::fs::metadata(directory.join(program))
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure::{Category, classify};
    use std::io::Write;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&dir.path().join("s"))).unwrap();
        (dir, store)
    }

    fn sh(store: &Store, script: &str) -> Helper {
        Helper::new("sh", "to test", store).unwrap().args(["-c", script])
    }

    fn temporary_files(store: &Store) -> usize {
        std::fs::read_dir(store.path().join("tmp")).unwrap().count()
    }

    #[test]
    fn answers_and_cleans_up() {
        let (_dir, store) = store();
        let answer =
            sh(&store, "echo x >$TMPDIR/left; echo talk >&2; echo $TMPDIR").output().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(store.path().to_str().unwrap()), "{answer}");
        assert_eq!(temporary_files(&store), 0);
    }

    #[test]
    fn a_failure_quotes_the_last_line() {
        let (_dir, store) = store();
        let error =
            sh(&store, "echo part; echo one >&2; echo two >&2; exit 7").output().unwrap_err();
        let failure = classify(&error);
        assert_eq!(failure.category, Category::HelperFailed);
        assert_eq!(failure.message, "sh failed: two");
        let error = sh(&store, "exit 7").output().unwrap_err();
        assert_eq!(classify(&error).message, "sh failed with exit status 7 and no message");
        let error = sh(&store, "kill -9 $$").output().unwrap_err();
        assert_eq!(classify(&error).message, "sh was ended by signal 9");
    }

    #[test]
    fn a_missing_program_is_named() {
        let (_dir, store) = store();
        let helper = Helper::new("no-such-program", "to test", &store).unwrap();
        let failure = classify(&helper.output().unwrap_err());
        assert_eq!(failure.category, Category::MissingProgram);
        assert_eq!(failure.category.exit(), 2);
        assert!(failure.message.contains("no-such-program is needed to test"), "{failure}");
        assert!(failure.hint.unwrap().contains("install"));
    }

    #[test]
    fn secrets_do_not_appear() {
        let (_dir, store) = store();
        let secret: Secret = "user:hunter2".parse().unwrap();
        let helper = sh(&store, "echo \"refused: $0; hunter2\" >&2; exit 1");
        let helper = helper.secret_arg("--creds", &secret);
        assert!(!format!("{secret:?}").contains("hunter2"));
        let message = classify(&helper.output().unwrap_err()).message;
        assert!(message.contains("refused") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn a_flood_of_output_and_of_talk_does_not_block() {
        let (_dir, store) = store();
        let script = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; echo done >&2";
        assert_eq!(sh(&store, script).output().unwrap().len(), 3_000_000);
        let too_much = sh(&store, "head -c 20000000 /dev/zero").output().unwrap_err();
        assert_eq!(classify(&too_much).category, Category::Limit);
    }

    #[test]
    fn a_sink_takes_bytes_and_reports_an_early_end() {
        let (_dir, store) = store();
        let mut sink = sh(&store, "wc -c").start_sink().unwrap();
        sink.write_all(&vec![1; 1 << 20]).unwrap();
        assert_eq!(sink.finish().unwrap().trim(), "1048576");
        let mut sink =
            sh(&store, "head -c 10 >/dev/null; echo no room >&2; exit 1").start_sink().unwrap();
        let broken = (0..100).find_map(|_| sink.write_all(&[1; 1 << 16]).err()).unwrap();
        let failure = classify(&sink.give_up(broken.into()));
        assert_eq!(failure.message, "sh failed: no room");
        assert_eq!(failure.category, Category::HelperFailed);
    }

    #[test]
    fn dropping_ends_the_whole_group() {
        let (dir, store) = store();
        let file = dir.path().join("late");
        let script = format!("(sleep 5; echo x >{}) & echo ready; wait", file.display());
        let mut running = sh(&store, &script).start().unwrap();
        let mut line = [0; 6];
        running.stdout().read_exact(&mut line).unwrap();
        let group = running.group().unwrap();
        drop(running);
        assert_eq!(temporary_files(&store), 0);
        // An orphan of the group is reaped by init in its own time.
        let gone = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            rustix::process::test_kill_process_group(group).is_err()
        });
        assert!(gone && !file.exists());
    }

    #[test]
    fn the_consumers_own_failure_comes_first() {
        let (_dir, store) = store();
        let result = sh(&store, "while :; do echo y; done").start().unwrap().consume(|stdout| {
            stdout.read_exact(&mut [0; 10])?;
            fail!(NoSpace, "the disk is full")
        });
        let error: anyhow::Result<()> = result;
        assert_eq!(classify(&error.unwrap_err()).category, Category::NoSpace);
    }

    #[test]
    fn finds_programs_in_a_path() {
        assert!(found_in("sh", OsStr::new("/nowhere:/bin:/usr/bin")));
        assert!(!found_in("sh", OsStr::new("/nowhere")));
        assert!(!found_in("no-such-program", OsStr::new("/bin")));
    }
}
