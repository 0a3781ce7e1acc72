//! Walks the tar of a layer: what its entries are, where they lie, and what they hash to.
//!
//! The formats are those that image layers have: ustar and pax (POSIX.1-2017, pax, "ustar Interchange Format" and "pax
//! Interchange Format"), and GNU's long names, base-256 numbers and sparse files (GNU tar manual, "Basic Tar Format").
//! Nothing is judged: where the bytes are no tar (any more), the rest of them is only hashed.

mod header;
mod pax;

use std::io::{self, Read};

use dd_inspect::digest::{Digest, Hasher};
use dd_inspect::record::EntryKind;

use header::{BLOCK_LEN, Block, Header, Meaning};
use pax::Pax;

/// Bytes that the content of an extension header may have.
const MAX_EXTENSION_LEN: u64 = 1 << 20;

/// One entry of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarEntry {
    /// Its name as stored, after extensions.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Modification time in whole seconds since 1970, rounded down.
    pub mtime: i64,
    /// Where a link points, as stored.
    pub link: Option<Vec<u8>>,
    /// Bytes of content in the tar, without padding.
    pub size: u64,
    /// The digest of the content; none where there is none.
    pub digest: Option<Digest>,
    /// Where its first header block begins, extension headers included.
    pub header_offset: u64,
    /// Where its content begins.
    pub content_offset: u64,
}

impl TarEntry {
    /// Whether it is a whiteout (OCI image specification, "Representing Changes"): it takes a path away.
    pub fn is_whiteout(&self) -> bool {
        let name = self.path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        name.starts_with(b".wh.")
    }
}

/// What a walk found beside the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// The digest of all bytes.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
    /// Whether they begin as a tar does: with an entry or the end of an empty archive.
    pub tar: bool,
    /// Where the tar ends: at its end-of-archive blocks, or where something stands that is no tar.
    pub entries_end: u64,
}

/// Reads all of a layer once. Each entry is handed over when its content was read whole.
///
/// # Errors
/// What reading fails with, or what `on_entry` returns. Content is no reason to fail.
pub fn walk(
    reader: impl Read,
    mut on_entry: impl FnMut(TarEntry) -> io::Result<()>,
) -> io::Result<Walked> {
    let mut input = Input { reader, hasher: Hasher::new(), buffer: vec![0; 256 << 10] };
    let mut walker = Walker { global: Pax::default() };
    let mut entries_end = 0;
    let mut tar = false;
    loop {
        match walker.next(&mut input)? {
            Found::Entry(entry) => {
                tar = true;
                on_entry(entry)?;
                entries_end = input.position();
            }
            Found::End => {
                tar = true;
                break;
            }
            Found::Other => break,
        }
    }
    input.drain()?;
    let size = input.position();
    Ok(Walked { digest: input.hasher.finish(), size, tar, entries_end })
}

/// What stands at a point of a tar.
enum Found {
    Entry(TarEntry),
    /// Two blocks of zeros, or the end of the file between two entries.
    End,
    /// No tar.
    Other,
}

struct Walker {
    /// Values for all further entries.
    global: Pax,
}

impl Walker {
    fn next<R: Read>(&mut self, input: &mut Input<R>) -> io::Result<Found> {
        let mut header_offset = None;
        let mut local = Pax::default();
        let mut zero_blocks = 0;
        loop {
            let start = input.position();
            let Some(block) = input.block()? else {
                // After at least one entry, a missing end-of-archive is usual enough.
                let between = header_offset.is_none() && input.at_block_end() && start > 0;
                return Ok(if between { Found::End } else { Found::Other });
            };
            if block.iter().all(|b| *b == 0) {
                zero_blocks += 1;
                if header_offset.is_some() {
                    return Ok(Found::Other);
                }
                if zero_blocks == 2 {
                    return Ok(Found::End);
                }
                continue;
            }
            let Some(header) = Header::parse(&block) else { return Ok(Found::Other) };
            let begins = *header_offset.get_or_insert(start);
            match header.meaning() {
                Meaning::Extension(kind) => {
                    let Some(content) = input.extension(header.size)? else {
                        return Ok(Found::Other);
                    };
                    match kind {
                        b'g' => self.global.read(&content),
                        b'x' => local.read(&content),
                        b'L' => local.path = Some(header::until_nul(&content).to_vec()),
                        _ => local.link = Some(header::until_nul(&content).to_vec()),
                    }
                }
                Meaning::Entry(kind) => {
                    let values = local.or(&self.global);
                    return self.entry(input, &header, kind, values, begins);
                }
            }
        }
    }

