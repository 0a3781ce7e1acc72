//! Reading ahead: what comes next is made by a thread of its own while what came before is hashed and written.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes that are read at a time.
const PIECE: usize = 128 << 10;

/// Pieces that are there at once: one is filled, one written, one waits.
const PIECES: usize = 3;

/// Copies all that a reader gives.
///
/// Of fewer than two pieces (`size` bytes are expected), and where no thread can be had, reading and writing take turns.
///
/// # Errors
/// What reading or writing fails with first.
pub(super) fn copy(
    mut from: impl Read + Send,
    size: u64,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if size >= 2 * PIECE as u64 && read_ahead(&mut from, out)? {
        return Ok(());
    }
    let mut piece = vec![0; PIECE];
    loop {
        match read(&mut from, &mut piece)? {
            0 => return Ok(()),
            len => out.write_all(&piece[..len])?,
        }
    }
}

/// A piece and how much of it is filled.
type Filled = (Vec<u8>, usize);

/// Copies with a thread; false if there is none.
fn read_ahead(from: &mut (impl Read + Send), out: &mut dyn Write) -> anyhow::Result<bool> {
    let (filled, to_write) = sync_channel(PIECES);
    let (written, to_fill) = sync_channel(PIECES);
    (0..PIECES).try_for_each(|_| written.send(vec![0; PIECE])).unwrap_or_default();
    thread::scope(|scope| {
        let reader = thread::Builder::new().name("reader".to_owned());
        let Ok(reader) = reader.spawn_scoped(scope, move || fill(from, &to_fill, &filled)) else {
            return Ok(false);
        };
        let result = write(&to_write, written, out);
        // Its thread stops at the next piece if writing failed.
        drop(to_write);
        let read = reader.join().map_err(|_| anyhow::anyhow!("the reading thread stopped"))?;
        result.and(read.map_err(Into::into)).map(|()| true)
    })
}

/// Fills pieces until there is nothing more to read, or nobody to write it.
fn fill(
    from: &mut impl Read,
    to_fill: &Receiver<Vec<u8>>,
    filled: &SyncSender<Filled>,
) -> io::Result<()> {
    while let Ok(mut piece) = to_fill.recv() {
        let len = read(from, &mut piece)?;
        if len == 0 || filled.send((piece, len)).is_err() {
            break;
        }
    }
    Ok(())
}

/// Writes pieces until no more come.
fn write(
    to_write: &Receiver<Filled>,
    written: SyncSender<Vec<u8>>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    while let Ok((piece, len)) = to_write.recv() {
        out.write_all(&piece[..len])?;
        if written.send(piece).is_err() {
            break;
        }
    }
    // All that was read has been received when its sender is gone.
    to_write.try_iter().try_for_each(|(piece, len)| out.write_all(&piece[..len]))?;
    Ok(())
}

/// Reads some bytes.
fn read(from: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Gives bytes in pieces of odd lengths, then an error if there is one.
    struct Source {
        left: usize,
        error: Option<io::Error>,
    }

    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                return self.error.take().map_or(Ok(0), Err);
            }
            let len = self.left.min(buffer.len()).min(77_777);
            for (byte, left) in buffer[..len].iter_mut().zip((0..self.left).rev()) {
                *byte = left as u8;
            }
            self.left -= len;
            Ok(len)
        }
    }

    /// Takes so many bytes.
    struct Sink {
        room: usize,
        bytes: Vec<u8>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.bytes.len() + bytes.len() > self.room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn copied(len: usize, error: Option<io::Error>, room: usize) -> (anyhow::Result<()>, Vec<u8>) {
        let mut sink = Sink { room, bytes: Vec::new() };
        let result = copy(Source { left: len, error }, len as u64, &mut sink);
        (result, sink.bytes)
    }

    #[test]
    fn everything_arrives_in_order() {
        for len in [0, 1, PIECE, 2 * PIECE, 10 * PIECE + 3] {
            let (result, bytes) = copied(len, None, usize::MAX);
            result.unwrap();
            assert!(bytes.iter().copied().eq((0..len).rev().map(|left| left as u8)), "{len}");
        }
    }

    #[test]
    fn what_was_read_before_an_error_is_written() {
        let error = io::Error::new(io::ErrorKind::InvalidData, "damaged");
        let (result, bytes) = copied(5 * PIECE, Some(error), usize::MAX);
        assert_eq!(result.unwrap_err().to_string(), "damaged");
        assert_eq!(bytes.len(), 5 * PIECE);
    }

    #[test]
    fn writing_that_fails_stops_reading() {
        let (result, bytes) = copied(usize::MAX >> 8, None, 3 * PIECE);
        let error = result.unwrap_err().downcast::<io::Error>().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(bytes.len() <= 3 * PIECE);
    }
}
