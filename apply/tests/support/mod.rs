//! A small base, its successor, and the package between them, made by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use dd_apply::output::tar;
use dd_diff::program::{
    Choice, Coders, Literal, MemorySources, Nothing, PayloadWriter, WriterOptions,
};
use dd_extract::encoding::Encoding;
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::package::{
    BlobKind, ConfigRef, Content, FileLayout, Layer, Manifest, Part, Range, Recipe, Target,
};
use dd_inspect::record::Exact;
use dd_pack::container::{Blob, Container};
use serde_json::{Value, json};

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// An archive being written, with what a recipe needs to write it again.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    skeleton: Vec<u8>,
    parts: Vec<Part>,
    open: u64,
}

impl Archive {
    fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.skeleton.extend_from_slice(bytes);
        self.open += bytes.len() as u64;
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        self.raw(&tar::file(name, content.len() as u64));
        self.raw(content);
        self.raw(&tar::padding(content.len() as u64));
    }

    fn layer(&mut self, name: &str, content: &[u8], number: u32) {
        self.raw(&tar::file(name, content.len() as u64));
        self.bytes.extend_from_slice(content);
        self.parts.push(Part { bytes: self.open, layer: Some(number) });
        self.open = 0;
        self.raw(&tar::padding(content.len() as u64));
    }

    fn end(&mut self) {
        self.raw(&tar::end());
        self.parts.push(Part { bytes: self.open, layer: None });
    }
}

/// How the sample is made.
#[derive(Clone, Copy, Default)]
pub struct Shape {
    /// The target's layers are gzip files.
    pub gzip: bool,
    /// The target's file is gzip.
    pub whole: bool,
    /// The target has no manifest: an old docker-archive.
    pub old: bool,
    /// The package is a plain tar.
    pub plain: bool,
}

/// A directory with `base`, `target` and `package`.
pub struct World {
    dir: tempfile::TempDir,
    /// The digest of the target's manifest.
    pub manifest: Digest,
    /// The digest of the target's configuration.
    pub config: Digest,
    /// The content of the layer that base and target share.
    pub same: DiffId,
    /// The content of the base's layer that changes.
    pub old_layer: DiffId,
    /// The recipe of the package.
    pub recipe: Recipe,
    blobs: Vec<(BlobKind, Vec<u8>)>,
    plain: bool,
}

fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

fn config_of(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| DiffId::of(layer)).collect();
    let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
    serde_json::to_vec(
        &json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}),
    )
    .expect("JSON")
}

fn gzip() -> Encoding {
    let value = json!({"encoding": "gzip", "header": "1f8b08000000000000ff", "deflate": "zlib", "level": 6, "mem_level": 8});
    Encoding::parse(&value).expect("an encoding")
}

fn packed(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = gzip().encoder(Vec::new(), std::io::empty()).expect("an encoder");
    encoder.write_all(content).expect("encoded");
    encoder.finish().expect("encoded")
}

/// The program that makes `new` of `old`: its first half is copied.
fn program(old: &[u8], new: &[u8], spool_dir: &Path) -> Vec<u8> {
    let options = WriterOptions {
        choice: Choice {
            level: 3,
            coders: Coders::Quick,
            mixing: true,
            lzma: true,
            window_log: 20,
        },
        encoders: Arc::new(Nothing),
        spool_dir: spool_dir.to_owned(),
    };
    let bases = vec![(DiffId::of(old), old.len() as u64)];
    let mut writer = PayloadWriter::new(options, bases, MemorySources(vec![old.to_vec()]));
    let half = old.len() / 2;
    let source = writer.base(0).expect("a source");
    writer.copy(source, 0, half as u64).expect("a copy");
    writer.literal(Literal::Raw, &new[half..]).expect("literals");
    let mut payload = Vec::new();
    writer.finish(&mut payload).expect("a payload");
    payload
}

struct Documents(Vec<u8>);

