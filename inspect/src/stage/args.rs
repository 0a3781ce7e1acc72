//! Options that all stages have.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// Options that all stages have.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Keep unpacked layers and proven encodings in DIR
    ///
    /// Without it the stages of a pipeline use the store of the first one, whose default is $DD_STORE, else
    /// $XDG_CACHE_HOME/docker-delta, else /var/tmp/docker-delta-UID.
    #[arg(long, value_name = "DIR", help_heading = "Common options")]
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

    /// Say on stderr what is found and done
    #[arg(short, long, action = ArgAction::Count, help_heading = "Common options")]
    pub verbose: u8,
}

/// Where the records of the stages inside a pipeline go.
#[derive(Debug, Clone, Args)]
pub struct RecordsArgs {
    /// Write the records to FILE, which appears when they are complete, instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace FILE even if it holds something else than records
    #[arg(short, long)]
    pub force: bool,
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

/// A number of bytes, not 0: `64M`, `2G`, `1000`; the letters stand for powers of 1024. For clap's `value_parser`.
///
/// # Errors
/// What a size is, if it is none.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit);
    let shift = ["", "K", "M", "G", "T"].iter().position(|known| *known == unit);
    let value = number.parse::<u64>().ok().zip(shift);
    let value = value.and_then(|(n, shift)| n.checked_mul(1 << (10 * shift)));
    let value = value.filter(|size| *size > 0);
    value.ok_or_else(|| "a size is a number of bytes above 0, or one with K, M or G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert_eq!(parse_size("1000"), Ok(1000));
        for wrong in ["", "M", "0", "0G", "1X", "-1", "1MM", "99999999999T"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
