//! How a stage runs: its standard options, records in and out, exit code, error record, signals.
//!
//! A stage's `main` hands its clap structure and its body to [`run`]. The body reads records through
//! [`Stage::input`], writes them through [`Stage::emit`] and [`Stage::pass`], and returns. What then
//! happens is the same for all stages (DESIGN of the stream: docs/records.md):
//!
//! - on success the stream gets its `end`;
//! - on failure one line goes to stderr, the stream gets an `error` record and no `end`, and the exit
//!   code follows from the failure's category;
//! - a failure that a stage upstream reported is passed on silently, with its exit code;
//! - a broken stdout ends the stage quietly with 0.

mod args;
mod progress;
pub mod signals;
mod writer;

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

pub use args::{CommonArgs, Format, ProgressMode, RecordsArgs, level_from, parse_size};
pub use progress::Meter;
pub use writer::BrokenStdout;

use crate::failure;
use crate::failure::{Failure, classify};
use crate::files::{Files, is_stdout};
use crate::ndjson::{Input, Line, UpstreamFailed};
use crate::record::{End, ErrorRecord, Record, Stream, VERSION};
use crate::store::Store;
use progress::Reporter;
use writer::RecordWriter;

/// The version of the programs.
pub const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Command-line arguments of a stage.
pub trait StageArgs: CommandFactory + FromArgMatches {
    /// The options that all stages have.
    fn common(&self) -> &CommonArgs;

    /// The file that the records go to instead of stdout (`-o`), for the stages that have it.
    fn records_file(&self) -> Option<&Path> {
        None
    }

    /// Whether files are replaced whatever they hold (`-f`).
    fn force(&self) -> bool {
        false
    }

    /// Whether stdout gets something else than records: then there are none, unless a file gets them.
    fn takes_stdout(&self) -> bool {
        false
    }

    /// The files that the command line names, but for that of the records.
    fn files(&self) -> Files {
        Files::default()
    }
}

/// A running stage.
#[derive(Debug)]
pub struct Stage {
    name: &'static str,
    quiet: bool,
    verbose: bool,
    table: bool,
    store_path: Option<std::path::PathBuf>,
    store: Option<Store>,
    files: Files,
    upstream: Vec<String>,
    begun: bool,
    writer: RecordWriter,
    reporter: Reporter,
}

/// Runs a stage: parses the process's arguments, calls the body, and gives the exit code.
pub fn run<A: StageArgs>(
    name: &'static str,
    body: impl FnOnce(A, &mut Stage) -> anyhow::Result<()>,
) -> ExitCode {
    let args = match parse::<A>(std::env::args_os()) {
        Ok(args) => args,
        Err(Stop::Shown(code)) => return code,
        Err(Stop::Failed(failure)) => return refuse(name, &failure, true),
    };
    let mut stage = match Stage::new(name, &args) {
        Ok(stage) => stage,
        Err(error) => return refuse(name, &classify(&error), !args.files().reads_stdout()),
    };
    let result = body(args, &mut stage);
    stage.finish(result)
}

enum Stop {
    Shown(ExitCode),
    Failed(Failure),
}

/// clap's usage errors have several lines and the code 2; ours have one line and the code 3.
fn parse<A: StageArgs>(args: impl IntoIterator<Item = OsString>) -> Result<A, Stop> {
    let matches = A::command().try_get_matches_from(args);
    matches.and_then(|matches| A::from_arg_matches(&matches)).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match error.print().and_then(|()| io::stdout().flush()) {
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                    Stop::Failed(classify(&anyhow::Error::from(e).context("writing to stdout")))
                }
                _ => Stop::Shown(ExitCode::SUCCESS),
            }
        }
        _ => {
            let text = error.render().to_string();
            let said = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            let words: Vec<&str> = said.split_whitespace().collect();
            Stop::Failed(failure!(Usage, "{}", words.join(" "); "--help shows the options"))
        }
    })
}

/// Fails before there is a stage: the stream still gets its `error` record.
fn refuse(name: &'static str, failure: &Failure, to_stdout: bool) -> ExitCode {
    complain(name, failure);
    if to_stdout && !io::stdout().is_terminal() {
        let mut writer = RecordWriter::stdout();
        let _ = writer.record(&stream_record(name, Vec::new(), None));
        let _ = writer.record(&error_record(name, failure));
        let _ = writer.flush();
    }
    ExitCode::from(failure.category.exit())
}

fn complain(name: &str, failure: &Failure) {
    let hint = failure.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let _ = writeln!(io::stderr(), "{name}: {}{hint}", failure.message);
}

