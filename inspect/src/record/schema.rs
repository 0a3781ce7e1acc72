//! The JSON Schema of the records, docs/records.schema.json, follows from the types.

use std::borrow::Cow;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Record;
use crate::digest::{DiffId, Digest};

macro_rules! identifier {
    ($type:ty, $name:literal) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"})
            }
        }
    };
}

identifier!(Digest, "Digest");
identifier!(DiffId, "DiffId");

#[test]
fn the_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/records.schema.json");
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Record)).unwrap() + "\n";
    if std::env::var_os("DD_GENERATE").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(current == schema, "docs/records.schema.json is out of date: run scripts/generate");
}
