//! Archive files: docker-archives, OCI archives, and both at once.

use super::archive::TarIndex;
use super::assemble::ArchiveFile;
use super::compressed::{Unpacked, unpack};
use super::document::{DockerEntry, Document, parse_docker};
use super::hash::hash;
use super::node::Top;
use super::open::tops_of_layout;
use super::packaged::is_package;
use super::source::{Source, name_tops};
use super::{ImageRecords, Options, Origin};
use crate::fail;
use crate::range::FileRange;
use crate::record::{Compression, Exact, Role};
use crate::store::Store;

/// An archive file and its tar.
pub struct Opened<'a> {
    what: &'a str,
    file: FileRange,
    compression: Compression,
    unpacked: Option<Unpacked>,
    index: TarIndex,
}

impl<'a> Opened<'a> {
    pub fn new(
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

    pub fn is_package(&self) -> anyhow::Result<bool> {
        match self.document("index.json")? {
            Some(index) => is_package(&tops_of_layout(&index, self.what)?, &self.index, self.what),
            None => Ok(false),
        }
    }

    pub fn read(
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
