//! Recognises files and directories by their content, and reads them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::archive::{TarIndex, is_header};
use super::assemble::{ArchiveFile, Found};
use super::blobs::{Blobs, LayoutDirectory, PlainDirectory, open};
use super::compressed::{Unpacked, compression_of, start_of, uncompressed_start, unpack};
use super::docker::{DockerImage, config, full_name};
use super::document::{
    Budget, Descriptor, DockerEntry, Document, Parsed, own_media_type, parse_docker, parse_index,
    parse_manifest,
};
use super::hash::hash;
use super::platform::Platform;
use super::walk::{MAX_LAYERS, Top, Walk};
use super::{ImageRecords, Inspected, Options, Origin};
use crate::digest::Digest;
use crate::fail;
use crate::package::ARTIFACT_TYPE;
use crate::range::FileRange;
use crate::record::{Compression, Exact, Role};
use crate::store::Store;

/// Uncompressed bytes that are looked at to tell a package: its documents stand first.
const PACKAGE_START: u64 = 64 << 10;

/// Reads what lies at a path.
///
/// # Errors
/// `not-an-image` if it is none, or not of the transport that was named.
pub(super) fn look(
    path: &Path,
    transport: Option<&'static str>,
    name: Option<&str>,
    given: &str,
    role: Role,
    options: &Options,
    store: &Store,
) -> anyhow::Result<Inspected> {
    let origin = Origin {
        reference: given,
        transport: transport.unwrap_or_default(),
        name,
        exact: Exact::File,
    };
    if path.is_dir() {
        return look_directory(path, transport, &origin, role, options);
    }
    let file = match open(path)? {
        Some(file) => file,
        None => {
            fail!(NotAnImage, "{given} is neither a file nor a directory"; "save the image into a regular file")
        }
    };
    if let Some(wrong @ ("oci" | "dir")) = transport {
        fail!(NotAnImage, "{given} is a file, and {wrong}: names a directory"; "leave {wrong}: away");
    }
    let start = start_of(&file, 512)?;
    if start.is_empty() {
        fail!(NotAnImage, "{given} is empty");
    }
    let compression = compression_of(&start);
    let inside = match compression {
        Compression::None => start,
        _ => uncompressed_start(&file, compression, PACKAGE_START, given)?,
    };
    if !is_header(inside.get(..512).unwrap_or_default()) {
        fail!(NotAnImage, "{given} is no container image: {}", describe(&inside);
            "an image is a docker-archive, an OCI archive or directory, or a dir: directory");
    }
    if compression != Compression::None && starts_a_package(&inside) {
        return Ok(Inspected::Package(path.to_owned()));
    }
    let archive = Opened::new(file, compression, given, options, store)?;
    if archive.is_package()? {
        return Ok(Inspected::Package(path.to_owned()));
    }
    Ok(Inspected::Image(Box::new(archive.read(&origin, role, options)?)))
}

fn look_directory(
    path: &Path,
    transport: Option<&'static str>,
    origin: &Origin<'_>,
    role: Role,
    options: &Options,
) -> anyhow::Result<Inspected> {
    let given = origin.reference;
    let is_layout = path.join("index.json").is_file();
    let is_plain = path.join("manifest.json").is_file() && !is_layout;
    let found = match (is_layout, is_plain) {
        (true, _) => "oci",
        (_, true) => "dir",
        _ => fail!(
            NotAnImage,
            "the directory {given} holds no image: it has neither index.json nor manifest.json"
        ),
    };
    if let Some(wrong) = transport.filter(|named| *named != found) {
        fail!(NotAnImage, "{given} is not of the transport {wrong} but of {found}"; "leave {wrong}: away");
    }
    if is_layout {
        let tops = tops_of_layout(&layout_index(path, given)?, given)?;
        if is_package(&tops, &LayoutDirectory(path.to_owned()), given)? {
            return Ok(Inspected::Package(path.to_owned()));
        }
    }
    let origin = Origin { transport: found, ..*origin };
    Ok(Inspected::Image(Box::new(read_directory(path, &origin, role, options)?)))
}

/// Reads an archive file that is not compressed or unpacked otherwise: what `docker save` gave, for example.
///
/// # Errors
/// As [`super::inspect`].
pub fn read_archive(
    file: FileRange,
    origin: &Origin<'_>,
    role: Role,
    options: &Options,
    store: &Store,
) -> anyhow::Result<ImageRecords> {
    let compression = compression_of(&start_of(&file, 4)?);
    Opened::new(file, compression, origin.reference, options, store)?.read(origin, role, options)
}

