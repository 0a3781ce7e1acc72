//! The command line of dd-extract.

use std::num::NonZeroUsize;
use std::path::Path;

use clap::Parser;
use dd_inspect::child::RegistryOptions;
use dd_inspect::stage::{CommonArgs, RecordsArgs, StageArgs, parse_size};

/// Make the uncompressed bytes of layers addressable, and find how layers were compressed
///
/// Reads the records of dd-inspect from stdin. Layers that are compressed are unpacked into the store; layers that lie
/// uncompressed in an image are used where they are. For each compressed layer of a target it finds an encoding that gives
/// the very bytes again, and proves it by running it. Adds `blob` and `entry` records to the stream.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "dd-extract",
    version,
    after_help = "Examples:\n  \
        dd-inspect --base app-1.tar --target app-2.tar | dd-extract | dd-diff | dd-pack -o app.delta\n  \
        dd-inspect app.tar | dd-extract | jq -r 'select(.type==\"entry\") | [.size, .path] | @tsv'\n  \
        dd-inspect app.oci.tar | dd-extract | jq 'select(.type==\"blob\") | .encoding_name'\n  \
        dd-extract --store-prune\n\n\
        Exit codes: 0 done; 1 unexpected failure; 2 a program is missing; 3 invalid input or usage; 4 the operation failed."
)]
pub struct Args {
    /// Work on N layers at a time [default: the number of processors]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,

    /// Take about SIZE bytes of memory at most; K, M and G are understood
    ///
    /// Less memory means fewer layers at a time and shorter corrections.
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = parse_size)]
    pub memory: u64,

    /// Only tidy the store: remove what was not used for a day, down to 20 GiB or half of what is free
    #[arg(long)]
    pub store_prune: bool,

    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub records: RecordsArgs,

    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub registry: RegistryOptions,

    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub common: CommonArgs,
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
}
