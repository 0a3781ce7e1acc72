//! Finds how a stream differs from a prediction.

use std::io::{self, Read};
use std::ops::Range;

use dd_inspect::range::ReadAt;

use super::{MAX_HELD, OPTIMAL, OPTIMAL_FULL, Predicted, Ready, length, optimal};
use crate::deflate::bits::BitWriter;
use crate::deflate::parse::{BlockHead, Event, Kind, Parser};
use crate::deflate::tokens::Token;
use crate::encoding::stream::Known;
use crate::encoding::varint;

/// Text given to the encoder at once.
const PIECE_LEN: usize = 64 << 10;
/// Text that klauspost's fast levels take at once: they make codes from it that serve more.
const FAST_BLOCK: u64 = 65535;

/// The script for a stream (`deflate`, to its end) whose text is a range of `plain`, against what `known` writes.
///
/// None if the stream is none that a script can say, or if the script gets longer than `limit` bytes. `stop` ends it
/// early, at a place of the text, to see what it would cost.
///
/// # Errors
/// What reading fails with.
pub(in crate::encoding) fn diff(
    deflate: impl Read,
    plain: &dyn ReadAt,
    range: Range<u64>,
    known: Known,
    limit: u64,
    stop: u64,
) -> io::Result<Option<Vec<u8>>> {
    let diff = Diff {
        actual: Actual { deflate, parser: Parser::default(), piece: vec![0; 32 << 10] },
        predicted: Predicted::new(known)?,
        plain,
        next: range,
        position: 0,
        script: Vec::new(),
        copied: 0,
        passed: false,
        given: Vec::new(),
        given_count: 0,
    };
    match diff.run(limit, stop) {
        Ok(script) => Ok(script),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(e) => Err(e),
    }
}

/// The stream as it is.
struct Actual<R> {
    deflate: R,
    parser: Parser,
    piece: Vec<u8>,
}

impl<R: Read> Actual<R> {
    fn next(&mut self) -> io::Result<Event> {
        loop {
            let event = self.parser.next();
            match event.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))? {
                Some(event) => return Ok(event),
                None => match self.deflate.read(&mut self.piece)? {
                    0 => self.parser.end(),
                    n => self.parser.feed(&self.piece[..n]),
                },
            }
        }
    }

    /// Whether all of it was read.
    fn is_used_up(&mut self) -> io::Result<bool> {
        Ok(self.parser.rest() == 0 && self.deflate.read(&mut [0])? == 0)
    }
}

struct Diff<'a, R> {
    actual: Actual<R>,
    predicted: Predicted,
    plain: &'a dyn ReadAt,
    /// Text that the encoder has not had.
    next: Range<u64>,
    position: u64,
    script: Vec<u8>,
    /// Predicted tokens since the last item.
    copied: u64,
    /// Among them a predicted block ended.
    passed: bool,
    /// Other tokens since the last item.
    given: Vec<u8>,
    given_count: u64,
}