/// Reads an OCI image layout, or a directory as skopeo's `dir:` writes it.
///
/// # Errors
/// As [`super::inspect`].
pub fn read_directory(
    path: &Path,
    origin: &Origin<'_>,
    role: Role,
    options: &Options,
) -> anyhow::Result<ImageRecords> {
    let what = origin.reference;
    if path.join("index.json").is_file() {
        let index = layout_index(path, what)?;
        let tops = tops_of_layout(&index, what)?;
        let blobs = LayoutDirectory(path.to_owned());
        let source = Source { blobs: &blobs, archive: None, index: Some(index), docker: None };
        let (found, _) = source.find(&tops, &[], origin, options)?;
        return found.records(origin, role, None);
    }
    let Some(range) = open(&path.join("manifest.json"))? else {
        fail!(NotAnImage, "the directory {what} holds no image");
    };
    let document = Document::read(range, &format!("{what}: manifest.json"))?;
    let blobs = PlainDirectory(path.to_owned());
    read_documents(&document, &blobs, origin, role, options)
}

/// Reads an image whose top document is at hand and whose other blobs are found by `blobs`.
///
/// # Errors
/// As [`super::inspect`].
pub fn read_documents(
    top: &Document,
    blobs: &dyn Blobs,
    origin: &Origin<'_>,
    role: Role,
    options: &Options,
) -> anyhow::Result<ImageRecords> {
    let what = format!("{}: its manifest", origin.reference);
    let parsed = parse_manifest(&top.bytes, &what)?;
    if parsed == Parsed::Opaque {
        fail!(NotAnImage, "{what} is neither a manifest nor an index");
    }
    let descriptor = Descriptor {
        media_type: own_media_type(&top.bytes, &parsed),
        digest: top.digest(),
        size: top.bytes.len() as u64,
        platform: None,
        annotations: std::collections::BTreeMap::new(),
        artifact_type: None,
        has_urls: false,
    };
    let blobs = WithTop { top: &top.range, digest: descriptor.digest, blobs };
    let names = crate::elsewhere::stored_name(origin.reference).into_iter().collect();
    let tops = [Top { descriptor, names }];
    let source = Source { blobs: &blobs, archive: None, index: None, docker: None };
    let (found, _) = source.find(&tops, &[], origin, options)?;
    found.records(origin, role, None)
}

/// The blobs of an image and its top document, which is stored elsewhere.
struct WithTop<'a> {
    top: &'a FileRange,
    digest: Digest,
    blobs: &'a dyn Blobs,
}

impl Blobs for WithTop<'_> {
    fn document(&self, descriptor: &Descriptor) -> anyhow::Result<Option<FileRange>> {
        if descriptor.digest == self.digest {
            return Ok(Some(self.top.clone()));
        }
        self.blobs.document(descriptor)
    }

    fn blob(
        &self,
        manifest: &Digest,
        descriptor: &Descriptor,
    ) -> anyhow::Result<Option<super::Blob>> {
        self.blobs.blob(manifest, descriptor)
    }
}

fn layout_index(path: &Path, what: &str) -> anyhow::Result<Document> {
    match open(&path.join("index.json"))? {
        Some(range) => Document::read(range, &format!("{what}: index.json")),
        None => fail!(NotAnImage, "{what} has no index.json"),
    }
}

/// What `index.json` names, each with the name that it has there: containerd's full one, else the reference name.
fn tops_of_layout(index: &Document, what: &str) -> anyhow::Result<Vec<Top>> {
    let entries = parse_index(&index.bytes, &format!("{what}: index.json"))?;
    let name = |entry: &Descriptor| {
        let annotations = &entry.annotations;
        annotations
            .get("io.containerd.image.name")
            .or_else(|| annotations.get("org.opencontainers.image.ref.name"))
            .cloned()
    };
    Ok(entries
        .into_iter()
        .map(|entry| Top { names: name(&entry).into_iter().collect(), descriptor: entry })
        .collect())
}

/// Whether the one manifest at the top is that of a delta package.
fn is_package(tops: &[Top], blobs: &dyn Blobs, what: &str) -> anyhow::Result<bool> {
    let [top] = tops else { return Ok(false) };
    if top.descriptor.artifact_type.as_deref() == Some(ARTIFACT_TYPE) {
        return Ok(true);
    }
    let Some(range) = blobs.document(&top.descriptor)? else { return Ok(false) };
    let document =
        Document::read(range, &format!("{what}: the manifest {}", top.descriptor.digest))?;
    let parsed = parse_manifest(&document.bytes, what);
    Ok(
        matches!(parsed, Ok(Parsed::Manifest(manifest)) if manifest.artifact_type.as_deref() == Some(ARTIFACT_TYPE)),
    )
}

