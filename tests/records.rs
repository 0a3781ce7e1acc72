//! docs/records.md and the programs say the same about every record.

use std::collections::BTreeSet;
use std::fs;

use crate::support::strict::{TYPES, record};
use crate::support::world::project;

/// The records in the document: one a line in its `json` blocks.
fn examples() -> Vec<String> {
    let text = fs::read_to_string(project().join("docs/records.md")).expect("docs/records.md");
    let mut blocks =
        text.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap_or_default());
    let lines = blocks.by_ref().flat_map(str::lines);
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn kind(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
    value["type"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn every_example_is_a_whole_record() {
    for line in examples() {
        record(&line).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_type_has_an_example() {
    let shown: BTreeSet<_> = examples().iter().map(|line| kind(line)).collect();
    let expected: BTreeSet<_> = TYPES.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(shown, expected);
}

/// What the programs read and write again is the example: no field is unknown to them, none is lost.
#[test]
fn the_programs_know_every_field() {
    use dd_inspect::record::Record;
    fn again<T: serde::de::DeserializeOwned + Into<Record>>(line: &str) -> serde_json::Value {
        let parsed: T =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        serde_json::to_value(parsed.into()).expect("a record")
    }
    for line in examples() {
        let written = match kind(&line).as_str() {
            "stream" => again::<dd_inspect::record::Stream>(&line),
            "end" => again::<dd_inspect::record::End>(&line),
            "error" => again::<dd_inspect::record::ErrorRecord>(&line),
            "archive" => again::<dd_inspect::record::Archive>(&line),
            "member" => again::<dd_inspect::record::Member>(&line),
            "image" => again::<dd_inspect::record::Image>(&line),
            "manifest" => again::<dd_inspect::record::Manifest>(&line),
            "config" => again::<dd_inspect::record::Config>(&line),
            "layer" => again::<dd_inspect::record::Layer>(&line),
            "blob" => again::<dd_inspect::record::Blob>(&line),
            "entry" => again::<dd_inspect::record::Entry>(&line),
            "change" => again::<dd_inspect::record::Change>(&line),
            "delta" => again::<dd_inspect::record::Delta>(&line),
            "package" => again::<dd_inspect::record::Package>(&line),
            "applied" => again::<dd_inspect::record::Applied>(&line),
            "check" => again::<dd_inspect::record::Check>(&line),
            _ => again::<dd_inspect::record::Progress>(&line),
        };
        let example: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(written, example);
    }
}

#[test]
fn tables_have_the_words_of_the_records() {
    use crate::support::format::{Pressed, Shape};
    let (one, two) = crate::support::image::versions();
    let world = crate::support::world::World::new();
    world.write("1", Shape::Docker.archive(&[&one]));
    world.write("2", Shape::Oci(Pressed::No).archive(&[&two]));
    let records = world.sh("dd-inspect --base 1 --target 2 | dd-extract | dd-diff >d; cat d").ok();
    let means = |record: &serde_json::Value| record["means"].as_str().map(str::to_owned);
    let deltas = records.records().into_iter().filter(|record| record["type"] == "delta");
    let means: Vec<String> = deltas.filter_map(|record| means(&record)).collect();
    assert!(means.contains(&"base".to_owned()), "{means:?}");
    let table = world.sh("dd-pack -o p <d && dd-inspect p --format table").ok().text();
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| {
        row.first().is_some_and(|layer| layer.starts_with("sha256:") && layer.len() == 19)
    });
    let shown: Vec<&str> = rows.filter_map(|row| row.get(1).copied()).collect();
    assert!(
        shown.contains(&"base") && shown.iter().all(|word| means.iter().any(|m| m == word)),
        "{table}"
    );
}

#[test]
fn a_package_says_what_its_paths_cost() {
    use crate::support::format::{Pressed, Shape};
    let (one, two) = crate::support::image::versions();
    let world = crate::support::world::World::new();
    world.write("1", Shape::Docker.archive(&[&one]));
    world.write("2", Shape::Oci(Pressed::No).archive(&[&two]));
    let made =
        "dd-inspect --base 1 --target 2 | dd-extract | dd-diff | dd-pack --with-changes -o p";
    world.sh(made).ok();
    let size = world.read("p").len() as u64;
    let number = |word: &str| word.replace(',', "").parse::<u64>().expect("a number");
    for ask in ["dd-inspect p", "dd-inspect --verify p"] {
        let table = world.sh(&format!("{ask} --format table")).ok().text();
        let costs = table.lines().skip_while(|line| !line.ends_with("path"));
        let costs: Vec<u64> =
            costs.skip(1).filter_map(|row| row.split_whitespace().next()).map(number).collect();
        assert!(costs.len() > 1 && costs.iter().sum::<u64>() == size, "{size} {table}");
        let records = world.sh(&format!("{ask} --format ndjson")).ok().records();
        let changes = records.iter().filter(|record| record["type"] == "change").count();
        assert!(changes + 1 >= costs.len(), "{records:?}");
    }
}

#[test]
fn a_wrong_field_is_seen() {
    assert!(record(r#"{"type":"end","stage":"dd-diff"}"#).is_ok());
    assert!(record(r#"{"type":"end","stage":"dd-diff","extra":1}"#).is_err());
    assert!(record(r#"{"type":"end"}"#).is_err());
    assert!(
        record(r#"{"type":"progress","stage":"x","task":"","done":0,"total":9007199254740992}"#)
            .is_err()
    );
}
