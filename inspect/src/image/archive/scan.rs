//! Reads the headers of a tar one after the other, extension headers with the member that they describe.

use std::collections::BTreeMap;

use tar::{EntryType, Header};

use super::{
    ArchiveMember, BLOCK, MAX_EXTENSION_LEN, MAX_MEMBERS, MAX_NAMES_LEN, MemberKind, is_header,
};
use crate::fail;
use crate::pax::split_record;
use crate::range::{FileRange, ReadAt};

/// The records of a pax extended header.
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// What extension headers say about the member after them.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// How far a tar has been read.
pub(super) struct Scan<'a> {
    range: &'a FileRange,
    what: &'a str,
    offset: u64,
    names_len: usize,
}

impl<'a> Scan<'a> {
    /// At the start of a tar; `what` names it in errors.
    pub(super) fn new(range: &'a FileRange, what: &'a str) -> Self {
        Self { range, what, offset: 0, names_len: 0 }
    }

    /// All members, and where the last one's padding ends.
    pub(super) fn members(mut self) -> anyhow::Result<(Vec<ArchiveMember>, u64)> {
        let mut members = Vec::new();
        let mut global = BTreeMap::new();
        loop {
            let header_offset = self.offset;
            let Some(member) = self.member(&mut global)? else {
                return Ok((members, header_offset));
            };
            self.names_len += member.name.len() + member.link.as_ref().map_or(0, Vec::len);
            if members.len() >= MAX_MEMBERS || self.names_len > MAX_NAMES_LEN {
                fail!(
                    Limit,
                    "{} has more than {MAX_MEMBERS} members or very long names",
                    self.what
                );
            }
            members.push(member);
        }
    }

    /// The next member with its extension headers; none at the end of the archive.
    fn member(&mut self, global: &mut Records) -> anyhow::Result<Option<ArchiveMember>> {
        let header_offset = self.offset;
        let mut extensions = Extensions::default();
        apply(global, &mut extensions);
        loop {
            let Some(header) = self.header()? else {
                if self.offset > header_offset {
                    // Extension headers without a member: part of the trailer.
                    self.offset = header_offset;
                }
                return Ok(None);
            };
            match header.entry_type() {
                EntryType::XHeader => apply(&self.pax(&header)?, &mut extensions),
                EntryType::XGlobalHeader => {
                    global.extend(self.pax(&header)?);
                    apply(global, &mut extensions);
                }
                EntryType::GNULongName => extensions.name = Some(self.long_name(&header)?),
                EntryType::GNULongLink => extensions.link = Some(self.long_name(&header)?),
                _ => return self.finish(&header, header_offset, extensions).map(Some),
            }
        }
    }

