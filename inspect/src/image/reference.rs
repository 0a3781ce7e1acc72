//! References: skopeo's `transport:reference`, a path, or the name of an image in the Docker daemon.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::fail;

/// The transports that skopeo knows (containers-transports(5)).
const TRANSPORTS: [&str; 11] = [
    "containers-storage",
    "dir",
    "docker",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "ostree",
    "sif",
    "tarball",
    "atomic",
];

/// Ends of names that are files, so that a mistyped path is not looked for in the Docker daemon.
const FILE_ENDS: [&[u8]; 6] = [b".tar", b".tgz", b".gz", b".zst", b".oci", b".delta"];

/// A reference to an image, as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    given: OsString,
    transport: Option<&'static str>,
    rest: OsString,
}

/// What a reference refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file or directory of this machine.
    Disk {
        /// Where it is.
        path: PathBuf,
        /// The transport that was named; without one the content says what it is.
        transport: Option<&'static str>,
        /// The image in it that was named: a name, or `@` and a number.
        name: Option<String>,
    },
    /// An image that a helper program fetches.
    Elsewhere {
        /// The transport: `docker-daemon` when none was named.
        transport: &'static str,
        /// What follows the transport's colon: `//host/name:tag` for `docker`.
        rest: String,
    },
}

impl Reference {
    /// A reference as a user gives it. Any text is one; [`Reference::resolve`] tells what it refers to.
    pub fn new(given: impl Into<OsString>) -> Self {
        let given = given.into();
        let bytes = given.as_bytes();
        let colon = bytes.iter().position(|b| *b == b':');
        let transport =
            colon.and_then(|at| TRANSPORTS.into_iter().find(|t| t.as_bytes() == &bytes[..at]));
        let rest = match (transport, colon) {
            (Some(_), Some(at)) => OsString::from_vec(bytes[at + 1..].to_vec()),
            _ => given.clone(),
        };
        Self { given, transport, rest }
    }

    /// The text that was given; other than UTF-8 is replaced.
    pub fn given(&self) -> String {
        self.given.to_string_lossy().into_owned()
    }

    /// The transport that was named.
    pub fn transport(&self) -> Option<&'static str> {
        self.transport
    }

    /// Finds out what is meant; looks only at whether files exist.
    ///
    /// # Errors
    /// `not-found` for a path that does not exist; `usage` for an empty or unreadable reference.
    pub fn resolve(&self) -> anyhow::Result<Place> {
        if self.rest.is_empty() {
            fail!(Usage, "the reference {:?} is empty", self.given());
        }
        if self.rest == "-" {
            fail!(Usage, "images are not read from stdin"; "save the image into a file; a file named - is ./-");
        }
        match self.transport {
            Some(transport @ ("docker-archive" | "oci-archive" | "oci")) => {
                let (path, name) = split_name(&self.rest);
                existing(&path, self)?;
                Ok(Place::Disk { path, transport: Some(transport), name })
            }
            Some(transport @ "dir") => {
                existing(Path::new(&self.rest), self)?;
                Ok(Place::Disk {
                    path: PathBuf::from(&self.rest),
                    transport: Some(transport),
                    name: None,
                })
            }
            Some(transport) => Ok(Place::Elsewhere { transport, rest: self.text()? }),
            None if Path::new(&self.rest).exists() => {
                Ok(Place::Disk { path: PathBuf::from(&self.rest), transport: None, name: None })
            }
            None if looks_like_a_file(self.rest.as_bytes()) => {
                fail!(NotFound, "there is no file {}", self.given())
            }
            None => Ok(Place::Elsewhere { transport: "docker-daemon", rest: self.text()? }),
        }
    }

    fn text(&self) -> anyhow::Result<String> {
        match self.rest.to_str() {
            Some(text) => Ok(text.to_owned()),
            None => fail!(Usage, "the reference {:?} is not UTF-8", self.given()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given())
    }
}

impl From<&OsStr> for Reference {
    fn from(given: &OsStr) -> Self {
        Self::new(given)
    }
}

