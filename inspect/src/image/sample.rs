//! Images for tests, put together file by file.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::digest::Digest;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The files of an archive or a directory, in order; `NAME -> TARGET` is a symbolic link.
#[derive(Debug, Clone, Default)]
pub struct Files(pub Vec<(String, Vec<u8>)>);

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The configuration of an image whose layers have this content.
pub fn config(architecture: &str, layers: &[&str]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer.as_bytes())).collect();
    let history: Vec<Value> = layers.iter().map(|_| json!({})).collect();
    json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history})
        .to_string()
        .into_bytes()
}

pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}

/// A value with more fields.
pub fn with(mut value: Value, more: &Value) -> Value {
    for (key, field) in more.as_object().unwrap() {
        value[key] = field.clone();
    }
    value
}

/// The bytes of a manifest of gzip layers.
pub fn manifest(architecture: &str, layers: &[&str]) -> Vec<u8> {
    let layers_json: Vec<Value> = layers
        .iter()
        .map(|layer| descriptor(&format!("{LAYER}+gzip"), &gzip(layer.as_bytes())))
        .collect();
    let config = descriptor(CONFIG, &config(architecture, layers));
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers_json})
        .to_string()
        .into_bytes()
}

pub fn index(manifests: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string().into_bytes()
}

impl Files {
    pub fn add(&mut self, name: &str, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.0.push((name.to_owned(), bytes.into()));
        self
    }

    pub fn remove(&mut self, bytes: &[u8]) -> &mut Self {
        let name = blob_name(bytes);
        self.0.retain(|(found, _)| *found != name);
        self
    }

    pub fn blob(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        let bytes = bytes.into();
        let name = blob_name(&bytes);
        if !self.0.iter().any(|(found, _)| *found == name) {
            self.add(&name, bytes);
        }
        self
    }

    /// The blobs of an image with gzip layers, its manifest too; gives the manifest's descriptor.
    pub fn image(&mut self, architecture: &str, layers: &[&str]) -> Value {
        for layer in layers {
            self.blob(gzip(layer.as_bytes()));
        }
        let bytes = manifest(architecture, layers);
        self.blob(config(architecture, layers)).blob(bytes.clone());
        with(
            descriptor(MANIFEST, &bytes),
            &json!({"platform": {"os": "linux", "architecture": architecture}}),
        )
    }

    pub fn layout(&mut self, entries: &[Value]) -> &mut Self {
        self.add("index.json", index(entries))
            .add("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    pub fn tar(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in &self.0 {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o644);
            if let Some((name, to)) = name.split_once(" -> ") {
                header.set_size(0);
                header.set_entry_type(tar::EntryType::Symlink);
                tar.append_link(&mut header, name, to).unwrap();
            } else {
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
            }
        }
        tar.into_inner().unwrap()
    }

    pub fn write(&self, directory: &Path) {
        for (name, bytes) in &self.0 {
            let path = directory.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

/// An archive as Docker before 25 saves it: two images, the second on the first, whose layer is a link.
pub fn old_docker() -> Files {
    let mut files = Files::default();
    let (one, two) = (config("amd64", &["a"]), config("amd64", &["a", "b"]));
    let name = |config: &[u8]| format!("{}.json", Digest::of(config).hex());
    files.add(&name(&one), one.clone()).add(&name(&two), two.clone());
    files.add("1/VERSION", "1.0").add("1/json", "{}").add("1/layer.tar", "a");
    files
        .add("2/layer.tar -> ../1/layer.tar", "")
        .add("3/layer.tar", "b")
        .add("repositories", "{}");
    let entry = |config: &[u8], tag: &str, layers: &[&str]| json!({"Config": name(config), "RepoTags": [tag], "Layers": layers});
    let manifest = json!([
        entry(&one, "app:1", &["1/layer.tar"]),
        entry(&two, "app:2", &["2/layer.tar", "3/layer.tar"])
    ]);
    files.add("manifest.json", manifest.to_string());
    files
}

/// An archive as Docker 29 and containerd save it: an index inside the index, gzip layers, an attestation.
pub fn containerd() -> Files {
    let mut files = Files::default();
    let amd64 = files.image("amd64", &["a", "b"]);
    let arm64 = files.image("arm64", &["c"]);
    let statement = br#"{"predicate":{}}"#;
    let about = json!({"vnd.docker.reference.digest": amd64["digest"], "vnd.docker.reference.type": "attestation-manifest"});
    let attestation_config = br#"{"os":"unknown","architecture":"unknown"}"#;
    let attestation = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, attestation_config),
        "layers": [descriptor("application/vnd.in-toto+json", statement)],
    });
    let attestation = attestation.to_string().into_bytes();
    files.blob(statement.to_vec()).blob(attestation_config.to_vec()).blob(attestation.clone());
    let attestation = with(
        descriptor(MANIFEST, &attestation),
        &json!({"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": about}),
    );
    let inner = index(&[amd64, arm64, attestation]);
    files.blob(inner.clone());
    let names = json!({"annotations": {"io.containerd.image.name": "docker.io/library/app:2", "org.opencontainers.image.ref.name": "2"}});
    files.layout(&[with(descriptor(INDEX, &inner), &names)]);
    let blob = |bytes: &[u8]| blob_name(bytes);
    let layers = [blob(&gzip(b"a")), blob(&gzip(b"b"))];
    let entry = json!([{"Config": blob(&config("amd64", &["a", "b"])), "RepoTags": ["app:2"], "Layers": layers}]);
    files.add("manifest.json", entry.to_string());
    files
}
