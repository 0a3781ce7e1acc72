//! Opens a file of the target and the file of the base that it was, side by side.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use dd_extract::encoding::inflate::inflate;
use dd_inspect::digest::Digest;
use rayon::prelude::*;

use super::container::{Coding, Kind, Label, Part, Window, parts, sniff};
use super::framing;
use super::prove::{Coder, Hint, coder};
use crate::encode::similar::Cover;
use crate::matching::{self, Costs, Effort, Reach};
use crate::program::limits::OPENED_RATIO;
use crate::zips::plan::Plan;

/// Members in members that are opened.
pub(super) const DEPTH: usize = 3;
/// Shorter members are not worth the ops that open them.
const MIN_LEN: u64 = 48;
/// Shorter ones have nothing to gain without a partner.
const MIN_NEW: u64 = 512;
/// Covers from this length on stay by themselves: they may be without any difference. To check shorter ones byte by byte
/// costs a reader less than an op of their own costs here.
const SMALL: u64 = 32 << 10;
/// Framing that changed its length is searched up to this length.
const MAX_FRAMING: u64 = 64 << 10;

/// A file of the target, opened: its nodes follow each other without a gap.
#[derive(Debug)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
    /// What its framing is described by.
    pub plan: Option<Arc<Plan>>,
}

impl Tree {
    /// Bytes of content that are compressed again, in members of members too.
    pub(super) fn entered(&self) -> u64 {
        let members = self.nodes.iter().filter_map(|node| match node {
            Node::Member(member) => Some(member),
            Node::Frame { .. } | Node::Framing { .. } => None,
        });
        let entered = members.map(|member| {
            let own = if member.coder.is_some() { member.plain.len() as u64 } else { 0 };
            own + member.inner.as_ref().map_or(0, Tree::entered)
        });
        entered.sum()
    }
}

#[derive(Debug)]
pub(super) enum Node {
    /// Bytes as they are; covers are offsets in the two files.
    Frame { len: u64, covers: Vec<Cover> },
    /// Framing that is computed.
    Framing { len: u64, part: framing::Part },
    /// A member by its content.
    Member(Box<Member>),
}

#[derive(Debug)]
pub(super) struct Member {
    pub name: Box<[u8]>,
    /// Its bytes in the file.
    pub coded_len: u64,
    /// How it is compressed, if it is.
    pub coder: Option<Coder>,
    pub plain: Vec<u8>,
    pub digest: Digest,
    pub base: Option<BaseMember>,
    /// What is inside of its content, if that is opened too.
    pub inner: Option<Tree>,
}

/// The member of the base's file that a member was.
#[derive(Debug)]
pub(super) struct BaseMember {
    pub name: Box<[u8]>,
    /// Where it lies in the base's file.
    pub range: Range<u64>,
    /// Its content if it is compressed.
    pub plain: Option<Vec<u8>>,
    pub digest: Digest,
}

/// Opens a file; none if nothing in it changed that can be opened, or if its base is no container of the same kind. At
/// most `budget` bytes of content are held. Without base what compresses well is opened.
///
/// # Errors
/// What reading fails with.
pub(super) fn open(
    target: &Window<'_>,
    base: Option<&Window<'_>>,
    depth: usize,
    budget: u64,
) -> io::Result<Option<Tree>> {
    let Some(kind) = sniff(target)? else { return Ok(None) };
    let Some(own) = parts(kind, target)? else { return Ok(None) };
    let others = match base {
        Some(base) if sniff(base)? != Some(kind) => return Ok(None),
        Some(base) => parts(kind, base)?,
        None => Some(Vec::new()),
    };
    let Some(others) = others else { return Ok(None) };
    let nothing = Window { bytes: target.bytes, start: 0, len: 0 };
    let base = base.unwrap_or(&nothing);
    let pairs = Pairs::new(&others);
    let hint = match kind {
        Kind::Gzip => Hint::of_gzip(&target.read(0, target.len.min(10))?),
        Kind::Zip => Hint::None,
        Kind::Elf => Hint::Section,
    };
    let opener = Opener { target, base, pairs, depth, hint };
    let allowed = affordable(&own, budget);
    let nodes: io::Result<Vec<Node>> =
        own.par_iter().zip(&allowed).map(|(part, &allowed)| opener.node(part, allowed)).collect();
    let mut nodes = nodes?;
    let has_base = base.len > 0;
    let plan = match kind {
        Kind::Zip if depth == 0 => framing::plan(target, has_base.then_some(base))?,
        _ => None,
    };
    let opened = nodes.iter().any(|node| matches!(node, Node::Member(_)));
    if let Some(plan) = &plan {
        nodes = framing::framed(nodes, &own, plan);
    }
    let tree = Tree { nodes: join(nodes), plan: plan.map(Arc::new) };
    Ok((opened || has_base && tree.plan.is_some()).then_some(tree))
}

