//! Deflate (RFC 1951) by the real zlib, whose output is the same in every release since 1.2.5.
//!
//! This is the one file that calls it. zlib-ng and other replacements write other bytes, so the
//! library is linked statically and a known answer is checked before its first use.
#![allow(
    unsafe_code,
    reason = "zlib's C interface; every pointer's lifetime is told beside its use"
)]

use std::ffi::{c_char, c_int, c_uint};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use dd_inspect::digest::{Digest, Hasher};
use dd_inspect::failure;
use dd_inspect::failure::Failure;
use libz_sys as sys;
use serde::{Deserialize, Serialize};

/// Bytes given to zlib at once. Level 0 makes a stored block of what it is given, so that pieces of another
/// length would give other bytes.
const PIECE_LEN: usize = 64 << 10;

/// Memory that one encoder takes, in bytes (zlib's documentation: 2^17 + 2^(memLevel + 9), and the pieces here).
pub const MEMORY: u64 = 1 << 20;

/// How zlib is told to compress: what `deflateInit2` takes, window 32 KiB, default strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ZlibParams {
    /// 0 to 9.
    pub level: u8,
    /// `memLevel`, 1 to 9; zlib's own default is 8, and 9 is what many programs set.
    pub mem_level: u8,
}

/// A raw deflate stream being written by zlib.
pub struct Deflater {
    // Boxed, because zlib's state points back at it. Never used through a reference: its function
    // pointers may be null.
    stream: Box<MaybeUninit<sys::z_stream>>,
    pending: Vec<u8>,
}

// SAFETY: the stream owns all that it points at, and zlib keeps nothing per thread.
unsafe impl Send for Deflater {}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("pending_len", &self.pending.len()).finish_non_exhaustive()
    }
}

impl Deflater {
    /// Begins a stream.
    ///
    /// # Errors
    /// `package-corrupt` for parameters out of range, `unsupported` if the library that is linked does not give zlib's
    /// bytes.
    pub fn new(params: ZlibParams) -> Result<Self, Failure> {
        if !known_answer() {
            return Err(
                failure!(Unsupported, "the zlib in this program does not write zlib's bytes"; "build it with libz-sys, feature stock-zlib"),
            );
        }
        Self::start(params)
    }

    fn start(params: ZlibParams) -> Result<Self, Failure> {
        let ZlibParams { level, mem_level } = params;
        if level > 9 || !(1..=9).contains(&mem_level) {
            return Err(failure!(
                PackageCorrupt,
                "zlib has no level {level} with memLevel {mem_level}"
            ));
        }
        // All zero: no input, no output, zlib's own allocator.
        let mut stream = Box::new(MaybeUninit::<sys::z_stream>::zeroed());
        // SAFETY: the stream is zeroed memory as zlib's documentation asks, and stays where it is until
        // `deflateEnd` in `drop`; version and size are those of the headers that it was built with.
        let code = unsafe {
            sys::deflateInit2_(
                stream.as_mut_ptr(),
                c_int::from(level),
                sys::Z_DEFLATED,
                -15,
                c_int::from(mem_level),
                sys::Z_DEFAULT_STRATEGY,
                sys::zlibVersion().cast::<c_char>(),
                size_of::<sys::z_stream>() as c_int,
            )
        };
        if code != sys::Z_OK {
            return Err(failure!(Limit, "zlib cannot begin a stream (code {code}): no memory"));
        }
        Ok(Self { stream, pending: Vec::with_capacity(PIECE_LEN) })
    }

    /// Takes plain bytes and appends to `out` what zlib has encoded so far.
    ///
    /// How the bytes are cut into calls makes no difference to the stream.
    ///
    /// # Errors
    /// `unexpected`, if zlib's state is broken.
    pub fn write(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        while !plain.is_empty() {
            let (now, rest) = plain.split_at(plain.len().min(PIECE_LEN - self.pending.len()));
            self.pending.extend_from_slice(now);
            plain = rest;
            if self.pending.len() == PIECE_LEN {
                self.run(sys::Z_NO_FLUSH, out)?;
            }
        }
        Ok(())
    }

