//! Makes the uncompressed bytes of layers addressable, and finds how layers were compressed: the second stage of the
//! pipeline.

pub mod encoding;
pub mod layer;