/// For each part whether it may be opened: the first ones, as long as there is memory for them.
fn affordable(parts: &[Part], budget: u64) -> Vec<bool> {
    let mut left = budget / 2;
    let allowed = parts.iter().map(|part| {
        let len = match part.coding {
            Coding::Framing => return true,
            Coding::Stored => part.range.end - part.range.start,
            Coding::Deflate(len) => len,
        };
        let fits = len <= left;
        left -= if fits { len } else { 0 };
        fits
    });
    allowed.collect()
}

/// Joins frames that follow each other, and short covers on the same diagonal.
fn join(nodes: Vec<Node>) -> Vec<Node> {
    let mut joined: Vec<Node> = Vec::new();
    for node in nodes {
        match (joined.last_mut(), node) {
            (Some(Node::Frame { len, covers }), Node::Frame { len: more, covers: added }) => {
                *len += more;
                for cover in added {
                    match covers.last_mut() {
                        Some(last)
                            if last.len.max(cover.len) < SMALL
                                && last.target + last.len == cover.target
                                && last.base + last.len == cover.base =>
                        {
                            last.len += cover.len;
                        }
                        _ => covers.push(cover),
                    }
                }
            }
            (_, node) => joined.push(node),
        }
    }
    joined
}

/// The parts of the base's file by label, and by label with the digits of names left out.
struct Pairs<'a> {
    exact: HashMap<&'a Label, &'a Part>,
    letters: HashMap<Label, &'a Part>,
}

impl<'a> Pairs<'a> {
    fn new(parts: &'a [Part]) -> Self {
        let exact = parts.iter().map(|part| (&part.label, part)).collect();
        let letters = parts.iter().map(|part| (letters(&part.label), part)).collect();
        Self { exact, letters }
    }

    fn of(&self, label: &Label) -> Option<&'a Part> {
        self.exact.get(label).or_else(|| self.letters.get(&letters(label))).copied()
    }
}

fn letters(label: &Label) -> Label {
    let name = label.name.iter().copied().filter(|byte| !byte.is_ascii_digit());
    Label { role: label.role, name: name.collect() }
}

struct Opener<'a> {
    target: &'a Window<'a>,
    base: &'a Window<'a>,
    pairs: Pairs<'a>,
    depth: usize,
    hint: Hint,
}

