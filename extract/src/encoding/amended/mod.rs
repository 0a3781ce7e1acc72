//! Deflate streams that are nearly those of a known encoder: corrections to what it writes.
//!
//! The encoder runs and its stream is read as blocks and tokens (literals and matches), the *prediction*. A script says
//! how the stream differs. A place in the text where both have a token is all that they need in common, so that the two
//! come together again soon after they part.
//!
//! For each block the script has a head. Numbers are as in [`super::varint`].
//!
//! | head | block |
//! |---|---|
//! | 0 | as the next predicted block that begins at this place of the text: last or not, kind, codes, and for a stored one its length |
//! | 1 + last + 2 × kind | stored (kind 0): a number, its length; with the fixed codes (1); with codes in the script (2): the number of bits of the header after the block's first three bits, and these, from the low end of each byte |
//! | 1 + last + 2 × 3 | optimal codes, as Go's compress/flate makes them, for the tokens of the block's first bytes of text, as many as a number says; the header declares the codes in use |
//! | 1 + last + 2 × 4 | the same, the header declares all codes |
//!
//! Blocks that are not stored then have items:
//!
//! | item | |
//! |---|---|
//! | 0 | the block ends |
//! | 1 | predicted tokens, at least one, up to the next end of a predicted block; the block ends |
//! | 2 *n* + 2 | *n* + 1 predicted tokens |
//! | 2 *n* + 3 | *n* + 1 tokens that follow: 0 a literal (its byte is the text's), else a match: its length less 2, then its distance |
//!
//! Predicted tokens are those from the present place of the text on; those that begin before are passed over.

#[cfg(feature = "identify")]
pub(super) mod diff;

use std::io::{self, Read};

use super::stream::{Known, Writer};
use super::varint;
use crate::deflate::bits::BitWriter;
use crate::deflate::header::Header;
use crate::deflate::parse::{BlockHead, DynamicHead, Event, Kind, MAX_HEADER_BITS, Parser};
use crate::deflate::symbols::{Codes, Counts, DISTANCES, END, LITERALS};
use crate::deflate::tokens::Token;

/// What a reader must have for it beside the encoder.
pub const ID: &str = "amended-1";

/// Tokens that a block's codes may be made from.
const MAX_HELD: usize = 1 << 16;
/// How codes are given: heads above kind 2.
const OPTIMAL: u64 = 3;
const OPTIMAL_FULL: u64 = 4;

/// Memory that it takes beside the encoder's, in bytes: text and stream that are not worked off, for blocks of this length.
pub(super) const fn memory(block: u64) -> u64 {
    (4 << 20) + block.saturating_mul(12)
}

fn invalid(why: &str) -> io::Error {
    let message = format!("the corrections of a deflate stream {why}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// What the encoder writes, event by event.
pub(super) struct Predicted {
    writer: Option<Writer>,
    coded: Vec<u8>,
    parser: Parser,
    front: Option<Event>,
    /// Where the next event stands in the text.
    position: u64,
    done: bool,
}

/// Whether there is an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ready {
    Yes,
    /// With more text.
    Later,
    /// No more of them.
    Never,
}

impl Predicted {
    fn new(known: Known) -> io::Result<Self> {
        Ok(Self {
            writer: Some(known.writer().map_err(io::Error::other)?),
            coded: Vec::new(),
            parser: Parser::default(),
            front: None,
            position: 0,
            done: false,
        })
    }

    fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.write(plain, &mut self.coded).map_err(io::Error::other)?;
            self.parser.feed(&self.coded);
            self.coded.clear();
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(writer) = self.writer.take() {
            writer.finish(&mut self.coded).map_err(io::Error::other)?;
            self.parser.feed(&self.coded);
            self.coded.clear();
            self.parser.end();
        }
        Ok(())
    }

    fn ready(&mut self) -> io::Result<Ready> {
        if self.front.is_none() && !self.done {
            match self.parser.next() {
                Ok(Some(Event::Done)) => self.done = true,
                Ok(event) => self.front = event,
                Err(_) => return Err(invalid("are to a stream that is none")),
            }
        }
        Ok(match self.front {
            Some(_) => Ready::Yes,
            None if self.done => Ready::Never,
            None => Ready::Later,
        })
    }

    fn pop(&mut self) {
        match self.front.take() {
            Some(Event::Token(token)) => self.position += length(token),
            Some(Event::Stored(len)) => self.position += len as u64,
            _ => {}
        }
    }

    /// Passes over all before the next block that begins at a place of the text; whether there is one.
    fn find_block(&mut self, place: u64) -> io::Result<Option<bool>> {
        loop {
            match self.ready()? {
                Ready::Later => return Ok(None),
                Ready::Never => return Ok(Some(false)),
                Ready::Yes => {}
            }
            match self.front {
                Some(Event::Block(_)) if self.position == place => return Ok(Some(true)),
                Some(Event::End) => {}
                _ if self.position >= place => return Ok(Some(false)),
                _ => {}
            }
            self.pop();
        }
    }
}

