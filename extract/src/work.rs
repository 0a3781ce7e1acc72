//! One content: unpacked, verified, its entries read, its encodings found.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Context;
use dd_inspect::digest::{DiffId, Digest, hash_reader};
use dd_inspect::failure::{Failure, is_no_space};
use dd_inspect::image::unread_compression_of;
use dd_inspect::range::{FileRange, ReadAt};
use dd_inspect::record::{Blob, Compression};
use dd_inspect::stage::Meter;
use dd_inspect::store::Store;
use dd_inspect::{fail, failure};
use serde::{Deserialize, Serialize};

use crate::encoding::Encoding;
use crate::encoding::decompress::{Decompressor, Limits, TooLong, sniff};
use crate::encoding::identify::{Corrections, Proven, identify};
use crate::layer::{TarEntry, walk};

/// Bytes that unpacking leaves on the store's disk, for whatever else needs it.
const RESERVE: u64 = 64 << 20;

/// What the work on contents shares.
#[derive(Debug)]
pub(crate) struct Workshop<'a> {
    pub store: Store,
    pub meter: &'a Meter,
    /// Bytes of corrections that an encoding may have in memory.
    pub max_corrections: u64,
}

/// A form whose bytes lie on this machine.
#[derive(Debug)]
pub(crate) struct Stored {
    pub digest: Option<Digest>,
    pub range: FileRange,
    /// How its very bytes are made again is wanted.
    pub exact: bool,
    pub name: String,
}

/// A content to work on.
#[derive(Debug)]
pub(crate) struct Task {
    pub diff_id: DiffId,
    pub opaque: bool,
    pub list: bool,
    pub forms: Vec<Stored>,
}

impl Task {
    /// How a form is compressed, by its first bytes.
    fn compression(&self, form: &Stored) -> anyhow::Result<Compression> {
        if self.opaque {
            return Ok(Compression::None);
        }
        let mut start = Vec::new();
        form.range.clone().take(4).read_to_end(&mut start)?;
        Ok(sniff(&start))
    }

    fn uncompressed(&self) -> anyhow::Result<Option<&Stored>> {
        for form in &self.forms {
            if self.compression(form)? == Compression::None {
                return Ok(Some(form));
            }
        }
        Ok(None)
    }

    /// Bytes that the work reads, for the progress display.
    pub fn size(&self) -> u64 {
        let uncompressed = self.uncompressed().ok().flatten();
        uncompressed.or(self.forms.first()).map_or(0, |form| form.range.size())
    }
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Done {
    pub blobs: Vec<Blob>,
    pub entries: Vec<TarEntry>,
    /// Bytes that were unpacked now.
    pub unpacked: u64,
}

/// The uncompressed bytes, verified.
struct Plain {
    range: FileRange,
    tar: bool,
    entries: Vec<TarEntry>,
    unpacked: u64,
}

impl Workshop<'_> {
    /// Does all that a task asks for.
    ///
    /// # Errors
    /// `digest-mismatch` if stored bytes or their content are not what was declared; what reading and writing fail with.
    pub fn run(&self, task: &Task) -> anyhow::Result<Done> {
        let plain = self.plain(task)?;
        let mut blobs: Vec<Blob> = Vec::new();
        for form in &task.forms {
            let blob =
                self.blob(task, form, &plain).with_context(|| format!("reading {}", form.name))?;
            match blobs.iter_mut().find(|other| other.digest == blob.digest) {
                Some(other) if other.encoding.is_none() => *other = blob,
                Some(_) => {}
                None => blobs.push(blob),
            }
        }
        Ok(Done { blobs, entries: plain.entries, unpacked: plain.unpacked })
    }

    /// An uncompressed form where it lies, else an object of the store, else the first form unpacked.
    fn plain(&self, task: &Task) -> anyhow::Result<Plain> {
        if let Some(form) = task.uncompressed()? {
            return self
                .read(task, &form.range, &form.name)
                .with_context(|| format!("reading {}", form.name));
        }
        if let Some(range) = self.store.object(&task.diff_id.into()) {
            return self.read(task, &range, "an object of the store");
        }
        let Some(form) = task.forms.first() else {
            fail!(Unexpected, "no image holds {}", task.diff_id);
        };
        self.unpack(task, form).with_context(|| format!("unpacking {}", form.name))
    }

