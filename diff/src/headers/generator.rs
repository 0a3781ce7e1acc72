//! The decoder's side: headers from columns.

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::block::{self, BLOCK, Block, CHECKSUM, FIELDS, Field, Form, MTIME};
use super::group::{EXTENSIONS, GROUP_LEN, Group, Part, data_len};
use super::moves::Moves;
use super::{column, number, reference, shape};
use crate::program::{Columns, Entry, Generator, Source, SourceBytes, varint};

/// Zero bytes that may stand before a header.
pub(crate) const PADDING: u64 = 64 << 10;

/// Bytes of a header that is carried as it is.
pub(crate) const RAW_LEN: u64 = 512 << 10;

/// Generates the headers of one output, in order.
#[derive(Debug, Clone, Default)]
pub struct HeaderGenerator {
    /// The last header that was generated.
    pub(super) last: Group,
    /// Bytes of content after it.
    pub(super) content_len: u64,
    /// Where the header follows that comes after the base's entry that was last referred to.
    pub(super) next: Option<(Source, u64)>,
    /// For each number by how much the last header was above its model.
    pub(super) shifts: [i64; FIELDS.len()],
    /// Moves of texts; none for GEN 1, which knows none.
    pub(super) moves: Option<Moves>,
}

/// A header of the base.
pub(super) struct Model {
    pub source: Source,
    pub offset: u64,
    pub group: Group,
}

impl Model {
    pub(super) fn read(
        sources: &mut dyn SourceBytes,
        source: Source,
        offset: u64,
    ) -> Result<Self, Failure> {
        Ok(Self { source, offset, group: Group::from_source(sources, source, offset)? })
    }

    /// Where its content begins.
    pub(super) fn content(&self) -> u64 {
        self.offset + self.group.len()
    }

    /// Where the header after it begins.
    pub(super) fn next(&self) -> Option<u64> {
        self.content().checked_add(self.group.content_len())?.checked_next_multiple_of(BLOCK as u64)
    }
}

impl Generator for HeaderGenerator {
    fn generate(
        &mut self,
        columns: &mut Columns,
        sources: &mut dyn SourceBytes,
        out: &mut Vec<u8>,
    ) -> Result<Option<Entry>, Failure> {
        let padding = match columns.varint(column::PADDING)? {
            0 => padding(self.content_len),
            explicit => explicit - 1,
        };
        if padding > PADDING {
            return Err(broken());
        }
        out.resize(out.len() + padding as usize, 0);
        let described = columns.varint(column::SHAPE)?;
        if described == shape::RAW {
            return self.raw(columns, out).map(Some);
        }
        let model = self.model(columns, sources)?;
        let group = self.group(columns, described, model.as_ref())?;
        out.extend_from_slice(&group.to_bytes());
        Ok(Some(self.advance(group, model)))
    }
}

impl HeaderGenerator {
    /// One that knows moves: GEN 20.
    pub fn with_moves() -> Self {
        Self { moves: Some(Moves::default()), ..Self::default() }
    }

    fn raw(&mut self, columns: &mut Columns, out: &mut Vec<u8>) -> Result<Entry, Failure> {
        let len = columns.varint(column::SHAPE)?;
        if len > RAW_LEN {
            return Err(broken());
        }
        let bytes = columns.bytes(column::RAW, len as usize)?;
        out.extend_from_slice(bytes);
        match Group::from_bytes(bytes) {
            Some(group) => Ok(self.advance(group, None)),
            None => {
                self.content_len = 0;
                Ok(Entry { content_len: 0, base: None, mtime: Some(0) })
            }
        }
    }

    /// Remembers a header for the next one.
    fn advance(&mut self, group: Group, model: Option<Model>) -> Entry {
        self.content_len = group.content_len();
        let base = model.map(|model| {
            self.next = model.next().map(|next| (model.source, next));
            (model.source, model.content())
        });
        self.last = group;
        let mtime = block::wide_number(FIELDS[MTIME].of(&self.last.main.block)).unwrap_or(0);
        Entry { content_len: self.content_len, base, mtime: Some(mtime) }
    }

