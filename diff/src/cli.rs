//! The command line of dd-diff.

use std::num::NonZeroUsize;
use std::path::Path;

use clap::{Parser, ValueEnum};
use dd_inspect::digest::DiffId;
use dd_inspect::stage::{CommonArgs, RecordsArgs, StageArgs, level_from, parse_size};

use crate::encode::Technique;

/// Encode the layers of targets as deltas against the layers of bases
///
/// Reads the records of dd-extract from stdin. Each layer of a target that no base has is encoded against the layers of the
/// bases, decoded again and compared before it is announced. Adds `change` and `delta` records to the stream, takes the
/// `entry` records out of it, and puts the deltas into the store.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "dd-diff",
    version,
    after_help = "Examples:\n  \
        dd-inspect --base app-1.tar --target app-2.tar | dd-extract | dd-diff | dd-pack -o app.delta\n  \
        … | dd-extract | dd-diff --best | jq -r 'select(.type==\"change\") | [.cost, .change, .path] | @tsv' | sort -rn\n  \
        … | dd-extract >records; dd-diff --only sha256:… <records >layer-1\n\n\
        Exit codes: 0 done; 1 unexpected failure; 2 a program is missing; 3 invalid input or usage; 4 the operation failed."
)]
pub struct Args {
    /// The effort, from 1 (fast) to 9 (small)
    #[arg(short, long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=9),
        conflicts_with_all = ["fast", "best"])]
    pub level: u8,

    /// The same as --level 1
    #[arg(long, conflicts_with = "best")]
    pub fast: bool,

    /// The same as --level 9: code then takes ten times as long to apply
    #[arg(long)]
    pub best: bool,

    /// Use N threads [default: the number of processors]; the deltas do not depend on it
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,

    /// How layers that changed travel
    #[arg(short, long, value_enum, default_value_t = Method::Auto, value_name = "METHOD")]
    pub method: Method,

    /// Take about SIZE bytes of memory at most; K, M and G are understood
    ///
    /// With less memory large files are searched less densely, and in windows.
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = parse_size)]
    pub memory: u64,

    /// Encode only the layer with this diff_id (more than once: these layers)
    #[arg(long, value_name = "DIFF_ID")]
    pub only: Vec<DiffId>,

    /// Which bases a target may be made from
    #[arg(long, value_enum, default_value_t = Pair::Auto, value_name = "WHICH")]
    pub pair: Pair,

    /// Leave out these techniques, to measure what each saves
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TECHNIQUE")]
    pub without: Vec<Technique>,

    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub records: RecordsArgs,

    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub common: CommonArgs,
}

/// How layers that changed travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Files that changed as differences, whatever is smallest.
    Auto,
    /// Files that a base has as copies, all others whole: quick.
    Copy,
    /// Whole layers, compressed.
    Whole,
}

/// Which bases a target may be made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pair {
    /// Those of the same platform, and of these those of the same repository, if there are any.
    Auto,
    /// All bases: the package then asks for all that its deltas read.
    Any,
}

impl Args {
    /// The effort asked for, 1 to 9.
    pub fn effort(&self) -> u8 {
        level_from(self.level, self.fast, self.best)
    }
}

impl StageArgs for Args {
    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn records_file(&self) -> Option<&Path> {
        self.records.output.as_deref()
    }

    fn force(&self) -> bool {
        self.records.force
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn techniques_are_a_list() {
        let args = Args::try_parse_from(["dd-diff", "--without", "headers,lzma"]).unwrap();
        assert_eq!(args.without, [Technique::Headers, Technique::Lzma]);
        assert!(Args::try_parse_from(["dd-diff", "--without", "luck"]).is_err());
    }

    #[test]
    fn efforts() {
        let effort = |args: &[&str]| Args::try_parse_from(args).map(|args| args.effort());
        assert_eq!(effort(&["dd-diff"]).unwrap(), 6);
        assert_eq!(effort(&["dd-diff", "--fast"]).unwrap(), 1);
        assert_eq!(effort(&["dd-diff", "--best"]).unwrap(), 9);
        assert_eq!(effort(&["dd-diff", "-l", "3"]).unwrap(), 3);
        assert!(effort(&["dd-diff", "-l", "0"]).is_err());
        assert!(effort(&["dd-diff", "--best", "-l", "3"]).is_err());
        assert!(effort(&["dd-diff", "--only", "x"]).is_err());
    }
}
