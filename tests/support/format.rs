//! Images written to files in the shapes that tools give them.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::image::Image;
use super::world::sha256;

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed {
    No,
    Gzip(u32),
    Zstd(i32),
    /// zstd whose check sum lies.
    ZstdDamaged,
    /// zstd with a window of 256 MiB, which nobody needs.
    ZstdWide,
    /// Not what layers are compressed with, by the first bytes.
    Xz,
    /// As eStargz has it: many gzip members, the last of which has no content but a field in its header.
    Members,
    /// gzip whose trailer lies, and bytes after it.
    Damaged,
    /// gzip without its trailer: all content is there, the member is not whole.
    Cut,
}

/// Content of a member, where there are many.
const MEMBER: usize = 10_000;
/// Of an eStargz footer: the field that has the place of the table of contents; then what a member without content has.
const FOOTER: &[u8] = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\x000000000000012345STARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0\0";

impl Pressed {
    pub fn bytes(self, tar: &[u8]) -> Vec<u8> {
        match self {
            Self::No => tar.to_vec(),
            Self::Gzip(level) => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
                gzip.write_all(tar).and_then(|()| gzip.finish()).expect("gzip in memory")
            }
            Self::Zstd(level) => zstd::encode_all(tar, level).expect("zstd in memory"),
            Self::ZstdDamaged => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("zstd in memory");
                encoder.include_checksum(true).expect("an option");
                let frame = encoder.write_all(tar).and_then(|()| encoder.finish());
                let mut frame = frame.expect("zstd in memory");
                *frame.last_mut().expect("a check sum") ^= 1;
                frame
            }
            Self::ZstdWide => {
                // A frame's header (RFC 8878, section 3.1.1.1), then raw blocks.
                let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (28 - 10) << 3];
                let count = tar.chunks(100_000).len();
                for (number, block) in tar.chunks(100_000).enumerate() {
                    let header = (block.len() as u32) << 3 | u32::from(number + 1 == count);
                    frame.extend_from_slice(&header.to_le_bytes()[..3]);
                    frame.extend_from_slice(block);
                }
                frame
            }
            Self::Xz => [b"\xfd7zXZ\0", tar].concat(),
            Self::Members => {
                let members = tar.chunks(MEMBER).flat_map(|piece| Self::Gzip(9).bytes(piece));
                members.chain(FOOTER.iter().copied()).collect()
            }
            Self::Damaged => {
                let mut gzip = Self::Gzip(6).bytes(tar);
                let trailer = gzip.len() - 8;
                gzip[trailer..].iter_mut().for_each(|byte| *byte ^= 0x55);
                gzip.extend_from_slice(b"no member");
                gzip
            }
            Self::Cut => {
                let mut gzip = Self::Gzip(6).bytes(tar);
                gzip.truncate(gzip.len() - 8);
                gzip
            }
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::No => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip(_) | Self::Members | Self::Damaged | Self::Cut => {
                "application/vnd.oci.image.layer.v1.tar+gzip"
            }
            Self::Zstd(_) | Self::ZstdDamaged | Self::ZstdWide | Self::Xz => {
                "application/vnd.oci.image.layer.v1.tar+zstd"
            }
        }
    }
}

/// The shape of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `docker save` before version 25: `ID/layer.tar`, `ID.json`, `manifest.json`; no manifest of the image.
    Docker,
    /// `docker save` since 25: an OCI layout and `manifest.json` at once.
    DockerOci(Pressed),
    /// As containerd exports: the same with an index inside the index.
    Nested(Pressed),
    /// An OCI layout in a tar.
    Oci(Pressed),
}

/// The members of an archive or the files of a directory, in order.
pub type Files = Vec<(String, Vec<u8>)>;

impl Shape {
    /// The archive with these images.
    pub fn archive(self, images: &[&Image]) -> Vec<u8> {
        tar_of(&self.files(images))
    }

    /// The same as a directory; `oci-layout` is spelled as skopeo writes it, and dd-apply.
    pub fn directory(self, images: &[&Image], dir: &Path) {
        for (name, mut bytes) in self.files(images) {
            if name == "oci-layout" {
                bytes = br#"{"imageLayoutVersion": "1.0.0"}"#.to_vec();
            }
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(path, bytes).expect("a file");
        }
    }

