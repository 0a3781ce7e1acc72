//! Where the images go, as the user wrote it: `transport:reference`, a path, or `-`. A colon before the first slash ends a
//! transport.

use std::ffi::OsStr;
use std::path::PathBuf;

use dd_inspect::elsewhere::TRANSPORTS;
use dd_inspect::fail;
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
    /// Reads what the user wrote.
    ///
    /// # Errors
    /// `usage` if it names no place.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let with_name = |rest: &str| split_name(OsStr::new(rest));
        let output = match text.split_once(':') {
            None if text == "-" => Self::Stdout,
            Some(("docker-archive", rest)) => {
                let (path, name) = with_name(rest);
                Self::DockerArchive(path, name)
            }
            Some(("oci-archive", rest)) => {
                let (path, name) = with_name(rest);
                Self::OciArchive(path, name)
            }
            Some(("oci", rest)) => {
                let (path, name) = with_name(rest);
                Self::Oci(path, name)
            }
            Some(("dir", rest)) => Self::Dir(rest.into()),
            Some((transport, _)) if TRANSPORTS.contains(&transport) => {
                Self::Elsewhere(text.to_owned())
            }
            Some((unknown, _)) if !unknown.contains('/') => {
                fail!(Usage, "the output {text:?} names no known transport"; "./{text} is a file; docker-daemon:NAME, docker://REGISTRY/NAME, docker-archive:FILE, … are transports")
            }
            _ => Self::Path(text.into()),
        };
        if output.path().is_some_and(|path| path.as_os_str().is_empty()) {
            fail!(Usage, "the output {text:?} names no file"; "--output FILE, or oci:DIR, docker-archive:FILE, …");
        }
        Ok(output)
    }

    /// The path that is written, unless it is stdout or elsewhere.
    pub fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Stdout | Self::Elsewhere(_) => None,
            Self::DockerArchive(path, _) | Self::OciArchive(path, _) => {
                Some(path).filter(|path| path.as_os_str() != "-")
            }
            Self::Path(path) | Self::Oci(path, _) | Self::Dir(path) => Some(path),
        }
    }

    /// Whether it is stdout.
    pub fn is_stdout(&self) -> bool {
        match self {
            Self::Stdout => true,
            Self::DockerArchive(path, _) | Self::OciArchive(path, _) => path.as_os_str() == "-",
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn transports_and_paths() {
        let parse = |text: &str| Output::parse(text).unwrap();
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
        for wrong in ["", "oci:", "docker-deamon:app:2", "a:1.tar", ":a"] {
            assert!(Output::parse(wrong).is_err(), "{wrong}");
        }
    }
}
