//! Deflate streams of encoders that are not known: corrections to what preflate-rs predicts.
//!
//! preflate-rs parses a stream into matches and literals, guesses how its encoder searched, and codes where the
//! guess is wrong. The coding is that of one version of the library, which [`ID`] names. It works in chunks, so
//! that memory is bounded. In the corrections each chunk is: the number of plain bytes, the number of bytes of
//! corrections, the corrections; numbers as in `super::varint`. A chunk of 0 bytes of corrections ends the stream.
//!
//! The library guards itself by assertions; a panic in it is an error here, and prints nothing.

use std::cell::Cell;
use std::io::{self, Cursor};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use dd_inspect::failure;
use preflate_rs::RecreateStreamProcessor;

/// Names the library and the coding.
pub const ID: &str = "preflate-0.7.6";

/// Plain bytes that a chunk may have. zlib's longest block (memLevel 9, only zeros) has 8.5 MB.
pub const MAX_CHUNK_PLAIN: u64 = 12 << 20;
/// Bytes of corrections that a chunk may have.
pub const MAX_CHUNK_CORRECTIONS: u64 = 16 << 20;

/// Memory that recreating a stream takes when its longest chunk has this many plain bytes: the chunk, its tokens
/// (at most one of 6 bytes for each plain byte), hash tables and the output.
pub const fn memory(chunk_plain: u64) -> u64 {
    (16 << 20) + chunk_plain * 8
}

/// Recreates a deflate stream, chunk by chunk.
///
/// The library's state cannot pass between threads, so it has one of its own, which ends with this value.
#[derive(Debug)]
pub struct Recreator {
    chunks: SyncSender<Chunk>,
    deflate: Receiver<io::Result<Vec<u8>>>,
}

#[derive(Debug)]
struct Chunk {
    plain: Vec<u8>,
    corrections: Vec<u8>,
}

