//! Options that all stages have.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// Options that all stages have.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Keep unpacked layers and proven encodings in DIR
    ///
    /// The default is $XDG_CACHE_HOME/docker-delta, else /var/tmp/docker-delta-UID. The stages of a pipeline use the store
    /// of the first one.
    #[arg(
        long,
        value_name = "DIR",
        env = "DD_STORE",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub store: Option<PathBuf>,

    /// What stdout gets: records, or a table for people (auto: a table on a terminal)
    #[arg(long, value_enum, default_value_t = Format::Auto, value_name = "FORMAT", help_heading = "Common options")]
    pub format: Format,

    /// Show progress on stderr (auto: on a terminal)
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto, value_name = "MODE", help_heading = "Common options")]
    pub progress: ProgressMode,

    /// Say nothing but errors on stderr
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Common options")]
    pub quiet: bool,

    /// Say more on stderr
    #[arg(short, long, action = ArgAction::Count, help_heading = "Common options")]
    pub verbose: u8,
}

/// Where the records of the stages inside a pipeline go.
#[derive(Debug, Clone, Args)]
pub struct RecordsArgs {
    /// Write the records to FILE, which appears when they are complete, instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The format of a stage's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table on a terminal, records elsewhere.
    Auto,
    /// Newline-delimited JSON.
    Ndjson,
    /// Text for people.
    Table,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// A display when stderr is a terminal.
    Auto,
    /// A line now and then, for logs.
    Lines,
    /// Nothing.
    Off,
}

/// The effort that `--level`, `--fast` and `--best` ask for: 1 to 9.
pub fn level_from(level: u8, fast: bool, best: bool) -> u8 {
    match (fast, best) {
        (true, _) => 1,
        (_, true) => 9,
        _ => level,
    }
}
