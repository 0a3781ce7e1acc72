//! Puts opened files into a layer: contents in place of compressed bytes, and the contents of the bases'
//! members beside the base layers.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use dd_inspect::digest::DiffId;
use dd_inspect::record::EntryKind;

use super::splice::{From, Segments, Spliced, Spool};
use super::tree::{BaseMember, Member, Node, Tree};
use super::{Framing, Kept, Opened, Range, Step};
use crate::encode::catalog::Place;
use crate::encode::layer::{File, Layer};
use crate::encode::similar::Cover;

/// Where the bytes of a tree are: those of the target's side, and those of the base's.
#[derive(Clone, Copy)]
struct At {
    target: From,
    layer: u32,
    base: u64,
}

/// An [`Opened`] under construction.
pub(super) struct Builder<'a> {
    target: &'a Layer,
    bases: &'a [Layer],
    segments: Segments,
    spool: Spool,
    /// The target's entries, moved to where they now are.
    entries: Vec<File>,
    /// Bytes of the target that were dealt with.
    done: u64,
    members: Vec<(File, Option<BasePlace>)>,
    /// Contents of members of bases: of those in base layers, of those in these contents, and so on.
    kept: Vec<(Spool, Vec<Range>, Vec<File>)>,
    /// Members of base layers that lie there as they are.
    stored: BTreeMap<u32, Vec<File>>,
    steps: HashMap<u32, Vec<Step>>,
    dir: &'a Path,
}

/// A file that will be the n-th of those added to a layer.
type BasePlace = (u32, usize);

impl<'a> Builder<'a> {
    pub(super) fn new(target: &'a Layer, bases: &'a [Layer], dir: &'a Path) -> io::Result<Self> {
        Ok(Self {
            target,
            bases,
            segments: Segments::default(),
            spool: Spool::new(dir)?,
            entries: Vec::with_capacity(target.files.len()),
            done: 0,
            members: Vec::new(),
            kept: Vec::new(),
            stored: BTreeMap::new(),
            steps: HashMap::new(),
            dir,
        })
    }

    /// Bytes of contents so far.
    pub(super) fn held(&self) -> u64 {
        self.kept.iter().fold(self.spool.len(), |sum, (spool, ..)| sum.saturating_add(spool.len()))
    }

    /// The next entry, as it is.
    pub(super) fn entry(&mut self, file: &File) {
        self.until(file.content_offset);
        let mut file = file.clone();
        let header_len = file.content_offset - file.header_offset;
        file.content_offset = self.segments.len();
        file.header_offset = file.content_offset - header_len;
        self.until(self.done + file.size);
        self.entries.push(file);
    }

    /// The next entry, opened; `base` is the file that it was, if it was opened beside one.
    pub(super) fn opened(
        &mut self,
        file: &File,
        base: Option<Place>,
        tree: Tree,
    ) -> io::Result<()> {
        self.until(file.content_offset);
        let mut entry = file.clone();
        entry.content_offset = self.segments.len();
        entry.header_offset = entry.content_offset - (file.content_offset - file.header_offset);
        let other = base.map(|base| &self.bases[base.layer as usize].files[base.file as usize]);
        let at = At {
            target: From::Layer(file.content_offset),
            layer: base.map_or(0, |base| base.layer),
            base: other.map_or(0, |other| other.content_offset),
        };
        let mut steps = Vec::new();
        let mut path = other.unwrap_or(file).name().to_vec();
        self.tree(tree, at, &mut path, &mut steps)?;
        entry.size = self.segments.len() - entry.content_offset;
        entry.digest = None;
        self.done += file.size;
        self.steps.insert(self.entries.len() as u32, steps);
        self.entries.push(entry);
        Ok(())
    }

    /// Takes bytes of the target as they are.
    fn until(&mut self, end: u64) {
        self.segments.push(From::Layer(self.done), end - self.done);
        self.done = end;
    }