/// Bytes of text that a token stands for.
fn length(token: Token) -> u64 {
    token.parts().map_or(1, |(len, _)| len as u64)
}

/// Makes a stream from its text and a script.
pub(super) struct Amender {
    predicted: Predicted,
    /// Text from `plain_start` on.
    plain: Vec<u8>,
    plain_start: u64,
    position: u64,
    state: State,
    last: bool,
    codes: Codes,
    held: Option<Held>,
    bits: BitWriter,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head,
    AsPredicted,
    StoredAsPredicted,
    Stored(usize),
    Item,
    Copy { left: Option<u64>, copied: bool },
    Given { left: u64, token: Option<Given> },
    Done,
}

#[derive(Debug, Clone, Copy)]
enum Given {
    Literal,
    Match(Token),
}

/// Tokens that wait for the codes that are made from them.
struct Held {
    full: bool,
    until: u64,
    tokens: Vec<Token>,
}

impl Amender {
    pub(super) fn new(known: Known) -> io::Result<Self> {
        Ok(Self {
            predicted: Predicted::new(known)?,
            plain: Vec::new(),
            plain_start: 0,
            position: 0,
            state: State::Head,
            last: false,
            codes: Codes::fixed(),
            held: None,
            bits: BitWriter::default(),
        })
    }

    /// Takes text and appends what is ready.
    pub(super) fn write(
        &mut self,
        plain: &[u8],
        script: &mut impl Read,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        self.plain.extend_from_slice(plain);
        self.predicted.write(plain)?;
        self.run(script, out)
    }

    /// Appends the rest.
    pub(super) fn finish(mut self, script: &mut impl Read, out: &mut Vec<u8>) -> io::Result<()> {
        self.predicted.finish()?;
        self.run(script, out)?;
        if !matches!(self.state, State::Done) || self.position != self.end() {
            return Err(invalid("are for another content"));
        }
        Ok(())
    }

    fn run(&mut self, script: &mut impl Read, out: &mut Vec<u8>) -> io::Result<()> {
        while self.step(script)? {}
        let done = (self.position - self.plain_start) as usize;
        if done > 1 << 16 {
            self.plain.drain(..done);
            self.plain_start = self.position;
        }
        self.bits.drain_to(out);
        Ok(())
    }

    /// Where the text that is known ends.
    fn end(&self) -> u64 {
        self.plain_start + self.plain.len() as u64
    }

