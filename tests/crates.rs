//! The crates form a chain: a stage uses only the stages before it.

use std::fs;

use crate::support::world::project;

/// First to last.
const CHAIN: [&str; 5] = ["inspect", "extract", "diff", "pack", "apply"];

/// The stages that a manifest depends on in any way, as its own lines name them.
fn used_by(manifest: &str) -> Vec<&'static str> {
    let named = |line: &str, stage: &str| {
        line.trim_start().trim_matches('"').starts_with(&format!("dd-{stage}"))
    };
    let lines: Vec<_> = manifest.lines().filter(|line| !line.starts_with("name")).collect();
    CHAIN.into_iter().filter(|stage| lines.iter().any(|line| named(line, stage))).collect()
}

#[test]
fn stages_use_only_those_before_them() {
    for (position, stage) in CHAIN.iter().enumerate() {
        let path = project().join(stage).join("Cargo.toml");
        let used = used_by(&fs::read_to_string(&path).expect("a manifest"));
        let allowed = &CHAIN[..position];
        let forbidden: Vec<_> = used.iter().filter(|used| !allowed.contains(used)).collect();
        assert!(forbidden.is_empty(), "{stage} must not use {forbidden:?}");
    }
}

#[test]
fn a_forbidden_edge_is_seen() {
    assert_eq!(used_by("[dependencies]\ndd-pack.workspace = true\n"), ["pack"]);
    assert_eq!(used_by("name = \"dd-pack\"\n[dependencies.x]\n"), Vec::<&str>::new());
    assert_eq!(used_by("[dependencies]\ndd-diff = { path = \"../diff\" }"), ["diff"]);
}
