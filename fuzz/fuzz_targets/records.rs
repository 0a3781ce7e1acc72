//! A stream of records, whatever it is: each is refused, or comes back as it was when it is written and read again.

#![no_main]

use std::fmt::Debug;

use dd_inspect::ndjson::{Input, Line};
use dd_inspect::record::{
    Archive, Blob, Change, Config, Delta, Entry, Image, Layer, Manifest, Member, Package,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn check<T>(line: &Line)
where
    T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + Debug,
{
    let Ok(record) = line.parse::<T>() else { return };
    let json: Value = serde_json::to_value(&record).expect("a record");
    let again: T = serde_json::from_value(json).expect("its own record");
    assert_eq!(again, record);
}

fuzz_target!(|stream: &[u8]| {
    let Ok(mut input) = Input::new(stream) else { return };
    while let Ok(Some(line)) = input.next_record() {
        match line.kind.as_str() {
            "archive" => check::<Archive>(&line),
            "blob" => check::<Blob>(&line),
            "change" => check::<Change>(&line),
            "config" => check::<Config>(&line),
            "delta" => check::<Delta>(&line),
            "entry" => check::<Entry>(&line),
            "image" => check::<Image>(&line),
            "layer" => check::<Layer>(&line),
            "manifest" => check::<Manifest>(&line),
            "member" => check::<Member>(&line),
            "package" => check::<Package>(&line),
            _ => {}
        }
    }
});
