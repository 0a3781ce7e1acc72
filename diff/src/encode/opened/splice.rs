//! A layer in which the contents of members stand in place of their compressed bytes.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use dd_inspect::range::ReadAt;

/// Contents, one after the other, in a file without a name.
#[derive(Debug)]
pub(in crate::encode) struct Spool {
    file: File,
    len: u64,
}

impl Spool {
    /// An empty one.
    ///
    /// # Errors
    /// There can be no file in `dir`.
    pub(in crate::encode) fn new(dir: &Path) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(dir)?, len: 0 })
    }

    /// Appends bytes; returns where they begin.
    pub(in crate::encode) fn push(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let start = self.len;
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(start)
    }

    /// Bytes in it.
    pub(in crate::encode) fn len(&self) -> u64 {
        self.len
    }
}

impl ReadAt for Spool {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

/// Where the bytes of a segment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::encode) enum From {
    /// In the layer itself.
    Layer(u64),
    /// In the spool.
    Spool(u64),
}

impl From {
    fn plus(self, distance: u64) -> Self {
        match self {
            Self::Layer(at) => Self::Layer(at + distance),
            Self::Spool(at) => Self::Spool(at + distance),
        }
    }
}

/// Segments under construction.
#[derive(Debug, Default)]
pub(in crate::encode) struct Segments {
    /// Where each begins, and where its bytes are.
    list: Vec<(u64, From)>,
    len: u64,
}

impl Segments {
    /// Appends a segment; returns where it begins.
    pub(in crate::encode) fn push(&mut self, from: From, len: u64) -> u64 {
        let start = self.len;
        let follows = self.list.last().is_some_and(|last| last.1.plus(start - last.0) == from);
        if len > 0 && !follows {
            self.list.push((start, from));
        }
        self.len += len;
        start
    }

    /// Bytes so far.
    pub(in crate::encode) fn len(&self) -> u64 {
        self.len
    }
}

/// Segments that can be read like a layer.
pub(in crate::encode) struct Spliced {
    segments: Segments,
    layer: Arc<dyn ReadAt>,
    spool: Spool,
}

impl Spliced {
    pub(in crate::encode) fn new(segments: Segments, layer: Arc<dyn ReadAt>, spool: Spool) -> Self {
        Self { segments, layer, spool }
    }
}

impl ReadAt for Spliced {
    fn size(&self) -> u64 {
        self.segments.len
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let Segments { list, len } = &self.segments;
        let inside = offset.checked_add(buffer.len() as u64).is_some_and(|end| end <= *len);
        if !inside {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        let mut rest = buffer;
        let mut next = list.partition_point(|segment| segment.0 <= at);
        while !rest.is_empty() {
            let end = list.get(next).map_or(*len, |segment| segment.0);
            let segment = next.checked_sub(1).and_then(|last| list.get(last));
            let (start, from) = *segment.ok_or(io::ErrorKind::UnexpectedEof)?;
            let n = usize::try_from(end - at).map_or(rest.len(), |left| left.min(rest.len()));
            let (now, later) = rest.split_at_mut(n);
            match from.plus(at - start) {
                From::Layer(place) => self.layer.read_exact_at(now, place)?,
                From::Spool(place) => self.spool.read_exact_at(now, place)?,
            }
            at += n as u64;
            rest = later;
            next += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_read_as_one() {
        let mut spool = Spool::new(&std::env::temp_dir()).unwrap();
        assert_eq!((spool.push(b"spool").unwrap(), spool.push(b"ed").unwrap()), (0, 5));
        let layer: Arc<dyn ReadAt> = Arc::new(b"0123456789".to_vec());
        let mut segments = Segments::default();
        segments.push(From::Layer(0), 3);
        segments.push(From::Layer(3), 2);
        assert_eq!(segments.push(From::Spool(1), 6), 5);
        segments.push(From::Spool(3), 0);
        segments.push(From::Layer(8), 2);
        assert_eq!(segments.list.len(), 3);
        let spliced = Spliced::new(segments, layer, spool);
        let all = b"01234pooled89";
        assert_eq!(spliced.size(), all.len() as u64);
        for start in 0..=all.len() {
            for end in start..=all.len() {
                let mut buffer = vec![0; end - start];
                spliced.read_exact_at(&mut buffer, start as u64).unwrap();
                assert_eq!(buffer, all[start..end]);
            }
        }
        assert!(spliced.read_exact_at(&mut [0; 2], 12).is_err());
        assert!(spliced.read_exact_at(&mut [0; 2], u64::MAX).is_err());
    }
}
