//! An archive of an image, whatever it is: records, or one clear error.

#![no_main]

use dd_inspect::image::{Options, Reference, inspect};
use dd_inspect::record::Role;
use dd_inspect::store::Store;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("image.tar");
    std::fs::write(&path, file).expect("a file");
    let store = Store::open(Some(&dir.path().join("store"))).expect("a store");
    match inspect(&Reference::new(path), Role::Target, &Options::default(), &store) {
        Ok(image) => assert!(image.records().count() > 0),
        Err(error) => assert!(!format!("{error:#}").is_empty()),
    }
});
