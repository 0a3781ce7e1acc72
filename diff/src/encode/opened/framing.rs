//! Framing of zip archives that is computed, not compared: what each archive of the target is described by.

use std::io;
use std::sync::Arc;

use super::container::{self, Role, Window};
use super::tree::Node;
use super::zip;
use crate::zips::Record;
use crate::zips::base::Directory;
use crate::zips::plan::{Form, Member, Place, Plan};

/// Archives with fewer members cost less as they are.
const MIN_MEMBERS: usize = 3;
/// Bytes of a local header without name and extra field.
const LOCAL_LEN: u64 = 30;

/// A part of an archive's framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Framing {
    pub plan: Arc<Plan>,
    /// The base's layer, and where its file begins there.
    pub layer: u32,
    pub base: u64,
    pub part: Part,
    /// Bytes of it.
    pub len: u64,
}

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The beginning, which has no bytes.
    Begin,
    /// What stands before the data of a member.
    Member(u32),
    /// What stands behind the last one's data.
    Directory,
}

/// What describes the framing of an archive, beside that of the base's file if there is one; none where that does not
/// give its very bytes.
///
/// # Errors
/// What reading fails with.
pub(super) fn plan(target: &Window<'_>, base: Option<&Window<'_>>) -> io::Result<Option<Plan>> {
    let Some((own, directory)) = records(target)? else { return Ok(None) };
    let members: Vec<Record> = directory.records().collect();
    let (Some(first), true) = (members.first(), members.len() >= MIN_MEMBERS) else {
        return Ok(None);
    };
    let tail = target.read(own.end, target.len - own.end)?;
    let (at, comment) = (first.local, tail.get(22..).unwrap_or_default().to_vec());
    let mut plan = Plan { members: Vec::new(), base: None, walks: false, at, comment };
    for record in members {
        match member(target, own.before, record)? {
            Some(member) => plan.members.push(member),
            None => return Ok(None),
        }
    }
    if !gives(&plan, target, own.before)? {
        return Ok(None);
    }
    if let Some(base) = base
        && let Some((other, directory)) = records(base)?
    {
        let place = Place {
            start: other.before,
            directory: other.start - other.before,
            directory_len: other.end - other.start,
        };
        plan.pair(place, &directory, |record| is_member(base, other.before, record));
    }
    Ok(Some(plan))
}

/// The directory of an archive, whose end record follows it.
fn records(file: &Window<'_>) -> io::Result<Option<(zip::Directory, Directory)>> {
    let Some(place) = zip::directory(file)? else { return Ok(None) };
    let bytes = file.read(place.start, place.end - place.start)?;
    Ok(Directory::parse(bytes).map(|directory| (place, directory)))
}

/// A member with what its local header says beside its record.
fn member(file: &Window<'_>, before: u64, record: Record) -> io::Result<Option<Member>> {
    let at = before + u64::from(record.local);
    let Some(head) = file.read(at, LOCAL_LEN).ok() else { return Ok(None) };
    let field = |place| container::le::<2>(&head, place).unwrap_or_default();
    let (name_len, extra_len) = (field(26), field(28));
    let data = at + LOCAL_LEN + name_len + extra_len;
    let Ok(local_extra) = file.read(data - extra_len, extra_len) else { return Ok(None) };
    let is_bare = head.get(14..26) == Some(&[0; 12]) && record.method[2] & 8 != 0;
    let end = data + u64::from(record.coded_len);
    let form = match file.read(end, 4) {
        Ok(behind) if is_bare && behind == b"PK\x07\x08" => Form::Behind,
        Ok(_) if is_bare => Form::Bare,
        _ => Form::Before,
    };
    Ok(Some(Member { record, local_extra, form, base: None }))
}

/// Whether a plan gives the bytes of an archive around the data of its members.
fn gives(plan: &Plan, file: &Window<'_>, before: u64) -> io::Result<bool> {
    let Some((heads, tail)) = plan.framing() else { return Ok(false) };
    let mut at = before + u64::from(plan.at);
    let mut gives = |bytes: &[u8], data: u64| {
        let same = file.read(at, bytes.len() as u64).is_ok_and(|own| own == bytes);
        at += bytes.len() as u64 + data;
        same
    };
    for (member, head) in plan.members.iter().zip(&heads) {
        if !gives(head, u64::from(member.record.coded_len)) {
            return Ok(false);
        }
    }
    Ok(gives(&tail, 0) && at == file.len)
}

/// Whether a member of a base can be read.
fn is_member(file: &Window<'_>, before: u64, record: &Record) -> bool {
    let at = before.saturating_add(u64::from(record.local));
    let Ok(head) = file.read(at, LOCAL_LEN) else { return false };
    let field = |place| container::le::<2>(&head, place).unwrap_or_default();
    let data = at + LOCAL_LEN + field(26) + field(28);
    head.starts_with(b"PK\x03\x04") && data + u64::from(record.coded_len) <= file.len
}

/// Puts framing that is computed in the place of frames.
pub(super) fn framed(nodes: Vec<Node>, parts: &[container::Part], plan: &Plan) -> Vec<Node> {
    let mut framed = Vec::with_capacity(nodes.len() + 1);
    let (mut waiting, mut number) = (0, 0);
    let heads = plan.members.len() as u32;
    for (node, part) in nodes.into_iter().zip(parts) {
        let len = part.range.end - part.range.start;
        match part.label.role {
            // What stands before the archive.
            Role::After if number == 0 => framed.push(node),
            Role::Data => framed.push(node),
            Role::Head => {
                if number == 0 {
                    framed.push(Node::Framing { len: 0, part: Part::Begin });
                }
                let len = len + std::mem::take(&mut waiting);
                framed.push(Node::Framing { len, part: Part::Member(number) });
                number = (number + 1).min(heads);
            }
            Role::After | Role::Record | Role::Tail => waiting += len,
        }
    }
    framed.push(Node::Framing { len: waiting, part: Part::Directory });
    framed
}