fn stream_record(name: &str, stages: Vec<String>, store: Option<String>) -> Record {
    Record::Stream(Stream {
        version: VERSION,
        stage: name.to_owned(),
        tool_version: TOOL_VERSION.to_owned(),
        stages,
        store,
    })
}

fn error_record(name: &str, failure: &Failure) -> Record {
    Record::Error(ErrorRecord {
        stage: name.to_owned(),
        exit: failure.category.exit(),
        category: failure.category,
        message: failure.message.clone(),
        hint: failure.hint.clone(),
    })
}

impl Stage {
    fn new<A: StageArgs>(name: &'static str, args: &A) -> anyhow::Result<Self> {
        signals::install().context("preparing for signals")?;
        let common = args.common();
        let records = args.records_file();
        let mut files = args.files();
        files.read_stdin();
        if records.is_some() || !args.takes_stdout() {
            files.written("the records", records.unwrap_or(Path::new("-")));
        }
        files.check()?;
        let writer = match records.filter(|path| !is_stdout(path)) {
            Some(path) => RecordWriter::file(path, args.force())?,
            None => RecordWriter::stdout(),
        };
        let table = match common.format {
            Format::Auto => writer.is_terminal(),
            Format::Ndjson => false,
            Format::Table => true,
        };
        let last = table || args.takes_stdout() || !writer.is_pipe();
        Ok(Self {
            name,
            quiet: common.quiet,
            verbose: common.verbose > 0,
            table,
            store_path: common.store.clone(),
            store: None,
            files,
            upstream: Vec::new(),
            begun: false,
            reporter: Reporter::new(name, common, last),
            writer,
        })
    }

    /// Adds a file that is read and that the command line does not name.
    ///
    /// # Errors
    /// `usage` if it is an output.
    pub fn reads(&mut self, what: &'static str, path: &Path) -> anyhow::Result<()> {
        self.files.read(what, path);
        self.files.check()
    }

    /// The name of the program.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether stdout gets a table for people instead of records.
    pub fn shows_table(&self) -> bool {
        self.table
    }

