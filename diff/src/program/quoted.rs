//! Numbered digests: bytes are hashed on their way, text quotes the digests (docs/delta-format.md, "Digests in text").
//!
//! ENTER 16 to 19 fill the digests, in the order in which they are entered; GEN 16 to 18 write them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use dd_inspect::failure;
use dd_inspect::failure::Failure;
use sha2::Digest as _;

use super::ids::{encoding, generator};

/// How bytes are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hash {
    /// MD5 (RFC 1321), 16 bytes.
    Md5,
    /// SHA-1 (FIPS 180-4), 20 bytes.
    Sha1,
    /// SHA-256 (FIPS 180-4), 32 bytes.
    Sha256,
    /// SHA-512 (FIPS 180-4), 64 bytes.
    Sha512,
}

impl Hash {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The encoding (registry 5) that hashes so.
    pub const fn encoding(self) -> u64 {
        match self {
            Self::Md5 => encoding::MD5,
            Self::Sha1 => encoding::SHA1,
            Self::Sha256 => encoding::SHA256,
            Self::Sha512 => encoding::SHA512,
        }
    }

    /// What an encoding hashes with, if it does.
    pub fn from_encoding(id: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.encoding() == id)
    }

    /// Bytes of a digest.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// How a digest is written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Base64 (RFC 4648, section 4) without padding.
    Base64,
    /// Base64 for URLs (RFC 4648, section 5) without padding.
    Base64Url,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hex, Self::Base64, Self::Base64Url];

    /// The generator (registry 2) that writes so.
    pub const fn generator(self) -> u64 {
        match self {
            Self::Hex => generator::HEX,
            Self::Base64 => generator::BASE64,
            Self::Base64Url => generator::BASE64_URL,
        }
    }

    /// How a generator writes digests, if it does.
    pub fn from_generator(id: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.generator() == id)
    }

    /// Bytes of text for so many bytes of digest, at most 64.
    pub const fn text_len(self, digest_len: usize) -> usize {
        match self {
            Self::Hex => 2 * digest_len,
            Self::Base64 | Self::Base64Url => (4 * digest_len).div_ceil(3),
        }
    }

    /// The text of a digest.
    pub fn text(self, digest: &[u8]) -> Vec<u8> {
        match self {
            Self::Hex => {
                let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
                digest.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect()
            }
            Self::Base64 => STANDARD_NO_PAD.encode(digest).into_bytes(),
            Self::Base64Url => URL_SAFE_NO_PAD.encode(digest).into_bytes(),
        }
    }
}

/// A digest under way.
#[derive(Clone)]
pub enum Hasher {
    /// Of MD5.
    Md5(Box<md5::Md5>),
    /// Of SHA-1.
    Sha1(Box<sha1::Sha1>),
    /// Of SHA-256.
    Sha256(Box<sha2::Sha256>),
    /// Of SHA-512.
    Sha512(Box<sha2::Sha512>),
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

impl Hasher {
    /// Of no bytes.
    pub fn new(hash: Hash) -> Self {
        match hash {
            Hash::Md5 => Self::Md5(Box::default()),
            Hash::Sha1 => Self::Sha1(Box::default()),
            Hash::Sha256 => Self::Sha256(Box::default()),
            Hash::Sha512 => Self::Sha512(Box::default()),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hash) => hash.update(bytes),
            Self::Sha1(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of all bytes.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(hash) => hash.finalize().to_vec(),
            Self::Sha1(hash) => hash.finalize().to_vec(),
            Self::Sha256(hash) => hash.finalize().to_vec(),
            Self::Sha512(hash) => hash.finalize().to_vec(),
        }
    }
}

/// The digests of a payload by their numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digests {
    /// None while bytes are still being hashed.
    digests: Vec<Option<Vec<u8>>>,
    /// The number after that of the digest that was written last.
    next: u64,
}

impl Digests {
    /// The number of the next digest.
    pub(crate) fn enter(&mut self) -> usize {
        self.digests.push(None);
        self.digests.len() - 1
    }

    /// A digest is known.
    pub(crate) fn fill(&mut self, number: usize, digest: Vec<u8>) {
        if let Some(place) = self.digests.get_mut(number) {
            *place = Some(digest);
        }
    }

    /// The digest that is so many places after the expected one.
    pub(crate) fn take(&mut self, step: i64) -> Result<&[u8], Failure> {
        let number = self.next.wrapping_add(step as u64);
        let digest = usize::try_from(number).ok().and_then(|at| self.digests.get(at)?.as_deref());
        let digest =
            digest.ok_or_else(|| failure!(PackageCorrupt, "there is no digest {number}"))?;
        self.next = number + 1;
        Ok(digest)
    }

    /// What leads to a digest, and the bytes that it has: the counterpart of [`Digests::take`].
    #[cfg(feature = "encode")]
    pub(crate) fn step_to(&mut self, number: u64) -> Option<(i64, usize)> {
        let step = number.wrapping_sub(self.next) as i64;
        let len = self.take(step).ok()?.len();
        Some((step, len))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(hash: Hash, form: Form, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(hash);
        bytes.iter().for_each(|byte| hasher.update(&[*byte]));
        let digest = hasher.finish();
        assert_eq!(digest.len(), hash.digest_len());
        let text = form.text(&digest);
        assert_eq!(text.len(), form.text_len(digest.len()));
        String::from_utf8(text).unwrap()
    }

    /// The examples of RFC 1321 and FIPS 180-4.
    #[test]
    fn digests_are_those_of_the_standards() {
        assert_eq!(text(Hash::Md5, Form::Hex, b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
        assert_eq!(text(Hash::Sha1, Form::Hex, b"abc"), sha1);
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(text(Hash::Sha256, Form::Hex, b"abc"), sha256);
        assert!(
            text(Hash::Sha512, Form::Hex, b"abc").starts_with("ddaf35a193617abacc417349ae204131")
        );
    }

    #[test]
    fn base64_has_no_padding() {
        let empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        assert_eq!(text(Hash::Sha256, Form::Base64Url, b""), empty);
        let empty = empty.replace('-', "+").replace('_', "/");
        assert_eq!(text(Hash::Sha256, Form::Base64, b""), empty);
        assert_eq!(text(Hash::Sha1, Form::Base64, b"abc"), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0");
    }

    #[test]
    fn digests_are_found_by_steps() {
        let mut digests = Digests::default();
        let (a, b) = (digests.enter(), digests.enter());
        assert!(digests.take(0).is_err(), "not known yet");
        digests.fill(b, vec![2]);
        digests.fill(a, vec![1]);
        assert_eq!(digests.take(0).unwrap(), [1]);
        assert_eq!(digests.take(0).unwrap(), [2]);
        assert!(digests.take(0).is_err());
        assert_eq!(digests.take(-2).unwrap(), [1]);
        assert_eq!(digests.take(0).unwrap(), [2]);
        assert!(digests.take(i64::MIN).is_err());
    }

    #[test]
    fn ids_lead_back() {
        for hash in Hash::ALL {
            assert_eq!(Hash::from_encoding(hash.encoding()), Some(hash));
        }
        for form in Form::ALL {
            assert_eq!(Form::from_generator(form.generator()), Some(form));
        }
    }
}
