//! A small package for tests, written independently of the writer in dd-pack.

use serde_json::{Value, json};

use super::{ARTIFACT_TYPE, BlobKind};
use crate::digest::{DiffId, Digest};

/// What a package is made of.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) artifact_type: String,
    pub(super) blobs: Vec<(String, Vec<u8>)>,
}

pub(super) const PROGRAM: &[u8] = b"\x8fDDP\r\n\x1a\n\x01 program";
pub(super) const LAYER: &[u8] = b"the uncompressed layer";

impl Sample {
    /// One image with one layer that is made from a base's layer, as an OCI archive.
    pub(super) fn new() -> Self {
        let manifest = br#"{"layers":[]}"#;
        let config = br#"{"rootfs":{}}"#;
        let documents = [&b"HEAD"[..], manifest, config, b"TAIL"].concat();
        let recipe = json!({
            "version": 1,
            "memory": 1000,
            "documents": documents.len(),
            "contents": [{
                "diff_id": DiffId::of(LAYER), "size": LAYER.len(), "payload": 2,
                "sources": [DiffId::of(b"base")],
            }],
            "layers": [{ "content": 0, "media_type": "application/vnd.oci.image.layer.v1.tar" }],
            "targets": [{
                "transport": "oci-archive", "exact": "file", "names": ["app:2"],
                "digest": Digest::of(manifest),
                "manifests": [{
                    "digest": Digest::of(manifest), "document": [4, manifest.len()],
                    "config": { "digest": Digest::of(config), "document": [4 + manifest.len(), config.len()] },
                    "layers": [0],
                }],
                "file": {
                    "digest": Digest::of(b"file"), "size": documents.len() + LAYER.len(), "skeleton": 0,
                    "parts": [[documents.len() - 4, 0], [4]],
                },
            }],
        });
        let blob = |kind: BlobKind, bytes: &[u8]| (kind.media_type().to_owned(), bytes.to_vec());
        Self {
            artifact_type: ARTIFACT_TYPE.to_owned(),
            blobs: vec![
                blob(BlobKind::Recipe, recipe.to_string().as_bytes()),
                blob(BlobKind::Documents, &documents),
                blob(BlobKind::Program, PROGRAM),
                blob(BlobKind::Changes, b"{}\n"),
            ],
        }
    }

    pub(super) fn recipe(&self) -> Value {
        serde_json::from_slice(&self.blobs[0].1).unwrap()
    }

    /// The members of the tar, in the order that dd-pack writes.
    pub(super) fn members(&self) -> Vec<(String, Vec<u8>)> {
        let descriptor = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len() });
        let layers: Vec<_> =
            self.blobs.iter().map(|(media_type, bytes)| descriptor(media_type, bytes)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": self.artifact_type,
            "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
            "layers": layers,
        })
        .to_string()
        .into_bytes();
        let index = json!({
            "schemaVersion": 2,
            "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", &manifest)],
        });
        let name = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
        let mut members = vec![
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            ("index.json".to_owned(), index.to_string().into_bytes()),
            (name(&manifest), manifest),
            (name(b"{}"), b"{}".to_vec()),
        ];
        members.extend(self.blobs.iter().map(|(_, bytes)| (name(bytes), bytes.clone())));
        members
    }

    pub(super) fn plain(&self) -> Vec<u8> {
        tar_of(self.members())
    }

    pub(super) fn framed(&self) -> Vec<u8> {
        zstd::encode_all(&self.plain()[..], 3).unwrap()
    }

    /// Where the bytes of blobs lie in the plain tar.
    pub(super) fn content_offsets(&self, tar: &[u8]) -> Vec<usize> {
        let mut at = 0;
        let mut offsets = Vec::new();
        for (name, content) in self.members() {
            assert_eq!(&tar[at..at + name.len()], name.as_bytes());
            at += 512;
            if name.starts_with("blobs/") {
                offsets.extend(at..at + content.len());
            }
            at += content.len().next_multiple_of(512);
        }
        offsets
    }
}

pub(super) fn tar_of(members: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, &content[..]).unwrap();
    }
    tar.into_inner().unwrap()
}