impl Documents {
    fn add(&mut self, bytes: &[u8]) -> Range {
        let offset = self.0.len() as u64;
        self.0.extend_from_slice(bytes);
        Range { offset, len: bytes.len() as u64 }
    }
}

impl World {
    pub fn new(shape: Shape) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let same = noise(1, 100_000);
        let old = noise(2, 80_000);
        let new = [&old[..40_000], &noise(3, 30_000)].concat();
        std::fs::write(dir.path().join("base"), base(&[&same, &old])).expect("written");

        let stored: Vec<_> = [&same, &new]
            .map(|layer| if shape.gzip { packed(layer) } else { layer.clone() })
            .into();
        let config = config_of(&[&same, &new]);
        let manifest = manifest_of(&config, &stored, shape.gzip);
        let mut archive = Archive::default();
        archive.layer(&blob(&stored[0]), &stored[0], 0);
        archive.layer(&blob(&stored[1]), &stored[1], 1);
        archive.file(&blob(&config), &config);
        let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Digest::of(&manifest), "size": manifest.len(), "annotations": {"org.opencontainers.image.ref.name": "2"}}]});
        let index = serde_json::to_vec(&index).expect("JSON");
        if !shape.old {
            archive.file(&blob(&manifest), &manifest);
            archive.file("index.json", &index);
            archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        }
        let names: Vec<_> = stored.iter().map(|layer| blob(layer)).collect();
        let listed = json!([{"Config": blob(&config), "RepoTags": ["app:2"], "Layers": names}]);
        let listed = serde_json::to_vec(&listed).expect("JSON");
        archive.file("manifest.json", &listed);
        archive.end();

        let mut documents = Documents(Vec::new());
        let top = Manifest {
            digest: (!shape.old).then(|| Digest::of(&manifest)),
            document: (!shape.old).then(|| documents.add(&manifest)),
            size: None,
            media_type: None,
            platform: Some("linux/amd64".to_owned()),
            names: vec!["app:2".to_owned()],
            parent: None,
            config: Some(ConfigRef {
                digest: Digest::of(&config),
                document: Some(documents.add(&config)),
            }),
            layers: vec![0, 1],
            subject: None,
        };
        let index = (!shape.old).then(|| documents.add(&index));
        let docker_manifest = Some(documents.add(&listed));
        let skeleton = documents.add(&archive.skeleton).offset;
        let tar = archive.bytes;
        let file = if shape.whole { packed(&tar) } else { tar.clone() };
        std::fs::write(dir.path().join("target"), &file).expect("written");
        let layout = FileLayout {
            digest: Digest::of(&file),
            size: file.len() as u64,
            encoding: shape.whole.then(|| gzip().to_value()),
            corrections: None,
            tar_digest: shape.whole.then(|| Digest::of(&tar)),
            skeleton,
            parts: archive.parts,
        };
        let layer = |content: u32, stored: &[u8]| Layer {
            content: Some(content),
            digest: shape.gzip.then(|| Digest::of(stored)),
            size: shape.gzip.then_some(stored.len() as u64),
            media_type: None,
            encoding: shape.gzip.then(|| gzip().to_value()),
            corrections: None,
            form: None,
            document: None,
            gap: false,
        };
        let content = |bytes: &[u8], payload, sources| Content {
            diff_id: DiffId::of(bytes),
            size: bytes.len() as u64,
            payload,
            sources,
        };
        let recipe = Recipe {
            version: 1,
            requires: Vec::new(),
            memory: 16 << 20,
            scratch: 0,
            documents: documents.0.len() as u64,
            contents: vec![
                content(&same, None, Vec::new()),
                content(&new, Some(2), vec![DiffId::of(&old)]),
            ],
            layers: vec![layer(0, &stored[0]), layer(1, &stored[1])],
            targets: vec![Target {
                transport: "docker-archive".to_owned(),
                exact: Exact::File,
                names: vec!["app:2".to_owned()],
                digest: (!shape.old).then(|| Digest::of(&manifest)),
                index,
                docker_manifest,
                manifests: vec![top],
                file: Some(layout),
            }],
        };
        let payload = program(&old, &new, dir.path());
        let world = Self {
            manifest: Digest::of(&manifest),
            config: Digest::of(&config),
            same: DiffId::of(&same),
            old_layer: DiffId::of(&old),
            recipe,
            blobs: vec![(BlobKind::Documents, documents.0), (BlobKind::Program, payload)],
            plain: shape.plain,
            dir,
        };
        world.pack("package", &world.recipe);
        world
    }

    /// Writes a package with another recipe.
    pub fn pack(&self, name: &str, recipe: &Recipe) {
        let json = serde_json::to_vec(recipe).expect("JSON");
        let mut blobs = vec![Blob::of(BlobKind::Recipe, json)];
        blobs.extend(self.blobs.iter().map(|(kind, bytes)| Blob::of(*kind, bytes.clone())));
        let container = Container::new(blobs, None).expect("a package");
        let file = std::fs::File::create(self.path(name)).expect("a file");
        container.write(file, self.plain).expect("written");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Everything in the directory, by name, but what the world began with.
    pub fn made(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).expect("a directory");
        let names =
            entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
        let first = ["base", "target", "package", "store"];
        let mut names: Vec<_> = names.filter(|name| !first.contains(&name.as_str())).collect();
        names.sort();
        names
    }

    /// Runs dd-apply in the directory; words are cut at spaces.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dd-apply"));
        command.current_dir(self.dir.path()).args(words.split_whitespace());
        command.env("DD_STORE", self.path("store")).env("TMPDIR", self.dir.path());
        command.stdin(std::process::Stdio::null());
        command
    }

    pub fn apply(&self, words: &str) -> Run {
        Run(self.command(words).output().expect("dd-apply runs"), words.to_owned())
    }
}

