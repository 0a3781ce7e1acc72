//! Writing rebuilt images to places that are no files: the Docker daemon, registries, containers-storage.
//!
//! The daemon takes an archive from a pipe (`docker load`); everything else is put into a directory in the store and copied by
//! skopeo. What arrived is compared with what was to arrive.

pub mod daemon;
mod push;

pub use push::{Arrived, push};
