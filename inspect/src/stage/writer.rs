//! Where a stage's records go: stdout, or a file that appears when it is complete.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use rustix::fs::{FileType, fstat};

use crate::output::{Existing, OutputFile};
use crate::record::Record;

/// Nobody reads stdout any more: `head` was satisfied. Not a failure.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("stdout is closed")]
pub struct BrokenStdout;

#[derive(Debug)]
enum Sink {
    Stdout(BufWriter<File>),
    File(OutputFile),
    Committed,
}

#[derive(Debug)]
pub(super) struct RecordWriter {
    sink: Sink,
}

impl RecordWriter {
    pub(super) fn stdout() -> Self {
        let duplicate = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        match duplicate.or_else(|_| File::options().write(true).open("/dev/null")) {
            Ok(file) => Self { sink: Sink::Stdout(BufWriter::with_capacity(64 << 10, file)) },
            Err(_) => Self { sink: Sink::Committed },
        }
    }

    pub(super) fn nowhere() -> Self {
        Self { sink: Sink::Committed }
    }

    pub(super) fn file(path: &Path, force: bool) -> anyhow::Result<Self> {
        let file = OutputFile::create(path, Existing::Records.or_force(force))?;
        Ok(Self { sink: Sink::File(file) })
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(&self.sink, Sink::Stdout(_)) && io::stdout().is_terminal()
    }

    /// Whether records can be given up: they go to a file that has no name yet.
    pub(super) fn is_file(&self) -> bool {
        matches!(&self.sink, Sink::File(file) if file.can_seek())
    }

    /// Whether another stage reads the records.
    pub(super) fn is_pipe(&self) -> bool {
        let stat = match &self.sink {
            Sink::Stdout(_) => fstat(io::stdout()),
            Sink::File(file) => fstat(file.as_file()),
            Sink::Committed => return false,
        };
        stat.is_ok_and(|stat| {
            matches!(FileType::from_raw_mode(stat.st_mode), FileType::Fifo | FileType::Socket)
        })
    }

    pub(super) fn record(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record).context("writing a record")?;
        line.push(b'\n');
        self.bytes(&line)
    }

    pub(super) fn raw(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.bytes(line)?;
        self.bytes(b"\n")
    }

    pub(super) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.bytes(text.as_bytes())
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.with(|sink| sink.flush())
    }

    /// Flushes; a file appears under its name.
    pub(super) fn commit(&mut self) -> anyhow::Result<()> {
        self.flush()?;
        if let Sink::File(file) = std::mem::replace(&mut self.sink, Sink::Committed) {
            file.commit()?;
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.with(|sink| sink.write_all(bytes))
    }

    fn with(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
        let result = match &mut self.sink {
            Sink::Stdout(stdout) => write(stdout),
            Sink::File(file) => write(file),
            Sink::Committed => Ok(()),
        };
        match result {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                self.discard();
                Err(BrokenStdout.into())
            }
            other => other.context("writing records"),
        }
    }

    /// Forgets what is buffered, so that dropping the writer does not write it.
    fn discard(&mut self) {
        if let Sink::Stdout(stdout) = std::mem::replace(&mut self.sink, Sink::Committed) {
            let _ = stdout.into_parts();
        }
    }
}