/// Whether the first bytes of a tar are those of a delta package, whose `index.json` stands near the beginning.
fn starts_a_package(start: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        artifact_type: Option<String>,
    }
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Entry>,
    }
    let mut archive = tar::Archive::new(start);
    let Ok(members) = archive.entries() else { return false };
    for member in members.take(4).map_while(Result::ok) {
        if &*member.path_bytes() == b"index.json" {
            let mut bytes = Vec::new();
            let read = member.take(PACKAGE_START).read_to_end(&mut bytes);
            let index = read.ok().and_then(|_| serde_json::from_slice::<Index>(&bytes).ok());
            return index.is_some_and(|index| {
                index
                    .manifests
                    .iter()
                    .any(|entry| entry.artifact_type.as_deref() == Some(ARTIFACT_TYPE))
            });
        }
    }
    false
}

/// What else a file may be, for the error.
fn describe(start: &[u8]) -> &'static str {
    match start {
        [b'{' | b'[', ..] => "it looks like JSON",
        [0x7f, b'E', b'L', b'F', ..] => "it is a program",
        [b'P', b'K', 3, 4, ..] => "it is a zip archive",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "it is compressed with xz",
        [b'B', b'Z', b'h', ..] => "it is compressed with bzip2",
        [b'h', b's', b'q', b's', ..] => "it is a squashfs file system",
        start if start.iter().all(|b| *b == 0) => "it begins with zeros",
        _ => "it does not begin with a tar header",
    }
}

/// An archive file and its tar.
struct Opened<'a> {
    what: &'a str,
    file: FileRange,
    compression: Compression,
    unpacked: Option<Unpacked>,
    index: TarIndex,
}

impl<'a> Opened<'a> {
    fn new(
        file: FileRange,
        compression: Compression,
        what: &'a str,
        options: &Options,
        store: &Store,
    ) -> anyhow::Result<Self> {
        let unpacked = match compression {
            Compression::None => None,
            _ => Some(unpack(&file, compression, store, what, options.meter.as_deref())?),
        };
        let tar = unpacked.as_ref().map_or(&file, |unpacked| &unpacked.tar).clone();
        let index = TarIndex::read(tar, what)?;
        Ok(Self { what, file, compression, unpacked, index })
    }

    fn document(&self, name: &str) -> anyhow::Result<Option<Document>> {
        let what = format!("{}: {name}", self.what);
        self.index.file(name)?.map(|range| Document::read(range, &what)).transpose()
    }

    fn is_package(&self) -> anyhow::Result<bool> {
        match self.document("index.json")? {
            Some(index) => is_package(&tops_of_layout(&index, self.what)?, &self.index, self.what),
            None => Ok(false),
        }
    }

    fn read(
        &self,
        origin: &Origin<'_>,
        role: Role,
        options: &Options,
    ) -> anyhow::Result<ImageRecords> {
        let what = self.what;
        let index = self.document("index.json")?;
        let docker = self.document("manifest.json")?;
        let mut tops =
            index.as_ref().map_or(Ok(Vec::new()), |index| tops_of_layout(index, what))?;
        let entries = docker.as_ref().map_or(Ok(Vec::new()), |docker| {
            parse_docker(&docker.bytes, &format!("{what}: manifest.json"))
        })?;
        let transport = self.transport(index.is_some(), &docker, &entries, &tops)?;
        let origin = match origin.transport {
            "" => Origin { transport, ..*origin },
            named @ ("docker-archive" | "oci-archive") => {
                let has = if named == "oci-archive" {
                    !tops.is_empty()
                } else {
                    transport == "docker-archive"
                };
                if !has {
                    fail!(NotAnImage, "{what} is not of the transport {named} but of {transport}"; "leave {named}: away");
                }
                *origin
            }
            _ => *origin,
        };
        name_tops(&mut tops, &entries);
        let source = Source { blobs: &self.index, archive: Some(&self.index), index, docker };
        let (found, narrowed) = source.find(&tops, &entries, &origin, options)?;
        if role != Role::Target || narrowed || origin.exact != Exact::File {
            return found.records(&origin, role, None);
        }
        let digests = hash(&self.index, options.meter.as_deref())?;
        let file_digest =
            self.unpacked.as_ref().map_or(digests.tar, |unpacked| unpacked.file_digest);
        let file = ArchiveFile {
            file: &self.file,
            file_digest,
            compression: self.compression,
            index: &self.index,
            digests: &digests,
        };
        found.records(&origin, role, Some(&file))
    }

