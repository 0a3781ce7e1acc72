//! The index of a tar: where each member's headers and content lie, found by reading headers alone.
//!
//! Formats: POSIX.1-2017 pax ("ustar Interchange Format", "pax Extended Header"), GNU tar's long names and sparse
//! headers ("GNU tar Internals"), and old tars without magic.

mod scan;

use std::collections::HashMap;

use tar::Header;

use crate::fail;
use crate::range::{FileRange, ReadAt};
use scan::Scan;

/// Bytes in a block of a tar.
pub const BLOCK: u64 = 512;
/// Bytes that an extension header may have (as in Go's archive/tar, by which docker reads).
const MAX_EXTENSION_LEN: u64 = 1 << 20;
/// Members that an archive may have.
const MAX_MEMBERS: usize = 1 << 20;
/// Bytes of names that an archive may have in all.
const MAX_NAMES_LEN: usize = 64 << 20;
/// Links that are followed from one name.
const MAX_LINKS: usize = 16;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A hard link to an earlier member.
    Hardlink,
    /// Anything else, sparse files too.
    Other,
}

impl MemberKind {
    /// The word of a `member` record.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Hardlink => "hardlink",
            Self::Other => "other",
        }
    }
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveMember {
    /// Its name, as stored (after PAX and GNU extensions).
    pub name: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// Where its header blocks begin, extension headers included.
    pub header_offset: u64,
    /// Where its content begins: the header blocks end there.
    pub content_offset: u64,
    /// Bytes of content, without padding.
    pub size: u64,
    /// Where a link points, as stored.
    pub link: Option<Vec<u8>>,
}

/// The index of a tar.
#[derive(Debug, Clone)]
pub struct TarIndex {
    range: FileRange,
    members: Vec<ArchiveMember>,
    trailer_offset: u64,
    by_name: HashMap<Vec<u8>, Vec<usize>>,
}

/// Whether a block can be the first one of a tar: its checksum is right.
pub fn is_header(block: &[u8]) -> bool {
    let Some(block) = block.first_chunk::<512>() else { return false };
    let header = Header::from_byte_slice(block);
    header.cksum().is_ok_and(|stored| stored == checksum(block))
}

/// The sum of all bytes with the checksum field as blanks.
fn checksum(block: &[u8; 512]) -> u32 {
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    let field: u32 = block[148..156].iter().map(|b| u32::from(*b)).sum();
    sum - field + 8 * u32::from(b' ')
}

impl TarIndex {
    /// Reads the headers of a tar. `what` names it in errors.
    ///
    /// # Errors
    /// `not-an-image` if it is truncated or broken, `limit` if it has more members than any image.
    pub fn read(range: FileRange, what: &str) -> anyhow::Result<Self> {
        Scan::new(&range, what).members().map(|(members, end)| {
            let mut by_name: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
            for (number, member) in members.iter().enumerate() {
                if let Some(name) = clean(&member.name) {
                    by_name.entry(name).or_default().push(number);
                }
            }
            let trailer_offset = end.min(range.size());
            Self { range, members, trailer_offset, by_name }
        })
    }

    /// The members, in order.
    pub fn members(&self) -> &[ArchiveMember] {
        &self.members
    }

    /// The tar.
    pub fn range(&self) -> &FileRange {
        &self.range
    }

    /// What follows the last member's padding: end-of-archive blocks, mostly.
    pub fn trailer(&self) -> FileRange {
        let size = self.range.size() - self.trailer_offset;
        self.range.part(self.trailer_offset, size).unwrap_or_else(|_| self.range.clone())
    }

    /// The content of the file with this name, links followed; the last member of the name counts. None if there is
    /// no such member.
    ///
    /// # Errors
    /// `not-an-image` for links that lead nowhere or in circles, and for what is no file.
    pub fn file(&self, name: &str) -> anyhow::Result<Option<FileRange>> {
        let Some(mut name) = clean(name.as_bytes()) else {
            fail!(NotAnImage, "the name {name:.200?} leads out of the archive");
        };
        let asked = String::from_utf8_lossy(&name).into_owned();
        let mut before = self.members.len();
        for followed in 0..MAX_LINKS {
            // Numbers ascend: the last one before `before` is found by halving.
            let found = self.by_name.get(&name).and_then(|all| {
                all.get(all.partition_point(|number| *number < before).checked_sub(1)?)
            });
            let Some((number, member)) = found.and_then(|n| Some((*n, self.members.get(*n)?)))
            else {
                if followed == 0 {
                    return Ok(None);
                }
                fail!(NotAnImage, "the link {asked:.200?} leads to nothing");
            };
            let target = member.link.as_deref().unwrap_or_default();
            let next = match member.kind {
                MemberKind::File => {
                    return Ok(Some(self.range.part(member.content_offset, member.size)?));
                }
                MemberKind::Symlink => {
                    before = self.members.len();
                    beside(&name, target)
                }
                MemberKind::Hardlink => {
                    before = number;
                    clean(target)
                }
                MemberKind::Directory | MemberKind::Other => {
                    fail!(NotAnImage, "{asked:.200?} is not stored as a plain file")
                }
            };
            let Some(next) = next else {
                fail!(NotAnImage, "the link {asked:.200?} leads out of the archive");
            };
            name = next;
        }
        fail!(NotAnImage, "the link {asked:.200?} leads in circles")
    }
}

/// A name without `.`, `..` and doubled slashes; none if it leads out of the archive.
fn clean(name: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// Where a symbolic link at `name` leads.
fn beside(name: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if target.first() == Some(&b'/') {
        return clean(target);
    }
    let directory = name.iter().rposition(|b| *b == b'/').map_or(&[][..], |at| &name[..at]);
    clean(&[directory, target].join(&b'/'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
