//! Writing it: rebuilds into the output, and gives it its name when everything was verified.

use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::Context;
use dd_extract::encoding::Encoding;
use dd_inspect::digest::{Digest, Hasher};
use dd_inspect::failure;
use dd_inspect::failure::Failure;
use dd_inspect::output::{Existing, OutputFile};
use dd_inspect::package::FileLayout;

use crate::delivery::Delivery;
use crate::output::{Plan, file, stream};
use crate::rebuild::{Checked, Rebuilder, Work};

/// A file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Its digest.
    pub digest: Digest,
    /// Bytes in it.
    pub size: u64,
}

impl Delivery {
    /// Rebuilds and writes everything; what goes elsewhere is written by [`crate::remote`]. `path` is the file, none for
    /// stdout.
    ///
    /// # Errors
    /// The base or the package is damaged; no space; writing fails. Then nothing has the output's name.
    pub fn write(
        &self,
        path: Option<&Path>,
        rebuilder: &Rebuilder,
        work: &Work,
        jobs: usize,
    ) -> anyhow::Result<Option<Written>> {
        match self {
            Self::Exact(plan, layout) => exact(plan, layout, path, rebuilder, work, jobs).map(Some),
            Self::Archive(plan, _) => archive(plan, path, rebuilder, work, jobs).map(Some),
            Self::Tree(root, tree) => {
                tree.write(root, rebuilder, work, jobs)?;
                Ok(None)
            }
            Self::Remote(_) => Ok(None),
        }
    }
}

/// The target's own file.
fn exact(
    plan: &Plan,
    layout: &FileLayout,
    path: Option<&Path>,
    rebuilder: &Rebuilder,
    work: &Work,
    jobs: usize,
) -> anyhow::Result<Written> {
    let wrong = failure!(PackageCorrupt, "the package does not give the target's file"; "get the package again");
    let written = Written { digest: layout.digest, size: layout.size };
    let output = open(path)?;
    if layout.encoding.is_none() && output.can_seek() {
        let (digest, size) = file::write(plan, rebuilder, work, output.as_file(), jobs)?;
        if digest != layout.digest || size != layout.size {
            let message = format!(
                "{}: it has digest {digest}, {} was declared",
                wrong.message, layout.digest
            );
            return Err(Failure { message, ..wrong }.into());
        }
        return commit(output, rebuilder, written);
    }
    let verified_first = !output.can_seek();
    let mut out = Checked::new(output, layout.digest, layout.size).or(wrong.clone());
    pour(plan, layout, rebuilder, work, &mut out, verified_first, &wrong)?;
    commit(out.finish()?, rebuilder, written)
}

/// The tar of the target's file, compressed as the file was.
fn pour(
    plan: &Plan,
    layout: &FileLayout,
    rebuilder: &Rebuilder,
    work: &Work,
    out: &mut (dyn Write + Send),
    verified_first: bool,
    wrong: &Failure,
) -> anyhow::Result<()> {
    let Some(encoding) = &layout.encoding else {
        return stream::write(plan, rebuilder, work, out, verified_first);
    };
    let encoding = Encoding::parse(encoding)?;
    let corrections: Box<dyn Read + Send> = match layout.corrections {
        Some(blob) => rebuilder.blobs.keep(blob)?,
        None => Box::new(io::empty()),
    };
    let digest = layout.tar_digest.context("the recipe has no digest of the tar")?;
    let size = plan.size(&rebuilder.recipe)?;
    let encoder = encoding.encoder(out, corrections)?;
    let mut tar = Checked::new(encoder, digest, size).or(wrong.clone());
    stream::write(plan, rebuilder, work, &mut tar, verified_first)?;
    tar.finish()?.finish()?;
    Ok(())
}

/// An archive that is written anew.
fn archive(
    plan: &Plan,
    path: Option<&Path>,
    rebuilder: &Rebuilder,
    work: &Work,
    jobs: usize,
) -> anyhow::Result<Written> {
    let output = open(path)?;
    if output.can_seek() {
        let (digest, size) = file::write(plan, rebuilder, work, output.as_file(), jobs)?;
        return commit(output, rebuilder, Written { digest, size });
    }
    let mut out = Hashed { inner: output, hasher: Hasher::new() };
    stream::write(plan, rebuilder, work, &mut out, true)?;
    let (output, written) = out.written();
    commit(output, rebuilder, written)
}

/// The file gets its name when the package was read to its end as well.
fn commit(output: OutputFile, rebuilder: &Rebuilder, written: Written) -> anyhow::Result<Written> {
    rebuilder.blobs.finish()?;
    output.commit()?;
    Ok(written)
}

fn open(path: Option<&Path>) -> anyhow::Result<OutputFile> {
    path.map_or_else(OutputFile::stdout, |path| OutputFile::create(path, Existing::Replace))
}

struct Hashed<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> Hashed<W> {
    fn written(self) -> (W, Written) {
        let size = self.hasher.len();
        (self.inner, Written { digest: self.hasher.finish(), size })
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
