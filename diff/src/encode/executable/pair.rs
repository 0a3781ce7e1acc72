//! Two executables that are compared: what their headers say, and what is made of the covers that are found.

use std::io;
use std::ops::Range;

use rayon::prelude::*;

use super::cut::{self, Cuts};
use super::elf::Elf;
use super::file::File;
use super::thin::thin;
use super::{Found, Tables, cuts, exceptions, params, symbols};
use crate::matching::{Costs, Cover, Scored};
use crate::program::{Machine, Params, Version};

/// Ops at most of covers, of what stands between them and of names: all of them go into one unit.
const OPS: u64 = 250_000;
/// Bytes that a model must save.
const WORTH: usize = 256;
/// Bytes that are compared at a time.
const CHUNK: u64 = 1 << 20;

/// Two executables for the model.
pub(super) struct Pair {
    /// The model of both, and of each against itself.
    pub(super) params: Params,
    pub(super) of_base: Params,
    pub(super) of_target: Params,
    /// What is left out of each while they are compared.
    pub(super) cut_base: Cuts,
    pub(super) cut_target: Cuts,
    from: Elf,
    to: Elf,
    has_symbols: bool,
    index: Option<Range<u64>>,
    exceptions: Option<Range<u64>>,
}

impl Pair {
    /// Reads the headers of both; none where a model cannot say what they hold. Holds one of them at a time.
    pub(super) fn parse(base: File<'_>, target: File<'_>) -> io::Result<Option<Self>> {
        let Some(from) = Elf::parse(&base.whole()?) else { return Ok(None) };
        let bytes = target.whole()?;
        let Some(to) = Elf::parse(&bytes).filter(|to| to.machine == from.machine) else {
            return Ok(None);
        };
        let sizes = symbols::tables(&from, &to).filter(|_| symbols::in_order(&bytes, &to));
        drop(bytes);
        let (mut from, mut to) = (from, to);
        let exceptions = exceptions(&mut from, &mut to);
        let rows = from.index.clone().zip(to.index.clone());
        let has_symbols = sizes.is_some();
        let made = || {
            let (cut_base, cut_target) = cuts(&from, &to, has_symbols)?;
            let (len, target_len) = (base.len() as usize, target.len() as usize);
            let params = params(&from, &to, len, target_len)?;
            let version = match params.version {
                Version::Third if has_symbols || rows.is_some() => Version::Fourth,
                version => version,
            };
            let params = Params { symbols: sizes.unwrap_or_default(), version, ..params };
            params.to_bytes()?;
            let of_target = self::params(&to, &to, target_len, target_len)?;
            let of_base = self::params(&from, &from, len, len)?;
            Some((params, of_base, of_target, cut_base, cut_target))
        };
        let Some((params, of_base, of_target, cut_base, cut_target)) = made() else {
            return Ok(None);
        };
        let index = rows.map(|(_, rows)| rows);
        Ok(Some(Self {
            params,
            of_base,
            of_target,
            cut_base,
            cut_target,
            from,
            to,
            has_symbols,
            index,
            exceptions,
        }))
    }

    /// What covers and literals cost: where instructions are words, their literals cost less.
    pub(super) fn costs(&self) -> &'static Costs {
        match self.to.machine {
            Machine::X86_64 => &Costs::CODE,
            Machine::AArch64 => &Costs::WORDS,
        }
    }

    /// The covers of whole files.
    pub(super) fn whole(&self, scored: &[Scored]) -> Vec<Cover> {
        let covers: Vec<Cover> = scored.iter().map(|scored| scored.cover).collect();
        cut::whole(&covers, &self.cut_base, &self.cut_target)
    }

    /// What was found, by covers over the base as it was rewritten; none where the model does not pay.
    pub(super) fn found(
        self,
        (base, target): (File<'_>, File<'_>),
        scored: Vec<Scored>,
    ) -> io::Result<Option<Found>> {
        let moved: usize = scored.iter().map(|scored| scored.differing).sum();
        let covers = self.whole(&scored);
        if moved + WORTH >= differing(base, target, &covers)? {
            return Ok(None);
        }
        let tables = match self.has_symbols {
            true => symbols::pair((base, &self.from), (target, &self.to), &covers)?,
            false => None,
        };
        drop(covers);
        let most = OPS.saturating_sub(tables.as_ref().map_or(0, Tables::ops));
        if most < OPS / 4 {
            return Ok(None);
        }
        let len = self.cut_target.len_without(target.len() as usize) as u64;
        let mut covers = self.whole(&thin(scored, len, most, self.costs()));
        if self.to.machine == Machine::AArch64 {
            cut::to_words(&mut covers, &self.to.areas);
        }
        if let Some(exceptions) = &self.exceptions {
            covers = cut::outside(&covers, exceptions);
        }
        let Self { params, index, exceptions, .. } = self;
        Ok(Some(Found { covers, params, tables, index, exceptions }))
    }
}

/// Bytes of covers that differ.
fn differing(base: File<'_>, target: File<'_>, covers: &[Cover]) -> io::Result<usize> {
    let of = |cover: &Cover| {
        let (from, to, len) = (cover.base as u64, cover.target as u64, cover.len as u64);
        let mut differing = 0;
        for at in (0..len).step_by(CHUNK as usize) {
            let end = len.min(at + CHUNK);
            let a = base.read(from + at..from + end)?;
            let b = target.read(to + at..to + end)?;
            differing += a.iter().zip(&b).filter(|(a, b)| a != b).count();
        }
        Ok(differing)
    };
    covers.par_iter().map(of).try_reduce(|| 0, |a, b| Ok(a + b))
}