impl Opener<'_> {
    fn node(&self, part: &Part, allowed: bool) -> io::Result<Node> {
        let other = self.pairs.of(&part.label);
        let len = part.range.end - part.range.start;
        let frame = |covers| Ok(Node::Frame { len, covers });
        if part.coding == Coding::Framing {
            let covers = other.map(|other| self.framing(part, other)).transpose()?;
            return frame(covers.unwrap_or_default());
        }
        if let Some(other) = other
            && other.range.end - other.range.start == len
            && same(&self.target.part(&part.range), &self.base.part(&other.range))?
        {
            return frame(vec![cover(part, other, len)]);
        }
        let worth = other.is_some() || pays(part.coding, len);
        if !allowed || len < MIN_LEN || !worth {
            return frame(Vec::new());
        }
        match self.member(part, other, len)? {
            Some(member) => Ok(Node::Member(Box::new(member))),
            None => frame(Vec::new()),
        }
    }

    /// Framing against that of the base: side by side if it is as long, else searched.
    fn framing(&self, part: &Part, other: &Part) -> io::Result<Vec<Cover>> {
        let (len, other_len) =
            (part.range.end - part.range.start, other.range.end - other.range.start);
        if len == other_len {
            return Ok(vec![cover(part, other, len)]);
        }
        if len.max(other_len) > MAX_FRAMING {
            return Ok(Vec::new());
        }
        let effort =
            Effort { reach: Reach { key: 8, candidates: 4, trust: 0 }, memory: 1 << 20, every: 1 };
        let (own, base) = (
            self.target.read(part.range.start, len)?,
            self.base.read(other.range.start, other_len)?,
        );
        let found = matching::covers(&base, &own, &effort, &Costs::BYTES);
        let place = |cover: &matching::Cover| Cover {
            target: part.range.start + cover.target as u64,
            base: other.range.start + cover.base as u64,
            len: cover.len as u64,
        };
        Ok(found.iter().map(place).collect())
    }

    fn member(&self, part: &Part, other: Option<&Part>, len: u64) -> io::Result<Option<Member>> {
        let coded = self.target.read(part.range.start, len)?;
        let (plain, coder) = match part.coding {
            Coding::Deflate(plain_len) => {
                let Some(plain) = content(&coded, plain_len) else { return Ok(None) };
                let Some(coder) = coder(&plain, &coded, self.hint) else { return Ok(None) };
                (plain, Some(coder))
            }
            _ if other.is_none() => return Ok(None),
            _ => (coded, None),
        };
        let base = other.map(|other| self.base_member(other)).transpose()?.flatten();
        let inner = match &base {
            Some(base) if self.depth < DEPTH => self.inner(&plain, base)?,
            _ => None,
        };
        let digest = Digest::of(&plain);
        let name = part.label.name.clone();
        Ok(Some(Member { name, coded_len: len, coder, plain, digest, base, inner }))
    }

    fn base_member(&self, part: &Part) -> io::Result<Option<BaseMember>> {
        let len = part.range.end - part.range.start;
        let (name, range) = (part.label.name.clone(), part.range.clone());
        let coded = self.base.read(range.start, len)?;
        let Coding::Deflate(plain_len) = part.coding else {
            return Ok(Some(BaseMember { name, range, plain: None, digest: Digest::of(&coded) }));
        };
        let Some(plain) = content(&coded, plain_len).filter(|plain| !plain.is_empty()) else {
            return Ok(None);
        };
        let digest = Digest::of(&plain);
        Ok(Some(BaseMember { name, range, plain: Some(plain), digest }))
    }

    /// What is in a member's content.
    fn inner(&self, plain: &Vec<u8>, base: &BaseMember) -> io::Result<Option<Tree>> {
        let target = Window { bytes: plain, start: 0, len: plain.len() as u64 };
        let budget = 2 * target.len.saturating_mul(8);
        match &base.plain {
            Some(plain) => {
                let base = Window { bytes: plain, start: 0, len: plain.len() as u64 };
                open(&target, Some(&base), self.depth + 1, budget)
            }
            None => open(&target, Some(&self.base.part(&base.range)), self.depth + 1, budget),
        }
    }
}

/// Whether a member without a partner is shorter when its content travels, by a better coder than its own.
fn pays(coding: Coding, len: u64) -> bool {
    match coding {
        Coding::Deflate(plain_len) => len >= MIN_NEW && plain_len > len + len / 4,
        _ => false,
    }
}

/// The content of a whole deflate stream, if it is as long as told and not too long.
fn content(coded: &[u8], told: u64) -> Option<Vec<u8>> {
    if told > (coded.len() as u64).saturating_mul(OPENED_RATIO) {
        return None;
    }
    let (plain, len) = inflate(coded, usize::try_from(told).ok()?)?;
    (len == coded.len() && plain.len() as u64 == told).then_some(plain)
}

fn cover(part: &Part, other: &Part, len: u64) -> Cover {
    Cover { target: part.range.start, base: other.range.start, len }
}

/// Whether two windows of the same length hold the same bytes.
fn same(one: &Window<'_>, other: &Window<'_>) -> io::Result<bool> {
    let mut at = 0;
    while at < one.len {
        let len = (one.len - at).min(256 << 10);
        if one.read(at, len)? != other.read(at, len)? {
            return Ok(false);
        }
        at += len;
    }
    Ok(true)
}
