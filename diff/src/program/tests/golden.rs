//! Committed payloads that must be decoded for ever, and the bytes that this build writes.

use std::path::Path;

use dd_inspect::digest::DiffId;

use super::everything::sample;
use super::toys::{decode, noise};

/// What the payloads rebuild over `noise(1, 3000)` and `noise(2, 5000)`.
const LAYER: &str = "ad84edd19f6d7b085a02c959071a84390cd386ed10430f7bc9165e3a332efa00";

/// The first one, and the one that this build writes.
const PAYLOADS: [&str; 2] = ["all-ops-1.payload", "all-ops-16.payload"];

/// A committed payload.
pub(super) fn committed(name: &str) -> Vec<u8> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/program/testdata").join(name);
    std::fs::read(place).unwrap()
}

/// Fails where this build made another payload than the committed one, and keeps it to be compared.
pub(super) fn assert_committed(made: &[u8], name: &str) {
    let place = std::env::temp_dir().join(name);
    if made != committed(name) {
        std::fs::write(&place, made).unwrap();
        panic!("compare {} with the committed payload", place.display());
    }
}

#[test]
fn payloads_are_decoded_for_ever() {
    for name in PAYLOADS {
        let layer = decode(&committed(name), &[noise(1, 3000), noise(2, 5000)]).unwrap();
        assert_eq!(DiffId::of(&layer).hex(), LAYER, "{name}");
    }
}

/// An encoding that becomes better makes this fail: then the new payload gets a name and a test of its own,
/// and the old one stays with the test above.
#[test]
fn this_build_writes_the_same_bytes() {
    assert_committed(&sample().1, PAYLOADS[1]);
}
