//! The store: a cache directory with content-addressed objects that the stages of a pipeline share.
//!
//! ```text
//! STORE/CACHEDIR.TAG          the standard mark of a cache
//!       objects/ab/abcd…      content, named by the hex digits of its SHA-256
//!       notes/KIND/abcd…      small facts about content (proven encodings), by its digest
//!       tmp/                  files being written, and the TMPDIR of helper programs
//! ```
//!
//! An object appears by rename when its digest was verified, so several pipelines may share a store.
//! Using an object sets its access time; pruning goes by that.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, flock, futimens};
use tempfile::{NamedTempFile, TempDir, TempPath};

use crate::digest::{Digest, Hasher};
use crate::fail;
use crate::failure::{Category, Failure, is_no_space};
use crate::range::FileRange;
use crate::stage::signals::Guard;

/// Objects used in the last 24 hours are never pruned.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// Bytes that pruning leaves at most.
const MAX_SIZE: u64 = 20 << 30;

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
# This is the cache of the container image delta tools; it can be deleted.\n";

/// An open store.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store at `path`; without one at `$DD_STORE`, `$XDG_CACHE_HOME/docker-delta`, or
    /// `/var/tmp/docker-delta-UID`. Its directory is made when something is first written.
    ///
    /// # Errors
    /// The directory is another user's, or can be written by others.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let named = std::env::var_os("DD_STORE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let root = match path.or(named.as_deref()) {
            Some(path) => std::path::absolute(path)?,
            None => default_root(std::env::var_os("XDG_CACHE_HOME")),
        };
        let store = Self { root };
        store.check()?;
        Ok(store)
    }

    /// Whether the directory is this user's alone, if it is there.
    fn check(&self) -> anyhow::Result<()> {
        let root = &self.root;
        let metadata = match fs::symlink_metadata(root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.with_context(|| format!("opening the store {}", root.display()))?,
        };
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            fail!(Usage, "the store {} belongs to another user", root.display(); "choose another with --store");
        }
        if metadata.permissions().mode() & 0o022 != 0 {
            fail!(Usage, "the store {} can be written by other users", root.display(); "chmod 700 it, or choose another with --store");
        }
        Ok(())
    }

    /// The directory of temporary files; makes the store.
    ///
    /// # Errors
    /// A directory cannot be made, or is another user's.
    pub fn temporary(&self) -> anyhow::Result<PathBuf> {
        let root = &self.root;
        let unusable = |e: io::Error| {
            let category = if is_no_space(e.kind()) { Category::NoSpace } else { Category::Io };
            Failure::new(category, format_args!("the store {} cannot be made: {e}", root.display()))
                .hint("choose another with --store")
        };
        make_private(root).map_err(unusable)?;
        self.check()?;
        for part in ["objects", "notes", "tmp"] {
            make_private(&root.join(part)).map_err(unusable)?;
        }
        let tag = root.join("CACHEDIR.TAG");
        if !tag.exists() {
            fs::write(tag, TAG).map_err(unusable)?;
        }
        Ok(root.join("tmp"))
    }

    /// The absolute path of the store.
    pub fn path(&self) -> &Path {
        &self.root
    }

    fn object_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join("objects").join(&hex[..2]).join(&hex)
    }

    /// The object with this digest, if it is there; marks it as used.
    ///
    /// Its content was verified when it was stored and is not hashed again.
    pub fn object(&self, digest: &Digest) -> Option<FileRange> {
        let range = FileRange::open(&self.object_path(digest)).ok()?;
        touch(range.as_file());
        Some(range)
    }

    /// Begins an object. Nothing appears before [`ObjectWriter::commit`].
    ///
    /// # Errors
    /// The temporary file cannot be made.
    pub fn writer(&self) -> anyhow::Result<ObjectWriter> {
        let file = NamedTempFile::new_in(self.temporary()?)
            .with_context(|| format!("writing into the store {}", self.root.display()))?;
        flock(file.as_file(), FlockOperation::NonBlockingLockExclusive).ok();
        let guard = Guard::file(file.path());
        Ok(ObjectWriter { store: self.clone(), file, hasher: Hasher::new(), _guard: guard })
    }

    /// Stores bytes held in memory.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn put(&self, bytes: &[u8]) -> anyhow::Result<(Digest, FileRange)> {
        let mut writer = self.writer()?;
        writer.write_all(bytes).context("writing into the store")?;
        writer.commit(None)
    }

    /// Makes a file of a helper program, in one of this store's temporary directories, an object: hashed, then renamed.
    ///
    /// # Errors
    /// `digest-mismatch` if it does not have this digest; what reading and renaming fail with.
    pub fn adopt(&self, file: &Path, digest: Digest) -> anyhow::Result<FileRange> {
        let (found, _) = crate::digest::hash_reader(File::open(file)?)
            .with_context(|| format!("reading {}", file.display()))?;
        if found != digest {
            fail!(DigestMismatch, "a fetched blob has digest {found}, {digest} was declared");
        }
        if let Some(there) = self.object(&digest) {
            return Ok(there);
        }
        let path = self.object_path(&digest);
        make_private(path.parent().unwrap_or(&self.root))
            .and_then(|()| appear(TempPath::try_from_path(file)?, &path))
            .with_context(|| format!("writing into the store {}", self.root.display()))?;
        FileRange::open(&path)
    }

    /// A fact that was noted about content: the text last given to [`Store::note`].
    pub fn noted(&self, kind: &str, about: &Digest) -> Option<String> {
        fs::read_to_string(self.root.join("notes").join(kind).join(about.hex())).ok()
    }

    /// Notes a fact about content, for later runs. Facts are hints: whoever reads one checks it or can do
    /// without.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn note(&self, kind: &str, about: &Digest, fact: &str) -> anyhow::Result<()> {
        let mut file = NamedTempFile::new_in(self.temporary()?)?;
        let directory = self.root.join("notes").join(kind);
        make_private(&directory)?;
        file.write_all(fact.as_bytes())?;
        file.persist(directory.join(about.hex())).context("writing a note into the store")?;
        Ok(())
    }

    /// A directory for a helper program's files, removed with the returned value or on a signal.
    ///
    /// # Errors
    /// What creating it fails with.
    pub fn temporary_directory(&self) -> anyhow::Result<TemporaryDirectory> {
        let directory = tempfile::Builder::new()
            .prefix("helper-")
            .tempdir_in(self.temporary()?)
            .with_context(|| format!("making a directory in the store {}", self.root.display()))?;
        let lock = File::open(directory.path())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok();
        let guard = Guard::directory(directory.path());
        Ok(TemporaryDirectory { directory, _lock: lock, _guard: guard })
    }

    /// Removes what interrupted runs left in `tmp`, and, of the objects and notes unused for 24 hours, the
    /// longest unused ones until at most 20 GiB or half of the free space are left. Returns the bytes freed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn prune(&self) -> anyhow::Result<u64> {
        self.prune_to(MAX_SIZE, KEEP)
    }

    fn prune_to(&self, max_size: u64, keep: Duration) -> anyhow::Result<u64> {
        self.temporary()?;
        self.sweep()?;
        let mut objects = Vec::new();
        for part in ["objects", "notes"] {
            for directory in fs::read_dir(self.root.join(part))?.flatten() {
                for file in fs::read_dir(directory.path()).into_iter().flatten().flatten() {
                    let Ok(metadata) = file.metadata() else { continue };
                    objects.push((
                        metadata.accessed().unwrap_or(SystemTime::UNIX_EPOCH),
                        metadata.len(),
                        file.path(),
                    ));
                }
            }
        }
        objects.sort();
        let space = rustix::fs::statvfs(&self.root)?;
        let mut size: u64 = objects.iter().map(|(_, len, _)| len).sum();
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let allowed = max_size.min(free.saturating_add(size) / 2);
        let mut freed = 0;
        for (used, len, path) in objects {
            let unused = SystemTime::now().duration_since(used).unwrap_or_default();
            if size <= allowed || unused < keep {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                size -= len;
                freed += len;
            }
        }
        Ok(freed)
    }

    /// Removes temporary files and directories that no process holds a lock on.
    fn sweep(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.root.join("tmp"))?.flatten() {
            let path = entry.path();
            let young =
                entry.metadata().ok().and_then(|m| m.modified().ok()).is_some_and(|modified| {
                    SystemTime::now().duration_since(modified).unwrap_or_default()
                        < Duration::from_secs(60)
                });
            let Ok(file) = File::open(&path) else { continue };
            if young || flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        Ok(())
    }
}

