//! Archives that are written anew: docker-archive in the shape of Docker 29, oci-archive.

use std::collections::BTreeSet;

use dd_inspect::digest::Digest;
use dd_inspect::fail;
use dd_inspect::package::{Range, Recipe};

use super::images::{Images, content_of};
use super::index::{Naming, OCI_LAYOUT, blob_name, docker_manifest, index_json};
use super::plan::{Part, Plan};
use super::tar;
use crate::rebuild::Piece;

/// What kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An OCI layout and a docker-archive at once.
    Docker,
    /// A docker-archive with uncompressed layers, without an OCI index.
    DockerPlain,
    /// An OCI layout.
    Oci,
}

/// The archive of these images. `index` is an `index.json` to be taken as it is.
///
/// Layers come first, what names them after them. Layers with a digest among `omitted` are left out.
///
/// # Errors
/// `usage` if the images cannot be written so.
pub fn plan(
    images: &Images,
    kind: Kind,
    recipe: &Recipe,
    index: Option<Range>,
    omitted: &BTreeSet<Digest>,
) -> anyhow::Result<Plan> {
    let mut tar = Tar { plan: Plan::default(), recipe };
    tar.plan.parts.push(Part::Bytes(tar::directory("blobs/")));
    tar.plan.parts.push(Part::Bytes(tar::directory("blobs/sha256/")));
    if kind == Kind::DockerPlain {
        plain(images, &mut tar, omitted)?;
    } else {
        let layers = images.layers.iter().filter(|(digest, _)| !omitted.contains(digest));
        for (digest, part) in layers.chain(&images.documents) {
            tar.file(&blob_name(digest), part.clone())?;
        }
        tar.file("oci-layout", Part::Bytes(OCI_LAYOUT.to_vec()))?;
        let naming = if kind == Kind::Oci { Naming::Layout } else { Naming::Docker };
        let index = match index {
            Some(range) => Part::Document(range),
            None => Part::Bytes(index_json(images, naming)?),
        };
        tar.file("index.json", index)?;
    }
    if kind != Kind::Oci {
        let manifest = docker_manifest(&images.docker, recipe, kind == Kind::DockerPlain)?;
        tar.file("manifest.json", Part::Bytes(manifest))?;
    }
    tar.plan.parts.push(Part::Bytes(tar::end()));
    Ok(tar.plan)
}

fn plain(images: &Images, tar: &mut Tar<'_>, omitted: &BTreeSet<Digest>) -> anyhow::Result<()> {
    if images.docker.is_empty() {
        fail!(
            Usage,
            "the package has no image with a configuration and layers, which --uncompressed writes"
        );
    }
    let mut seen = omitted.clone();
    for number in images.docker.iter().flat_map(|image| &image.layers) {
        let Some((content, diff_id)) = content_of(tar.recipe, *number) else {
            fail!(
                Usage,
                "layer {number} of the package is no layer of files, it cannot be written uncompressed"
            );
        };
        if seen.insert(diff_id.into()) {
            tar.file(&blob_name(&diff_id.into()), Part::Piece(Piece::Content(content)))?;
        }
    }
    for image in &images.docker {
        let config = images.documents.iter().find(|(digest, _)| *digest == image.config);
        if let Some((digest, part)) = config.filter(|_| seen.insert(image.config)) {
            tar.file(&blob_name(digest), part.clone())?;
        }
    }
    Ok(())
}

struct Tar<'a> {
    plan: Plan,
    recipe: &'a Recipe,
}

impl Tar<'_> {
    fn file(&mut self, name: &str, content: Part) -> anyhow::Result<()> {
        let size = content.size(self.recipe)?;
        let padding = tar::padding(size);
        let parts = [Part::Bytes(tar::file(name, size)), content, Part::Bytes(padding)];
        self.plan.parts.extend(parts);
        Ok(())
    }
}
