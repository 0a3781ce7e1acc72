//! Reading a base's layers: as they are stored, as content in order, as content at any offset.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;

use anyhow::Context;
use dd_extract::encoding::decompress::{Decompressor, Limits, sniff};
use dd_inspect::digest::{Digest, hash_reader};
use dd_inspect::fail;
use dd_inspect::range::{FileRange, ReadAt};
use dd_inspect::record::Compression;

use super::BaseLayer;
use crate::rebuild::Checked;
use crate::rebuild::scratch::Scratch;

/// The content of a layer from its beginning to its end. It is not verified: the reader hashes it.
pub struct Sequential {
    inner: Inner,
    what: String,
}

enum Inner {
    Plain(FileRange),
    Packed(Box<Decompressor<'static, BufReader<FileRange>>>),
}

impl fmt::Debug for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequential").field("what", &self.what).finish_non_exhaustive()
    }
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match &mut self.inner {
            Inner::Plain(range) => range.read(buffer),
            Inner::Packed(reader) => reader.read(buffer),
        };
        result.map_err(|e| io::Error::new(e.kind(), format!("reading {}: {e}", self.what)))
    }
}

impl BaseLayer {
    /// What it is, for messages.
    pub fn describe(&self) -> String {
        format!("layer {} of {}", self.diff_id, self.image)
    }

    /// The stored bytes, not verified.
    ///
    /// # Errors
    /// The file is gone or changed.
    pub fn stored(&self) -> anyhow::Result<FileRange> {
        FileRange::at(&self.location).with_context(|| format!("opening {}", self.describe()))
    }

    /// How the stored bytes are compressed, by their first bytes.
    fn compression(&self, stored: &FileRange) -> anyhow::Result<Compression> {
        if let Some(compression) = self.compression {
            return Ok(compression);
        }
        let mut start = [0; 4];
        let len = usize::try_from(stored.size().min(4))?;
        stored.read_exact_at(&mut start[..len], 0)?;
        Ok(sniff(&start[..len]))
    }

    /// The content in order.
    ///
    /// # Errors
    /// The file is gone or changed.
    pub fn sequential(&self) -> anyhow::Result<Sequential> {
        let stored = self.stored()?;
        let inner = match self.compression(&stored)? {
            Compression::None => Inner::Plain(stored),
            packed => {
                let input = BufReader::with_capacity(128 << 10, stored);
                Inner::Packed(Box::new(Decompressor::new(input, packed, Limits::default())?))
            }
        };
        Ok(Sequential { inner, what: self.describe() })
    }

    /// The content at any offset: in place where it is stored uncompressed (not verified: see [`check`]), else unpacked to
    /// scratch and verified.
    ///
    /// # Errors
    /// The file is gone or changed; its content is not what the image says; no scratch space.
    pub fn random(&self, scratch: &Scratch) -> anyhow::Result<Arc<dyn ReadAt>> {
        let stored = self.stored()?;
        if self.compression(&stored)? == Compression::None {
            return Ok(Arc::new(stored));
        }
        let mut file = scratch.file()?;
        let mut hashed = dd_inspect::digest::Hasher::new();
        let mut content = self.sequential()?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let n = content.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            hashed.update(&buffer[..n]);
            file.write_all(&buffer[..n])
                .with_context(|| format!("unpacking {}", self.describe()))?;
        }
        stored.check_unchanged()?;
        self.compare(hashed.finish())?;
        Ok(Arc::new(file))
    }

    /// Copies the stored bytes, verified, to a writer that gets `size` bytes with digest `digest`.
    ///
    /// # Errors
    /// The stored bytes are others (`digest-mismatch`: the base is damaged); writing fails.
    pub fn copy_stored(
        &self,
        digest: Digest,
        size: u64,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let mut stored = self.stored()?;
        let mut checked = Checked::new(out, digest, size);
        let copied = io::copy(&mut stored, &mut checked).map(|_| ());
        let result = copied.and_then(|()| checked.finish().map(|_| ()));
        if let Err(error) = result {
            let error = anyhow::Error::from(error);
            stored.check_unchanged()?;
            if crate::rebuild::is_mismatch(&error) {
                fail!(DigestMismatch, "the base is damaged: the stored bytes of {}: {error}", self.describe();
                    "get the base again");
            }
            return Err(error.context(format!("copying {}", self.describe())));
        }
        Ok(())
    }

    fn compare(&self, found: Digest) -> anyhow::Result<()> {
        if found != self.diff_id.into() {
            fail!(DigestMismatch, "the base is damaged: {} has content with digest {found}", self.describe();
                "get the base again");
        }
        Ok(())
    }
}

/// Hashes the content of a layer.
///
/// # Errors
/// `digest-mismatch` if the layer is damaged, `base-changed` if its file changes while it is read.
pub fn check(layer: &BaseLayer) -> anyhow::Result<()> {
    let (found, _) = hash_reader(layer.sequential()?)?;
    layer.stored()?.check_unchanged()?;
    layer.compare(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::layer;
    use super::super::{BaseImage, Bases};
    use super::*;
    use dd_inspect::digest::DiffId;
    use dd_inspect::failure::{Category, classify};

    fn zstd(content: &[u8]) -> Vec<u8> {
        ::zstd::encode_all(content, 1).unwrap()
    }

    fn one(file: &[u8], diff_id: DiffId) -> (tempfile::TempDir, BaseLayer) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("layer");
        std::fs::write(&path, file).unwrap();
        let record = layer(&path, diff_id, sniff(file));
        let image = BaseImage { reference: "app:1".to_owned(), layers: vec![record] };
        let layer = Bases::new(vec![image]).content(&diff_id).unwrap().clone();
        (dir, layer)
    }

    #[test]
    fn content_is_the_same_in_every_form() {
        let content = b"content ".repeat(100_000);
        for file in [content.clone(), zstd(&content)] {
            let (dir, layer) = one(&file, DiffId::of(&content));
            let scratch = Scratch::new(dir.path(), 1 << 30);
            let mut read = Vec::new();
            layer.sequential().unwrap().read_to_end(&mut read).unwrap();
            assert!(read == content);
            let random = layer.random(&scratch).unwrap();
            let mut piece = [0; 8];
            random.read_exact_at(&mut piece, 799_992).unwrap();
            assert_eq!(&piece, b"content ");
            check(&layer).unwrap();
            let mut stored = Vec::new();
            layer.copy_stored(Digest::of(&file), file.len() as u64, &mut stored).unwrap();
            assert!(stored == file);
        }
    }

    #[test]
    fn damage_is_told_from_other_failures() {
        let category = |error: anyhow::Error| classify(&error).category;
        for file in [b"other".to_vec(), zstd(b"other")] {
            let (dir, layer) = one(&file, DiffId::of(b"content"));
            let error = check(&layer).unwrap_err();
            assert!(error.to_string().contains("app:1"), "{error}");
            assert_eq!(category(error), Category::DigestMismatch);
            let copied = layer.copy_stored(Digest::of(b"x"), 5, &mut Vec::new());
            assert_eq!(category(copied.unwrap_err()), Category::DigestMismatch);
            let scratch = Scratch::new(dir.path(), 2);
            if layer.compression != Some(Compression::None) {
                assert_eq!(
                    category(layer.random(&scratch).map(|_| ()).unwrap_err()),
                    Category::Limit
                );
            }
            std::fs::write(dir.path().join("layer"), b"it changed").unwrap();
            assert_eq!(category(check(&layer).unwrap_err()), Category::BaseChanged);
        }
    }
}