impl<R: Read> Diff<'_, R> {
    fn run(mut self, limit: u64, stop: u64) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.actual.next()? {
                Event::Block(head) => self.block(head, limit)?,
                Event::Done => break,
                _ => return Ok(None),
            }
            if self.script.len() as u64 > limit {
                return Ok(None);
            }
            if self.position >= stop {
                return Ok(Some(self.script));
            }
        }
        Ok(self.actual.is_used_up()?.then_some(self.script))
    }

    fn block(&mut self, head: BlockHead, limit: u64) -> io::Result<()> {
        let same = self.same_head(&head)?;
        if head.kind == Kind::Stored {
            return self.stored(&head, same);
        }
        let mut tokens = Vec::new();
        let mut ended = false;
        while tokens.len() < MAX_HELD && !ended {
            match self.actual.next()? {
                Event::Token(token) => tokens.push(token),
                _ => ended = true,
            }
        }
        if same {
            self.predicted.pop();
            self.put(0);
        } else {
            self.head(&head, &tokens, ended);
        }
        for token in tokens {
            self.token(token)?;
        }
        while !ended {
            match self.actual.next()? {
                Event::Token(token) => self.token(token)?,
                _ => ended = true,
            }
            if self.script.len() as u64 > limit {
                return Ok(());
            }
        }
        self.end()
    }

    /// Whether a predicted block begins here in the same way.
    fn same_head(&mut self, head: &BlockHead) -> io::Result<bool> {
        loop {
            match self.predicted.find_block(self.position)? {
                None => self.pull()?,
                Some(false) => return Ok(false),
                Some(true) => break,
            }
        }
        Ok(matches!(&self.predicted.front, Some(Event::Block(predicted)) if predicted == head))
    }

    fn stored(&mut self, head: &BlockHead, same: bool) -> io::Result<()> {
        let Event::Stored(len) = self.actual.next()? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        if same {
            self.predicted.pop();
        }
        let as_long =
            same && self.ready()? == Ready::Yes && self.predicted.front == Some(Event::Stored(len));
        if as_long {
            self.put(0);
        } else {
            self.put(1 + u64::from(head.last));
            self.put(len as u64);
        }
        self.position += len as u64;
        match self.actual.next()? {
            Event::End => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn put(&mut self, number: u64) {
        varint::put(&mut self.script, number);
    }

    /// Writes how a block begins: by the tokens that codes are made from, if they are those.
    fn head(&mut self, head: &BlockHead, tokens: &[Token], ended: bool) {
        let kind = |kind: u64| 1 + u64::from(head.last) + 2 * kind;
        let Kind::Dynamic(header) = &head.kind else { return self.put(kind(1)) };
        let mut place = 0;
        let starts = tokens.iter().map(|token| {
            let start = place;
            place += length(*token);
            start
        });
        let fast = starts.filter(|&start| start < FAST_BLOCK).count();
        let whole = ended.then_some((tokens.len(), place));
        let ways = [Some((fast, FAST_BLOCK)), whole.filter(|(count, _)| *count != fast)];
        for (count, len) in ways.into_iter().flatten() {
            for (full, how) in [(false, OPTIMAL), (true, OPTIMAL_FULL)] {
                let (_, made) = optimal(&tokens[..count], full);
                let mut bits = BitWriter::default();
                made.write_codes(&mut bits);
                bits.align();
                let mut bytes = Vec::new();
                bits.drain_to(&mut bytes);
                if bytes == header.bytes && made.size() == u64::from(header.bits) + 3 {
                    self.put(kind(how));
                    return self.put(len);
                }
            }
        }
        self.put(kind(2));
        self.put(u64::from(header.bits));
        self.script.extend_from_slice(&header.bytes);
    }

    fn token(&mut self, token: Token) -> io::Result<()> {
        if self.predicts(token)? {
            self.flush_given();
            self.copied += 1;
            self.predicted.pop();
        } else {
            self.flush_copied();
            match token.parts() {
                None => varint::put(&mut self.given, 0),
                Some((len, distance)) => {
                    varint::put(&mut self.given, len as u64 - 2);
                    varint::put(&mut self.given, distance as u64);
                }
            }
            self.given_count += 1;
            if self.given.len() > PIECE_LEN {
                self.flush_given();
            }
        }
        self.position += length(token);
        Ok(())
    }

    /// Whether the prediction has this token here.
    fn predicts(&mut self, token: Token) -> io::Result<bool> {
        loop {
            if self.ready()? == Ready::Never {
                return Ok(false);
            }
            match self.predicted.front {
                Some(Event::Token(predicted)) if self.predicted.position >= self.position => {
                    return Ok(self.predicted.position == self.position && predicted == token);
                }
                Some(Event::End) if self.copied > 0 => self.passed = true,
                _ => {}
            }
            self.predicted.pop();
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let together = self.copied > 0
            && !self.passed
            && self.ready()? == Ready::Yes
            && self.predicted.front == Some(Event::End);
        if together {
            self.copied = 0;
            self.predicted.pop();
            self.put(1);
            return Ok(());
        }
        self.flush_copied();
        self.flush_given();
        self.put(0);
        Ok(())
    }

    fn flush_copied(&mut self) {
        if let Some(more) = self.copied.checked_sub(1) {
            self.put(2 * more + 2);
            self.copied = 0;
        }
        self.passed = false;
    }

    fn flush_given(&mut self) {
        if let Some(more) = self.given_count.checked_sub(1) {
            self.put(2 * more + 3);
            self.script.append(&mut self.given);
            self.given_count = 0;
        }
    }

    /// Whether there is a predicted event, with as much text as that takes.
    fn ready(&mut self) -> io::Result<Ready> {
        loop {
            match self.predicted.ready()? {
                Ready::Later => self.pull()?,
                ready => return Ok(ready),
            }
        }
    }

    /// Gives the encoder more text.
    fn pull(&mut self) -> io::Result<()> {
        let left = self.next.end.saturating_sub(self.next.start);
        let len = usize::try_from(left).unwrap_or(PIECE_LEN).min(PIECE_LEN);
        if len == 0 {
            return self.predicted.finish();
        }
        let mut piece = vec![0; len];
        self.plain.read_exact_at(&mut piece, self.next.start)?;
        self.next.start += len as u64;
        self.predicted.write(&piece)
    }
}
