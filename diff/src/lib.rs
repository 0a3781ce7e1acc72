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

use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "encode")]
pub use stage::run;

/// All generators and encodings that this version knows, with scratch files in `scratch_dir`.
pub fn tools(scratch_dir: impl Into<PathBuf>) -> program::Tools {
    program::Tools {
        generators: Arc::new(headers::TarHeaders),
        encoders: Arc::new(program::Encodings),
        scratch_dir: scratch_dir.into(),
    }
}
