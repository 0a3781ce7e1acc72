//! Encodes target layers as deltas against base layers.

pub mod program;
