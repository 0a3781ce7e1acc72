//! The command line of dd-apply.
#![allow(rustdoc::broken_intra_doc_links, reason = "brackets in help texts are no links")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use dd_inspect::child::RegistryOptions;
use dd_inspect::files::Files;
use dd_inspect::image::{Place, Reference};
use dd_inspect::stage::{CommonArgs, StageArgs};

use crate::output::Output;

/// Rebuild container images from a base and a delta package
///
/// Checks the base, rebuilds what the package holds, verifies every digest, and only then gives the output its name. The same
/// layers, configurations and manifests come back, and with a plain FILE as output the same archive file.
#[derive(Debug, Parser)]
#[command(name = "dd-apply", version, after_help = EXAMPLES)]
pub struct Args {
    /// The package; `-` is stdin. Without PACKAGE, stdin gives it or the records of dd-pack
    #[arg(value_name = "PACKAGE")]
    pub package: Option<PathBuf>,

    /// An image that the package was made against, in any form; may be given several times
    #[arg(short, long = "base", value_name = "REF")]
    pub bases: Vec<OsString>,

    /// Where the images go: FILE, `-` for stdout, or transport:reference
    ///
    /// A FILE (or the transport that the target was read by) gets the target's own archive file, bit for bit. Others are
    /// docker-archive:FILE[:NAME], oci-archive:FILE[:NAME], oci:DIR[:NAME], dir:DIR, docker-daemon:[NAME],
    /// docker://REGISTRY/NAME, and what else skopeo writes: the digests stay, the file is written anew. A FILE with a colon
    /// in its name is ./a:b.
    #[arg(short, long, value_name = "OUTPUT", required_unless_present = "check")]
    pub output: Option<OsString>,

    /// Rebuild only this image of the package, by name or digest; may be given several times
    ///
    /// A name may be spelled in any way that docker accepts: app and docker.io/library/app:latest are one. Without --image
    /// all images are rebuilt, and the base of each must be there.
    #[arg(long = "image", alias = "target", value_name = "NAME|DIGEST")]
    pub images: Vec<String>,

    /// Rebuild only images for these platforms; others become gaps
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub platforms: Vec<String>,

    /// Fail before work unless the package rebuilds this: [manifest=|index=|config=|file=]sha256:…
    ///
    /// A digest alone may be any of these, and every image that is rebuilt must have it.
    #[arg(long = "expect", value_name = "[KIND=]DIGEST")]
    pub expected: Vec<String>,

    /// Say whether the base and the output will do and what the work needs, and write nothing
    #[arg(long)]
    pub check: bool,

    /// Replace existing files that hold something else, and move names that mean another image
    #[arg(short, long)]
    pub force: bool,

    /// Give the image this name instead of those in the package; may be given several times
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,

    /// Write a docker-archive with uncompressed layers and without an OCI index
    #[arg(long, conflicts_with = "exact_file")]
    pub uncompressed: bool,

    /// Fail before work unless the output will be the target's own file, bit for bit
    #[arg(long)]
    pub exact_file: bool,

    /// Write the digests of the images to FILE, one a line: of the manifest, or of the configuration where the output has none
    #[arg(long, value_name = "FILE")]
    pub digestfile: Option<PathBuf>,

    /// Use at most this much memory [default: 96 MiB or what one layer needs, with --jobs what is available]
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse)]
    pub memory: Option<u64>,

    /// Use at most this much scratch space
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, default_value = "64G")]
    pub scratch: u64,

    /// Directory for scratch files [default: beside the output, else $TMPDIR or /var/tmp]
    #[arg(long, value_name = "DIR")]
    pub scratch_dir: Option<PathBuf>,

    /// Rebuild this many layers at once [default: one for each processor, as --memory allows]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,

    /// Write the records to FILE instead of stdout; with --output - there are none otherwise
    #[arg(long, value_name = "FILE")]
    pub records: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub registry: RegistryOptions,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
}

const EXAMPLES: &str = "\
Examples:
  dd-apply app-1-2.delta --base app-1.tar --output app-2.tar
  dd-apply app-1-2.delta --base app-1.tar --check
  dd-apply app-1-2.delta --base docker-daemon:app:1 --output docker-daemon:
  dd-apply app-1-2.delta --base oci:layout:app-1 --output oci:layout
  ssh host cat app-1-2.delta | dd-apply - --base app-1.tar --output - | docker load

Exit codes: 0 done; 1 unexpected failure; 2 a program is missing; 3 invalid input, wrong base or usage; 4 the operation failed.";

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
        !self.check && self.output().is_some_and(|output| output.is_stdout())
    }

    fn files(&self) -> Files {
        let mut files = Files::default();
        for base in &self.bases {
            if let Ok(Place::Disk { path, .. }) = Reference::new(base).resolve() {
                files.read("the base", &path);
            }
        }
        if let Some(package) = self.package.as_deref().filter(|path| *path != Path::new("-")) {
            files.read("the package", package);
        }
        let output = self.output();
        if let Some(path) = output.as_ref().and_then(Output::path) {
            files.written("the image", path);
        } else if self.takes_stdout() {
            files.written("the image", Path::new("-"));
        }
        if let Some(path) = &self.digestfile {
            files.written("the digests", path);
        }
        files
    }
}

impl Args {
    /// Where the images go, if that can be understood.
    fn output(&self) -> Option<Output> {
        self.output.as_deref().and_then(|text| Output::parse(text).ok())
    }
}