    fn entry<R: Read>(
        &self,
        input: &mut Input<R>,
        header: &Header,
        kind: EntryKind,
        values: Pax,
        header_offset: u64,
    ) -> io::Result<Found> {
        if header.continues {
            // GNU's old sparse format: further blocks with the map of the file follow.
            loop {
                let Some(block) = input.block()? else { return Ok(Found::Other) };
                if block[504] == 0 {
                    break;
                }
            }
        }
        let path = values.path.unwrap_or_else(|| header.path.clone());
        let sparse = values.sparse && kind == EntryKind::File;
        let kind = match kind {
            _ if sparse => EntryKind::Sparse,
            // Before there was a type for directories.
            EntryKind::File if header.old && path.ends_with(b"/") => EntryKind::Directory,
            kind => kind,
        };
        let has_content = matches!(kind, EntryKind::File | EntryKind::Sparse | EntryKind::Other);
        let size = if has_content { values.size.unwrap_or(header.size) } else { 0 };
        let content_offset = input.position();
        let Some(digest) = input.content(size)? else { return Ok(Found::Other) };
        let is_link = matches!(kind, EntryKind::Hardlink | EntryKind::Symlink);
        Ok(Found::Entry(TarEntry {
            path,
            kind,
            mode: header.mode & 0o7777,
            uid: values.uid.unwrap_or(header.uid),
            gid: values.gid.unwrap_or(header.gid),
            mtime: values.mtime.unwrap_or(header.mtime),
            link: is_link.then(|| values.link.unwrap_or_else(|| header.link.clone())),
            size,
            digest: (size > 0).then_some(digest),
            header_offset,
            content_offset,
        }))
    }
}

/// Reads blocks, and hashes everything that is read.
struct Input<R> {
    reader: R,
    hasher: Hasher,
    buffer: Vec<u8>,
}

impl<R: Read> Input<R> {
    fn position(&self) -> u64 {
        self.hasher.len()
    }

    fn at_block_end(&self) -> bool {
        self.position().is_multiple_of(BLOCK_LEN as u64)
    }

    /// Fills `buffer[..len]`; returns how much there was.
    fn fill(&mut self, len: usize) -> io::Result<usize> {
        let mut filled = 0;
        while filled < len {
            match self.reader.read(&mut self.buffer[filled..len]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.hasher.update(&self.buffer[..filled]);
        Ok(filled)
    }

    fn block(&mut self) -> io::Result<Option<Block>> {
        let filled = self.fill(BLOCK_LEN)?;
        let mut block = [0; BLOCK_LEN];
        block.copy_from_slice(&self.buffer[..BLOCK_LEN]);
        Ok((filled == BLOCK_LEN).then_some(block))
    }

    /// Reads content and its padding, and hashes the content; none if there is less. Padding may be absent at the end of the
    /// file: readers of tar take that, and `umoci insert` writes it.
    fn content(&mut self, size: u64) -> io::Result<Option<Digest>> {
        let mut hasher = Hasher::new();
        let whole = self.pieces(size, |piece| hasher.update(piece))?;
        self.padding(size)?;
        Ok(whole.then(|| hasher.finish()))
    }

    fn extension(&mut self, size: u64) -> io::Result<Option<Vec<u8>>> {
        if size > MAX_EXTENSION_LEN {
            return Ok(None);
        }
        let mut content = Vec::new();
        let whole = self.pieces(size, |piece| content.extend_from_slice(piece))?;
        self.padding(size)?;
        Ok(whole.then_some(content))
    }

    fn pieces(&mut self, size: u64, mut each: impl FnMut(&[u8])) -> io::Result<bool> {
        let mut left = size;
        while left > 0 {
            let len = usize::try_from(left).map_or(self.buffer.len(), |l| l.min(self.buffer.len()));
            let filled = self.fill(len)?;
            each(&self.buffer[..filled]);
            left -= filled as u64;
            if filled < len {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn padding(&mut self, size: u64) -> io::Result<()> {
        let used = (size % BLOCK_LEN as u64) as usize;
        self.fill((BLOCK_LEN - used) % BLOCK_LEN).map(drop)
    }

    fn drain(&mut self) -> io::Result<()> {
        while self.fill(self.buffer.len())? > 0 {}
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