    fn tree(
        &mut self,
        tree: Tree,
        at: At,
        path: &mut Vec<u8>,
        steps: &mut Vec<Step>,
    ) -> io::Result<()> {
        let mut distance = 0;
        for node in tree.nodes {
            match node {
                Node::Frame { len, covers } => {
                    let from = match at.target {
                        From::Layer(start) => From::Layer(start + distance),
                        From::Spool(start) => From::Spool(start + distance),
                    };
                    let offset = self.segments.push(from, len);
                    let place = |cover: Cover| Cover {
                        target: cover.target - distance + offset,
                        base: cover.base + at.base,
                        len: cover.len,
                    };
                    let covers = covers.into_iter().map(place).collect();
                    steps.push(Step::Frame { offset, len, layer: at.layer, covers });
                    distance += len;
                }
                Node::Framing { len, part } => {
                    let from = match at.target {
                        From::Layer(start) => From::Layer(start + distance),
                        From::Spool(start) => From::Spool(start + distance),
                    };
                    self.segments.push(from, len);
                    distance += len;
                    if let Some(plan) = &tree.plan {
                        let (plan, layer, base) = (plan.clone(), at.layer, at.base);
                        steps.push(Step::Framing(Framing { plan, layer, base, part, len }));
                    }
                }
                Node::Member(member) => {
                    distance += member.coded_len;
                    self.member(*member, at, path, steps)?;
                }
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        member: Member,
        at: At,
        path: &mut Vec<u8>,
        steps: &mut Vec<Step>,
    ) -> io::Result<()> {
        let Member { name, coded_len, coder, plain, digest, base, inner } = member;
        let compressed = coder.is_some();
        if let Some(coder) = coder {
            steps.push(Step::Enter { coder, encoded_len: coded_len });
        }
        let outside = path.clone();
        let base = match base {
            Some(base) => Some(self.base(base, at, path)?),
            None => None,
        };
        inside(path, &name);
        let spooled = From::Spool(self.spool.push(&plain)?);
        match (inner, base) {
            (Some(inner), Some((_, layer, start))) => {
                let at = At { target: spooled, layer, base: start };
                self.tree(inner, at, path, steps)?;
            }
            (_, base) => {
                let size = plain.len() as u64;
                let offset = self.segments.push(spooled, size);
                let file = member_file(path, offset, size, digest);
                if size > 0 {
                    steps.push(Step::Member(self.members.len() as u32));
                    self.members.push((file, base.map(|base| base.0)));
                }
            }
        }
        *path = outside;
        if compressed {
            steps.push(Step::Leave);
        }
        Ok(())
    }

    /// Notes a member of a base; returns its place, and the layer and offset of its content.
    fn base(&mut self, base: BaseMember, at: At, path: &[u8]) -> io::Result<(BasePlace, u32, u64)> {
        let BaseMember { name, range, plain, digest } = base;
        let mut path = path.to_vec();
        inside(&mut path, &name);
        let coded = Range {
            layer: at.layer,
            offset: at.base + range.start,
            len: range.end - range.start,
            plain_len: 0,
        };
        let Some(plain) = plain else {
            let file = member_file(&path, coded.offset, coded.len, digest);
            let files = match (at.layer as usize).checked_sub(self.bases.len()) {
                None => self.stored.entry(at.layer).or_default(),
                Some(kept) => &mut self.kept[kept].2,
            };
            files.push(file);
            return Ok(((at.layer, files.len() - 1), at.layer, coded.offset));
        };
        // What lies in a kept object goes into the next one.
        let depth = (at.layer as usize + 1).saturating_sub(self.bases.len());
        if self.kept.len() == depth {
            self.kept.push((Spool::new(self.dir)?, Vec::new(), Vec::new()));
        }
        let (spool, ranges, files) = &mut self.kept[depth];
        let layer = (self.bases.len() + depth) as u32;
        let size = plain.len() as u64;
        let start = spool.push(&plain)?;
        ranges.push(Range { plain_len: size, ..coded });
        files.push(member_file(&path, start, size, digest));
        Ok(((layer, files.len() - 1), layer, start))
    }

    pub(super) fn finish(mut self) -> Opened {
        self.until(self.target.bytes.size());
        let entries = self.entries.len();
        let mut bases = self.bases.to_vec();
        let mut first_added: Vec<usize> = bases.iter().map(|base| base.files.len()).collect();
        for (layer, added) in self.stored {
            let base = &mut bases[layer as usize];
            base.files = base.files.iter().cloned().chain(added).collect();
        }
        let mut kept = Vec::new();
        for (spool, ranges, files) in self.kept {
            first_added.push(0);
            kept.push(Kept { size: spool.len(), ranges });
            let diff_id = DiffId::of(&[]);
            bases.push(Layer { diff_id, bytes: Arc::new(spool), files: files.into() });
        }
        let (files, places): (Vec<File>, Vec<Option<BasePlace>>) = self.members.into_iter().unzip();
        let place = |(layer, file): BasePlace| Place {
            layer,
            file: (first_added[layer as usize] + file) as u32,
        };
        let bytes = Arc::new(Spliced::new(self.segments, self.target.bytes.clone(), self.spool));
        Opened {
            target: Layer {
                diff_id: self.target.diff_id,
                bytes,
                files: self.entries.into_iter().chain(files).collect(),
            },
            bases,
            entries,
            steps: self.steps,
            relatives: places.into_iter().map(|base| base.map(place)).collect(),
            kept,
        }
    }
}

/// The path of a member, after that of its file: what a gzip file holds is called as it was before.
fn inside(path: &mut Vec<u8>, name: &[u8]) {
    match path.strip_suffix(b".gz") {
        Some(stem) if name.is_empty() => path.truncate(stem.len()),
        _ => path.extend_from_slice(&[b"!/", name].concat()),
    }
}

/// A member as a file; it has no header.
fn member_file(path: &[u8], offset: u64, size: u64, digest: dd_inspect::digest::Digest) -> File {
    File {
        path: path.into(),
        kind: EntryKind::File,
        header_offset: offset,
        content_offset: offset,
        size,
        digest: (size > 0).then_some(digest),
    }
}
