//! The dd-inspect program.
fn main() {}
