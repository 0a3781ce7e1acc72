//! Images as the stages before dd-pack describe them: an archive file in a directory, and its records.

use std::path::{Path, PathBuf};

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::ndjson::Line;
use dd_inspect::range::FileRange;
use dd_inspect::record::{
    Archive, Blob, Compression, Config, Delta, Exact, Image, Layer, Location, Manifest, Member,
    Record, RecordPath, Role,
};
use dd_inspect::store::Store;
use dd_pack::gather::Gathered;
use tempfile::TempDir;

/// A delta program without ops: its head alone, with these sources.
pub fn program(sources: &[DiffId], end: &[u8]) -> Vec<u8> {
    let mut head = vec![0, sources.len() as u8];
    sources.iter().for_each(|source| head.extend(source.as_bytes()));
    // Length, units, ops, kept objects, slots, memory, scratch, work.
    head.extend([0; 8]);
    [b"\x8fDDP\r\n\x1a\n\x01", &[head.len() as u8][..], &head, end].concat()
}

/// A member of an archive.
pub enum Content<'a> {
    File(&'a [u8]),
    Link(&'a str),
}

/// Stored bytes, their encoding and its corrections.
pub type Coded<'a> = (&'a [u8], serde_json::Value, Option<&'a [u8]>);

pub struct World {
    pub directory: TempDir,
    pub records: Vec<Record>,
}

impl World {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), records: Vec::new() }
    }

    pub fn store(&self) -> Store {
        Store::open(Some(&self.directory.path().join("store"))).unwrap()
    }

    /// A file with these bytes, as a location.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Location {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        FileRange::open(&path).unwrap().location()
    }

    pub fn push(&mut self, record: impl Into<Record>) {
        self.records.push(record.into());
    }

    pub fn gathered(&self) -> Gathered {
        let mut gathered = Gathered::default();
        for (number, record) in (1..).zip(&self.records) {
            gathered.take(&line(number, record)).unwrap();
        }
        gathered
    }

    /// The records as a stage reads them.
    pub fn stream(&self) -> Vec<u8> {
        let mut text = br#"{"type":"stream","version":1,"stage":"dd-diff","tool_version":"0.1.0","stages":[]}"#.to_vec();
        text.push(b'\n');
        for record in &self.records {
            text.extend(serde_json::to_vec(record).unwrap());
            text.push(b'\n');
        }
        text.extend(b"{\"type\":\"end\",\"stage\":\"dd-diff\"}\n");
        text
    }

    /// An archive file and its records `archive` and `member`; where its members lie.
    pub fn archive(
        &mut self,
        name: &str,
        image: &str,
        members: &[(&str, Content<'_>)],
    ) -> Vec<Option<Location>> {
        let (tar, ranges) = build(members);
        let location = self.file(name, &tar);
        let key = format!("archive:{name}");
        let part =
            |start: usize, end: usize| location.part(start as u64, (end - start) as u64).unwrap();
        let mut contents = Vec::new();
        for (position, ((path, content), (header, start, end))) in
            (0..).zip(members.iter().zip(&ranges))
        {
            let (kind, bytes) = match content {
                Content::File(bytes) => ("file", Some(*bytes)),
                Content::Link(_) => ("symlink", None),
            };
            let content = bytes.map(|_| part(*start, *end));
            contents.push(content.clone());
            self.push(Member {
                archive: key.clone(),
                position,
                path: RecordPath::new(path.as_bytes()),
                kind: kind.to_owned(),
                header: part(*header, *start),
                content,
                digest: bytes.map(Digest::of),
                link: None,
            });
        }
        let last = ranges.last().map_or(0, |(_, _, end)| end.next_multiple_of(512));
        let digest = Digest::of(&tar);
        self.push(Archive {
            key,
            image: image.to_owned(),
            file_digest: digest,
            size: tar.len() as u64,
            compression: Compression::None,
            location: location.clone(),
            tar: location.clone(),
            tar_digest: digest,
            trailer: part(last, tar.len()),
        });
        contents
    }

    /// A `blob` record of an uncompressed layer, and one of a compressed form if there is one.
    pub fn blob(&mut self, content: &[u8], coded: Option<Coded<'_>>) {
        let diff_id = DiffId::of(content);
        let location = self.file(&diff_id.hex(), content);
        let (stored, encoding, corrections) = match coded {
            Some((stored, encoding, corrections)) => (stored, Some(encoding), corrections),
            None => (content, None, None),
        };
        let blob = Blob {
            diff_id,
            digest: Digest::of(stored),
            stored_size: stored.len() as u64,
            size: content.len() as u64,
            location,
            encoding,
            encoding_name: None,
            corrections: corrections.map(|bytes| self.file(&Digest::of(bytes).hex(), bytes)),
            corrections_digest: corrections.map(Digest::of),
            encoding_memory: Some(1000),
            tar: false,
        };
        self.push(blob);
    }

    /// A `delta` record: what its program reads and ends with, or a layer of the base.
    pub fn delta(&mut self, content: &[u8], payload: Option<(&[DiffId], &[u8])>) {
        let payload = payload.map(|(sources, end)| (program(sources, end), sources));
        let payload = payload.as_ref().map(|(bytes, sources)| (&bytes[..], *sources));
        let layer = DiffId::of(content);
        let means = match payload {
            None => "base",
            Some((_, [])) => "whole",
            Some(_) => "delta",
        };
        let delta = Delta {
            layer,
            means: means.to_owned(),
            location: payload.map(|(bytes, _)| self.file(&Digest::of(bytes).hex(), bytes)),
            size: payload.map_or(0, |(bytes, _)| bytes.len() as u64),
            digest: payload.map(|(bytes, _)| Digest::of(bytes)),
            sources: payload.map_or(vec![layer], |(_, sources)| sources.to_vec()),
            memory: 5000,
            scratch: 70,
            proven: true,
            why: None,
            shared: None,
        };
        self.push(delta);
    }

    pub fn image(&mut self, key: &str, names: &[&str]) {
        self.push(Image {
            key: key.to_owned(),
            role: Role::Target,
            reference: "/secret/path/app.tar".to_owned(),
            transport: "docker-archive".to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            exact: Exact::File,
            manifest_digest: None,
            config_digest: None,
            index: None,
            docker_manifest: None,
        });
    }

    pub fn manifest(
        &mut self,
        image: &str,
        location: Option<&Location>,
        bytes: &[u8],
        config: &[u8],
    ) {
        self.push(Manifest {
            image: image.to_owned(),
            position: 0,
            digest: location.map(|_| Digest::of(bytes)),
            media_type: location.map(|_| "application/vnd.oci.image.manifest.v1+json".to_owned()),
            size: location.map(|_| bytes.len() as u64),
            platform: Some("linux/amd64".to_owned()),
            names: vec!["app:2".to_owned()],
            parent: None,
            manifests: Vec::new(),
            config_digest: Some(Digest::of(config)),
            layers: Vec::new(),
            diff_ids: Vec::new(),
            location: location.cloned(),
            gap: false,
            subject: None,
        });
    }

    pub fn config(&mut self, image: &str, location: &Location, bytes: &[u8]) {
        self.push(Config {
            image: image.to_owned(),
            digest: Digest::of(bytes),
            media_type: None,
            size: bytes.len() as u64,
            platform: None,
            diff_ids: Vec::new(),
            history: 0,
            location: location.clone(),
        });
    }

    pub fn layer(
        &mut self,
        image: &str,
        position: u64,
        content: &[u8],
        stored: &[u8],
        location: Option<&Location>,
    ) {
        self.push(layer(image, position, content, stored, location));
    }
}

pub fn layer(
    image: &str,
    position: u64,
    content: &[u8],
    stored: &[u8],
    location: Option<&Location>,
) -> Layer {
    Layer {
        image: image.to_owned(),
        manifest: 0,
        position,
        digest: Some(Digest::of(stored)),
        media_type: Some("application/vnd.oci.image.layer.v1.tar".to_owned()),
        diff_id: DiffId::of(content),
        opaque: false,
        size: Some(stored.len() as u64),
        compression: None,
        location: location.cloned(),
        gap: false,
        in_base: None,
    }
}

pub fn line(number: u64, record: &Record) -> Line {
    let raw = serde_json::to_vec(record).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&raw).unwrap();
    Line { number, kind: value["type"].as_str().unwrap().to_owned(), raw }
}

/// A tar, and for each member where header and content begin and the content ends.
fn build(members: &[(&str, Content<'_>)]) -> (Vec<u8>, Vec<(usize, usize, usize)>) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut ranges = Vec::new();
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        let start = tar.get_ref().len();
        let len = match content {
            Content::File(bytes) => {
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, name, *bytes).unwrap();
                bytes.len()
            }
            Content::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, name, target).unwrap();
                0
            }
        };
        let content = tar.get_ref().len() - len.next_multiple_of(512);
        ranges.push((start, content, content + len));
    }
    (tar.into_inner().unwrap(), ranges)
}

/// A package's file.
pub fn path_in(world: &World, name: &str) -> PathBuf {
    Path::new(world.directory.path()).join(name)
}
