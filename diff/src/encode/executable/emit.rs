//! Writes executables as their model predicts them.

use anyhow::Context;

use super::super::emit::{Cost, Emitter};
use super::super::groups::literal_kind;
use super::super::similar::Cover;
use super::dictionary::{Part, parts};
use super::{model, reader};
use crate::matching;
use crate::program::ids::model::X86_64;
use crate::program::limits::{BLOCK_LEN, DICTIONARY_LEN};
use crate::program::{Executable, Literal, Params, Range, STRETCH, Source, WORK_PAGE};

/// Bytes of a cover that are written as one op: whole stretches.
const PART: u64 = 4 << 20;

/// A base's file, and how much its model has worked.
struct Base<'a> {
    bytes: &'a [u8],
    pages: u64,
}

impl Emitter<'_> {
    /// Writes the executable in `offset..offset + len` of the target, most of which stands in covers.
    pub(in crate::encode) fn executable(
        &mut self,
        (offset, len): (u64, u64),
        layer: u32,
        covers: &[Cover],
        params: Params,
    ) -> anyhow::Result<Cost> {
        let bytes = params.to_bytes().context("parameters of an executable")?;
        let ops = covers.iter().map(|cover| cover.len / PART + 2).sum::<u64>() + (len >> 16) + 2;
        let Some(place) = self.writer.begin_model(X86_64, ops, bytes)? else {
            return self.covered((offset, len), layer, covers, &[]);
        };
        let base = self.sources.bases.get(layer as usize).context("no such base layer")?;
        let bytes = base.read(params.offset, params.len)?;
        let mut base = Base { bytes: &bytes, pages: 0 };
        let local = |cover: &Cover| matching::Cover {
            base: (cover.base - params.offset) as usize,
            target: (cover.target - offset) as usize,
            len: cover.len as usize,
        };
        let mut executable = model(&params, covers.iter().map(local));
        let kind = literal_kind(self.target, offset, len)?;
        let mut cost = Cost::default();
        let mut at = offset;
        let mut parts = dictionaries((offset, len), covers, &params).into_iter().peekable();
        let has_parts = parts.peek().is_some();
        for cover in covers {
            if let Some(part) = parts.next_if(|part| part.first + offset == at) {
                self.dictionary(kind, &params, &part)?;
            }
            self.literals(kind, at, cover.target - at)?;
            cost.literal += cover.target - at;
            cost.covered += cover.len;
            for start in (0..cover.len).step_by(PART as usize) {
                let len = PART.min(cover.len - start);
                let wanted = self.target.read(cover.target + start, len)?;
                let target = cover.target + start - offset;
                let from = cover.base + start - params.offset;
                cost.differing += self.predicted(
                    (place, params.source, params.offset),
                    &mut executable,
                    &mut base,
                    (from, target),
                    &wanted,
                )?;
            }
            at = cover.target + cover.len;
        }
        if let Some(part) = parts.next_if(|part| part.first + offset == at) {
            self.dictionary(kind, &params, &part)?;
        }
        self.literals(kind, at, offset + len - at)?;
        cost.literal += offset + len - at;
        self.writer.end_model(base.pages * WORK_PAGE)?;
        if has_parts {
            self.go_on_with_group()?;
        }
        Ok(cost)
    }

    /// Literals that follow are coded with what stands around them in the base.
    fn dictionary(&mut self, kind: Literal, params: &Params, part: &Part) -> anyhow::Result<()> {
        let Params { source, offset, .. } = *params;
        let range = |&(at, len): &(u64, u64)| Range { source, offset: offset + at, len };
        let ranges = part.ranges.iter().map(range).collect();
        Ok(self.writer.group(vec![(kind, ranges)])?)
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
        let bytes = &base.bytes[from as usize..][..wanted.len()];
        let mut predicted = bytes.to_vec();
        let mut classes = vec![0; wanted.len()];
        let mut read = reader(base.bytes);
        let mut read = |offset: u64, buf: &mut [u8]| {
            base.pages += 1;
            read(offset, buf)
        };
        if bytes == wanted {
            // Where nothing is to be learned, the model need not look at it.
            let mut plain = true;
            for at in (0..wanted.len()).step_by(STRETCH) {
                let end = wanted.len().min(at + STRETCH);
                executable.begin(from + at as u64, to + at as u64, &bytes[at..end], &mut read)?;
                plain &= executable.fields().next().is_none();
            }
            if plain {
                self.writer.copy(source, file + from, wanted.len() as u64)?;
                return Ok(0);
            }
        }
        for at in (0..wanted.len()).step_by(STRETCH) {
            let end = wanted.len().min(at + STRETCH);
            let (now, then) = (&wanted[at..end], &bytes[at..end]);
            let (predicted, classes) = (&mut predicted[at..end], &mut classes[at..end]);
            executable.begin(from + at as u64, to + at as u64, then, &mut read)?;
            let mut at = 0;
            while at < now.len() {
                let end = executable.next_end(at, now.len(), BLOCK_LEN);
                executable.predict(predicted, classes, end);
                executable.learn(now, then, end);
                at = end;
            }
        }
        self.writer.edit_predicted(place, source, file + from, &predicted, &classes, wanted)?;
        Ok(wanted.iter().zip(&predicted).filter(|(a, b)| a != b).count() as u64)
    }
}

/// The dictionaries of an executable whose base is too large to be one.
fn dictionaries((offset, len): (u64, u64), covers: &[Cover], params: &Params) -> Vec<Part> {
    if params.len <= DICTIONARY_LEN {
        return Vec::new();
    }
    let here = |cover: &Cover| Cover {
        target: cover.target - offset,
        base: cover.base - params.offset,
        len: cover.len,
    };
    parts(len, params.len, covers.iter().map(here))
}