    /// Reads uncompressed bytes: their entries, and whether they are what they should be.
    fn read(&self, task: &Task, range: &FileRange, name: &str) -> anyhow::Result<Plain> {
        let of_form = task.forms.iter().any(|form| form.range.path() == range.path());
        let reader = Metered { inner: range.clone(), meter: of_form.then_some(self.meter) };
        let mut plain =
            Plain { range: range.clone(), tar: false, entries: Vec::new(), unpacked: 0 };
        let digest = self.walk(task, reader, &mut plain)?;
        range.check_unchanged()?;
        if digest != task.diff_id.into() {
            let mut start = Vec::new();
            range.clone().take(6).read_to_end(&mut start)?;
            if let Some(compression) = unread_compression_of(&start) {
                fail!(Unsupported, "it is compressed with {compression}, and layers are read plain or compressed with gzip or zstd";
                    "compress it again");
            }
            fail!(DigestMismatch, "{name} is not {}: its bytes have digest {digest}", task.diff_id;
                "the image is damaged, or its configuration belongs to another");
        }
        Ok(plain)
    }

    fn walk(&self, task: &Task, reader: impl Read, plain: &mut Plain) -> io::Result<Digest> {
        if task.opaque || !task.list {
            return Ok(hash_reader(reader)?.0);
        }
        let walked = walk(reader, |entry| {
            plain.entries.push(entry);
            Ok(())
        })?;
        plain.tar = walked.tar;
        Ok(walked.digest)
    }

    /// Unpacks a form into the store.
    fn unpack(&self, task: &Task, form: &Stored) -> anyhow::Result<Plain> {
        let compression = task.compression(form)?;
        let space =
            rustix::fs::statvfs(self.store.path()).context("looking at the store's disk")?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let limits = Limits { max_size: free.saturating_sub(RESERVE), ..Limits::default() };
        let input = Metered { inner: form.range.clone(), meter: Some(self.meter) };
        let input = BufReader::with_capacity(128 << 10, input);
        let mut decompressor = Decompressor::new(input, compression, limits)?;
        let mut object = self.store.writer()?;
        let mut plain =
            Plain { range: form.range.clone(), tar: false, entries: Vec::new(), unpacked: 0 };
        let tee = Tee { from: &mut decompressor, to: &mut object };
        let digest = self.walk(task, tee, &mut plain).map_err(|e| match e.get_ref() {
            Some(inner) if inner.is::<TooLong>() => {
                let needed = form.range.size().max(limits.max_size + 1);
                io::Error::other(no_room(self.store.path(), needed, free))
            }
            _ => e,
        })?;
        form.range.check_unchanged()?;
        let wanted: Digest = task.diff_id.into();
        if digest != wanted {
            let why = decompressor.damage().map(|damage| format!("; {damage}")).unwrap_or_default();
            fail!(DigestMismatch, "its content has diff_id {digest}, the configuration lists {wanted}{why}";
                "the image is damaged");
        }
        plain.unpacked = object.len();
        plain.range = object.commit(Some(wanted))?.1;
        Ok(plain)
    }

    fn blob(&self, task: &Task, form: &Stored, plain: &Plain) -> anyhow::Result<Blob> {
        let compressed = task.compression(form)? != Compression::None;
        let digest = self.stored_digest(task, form, plain, compressed)?;
        let mut blob = Blob {
            diff_id: task.diff_id,
            digest,
            stored_size: form.range.size(),
            size: plain.range.size(),
            location: plain.range.location(),
            encoding: None,
            encoding_name: None,
            corrections: None,
            corrections_digest: None,
            encoding_memory: None,
            tar: plain.tar,
        };
        if form.exact {
            let found = if compressed {
                self.encoding(&digest, &form.range, &plain.range)?
            } else {
                Found { encoding: Encoding::Identity {}, corrections: None }
            };
            found.describe(&mut blob);
        }
        Ok(blob)
    }

