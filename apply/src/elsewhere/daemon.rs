//! Loading images into the Docker daemon.

use std::io::{self, Write};

use dd_inspect::child::{Helper, Sink, is_installed};
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::elsewhere::daemon::{check_name, look, with_tag};
use dd_inspect::elsewhere::explain;
use dd_inspect::failure::{Category, Failure};
use dd_inspect::store::Store;
use dd_inspect::{fail, failure};

const PURPOSE: &str = "to load images into the Docker daemon";
/// Images asked about at once.
const BATCH: usize = 200;

/// Whether the daemon is written to through the docker client; else, where there is only skopeo, [`super::push`] does it.
pub fn by_client() -> bool {
    is_installed("docker") || !is_installed("skopeo")
}

/// Refuses names that point to another image. `identities` are the digests that the image is known by: of its
/// configuration, its manifest and its index.
///
/// # Errors
/// `exists`, with the first such name; `missing-program`, `helper-failed`.
pub fn check_names(names: &[String], identities: &[Digest], store: &Store) -> anyhow::Result<()> {
    for name in names {
        let there = match look(&with_tag(name), store) {
            Err(error) if is_absent(&error) => continue,
            there => there?,
        };
        if !identities.contains(&there.id) {
            fail!(Exists, "{name} in the Docker daemon is another image, {}", there.id; "-f moves the name, or give another one");
        }
    }
    Ok(())
}

fn is_absent(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Failure>().is_some_and(|failure| failure.category == Category::NotFound)
}

/// Whether the daemon has the image store that Docker had before containerd's: it keeps configurations and layers, but no
/// manifests. A stand-in that does not tell has another.
///
/// # Errors
/// `missing-program`; `helper-failed` if the daemon cannot be reached.
pub fn has_classic_store(store: &Store) -> anyhow::Result<bool> {
    let info = ["info", "--format", "{{.Driver}} {{json .DriverStatus}}"];
    match docker(store)?.args(info).output() {
        Ok(info) => Ok(is_classic(&String::from_utf8_lossy(&info))),
        Err(error) if error.to_string().contains("template") => Ok(false),
        Err(error) => Err(explain(error, "asking the Docker daemon what it is")),
    }
}

/// How many of these layers, counted from the bottom, an archive for this daemon may lack: those that the classic store has
/// below another image. The containerd store needs them all, and so does a daemon that does not tell.
pub fn held_layers(diff_ids: &[DiffId], store: &Store) -> usize {
    held(diff_ids, store).unwrap_or(0)
}

fn held(diff_ids: &[DiffId], store: &Store) -> anyhow::Result<usize> {
    if !has_classic_store(store)? {
        return Ok(0);
    }
    let ids = docker(store)?.args(["image", "ls", "--all", "--quiet", "--no-trunc"]).output()?;
    let mut ids: Vec<String> = String::from_utf8(ids)?.lines().map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    let mut most = 0;
    for batch in ids.chunks(BATCH) {
        // An image may be removed meanwhile, which fails its whole batch; the others still count.
        let answers = match layers_of(batch, store) {
            Ok(answers) => answers,
            Err(_) => batch
                .iter()
                .filter_map(|id| layers_of(std::slice::from_ref(id), store).ok())
                .flatten()
                .collect(),
        };
        let held = answers.iter().map(|layers| common(diff_ids, layers));
        most = most.max(held.max().unwrap_or(0));
    }
    Ok(most)
}

/// The layers of images by their IDs.
fn layers_of(ids: &[String], store: &Store) -> anyhow::Result<Vec<Vec<DiffId>>> {
    let command = ["image", "inspect", "--format", "{{json .RootFS.Layers}}", "--"];
    let answer = String::from_utf8(docker(store)?.args(command).args(ids).output()?)?;
    let images = answer.lines().map(|line| {
        let layers: Option<Vec<DiffId>> = serde_json::from_str(line)?;
        Ok(layers.unwrap_or_default())
    });
    images.collect()
}

fn docker(store: &Store) -> anyhow::Result<Helper> {
    Helper::new("docker", PURPOSE, store)
}

/// Whether `DRIVER DRIVER-STATUS` is that of the classic store.
fn is_classic(info: &str) -> bool {
    let driver = info.split(' ').next().unwrap_or_default();
    let known = ["overlay2", "vfs", "btrfs", "zfs", "fuse-overlayfs", "aufs", "devicemapper"];
    known.contains(&driver) && !info.contains("io.containerd.snapshotter")
}

