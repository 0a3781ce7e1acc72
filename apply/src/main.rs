//! The dd-apply program.

use std::process::ExitCode;

use dd_apply::cli::Args;

fn main() -> ExitCode {
    dd_apply::memory::give_back();
    dd_inspect::stage::run("dd-apply", |args: Args, stage| dd_apply::stage::run(&args, stage))
}
