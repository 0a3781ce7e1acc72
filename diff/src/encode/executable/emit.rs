//! Writes executables as their model predicts them.

use std::collections::VecDeque;
use std::iter::Peekable;

use anyhow::Context;

use super::super::emit::{Cost, Emitter};
use super::super::similar::{Cover, Found};
use super::dictionary::{self, Part, parts};
use super::predicted::{self, Predicted};
use super::thin::{self, PART};
use super::{File, Tables, model};
use crate::matching;
use crate::program::index::ROW;
use crate::program::{
    Computed, Content, Executable, LEAD, Literal, Params, Range, STRETCH, SYMBOL, Source, model_id,
};

/// Bytes of tables of exceptions that are one op.
const EXCEPTIONS_OP: usize = 1 << 19;
/// Symbols that are one op.
const SYMBOLS_OP: usize = 1 << 16;
/// Ops of tables at most, beside those of names.
const OPS_OF_TABLES: u64 = 64;
/// Bytes between two differences that belong to the same literal.
const BETWEEN: usize = 6;

/// The ranges in which two texts of one length differ.
fn differing(a: &[u8], b: &[u8]) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let places = a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b);
    for (at, _) in places {
        match ranges.last_mut() {
            Some(last) if at - last.1 <= BETWEEN => last.1 = at + 1,
            _ => ranges.push((at, at + 1)),
        }
    }
    ranges
}

/// A base's file, and how much its model has worked.
struct Base<'a> {
    file: File<'a>,
    work: u64,
}

type Range64 = std::ops::Range<u64>;

/// A table that the model makes, by its place in the target's file.
enum Made<'a> {
    Index(Range64),
    Exceptions(Range64),
    Symbols(&'a Tables),
}

impl Made<'_> {
    /// Where it stands.
    fn range(&self) -> Range64 {
        match self {
            Self::Index(range) | Self::Exceptions(range) => range.clone(),
            Self::Symbols(tables) => tables.symbols.start as u64..tables.names.end as u64,
        }
    }
}

/// A run of an executable that is being written.
struct Run<'a> {
    /// The model's place in the unit.
    place: u64,
    params: &'a Params,
    executable: Executable,
    base: Base<'a>,
    /// Where the target's file begins in its layer.
    start: u64,
    dictionaries: Peekable<std::vec::IntoIter<Part>>,
    /// One of them is in use.
    has_dictionary: bool,
    /// Tables that are still to be written, in their order in the target's file.
    made: VecDeque<Made<'a>>,
    /// Work of these.
    work: u64,
}

