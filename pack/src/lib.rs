//! dd-pack.