    fn files(self, images: &[&Image]) -> Files {
        match self {
            Self::Docker => docker(images),
            Self::DockerOci(pressed) => layout(images, pressed, false, true),
            Self::Nested(pressed) => layout(images, pressed, true, true),
            Self::Oci(pressed) => layout(images, pressed, false, false),
        }
    }
}

/// A tar with these files, as archives of images have them.
pub fn tar_of(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes.as_slice()).expect("a member");
    }
    tar.into_inner().expect("a tar in memory")
}

fn hex_of(digest: &str) -> &str {
    digest.strip_prefix("sha256:").expect("a digest")
}

fn blob(files: &mut Files, bytes: Vec<u8>) -> (String, usize) {
    let digest = sha256(&bytes);
    let name = format!("blobs/sha256/{}", hex_of(&digest));
    let size = bytes.len();
    if !files.iter().any(|(known, _)| *known == name) {
        files.push((name, bytes));
    }
    (digest, size)
}

fn docker(images: &[&Image]) -> Files {
    let mut files = Files::new();
    let mut manifest = Vec::new();
    for image in images {
        let config = image.config();
        let mut layers = Vec::new();
        for (position, layer) in image.layers.iter().enumerate() {
            let id = sha256(format!("{position} {}", sha256(layer)).as_bytes());
            let name = format!("{}/layer.tar", hex_of(&id));
            if !files.iter().any(|(known, _)| *known == name) {
                files.push((format!("{}/VERSION", hex_of(&id)), b"1.0".to_vec()));
                files.push((name.clone(), layer.clone()));
            }
            layers.push(name);
        }
        let name = format!("{}.json", hex_of(&sha256(&config)));
        manifest.push(json!({"Config": name, "RepoTags": [image.name], "Layers": layers}));
        files.push((name, config));
    }
    files.push(("manifest.json".to_owned(), Value::from(manifest).to_string().into_bytes()));
    files
}

fn layout(images: &[&Image], pressed: Pressed, nested: bool, docker: bool) -> Files {
    let mut files = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    let mut index = Vec::new();
    let mut manifest_json = Vec::new();
    for image in images {
        let (mut descriptor, entry) = manifest(&mut files, image, pressed);
        if nested {
            let inner = index_of(vec![descriptor]);
            let (digest, size) = blob(&mut files, inner);
            descriptor = json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": size});
        }
        let tag = image.name.rsplit(':').next().unwrap_or_default();
        descriptor["annotations"] = json!({"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": tag});
        index.push(descriptor);
        manifest_json.push(entry);
    }
    files.push(("index.json".to_owned(), index_of(index)));
    if docker {
        files.push((
            "manifest.json".to_owned(),
            Value::from(manifest_json).to_string().into_bytes(),
        ));
    }
    files
}

fn index_of(manifests: Vec<Value>) -> Vec<u8> {
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests});
    index.to_string().into_bytes()
}

/// Adds an image's blobs; returns its descriptor and its entry of `manifest.json`.
fn manifest(files: &mut Files, image: &Image, pressed: Pressed) -> (Value, Value) {
    let (config_digest, config_size) = blob(files, image.config());
    let mut layers = Vec::new();
    let mut paths = Vec::new();
    for tar in &image.layers {
        let (digest, size) = blob(files, pressed.bytes(tar));
        paths.push(format!("blobs/sha256/{}", hex_of(&digest)));
        layers.push(json!({"mediaType": pressed.media_type(), "digest": digest, "size": size}));
    }
    let document = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config_digest,
            "size": config_size,
        },
        "layers": layers,
    });
    let (digest, size) = blob(files, document.to_string().into_bytes());
    let descriptor = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": size,
        "platform": {"os": image.platform.0, "architecture": image.platform.1},
    });
    let config = format!("blobs/sha256/{}", hex_of(&config_digest));
    (descriptor, json!({"Config": config, "RepoTags": [image.name], "Layers": paths}))
}
