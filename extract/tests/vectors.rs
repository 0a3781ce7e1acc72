//! What other programs' encoders gave for inputs of all kinds, and what is given here.
//!
//! `scripts/encoder-vectors` makes the table by running them: Go 1.19, klauspost/compress 1.15.12, pgzip 1.2.5, pigz 2.6, GNU gzip 1.12 and
//! zlib 1.2.13.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/inputs.rs"]
mod inputs;
#[path = "support/table.rs"]
mod table;

#[test]
fn all_is_as_the_originals_gave_it() {
    let names = inputs::names();
    let mut missed = Vec::new();
    let input = |name: &str| {
        assert!(names.iter().any(|known| known == name), "{name}");
        Ok(inputs::input(name))
    };
    let tallies =
        table::check(include_str!("vectors/table.tsv"), None, input, |what| missed.push(what))
            .unwrap();
    assert!(missed.is_empty(), "{missed:#?}");
    let rows: u32 = tallies.values().map(|tally| tally.0).sum();
    assert!(rows > 1500, "{rows}");
}
