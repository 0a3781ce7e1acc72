//! The dd-inspect program.

use std::process::ExitCode;

use dd_inspect::cli::Args;

fn main() -> ExitCode {
    dd_inspect::stage::run("dd-inspect", |args: Args, stage| dd_inspect::run::run(&args, stage))
}
