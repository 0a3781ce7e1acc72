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

/// Makes the package of a new version, when asked to (`DD_GENERATE`). One that is there is never written again.
fn add(world: &World) {
    let version = env!("CARGO_PKG_VERSION").rsplit_once('.').expect("a version").0;
    let golden = project().join(format!("tests/golden/{version}.delta"));
    if std::env::var_os("DD_GENERATE").is_some() && !golden.exists() {
        world.package("gzip-base", "target", "p");
        fs::write(golden, world.read("p")).expect("written");
    }
}

#[test]
fn packages_of_every_version_apply() {
    let world = world();
    add(&world);
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
