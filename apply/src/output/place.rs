//! Where the images go, as the user wrote it: `transport:reference`, a path, or `-`. A colon before the first slash ends a
//! transport.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dd_inspect::elsewhere::TRANSPORTS;
use dd_inspect::fail;
use dd_inspect::files::{is_stdout, is_stream};
use dd_inspect::image::split_name;

/// An output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// stdout: the target's own file, else a docker-archive.
    Stdout,
    /// A path: the target's own file or directory, else a docker-archive.
    Path(PathBuf),
    /// `docker-archive:PATH[:NAME]`; PATH `-` is stdout.
    DockerArchive(PathBuf, Option<String>),
    /// `oci-archive:PATH[:NAME]`; PATH `-` is stdout.
    OciArchive(PathBuf, Option<String>),
    /// `oci:DIR[:NAME]`.
    Oci(PathBuf, Option<String>),
    /// `dir:DIR`.
    Dir(PathBuf),
    /// Not a file: the Docker daemon, a registry, containers-storage.
    Elsewhere(String),
}

impl Output {
    /// Reads what the user wrote. Whatever leads to stdout is stdout: `/dev/stdout` too.
    ///
    /// # Errors
    /// `usage` if it names no place.
    pub fn parse(text: &OsStr) -> anyhow::Result<Self> {
        let bytes = text.as_bytes();
        let colon = bytes.iter().position(|byte| *byte == b':');
        let (transport, rest) = match colon {
            Some(at) => (std::str::from_utf8(&bytes[..at]).unwrap_or(""), &bytes[at + 1..]),
            None => ("", bytes),
        };
        let output = match transport {
            "docker-archive" => {
                let (path, name) = with_name(rest)?;
                Self::DockerArchive(path, name)
            }
            "oci-archive" => {
                let (path, name) = with_name(rest)?;
                Self::OciArchive(path, name)
            }
            "oci" => {
                let (path, name) = with_name(rest)?;
                Self::Oci(path, name)
            }
            "dir" => Self::Dir(OsStr::from_bytes(rest).into()),
            other if TRANSPORTS.contains(&other) => match text.to_str() {
                Some(text) => Self::Elsewhere(text.to_owned()),
                None => fail!(Usage, "the output {text:?} is not UTF-8"),
            },
            _ if colon.is_some_and(|at| !bytes[..at].contains(&b'/')) => {
                let text = text.display();
                fail!(Usage, "the output {text} names no known transport"; "./{text} is a file; docker-daemon:NAME, docker://REGISTRY/NAME, docker-archive:FILE, … are transports")
            }
            _ if is_stdout(Path::new(text)) => Self::Stdout,
            _ => Self::Path(text.into()),
        };
        if output.path().is_some_and(|path| path.as_os_str().is_empty()) {
            fail!(Usage, "the output {text:?} names no file"; "--output FILE, or oci:DIR, docker-archive:FILE, …");
        }
        Ok(output)
    }

    /// The path that is written, unless it is stdout or elsewhere.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout | Self::Elsewhere(_) => None,
            Self::DockerArchive(path, _) | Self::OciArchive(path, _) => {
                Some(path.as_path()).filter(|path| !is_stdout(path))
            }
            Self::Path(path) | Self::Oci(path, _) | Self::Dir(path) => Some(path),
        }
    }

    /// The path, if a file or directory of this name is made.
    pub fn file(&self) -> Option<&Path> {
        self.path().filter(|path| !is_stream(path))
    }

    /// Whether it is stdout.
    pub fn is_stdout(&self) -> bool {
        match self {
            Self::Stdout => true,
            Self::DockerArchive(path, _) | Self::OciArchive(path, _) => is_stdout(path),
            _ => false,
        }
    }

    /// The name in the reference.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::DockerArchive(_, name) | Self::OciArchive(_, name) | Self::Oci(_, name) => {
                name.as_deref()
            }
            _ => None,
        }
    }
}

/// `PATH[:NAME]`.
fn with_name(rest: &[u8]) -> anyhow::Result<(PathBuf, Option<String>)> {
    let (path, name) = split_name(OsStr::from_bytes(rest));
    if std::str::from_utf8(&rest[path.as_os_str().len()..]).is_err() {
        fail!(Usage, "the name in the output {:?} is not UTF-8", OsStr::from_bytes(rest));
    }
    Ok((path, name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn transports_and_paths() {
        let parse = |text: &str| Output::parse(text.as_ref()).unwrap();
        assert_eq!(parse("-"), Output::Stdout);
        assert_eq!(parse("./a:1.tar"), Output::Path("./a:1.tar".into()));
        assert_eq!(parse("/a:1.tar"), Output::Path("/a:1.tar".into()));
        assert_eq!(
            parse("docker-archive:a.tar:host:5000/app:1"),
            Output::DockerArchive("a.tar".into(), Some("host:5000/app:1".to_owned()))
        );
        assert_eq!(parse("oci:d"), Output::Oci("d".into(), None));
        assert_eq!(parse("dir:d"), Output::Dir("d".into()));
        assert_eq!(parse("docker-daemon:"), Output::Elsewhere("docker-daemon:".to_owned()));
        assert!(parse("oci-archive:-").is_stdout());
        let wrong: [&[u8]; 7] = [
            b"",
            b"oci:",
            b"oci:d:\xff",
            b"docker-daemon:\xff",
            b"docker-deamon:app:2",
            b"a:1.tar",
            b":a",
        ];
        for wrong in wrong {
            assert!(Output::parse(OsStr::from_bytes(wrong)).is_err());
        }
        let bytes = OsStr::from_bytes(b"\xff/a");
        assert_eq!(Output::parse(bytes).unwrap(), Output::Path(bytes.into()));
    }
}