    /// Goes on; false if more text is needed, or nothing is left to do.
    fn step(&mut self, script: &mut impl Read) -> io::Result<bool> {
        match self.state {
            State::Head => self.head(script)?,
            State::AsPredicted => return self.as_predicted(),
            State::StoredAsPredicted => {
                if self.predicted.ready()? == Ready::Later {
                    return Ok(false);
                }
                let Some(Event::Stored(len)) = self.predicted.front else {
                    return Err(invalid("name a block that is none"));
                };
                self.state = State::Stored(len);
            }
            State::Stored(len) => return self.stored(len),
            State::Item => {
                let item = varint::get(script)?;
                self.state = match (item, item / 2) {
                    (0, _) => return self.end_block().map(|()| true),
                    (1, _) => State::Copy { left: None, copied: false },
                    (_, count) if item.is_multiple_of(2) => {
                        State::Copy { left: Some(count), copied: false }
                    }
                    (_, count) => State::Given { left: count, token: None },
                };
            }
            State::Copy { left, copied } => return self.copy(left, copied),
            State::Given { left, token } => return self.given(left, token, script),
            State::Done => return Ok(false),
        }
        Ok(true)
    }

    fn head(&mut self, script: &mut impl Read) -> io::Result<()> {
        let Some(head) = varint::get(script)?.checked_sub(1) else {
            self.state = State::AsPredicted;
            return Ok(());
        };
        self.last = head % 2 == 1;
        match head / 2 {
            0 => {
                let len = varint::get(script)?;
                let len = usize::try_from(len).ok().filter(|&len| len <= 65535);
                self.state = State::Stored(len.ok_or_else(|| invalid("have too long a block"))?);
            }
            1 => self.begin(&Kind::Fixed),
            2 => {
                let bits = varint::get(script)?;
                let bits = u32::try_from(bits).ok().filter(|&bits| bits <= MAX_HEADER_BITS);
                let bits = bits.ok_or_else(|| invalid("have too long a header"))?;
                let mut bytes = vec![0; bits.div_ceil(8) as usize];
                script.read_exact(&mut bytes)?;
                let head = DynamicHead::read(bytes, bits);
                self.begin(&Kind::Dynamic(head.ok_or_else(|| invalid("have a broken header"))?));
            }
            how @ (OPTIMAL | OPTIMAL_FULL) => {
                let until = self.position.saturating_add(varint::get(script)?);
                self.held = Some(Held { full: how == OPTIMAL_FULL, until, tokens: Vec::new() });
                self.state = State::Item;
            }
            _ => return Err(invalid("name an unknown kind of block")),
        }
        Ok(())
    }

    fn as_predicted(&mut self) -> io::Result<bool> {
        match self.predicted.find_block(self.position)? {
            None => return Ok(false),
            Some(false) => return Err(invalid("name a block that is none")),
            Some(true) => {}
        }
        let front = self.predicted.front.take();
        let Some(Event::Block(BlockHead { last, kind })) = front else {
            return Err(invalid("name a block that is none"));
        };
        self.last = last;
        match kind {
            Kind::Stored => self.state = State::StoredAsPredicted,
            kind => self.begin(&kind),
        }
        Ok(true)
    }

    /// Writes the head of a block whose codes are known.
    fn begin(&mut self, kind: &Kind) {
        let last = u32::from(self.last);
        match kind {
            Kind::Dynamic(head) => {
                self.bits.put(last | 0b100, 3);
                let mut left = head.bits;
                for &byte in &head.bytes {
                    let count = left.min(8);
                    self.bits.put(u32::from(byte) & ((1 << count) - 1), count);
                    left -= count;
                }
                self.codes = Codes::of_lens(&head.literals, &head.distances);
            }
            _ => {
                self.bits.put(last | 0b010, 3);
                self.codes = Codes::fixed();
            }
        }
        self.state = State::Item;
    }

    fn stored(&mut self, len: usize) -> io::Result<bool> {
        if self.position + len as u64 > self.end() {
            return Ok(false);
        }
        let start = (self.position - self.plain_start) as usize;
        self.bits.put(u32::from(self.last), 3);
        self.bits.align();
        self.bits.put_bytes(&(len as u16).to_le_bytes());
        self.bits.put_bytes(&(!(len as u16)).to_le_bytes());
        self.bits.put_bytes(&self.plain[start..start + len]);
        self.position += len as u64;
        self.after_block();
        Ok(true)
    }

