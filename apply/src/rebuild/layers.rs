//! One layer at a time.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Context, bail};
use dd_diff::program::{Decoder, Limits, Tools};
use dd_extract::encoding::Encoding;
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::package::{Content, Documents, Layer, Recipe};
use dd_inspect::range::ReadAt;
use dd_inspect::stage::Meter;
use dd_inspect::{fail, failure};

use super::ahead;
use super::blame::explain;
use super::blobs::Blobs;
use super::checked::Checked;
use super::held::Held;
use super::scratch::Scratch;
use super::share::Share;
use super::sources::{FilePart, InOrder, LayerSources};
use super::work::{Piece, Way, Work};
use crate::base::Bases;

/// Everything that rebuilding reads, and what it may spend.
#[derive(Debug)]
pub struct Rebuilder {
    /// The recipe of the package.
    pub recipe: Arc<Recipe>,
    /// The documents of the package.
    pub documents: Documents,
    /// The payloads of the package.
    pub blobs: Blobs,
    /// The base.
    pub bases: Bases,
    /// Where scratch files lie.
    pub scratch: Scratch,
    /// What programs are decoded with.
    pub tools: Tools,
    /// What one program may spend.
    pub limits: Limits,
    /// The memory of all programs that are decoded at once.
    pub share: Share,
    /// Counts bytes written.
    pub meter: Arc<Meter>,
}

/// Where a piece goes.
pub enum Place<'a> {
    /// Into a file that can be read back, from an offset on; what was written is told.
    File(Arc<File>, u64, &'a (dyn Fn(u64) + Sync)),
    /// Away.
    Stream(&'a mut (dyn Write + Send)),
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file, offset, _) => f.debug_tuple("File").field(file).field(offset).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// The rebuilding of certain pieces.
#[derive(Debug)]
pub struct Session<'a> {
    rebuilder: &'a Rebuilder,
    work: &'a Work,
    held: Held,
    /// One thread does all steps in order, so that payloads may be read as they come.
    alone: bool,
}

impl<'a> Session<'a> {
    /// Begins; `alone` says that one thread will do all steps in order.
    pub fn new(rebuilder: &'a Rebuilder, work: &'a Work, alone: bool) -> Self {
        Self { rebuilder, work, held: Held::new(work.readers.clone()), alone }
    }

    /// The contents that are held.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Makes a content and holds it.
    ///
    /// # Errors
    /// The base or the package is damaged; no space.
    pub fn hold(&self, number: u32) -> anyhow::Result<()> {
        let content = self.content(number)?;
        let mut file = self.rebuilder.scratch.file()?;
        let made = self.make(content, &mut file);
        made.map_err(|e| self.explain(e, content, "a layer"))?;
        self.held.put(content.diff_id, Arc::new(file));
        Ok(())
    }

    /// Makes the piece with this place in [`Work::pieces`], verified.
    ///
    /// # Errors
    /// The base or the package is damaged; no space.
    pub fn piece(&self, number: usize, place: Place<'_>) -> anyhow::Result<()> {
        let (Some(piece), Some(way)) = (self.work.pieces.get(number), self.work.ways.get(number))
        else {
            fail!(Unexpected, "there is no piece {number}");
        };
        let wrong = || failure!(PackageCorrupt, "the package's recipe lacks {piece:?}");
        let recipe = &self.rebuilder.recipe;
        let digest = piece.digest(recipe).ok_or_else(wrong)?;
        let size = piece.size(recipe).ok_or_else(wrong)?;
        match *way {
            Way::Document(range) => {
                let mut out = Checked::new(self.writer(place), digest, size);
                io::copy(&mut self.rebuilder.documents.reader(range), &mut out)
                    .and_then(|_| out.finish())
                    .context("copying a layer of the package")?;
                Ok(())
            }
            Way::Base(digest) => {
                let Some(layer) = self.rebuilder.bases.blob(&digest) else {
                    fail!(WrongBase, "the base lacks the layer {digest}");
                };
                layer.copy_stored(digest, size, &mut self.writer(place))
            }
            Way::Content(content) => {
                let content = self.content(content)?;
                let layer = match *piece {
                    Piece::Layer(n) => recipe.layers.get(n as usize),
                    Piece::Content(_) => None,
                };
                let packing = Packing { layer, digest, size };
                let result = self.give_content(content, number, &packing, place);
                self.held.release(&content.diff_id);
                result.map_err(|e| self.explain(e, content, &format!("layer {digest}")))
            }
        }
    }