    /// The header of the base that is referred to, if any.
    fn model(
        &self,
        columns: &mut Columns,
        sources: &mut dyn SourceBytes,
    ) -> Result<Option<Model>, Failure> {
        let (source, offset) = match columns.varint(column::REFERENCE)? {
            reference::LAST => return Ok(None),
            reference::NEXT => self.next.ok_or_else(broken)?,
            reference::NEAR => {
                let (source, next) = self.next.ok_or_else(broken)?;
                let blocks = varint::unzigzag(columns.varint(column::PLACE)?);
                let distance = blocks.checked_mul(BLOCK as i64).ok_or_else(broken)?;
                (source, next.checked_add_signed(distance).ok_or_else(broken)?)
            }
            reference::FAR => {
                let source = Source::from_number(columns.varint(column::PLACE)?);
                let offset = columns.varint(column::PLACE)?.checked_mul(BLOCK as u64);
                (source.ok_or_else(broken)?, offset.ok_or_else(broken)?)
            }
            _ => return Err(broken()),
        };
        Model::read(sources, source, offset).map(Some)
    }

    fn group(
        &mut self,
        columns: &mut Columns,
        described: u64,
        model: Option<&Model>,
    ) -> Result<Group, Failure> {
        let kinds = match described.checked_sub(shape::LISTED) {
            None => self.kinds_of(model),
            Some(count) if count <= EXTENSIONS as u64 => {
                columns.bytes(column::EXTENSIONS, count as usize)?.to_vec()
            }
            Some(_) => return Err(broken()),
        };
        let mut moves = self.moves.take();
        let mut texts = Texts { moves: moves.as_mut(), has_model: model.is_some() };
        let mut extensions = Vec::with_capacity(kinds.len());
        let mut len = BLOCK as u64;
        for kind in kinds {
            let (like, last) = self.extension_models(model, kind);
            let blocks = (&like.block, &last.block);
            let block = Blocks::EXTENSION.read(columns, blocks, &mut [0; 16], &mut texts)?;
            let data_len = data_len(&block).ok_or_else(broken)?;
            len += (BLOCK + data_len.next_multiple_of(BLOCK)) as u64;
            if len > GROUP_LEN {
                return Err(broken());
            }
            let data = texts.read(columns, column::DATA, (&like.data, &last.data), data_len)?;
            if data.len() != data_len {
                return Err(broken());
            }
            extensions.push(Part { block, data });
        }
        let like = self.main_model(model).block;
        let blocks = (&like, &self.last.main.block);
        let block = Blocks::MAIN.read(columns, blocks, &mut self.shifts, &mut texts)?;
        self.moves = moves;
        Ok(Group { extensions, main: Part { block, data: Vec::new() } })
    }

    /// The kinds of extensions of the header that the next one resembles.
    pub(super) fn kinds_of(&self, model: Option<&Model>) -> Vec<u8> {
        let group = model.map_or(&self.last, |model| &model.group);
        group.extensions.iter().map(|part| block::kind(&part.block)).collect()
    }

    /// What an extension of this kind resembles, and the last one of its kind.
    pub(super) fn extension_models(&self, model: Option<&Model>, kind: u8) -> (Part, Part) {
        let last = self.last.extension(kind).cloned().unwrap_or_else(|| {
            let mut block = block::blank();
            FIELDS[FIELDS.len() - 1].set(&mut block, &[kind]);
            Part { block, data: Vec::new() }
        });
        let like = model.and_then(|model| model.group.extension(kind)).cloned();
        (like.unwrap_or_else(|| last.clone()), last)
    }

    /// What the entry's own block resembles.
    pub(super) fn main_model<'a>(&'a self, model: Option<&'a Model>) -> &'a Part {
        model.map_or(&self.last.main, |model| &model.group.main)
    }
}

/// Zero bytes after content.
pub(super) fn padding(content_len: u64) -> u64 {
    content_len.wrapping_neg() % BLOCK as u64
}

/// The columns of one kind of block.
pub(super) struct Blocks {
    pub fields: u8,
    pub values: u8,
}

impl Blocks {
    pub(super) const MAIN: Self = Self { fields: column::FIELDS, values: column::VALUES };
    pub(super) const EXTENSION: Self =
        Self { fields: column::EXTENSION_FIELDS, values: column::VALUES + FIELDS.len() as u8 };

