//! Which file a name stands for; that an output of a command is neither another output nor an input of it.

use std::ffi::OsString;
use std::fs::{File, Metadata, metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{PROC_SUPER_MAGIC, statfs};

use crate::fail;

/// The name that symlinks lead to, dangling ones too. None for a file that is open already, as `/dev/stdout` and
/// `/dev/fd/N` are: the text of such a link is no name.
///
/// # Errors
/// `usage` for a loop.
pub fn follow(path: &Path) -> anyhow::Result<Option<PathBuf>> {
    let mut name = absolute(path)?;
    for _ in 0..40 {
        let Ok(target) = std::fs::read_link(&name) else { return Ok(Some(name)) };
        let parent = name.parent().unwrap_or(Path::new("/"));
        if statfs(parent).is_ok_and(|system| system.f_type == PROC_SUPER_MAGIC) {
            return Ok(None);
        }
        name = parent.join(target);
    }
    fail!(Usage, "{} is a loop of symbolic links", path.display())
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("finding {}", path.display()))
}

/// Whether bytes go straight to what is there: a pipe, a device, a file that is open already.
pub fn is_stream(path: &Path) -> bool {
    let there = metadata(path).ok().filter(|there| !there.is_dir());
    there.is_some_and(|there| !there.is_file() || matches!(follow(path), Ok(None)))
}

/// Whether this is stdout: `-`, or another name of the same file.
pub fn is_stdout(path: &Path) -> bool {
    let same =
        || metadata(path).is_ok_and(|file| of(io::stdout()).is_some_and(|it| is(&it, &file)));
    path == Path::new("-") || same()
}

/// A name by which other programs open this very file, too.
///
/// # Errors
/// `usage` for an open file that has none.
pub fn lasting_name(path: &Path) -> anyhow::Result<PathBuf> {
    if follow(path)?.is_some() {
        return absolute(path);
    }
    let name = std::fs::canonicalize(path).ok().filter(|name| {
        let both = metadata(name).ok().zip(metadata(path).ok());
        both.is_some_and(|(one, other)| is(&one, &other))
    });
    match name {
        Some(name) => Ok(name),
        None => fail!(Usage, "{} is a file without a name", path.display(); "save it under a name"),
    }
}

fn of(open: impl AsFd) -> Option<Metadata> {
    File::from(open.as_fd().try_clone_to_owned().ok()?).metadata().ok()
}

fn is(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The files of a command line: what is written and what is read, each with its name.
#[derive(Debug, Clone, Default)]
pub struct Files {
    written: Vec<Named>,
    read: Vec<Named>,
}

#[derive(Debug, Clone)]
struct Named {
    what: &'static str,
    path: PathBuf,
    identity: Identity,
}

/// What makes a file this one: its number, or where it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    There(u64, u64),
    Absent(u64, u64, OsString),
}

impl Files {
    /// Adds an output: `the records`; `-` is stdout.
    pub fn written(&mut self, what: &'static str, path: &Path) {
        self.written.extend(Named::written(what, path));
    }

    /// Adds an input.
    pub fn read(&mut self, what: &'static str, path: &Path) {
        self.read.extend(Named::read(what, path, metadata(path).ok()));
    }

    /// Adds what stdin is.
    pub fn read_stdin(&mut self) {
        self.read.extend(Named::read("stdin", Path::new("-"), of(io::stdin())));
    }

    /// Whether stdout is an input, so that not even an error may be written to it.
    pub fn reads_stdout(&self) -> bool {
        self.read.iter().any(|input| is_stdout(&input.path))
    }

    /// Fails if an output is another output or an input.
    ///
    /// # Errors
    /// `usage`.
    pub fn check(&self) -> anyhow::Result<()> {
        for (place, output) in self.written.iter().enumerate() {
            let is_same = |other: &&Named| other.identity == output.identity;
            let name = output.show();
            if let Some(input) = self.read.iter().find(is_same) {
                fail!(Usage, "{} would overwrite {}, {name}", output.what, input.what; "choose another file");
            }
            if let Some(other) = self.written.iter().take(place).find(is_same) {
                fail!(Usage, "{} and {} would both be written to {name}", other.what, output.what; "choose another file for one of them");
            }
        }
        Ok(())
    }
}

impl Named {
    /// An output; none if it is a directory or a device, which take more than one.
    fn written(what: &'static str, path: &Path) -> Option<Self> {
        let there = if path == Path::new("-") { of(io::stdout()) } else { metadata(path).ok() };
        let identity = match there {
            Some(there) if there.is_dir() || there.file_type().is_char_device() => return None,
            Some(there) => Identity::There(there.dev(), there.ino()),
            None => {
                let name = follow(path).ok()??;
                let parent = metadata(name.parent()?).ok()?;
                Identity::Absent(parent.dev(), parent.ino(), name.file_name()?.to_owned())
            }
        };
        Some(Self { what, path: path.to_owned(), identity })
    }

    /// An input; none if it is no file, since what else there is can be read from and written to.
    fn read(what: &'static str, path: &Path, there: Option<Metadata>) -> Option<Self> {
        let there = there.filter(Metadata::is_file)?;
        let identity = Identity::There(there.dev(), there.ino());
        Some(Self { what, path: path.to_owned(), identity })
    }

    fn show(&self) -> String {
        match self.path.to_str() {
            Some("-") => "stdout".to_owned(),
            _ => self.path.display().to_string(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn files(written: &[&Path], read: &[&Path]) -> anyhow::Result<()> {
        let mut files = Files::default();
        written.iter().for_each(|path| files.written("the output", path));
        read.iter().for_each(|path| files.read("the input", path));
        files.check()
    }

    #[test]
    fn a_file_is_known_by_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("there"), "x").unwrap();
        std::fs::hard_link(at("there"), at("hard")).unwrap();
        symlink("there", at("soft")).unwrap();
        symlink("absent", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        for other in ["there", "hard", "soft", "./there", "../there/../there"] {
            let other = if other.starts_with("..") {
                dir.path().join("..").join(dir.path().file_name().unwrap()).join("there")
            } else {
                at(other)
            };
            assert!(files(&[&other], &[&at("there")]).is_err(), "{}", other.display());
            assert!(files(&[&other, &at("there")], &[]).is_err(), "{}", other.display());
        }
        assert!(files(&[&at("absent"), &at("dangling")], &[]).is_err());
        assert!(files(&[&at("absent"), &at("there")], &[&at("absent")]).is_ok());
        assert!(files(&[&at("absent"), &at("no/absent")], &[]).is_ok());
        assert!(files(&[Path::new("/dev/null"), Path::new("/dev/null")], &[]).is_ok());
        assert!(files(&[dir.path(), dir.path()], &[dir.path()]).is_ok());
        assert!(follow(&at("loop")).is_err());
    }

    #[test]
    fn an_open_file_has_a_lasting_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("file");
        let file = File::create(&path).unwrap();
        let open = PathBuf::from(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
        assert_eq!(follow(&open).unwrap(), None);
        assert!(is_stream(&open) && !is_stream(&path) && !is_stream(dir.path()));
        assert_eq!(lasting_name(&open).unwrap(), path);
        std::fs::remove_file(&path).unwrap();
        assert!(lasting_name(&open).is_err());
    }
}