/// The classic store knows a layer by itself and all below it: only a common beginning counts.
fn common(a: &[DiffId], b: &[DiffId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// A `docker load` that takes an archive as it is written. Dropped, it is ended, and the daemon has none of its images.
#[derive(Debug)]
pub struct Load {
    sink: Sink,
}

impl Load {
    /// Starts it.
    ///
    /// # Errors
    /// `missing-program`, `helper-failed`.
    pub fn start(store: &Store) -> anyhow::Result<Self> {
        Ok(Self { sink: docker(store)?.args(["load", "--quiet"]).start_sink()? })
    }

    /// Ends the archive. Returns what the daemon says it has loaded: names, and IDs of images without one.
    ///
    /// # Errors
    /// `helper-failed` with what the daemon said.
    pub fn finish(self) -> anyhow::Result<Vec<String>> {
        let report =
            self.sink.finish().map_err(|e| explain(e, "loading into the Docker daemon"))?;
        Ok(loaded(&report))
    }

    /// Ends it after a failure while writing. Returns the failure to report: what the daemon said, if it ended first.
    pub fn give_up(self, error: anyhow::Error) -> anyhow::Error {
        explain_if_helper(self.sink.give_up(error))
    }
}

fn explain_if_helper(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Failure>() {
        Some(f) if f.category == Category::HelperFailed => {
            explain(error, "loading into the Docker daemon")
        }
        _ => error,
    }
}

fn loaded(report: &str) -> Vec<String> {
    let name = |line: &str| {
        let rest = line.strip_prefix("Loaded image")?;
        let rest = rest.strip_prefix(" ID").or_else(|| rest.strip_prefix("(s)")).unwrap_or(rest);
        Some(rest.strip_prefix(':')?.trim().to_owned())
    };
    report.lines().filter_map(name).collect()
}

impl Write for Load {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// Gives an image names; a name that points elsewhere is moved.
///
/// # Errors
/// `usage` for what is no name, `not-found` if there is no such image, `helper-failed`.
pub fn tag(image: &str, names: &[String], store: &Store) -> anyhow::Result<()> {
    for name in names {
        check_name(name)?;
        let result = docker(store)?.args(["image", "tag", "--", image, name]).output();
        result.map_err(|e| explain(e, &format!("naming {image} {name} in the Docker daemon")))?;
    }
    Ok(())
}

/// Compares what arrived under a name (or an ID) with what was to arrive, and returns its ID. In the containerd store an
/// image that came without a manifest has one of the daemon's making: there the layers are compared.
///
/// # Errors
/// `digest-mismatch` if it is another image, `not-found` if nothing arrived.
pub fn verify(
    name: &str,
    identities: &[Digest],
    diff_ids: &[DiffId],
    store: &Store,
) -> anyhow::Result<Digest> {
    let there = look(name, store)?;
    if identities.contains(&there.id) || there.diff_ids == diff_ids {
        return Ok(there.id);
    }
    let wanted: Vec<String> = identities.iter().map(Digest::to_string).collect();
    Err(failure!(
        DigestMismatch,
        "{name} in the Docker daemon became {}, not {}",
        there.id,
        wanted.join(" or ")
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_load_says() {
        let report = "Loaded image: a:1\nLoaded image ID: sha256:00\nLoaded image(s): localhost/b:2\nother\n";
        assert_eq!(loaded(report), ["a:1", "sha256:00", "localhost/b:2"]);
    }

    #[test]
    fn stores_are_told_apart() {
        assert!(is_classic(r#"overlay2 [["Backing Filesystem","extfs"]]"#));
        assert!(!is_classic(r#"overlayfs [["driver-type","io.containerd.snapshotter.v1"]]"#));
        assert!(!is_classic(r#"btrfs [["driver-type","io.containerd.snapshotter.v1"]]"#));
        assert!(!is_classic(""));
    }

    #[test]
    fn only_a_common_beginning_counts() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|x| DiffId::of(x));
        assert_eq!(common(&[a, b, c], &[a, b]), 2);
        assert_eq!(common(&[a, b], &[b]), 0);
        assert_eq!(common(&[a, b], &[a, c, b]), 1);
    }
}
