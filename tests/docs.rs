//! What the documents show works as shown.

use std::fs;

use crate::support::format::{Pressed, Shape};
use crate::support::image::{Image, versions};
use crate::support::world::{World, have, project};

/// The code blocks of a language in a document.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(project().join(document)).expect(document);
    let fence = format!("```{language}\n");
    let blocks =
        text.split(&fence).skip(1).map(|block| block.split("```").next().unwrap_or_default());
    blocks.map(str::to_owned).collect()
}

/// The files that the documents speak of.
fn world() -> World {
    let (one, two) = versions();
    let (db_one, db_two) = (
        Image::new("db:1").layer("noise db 8 50000"),
        Image::new("db:2").layer("noise db 8 50000 2"),
    );
    let world = World::new();
    let shape = Shape::DockerOci(Pressed::Gzip(6));
    for (name, image) in [("app-1", &one), ("app-2", &two), ("db-1", &db_one), ("db-2", &db_two)] {
        world.write(&format!("{name}.tar"), shape.archive(&[image]));
    }
    world
}

#[test]
fn the_first_lines_of_the_readme_work() {
    let world = world();
    world.sh(&format!("set -e\n{}", blocks("README.md", "sh")[0])).ok();
    world.sh("cmp app-2.tar app-2-rebuilt.tar").ok();
}

#[test]
fn the_one_liners_of_the_readme_answer() {
    if !have(&["jq"]) {
        return;
    }
    let world = world();
    let text = blocks("README.md", "sh")
        .into_iter()
        .find(|block| block.contains("jq"))
        .expect("one-liners");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() >= 5);
    let answers = lines.iter().map(|line| world.sh(line).ok().text()).collect::<Vec<_>>();
    assert_eq!(answers[0].lines().count(), 2, "{}", answers[0]);
    assert_eq!(answers[1], "linux/amd64\n");
    assert_eq!(answers[2].lines().count(), 1, "{}", answers[2]);
    assert!(answers[3].lines().any(|line| line == "90000 lib/libc.so"), "{}", answers[3]);
    assert!(answers[4].lines().any(|line| line.ends_with("modified app/main")), "{}", answers[4]);
}

#[test]
fn the_recipes_work() {
    if !have(&["jq"]) {
        return;
    }
    let world = world();
    world.package("app-1.tar", "app-2.tar", "app-1-2.delta");
    for recipe in blocks("docs/recipes.md", "sh") {
        world.sh(&format!("set -e\n{recipe}")).ok();
    }
    world.sh("cmp trusted.tar app-2.tar && cmp piped.tar app-2.tar").ok();
    world.sh("dd-apply filtered.delta --base app-1.tar --output f.tar && cmp f.tar app-2.tar").ok();
    world
        .sh("dd-apply bundle.delta --base app-1.tar --base db-1.tar --output oci-archive:both.tar")
        .ok();
}

#[test]
fn the_makefile_keeps_packages_up_to_date() {
    if !have(&["make"]) {
        return;
    }
    let world = world();
    let (_, two) = versions();
    let three = two.layer("prose app/more 9 20000");
    world.write("app-3.tar", Shape::DockerOci(Pressed::Gzip(6)).archive(&[&three]));
    world.write("Makefile", &blocks("docs/recipes.md", "make")[0]);
    world.sh("make -j2").ok();
    for base in ["app-1", "app-2"] {
        world.sh(&format!("dd-apply {base}.delta --base {base}.tar --output out.tar -f && cmp out.tar app-3.tar")).ok();
    }
    let again = world.sh("make -j2").ok();
    assert!(again.text().contains("Nothing to be done"), "{}", again.text());
    world.write("app-0.tar", "no image");
    let failed = world.sh("make -j2");
    assert_ne!(failed.status, Some(0));
    assert!(!world.path("app-0.delta").exists());
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/records.md",
        "docs/recipes.md",
    ] {
        let path = project().join(document);
        let text = fs::read_to_string(&path).expect(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let there = file.starts_with("https://")
                || path.parent().is_some_and(|dir| dir.join(file).exists());
            assert!(there, "{document}: {link}");
        }
    }
}
