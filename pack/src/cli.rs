//! The command line of dd-pack.

use std::path::{Path, PathBuf};

use clap::Parser;
use dd_inspect::files::{Files, is_stdout};
use dd_inspect::stage::{CommonArgs, StageArgs};

/// Write a delta package from the records of dd-diff
///
/// Reads records from stdin and writes one file that holds all that is needed, beside the base, to rebuild the targets byte for
/// byte. The file is an OCI artifact in an OCI archive: skopeo copies it to a registry and back.
#[derive(Debug, Parser)]
#[command(name = "dd-pack", version, after_help = EXAMPLES)]
pub struct Args {
    /// Write the package to FILE; `-` is stdout, which then gets no records
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    pub output: Option<PathBuf>,

    /// Say what the package would hold, and write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Replace existing files that hold something else
    #[arg(short, long)]
    pub force: bool,

    /// Leave the zstd frame around the package away: a plain OCI archive
    #[arg(long)]
    pub plain: bool,

    /// Carry what makes every unchanged layer's compressed form, so that the base may hold it in any form
    ///
    /// Without it a layer whose compression cannot be reproduced cheaply is taken from the base's own compressed blob.
    #[arg(long)]
    pub any_form: bool,

    /// Write what each path cost to FILE, as records
    #[arg(long, value_name = "FILE")]
    pub changes: Option<PathBuf>,

    /// Put the costliest changes into the package, for dd-inspect to show
    #[arg(long)]
    pub with_changes: bool,

    /// Write the package's SHA-256 and its name as given to FILE, as sha256sum does
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub sha256sums: Option<PathBuf>,

    /// Write the records to FILE instead of stdout; with --output - there are none otherwise
    #[arg(long, value_name = "FILE")]
    pub records: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
}

const EXAMPLES: &str = "\
Examples:
  dd-inspect --base app-1.tar --target app-2.tar | dd-extract | dd-diff | dd-pack -o app-1-2.delta
  … | dd-pack -n                       what would travel, layer by layer
  … | dd-pack -o - | ssh host dd-apply - --base app-1.tar --output app-2.tar

Exit codes: 0 done; 1 unexpected failure; 2 a program is missing; 3 invalid input or usage; 4 the operation failed.";

impl StageArgs for Args {
    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn records_file(&self) -> Option<&Path> {
        self.records.as_deref()
    }

    fn force(&self) -> bool {
        self.force
    }

    fn takes_stdout(&self) -> bool {
        self.to_stdout()
    }

    fn files(&self) -> Files {
        let mut files = Files::default();
        let output = self.output.as_deref().filter(|_| !self.dry_run);
        for (what, path) in [
            ("the package", output),
            ("the changes", self.changes.as_deref()),
            ("the checksum", self.sha256sums.as_deref()),
        ] {
            path.into_iter().for_each(|path| files.written(what, path));
        }
        files
    }
}

impl Args {
    /// Whether the package goes to stdout.
    pub fn to_stdout(&self) -> bool {
        !self.dry_run && self.output.as_deref().is_some_and(is_stdout)
    }
}