    /// The digest of a form's bytes. Those that must be made again are hashed.
    fn stored_digest(
        &self,
        task: &Task,
        form: &Stored,
        plain: &Plain,
        compressed: bool,
    ) -> anyhow::Result<Digest> {
        let verified = !compressed && form.range.location() == plain.range.location();
        let found = match form.digest {
            _ if verified => task.diff_id.into(),
            Some(declared) if !form.exact => return Ok(declared),
            _ => {
                let found = hash_reader(form.range.clone())?.0;
                form.range.check_unchanged()?;
                found
            }
        };
        let declared = if compressed { form.digest } else { Some(task.diff_id.into()) };
        for declared in [declared, form.digest].into_iter().flatten() {
            if declared != found {
                fail!(DigestMismatch, "the stored bytes have digest {found}, {declared} was declared";
                    "the image is damaged");
            }
        }
        Ok(found)
    }

    /// How compressed bytes follow from their content: noted by an earlier run, or found now.
    pub fn encoding(
        &self,
        digest: &Digest,
        compressed: &FileRange,
        plain: &FileRange,
    ) -> anyhow::Result<Found> {
        if let Some(found) = self.noted(digest, compressed) {
            return Ok(found);
        }
        self.meter.task("finding how layers were compressed");
        let directory = self.store.temporary_directory()?;
        let Proven { encoding, corrections } =
            identify(compressed, plain, directory.path(), self.max_corrections)?;
        compressed.check_unchanged()?;
        plain.check_unchanged()?;
        let corrections = match corrections {
            Corrections::None => None,
            Corrections::Stored => Some((*digest, compressed.clone())),
            Corrections::Script(mut script) => {
                script.seek(SeekFrom::Start(0))?;
                let mut object = self.store.writer()?;
                io::copy(&mut script, &mut object).context("writing into the store")?;
                Some(object.commit(None)?)
            }
        };
        let note = Note {
            version: ENCODINGS_VERSION,
            encoding: encoding.clone(),
            corrections: corrections.as_ref().map(|(digest, _)| *digest),
        };
        self.store.note("encoding", digest, &serde_json::to_string(&note)?)?;
        Ok(Found { encoding, corrections })
    }

    fn noted(&self, digest: &Digest, compressed: &FileRange) -> Option<Found> {
        let note = self.store.noted("encoding", digest)?;
        let note: Note = serde_json::from_str(&note).ok()?;
        let encoding = Encoding::parse(&note.encoding.to_value()).ok()?;
        if note.version != ENCODINGS_VERSION {
            return None;
        }
        let corrections = match note.corrections {
            None => None,
            Some(stored) if stored == *digest => Some((stored, compressed.clone())),
            Some(other) => Some((other, self.store.object(&other)?)),
        };
        Some(Found { encoding, corrections })
    }
}

/// Raised when more encoders are known, so that files are looked at again.
const ENCODINGS_VERSION: u32 = 3;

/// What the store remembers of a compressed file: the proof was made.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    version: u32,
    encoding: Encoding,
    corrections: Option<Digest>,
}

/// A proven encoding and where its corrections lie.
#[derive(Debug)]
pub(crate) struct Found {
    encoding: Encoding,
    corrections: Option<(Digest, FileRange)>,
}

impl Found {
    /// Fills in what a record says of it.
    pub fn describe(&self, blob: &mut Blob) {
        blob.encoding = Some(self.encoding.to_value());
        blob.encoding_name = Some(self.encoding.to_string());
        blob.encoding_memory = Some(self.encoding.memory());
        blob.corrections = self.corrections.as_ref().map(|(_, range)| range.location());
        blob.corrections_digest = self.corrections.as_ref().map(|(digest, _)| *digest);
    }
}

/// Counts what is read of a form.
struct Metered<'a> {
    inner: FileRange,
    meter: Option<&'a Meter>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Some(meter) = self.meter {
            meter.add(n as u64);
        }
        Ok(n)
    }
}

fn no_room(store: &Path, needed: u64, free: u64) -> Failure {
    failure!(NoSpace, "the disk of the store {} has {free} bytes free: at least {needed} are needed, and {RESERVE} stay free",
        store.display(); "make room, or choose another store with --store")
}

/// Writes what is read to a second place.
struct Tee<'a, R, W> {
    from: &'a mut R,
    to: &'a mut W,
}

impl<R: Read, W: Write> Read for Tee<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.write_all(&buffer[..n]).map_err(|e| match e.kind() {
            kind if is_no_space(kind) => io::Error::other(
                failure!(NoSpace, "the store's disk is full"; "make room, or choose another store with --store"),
            ),
            _ => e,
        })?;
        Ok(n)
    }
}
