//! The dd-extract program.
fn main() {}
