//! The producer's side: columns from headers.

use super::block::{self, Block, CHECKSUM, FIELDS, Form};
use super::generator::{
    Blocks, HeaderGenerator, Model, PADDING, RAW_LEN, padding, set_checksum, text,
};
use super::group::Group;
use super::moves::Moves;
use super::{column, number, reference, shape};
use crate::matching::common_prefix;
use crate::program::{ColumnWriter, Columns, Entry, Generator, Source, SourceBytes, varint};

/// Describes the headers of one output, in order.
///
/// It runs the generator beside, and carries a header as it is where the generator would not give it
/// back.
#[derive(Debug)]
pub struct HeaderEncoder {
    state: HeaderGenerator,
}

impl Default for HeaderEncoder {
    /// Of GEN 20.
    fn default() -> Self {
        Self::new(HeaderGenerator::with_moves())
    }
}

/// Values for columns, in the order in which they are put.
type Values = Vec<(u8, Vec<u8>)>;

impl HeaderEncoder {
    /// Describes what this generator gives.
    pub fn new(state: HeaderGenerator) -> Self {
        Self { state }
    }

    /// Describes a header and the zero bytes before it, and says what the generator will say of it.
    ///
    /// `base` is where a header lies that it resembles. None if it is too long for a generator, and
    /// belongs among the literals.
    pub fn encode(
        &mut self,
        zeros: u64,
        header: &[u8],
        base: Option<(Source, u64)>,
        sources: &mut dyn SourceBytes,
        columns: &mut ColumnWriter,
    ) -> Option<Entry> {
        if zeros > PADDING || header.len() as u64 > RAW_LEN {
            return None;
        }
        let described = self.describe(zeros, header, base, sources);
        let proven = described.and_then(|values| self.prove(values, zeros, header, sources));
        let (state, entry, values) = match proven {
            Some(proven) => proven,
            None => self.prove(self.carry(zeros, header), zeros, header, sources)?,
        };
        self.state = state;
        for (column, bytes) in values {
            columns.put(column, &bytes);
        }
        Some(entry)
    }

    /// The state after the generator has read these values, if it gives the header.
    fn prove(
        &self,
        values: Values,
        zeros: u64,
        header: &[u8],
        sources: &mut dyn SourceBytes,
    ) -> Option<(HeaderGenerator, Entry, Values)> {
        let mut writer = ColumnWriter::default();
        for (column, bytes) in &values {
            writer.put(*column, bytes);
        }
        let mut columns = Columns::parse(writer.finish()).ok()?;
        let mut state = self.state.clone();
        let mut out = Vec::with_capacity(header.len() + zeros as usize);
        let entry = state.generate(&mut columns, sources, &mut out).ok()??;
        let (begin, end) = out.split_at_checked(zeros as usize)?;
        let same = begin.iter().all(|&byte| byte == 0) && end == header && columns.is_used_up();
        same.then_some((state, entry, values))
    }

    fn carry(&self, zeros: u64, header: &[u8]) -> Values {
        let mut values = self.padding(zeros);
        put(&mut values, column::SHAPE, shape::RAW);
        put(&mut values, column::SHAPE, header.len() as u64);
        values.push((column::RAW, header.to_vec()));
        values
    }

    fn padding(&self, zeros: u64) -> Values {
        let expected = zeros == padding(self.state.content_len);
        let mut values = Values::new();
        put(&mut values, column::PADDING, if expected { 0 } else { zeros + 1 });
        values
    }

    fn describe(
        &self,
        zeros: u64,
        header: &[u8],
        base: Option<(Source, u64)>,
        sources: &mut dyn SourceBytes,
    ) -> Option<Values> {
        let group = Group::from_bytes(header)?;
        let model = base.and_then(|(source, offset)| Model::read(sources, source, offset).ok());
        let model = model.as_ref();
        let mut values = self.padding(zeros);
        let kinds: Vec<u8> = group.extensions.iter().map(|part| block::kind(&part.block)).collect();
        if kinds == self.state.kinds_of(model) {
            put(&mut values, column::SHAPE, shape::SAME);
        } else {
            put(&mut values, column::SHAPE, shape::LISTED + kinds.len() as u64);
            values.push((column::EXTENSIONS, kinds));
        }
        self.refer(&mut values, model)?;
        let moves = Texts { moves: self.state.moves.as_ref(), has_model: model.is_some() };
        for part in &group.extensions {
            let (like, last) = self.state.extension_models(model, block::kind(&part.block));
            let blocks = (&like.block, &last.block);
            Blocks::EXTENSION.write(&mut values, &part.block, blocks, &[0; 16], &moves);
            let limit = part.data.len();
            moves.write(&mut values, column::DATA, &part.data, (&like.data, &last.data), limit);
        }
        let like = self.state.main_model(model);
        let blocks = (&like.block, &self.state.last.main.block);
        Blocks::MAIN.write(&mut values, &group.main.block, blocks, &self.state.shifts, &moves);
        Some(values)
    }

