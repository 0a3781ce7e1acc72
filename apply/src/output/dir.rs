//! `dir:DIR`: skopeo's directory transport (containers/image, docs/containers-transports.5.md).

use dd_inspect::digest::Digest;
use dd_inspect::fail;

use super::images::Images;
use super::plan::Part;
use super::tree::Tree;

/// What skopeo writes into the file `version`.
const VERSION: &[u8] = b"Directory Transport Version: 1.1\n";

/// The files of such a directory. An index is its `manifest.json`, and the manifests that it names lie beside it.
///
/// # Errors
/// `usage` if there is more than one image.
pub fn tree(images: &Images) -> anyhow::Result<Tree> {
    let [top] = &images.tops[..] else {
        fail!(Usage, "a dir: directory holds one image, the package has {}", images.tops.len();
            "choose one with --image NAME|DIGEST");
    };
    let mut files: Vec<_> =
        images.layers.iter().map(|(digest, part)| (digest.hex(), part.clone())).collect();
    let mut manifest = None;
    for (digest, part) in &images.documents {
        if *digest == top.digest {
            manifest = Some(part.clone());
        } else {
            files.push((name(images, digest), part.clone()));
        }
    }
    let Some(manifest) = manifest else {
        fail!(PackageCorrupt, "the package lacks the document {}", top.digest);
    };
    let version = ("version".to_owned(), Part::Bytes(VERSION.to_vec()));
    Ok(Tree { files, last: vec![version, ("manifest.json".to_owned(), manifest)] })
}

fn name(images: &Images, digest: &Digest) -> String {
    if images.manifests.contains(digest) {
        format!("{}.manifest.json", digest.hex())
    } else {
        digest.hex()
    }
}
