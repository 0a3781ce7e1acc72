//! Whole pipelines through the real programs.

mod bad_input;
mod crates;
mod docs;
mod exact;
mod fixtures;
mod generated;
mod golden;
mod live;
mod old_command;
mod outputs;
mod records;
mod roundtrip;
mod stream;
#[allow(dead_code, reason = "each test uses a part of it")]
mod support;
mod tools;
