//! The dd-apply program.
fn main() {}
