//! Against real parts: a Docker daemon, containerd, a registry, containers-storage. scripts/services.sh starts them; a test that finds none
//! is skipped, and fails in CI.

mod client;
mod containerd;
mod daemon;
mod pipeline;
mod registry;
mod storage;

use std::sync::atomic::{AtomicU32, Ordering};

use dd_inspect::child::RegistryOptions;
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::store::Store;

use crate::support::image::Image;
use crate::support::world::World;

/// What a variable of scripts/services.sh says.
fn service(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|value| !value.is_empty());
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(found.is_some() || !ci, "{variable} is not set: run scripts/check");
    if found.is_none() {
        eprintln!("skipped: no {variable}");
    }
    found
}

/// A name that no other test uses.
fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("dd-test/{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn store(world: &World) -> Store {
    Store::open(Some(&world.store())).expect("a store")
}

/// The registry of the tests speaks plain HTTP.
fn plain_http() -> RegistryOptions {
    RegistryOptions { tls_verify: Some(false), ..RegistryOptions::default() }
}

fn diff_ids(image: &Image) -> Vec<DiffId> {
    image.layers.iter().map(|layer| DiffId::of(layer)).collect()
}

fn config_digest(image: &Image) -> Digest {
    Digest::of(&image.config())
}
