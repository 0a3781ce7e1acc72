//! The dd-diff program.
fn main() {}
