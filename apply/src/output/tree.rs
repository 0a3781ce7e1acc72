//! A directory of files, each of which appears whole and verified.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use dd_inspect::fail;
use dd_inspect::output::{Existing, OutputFile};
use dd_inspect::package::{Documents, Recipe};
use dd_inspect::range::{FileRange, ReadAt};
use dd_inspect::stage::signals::Guard;

use super::plan::{Part, Plan};
use crate::rebuild::run::Places;
use crate::rebuild::{Piece, Rebuilder, Work};

/// The files of a directory.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Files by their name in the directory.
    pub files: Vec<(String, Part)>,
    /// Files that name the others: written after all of them, in this order.
    pub last: Vec<(String, Part)>,
}

impl Tree {
    /// Whether a file of the tree is there, with its content.
    fn holds(
        root: &Path,
        (name, part): &(String, Part),
        recipe: &Recipe,
        documents: &Documents,
    ) -> bool {
        let Ok(file) = FileRange::open(&root.join(name)) else { return false };
        let plan = Plan { parts: vec![part.clone()] };
        plan.matches(&file, recipe, documents).unwrap_or(false)
    }

    /// The files that a directory lacks, or has with another content.
    pub fn missing(&self, root: &Path, recipe: &Recipe, documents: &Documents) -> Self {
        let absent = |files: &[(String, Part)]| {
            let absent = files.iter().filter(|file| !Self::holds(root, file, recipe, documents));
            absent.cloned().collect()
        };
        Self { files: absent(&self.files), last: absent(&self.last) }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.last.is_empty()
    }

    /// The pieces that are to be made.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        self.files.iter().filter_map(|(_, part)| match part {
            Part::Piece(piece) => Some(*piece),
            _ => None,
        })
    }

    /// Bytes in all files.
    ///
    /// # Errors
    /// As [`Part::size`].
    pub fn size(&self, recipe: &Recipe) -> anyhow::Result<u64> {
        let parts = self.files.iter().chain(&self.last).map(|(_, part)| part.clone());
        Plan { parts: parts.collect() }.size(recipe)
    }

    /// Writes the files into a directory: an existing one is added to, another appears when it is complete.
    ///
    /// # Errors
    /// The base or the package is damaged; no space; the directory cannot be written.
    pub fn write(
        &self,
        root: &Path,
        rebuilder: &Rebuilder,
        work: &Work,
        jobs: usize,
    ) -> anyhow::Result<()> {
        if root.exists() {
            return self.write_into(root, rebuilder, work, jobs);
        }
        let new = NewDirectory::create(root)?;
        self.write_into(&new.temporary, rebuilder, work, jobs)?;
        new.commit()
    }

    /// Writes the files into a directory that exists.
    ///
    /// # Errors
    /// As [`Tree::write`].
    pub fn write_into(
        &self,
        root: &Path,
        rebuilder: &Rebuilder,
        work: &Work,
        jobs: usize,
    ) -> anyhow::Result<()> {
        for (name, _) in self.files.iter().chain(&self.last) {
            if let Some(parent) = root.join(name).parent() {
                fs::create_dir_all(parent)
                    .with_context(|| format!("making the directory {}", parent.display()))?;
            }
        }
        let mut paths = vec![PathBuf::new(); work.pieces.len()];
        let numbers = work.numbers();
        for (name, part) in &self.files {
            let Part::Piece(piece) = part else { continue };
            let number = numbers.get(piece).context("a piece is not planned")?;
            if let Some(path) = paths.get_mut(*number) {
                *path = root.join(name);
            }
        }
        rebuilder.run(work, jobs, &Files { paths, open: Mutex::new(HashMap::new()) })?;
        rebuilder.blobs.finish()?;
        for (name, part) in self.files.iter().chain(&self.last) {
            if let Some(mut reader) = part.reader(&rebuilder.documents) {
                let mut file = OutputFile::create(&root.join(name), Existing::Replace)?;
                io::copy(&mut reader, &mut file).with_context(|| format!("writing {name}"))?;
                file.commit()?;
            }
        }
        Ok(())
    }
}

struct Files {
    paths: Vec<PathBuf>,
    open: Mutex<HashMap<usize, OutputFile>>,
}

impl Places for Files {
    fn open(&self, piece: usize) -> anyhow::Result<(Arc<File>, u64)> {
        let path = self.paths.get(piece).context("a piece has no place")?;
        let file = OutputFile::create(path, Existing::Replace)?;
        let handle = Arc::new(file.as_file().try_clone()?);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(piece, file);
        Ok((handle, 0))
    }

    fn done(&self, piece: usize) -> anyhow::Result<()> {
        let file = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&piece);
        file.context("a piece was not begun")?.commit()?;
        Ok(())
    }
}

/// A directory that appears under its name when it is complete, and leaves nothing otherwise.
struct NewDirectory {
    temporary: PathBuf,
    name: PathBuf,
    committed: bool,
    _guard: Guard,
}

impl NewDirectory {
    fn create(name: &Path) -> anyhow::Result<Self> {
        let name = std::path::absolute(name)?;
        let parent = name.parent().unwrap_or(Path::new("/"));
        let temporary = tempfile::Builder::new()
            .prefix(".dd-")
            .suffix(".part")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .tempdir_in(parent)
            .with_context(|| format!("writing into {}", parent.display()))?
            .keep();
        let guard = Guard::directory(&temporary);
        Ok(Self { temporary, name, committed: false, _guard: guard })
    }

    fn commit(mut self) -> anyhow::Result<()> {
        use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
        match fs::rename(&self.temporary, &self.name) {
            Err(e) if matches!(e.kind(), AlreadyExists | DirectoryNotEmpty | NotADirectory) => {
                fail!(Exists, "{} was made by another program meanwhile", self.name.display(); "run dd-apply again: it adds to what is there")
            }
            renamed => renamed.with_context(|| format!("writing {}", self.name.display()))?,
        }
        self.committed = true;
        Ok(())
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

/// Reads a small file of a directory whole.
pub(super) fn read_small(path: &Path) -> anyhow::Result<Vec<u8>> {
    const MAX_LEN: u64 = 4 << 20;
    let mut bytes = Vec::new();
    let file = FileRange::open(path)?;
    if file.size() > MAX_LEN {
        fail!(Limit, "{} has more than {MAX_LEN} bytes", path.display());
    }
    file.take(MAX_LEN)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dd_inspect::failure::{Category, classify};

    use super::NewDirectory;

    #[test]
    fn a_directory_that_appears_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("layout");
        let new = NewDirectory::create(&name).unwrap();
        std::fs::create_dir(&name).unwrap();
        std::fs::write(name.join("file"), "another's").unwrap();
        let failure = classify(&new.commit().unwrap_err());
        assert_eq!(failure.category, Category::Exists);
        assert!(failure.hint.is_some());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