    fn refer(&self, values: &mut Values, model: Option<&Model>) -> Option<()> {
        let Some(model) = model else {
            put(values, column::REFERENCE, reference::LAST);
            return Some(());
        };
        let next = self.state.next.filter(|next| next.0 == model.source).map(|next| next.1);
        match next {
            Some(next) if next == model.offset => {
                put(values, column::REFERENCE, reference::NEXT);
            }
            Some(next) if next.abs_diff(model.offset) % 512 == 0 => {
                put(values, column::REFERENCE, reference::NEAR);
                let distance = model.offset.wrapping_sub(next) as i64 / 512;
                put(values, column::PLACE, varint::zigzag(distance));
            }
            _ if model.offset % 512 == 0 => {
                put(values, column::REFERENCE, reference::FAR);
                put(values, column::PLACE, model.source.number());
                put(values, column::PLACE, model.offset / 512);
            }
            _ => return None,
        }
        Some(())
    }
}

fn put(values: &mut Values, column: u8, value: u64) {
    let mut bytes = Vec::with_capacity(2);
    varint::put(&mut bytes, value);
    values.push((column, bytes));
}

/// A bit for each field that differs from the model's; the checksum's where computing gives another.
fn differing(wanted: &Block, model: &Block) -> u64 {
    let mut computed = *model;
    let mut mask = 0;
    for (place, field) in FIELDS.iter().enumerate() {
        if place != CHECKSUM && field.of(wanted) != field.of(model) {
            mask |= 1 << place;
            field.set(&mut computed, field.of(wanted));
        }
    }
    set_checksum(&mut computed);
    let checksum = FIELDS[CHECKSUM];
    mask | u64::from(checksum.of(&computed) != checksum.of(wanted)) << CHECKSUM
}

impl Blocks {
    fn write(
        &self,
        values: &mut Values,
        wanted: &Block,
        (model, last): (&Block, &Block),
        shifts: &[i64; FIELDS.len()],
        texts: &Texts<'_>,
    ) {
        let mask = differing(wanted, model);
        put(values, self.fields, mask);
        for (place, field) in FIELDS.iter().enumerate() {
            if mask >> place & 1 == 0 {
                continue;
            }
            let (bytes, like, before) = (field.of(wanted), field.of(model), field.of(last));
            let column = self.values + place as u8;
            match (field.form, block::text(bytes)) {
                (Form::Number, _) => {
                    write_number(values, column, bytes, like, before, shifts[place]);
                }
                (Form::Text, Some(bytes)) => {
                    let others = (text(like), text(before));
                    texts.write(values, column, bytes, others, field.len());
                }
                (Form::Text, None) => {
                    put(values, column, 0);
                    values.push((column::RAW, bytes.to_vec()));
                }
                _ => values.push((column::RAW, bytes.to_vec())),
            }
        }
    }
}

fn write_number(
    values: &mut Values,
    column: u8,
    wanted: &[u8],
    model: &[u8],
    last: &[u8],
    shift: i64,
) {
    let own = block::number(model);
    let value = block::number(wanted).filter(|&value| {
        block::write_number(model, value).is_some_and(|written| written == wanted)
    });
    let (Some(own), Some(value)) = (own, value) else {
        put(values, column, number::RAW);
        values.push((column::RAW, wanted.to_vec()));
        return;
    };
    let from = |origin: u64| varint::zigzag(value.wrapping_sub(origin) as i64);
    let forms = [
        (number::TO_MODEL, Some(from(own))),
        (number::TO_LAST, block::number(last).map(from)),
        (number::TO_SHIFTED, Some(from(own.wrapping_add_signed(shift)))),
    ];
    let coded = forms.iter().filter_map(|(form, difference)| Some((difference.as_ref()?, form)));
    // Numbers of at most twelve octal digits: their differences have 38 bits.
    if let Some((difference, form)) = coded.min() {
        put(values, column, difference * number::FORMS + form);
    }
}

/// The counterpart of the generator's.
struct Texts<'a> {
    moves: Option<&'a Moves>,
    has_model: bool,
}

impl Texts<'_> {
    /// A text that moved like one before; else a beginning from the model or the last one, an end from the
    /// model, and what stands between.
    fn write(
        &self,
        values: &mut Values,
        column: u8,
        wanted: &[u8],
        (model, last): (&[u8], &[u8]),
        limit: usize,
    ) {
        let moves = self.moves.filter(|_| self.has_model);
        if let Some(place) = moves.and_then(|moves| moves.place(column, wanted, model, limit)) {
            return put(values, column, place);
        }
        let forms = self.moves.map_or(1, |_| Moves::FORMS);
        write_parts(values, column, forms, wanted, (model, last));
    }
}

fn write_parts(
    values: &mut Values,
    column: u8,
    forms: u64,
    wanted: &[u8],
    (model, last): (&[u8], &[u8]),
) {
    let (like_model, like_last) = (common_prefix(wanted, model), common_prefix(wanted, last));
    let from_last = like_last > like_model;
    let begin = like_model.max(like_last);
    let rest = &wanted[begin..];
    let end = rest.iter().rev().zip(model.iter().rev()).take_while(|(a, b)| a == b).count();
    let between = &rest[..rest.len() - end];
    put(values, column, forms + 2 * begin as u64 + u64::from(from_last));
    put(values, column, end as u64);
    put(values, column, between.len() as u64);
    values.push((column::TEXT, between.to_vec()));
}
