//! Files of dd-pack: one that already holds the wanted bytes stays as it is, another one is replaced only when asked.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use dd_inspect::digest::{Digest, Hasher, hash_reader};
use dd_inspect::fail;
use dd_inspect::output::{Existing, OutputFile};

/// A file being written.
#[derive(Debug)]
pub struct Output {
    file: BufWriter<OutputFile>,
    hasher: Hasher,
    path: PathBuf,
    force: bool,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was written.
    Written,
    /// It was there already, with these bytes.
    Unchanged,
}

impl Output {
    /// Begins a file; nothing appears before [`Output::commit`].
    ///
    /// # Errors
    /// The path is a directory, or its directory cannot be written.
    pub fn create(path: &Path, force: bool) -> anyhow::Result<Self> {
        let file = OutputFile::create(path, Existing::Replace)?;
        let path = file.path().to_owned();
        let file = BufWriter::with_capacity(128 << 10, file);
        Ok(Self { file, hasher: Hasher::new(), path, force })
    }

    /// Makes the file appear, unless it is there already with the same bytes.
    ///
    /// # Errors
    /// Another file is there and is not to be replaced (`exists`); writing failed.
    pub fn commit(self) -> anyhow::Result<Outcome> {
        let path = &self.path;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let file = file.with_context(|| format!("writing {}", path.display()))?;
        if file.can_seek() && path.is_file() {
            let size = self.hasher.len();
            if holds(path, self.hasher.finish(), size)
                .with_context(|| format!("comparing with the existing {}", path.display()))?
            {
                return Ok(Outcome::Unchanged);
            }
            if !self.force {
                fail!(Exists, "{} exists and holds something else", path.display(); "-f replaces it");
            }
        }
        file.commit()?;
        Ok(Outcome::Written)
    }
}

fn holds(path: &Path, digest: Digest, size: u64) -> io::Result<bool> {
    let file = File::open(path)?;
    Ok(file.metadata()?.len() == size && hash_reader(file)?.0 == digest)
}

impl Write for Output {
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
    use dd_inspect::failure::{Category, classify};

    fn write(path: &Path, bytes: &[u8], force: bool) -> anyhow::Result<Outcome> {
        let mut output = Output::create(path, force)?;
        output.write_all(bytes)?;
        output.commit()
    }

    #[test]
    fn the_same_bytes_are_success_and_others_need_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        assert_eq!(write(&path, b"one", false).unwrap(), Outcome::Written);
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(write(&path, b"one", false).unwrap(), Outcome::Unchanged);
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
        let error = write(&path, b"two", false).unwrap_err();
        assert_eq!(classify(&error).category, Category::Exists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(write(&path, b"two", true).unwrap(), Outcome::Written);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
