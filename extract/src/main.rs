//! The dd-extract program.

use std::process::ExitCode;

use dd_extract::cli::Args;

fn main() -> ExitCode {
    dd_inspect::stage::run::<Args>("dd-extract", |args, stage| dd_extract::run(&args, stage))
}
