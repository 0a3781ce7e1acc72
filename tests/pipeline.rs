//! Whole pipelines through the real programs.

mod crates;
mod live;
mod records;
#[allow(dead_code, reason = "each test uses a part of it")]
mod support;
