//! Images in the Docker daemon, through the docker client: `DOCKER_HOST` and contexts are the client's matter.

use std::io::{self, BufWriter};
use std::str::FromStr;

use anyhow::Context;
use serde::Deserialize;

use super::explain;
use crate::child::Helper;
use crate::digest::{DiffId, Digest};
use crate::fail;
use crate::range::FileRange;
use crate::store::Store;

const PURPOSE: &str = "to read images of the Docker daemon";

/// Bytes copied at once.
const BUFFER: usize = 256 << 10;

/// What the daemon says about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonImage {
    /// The digest of its configuration in the classic store, of its manifest or index in the containerd store.
    pub id: Digest,
    /// Repositories and tags that point to it.
    pub names: Vec<String>,
    /// The layers of the daemon's own platform, bottom first.
    pub diff_ids: Vec<DiffId>,
    /// `OS/ARCH[/VARIANT]`.
    pub platform: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
    os: String,
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

/// podman's stand-in for docker answers with a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answers {
    One(Answer),
    List([Answer; 1]),
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(rename = "Layers", default)]
    layers: Option<Vec<DiffId>>,
}

/// Asks the daemon about an image, without transferring it: enough to check a base.
///
/// # Errors
/// `not-found` if it has none of this name; `missing-program`, `helper-failed`.
pub fn look(name: &str, store: &Store) -> anyhow::Result<DaemonImage> {
    check_name(name)?;
    let helper = Helper::new("docker", PURPOSE, store)?;
    let result = helper.args(["image", "inspect", "--format", "{{json .}}", "--", name]).output();
    let answer =
        result.map_err(|e| explain(e, &format!("looking for {name} in the Docker daemon")))?;
    parse(&answer).with_context(|| format!("reading what docker says about {name}"))
}

fn parse(answer: &[u8]) -> anyhow::Result<DaemonImage> {
    let (Answers::One(answer) | Answers::List([answer])) = serde_json::from_slice(answer)?;
    // podman leaves the algorithm away as well.
    let id = answer.id.strip_prefix("sha256:").unwrap_or(&answer.id);
    let variant =
        answer.variant.filter(|v| !v.is_empty()).map_or(String::new(), |v| format!("/{v}"));
    Ok(DaemonImage {
        id: Digest::from_str(&format!("sha256:{id}"))?,
        names: answer.repo_tags.unwrap_or_default(),
        diff_ids: answer.root_fs.layers.unwrap_or_default(),
        platform: format!("{}/{}{variant}", answer.os, answer.architecture),
    })
}

/// Makes the archive that `docker save` writes an object of the store, with all the image's platforms that the daemon has.
///
/// # Errors
/// As [`look`]; `no-space` and other failures of the store.
pub fn save(name: &str, store: &Store) -> anyhow::Result<FileRange> {
    let image = look(name, store)?;
    let wanted = saved_name(name, &image);
    let what = format!("saving {name} out of the Docker daemon");
    let running = Helper::new("docker", PURPOSE, store)?.args(["save", "--", &wanted]).start()?;
    let mut object = BufWriter::with_capacity(BUFFER, store.writer()?);
    let copied = running.consume(|stdout| {
        io::copy(stdout, &mut object).context("writing into the store")?;
        Ok(())
    });
    copied.map_err(|e| explain(e, &what))?;
    let object = object.into_inner().context("writing into the store")?;
    if object.is_empty() {
        fail!(HelperFailed, "{what}: docker wrote nothing");
    }
    Ok(object.commit(None)?.1)
}

/// `docker save` of a repository without a tag saves all its tags: one is named, unless it is an ID.
fn saved_name(name: &str, image: &DaemonImage) -> String {
    let tagged = with_tag(name);
    let is_id = name.bytes().all(|b| b.is_ascii_hexdigit()) && image.id.hex().starts_with(name);
    if is_id && !image.names.contains(&tagged) { name.to_owned() } else { tagged }
}

/// The name with `:latest` where it has neither tag nor digest.
pub fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

/// # Errors
/// `usage` for what is no name: empty, an option, or with control characters.
pub fn check_name(name: &str) -> anyhow::Result<()> {
    if name.is_empty() || name.starts_with('-') || name.chars().any(|c| c.is_control() || c == ' ')
    {
        fail!(Usage, "{name:?} is not the name of an image");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"Id":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "RepoTags":["cafe:latest","a:1"],"Architecture":"arm64","Variant":"v8","Os":"linux","Size":8,
        "RootFS":{"Type":"layers","Layers":["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]}}"#;

    #[test]
    fn reads_an_answer() {
        let image = parse(ANSWER.as_bytes()).unwrap();
        assert_eq!(image.id, Digest::of(b"abc"));
        assert_eq!(image.names, ["cafe:latest", "a:1"]);
        assert_eq!(image.diff_ids, [DiffId::of(b"abc")]);
        assert_eq!(image.platform, "linux/arm64/v8");
        let podman = ANSWER.replacen("sha256:", "", 1).replace(r#"["cafe:latest","a:1"]"#, "null");
        assert_eq!(parse(format!("[{podman}]").as_bytes()).unwrap().id, image.id);
        assert!(parse(b"[]").is_err());
    }

    #[test]
    fn names_one_tag_or_an_id() {
        let image = parse(ANSWER.as_bytes()).unwrap();
        for (name, wanted) in [
            ("app", "app:latest"),
            ("host:5000/app", "host:5000/app:latest"),
            ("host:5000/app:1", "host:5000/app:1"),
            ("ba7816bf8f01", "ba7816bf8f01"),
            ("cafe", "cafe:latest"),
            ("sha256:ba7816bf8f01", "sha256:ba7816bf8f01"),
            ("app@sha256:00", "app@sha256:00"),
        ] {
            assert_eq!(saved_name(name, &image), wanted);
        }
    }

    #[test]
    fn options_are_no_names() {
        for bad in ["", "--output=/etc/passwd", "a b", "a\n"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
