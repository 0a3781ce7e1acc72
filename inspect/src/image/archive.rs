//! The index of a tar: where each member's headers and content lie, found by reading headers alone.
//!
//! Formats: POSIX.1-2017 pax ("ustar Interchange Format", "pax Extended Header"), GNU tar's long names and sparse
//! headers ("GNU tar Internals"), and old tars without magic.

use std::collections::{BTreeMap, HashMap};

use tar::{EntryType, Header};

use crate::fail;
use crate::range::{FileRange, ReadAt};

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
        Scan { range: &range, what, offset: 0, names_len: 0 }.members().map(|(members, end)| {
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

/// What extension headers say about the member after them.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

struct Scan<'a> {
    range: &'a FileRange,
    what: &'a str,
    offset: u64,
    names_len: usize,
}

impl Scan<'_> {
    /// All members, and where the last one's padding ends.
    fn members(mut self) -> anyhow::Result<(Vec<ArchiveMember>, u64)> {
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
    fn member(
        &mut self,
        global: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> anyhow::Result<Option<ArchiveMember>> {
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

    fn pax(&mut self, header: &Header) -> anyhow::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let offset = self.offset;
        let bytes = self.extension(header)?;
        match pax_records(&bytes) {
            Some(records) => Ok(records),
            None => fail!(
                NotAnImage,
                "{} is broken: the extension header at {offset} cannot be read",
                self.what
            ),
        }
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

/// The records of a pax extended header: `LENGTH KEY=VALUE\n`; none if they are malformed.
fn pax_records(mut bytes: &[u8]) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut records = BTreeMap::new();
    while bytes.first().is_some_and(|b| *b != 0) {
        let space = bytes.iter().take(20).position(|b| *b == b' ')?;
        let len: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let record = bytes.get(space + 1..len)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|b| *b == b'=')?;
        records.insert(record[..equals].to_vec(), record[equals + 1..].to_vec());
        bytes = bytes.get(len..)?;
    }
    Some(records)
}

fn apply(records: &BTreeMap<Vec<u8>, Vec<u8>>, extensions: &mut Extensions) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;
    use tar::Builder;

    use super::*;
    use crate::failure::{Category, classify};

    fn range(bytes: &[u8]) -> FileRange {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        FileRange::open(file.path()).unwrap()
    }

    fn index(bytes: &[u8]) -> anyhow::Result<TarIndex> {
        TarIndex::read(range(bytes), "it")
    }

    /// A tar of `NAME=CONTENT`, `NAME->SYMLINK` and `NAME=>HARDLINK`.
    fn tar(lines: &[&str]) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for line in lines {
            let mut header = Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(0);
            if let Some((name, to)) = line.split_once("->") {
                header.set_entry_type(EntryType::Symlink);
                tar.append_link(&mut header, name, to).unwrap();
            } else if let Some((name, to)) = line.split_once("=>") {
                header.set_entry_type(EntryType::Link);
                tar.append_link(&mut header, name, to).unwrap();
            } else {
                let (name, content) = line.split_once('=').unwrap();
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, name, content.as_bytes()).unwrap();
            }
        }
        tar.into_inner().unwrap()
    }

    fn text(index: &TarIndex, name: &str) -> Option<String> {
        let mut text = String::new();
        index.file(name).unwrap()?.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn finds_files_through_links() {
        let long = format!("{}/file", "d".repeat(300));
        let lines =
            ["a=1", "b/layer.tar->../a", "c=>b/layer.tar", &format!("{long}=long"), "a=2", "d=>a"];
        let index = index(&tar(&lines)).unwrap();
        assert_eq!(index.members().len(), 6);
        for (name, wanted) in
            [("a", "2"), ("./b//layer.tar", "2"), ("d", "2"), ("c", "2"), (&long, "long")]
        {
            assert_eq!(text(&index, name).as_deref(), Some(wanted), "{name}");
        }
        assert_eq!(text(&index, "absent"), None);
        let header = &index.members()[3];
        assert!(
            header.content_offset - header.header_offset > BLOCK,
            "its long name belongs to it"
        );
        assert_eq!(index.trailer().size() % BLOCK, 0);
    }

    #[test]
    fn a_hard_link_means_the_file_that_stood_before_it() {
        let index = index(&tar(&["a=1", "b=>a", "a=2"])).unwrap();
        assert_eq!(text(&index, "b").unwrap(), "1");
    }

    #[test]
    fn links_that_lead_nowhere_are_errors() {
        let index =
            index(&tar(&["a->b", "b->a", "c->../../etc/passwd", "d->gone", "e=>e"])).unwrap();
        for name in ["a", "c", "d", "e", "../x"] {
            let error = index.file(name).unwrap_err();
            assert_eq!(classify(&error).category, Category::NotAnImage, "{name}: {error}");
        }
    }

    #[test]
    fn extended_headers_count() {
        let mut tar = Builder::new(Vec::new());
        let name = "x".repeat(200);
        tar.append_pax_extensions([("path", name.as_bytes()), ("size", b"5")]).unwrap();
        let mut header = Header::new_ustar();
        header.set_path("short").unwrap();
        header.set_size(0);
        header.set_cksum();
        tar.append(&header, &b""[..]).unwrap();
        let mut bytes = tar.into_inner().unwrap();
        // The size of the extended header counts: content stands where the builder wrote the trailer.
        bytes[3 * 512..3 * 512 + 5].copy_from_slice(b"hello");
        bytes.extend([0; 1024]);
        let index = index(&bytes).unwrap();
        assert_eq!(text(&index, &name).as_deref(), Some("hello"));
        assert_eq!(index.members()[0].header_offset, 0);
    }

    #[test]
    fn a_truncated_archive_is_an_error() {
        let whole = tar(&["a=1", "b=some text"]);
        for (len, is_error) in [
            (511, true),
            (512, true),
            (1023, false),
            (1024, false),
            (1100, true),
            (1544, true),
            (1545, false),
        ] {
            assert_eq!(index(&whole[..len]).is_err(), is_error, "{len}");
        }
        let mut broken = whole.clone();
        broken[1024] ^= 1;
        assert_eq!(classify(&index(&broken).unwrap_err()).category, Category::NotAnImage);
    }

    #[test]
    fn pax_records_are_read_by_length() {
        let records = pax_records(b"18 path=with\nline\n11 size=12\n").unwrap();
        assert_eq!(records[&b"path"[..]], b"with\nline");
        for bad in [
            &b"x path=a\n"[..],
            b"99 path=a\n",
            b"0 path=a\n",
            b"9 path=ab",
            b"7 path\n",
            b"99999999999999999999 a=b\n",
        ] {
            assert!(pax_records(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn huge_sizes_are_refused() {
        let mut header = Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_size(u64::MAX - 100);
        header.set_cksum();
        let error = index(header.as_bytes()).unwrap_err();
        assert_eq!(classify(&error).category, Category::NotAnImage);
        header.set_entry_type(EntryType::XHeader);
        header.set_size(2 << 20);
        header.set_cksum();
        assert_eq!(classify(&index(header.as_bytes()).unwrap_err()).category, Category::Limit);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(mut flips in prop::collection::vec((0usize..4096, any::<u8>()), 1..20), fix in any::<bool>()) {
            let mut bytes = tar(&["a=1", "b->a", "c=some text", &format!("{}=x", "n".repeat(120))]);
            for (at, value) in flips.drain(..) {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            for block in bytes.chunks_mut(512).filter(|_| fix) {
                let sum = checksum(block.first_chunk().unwrap());
                block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
            if let Ok(index) = index(&bytes) {
                for member in index.members() {
                    prop_assert!(member.content_offset + member.size <= bytes.len() as u64);
                    let _ = index.file(&String::from_utf8_lossy(&member.name));
                }
            }
        }
    }
}