    /// Appends the rest of the stream.
    ///
    /// # Errors
    /// `unexpected`, if zlib's state is broken.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.run(sys::Z_FINISH, out)
    }

    /// Makes text known that is not encoded, before anything else: its last 32 KiB.
    ///
    /// # Errors
    /// `unexpected`, if zlib's state is broken.
    pub fn dictionary(&mut self, text: &[u8]) -> Result<(), Failure> {
        let text = &text[text.len().saturating_sub(1 << 15)..];
        // SAFETY: `stream` was made by `start`; zlib reads so many bytes from the text and keeps no pointer to it.
        let code = unsafe {
            let len = text.len() as sys::uInt;
            sys::deflateSetDictionary(self.stream.as_mut_ptr(), text.as_ptr(), len)
        };
        match code {
            sys::Z_OK => Ok(()),
            _ => Err(failure!(Unexpected, "zlib takes no dictionary (code {code})")),
        }
    }

    /// Ends the block, and the stream stands at a whole byte as pigz makes it: an empty stored block if an odd number of
    /// bits is missing, else as many empty blocks of ten bits, with the fixed codes, as it takes.
    ///
    /// # Errors
    /// `unexpected`, if zlib's state is broken.
    pub fn end_block(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.run(sys::Z_BLOCK, out)?;
        let mut bits = self.pending_bits()?;
        if bits & 1 == 1 {
            return self.run(sys::Z_SYNC_FLUSH, out);
        }
        while bits & 7 != 0 {
            // SAFETY: `stream` was made by `start`.
            let code = unsafe { sys::deflatePrime(self.stream.as_mut_ptr(), 10, 2) };
            if code != sys::Z_OK {
                return Err(failure!(Unexpected, "zlib takes no bits (code {code})"));
            }
            bits = self.pending_bits()?;
        }
        self.run(sys::Z_BLOCK, out)
    }

    /// Bits of the last byte that is not yet whole.
    fn pending_bits(&mut self) -> Result<c_int, Failure> {
        let mut bits = 0;
        // SAFETY: `stream` was made by `start`; no number of bytes is asked for, the number of bits is written to `bits`.
        let code = unsafe {
            deflatePending(self.stream.as_mut_ptr(), std::ptr::null_mut(), &raw mut bits)
        };
        match code {
            sys::Z_OK => Ok(bits),
            _ => Err(failure!(Unexpected, "zlib tells no pending bits (code {code})")),
        }
    }

    fn run(&mut self, flush: c_int, out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut buffer = [0; 32 << 10];
        let stream = self.stream.as_mut_ptr();
        // SAFETY: `stream` was made by `start`. Input and output are live for the whole of this function, their lengths
        // are below 2^32, and zlib writes only within `avail_out`.
        unsafe {
            (*stream).next_in = self.pending.as_mut_ptr();
            (*stream).avail_in = self.pending.len() as sys::uInt;
        }
        loop {
            // SAFETY: as above.
            let (code, left) = unsafe {
                (*stream).next_out = buffer.as_mut_ptr();
                (*stream).avail_out = buffer.len() as sys::uInt;
                let code = sys::deflate(stream, flush);
                (code, (*stream).avail_out as usize)
            };
            out.extend_from_slice(&buffer[..buffer.len().saturating_sub(left)]);
            match code {
                sys::Z_STREAM_END => break,
                // Z_BUF_ERROR: nothing was left to do.
                sys::Z_OK | sys::Z_BUF_ERROR if flush != sys::Z_FINISH && left > 0 => break,
                sys::Z_OK => {}
                _ => return Err(failure!(Unexpected, "zlib failed with code {code}")),
            }
        }
        self.pending.clear();
        Ok(())
    }
}

unsafe extern "C" {
    /// zlib.h, since 1.2.6; libz-sys does not declare it.
    fn deflatePending(stream: sys::z_streamp, bytes: *mut c_uint, bits: *mut c_int) -> c_int;
}

impl Drop for Deflater {
    fn drop(&mut self) {
        // SAFETY: made by `deflateInit2_`, ended once.
        unsafe {
            sys::deflateEnd(self.stream.as_mut_ptr());
        }
    }
}

/// The digest of all 18 streams of [`sample`], one after the other: memLevel 8 levels 1–9, then memLevel 9; as written by
/// zlib 1.2.13.
const KNOWN: &str = "sha256:1082fd3f635eb7733dba8d55cdd9156c0e93531e8de876236c940c1eccc918ea";

fn known_answer() -> bool {
    static KNOWN_ANSWER: OnceLock<bool> = OnceLock::new();
    *KNOWN_ANSWER.get_or_init(|| sample_digest().is_ok_and(|digest| digest.to_string() == KNOWN))
}

fn sample_digest() -> Result<Digest, Failure> {
    let sample = sample();
    let mut hasher = Hasher::new();
    for mem_level in [8, 9] {
        for level in 1..=9 {
            let mut deflater = Deflater::start(ZlibParams { level, mem_level })?;
            let mut out = Vec::new();
            deflater.write(&sample, &mut out)?;
            deflater.finish(&mut out)?;
            hasher.update(&out);
        }
    }
    Ok(hasher.finish())
}

/// 128 KiB of letters and noise from a linear congruence.
fn sample() -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        if (state >> 20).is_multiple_of(5) {
            (state >> 16) as u8
        } else {
            b"etaoin shrdlu\n\x00_"[(state >> 24) as usize % 16]
        }
    };
    std::iter::repeat_with(&mut next).take(1 << 17).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn deflate(params: ZlibParams, pieces: &[&[u8]]) -> Vec<u8> {
        let mut deflater = Deflater::new(params).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            deflater.write(piece, &mut out).unwrap();
        }
        deflater.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn gives_the_bytes_of_zlib_1_2_13() {
        assert_eq!(sample_digest().unwrap().to_string(), KNOWN);
        let out = deflate(ZlibParams { level: 6, mem_level: 8 }, &[&sample()]);
        assert_eq!(out.len(), 97_036);
        assert_eq!(
            Digest::of(&out).to_string(),
            "sha256:c52248e436fc20ce6702d429c7a8aa0820444eb21a9704fac64ca33d1235bd69"
        );
    }

    #[test]
    fn refuses_parameters_that_zlib_does_not_have() {
        for (level, mem_level) in [(10, 8), (6, 0), (6, 10), (255, 255)] {
            assert!(Deflater::new(ZlibParams { level, mem_level }).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_make_no_difference(len in 0usize..200_000, cuts in prop::collection::vec(1usize..70_000, 0..6), level in 0u8..=9, mem_level in 1u8..=9) {
            let params = ZlibParams { level, mem_level };
            let plain = &[sample(), sample()].concat()[..len];
            let (mut rest, mut pieces) = (plain, Vec::new());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let whole = deflate(params, &[plain]);
            prop_assert_eq!(&deflate(params, &pieces), &whole);
            let mut back = Vec::new();
            flate2::read::DeflateDecoder::new(&whole[..]).read_to_end(&mut back).unwrap();
            prop_assert!(back == plain);
        }
    }
}