/// Sets the access time and leaves the modification time, which locations are checked by.
fn touch(file: &File) {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let _ = futimens(file, &Timestamps { last_access: now, last_modification: omit });
}

/// Gives a file its name in the store. One that another pipeline put there meanwhile stays: its records say when
/// it was written.
fn appear(file: TempPath, path: &Path) -> io::Result<()> {
    match file.persist_noclobber(path) {
        Ok(()) => Ok(()),
        Err(there) if there.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Not every file system can.
        Err(other) => Ok(other.path.persist(path)?),
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn default_root(xdg_cache_home: Option<OsString>) -> PathBuf {
    match xdg_cache_home.map(PathBuf::from) {
        Some(cache) if cache.is_absolute() => cache.join("docker-delta"),
        _ => {
            PathBuf::from(format!("/var/tmp/docker-delta-{}", rustix::process::geteuid().as_raw()))
        }
    }
}

/// A directory of the store's `tmp`, removed when dropped.
#[derive(Debug)]
pub struct TemporaryDirectory {
    directory: TempDir,
    _lock: File,
    _guard: Guard,
}

impl TemporaryDirectory {
    /// Its absolute path.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// An object being written.
#[derive(Debug)]
pub struct ObjectWriter {
    store: Store,
    file: NamedTempFile,
    hasher: Hasher,
    _guard: Guard,
}

impl ObjectWriter {
    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.hasher.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the object appear under its digest.
    ///
    /// # Errors
    /// `digest-mismatch` if it is not the expected one; then nothing appears.
    pub fn commit(self, expected: Option<Digest>) -> anyhow::Result<(Digest, FileRange)> {
        let digest = self.hasher.finish();
        if let Some(wanted) = expected.filter(|wanted| *wanted != digest) {
            fail!(DigestMismatch, "the content has digest {digest}, {wanted} was declared");
        }
        if let Some(there) = self.store.object(&digest) {
            return Ok((digest, there));
        }
        let path = self.store.object_path(&digest);
        let publish = || -> anyhow::Result<()> {
            make_private(path.parent().unwrap_or(&self.store.root))?;
            Ok(appear(self.file.into_temp_path(), &path)?)
        };
        publish()
            .with_context(|| format!("writing into the store {}", self.store.root.display()))?;
        Ok((digest, FileRange::open(&path)?))
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read;

    fn store() -> (TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&dir.path().join("s"))).unwrap();
        (dir, store)
    }

    #[test]
    fn objects_are_named_by_their_content() {
        let (_dir, store) = store();
        let (digest, range) = store.put(b"abc").unwrap();
        assert_eq!(digest, Digest::of(b"abc"));
        let location = range.location();
        let mut text = String::new();
        store.object(&digest).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        FileRange::at(&location).expect("using an object does not change it");
        let mut writer = store.writer().unwrap();
        writer.write_all(b"abd").unwrap();
        assert!(writer.commit(Some(digest)).is_err());
        assert!(store.object(&Digest::of(b"abd")).is_none());
        assert_eq!(fs::read_dir(store.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn an_object_that_appeared_meanwhile_stays() {
        let (dir, store) = store();
        let (_, first) = store.put(b"abc").unwrap();
        let location = first.location();
        let other = NamedTempFile::new_in(dir.path()).unwrap();
        fs::write(other.path(), b"abc").unwrap();
        appear(other.into_temp_path(), &store.object_path(&Digest::of(b"abc"))).unwrap();
        FileRange::at(&location).expect("the first is still there");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn is_private_and_marked() {
        let (dir, store) = store();
        assert!(!store.path().exists(), "nothing was written");
        store.temporary().unwrap();
        assert_eq!(fs::metadata(store.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(
            fs::read_to_string(store.path().join("CACHEDIR.TAG"))
                .unwrap()
                .starts_with("Signature: 8a477f")
        );
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Store::open(Some(&open)).is_err());
        assert_eq!(default_root(Some("relative".into())), default_root(None));
    }

    #[test]
    fn notes_are_kept() {
        let (_dir, store) = store();
        let about = Digest::of(b"x");
        assert_eq!(store.noted("encoding", &about), None);
        store.note("encoding", &about, "zlib 6").unwrap();
        assert_eq!(store.noted("encoding", &about).as_deref(), Some("zlib 6"));
    }

    #[test]
    fn pruning_goes_by_use() {
        let (_dir, store) = store();
        store.put(b"kept").unwrap();
        assert_eq!(store.prune_to(0, KEEP).unwrap(), 0);
        assert_eq!(store.prune_to(0, Duration::ZERO).unwrap(), 4);
        assert!(store.object(&Digest::of(b"kept")).is_none());
    }
}