impl Emitter<'_> {
    /// Writes the executable in `offset..offset + len` of the target, most of which stands in covers.
    pub(in crate::encode) fn executable(
        &mut self,
        (offset, len): (u64, u64),
        layer: u32,
        found: &Found,
        params: Params,
    ) -> anyhow::Result<Cost> {
        let covers = &found.covers;
        let bytes = params.to_bytes().context("parameters of an executable")?;
        let literals = len - covers.iter().map(|cover| cover.len).sum::<u64>();
        let ops = thin::ops(offset, len, covers.iter().map(|cover| (cover.target, cover.len)))
            + found.tables.as_ref().map_or(0, Tables::ops)
            + OPS_OF_TABLES;
        let id = model_id(params.machine, params.version).context("a model")?;
        let Some(number) = self.writer.begin_model(id, ops, bytes)? else {
            return self.covered((offset, len), layer, covers, &[]);
        };
        let base = self.sources.bases.get(layer as usize).context("no such base layer")?;
        let file = File::new(&*base.bytes, params.offset, params.len);
        let here = |cover: &Cover| Cover {
            target: cover.target - offset,
            base: cover.base - params.offset,
            len: cover.len,
        };
        let local = |cover: Cover| matching::Cover {
            base: cover.base as usize,
            target: cover.target as usize,
            len: cover.len as usize,
        };
        let here = covers.iter().map(here);
        let tables = found.tables.as_ref();
        let place = |content| {
            let area = params.areas.iter().find(|area| area.content == content);
            area.map_or(0, |area| area.offset)
        };
        let rows = found.index.clone().map(|rows| Cover {
            target: rows.start,
            base: place(Content::FromStart),
            len: 0,
        });
        let exceptions = found.exceptions.clone().map(|range| Cover {
            target: range.start,
            base: place(Content::Exceptions),
            len: range.end - range.start,
        });
        let votes = dictionary::merged(here.clone().chain(rows).chain(exceptions), tables);
        let most = |literals| self.writer.code_dictionary(literals);
        let made = found.index.iter().cloned().map(Made::Index);
        let made = made.chain(found.exceptions.iter().cloned().map(Made::Exceptions));
        let mut made: Vec<_> = made.chain(tables.map(Made::Symbols)).collect();
        made.sort_by_key(|made| made.range().start);
        let made = VecDeque::from(made);
        let mut run = Run {
            place: number,
            params: &params,
            executable: model(&params, here.clone().map(local)),
            base: Base { file, work: 0 },
            start: offset,
            dictionaries: parts((len, params.len), votes.into_iter(), most).into_iter().peekable(),
            has_dictionary: false,
            made,
            work: 0,
        };
        let mut cost = Cost { literal: literals, ..Cost::default() };
        let mut at = offset;
        for cover in covers {
            self.uncovered(&mut run, at, cover.target)?;
            cost.covered += cover.len;
            cost.differing += self.cover(&mut run, cover)?;
            at = cover.target + cover.len;
        }
        self.uncovered(&mut run, at, offset + len)?;
        self.writer.end_model(run.base.work + run.work)?;
        if run.has_dictionary {
            self.go_on_with_group()?;
        }
        Ok(cost)
    }

    /// Writes what stands in no cover: tables, and literals.
    fn uncovered(&mut self, run: &mut Run<'_>, from: u64, to: u64) -> anyhow::Result<()> {
        let mut at = from;
        while let Some(range) = run.made.front().map(Made::range)
            && run.start + range.start < to
            && let Some(made) = run.made.pop_front()
        {
            self.new_code(run, at, run.start + range.start)?;
            match made {
                Made::Index(rows) => self.rows(run, rows)?,
                Made::Exceptions(tables) => self.exceptions(run, tables)?,
                Made::Symbols(tables) => self.tables(run, tables)?,
            }
            at = run.start + range.end;
        }
        self.new_code(run, at, to)
    }

    /// Writes rows of a table of frame descriptions.
    fn rows(&mut self, run: &mut Run<'_>, rows: Range64) -> anyhow::Result<()> {
        let file = self.target.read(run.start + rows.start, rows.end - rows.start)?;
        let mut made = vec![0; file.len()];
        let row = |number: usize| {
            let row = file.get(number * ROW as usize..)?.first_chunk::<{ ROW as usize }>()?;
            let row = u64::from_le_bytes(*row);
            Some((row as u32, (row >> 32) as u32))
        };
        let mut read = run.base.file.reader();
        let (executable, mut work) = (&mut run.executable, 0);
        self.writer.rows(Computed::FrameIndex, file.len() as u64, |values| {
            work = executable.index(values, &mut made, row, &mut read)?;
            Ok(())
        })?;
        run.work += work;
        anyhow::ensure!(made == file, "a table came out otherwise");
        Ok(())
    }

    /// Writes tables of exceptions.
    fn exceptions(&mut self, run: &mut Run<'_>, tables: Range64) -> anyhow::Result<()> {
        let frames = run.params.new.iter().find(|area| area.content == Content::Frames);
        if let Some(frames) = frames {
            let bytes = self.target.read(run.start + frames.offset, frames.len)?;
            run.executable.note(frames.offset, &bytes);
        }
        let file = self.target.read(run.start + tables.start, tables.end - tables.start)?;
        for part in file.chunks(EXCEPTIONS_OP) {
            let mut made = vec![0; part.len()];
            let mut read = run.base.file.reader();
            let (executable, mut work) = (&mut run.executable, 0);
            self.writer.rows(Computed::Exceptions, part.len() as u64, |values| {
                work = executable.exceptions(values, &mut made, Some(&file), &mut read)?;
                Ok(())
            })?;
            run.work += work;
            anyhow::ensure!(made == part, "tables of exceptions came out otherwise");
        }
        Ok(())
    }

    /// Writes tables of symbols.
    fn tables(&mut self, run: &mut Run<'_>, tables: &Tables) -> anyhow::Result<()> {
        let read = |range: &std::ops::Range<usize>| {
            self.target.read(run.start + range.start as u64, range.len() as u64)
        };
        let (symbols, names) = (read(&tables.symbols)?, read(&tables.names)?);
        let step = SYMBOLS_OP * SYMBOL as usize;
        for at in tables.symbols.clone().step_by(step) {
            let end = tables.symbols.end.min(at + step);
            let first = (at - tables.symbols.start) / SYMBOL as usize;
            let mut records = vec![0; end - at];
            let wanted = |number: usize| tables.wanted((&symbols, &names), first + number);
            let mut read = run.base.file.reader();
            let (executable, mut work) = (&mut run.executable, 0);
            self.writer.rows(Computed::Symbols, records.len() as u64, |values| {
                work = executable.symbols(values, &mut records, wanted, &mut read)?;
                Ok(())
            })?;
            run.work += work;
            let wanted = &symbols[at - tables.symbols.start..end - tables.symbols.start];
            anyhow::ensure!(records == wanted, "symbols came out otherwise");
        }
        let (start, end) = (tables.names.start, tables.names.end);
        self.new_code(run, run.start + tables.symbols.end as u64, run.start + start as u64)?;
        let told = run.executable.names(start as u64, end - start).context("names of symbols")?;
        let told = told.to_vec();
        let mut at = start;
        for (from, to) in differing(&told, &names) {
            self.writer.names((start + from - at) as u64)?;
            let base = run.start + start as u64;
            self.new_code(run, base + from as u64, base + to as u64)?;
            at = start + to;
        }
        Ok(self.writer.names((end - at) as u64)?)
    }

    /// Writes what stands in no cover.
    fn new_code(&mut self, run: &mut Run<'_>, from: u64, to: u64) -> anyhow::Result<()> {
        if to > from
            && from > run.start
            && let Some(part) = run.dictionaries.next_if(|part| part.first <= from - run.start)
        {
            self.dictionary(run, &part)?;
        }
        for at in (from..to).step_by(STRETCH) {
            let len = (to - at).min(STRETCH as u64);
            let lead = (at - run.start).min(LEAD as u64);
            let mut bytes = self.target.read(at - lead, lead + len)?;
            let lead = lead as usize;
            if run.executable.begin_literals(&mut bytes, lead, at - run.start) {
                self.writer.new_code(&bytes[lead..])?;
            } else {
                self.writer.literal(Literal::Raw, &bytes[lead..])?;
            }
        }
        Ok(())
    }

    /// What follows is coded with a dictionary, which the model turns where the coder takes one like that.
    fn dictionary(&mut self, run: &mut Run<'_>, part: &Part) -> anyhow::Result<()> {
        run.has_dictionary = true;
        let Params { source, offset, .. } = *run.params;
        let range = |&(at, len): &(u64, u64)| Range { source, offset: offset + at, len };
        let ranges = part.ranges.iter().map(range).collect();
        if !self.writer.turns_dictionaries() {
            return Ok(self.writer.group(vec![(Literal::Code, ranges)])?);
        }
        let mut moved = Vec::new();
        let mut read = run.base.file.reader();
        for &(at, len) in &part.ranges {
            let mut bytes = run.base.file.read(at..at + len)?;
            run.executable.dictionary(at, &mut bytes, &mut read)?;
            moved.append(&mut bytes);
        }
        Ok(self.writer.group_moved(ranges, moved)?)
    }

    /// Writes a cover; returns the bytes that differ from what was predicted.
    fn cover(&mut self, run: &mut Run<'_>, cover: &Cover) -> anyhow::Result<u64> {
        let mut differing = 0;
        for start in (0..cover.len).step_by(PART as usize) {
            let len = PART.min(cover.len - start);
            let wanted = self.target.read(cover.target + start, len)?;
            let target = cover.target + start - run.start;
            let from = cover.base + start - run.params.offset;
            differing += self.predicted(
                (run.place, run.params.source, run.params.offset),
                &mut run.executable,
                &mut run.base,
                (from, target),
                &wanted,
            )?;
        }
        Ok(differing)
    }

    /// Writes a part of a cover; returns the bytes that differ from what was predicted.
    fn predicted(
        &mut self,
        (place, source, file): (u64, Source, u64),
        executable: &mut Executable,
        base: &mut Base<'_>,
        (from, to): (u64, u64),
        wanted: &[u8],
    ) -> anyhow::Result<u64> {
        let work = (base.file, &mut base.work);
        let Some(made) = predicted::predicted(executable, work, (from, to), wanted)? else {
            self.writer.copy(source, file + from, wanted.len() as u64)?;
            return Ok(0);
        };
        let Predicted { bytes, classes } = made;
        self.writer.edit_predicted(place, source, file + from, &bytes, &classes, wanted)?;
        Ok(wanted.iter().zip(&bytes).filter(|(a, b)| a != b).count() as u64)
    }
}
