//! What an archive of the target is described by: its records, and the base's members that they were.

use std::collections::HashMap;

use super::archive::Archive;
use super::base::Directory;
pub(crate) use super::record::Form;
use super::record::Record;
use super::walk::Walk;

/// An archive of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub members: Vec<Member>,
    pub base: Option<Place>,
    /// Members are expected as directories are walked through.
    pub walks: bool,
    /// What the first record gives as the offset of its local header.
    pub at: u32,
    pub comment: Vec<u8>,
}

/// A member of the target's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub record: Record,
    pub local_extra: Vec<u8>,
    pub form: Form,
    /// The base's member that it was.
    pub base: Option<u32>,
}

/// Where the base's archive is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where offsets count from.
    pub start: u64,
    /// How far behind that the directory is, and its length.
    pub directory: u64,
    pub directory_len: u64,
}

impl Plan {
    /// The framing that a reader makes of it: what stands before the data of each member, and all behind the last one's;
    /// none if that cannot be described.
    pub(crate) fn framing(&self) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
        let comment = self.comment.clone();
        let mut archive = Archive::new(None, false, u64::from(self.at), comment);
        let mut heads = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let mut head = Vec::new();
            let Member { record, local_extra, form, .. } = member.clone();
            archive.give(record, local_extra, form, &mut head).ok()?;
            heads.push(head);
        }
        let mut tail = Vec::new();
        while !archive.give_directory(&mut tail).ok()? {}
        Some((heads, tail))
    }

    /// Says which members of a base the members were, and in which order they are expected. `usable` says whether a
    /// base's member can be read.
    pub(crate) fn pair(
        &mut self,
        place: Place,
        base: &Directory,
        usable: impl Fn(&Record) -> bool,
    ) {
        let (mut exact, mut letters) = (HashMap::new(), HashMap::new());
        for (index, record) in (0..).zip(base.records()) {
            if usable(&record) {
                letters.insert(without_digits(&record.name), index);
                exact.insert(record.name, index);
            }
        }
        for member in &mut self.members {
            let name = &member.record.name;
            let found = exact.get(name).or_else(|| letters.get(&without_digits(name)));
            member.base = found.copied();
        }
        self.base = Some(place);
        self.walks = self.cost_of_walk(base) < self.cost_of_line();
    }

    /// About how many bits the order costs if it is as in the base.
    fn cost_of_line(&self) -> u32 {
        let mut next = 0;
        let bits = self.members.iter().filter_map(|member| member.base).map(|base| {
            let expected = std::mem::replace(&mut next, base + 1);
            if base == expected { 0 } else { FAR }
        });
        bits.sum()
    }

    /// The same if directories are walked through.
    fn cost_of_walk(&self, base: &Directory) -> u32 {
        let mut walk = Walk::new(base.records().map(|record| record.name));
        let bits = self.members.iter().filter_map(|member| member.base).map(|base| {
            let next = walk.next();
            let own = if next.binary_search(&base).is_ok() { next.len().ilog2() } else { FAR };
            walk.take(base as usize);
            own
        });
        bits.sum()
    }
}

/// About the bits of a member's place that is not expected.
const FAR: u32 = 12;

fn without_digits(name: &[u8]) -> Vec<u8> {
    name.iter().copied().filter(|byte| !byte.is_ascii_digit()).collect()
}
