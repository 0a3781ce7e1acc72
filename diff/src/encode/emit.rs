//! Writes the pieces of a layer as a payload.

use std::io;

use anyhow::Context;
use dd_inspect::failure::Failure;

use super::groups::{Group, literal_kind};
use super::layer::Layer;
use super::opened::{self, Coder, Kept};
use super::plan::{From, Piece};
use super::quotes::{Quote, Quoted};
use super::similar::{Cover, Found};
use crate::headers::encoder::HeaderEncoder;
use crate::headers::entries::EntryEncoder;
use crate::program::{
    Entry, Literal, Owner, Params, PayloadWriter, Range, Source, SourceBytes, Sources,
    ids::{
        generator::{BASE_ENTRY, TAR_HEADER_MOVED},
        opening,
    },
};

use super::catalog::{Catalog, Place};
use crate::zips::encoder::ZipEncoder;

/// Bytes of content that are handled at a time.
const CHUNK: u64 = 1 << 20;

/// What a piece cost before coding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Bytes that differ inside covers.
    pub differing: u64,
    /// Bytes in covers.
    pub covered: u64,
    /// Literal bytes.
    pub literal: u64,
}

/// Base layers as the delta program reads them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bases<'a>(pub &'a [Layer]);

impl Sources for Bases<'_> {
    fn len(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |layer| layer.bytes.size())
    }

    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let layer = self.0.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
        layer.bytes.read_exact_at(buf, offset)
    }
}

/// Base layers by the places that the payload's head gives them.
pub(super) struct Placed<'a> {
    pub(super) bases: &'a [Layer],
    /// How many of them are base layers; the others are kept objects.
    real: usize,
    /// The base layer at each place.
    used: Vec<usize>,
}

impl Placed<'_> {
    fn layer(&self, source: Source) -> Option<&Layer> {
        match source {
            Source::Base(place) => self.bases.get(*self.used.get(place as usize)?),
            Source::Kept(kept) => self.bases.get(self.real + kept as usize),
        }
    }
}

impl SourceBytes for Placed<'_> {
    fn len(&self, source: Source) -> Option<u64> {
        self.layer(source).map(|layer| layer.bytes.size())
    }

    fn read_at(&mut self, source: Source, offset: u64, buf: &mut [u8]) -> Result<(), Failure> {
        let unreadable = |error: io::Error| {
            dd_inspect::failure!(Io, "reading a base layer at {offset}: {error}")
        };
        let layer = self.layer(source).ok_or_else(|| unreadable(io::ErrorKind::NotFound.into()))?;
        layer.bytes.read_exact_at(buf, offset).map_err(unreadable)
    }
}

/// Writes pieces, one after the other.
pub(crate) struct Emitter<'a> {
    pub(super) writer: PayloadWriter<Bases<'a>>,
    pub(super) target: &'a Layer,
    catalog: &'a Catalog<'a>,
    pub(super) sources: Placed<'a>,
    headers: HeaderEncoder,
    pub(super) zips: ZipEncoder,
    /// Headers go as bytes.
    headers_are_bytes: bool,
    /// The group that pieces belong to now.
    group: Option<Group>,
    /// The kept objects that pieces made.
    kept: Vec<Source>,
    /// Names the entries that the content of the present one was.
    entries: Option<EntryEncoder>,
}

impl<'a> Emitter<'a> {
    /// Of the bases the first `real` are base layers, then come the kept objects that are made first.
    pub(crate) fn new(
        writer: PayloadWriter<Bases<'a>>,
        target: &'a Layer,
        bases: &'a [Layer],
        real: usize,
        catalog: &'a Catalog<'a>,
    ) -> Self {
        Self {
            writer,
            target,
            catalog,
            sources: Placed { bases, real, used: Vec::new() },
            headers: HeaderEncoder::default(),
            zips: ZipEncoder::default(),
            headers_are_bytes: false,
            group: None,
            kept: Vec::new(),
            entries: None,
        }
    }

    /// Tar headers are compared as bytes, not by their fields.
    pub(crate) fn headers_are_bytes(&mut self) {
        self.headers_are_bytes = true;
    }