    /// The transport that the content is of.
    fn transport(
        &self,
        has_index: bool,
        docker: &Option<Document>,
        entries: &[DockerEntry],
        tops: &[Top],
    ) -> anyhow::Result<&'static str> {
        let what = self.what;
        if !entries.is_empty() {
            return Ok("docker-archive");
        }
        if !tops.is_empty() {
            return Ok("oci-archive");
        }
        if docker.is_some() {
            fail!(NotAnImage, "{what} is no image: its manifest.json names no image"; "save the image again");
        }
        if has_index {
            fail!(NotAnImage, "{what} is no image: its index.json names no manifest");
        }
        if self.index.file("repositories").ok().flatten().is_some() {
            fail!(NotAnImage, "{what} has no manifest.json: it is incomplete, or of a Docker before 1.10";
                "save the image again");
        }
        fail!(
            NotAnImage,
            "{what} is a tar but no container image: it has neither manifest.json nor index.json"
        )
    }
}

/// Gives what `index.json` names the spelling of `manifest.json`, where both name the same.
fn name_tops(tops: &mut [Top], entries: &[DockerEntry]) {
    let tags = entries.iter().flat_map(|entry| entry.repo_tags.iter().flatten());
    let spelling: HashMap<String, &String> = tags.map(|tag| (full_name(tag), tag)).collect();
    for name in tops.iter_mut().flat_map(|top| top.names.iter_mut()) {
        if let Some(tag) = spelling.get(&full_name(name)) {
            (*tag).clone_into(name);
        }
    }
}

/// An image and where its blobs are.
struct Source<'a> {
    blobs: &'a dyn Blobs,
    archive: Option<&'a TarIndex>,
    index: Option<Document>,
    docker: Option<Document>,
}

impl Source<'_> {
    /// Finds everything that is wanted, and whether that is less than all.
    fn find(
        self,
        tops: &[Top],
        entries: &[DockerEntry],
        origin: &Origin<'_>,
        options: &Options,
    ) -> anyhow::Result<(Found, bool)> {
        let what = origin.reference;
        let chosen = choose(tops, entries, origin)?;
        let budget = Budget::default();
        // An old docker-archive has no manifests: its images are narrowed in another way.
        let platform = options.platform.as_ref().filter(|_| !chosen.tops.is_empty());
        let walk = Walk { blobs: self.blobs, what, platform, budget: &budget };
        let nodes = walk.nodes(&chosen.tops)?;
        let known: HashSet<Digest> =
            nodes.iter().filter_map(|node| Some(node.config.as_ref()?.descriptor.digest)).collect();
        let docker = self.docker_images(&chosen.entries, &known, &budget, what)?;
        let (docker, left_out) = narrow(docker, options.platform.as_ref());
        if let Some(wanted) =
            options.platform.as_ref().filter(|_| chosen.tops.is_empty() && docker.is_empty())
        {
            let platforms = left_out.iter().filter_map(|image| image.parsed.platform.as_ref());
            let platforms: BTreeSet<String> = platforms.map(ToString::to_string).collect();
            let list = platforms.into_iter().collect::<Vec<_>>().join(", ");
            fail!(NotFound, "{what} has no image for {wanted}; its platforms: {list}");
        }
        let narrowed =
            chosen.narrowed || !left_out.is_empty() || nodes.iter().any(|node| node.left_out);
        let tops: HashSet<Digest> = chosen.tops.iter().map(|top| top.descriptor.digest).collect();
        // After narrowing by name the documents name more than there is; by platform, index.json keeps its digest.
        let found = Found {
            names: names(&chosen.tops, &chosen.entries, &docker, &left_out),
            top: if tops.len() == 1 && docker.is_empty() { tops.into_iter().next() } else { None },
            index: self.index.filter(|_| !chosen.narrowed).map(|document| document.range),
            docker_manifest: self
                .docker
                .filter(|_| !chosen.narrowed && left_out.is_empty())
                .map(|document| document.range),
            nodes,
            docker,
        };
        Ok((found, narrowed))
    }

    /// The images that only `manifest.json` names: whose configuration is no manifest's.
    fn docker_images(
        &self,
        entries: &[DockerEntry],
        known: &HashSet<Digest>,
        budget: &Budget,
        what: &str,
    ) -> anyhow::Result<Vec<DockerImage>> {
        let mut images = Vec::new();
        let mut layers = 0;
        for entry in entries {
            let Some(archive) = self.archive else { break };
            let document = config(archive, entry, budget, what)?;
            if known.contains(&document.digest()) {
                continue;
            }
            layers += entry.layers.as_ref().map_or(0, Vec::len);
            if layers > MAX_LAYERS {
                fail!(Limit, "{what} has more than {MAX_LAYERS} layers");
            }
            images.push(DockerImage::find(archive, entry, document, what)?);
        }
        Ok(images)
    }
}