    /// Whether `-q` was given.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// The store; opened when first asked for. `--store` comes first, then the store of the stage before, then the default.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub fn store(&mut self) -> anyhow::Result<Store> {
        if self.store.is_none() {
            self.store = Some(Store::open(self.store_path.as_deref())?);
        }
        self.store.clone().context("no store is open")
    }

    /// Begins to read records from stdin.
    ///
    /// # Errors
    /// stdin is a terminal (`usage`), or what [`Input::new`] fails with.
    pub fn input(&mut self) -> anyhow::Result<Input<Box<dyn BufRead>>> {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            crate::fail!(Usage, "{} reads records from a pipe, and stdin is a terminal", self.name;
                "dd-inspect --base A --target B | dd-extract | dd-diff | dd-pack -o FILE");
        }
        self.input_from(Box::new(BufReader::with_capacity(256 << 10, stdin.lock())))
    }

    /// Begins to read records from any reader: stdin, when something was read of it to tell what it is.
    ///
    /// # Errors
    /// What [`Input::new`] fails with.
    pub fn input_from(
        &mut self,
        reader: Box<dyn BufRead>,
    ) -> anyhow::Result<Input<Box<dyn BufRead>>> {
        let input = Input::new(reader)?;
        self.upstream = input.stages();
        if self.store_path.is_none() {
            let upstream = input.streams().iter().find_map(|stream| stream.store.clone());
            self.store_path = upstream.map(Into::into);
        }
        Ok(input)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// [`BrokenStdout`] if nobody reads any more: return it, and the stage ends quietly. Else what writing fails with.
    pub fn emit(&mut self, record: impl Into<Record>) -> anyhow::Result<()> {
        self.begin()?;
        if self.table { Ok(()) } else { self.writer.record(&record.into()) }
    }

    /// Passes a record on as the same bytes; `progress` is drawn instead where this stage draws.
    ///
    /// # Errors
    /// As [`Stage::emit`].
    pub fn pass(&mut self, line: &Line) -> anyhow::Result<()> {
        if line.kind == "progress" && self.reporter.consume(line) {
            return Ok(());
        }
        self.begin()?;
        if self.table { Ok(()) } else { self.writer.raw(&line.raw) }
    }

    /// Says how far the work is; on a terminal it is drawn, in a pipe it becomes a `progress` record now and then, and when
    /// the work is `over`.
    fn progress(&mut self, meter: &Meter, over: bool) -> anyhow::Result<()> {
        let (task, done, total) = meter.read();
        // Not all that was expected need be read, and not all that is read was expected.
        let done = if over { done.max(total) } else { done };
        match self.reporter.report(&task, (done, total.max(done)), over) {
            Some(record) => {
                self.emit(record)?;
                self.writer.flush()
            }
            None => Ok(()),
        }
    }

    /// Runs work that reports to a [`Meter`] from other threads, and reports its progress meanwhile.
    ///
    /// # Errors
    /// What the work fails with, or as [`Stage::emit`].
    pub fn watch<T: Send>(
        &mut self,
        meter: &Meter,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        std::thread::scope(|scope| {
            let worker = scope.spawn(work);
            while !worker.is_finished() {
                std::thread::park_timeout(std::time::Duration::from_millis(if meter.is_short() {
                    2
                } else {
                    50
                }));
                self.progress(meter, false)?;
            }
            let result = worker
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a worker thread stopped unexpectedly")))?;
            self.progress(meter, true)?;
            Ok(result)
        })
    }

    /// A line on stderr for `-v`.
    pub fn note(&self, text: impl std::fmt::Display) {
        if self.verbose {
            self.reporter.suspend(|| {
                let _ = writeln!(io::stderr(), "{}: {text}", self.name);
            });
        }
    }

    /// A line on stderr that matters even without `-v`; silent with `-q`.
    pub fn warn(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            self.reporter.suspend(|| {
                let _ = writeln!(io::stderr(), "{}: {text}", self.name);
            });
        }
    }

    /// Writes text for people to stdout, where a table is wanted.
    ///
    /// # Errors
    /// As [`Stage::emit`].
    pub fn show(&mut self, text: &str) -> anyhow::Result<()> {
        self.reporter.clear();
        if self.table { self.writer.text(text) } else { Ok(()) }
    }

    /// Stdout gets something else than records from here on: a package. Records go nowhere, no `end` and no
    /// `error` follows.
    pub fn release_stdout(&mut self) {
        self.reporter.clear();
        self.begun = true;
        self.writer = RecordWriter::nowhere();
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        if self.table {
            return Ok(());
        }
        let store = self
            .store
            .as_ref()
            .map(|store| store.path().to_owned())
            .or_else(|| self.store_path.clone());
        let store = store
            .and_then(|path| std::path::absolute(path).ok()?.into_os_string().into_string().ok());
        self.writer.record(&stream_record(self.name, self.upstream.clone(), store))
    }

    fn finish(mut self, result: anyhow::Result<()>) -> ExitCode {
        self.reporter.clear();
        let result = result.and_then(|()| self.emit(End { stage: self.name.to_owned() }));
        let result = result.and_then(|()| self.writer.commit());
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.is::<BrokenStdout>() => ExitCode::SUCCESS,
            Err(error) => self.fail(&error),
        }
    }

    fn fail(mut self, error: &anyhow::Error) -> ExitCode {
        let upstream = error.chain().find_map(|cause| cause.downcast_ref::<UpstreamFailed>());
        if let Some(failed) = upstream {
            self.write_last(|writer| writer.raw(&failed.raw));
            return ExitCode::from(failed.record.exit);
        }
        let failure = classify(error);
        complain(self.name, &failure);
        self.write_last(|writer| writer.record(&error_record(self.name, &failure)));
        ExitCode::from(failure.category.exit())
    }

    /// The `error` record, on stdout only: a file that records go to stays as it was.
    fn write_last(&mut self, write: impl FnOnce(&mut RecordWriter) -> anyhow::Result<()>) {
        if self.table || self.writer.is_file() {
            return;
        }
        let _ =
            self.begin().and_then(|()| write(&mut self.writer)).and_then(|()| self.writer.flush());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    #[command(name = "dd-x", version)]
    struct Options {
        #[command(flatten)]
        common: CommonArgs,
        #[arg(long)]
        needed: String,
    }

    impl StageArgs for Options {
        fn common(&self) -> &CommonArgs {
            &self.common
        }
    }

    fn parse_words(words: &[&str]) -> Result<Options, Stop> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn usage_errors_are_one_line_with_code_3() {
        for words in [
            &["dd-x"][..],
            &["dd-x", "--needed"],
            &["dd-x", "--nedded", "1"],
            &["dd-x", "-q", "-v", "--needed", "1"],
        ] {
            let Err(Stop::Failed(failure)) = parse_words(words) else { panic!("{words:?}") };
            assert_eq!(failure.category.exit(), 3);
            assert!(!failure.message.contains('\n') && !failure.message.is_empty(), "{failure}");
        }
        assert!(parse_words(&["dd-x", "--needed", "1", "--progress", "lines"]).is_ok());
    }

    #[test]
    fn an_error_record_has_no_empty_fields() {
        let record = error_record("dd-x", &failure!(Usage, "m"));
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(
            json,
            r#"{"type":"error","stage":"dd-x","exit":3,"category":"usage","message":"m"}"#
        );
    }
}
