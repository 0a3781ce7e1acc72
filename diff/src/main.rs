//! The dd-diff program.

use std::process::ExitCode;

use dd_diff::cli::Args;

fn main() -> ExitCode {
    dd_inspect::stage::run::<Args>("dd-diff", |args, stage| dd_diff::run(&args, stage))
}