/// The images that are for a platform, and the others.
fn narrow(
    images: Vec<DockerImage>,
    wanted: Option<&Platform>,
) -> (Vec<DockerImage>, Vec<DockerImage>) {
    let Some(wanted) = wanted else { return (images, Vec::new()) };
    let fits = |image: &DockerImage| {
        image.parsed.platform.as_ref().is_some_and(|found| wanted.accepts(found))
    };
    images.into_iter().partition(fits)
}

/// The names of an image: those of `manifest.json` first, then what only `index.json` says; without those that only
/// what was left out has.
fn names(
    tops: &[Top],
    entries: &[DockerEntry],
    docker: &[DockerImage],
    left_out: &[DockerImage],
) -> Vec<String> {
    let gone: HashSet<&String> = left_out.iter().flat_map(|image| &image.names).collect();
    let of_entries = entries.iter().flat_map(|entry| entry.repo_tags.iter().flatten());
    let of_entries = of_entries.filter(|name| !gone.contains(name));
    let of_docker = docker.iter().flat_map(|image| &image.names);
    let mut seen = HashSet::new();
    let all = of_entries.chain(of_docker).chain(tops.iter().flat_map(|top| &top.names));
    all.filter(|name| seen.insert(*name)).cloned().collect()
}

/// What was asked for among several images.
struct Chosen {
    tops: Vec<Top>,
    entries: Vec<DockerEntry>,
    narrowed: bool,
}

fn choose(tops: &[Top], entries: &[DockerEntry], origin: &Origin<'_>) -> anyhow::Result<Chosen> {
    let Some(name) = origin.name else {
        return Ok(Chosen { tops: tops.to_vec(), entries: entries.to_vec(), narrowed: false });
    };
    let full = full_name(name);
    let is_meant = |found: &String| *found == name || full_name(found) == full;
    let (chosen_tops, chosen_entries): (Vec<Top>, Vec<DockerEntry>) =
        match name.strip_prefix('@').map(str::parse) {
            Some(Ok(number)) => numbered(tops, entries, number),
            _ => {
                let ref_name = |top: &Top| {
                    top.descriptor.annotations.get("org.opencontainers.image.ref.name").cloned()
                };
                let by_name = |top: &&Top| top.names.iter().chain(&ref_name(top)).any(is_meant);
                let by_tag = |entry: &&DockerEntry| entry.repo_tags.iter().flatten().any(is_meant);
                (
                    tops.iter().filter(by_name).cloned().collect(),
                    entries.iter().filter(by_tag).cloned().collect(),
                )
            }
        };
    if chosen_tops.is_empty() && chosen_entries.is_empty() {
        let list = names(tops, entries, &[], &[]);
        let list = if list.is_empty() {
            "it names none".to_owned()
        } else {
            format!("it has {}", list.join(", "))
        };
        fail!(NotFound, "{} holds no image {name}; {list}", origin.reference);
    }
    // A manifest.json that alone has names may still be about the one manifest of the index.
    let chosen_tops =
        if chosen_tops.is_empty() && tops.len() == 1 { tops.to_vec() } else { chosen_tops };
    let narrowed = chosen_tops.len() < tops.len() || chosen_entries.len() < entries.len();
    Ok(Chosen { tops: chosen_tops, entries: chosen_entries, narrowed })
}

fn numbered(tops: &[Top], entries: &[DockerEntry], number: usize) -> (Vec<Top>, Vec<DockerEntry>) {
    let top = tops.get(number).cloned();
    match entries.get(number) {
        None => (top.into_iter().collect(), Vec::new()),
        Some(entry) => {
            let tags: HashSet<String> =
                entry.repo_tags.iter().flatten().map(|tag| full_name(tag)).collect();
            let is_meant =
                |top: &&Top| top.names.iter().any(|name| tags.contains(&full_name(name)));
            (tops.iter().filter(is_meant).cloned().collect(), vec![entry.clone()])
        }
    }
}
