//! A committed payload that must be decoded for ever, and the bytes that this build writes for it.

use std::path::Path;

use dd_inspect::digest::DiffId;

use super::everything::sample;
use super::toys::{decode, noise};

/// What `all-ops-1.payload` rebuilds over `noise(1, 3000)` and `noise(2, 5000)`.
const LAYER: &str = "ad84edd19f6d7b085a02c959071a84390cd386ed10430f7bc9165e3a332efa00";

fn payload() -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/program/testdata/all-ops-1.payload"),
    )
    .unwrap()
}

#[test]
fn the_first_payload_is_decoded_for_ever() {
    let layer = decode(&payload(), &[noise(1, 3000), noise(2, 5000)]).unwrap();
    assert_eq!(DiffId::of(&layer).hex(), LAYER);
}

/// An encoding that becomes better makes this fail: then the new payload gets a name and a test of its own,
/// and the old one stays with the test above.
#[test]
fn this_build_writes_the_same_bytes() {
    let made = sample().1;
    let place = std::env::temp_dir().join("all-ops.payload");
    if made != payload() {
        std::fs::write(&place, made).unwrap();
        panic!("compare {} with the committed payload", place.display());
    }
}
