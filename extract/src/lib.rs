//! Makes the uncompressed bytes of layers addressable, and finds how layers were compressed: the second stage of the
//! pipeline.
//!
//! [`encoding`] and [`layer`] stand for themselves; the stage ([`run`]) applies them to the layers that records name.

#[cfg(feature = "identify")]
pub mod cli;
pub mod deflate;
pub mod encoding;
pub mod layer;
#[cfg(feature = "identify")]
mod plan;
#[cfg(feature = "identify")]
mod run;
#[cfg(feature = "identify")]
mod work;
pub mod zstd;

#[cfg(feature = "identify")]
pub use run::run;