impl Recreator {
    /// Begins a stream.
    ///
    /// # Errors
    /// There can be no further thread.
    pub fn new() -> io::Result<Self> {
        let (chunks, to_do) = sync_channel::<Chunk>(0);
        let (done, deflate) = sync_channel(0);
        thread::Builder::new().name("preflate".to_owned()).spawn(move || {
            let mut processor = RecreateStreamProcessor::new();
            for chunk in to_do {
                if done.send(recreate(&mut processor, &chunk)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { chunks, deflate })
    }

    /// The deflate bytes of the next chunk.
    ///
    /// # Errors
    /// `InvalidData`, if the corrections are none of this library's; a failure `limit`, if they make the library take
    /// more and more memory.
    pub fn chunk(&mut self, plain: Vec<u8>, corrections: Vec<u8>) -> io::Result<Vec<u8>> {
        let ended = || io::Error::other("the thread that recreates deflate streams ended");
        let before = resident();
        self.chunks.send(Chunk { plain, corrections }).map_err(|_| ended())?;
        loop {
            match self.deflate.recv_timeout(LOOK_INTERVAL) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(ended()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if resident().saturating_sub(before) > MAX_GROWTH {
                // The thread cannot be stopped; the failure ends the process.
                return Err(io::Error::other(failure!(
                    Limit,
                    "the corrections of a deflate stream want more memory than any honest ones"
                )));
            }
        }
    }
}

/// Made-up corrections can ask the library for blocks without end.
const MAX_GROWTH: u64 = 768 << 20;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Memory of this process, in bytes (proc(5), `VmRSS` in `status`); 0 where that cannot be told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = field.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

fn recreate(processor: &mut RecreateStreamProcessor, chunk: &Chunk) -> io::Result<Vec<u8>> {
    let mut plain = Cursor::new(&chunk.plain);
    match guarded(|| processor.recompress(&mut plain, &chunk.corrections)) {
        Some(Ok((deflate, _))) => Ok(deflate),
        Some(Err(e)) => Err(invalid(&e.to_string())),
        None => Err(invalid("they contradict themselves")),
    }
}

fn invalid(why: &str) -> io::Error {
    let message = format!("the corrections of a deflate stream do not fit its content: {why}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs library code; none if it panicked.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
    GUARDED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(false);
    result.ok()
}

#[cfg(feature = "identify")]
pub use analysis::Analysis;

#[cfg(feature = "identify")]
mod analysis {
    use std::io::Read;

    use preflate_rs::{ExitCode, PreflateConfig, PreflateStreamProcessor};

    use super::{MAX_CHUNK_CORRECTIONS, MAX_CHUNK_PLAIN, guarded};
    use crate::encoding::varint;

    /// Compressed bytes of a chunk, if they have a whole block.
    const CHUNK_LEN: usize = 1 << 20;
    /// Compressed bytes of a chunk at most.
    const MAX_CHUNK_LEN: usize = 8 << 20;
    /// The library's positions are 32-bit numbers with a sign.
    const MAX_PLAIN: u64 = (1 << 31) - (64 << 20);

    /// A deflate stream as corrections.
    #[derive(Debug)]
    pub struct Analysis {
        /// Chunks, as the module says; the mark of the end is among them.
        pub chunks: Vec<u8>,
        /// Plain bytes of the longest chunk.
        pub chunk_plain: u64,
    }

    impl Analysis {
        /// Reads a whole deflate stream and nothing else; none if the library cannot, or if corrections would be
        /// more than `limit` bytes. The result has yet to be proven.
        ///
        /// # Errors
        /// What reading fails with.
        pub fn of(mut deflate: impl Read, limit: u64) -> std::io::Result<Option<Self>> {
            let config = PreflateConfig {
                plain_text_limit: MAX_CHUNK_PLAIN as usize - (1 << 16),
                verify_compression: false,
                ..PreflateConfig::default()
            };
            let mut processor = PreflateStreamProcessor::new(&config);
            let mut result = Self { chunks: Vec::new(), chunk_plain: 0 };
            let (mut input, mut wanted, mut total) = (Vec::new(), CHUNK_LEN, 0);
            loop {
                let missing = wanted.saturating_sub(input.len()) as u64;
                deflate.by_ref().take(missing).read_to_end(&mut input)?;
                let at_end = input.len() < wanted;
                let chunk = match guarded(|| processor.decompress(&input)) {
                    Some(Ok(chunk)) if chunk.compressed_size > 0 || processor.is_done() => chunk,
                    Some(Err(e)) if e.exit_code() != ExitCode::ShortRead => return Ok(None),
                    None => return Ok(None),
                    // No block ends within the input: more is needed.
                    _ if at_end || wanted >= MAX_CHUNK_LEN => return Ok(None),
                    _ => {
                        wanted *= 2;
                        continue;
                    }
                };
                let plain = processor.plain_text().len() as u64;
                total += plain;
                let corrections = chunk.corrections;
                if plain > MAX_CHUNK_PLAIN || total > MAX_PLAIN || corrections.is_empty() {
                    return Ok(None);
                }
                result.push(plain, &corrections);
                if result.chunks.len() as u64 > limit
                    || corrections.len() as u64 > MAX_CHUNK_CORRECTIONS
                {
                    return Ok(None);
                }
                input.drain(..chunk.compressed_size.min(input.len()));
                if processor.is_done() {
                    let rest = deflate.read(&mut [0])? > 0 || !input.is_empty();
                    result.push(0, &[]);
                    return Ok((!rest).then_some(result));
                }
                if guarded(|| processor.shrink_to_dictionary()).is_none() {
                    return Ok(None);
                }
                wanted = CHUNK_LEN;
            }
        }

        fn push(&mut self, plain: u64, corrections: &[u8]) {
            varint::put(&mut self.chunks, plain);
            varint::put(&mut self.chunks, corrections.len() as u64);
            self.chunks.extend_from_slice(corrections);
            self.chunk_plain = self.chunk_plain.max(plain);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn broken_corrections_are_an_error_and_silent() {
        for corrections in [&b""[..], b"\x00", &[0xff; 40], &[0x55; 4000]] {
            assert!(
                Recreator::new()
                    .unwrap()
                    .chunk(b"plain plain plain".to_vec(), corrections.to_vec())
                    .is_err()
            );
        }
    }

    #[test]
    fn memory_can_be_told() {
        assert!((1 << 20..1 << 40).contains(&resident()), "{}", resident());
    }

    #[test]
    fn a_panic_is_caught_and_others_are_not() {
        assert_eq!(guarded(|| 3), Some(3));
        assert_eq!(guarded(|| -> u8 { panic!("inside") }), None);
        assert!(!GUARDED.get());
    }
}