    pub(crate) fn into_writer(self) -> PayloadWriter<Bases<'a>> {
        self.writer
    }

    /// Makes the kept objects, which stand behind the base layers.
    pub(crate) fn keep(&mut self, kept: &[Kept]) -> anyhow::Result<()> {
        for (number, kept) in kept.iter().enumerate() {
            let place = self.writer.begin_kept(kept.size)?;
            for range in &kept.ranges {
                let source = self.source(range.layer)?;
                let opened::Range { offset, len, plain_len, .. } = *range;
                self.writer.open(opening::DEFLATE, source, offset, len, plain_len)?;
            }
            self.writer.end_kept()?;
            self.writer.kept_bytes(place, self.sources.real + number)?;
        }
        Ok(())
    }

    /// The pieces that follow are coded with these dictionaries.
    pub(crate) fn group(&mut self, group: &Group) -> anyhow::Result<()> {
        self.group = Some(group.clone());
        self.go_on_with_group()
    }

    /// The dictionaries of the present group, or none, are those of what follows.
    pub(super) fn go_on_with_group(&mut self) -> anyhow::Result<()> {
        let Some(group) = self.group.clone() else { return Ok(self.writer.group(Vec::new())?) };
        let mut dictionaries = Vec::new();
        for (kind, ranges) in &group.dictionaries {
            let mut placed = Vec::with_capacity(ranges.len());
            for range in ranges {
                let source = self.source(range.layer)?;
                placed.push(Range { source, offset: range.offset, len: range.len });
            }
            dictionaries.push((*kind, placed));
        }
        Ok(self.writer.group(dictionaries)?)
    }

    /// What follows belongs to this owner.
    pub(crate) fn charge(&mut self, owner: Option<Owner>) {
        self.writer.charge(owner);
    }

    /// Writes one piece; `found` is what was found of its content.
    pub(crate) fn piece(&mut self, piece: &Piece, found: &Found) -> anyhow::Result<Cost> {
        match piece {
            Piece::Copy { layer, offset, len } => {
                let source = self.source(*layer)?;
                self.writer.copy(source, *offset, *len)?;
            }
            Piece::Zeros { len } => self.writer.zeros(*len)?,
            Piece::Enter { coder: Coder { encoding, params, exact }, encoded_len } => {
                self.writer.enter_encoding(*encoding, params, exact, *encoded_len)?;
            }
            Piece::Hash(hash) => self.writer.enter_hash(*hash)?,
            Piece::Leave => self.writer.leave()?,
            Piece::BeginKept { size } => {
                let kept = self.writer.begin_kept(*size)?;
                self.kept.push(kept);
                self.entries = Some(EntryEncoder::default());
            }
            Piece::EndKept => {
                self.writer.end_kept()?;
                self.entries = None;
            }
            Piece::Following { kept, len } => {
                let kept = self.kept.get(*kept as usize).context("no such kept object")?;
                self.writer.following(*kept, *len)?;
            }
            Piece::Header { file, zeros, model, .. } => return self.header(*file, *zeros, *model),
            Piece::Content { file, from } => return self.content(*file, *from, found),
            Piece::Frame { offset, len, layer, covers } => {
                return self.covered((*offset, *len), *layer, covers, &[]);
            }
            Piece::Framing(framing) => self.framing(framing)?,
            Piece::Other { offset, len, near } => {
                let layer = near.map_or(0, |near| near.layer);
                return self.found((*offset, *len), layer, found);
            }
        }
        Ok(Cost::default())
    }

    fn content(&mut self, file: u32, from: From, found: &Found) -> anyhow::Result<Cost> {
        let file = self.target.files.get(file as usize).context("no such file")?;
        match from {
            From::Twin(place) => {
                let offset = self.catalog.file(place).context("no such file")?.content_offset;
                let source = self.source(place.layer)?;
                self.writer.copy(source, offset, file.size)?;
                Ok(Cost::default())
            }
            From::Relative(place) => {
                self.entry(file.size, place)?;
                self.found((file.content_offset, file.size), place.layer, found)
            }
            From::Nowhere => self.found((file.content_offset, file.size), 0, found),
        }
    }

    /// Content of so many bytes that is made before its header was that of an entry of a base.
    fn entry(&mut self, len: u64, place: Place) -> anyhow::Result<()> {
        let Some(mut entries) = self.entries.take() else { return Ok(()) };
        let file = self.catalog.file(place).context("no such file")?;
        let (source, offsets) =
            (self.source(place.layer)?, (file.header_offset, file.content_offset));
        let sources = &mut self.sources;
        if let Source::Base(_) = source {
            let describe = |columns: &mut _| entries.encode(len, source, offsets, sources, columns);
            self.writer.generate(BASE_ENTRY, 0, describe)?;
        }
        self.entries = Some(entries);
        Ok(())
    }

    pub(super) fn source(&mut self, layer: u32) -> anyhow::Result<Source> {
        if let Some(kept) = (layer as usize).checked_sub(self.sources.real) {
            return Ok(Source::Kept(kept as u32));
        }
        let source = self.writer.base(layer as usize)?;
        if source == Source::Base(self.sources.used.len() as u32) {
            self.sources.used.push(layer as usize);
        }
        Ok(source)
    }

    fn header(&mut self, file: u32, zeros: u64, model: Option<Place>) -> anyhow::Result<Cost> {
        let file = self.target.files.get(file as usize).context("no such file")?;
        let header =
            self.target.read(file.header_offset, file.content_offset - file.header_offset)?;
        let base = match model {
            Some(place) => {
                let offset = self.catalog.file(place).context("no such file")?.header_offset;
                Some((self.source(place.layer)?, offset))
            }
            None => None,
        };
        if self.headers_are_bytes {
            return self.header_bytes(zeros, &header, base);
        }
        let (headers, sources) = (&mut self.headers, &mut self.sources);
        let describe = |columns: &mut _| -> Option<Entry> {
            headers.encode(zeros, &header, base, sources, columns)
        };
        let len = zeros + header.len() as u64;
        let fits = len <= crate::program::limits::GENERATED_LEN as u64;
        if !fits || !self.writer.generate(TAR_HEADER_MOVED, len, describe)? {
            self.writer.zeros(zeros)?;
            self.writer.literal(Literal::Raw, &header)?;
            return Ok(Cost { literal: header.len() as u64, ..Cost::default() });
        }
        Ok(Cost::default())
    }

    /// Writes a header by those bytes of the base's that differ, or as literals.
    fn header_bytes(
        &mut self,
        zeros: u64,
        header: &[u8],
        base: Option<(Source, u64)>,
    ) -> anyhow::Result<Cost> {
        self.writer.zeros(zeros)?;
        let mut before = vec![0; header.len()];
        match base {
            Some((source, offset))
                if self.sources.len(source) >= Some(offset + header.len() as u64) =>
            {
                self.sources.read_at(source, offset, &mut before)?;
                self.writer.edit_predicted(0, source, offset, &before, &[], header)?;
            }
            _ => self.writer.literal(Literal::Raw, header)?,
        }
        Ok(Cost::default())
    }

    /// Writes a range of the target by what was found of it.
    fn found(&mut self, range: (u64, u64), layer: u32, found: &Found) -> anyhow::Result<Cost> {
        match &found.model {
            Some(params) => {
                let params = Params { source: self.source(layer)?, ..params.clone() };
                self.executable(range, layer, found, params)
            }
            None => self.covered(range, layer, &found.covers, &found.quotes),
        }
    }

    /// Writes a range of the target: what covers say as edits, the rest as literals.
    pub(super) fn covered(
        &mut self,
        (offset, len): (u64, u64),
        layer: u32,
        covers: &[Cover],
        mut quotes: &[Quote],
    ) -> anyhow::Result<Cost> {
        let kind = literal_kind(self.target, offset, len)?;
        let mut cost = Cost::default();
        let mut at = offset;
        for cover in covers {
            cost.literal += self.between(kind, at, cover.target, &mut quotes)?;
            cost.covered += cover.len;
            cost.differing += self.edits(layer, cover)?;
            at = cover.target + cover.len;
        }
        cost.literal += self.between(kind, at, offset + len, &mut quotes)?;
        Ok(cost)
    }

    /// Writes what stands between covers: digests by their numbers and times, the rest as literals. Returns the bytes of
    /// these.
    fn between(
        &mut self,
        kind: Literal,
        mut at: u64,
        end: u64,
        quotes: &mut &[Quote],
    ) -> anyhow::Result<u64> {
        let mut literal = 0;
        while let Some((quote, others)) = quotes.split_first().filter(|(q, _)| q.offset < end) {
            self.literals(kind, at, quote.offset - at)?;
            match quote.of {
                Quoted::Digest { form, number } => self.writer.digest(form, number)?,
                Quoted::Mtime => {
                    let bytes = self.target.read(quote.offset, 4)?.try_into();
                    self.writer.mtime(bytes.ok().context("a time has 4 bytes")?)?;
                }
            }
            literal += quote.offset - at;
            at = quote.offset + quote.len;
            *quotes = others;
        }
        self.literals(kind, at, end - at)?;
        Ok(literal + end - at)
    }

    /// Writes a cover: its parts without difference as copies. Returns the bytes that differ.
    fn edits(&mut self, layer: u32, cover: &Cover) -> anyhow::Result<u64> {
        let source = self.source(layer)?;
        let base = self.sources.bases.get(layer as usize).context("no such base layer")?;
        let mut differing = 0;
        let mut at = 0;
        while at < cover.len {
            let len = CHUNK.min(cover.len - at);
            let offset = cover.base + at;
            let wanted = self.target.read(cover.target + at, len)?;
            let predicted = base.read(offset, len)?;
            let differ = wanted.iter().zip(&predicted).filter(|(a, b)| a != b).count() as u64;
            if differ == 0 {
                self.writer.copy(source, offset, len)?;
            } else {
                self.writer.edit_predicted(0, source, offset, &predicted, &[], &wanted)?;
            }
            differing += differ;
            at += len;
        }
        Ok(differing)
    }

    pub(super) fn literals(&mut self, kind: Literal, offset: u64, len: u64) -> anyhow::Result<()> {
        let mut at = 0;
        while at < len {
            let part = CHUNK.min(len - at);
            self.writer.literal(kind, &self.target.read(offset + at, part)?)?;
            at += part;
        }
        Ok(())
    }
}