    fn copy(&mut self, left: Option<u64>, copied: bool) -> io::Result<bool> {
        match self.predicted.ready()? {
            Ready::Later => return Ok(false),
            Ready::Never => return Err(invalid("want more of the prediction than there is")),
            Ready::Yes => {}
        }
        match self.predicted.front {
            Some(Event::Token(token)) if self.predicted.position >= self.position => {
                if self.predicted.position > self.position {
                    return Err(invalid("want a token where none is"));
                }
                self.emit(token)?;
                self.state = match left {
                    Some(1) => State::Item,
                    left => State::Copy { left: left.map(|left| left - 1), copied: true },
                };
            }
            Some(Event::End) if copied && left.is_none() => self.end_block()?,
            _ => {}
        }
        self.predicted.pop();
        Ok(true)
    }

    fn given(
        &mut self,
        left: u64,
        token: Option<Given>,
        script: &mut impl Read,
    ) -> io::Result<bool> {
        let token = match token {
            Some(token) => token,
            None => read_token(script)?,
        };
        let len = match token {
            Given::Literal => 1,
            Given::Match(token) => length(token),
        };
        if self.position + len > self.end() {
            self.state = State::Given { left, token: Some(token) };
            return Ok(false);
        }
        let token = match token {
            Given::Literal => {
                Token::literal(self.plain[(self.position - self.plain_start) as usize])
            }
            Given::Match(token) => token,
        };
        self.emit(token)?;
        self.state =
            if left == 1 { State::Item } else { State::Given { left: left - 1, token: None } };
        Ok(true)
    }

    fn emit(&mut self, token: Token) -> io::Result<()> {
        let Some(held) = &mut self.held else {
            self.position += length(token);
            self.codes.put(token, &mut self.bits);
            return Ok(());
        };
        if self.position >= held.until {
            self.settle();
            return self.emit(token);
        }
        if held.tokens.len() == MAX_HELD {
            return Err(invalid("want codes for too many tokens"));
        }
        held.tokens.push(token);
        self.position += length(token);
        Ok(())
    }

    /// Makes codes from the tokens held, and writes them.
    fn settle(&mut self) {
        let Some(held) = self.held.take() else { return };
        let (codes, header) = optimal(&held.tokens, held.full);
        self.bits.put(u32::from(self.last) | 0b100, 3);
        header.write_codes(&mut self.bits);
        codes.write(&held.tokens, &mut self.bits);
        self.codes = codes;
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.settle();
        self.codes.put_literal(END, &mut self.bits);
        self.after_block();
        Ok(())
    }

    fn after_block(&mut self) {
        self.state = State::Head;
        if self.last {
            self.bits.align();
            self.state = State::Done;
        }
    }
}

/// The codes that Go's and klauspost's encoders make for tokens.
fn optimal(tokens: &[Token], full: bool) -> (Codes, Header) {
    let mut counts = Counts::of(tokens);
    counts.literals[END] = 1;
    if !full && counts.distances.iter().all(|&count| count == 0) {
        counts.distances[0] = 1;
    }
    let codes = Codes::optimal(&counts);
    let header =
        if full { Header::new(&codes, LITERALS, DISTANCES) } else { Header::exact(&codes) };
    (codes, header)
}

fn read_token(script: &mut impl Read) -> io::Result<Given> {
    let Some(len) = varint::get(script)?.checked_sub(1) else { return Ok(Given::Literal) };
    let distance = varint::get(script)?;
    if len > 255 || !(1..=32768).contains(&distance) {
        return Err(invalid("have a match that deflate cannot say"));
    }
    Ok(Given::Match(Token::matched(len as usize + 3, distance as usize)))
}