    fn read(
        &self,
        columns: &mut Columns,
        (model, last): (&Block, &Block),
        shifts: &mut [i64; FIELDS.len()],
        texts: &mut Texts<'_>,
    ) -> Result<Block, Failure> {
        let differing = columns.varint(self.fields)?;
        if differing >> FIELDS.len() != 0 {
            return Err(broken());
        }
        let mut block = *model;
        for (place, field) in FIELDS.iter().enumerate() {
            if differing >> place & 1 == 0 {
                continue;
            }
            let values = self.values + place as u8;
            let (like, before) = (field.of(model), field.of(last));
            let bytes = match field.form {
                Form::Number => {
                    read_number(columns, values, field, like, before, &mut shifts[place])?
                }
                Form::Text => {
                    texts.read(columns, values, (text(like), text(before)), field.len())?
                }
                Form::Checksum | Form::Bytes => columns.bytes(column::RAW, field.len())?.to_vec(),
            };
            field.set(&mut block, &bytes);
        }
        if differing >> CHECKSUM & 1 == 0 {
            set_checksum(&mut block);
        }
        Ok(block)
    }
}

/// Puts the checksum into a block, written as the one that stands there.
pub(super) fn set_checksum(block: &mut Block) {
    let field = FIELDS[CHECKSUM];
    if let Some(bytes) = block::write_number(field.of(block), block::checksum(block)) {
        field.set(block, &bytes);
    }
}

/// The text of a field; an odd one counts as empty.
pub(super) fn text(bytes: &[u8]) -> &[u8] {
    block::text(bytes).unwrap_or_default()
}

fn read_number(
    columns: &mut Columns,
    values: u8,
    field: &Field,
    model: &[u8],
    last: &[u8],
    shift: &mut i64,
) -> Result<Vec<u8>, Failure> {
    let coded = columns.varint(values)?;
    let difference = varint::unzigzag(coded / number::FORMS);
    let own = block::number(model).ok_or_else(broken);
    let value = match coded % number::FORMS {
        number::RAW => return Ok(columns.bytes(column::RAW, field.len())?.to_vec()),
        number::TO_MODEL => own.clone()?,
        number::TO_LAST => block::number(last).ok_or_else(broken)?,
        _ => own.clone()?.wrapping_add_signed(*shift),
    };
    let value = value.wrapping_add_signed(difference);
    *shift = value.wrapping_sub(own?) as i64;
    block::write_number(model, value).ok_or_else(broken)
}

/// How the texts of a header are put together.
struct Texts<'a> {
    /// The moves of GEN 20.
    moves: Option<&'a mut Moves>,
    /// Whether the header resembles one of a source; moves are between these.
    has_model: bool,
}

impl Texts<'_> {
    /// Text that was moved like one before, or begins like the model's or the last one's and ends like the
    /// model's.
    fn read(
        &mut self,
        columns: &mut Columns,
        values: u8,
        (model, last): (&[u8], &[u8]),
        limit: usize,
    ) -> Result<Vec<u8>, Failure> {
        let form = columns.varint(values)?;
        if form == 0 {
            return Ok(columns.bytes(column::RAW, limit)?.to_vec());
        }
        let forms = self.moves.as_ref().map_or(1, |_| Moves::FORMS);
        let Some(begin) = form.checked_sub(forms) else {
            let moves = self.moves.as_mut().filter(|_| self.has_model).ok_or_else(broken)?;
            return moves.take(values, form, model, limit).ok_or_else(broken);
        };
        let source = if begin % 2 == 0 { model } else { last };
        let begin = usize::try_from(begin / 2).ok().and_then(|len| source.get(..len));
        let mut text = begin.ok_or_else(broken)?.to_vec();
        let end = usize::try_from(columns.varint(values)?).map_err(|_| broken())?;
        let rest = model.len().checked_sub(end).ok_or_else(broken)?;
        let between = columns.varint(values)?;
        if between > limit as u64 {
            return Err(broken());
        }
        text.extend_from_slice(columns.bytes(column::TEXT, between as usize)?);
        text.extend_from_slice(&model[rest..]);
        if text.len() > limit {
            return Err(broken());
        }
        if let Some(moves) = self.moves.as_mut().filter(|_| self.has_model) {
            moves.learn(values, model, &text, end);
        }
        Ok(text)
    }
}

pub(super) fn broken() -> Failure {
    failure!(PackageCorrupt, "the tar headers of the delta are damaged")
}