fn manifest_of(config: &[u8], stored: &[Vec<u8>], gzip: bool) -> Vec<u8> {
    let media_type = if gzip { "+gzip" } else { "" };
    let layers: Vec<_> = stored
        .iter()
        .map(|layer| {
            json!({"mediaType": format!("application/vnd.oci.image.layer.v1.tar{media_type}"),
            "digest": Digest::of(layer), "size": layer.len()})
        })
        .collect();
    let value = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(config), "size": config.len()},
        "layers": layers});
    serde_json::to_vec(&value).expect("JSON")
}

/// A docker-archive of an old kind.
fn base(layers: &[&[u8]]) -> Vec<u8> {
    let config = config_of(layers);
    let mut archive = Archive::default();
    let names: Vec<_> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    for (n, layer) in layers.iter().enumerate() {
        archive.file(&names[n], layer);
    }
    let name = format!("{}.json", Digest::of(&config).hex());
    archive.file(&name, &config);
    let listed = json!([{"Config": name, "RepoTags": ["app:1"], "Layers": names}]);
    archive.file("manifest.json", &serde_json::to_vec(&listed).expect("JSON"));
    archive.end();
    archive.bytes
}

/// What a run of the program came to.
pub struct Run(Output, String);

impl Run {
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.0.status.success(), "{}: {}", self.1, self.stderr());
        self
    }

    /// One line on stderr that has these words, and this exit code.
    #[track_caller]
    pub fn fails(self, exit: i32, words: &str) -> Self {
        let stderr = self.stderr();
        assert_eq!(self.0.status.code(), Some(exit), "{}: {stderr}", self.1);
        assert!(stderr.contains(words) && stderr.lines().count() == 1, "{}: {stderr}", self.1);
        self
    }

    /// The record of this type on stdout.
    #[track_caller]
    pub fn record(&self, kind: &str) -> Value {
        let text = String::from_utf8_lossy(&self.0.stdout);
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut records = records.filter(|record| record["type"] == kind);
        records.next().unwrap_or_else(|| panic!("no {kind} in {text}"))
    }
}
