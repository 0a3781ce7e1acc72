//! A running helper and the pipes to it.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::failed;
use crate::stage::signals::Guard;
use crate::store::TemporaryDirectory;

/// How long a helper has to end by itself after SIGTERM, and its stderr to be closed after it ended.
const GRACE: Duration = Duration::from_secs(3);
/// Bytes kept of what a sink answers.
const MAX_REPORT: u64 = 1 << 20;

/// A helper that runs; dropped before it ended, it and its children are ended.
#[derive(Debug)]
pub struct Running {
    program: &'static str,
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Receiver<Vec<u8>>,
    secrets: Vec<String>,
    ended: bool,
    _guard: Option<Guard>,
    _directory: TemporaryDirectory,
}

impl Running {
    pub(super) fn new(
        mut child: Child,
        program: &'static str,
        secrets: Vec<String>,
        directory: TemporaryDirectory,
    ) -> Self {
        let guard = pid(&child).map(Guard::process_group);
        let (sender, stderr) = channel();
        if let Some(pipe) = child.stderr.take() {
            thread::spawn(move || sender.send(failed::tail(pipe)));
        }
        let stdout = child.stdout.take();
        Self {
            program,
            child,
            stdout,
            stderr,
            secrets,
            ended: false,
            _guard: guard,
            _directory: directory,
        }
    }

    /// What it writes; at its end once it was taken by [`Running::consume`].
    pub fn stdout(&mut self) -> impl Read + '_ {
        Stdout { pipe: self.stdout.as_mut(), at_end: false }
    }

    /// Its process group.
    pub fn group(&self) -> Option<Pid> {
        pid(&self.child)
    }

    /// Hands its stdout to `consume`, then waits for its end.
    ///
    /// # Errors
    /// What `consume` fails with, unless the helper failed and that is why; else the helper's failure.
    pub fn consume<T>(
        mut self,
        consume: impl FnOnce(&mut dyn Read) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut pipe = self.stdout.take();
        let mut stdout = Stdout { pipe: pipe.as_mut(), at_end: false };
        let result = consume(&mut stdout);
        let at_end = stdout.at_end;
        if result.is_err() && !at_end {
            return result;
        }
        drop(pipe);
        self.wait()?;
        result
    }

    /// Waits for its end. Its stdout must have been read or must be little.
    ///
    /// # Errors
    /// `helper-failed`, with the last line of its stderr, if it did not end with status 0.
    pub fn wait(mut self) -> anyhow::Result<()> {
        drop(self.stdout.take());
        let status = self.child.wait()?;
        self.ended = true;
        self.judge(status)
    }

    fn judge(&self, status: ExitStatus) -> anyhow::Result<()> {
        if status.success() {
            return Ok(());
        }
        // A background process may hold stderr open for ever.
        let stderr = self.stderr.recv_timeout(GRACE).unwrap_or_default();
        Err(failed::failure(self.program, status, &stderr, &self.secrets).into())
    }

    /// Its status, if it ends within the grace time.
    fn ended_soon(&mut self) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    self.ended = true;
                    return Some(status);
                }
                Ok(None) if start.elapsed() < GRACE => thread::sleep(Duration::from_millis(5)),
                _ => return None,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(group) = self.group().filter(|_| !self.ended) else { return };
        drop(self.stdout.take());
        let _ = kill_process_group(group, Signal::TERM);
        if self.ended_soon().is_none() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// A helper's stdout that remembers whether its end was seen.
struct Stdout<'a> {
    pipe: Option<&'a mut ChildStdout>,
    at_end: bool,
}

impl Read for Stdout<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.pipe.as_mut().map_or(Ok(0), |pipe| pipe.read(buffer))?;
        self.at_end |= n == 0 && !buffer.is_empty();
        Ok(n)
    }
}

/// A helper that reads what is written to it. Dropped without [`Sink::finish`], it is ended.
#[derive(Debug)]
pub struct Sink {
    // Declared first so that it is dropped after `Running` was told to end: see `Drop`.
    stdin: Option<ChildStdin>,
    report: Receiver<String>,
    running: Option<Running>,
}

impl Sink {
    pub(super) fn new(mut running: Running) -> Self {
        let stdin = running.child.stdin.take();
        let (sender, report) = channel();
        if let Some(stdout) = running.stdout.take() {
            thread::spawn(move || {
                let mut stdout = stdout;
                let mut text = Vec::new();
                let _ = stdout.by_ref().take(MAX_REPORT).read_to_end(&mut text);
                let _ = io::copy(&mut stdout, &mut io::sink());
                sender.send(String::from_utf8_lossy(&text).into_owned())
            });
        }
        Self { stdin, report, running: Some(running) }
    }

    /// Closes the pipe, waits for the helper's end, and returns what it wrote to stdout (at most 1 MiB).
    ///
    /// # Errors
    /// `helper-failed` if it did not end with status 0.
    pub fn finish(mut self) -> anyhow::Result<String> {
        drop(self.stdin.take());
        if let Some(running) = self.running.take() {
            running.wait()?;
        }
        Ok(self.report.recv_timeout(GRACE).unwrap_or_default())
    }

    /// Ends the helper after a failed write or another failure while writing. Returns the error to report: the
    /// helper's, if that it ended was the reason.
    pub fn give_up(mut self, error: anyhow::Error) -> anyhow::Error {
        let broken = error.chain().any(|cause| {
            cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
        });
        let Some(mut running) = self.running.take() else { return error };
        if broken && let Some(status) = running.ended_soon() {
            return running.judge(status).err().unwrap_or(error);
        }
        // Its input must not seem to end before it was told to.
        drop(running);
        error
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // The helper must not take the end of the pipe for the end of its input.
        drop(self.running.take());
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stdin {
            Some(stdin) => stdin.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.as_mut().map_or(Ok(()), Write::flush)
    }
}
