//! Encodes target layers as deltas against base layers.

pub mod matching;
pub mod program;
