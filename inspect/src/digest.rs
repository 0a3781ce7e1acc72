//! Content identifiers: the digest of stored bytes and the diff_id of an uncompressed layer.
//!
//! Both are SHA-256 values written `sha256:<64 lower-case hex>` (OCI image specification,
//! "Descriptor: Digests" and "Image Configuration: rootfs"). They are distinct types because
//! confusing them is the classic mistake: a layer's digest names the bytes as stored, often
//! compressed; its diff_id names the tar inside.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A text that is not `sha256:` followed by 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a digest of the form sha256:<64 hex digits>")]
pub struct ParseDigestError(String);

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The identifier with these 32 bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes of the hash.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Hashes bytes held in memory.
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// The 64 hexadecimal digits without the algorithm.
            pub fn hex(&self) -> String {
                hex::encode(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "sha256:{}", self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, ParseDigestError> {
                parse(text).map(Self).ok_or_else(|| ParseDigestError(text.chars().take(100).collect()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier! {
    /// The SHA-256 of bytes as they are stored: of a blob, a compressed layer, a file.
    Digest
}

identifier! {
    /// The SHA-256 of a layer's uncompressed tar, as the image configuration lists it.
    DiffId
}

impl From<DiffId> for Digest {
    /// The digest of the uncompressed bytes, which is what a diff_id is.
    fn from(diff_id: DiffId) -> Self {
        Self(diff_id.0)
    }
}

impl From<Digest> for DiffId {
    /// The diff_id of a layer that is stored uncompressed under this digest.
    fn from(digest: Digest) -> Self {
        Self(digest.0)
    }
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:")?;
    if digits.len() != 64 || digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// A running SHA-256 that also counts bytes.
#[derive(Clone, Default)]
pub struct Hasher {
    state: Sha256,
    len: u64,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// Bytes taken in so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no byte was taken in.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The digest of all bytes taken in.
    pub fn finish(self) -> Digest {
        Digest(self.state.finalize().into())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes everything a reader gives, in constant memory; returns the digest and the length.
///
/// # Errors
/// What the reader fails with.
pub fn hash_reader(mut reader: impl Read) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => {
                let len = hasher.len();
                return Ok((hasher.finish(), len));
            }
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Content whose size or hash differs from what was declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The bytes hash to something else.
    #[error("the content has digest {found}, {wanted} was declared")]
    Digest {
        /// What was declared.
        wanted: Digest,
        /// What the bytes hash to.
        found: Digest,
    },
    /// There are fewer or more bytes.
    #[error("the content has {found} bytes or more, {wanted} were declared")]
    Size {
        /// What was declared, in bytes.
        wanted: u64,
        /// How many were seen.
        found: u64,
    },
}

/// A reader that gives at most the declared number of bytes and, at the end, fails unless they
/// are exactly as many and hash to the declared digest.
///
/// The failure is an [`io::Error`] of kind `InvalidData` with a [`Mismatch`] inside.
pub struct VerifyingReader<R> {
    inner: R,
    hasher: Option<Hasher>,
    wanted: Digest,
    size: u64,
}

impl<R> fmt::Debug for VerifyingReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingReader")
            .field("wanted", &self.wanted)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl<R: Read> VerifyingReader<R> {
    /// Wraps a reader whose content was declared as `size` bytes with digest `wanted`.
    pub fn new(inner: R, wanted: Digest, size: u64) -> Self {
        Self { inner, hasher: Some(Hasher::new()), wanted, size }
    }

    fn check(&mut self) -> io::Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let found = hasher.len();
        if found != self.size {
            return Err(invalid(Mismatch::Size { wanted: self.size, found }));
        }
        let found = hasher.finish();
        if found != self.wanted {
            return Err(invalid(Mismatch::Digest { wanted: self.wanted, found }));
        }
        Ok(())
    }
}

fn invalid(mismatch: Mismatch) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, mismatch)
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let n = self.inner.read(buffer)?;
        if n == 0 {
            self.check()?;
            return Ok(0);
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..n]);
            if hasher.len() > self.size {
                let found = hasher.len();
                self.hasher = None;
                return Err(invalid(Mismatch::Size { wanted: self.size, found }));
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn known_answer_and_round_trip() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        assert_eq!(ABC.parse::<Digest>().unwrap(), Digest::of(b"abc"));
        let json = serde_json::to_string(&DiffId::of(b"abc")).unwrap();
        assert_eq!(json, format!("\"{ABC}\""));
        assert_eq!(serde_json::from_str::<DiffId>(&json).unwrap(), DiffId::of(b"abc"));
    }

    #[test]
    fn refuses_other_forms() {
        for bad in ["", "sha256:", "sha512:00", &ABC[7..], &ABC.to_uppercase(), &format!("{ABC}0")]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn verifying_reader_tells_size_from_content() {
        let read = |bytes: &[u8], size| {
            let mut out = Vec::new();
            VerifyingReader::new(bytes, Digest::of(b"abc"), size).read_to_end(&mut out).map(|_| out)
        };
        assert_eq!(read(b"abc", 3).unwrap(), b"abc");
        for (bytes, size, what) in
            [(&b"abd"[..], 3, "digest"), (b"ab", 3, "bytes"), (b"abcd", 3, "bytes")]
        {
            let error = read(bytes, size).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