impl From<OsString> for Reference {
    fn from(given: OsString) -> Self {
        Self::new(given)
    }
}

impl From<&str> for Reference {
    fn from(given: &str) -> Self {
        Self::new(given)
    }
}

fn existing(path: &Path, reference: &Reference) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fail!(NotFound, "there is no {} (looked for {})", path.display(), reference.given())
}

/// No name of an image begins with a slash or a dot.
fn looks_like_a_file(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'/' | b'.')) || FILE_ENDS.iter().any(|end| name.ends_with(end))
}

/// `PATH[:NAME]`. A path may have colons: the first split whose path exists counts, else the first colon behind the
/// directories that exist.
pub fn split_name(text: &OsStr) -> (PathBuf, Option<String>) {
    let whole = || (PathBuf::from(text), None);
    if Path::new(text).exists() {
        return whole();
    }
    let bytes = text.as_bytes();
    let places = |wanted: u8| (0..bytes.len()).filter(move |at| bytes[*at] == wanted);
    let before = |at: usize| Path::new(OsStr::from_bytes(&bytes[..at]));
    let directories = places(b'/').rev().find(|at| before(*at).is_dir()).unwrap_or(0);
    let there = places(b':').find(|at| before(*at).exists());
    match there.or_else(|| places(b':').find(|at| *at >= directories)) {
        Some(at) => {
            let name = String::from_utf8_lossy(&bytes[at + 1..]).into_owned();
            (before(at).to_owned(), Some(name).filter(|name| !name.is_empty()))
        }
        None => whole(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure::{Category, classify};

    fn category(given: &str) -> Category {
        classify(&Reference::from(given).resolve().unwrap_err()).category
    }

    fn elsewhere(given: &str) -> (&'static str, String) {
        match Reference::from(given).resolve().unwrap() {
            Place::Elsewhere { transport, rest } => (transport, rest),
            disk => panic!("{disk:?}"),
        }
    }

    #[test]
    fn names_that_are_no_files_are_images_of_the_daemon() {
        assert_eq!(elsewhere("app:1"), ("docker-daemon", "app:1".to_owned()));
        assert_eq!(elsewhere("docker-daemon:app:1"), ("docker-daemon", "app:1".to_owned()));
        assert_eq!(elsewhere("docker://h/app:1"), ("docker", "//h/app:1".to_owned()));
        assert_eq!(
            elsewhere("localhost:5000/app"),
            ("docker-daemon", "localhost:5000/app".to_owned())
        );
    }

    #[test]
    fn names_that_look_like_files_are_not() {
        for given in
            ["/no/such", "./no", "no.tar", "no.delta", "no.tar.gz", "oci:/no/such:1", "dir:no"]
        {
            assert_eq!(category(given), Category::NotFound, "{given}");
        }
        assert_eq!(category(""), Category::Usage);
        assert_eq!(category("oci:"), Category::Usage);
        assert_eq!(category("-"), Category::Usage);
    }

    #[test]
    fn a_path_may_have_colons() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a:b.tar");
        std::fs::write(&path, "x").unwrap();
        let at = |given: String| Reference::new(given).resolve().unwrap();
        let disk = |transport, name: Option<&str>| Place::Disk {
            path: path.clone(),
            transport,
            name: name.map(str::to_owned),
        };
        assert_eq!(at(path.display().to_string()), disk(None, None));
        let given = format!("docker-archive:{}", path.display());
        assert_eq!(at(given.clone()), disk(Some("docker-archive"), None));
        assert_eq!(at(format!("{given}:app:1")), disk(Some("docker-archive"), Some("app:1")));
        let inside = dir.path().join("c:d");
        std::fs::create_dir(&inside).unwrap();
        let split = |rest: &str| split_name(inside.join(rest).as_os_str());
        assert_eq!(split(""), (inside.join(""), None));
        assert_eq!(split("new"), (inside.join("new"), None));
        let name = Some("host:5000/app:1".to_owned());
        assert_eq!(split("new:host:5000/app:1"), (inside.join("new"), name));
    }
}