    fn finish(
        &mut self,
        header: &Header,
        header_offset: u64,
        extensions: Extensions,
    ) -> anyhow::Result<ArchiveMember> {
        let name = extensions.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous if extensions.sparse => MemberKind::Other,
            EntryType::Regular if header.as_bytes()[156] == 0 && name.ends_with(b"/") => {
                MemberKind::Directory
            }
            EntryType::Regular | EntryType::Continuous => MemberKind::File,
            EntryType::Directory => MemberKind::Directory,
            EntryType::Symlink => MemberKind::Symlink,
            EntryType::Link => MemberKind::Hardlink,
            _ => MemberKind::Other,
        };
        if header.entry_type() == EntryType::GNUSparse {
            self.sparse_headers(header)?;
        }
        let has_content = !matches!(
            header.entry_type(),
            EntryType::Link
                | EntryType::Symlink
                | EntryType::Char
                | EntryType::Block
                | EntryType::Directory
                | EntryType::Fifo
        );
        let size = match extensions.size {
            _ if !has_content => 0,
            Some(size) => size,
            None => self.size(header)?,
        };
        let link = matches!(kind, MemberKind::Symlink | MemberKind::Hardlink).then(|| {
            extensions
                .link
                .unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned())
        });
        let content_offset = self.offset;
        self.skip(size, &name)?;
        Ok(ArchiveMember { name, kind, header_offset, content_offset, size, link })
    }

    /// The next header block; none for end-of-archive blocks and the end of the file.
    fn header(&mut self) -> anyhow::Result<Option<Header>> {
        let left = self.range.size().saturating_sub(self.offset);
        if left == 0 {
            return Ok(None);
        }
        let mut block = [0; 512];
        let n = usize::try_from(left.min(BLOCK))?;
        self.range.read_exact_at(&mut block[..n], self.offset)?;
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        if left < BLOCK {
            fail!(NotAnImage, "{} is truncated: it ends within a header at {}", self.what, self.offset; "get the file again");
        }
        if !is_header(&block) {
            fail!(NotAnImage, "{} is broken: there is no tar header at {}", self.what, self.offset; "get the file again");
        }
        self.offset += BLOCK;
        Ok(Some(Header::from_byte_slice(&block).clone()))
    }

    fn size(&self, header: &Header) -> anyhow::Result<u64> {
        match header.entry_size() {
            Ok(size) => Ok(size),
            Err(_) => fail!(
                NotAnImage,
                "{} is broken: the header before {} has no size",
                self.what,
                self.offset
            ),
        }
    }

    /// Passes over content and its padding. The padding of the last member may be missing.
    fn skip(&mut self, size: u64, name: &[u8]) -> anyhow::Result<()> {
        let end = self.offset.checked_add(size);
        let Some(end) = end.filter(|end| *end <= self.range.size()) else {
            fail!(NotAnImage, "{} is truncated: {:.200?} needs {size} bytes from {} on, and the archive ends at {}",
                self.what, String::from_utf8_lossy(name), self.offset, self.range.size(); "get the file again");
        };
        self.offset = end.next_multiple_of(BLOCK);
        Ok(())
    }

    /// The content of an extension header.
    fn extension(&mut self, header: &Header) -> anyhow::Result<Vec<u8>> {
        let size = self.size(header)?;
        if size > MAX_EXTENSION_LEN {
            fail!(
                Limit,
                "{} has an extension header of {size} bytes at {}",
                self.what,
                self.offset
            );
        }
        let offset = self.offset;
        self.skip(size, b"an extension header")?;
        let mut bytes = vec![0; usize::try_from(size)?];
        self.range.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn long_name(&mut self, header: &Header) -> anyhow::Result<Vec<u8>> {
        let mut name = self.extension(header)?;
        let len = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        name.truncate(len);
        Ok(name)
    }

    fn pax(&mut self, header: &Header) -> anyhow::Result<Records> {
        let offset = self.offset;
        let bytes = self.extension(header)?;
        let (mut records, mut rest) = (Records::new(), bytes.as_slice());
        while rest.first().is_some_and(|b| *b != 0) {
            let Some((key, value, after)) = split_record(rest) else {
                fail!(
                    NotAnImage,
                    "{} is broken: the extension header at {offset} cannot be read",
                    self.what
                );
            };
            records.insert(key.to_vec(), value.to_vec());
            rest = after;
        }
        Ok(records)
    }

    /// Passes over the blocks that continue the map of an old GNU sparse file.
    fn sparse_headers(&mut self, header: &Header) -> anyhow::Result<()> {
        let mut extended = header.as_bytes()[482] != 0;
        while extended {
            let mut block = [0; 512];
            if self.range.read_exact_at(&mut block, self.offset).is_err() {
                fail!(NotAnImage, "{} is truncated within the map of a sparse file", self.what);
            }
            self.offset += BLOCK;
            extended = block[504] != 0;
        }
        Ok(())
    }
}

fn apply(records: &Records, extensions: &mut Extensions) {
    for (key, value) in records {
        match key.as_slice() {
            b"path" if !value.is_empty() => extensions.name = Some(value.clone()),
            b"linkpath" if !value.is_empty() => extensions.link = Some(value.clone()),
            b"size" => {
                extensions.size = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok())
            }
            key if key.starts_with(b"GNU.sparse.") => extensions.sparse = true,
            _ => {}
        }
    }
}
