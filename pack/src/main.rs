//! The dd-pack program.

use std::process::ExitCode;

use dd_pack::cli::Args;

fn main() -> ExitCode {
    dd_inspect::stage::run("dd-pack", |args: Args, stage| dd_pack::stage::run(args, stage))
}
