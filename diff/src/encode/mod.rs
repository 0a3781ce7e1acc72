//! Encodes a target layer against base layers: what dd-diff does for each.
//!
//! `plan` cuts the layer into pieces by the entries of both sides, `similar` searches changed
//! contents in those that they were, `emit` writes the program. The bytes depend on layers and
//! [`Options`] alone, not on the number of threads.

mod alike;
mod catalog;
mod emit;
pub(crate) mod executable;
mod framing;
mod groups;
mod layer;
mod made;
mod opened;
mod options;
mod plan;
mod quotes;
mod similar;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

pub use layer::{File, Layer};
pub use made::{Made, Means};
pub use options::{Options, Technique, Without};

use crate::program::{Encodings, PayloadSummary, PayloadWriter, WriterOptions};
use alike::Alike;
use catalog::Catalog;
use emit::{Bases, Emitter};
use made::Log;
use opened::Opened;
use plan::{From, Piece};
use similar::{Found, Search};

/// A payload that was written.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// What it declares, and its length.
    pub summary: PayloadSummary,
    /// The files of the target that are not wholly in the base.
    pub made: Vec<Made>,
}

/// Encodes a layer against base layers; without base layers it travels whole.
///
/// `done` is called with the bytes of the target that were dealt with since the last call. An executable that says of itself
/// what no model can make is no reason to fail: the layer is encoded without models then.
///
/// # Errors
/// What reading the layers or writing fails with.
pub fn encode(
    target: &Layer,
    bases: &[Layer],
    options: &Options,
    spool_dir: &Path,
    out: &mut impl Write,
    done: impl Fn(u64) + Sync,
) -> anyhow::Result<Encoded> {
    let reading = || format!("encoding layer {}", target.diff_id);
    let (opened, alike) = open(target, bases, options, spool_dir).with_context(reading)?;
    let catalog = Catalog::new(&opened.bases).with(&alike);
    let layers = Layers { real: bases, opened: &opened, catalog: &catalog };
    let written = match layers.write(options, spool_dir, &done) {
        Err(_) if options.uses(Technique::Executables) => {
            let without = options.without.and(Technique::Executables);
            layers.write(&Options { without, ..*options }, spool_dir, &|_| ())
        }
        written => written,
    };
    let (writer, log) = written.with_context(reading)?;
    let summary = writer.finish(out).with_context(reading)?;
    let made = log.finish(&summary.costs);
    Ok(Encoded { summary, made })
}

/// A target and its bases, with archives opened.
struct Layers<'a> {
    /// The bases as they were given.
    real: &'a [Layer],
    opened: &'a Opened,
    catalog: &'a Catalog<'a>,
}

impl<'a> Layers<'a> {
    /// Writes the ops of the target.
    fn write(
        &self,
        options: &Options,
        spool_dir: &Path,
        done: &(impl Fn(u64) + Sync),
    ) -> anyhow::Result<(PayloadWriter<Bases<'a>>, Log)> {
        let Self { opened, catalog, .. } = *self;
        let (target, bases) = (&opened.target, &opened.bases[..]);
        let pieces = plan::pieces(opened, catalog)?;
        let searched = if options.search { pieces.len() } else { 0 };
        let searches: Vec<(usize, Search)> = (0..searched)
            .filter_map(|number| Some((number, search_for(target, catalog, &pieces[number])?)))
            .collect();
        let ranges: Vec<Search> = searches.iter().map(|(_, search)| *search).collect();
        let covers = similar::search(target, bases, &ranges, &options.ways(), done)?;
        let found: Vec<(usize, Found)> =
            searches.iter().map(|(number, _)| *number).zip(covers).collect();
        let (pieces, found) = match options.search {
            true => quotes::quotes(target, bases, opened.entries, pieces, found, options)?,
            false => (pieces, found),
        };
        let groups = match options.uses(Technique::Dictionaries) {
            true => groups::groups(target, catalog, &pieces, &found)?,
            false => Vec::new(),
        };
        let (mut found, mut groups) = (found.into_iter().peekable(), groups.iter().peekable());

        let writer_options = WriterOptions {
            choice: options.choice(),
            encoders: Arc::new(Encodings),
            spool_dir: spool_dir.to_owned(),
        };
        let lens = self.real.iter().map(|base| (base.diff_id, base.bytes.size())).collect();
        let writer = PayloadWriter::new(writer_options, lens, Bases(bases));
        let mut emitter = Emitter::new(writer, target, bases, self.real.len(), catalog);
        if !options.uses(Technique::Headers) {
            emitter.headers_are_bytes();
        }
        emitter.keep(&opened.kept)?;
        let mut log = Log::new(opened.entries, opened.owners());
        for (number, piece) in pieces.iter().enumerate() {
            if let Some(group) = groups.next_if(|group| group.first == number) {
                emitter.group(group)?;
            }
            let here = found.next_if(|(at, _)| *at == number).map(|(_, found)| found);
            let mut here = here.unwrap_or_default();
            if is_member(piece, opened.entries) {
                opened::bound(&mut here.covers);
            }
            emitter.charge(log.begin(piece));
            let cost = emitter.piece(piece, &here)?;
            log.end(piece, cost.covered > 0);
        }
        Ok((emitter.into_writer(), log))
    }
}

/// The archives of the target opened, and what its new files resemble, if changed contents are searched at all.
fn open(
    target: &Layer,
    bases: &[Layer],
    options: &Options,
    spool_dir: &Path,
) -> std::io::Result<(Opened, Alike)> {
    if !options.search {
        return Ok((Opened::nothing(target, bases), Alike::new()));
    }
    let catalog = Catalog::new(bases);
    let alike = match options.uses(Technique::Likeness) {
        true => alike::alike(target, bases, &catalog)?,
        false => Alike::new(),
    };
    if !options.uses(Technique::Archives) {
        return Ok((Opened::nothing(target, bases), alike));
    }
    let catalog = catalog.with(&alike);
    Ok((Opened::new(target, bases, &catalog, options.memory, spool_dir)?, alike))
}

/// Whether a piece is the content of a member of an archive, and no entry's.
fn is_member(piece: &Piece, entries: usize) -> bool {
    matches!(piece, Piece::Content { file, .. } if *file as usize >= entries)
}

/// Where the content of a piece is to be searched.
fn search_for(target: &Layer, catalog: &Catalog<'_>, piece: &Piece) -> Option<Search> {
    match *piece {
        Piece::Content { file, from: From::Relative(place) } => {
            let (file, base) = (target.files.get(file as usize)?, catalog.file(place)?);
            Some(Search {
                target: file.content_offset,
                len: file.size,
                layer: place.layer,
                base: base.content_offset,
                base_len: base.size,
            })
        }
        Piece::Other { offset, len, near } => {
            let near = near?;
            let (layer, base, base_len) = (near.layer, near.offset, near.len);
            Some(Search { target: offset, len, layer, base, base_len })
        }
        _ => None,
    }
}

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests;
