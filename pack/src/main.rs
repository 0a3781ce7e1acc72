//! The dd-pack program.
fn main() {}
