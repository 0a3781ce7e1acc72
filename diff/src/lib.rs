//! Encodes target layers as deltas against base layers.

pub mod encode;
pub mod headers;
pub mod matching;
pub mod program;
