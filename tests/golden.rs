//! A package of every released version is applied for ever.

use std::fs;

use crate::support::format::{Pressed, Shape};
use crate::support::image::versions;
use crate::support::world::{World, project};

/// The base that all golden packages have, in another form than the one they were made from.
fn world() -> World {
    let (one, two) = versions();
    let world = World::new();
    world.write("base", Shape::Docker.archive(&[&one]));
    world.write("gzip-base", Shape::Oci(Pressed::Gzip(6)).archive(&[&one]));
    world.write("target", Shape::DockerOci(Pressed::No).archive(&[&two]));
    world
}

#[test]
fn packages_of_every_version_apply() {
    let world = world();
    let mut count = 0;
    for entry in fs::read_dir(project().join("tests/golden")).expect("tests/golden") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "delta") {
            continue;
        }
        count += 1;
        for base in ["base", "gzip-base"] {
            let script = format!(
                "dd-apply {} --base {base} --output out -f && cmp out target",
                path.display()
            );
            world.sh(&script).ok();
        }
    }
    assert!(count > 0);
}

/// The same input gives the same package. When the format changes on purpose: add a file of another name, keep this one, and write
/// the new one with `DD_GENERATE=1 cargo test golden`.
#[test]
fn the_current_version_still_writes_its_package() {
    let world = world();
    world.package("gzip-base", "target", "p");
    let golden = project().join("tests/golden/0.1.delta");
    if std::env::var_os("DD_GENERATE").is_some() {
        fs::create_dir_all(project().join("tests/golden")).expect("tests/golden");
        fs::write(&golden, world.read("p")).expect("written");
    }
    assert_eq!(fs::read(golden).expect("the golden package"), world.read("p"));
}