    fn content(&self, number: u32) -> anyhow::Result<&'a Content> {
        let content = self.rebuilder.recipe.content(number);
        Ok(content.ok_or_else(|| {
            failure!(PackageCorrupt, "the package's recipe lacks content {number}")
        })?)
    }

    fn explain(&self, error: anyhow::Error, content: &Content, what: &str) -> anyhow::Error {
        if self.held.has_failed() {
            return error;
        }
        let own = [content.diff_id];
        let read = if content.payload.is_some() { &content.sources[..] } else { &own };
        explain(error, what, read, &self.rebuilder.bases)
    }

    fn writer<'p>(&self, place: Place<'p>) -> PlaceWriter<'p> {
        PlaceWriter { place, meter: Arc::clone(&self.rebuilder.meter) }
    }

    /// A piece from a content that is held, or is made now.
    fn give_content(
        &self,
        content: &Content,
        number: usize,
        packing: &Packing<'_>,
        place: Place<'_>,
    ) -> anyhow::Result<()> {
        let makes = self.work.makes(number);
        let holds = makes && self.work.is_held(&content.diff_id);
        let encoding = packing.layer.and_then(|layer| layer.encoding.as_ref());
        if let (true, None, Place::File(file, offset, _)) = (holds, encoding, &place) {
            let part = FilePart { file: Arc::clone(file), offset: *offset, size: content.size };
            self.make(content, &mut self.writer(place))?;
            self.held.put(content.diff_id, Arc::new(part));
            return Ok(());
        }
        if holds {
            let mut file = self.rebuilder.scratch.file()?;
            self.make(content, &mut file)?;
            self.held.put(content.diff_id, Arc::new(file));
        }
        let held = if makes && !holds { None } else { self.held.get(&content.diff_id)? };
        let give = |out: &mut dyn Write| match held.clone() {
            Some(held) => copy_content(content, InOrder::new(held), out),
            None => self.make(content, out),
        };
        let mut out = self.writer(place);
        match encoding {
            None => give(&mut out),
            Some(encoding) => self.pack(content, packing, encoding, &mut out, give),
        }
    }

    /// Compresses a content as the target had it.
    fn pack(
        &self,
        content: &Content,
        packing: &Packing<'_>,
        encoding: &serde_json::Value,
        out: &mut (dyn Write + Send),
        give: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let encoding = Encoding::parse(encoding)?;
        let corrections = match packing.layer.and_then(|layer| layer.corrections) {
            Some(blob) => self.rebuilder.blobs.keep(blob)?,
            None => Box::new(io::empty()),
        };
        let wrong = failure!(PackageCorrupt, "the package does not give the compressed bytes of layer {}", content.diff_id;
            "get the package again");
        let packed = Checked::new(out, packing.digest, packing.size).or(wrong);
        let mut encoder = encoding.encoder(packed, corrections)?;
        give(&mut encoder)?;
        encoder.finish()?.finish()?;
        Ok(())
    }

    /// Makes a content from its program, or takes it from the base; verified when it returns.
    fn make(&self, content: &Content, out: &mut dyn Write) -> anyhow::Result<()> {
        let Some(payload) = content.payload else {
            let layer = self.rebuilder.bases.content(&content.diff_id);
            let layer = layer.ok_or_else(|| {
                failure!(WrongBase, "the base lacks the layer {}", content.diff_id)
            })?;
            return copy_content(content, layer.sequential()?, out);
        };
        let sources: anyhow::Result<Vec<_>> =
            content.sources.iter().map(|diff_id| self.source(*diff_id)).collect();
        let sources = LayerSources(sources?);
        let result = if self.alone {
            self.rebuilder
                .blobs
                .stream(payload, |program| self.decode(content, program, sources, out))
        } else {
            let program = self.rebuilder.blobs.keep(payload)?;
            self.decode(content, program, sources, out)
        };
        for source in &content.sources {
            self.held.release(source);
        }
        result
    }

    /// A layer that a program reads.
    fn source(&self, diff_id: DiffId) -> anyhow::Result<Arc<dyn ReadAt>> {
        self.held.get_or_make(diff_id, || match self.rebuilder.bases.content(&diff_id) {
            Some(layer) => layer.random(&self.rebuilder.scratch),
            None => fail!(WrongBase, "the base lacks the layer {diff_id}"),
        })
    }

    fn decode(
        &self,
        content: &Content,
        program: Box<dyn Read + Send + '_>,
        sources: LayerSources,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let Rebuilder { tools, limits, .. } = self.rebuilder;
        let decoder = Decoder::new(program, sources, tools.clone(), *limits)?;
        let head = decoder.head();
        if head.sources != content.sources || head.output_len != content.size {
            fail!(PackageCorrupt, "the program of layer {} is not the one that the recipe describes", content.diff_id;
                "get the package again");
        }
        // Its sources are there: it waits for nobody while it has memory.
        let _memory = self.rebuilder.share.take(head.memory);
        if self.held.has_failed() {
            bail!("another part of the work failed");
        }
        copy_content(content, decoder, out)
    }
}

/// A layer as it is stored.
struct Packing<'a> {
    layer: Option<&'a Layer>,
    digest: Digest,
    size: u64,
}

/// Copies a content from its reader, verified.
fn copy_content(
    content: &Content,
    from: impl Read + Send,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut out = Checked::new(out, content.diff_id.into(), content.size);
    ahead::copy(from, content.size, &mut out)?;
    out.finish()?;
    Ok(())
}

struct PlaceWriter<'a> {
    place: Place<'a>,
    meter: Arc<Meter>,
}

impl Write for PlaceWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = match &mut self.place {
            Place::File(file, offset, written) => {
                let n = file.write_at(bytes, *offset)?;
                *offset += n as u64;
                written(n as u64);
                n
            }
            Place::Stream(out) => out.write(bytes)?,
        };
        self.meter.add(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::File(..) => Ok(()),
            Place::Stream(out) => out.flush(),
        }
    }
}
