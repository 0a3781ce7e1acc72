//! Files that a stage writes: under their final name only when they are whole.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

use crate::fail;
use crate::files::{follow, is_stream};
use crate::stage::signals::Guard;

/// When an existing regular file may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Always.
    Replace,
    /// If it holds records, or nothing.
    Records,
    /// Never; but one that holds the very bytes stays, and that is success.
    Keep,
}

impl Existing {
    /// Always with `-f`.
    #[must_use]
    pub fn or_force(self, force: bool) -> Self {
        if force { Self::Replace } else { self }
    }
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was written.
    Written,
    /// It was there already, with these bytes.
    Unchanged,
}

/// A file being written. Regular files are written beside their final name, synced and renamed by
/// [`OutputFile::commit`]; symlinks are followed. Devices, pipes and files that are open already are written directly.
/// Dropped without `commit`, nothing remains.
#[derive(Debug)]
pub struct OutputFile {
    file: BufWriter<File>,
    path: PathBuf,
    existing: Existing,
    temporary: Option<(PathBuf, Guard)>,
}

/// A file that is whole and needs only its name.
#[derive(Debug)]
pub struct WholeFile {
    file: OutputFile,
    outcome: Outcome,
}

impl OutputFile {
    /// Begins to write the file `path`.
    ///
    /// # Errors
    /// The file exists and is to stay (`exists`), is a directory, or its directory is not writable.
    pub fn create(path: &Path, existing: Existing) -> anyhow::Result<Self> {
        let there = std::fs::metadata(path).ok();
        if there.as_ref().is_some_and(Metadata::is_dir) {
            fail!(Usage, "{} is a directory", path.display());
        }
        let Some(name) = follow(path)?.filter(|_| !is_stream(path)) else {
            // What others write to the file stays.
            let is_file = there.is_some_and(|there| there.is_file());
            let file = OpenOptions::new().write(true).append(is_file).open(path);
            let file = file.with_context(|| format!("opening {}", path.display()))?;
            return Ok(Self::stream(file, path));
        };
        let path = name.as_path();
        if existing == Existing::Records && there.is_some_and(|there| !holds_records(path, &there))
        {
            fail!(Exists, "{} exists and holds something else than records", path.display(); "-f replaces it");
        }
        sweep(path);
        let temporary = temporary_name(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o666);
        let guard = Guard::file(&temporary);
        let file = options
            .open(&temporary)
            .with_context(|| format!("writing beside {}", path.display()))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok();
        let mut output = Self::stream(file, path);
        (output.existing, output.temporary) = (existing, Some((temporary, guard)));
        Ok(output)
    }

    /// stdout.
    ///
    /// # Errors
    /// It cannot be opened once more.
    pub fn stdout() -> anyhow::Result<Self> {
        let file = io::stdout().as_fd().try_clone_to_owned().context("opening stdout")?;
        Ok(Self::stream(file.into(), Path::new("-")))
    }

    fn stream(file: File, path: &Path) -> Self {
        let file = BufWriter::with_capacity(128 << 10, file);
        Self { file, path: path.to_owned(), existing: Existing::Replace, temporary: None }
    }

    /// Whether bytes can be written at any offset and read back, and nothing is there before all is.
    pub fn can_seek(&self) -> bool {
        self.temporary.is_some()
    }

    /// The open file, for who writes at offsets.
    pub fn as_file(&self) -> &File {
        self.file.get_ref()
    }

    /// Ends writing; the file still lacks its name. So all that can fail has happened to several files before any of them
    /// appears.
    ///
    /// # Errors
    /// Another file is there and is to stay (`exists`); writing failed.
    pub fn finish(mut self) -> anyhow::Result<WholeFile> {
        let mut outcome = Outcome::Written;
        if self.can_seek() {
            let path = &self.path;
            let written = self.file.flush().and_then(|()| self.as_file().sync_all());
            written.with_context(|| format!("writing {}", path.display()))?;
            if self.existing == Existing::Keep && path.exists() {
                if !same_bytes(self.as_file(), path)
                    .with_context(|| format!("comparing with the existing {}", path.display()))?
                {
                    fail!(Exists, "{} exists and holds something else", path.display(); "-f replaces it");
                }
                outcome = Outcome::Unchanged;
            }
        }
        Ok(WholeFile { file: self, outcome })
    }

    /// Makes the file appear under its name.
    ///
    /// # Errors
    /// As [`OutputFile::finish`]; renaming failed. Then the name is as it was.
    pub fn commit(self) -> anyhow::Result<Outcome> {
        self.finish()?.commit()
    }
}

