//! The command line of dd-inspect.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::child::RegistryOptions;
use crate::files::Files;
use crate::image::{Place, Platform, Reference};
use crate::stage::{CommonArgs, RecordsArgs, StageArgs};

const EXAMPLES: &str = "\
Examples:
  dd-inspect app.tar
  dd-inspect --base app-1.tar --target app-2.tar | dd-extract | dd-diff | dd-pack -o app.delta
  dd-inspect --base app:1 --target app:2 | dd-extract | dd-diff | dd-pack -o app.delta
  dd-inspect --target docker://registry.example/app:2 --platform linux/arm64 | jq .
  dd-inspect app.tar | jq -r 'select(.type==\"layer\") | [.size, .diff_id] | @tsv'
  dd-inspect --verify app.delta

References:
  PATH                          an image file or directory, recognised by its content
  NAME                          an image in the Docker daemon, if there is no such file
  docker-archive:FILE[:NAME]    one image of several in a file (also :@NUMBER, from 0)
  oci-archive:FILE[:NAME], oci:DIR[:NAME], dir:DIR
  docker-daemon:NAME, docker://REGISTRY/NAME, containers-storage:NAME

Exit codes: 0 done; 1 unexpected failure; 2 a program is missing; 3 invalid input or usage; 4 the operation failed.";

/// Find the documents and layers of container images
///
/// Reads images as they lie, without unpacking them, and writes records of their manifests, configurations and layers, the
/// first stage of the pipeline; on a terminal, a table. Of images in registries only the documents are fetched. Delta packages
/// are shown too.
#[derive(Debug, Clone, Parser)]
#[command(name = "dd-inspect", version, after_help = EXAMPLES)]
pub struct Args {
    /// An image or package to look at
    #[arg(value_name = "REF")]
    pub images: Vec<OsString>,

    /// An image that the receiver holds; may be given several times
    #[arg(long = "base", value_name = "REF")]
    pub bases: Vec<OsString>,

    /// An image to be rebuilt; may be given several times
    #[arg(long = "target", value_name = "REF")]
    pub targets: Vec<OsString>,

    /// Take only the images for this platform; the others become gaps
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all_platforms")]
    pub platform: Option<Platform>,

    /// Take all platforms of an image in a registry (files are taken whole anyway)
    #[arg(long)]
    pub all_platforms: bool,

    /// Check every blob of a delta package; no base is needed
    #[arg(long, value_name = "PACKAGE")]
    pub verify: Vec<PathBuf>,

    /// Only tidy the store: remove what was not used for a day, down to 20 GiB or half of what is free
    #[arg(long, conflicts_with_all = ["images", "bases", "targets", "verify"])]
    pub store_prune: bool,

    #[command(flatten)]
    #[allow(missing_docs, reason = "its fields have them")]
    pub records: RecordsArgs,

    #[command(flatten)]
    #[allow(missing_docs, reason = "its fields have them")]
    pub common: CommonArgs,

    #[command(flatten)]
    #[allow(missing_docs, reason = "its fields have them")]
    pub registry: RegistryOptions,
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

    fn files(&self) -> Files {
        let mut files = Files::default();
        for given in self.bases.iter().chain(&self.targets).chain(&self.images) {
            if let Ok(Place::Disk { path, .. }) = Reference::new(given).resolve() {
                files.read("the image", &path);
            }
        }
        self.verify.iter().for_each(|path| files.read("the package", path));
        files
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let args = Args::try_parse_from([
            "dd-inspect",
            "--base",
            "a",
            "--base",
            "b",
            "--target",
            "c",
            "d",
        ])
        .unwrap();
        assert_eq!((args.bases.len(), args.targets.len(), args.images.len()), (2, 1, 1));
        assert!(Args::try_parse_from(["dd-inspect", "--platform", "x"]).is_err());
        assert!(Args::try_parse_from(["dd-inspect", "--store-prune"]).is_ok());
        for other in [&["a"][..], &["--base", "a"], &["--target", "a"], &["--verify", "a"]] {
            let words = ["dd-inspect", "--store-prune"].iter().chain(other);
            assert!(Args::try_parse_from(words).is_err(), "{other:?}");
        }
    }
}
