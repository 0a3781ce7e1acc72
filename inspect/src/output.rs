//! Files that a stage writes: under their final name only when they are whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

use crate::fail;
use crate::stage::signals::Guard;

/// What a name may already stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// An existing regular file is replaced.
    Replace,
    /// An existing regular file is an error (`exists`).
    Refuse,
}

/// A file being written. Regular files are written beside their final name, synced and renamed by
/// [`OutputFile::commit`]; symlinks are followed. Devices and fifos are written directly. Dropped
/// without `commit`, nothing remains.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    path: PathBuf,
    temporary: Option<(PathBuf, Guard)>,
}

impl OutputFile {
    /// Begins to write the file `path`.
    ///
    /// # Errors
    /// The file exists and is to stay (`exists`), is a directory, or its directory is not writable.
    pub fn create(path: &Path, existing: Existing) -> anyhow::Result<Self> {
        let path = follow(path)?;
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => fail!(Usage, "{} is a directory", path.display()),
            Ok(metadata) if is_special(&metadata) => {
                let file = OpenOptions::new().write(true).open(&path);
                let file = file.with_context(|| format!("opening {}", path.display()))?;
                return Ok(Self { file, path, temporary: None });
            }
            Ok(_) if existing == Existing::Refuse => {
                fail!(Exists, "{} exists", path.display(); "-f replaces it")
            }
            _ => {}
        }
        sweep(&path);
        let temporary = temporary_name(&path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o666);
        let guard = Guard::file(&temporary);
        let file = options
            .open(&temporary)
            .with_context(|| format!("writing beside {}", path.display()))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok();
        Ok(Self { file, path, temporary: Some((temporary, guard)) })
    }

    /// The final name, symlinks followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether bytes can be written at any offset and read back: not for devices and fifos.
    pub fn can_seek(&self) -> bool {
        self.temporary.is_some()
    }

    /// The open file.
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// Writes bytes at an offset.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Makes the file appear under its name.
    ///
    /// # Errors
    /// Syncing or renaming failed; then the name is as it was.
    pub fn commit(mut self) -> anyhow::Result<()> {
        let Some((temporary, guard)) = self.temporary.take() else { return Ok(()) };
        let result = self.file.sync_all().and_then(|()| std::fs::rename(&temporary, &self.path));
        if result.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        drop(guard);
        result.with_context(|| format!("writing {}", self.path.display()))
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

impl Seek for OutputFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

fn is_special(metadata: &std::fs::Metadata) -> bool {
    let kind = metadata.file_type();
    kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket()
}

/// The name with symlinks followed, so that a link stays a link; dangling links too.
fn follow(path: &Path) -> anyhow::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..40 {
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => return Ok(path),
        }
    }
    fail!(Usage, "{} is a loop of symbolic links", path.display())
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

    #[test]
    fn appears_only_when_committed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut file = OutputFile::create(&path, Existing::Refuse).unwrap();
        file.write_all(b"abc").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!(names(dir.path()), ["out"]);
        let refused = OutputFile::create(&path, Existing::Refuse).unwrap_err();
        assert_eq!(classify(&refused).category, Category::Exists);
        drop(OutputFile::create(&path, Existing::Replace).unwrap());
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn follows_links_and_sweeps_leftovers() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        std::fs::write(dir.path().join(".dd-real.1-1.part"), b"old").unwrap();
        std::fs::write(dir.path().join(".dd-other.1-1.part"), b"another's").unwrap();
        let held = OutputFile::create(&dir.path().join("real"), Existing::Refuse).unwrap();
        let mut file = OutputFile::create(&dir.path().join("link"), Existing::Refuse).unwrap();
        assert_eq!(names(dir.path()).len(), 4, "{:?}", names(dir.path()));
        file.write_all(b"x").unwrap();
        file.commit().unwrap();
        drop(held);
        assert_eq!(names(dir.path()), [".dd-other.1-1.part", "link", "real"]);
        assert!(std::fs::symlink_metadata(dir.path().join("link")).unwrap().is_symlink());
    }
}