impl WholeFile {
    /// Gives the file its name.
    ///
    /// # Errors
    /// Renaming failed, then the name is as it was; the pipe or device does not take the bytes.
    pub fn commit(self) -> anyhow::Result<Outcome> {
        let Self { mut file, outcome } = self;
        let done = match &file.temporary {
            None => file.file.flush(),
            Some(_) if outcome == Outcome::Unchanged => Ok(()),
            Some((temporary, _)) => std::fs::rename(temporary, &file.path),
        };
        done.with_context(|| format!("writing {}", file.path.display()))?;
        if outcome == Outcome::Written {
            file.temporary = None;
        }
        Ok(outcome)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some((temporary, _guard)) = self.temporary.take() {
            let _ = std::fs::remove_file(temporary);
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Bytes that the first record of a stream may have.
const FIRST_RECORD: u64 = 1 << 20;

/// Whether the file begins with a `stream` record, or is empty.
fn holds_records(path: &Path, there: &Metadata) -> bool {
    let first = || -> Option<serde_json::Value> {
        let mut start = Vec::new();
        File::open(path).ok()?.take(FIRST_RECORD).read_to_end(&mut start).ok()?;
        serde_json::from_slice(start.split(|byte| *byte == b'\n').next()?).ok()
    };
    there.len() == 0 || first().is_some_and(|record| record["type"] == "stream")
}

fn same_bytes(file: &File, path: &Path) -> io::Result<bool> {
    let other = File::open(path)?;
    let size = file.metadata()?.len();
    if other.metadata()?.len() != size {
        return Ok(false);
    }
    let (mut one, mut two) = (vec![0; 128 << 10], vec![0; 128 << 10]);
    let mut offset = 0;
    while offset < size {
        let len = one.len().min(usize::try_from(size - offset).unwrap_or(usize::MAX));
        file.read_exact_at(&mut one[..len], offset)?;
        other.read_exact_at(&mut two[..len], offset)?;
        if one[..len] != two[..len] {
            return Ok(false);
        }
        offset += len as u64;
    }
    Ok(true)
}

const PREFIX: &str = ".dd-";
const SUFFIX: &str = ".part";

fn temporary_prefix(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let name = path.file_name().unwrap_or_default().as_bytes();
    [PREFIX.as_bytes(), &name[..name.len().min(200)], b"."].concat()
}

fn temporary_name(path: &Path) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut name = temporary_prefix(path);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.subsec_nanos());
    name.extend(format!("{}-{nanos}{SUFFIX}", std::process::id()).into_bytes());
    path.with_file_name(std::ffi::OsString::from_vec(name))
}

/// Removes what killed runs left of this very file: temporary files that nobody holds a lock on.
fn sweep(path: &Path) {
    use std::os::unix::ffi::OsStrExt;
    let prefix = temporary_prefix(path);
    let Some(Ok(siblings)) = path.parent().map(std::fs::read_dir) else { return };
    for sibling in siblings.flatten() {
        let name = sibling.file_name();
        if !name.as_bytes().starts_with(&prefix) || !name.as_bytes().ends_with(SUFFIX.as_bytes()) {
            continue;
        }
        let Ok(file) = File::open(sibling.path()) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = std::fs::remove_file(sibling.path());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure::{Category, classify};

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn write(path: &Path, bytes: &[u8], existing: Existing) -> anyhow::Result<Outcome> {
        let mut file = OutputFile::create(path, existing)?;
        file.write_all(bytes)?;
        file.commit()
    }

    #[test]
    fn appears_only_when_committed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut file = OutputFile::create(&path, Existing::Keep).unwrap();
        file.write_all(b"abc").unwrap();
        let file = file.finish().unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!(names(dir.path()), ["out"]);
        drop(OutputFile::create(&path, Existing::Replace).unwrap());
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn the_same_bytes_are_success_and_others_need_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        assert_eq!(write(&path, b"one", Existing::Keep).unwrap(), Outcome::Written);
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(write(&path, b"one", Existing::Keep).unwrap(), Outcome::Unchanged);
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
        for other in [&b"two"[..], b"longer"] {
            let error = write(&path, other, Existing::Keep).unwrap_err();
            assert_eq!(classify(&error).category, Category::Exists);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(write(&path, b"two", Existing::Keep.or_force(true)).unwrap(), Outcome::Written);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["p"], "nothing is left beside it");
    }

    #[test]
    fn records_replace_records() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        for held in ["", "{\"type\":\"stream\"}\n{", "{ \"type\": \"stream\" }"] {
            std::fs::write(&path, held).unwrap();
            assert_eq!(write(&path, b"new", Existing::Records).unwrap(), Outcome::Written);
        }
        for held in ["new", "{\"type\":\"image\"}\n", "\n", "{}", "[1]"] {
            std::fs::write(&path, held).unwrap();
            let error = write(&path, b"other", Existing::Records).unwrap_err();
            assert_eq!(classify(&error).category, Category::Exists, "{held}");
            assert_eq!(std::fs::read(&path).unwrap(), held.as_bytes());
        }
    }

    #[test]
    fn an_open_file_is_written_directly() {
        use std::os::fd::AsRawFd;
        let dir = tempfile::tempdir().unwrap();
        let mut held = File::create_new(dir.path().join("open")).unwrap();
        held.write_all(b"first ").unwrap();
        let name = PathBuf::from(format!("/dev/fd/{}", held.as_raw_fd()));
        write(&name, b"then", Existing::Keep).unwrap();
        assert_eq!(std::fs::read(dir.path().join("open")).unwrap(), b"first then");
        assert_eq!(names(dir.path()), ["open"]);
    }

    #[test]
    fn follows_links_and_sweeps_leftovers() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        std::fs::write(dir.path().join(".dd-real.1-1.part"), b"old").unwrap();
        std::fs::write(dir.path().join(".dd-other.1-1.part"), b"another's").unwrap();
        let held = OutputFile::create(&dir.path().join("real"), Existing::Keep).unwrap();
        let mut file = OutputFile::create(&dir.path().join("link"), Existing::Keep).unwrap();
        assert_eq!(names(dir.path()).len(), 4, "{:?}", names(dir.path()));
        file.write_all(b"x").unwrap();
        file.commit().unwrap();
        drop(held);
        assert_eq!(names(dir.path()), [".dd-other.1-1.part", "link", "real"]);
        assert!(std::fs::symlink_metadata(dir.path().join("link")).unwrap().is_symlink());
    }
}
