//! Encodes target layers as deltas against base layers: the third stage of the pipeline, and the reader
//! of deltas that dd-apply works with.

#[cfg(feature = "encode")]
#[doc(hidden)]
pub mod bench;
#[cfg(feature = "encode")]
pub mod cli;
#[cfg(feature = "encode")]
pub mod encode;
pub mod headers;
#[cfg(feature = "encode")]
pub mod matching;
pub mod program;
#[cfg(feature = "encode")]
mod stage;
pub mod zips;

use std::path::PathBuf;
use std::sync::Arc;

use headers::TarHeaders;
use program::{Generator, Generators};
#[cfg(feature = "encode")]
pub use stage::run;
use zips::Zips;

/// All generators and encodings that this version knows, with scratch files in `scratch_dir`.
pub fn tools(scratch_dir: impl Into<PathBuf>) -> program::Tools {
    program::Tools {
        generators: Arc::new(Known),
        encoders: Arc::new(program::Encodings),
        scratch_dir: scratch_dir.into(),
    }
}

/// The generators of this version beside the built-in ones.
struct Known;

impl Generators for Known {
    fn knows(&self, id: u64) -> bool {
        TarHeaders.knows(id) || Zips.knows(id)
    }

    fn open(&self, id: u64) -> Option<Box<dyn Generator>> {
        TarHeaders.open(id).or_else(|| Zips.open(id))
    }
}
