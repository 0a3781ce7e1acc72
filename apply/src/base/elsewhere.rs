//! Bases that are no files: a daemon asked for diff_ids alone, a registry's layers fetched when they are needed.

use std::collections::{BTreeMap, BTreeSet};

use dd_inspect::child::RegistryOptions;
use dd_inspect::digest::Digest;
use dd_inspect::elsewhere::{daemon, fetch_layers};
use dd_inspect::image::Reference;
use dd_inspect::record::{Layer, Location};
use dd_inspect::store::Store;

use super::{BaseImage, Bases};
use crate::elsewhere::daemon::by_client;
use crate::rebuild::Work;
use crate::rebuild::work::Way;

/// What the Docker daemon says of a base, without fetching it: enough for `--check`. None for other references.
///
/// # Errors
/// `not-found`, `missing-program`, `helper-failed`.
pub fn look(reference: &Reference, store: &Store) -> anyhow::Result<Option<BaseImage>> {
    let reference = &reference.given();
    let Some(name) = reference.strip_prefix("docker-daemon:").filter(|_| by_client()) else {
        return Ok(None);
    };
    let image = daemon::look(name, store)?;
    let layer = |diff_id| Layer {
        image: reference.to_owned(),
        manifest: 0,
        position: 0,
        digest: None,
        media_type: None,
        diff_id,
        opaque: false,
        size: None,
        compression: None,
        location: Some(Location::Reference {
            reference: reference.to_owned(),
            digest: diff_id.into(),
        }),
        gap: false,
        in_base: None,
    };
    let layers = image.diff_ids.into_iter().map(layer).collect();
    Ok(Some(BaseImage { reference: reference.to_owned(), layers }))
}

impl Bases {
    /// Whether some layers are not on this machine.
    pub fn is_elsewhere(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer.location, Location::Reference { .. }))
    }

    /// Fetches the layers that the work reads and that are not on this machine.
    ///
    /// # Errors
    /// `missing-program`, `helper-failed`, `digest-mismatch`.
    pub fn fetch(
        &mut self,
        work: &Work,
        options: &RegistryOptions,
        store: &Store,
    ) -> anyhow::Result<()> {
        let contents = work.readers.keys().filter_map(|diff_id| self.by_content.get(diff_id));
        let blobs = work.ways.iter().filter_map(|way| match way {
            Way::Base(digest) => self.by_digest.get(digest),
            _ => None,
        });
        let needed: BTreeSet<usize> = contents.chain(blobs).copied().collect();
        let mut wanted: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
        for layer in needed.iter().filter_map(|n| self.layers.get(*n)) {
            if let Location::Reference { reference, digest } = &layer.location {
                wanted.entry(reference.clone()).or_default().push(*digest);
            }
        }
        for (reference, digests) in wanted {
            let fetched = fetch_layers(&reference, &digests, options, store)?;
            for layer in &mut self.layers {
                let Location::Reference { digest, .. } = &layer.location else { continue };
                if let Some(range) = fetched.get(digest) {
                    layer.location = range.location();
                }
            }
        }
        Ok(())
    }
}
