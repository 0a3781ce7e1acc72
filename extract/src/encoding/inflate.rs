//! Raw deflate streams (RFC 1951) read piece by piece.

use std::fmt;

use dd_inspect::failure;
use dd_inspect::failure::Failure;
use flate2::{Decompress, FlushDecompress, Status};

/// A raw deflate stream being read.
pub struct Inflater {
    inflate: Decompress,
    ended: bool,
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self { inflate: Decompress::new(false), ended: false }
    }
}

impl Inflater {
    /// Reads from `coded` and fills `plain`, as far as either goes; returns how many bytes of each were used.
    ///
    /// # Errors
    /// `package-corrupt`, if the bytes are no deflate stream.
    pub fn inflate(&mut self, coded: &[u8], plain: &mut [u8]) -> Result<(usize, usize), Failure> {
        let (mut taken, mut given) = (0, 0);
        while !self.ended {
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let (from, to) = (coded.get(taken..), plain.get_mut(given..));
            let (Some(from), Some(to)) = (from, to) else { break };
            let status = self.inflate.decompress(from, to, FlushDecompress::None);
            // Both differences are at most the lengths of the slices.
            let now_taken = (self.inflate.total_in() - before_in) as usize;
            let now_given = (self.inflate.total_out() - before_out) as usize;
            taken += now_taken;
            given += now_given;
            match status {
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(_) if now_taken == 0 && now_given == 0 => break,
                Ok(_) => {}
                Err(error) => {
                    return Err(failure!(PackageCorrupt, "a deflate stream is broken: {error}"));
                }
            }
        }
        Ok((taken, given))
    }

    /// Whether the stream's end was read.
    pub fn is_ended(&self) -> bool {
        self.ended
    }
}

/// The content of the deflate stream that `coded` begins with, and the stream's length.
///
/// None if it is broken, or longer than `max_len` bytes when uncompressed.
pub fn inflate(coded: &[u8], max_len: usize) -> Option<(Vec<u8>, usize)> {
    let mut inflater = Inflater::default();
    let mut plain = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0;
    while !inflater.is_ended() {
        let (taken, given) = inflater.inflate(coded.get(at..)?, &mut buffer).ok()?;
        at += taken;
        plain.extend_from_slice(buffer.get(..given)?);
        if plain.len() > max_len || (taken == 0 && given == 0 && !inflater.is_ended()) {
            return None;
        }
    }
    Some((plain, at))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn deflated(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let level = flate2::Compression::new(6);
        flate2::read::DeflateEncoder::new(plain, level).read_to_end(&mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(plain in prop::collection::vec(0u8..4, 0..3000), piece in 1usize..400, room in 1usize..400) {
            let coded = deflated(&plain);
            let mut inflater = Inflater::default();
            let (mut out, mut at) = (Vec::new(), 0);
            while !inflater.is_ended() {
                let mut buffer = vec![0; room];
                let end = coded.len().min(at + piece);
                let (taken, given) = inflater.inflate(&coded[at..end], &mut buffer).unwrap();
                prop_assert!(taken + given > 0 || inflater.is_ended());
                at += taken;
                out.extend_from_slice(&buffer[..given]);
            }
            prop_assert_eq!(at, coded.len());
            prop_assert!(out == plain);
        }

        #[test]
        fn any_bytes_are_a_stream_or_none(coded: Vec<u8>) {
            if let Some((plain, len)) = inflate(&coded, 1000) {
                prop_assert!(plain.len() <= 1000 && len <= coded.len());
            }
        }
    }

    #[test]
    fn what_follows_is_left_and_bombs_are_stopped() {
        let coded = deflated(&[7; 5000]);
        let longer = [&coded[..], b"after"].concat();
        assert_eq!(inflate(&longer, 5000).unwrap(), (vec![7; 5000], coded.len()));
        assert_eq!(inflate(&longer, 4999), None);
        assert_eq!(inflate(&coded[..coded.len() - 1], 5000), None);
        assert!(Inflater::default().inflate(&[0xff; 9], &mut [0; 9]).is_err());
    }
}
