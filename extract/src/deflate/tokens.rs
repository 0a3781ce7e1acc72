//! Literals and matches, and where a search puts them.

use super::window::boxed;

/// A literal or a match, packed. The low nine bits are the byte, or 256 and the length - 3; the 15 above are the distance - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u32);

/// Bit 8 tells matches.
const MATCH: u32 = 1 << 8;
/// Values of [`Token::head`].
pub(crate) const HEADS: usize = 1 << 9;

impl Token {
    pub(crate) const fn literal(byte: u8) -> Self {
        Self(byte as u32)
    }

    /// A match of 3 to 258 bytes at a distance of 1 to 32768.
    #[inline]
    pub(crate) const fn matched(len: usize, distance: usize) -> Self {
        debug_assert!(len >= 3 && len <= 258 && distance >= 1 && distance <= 32768);
        Self(MATCH | (len as u32 - 3) | (distance as u32 - 1) << 9)
    }

    pub(crate) const fn is_match(self) -> bool {
        self.0 & MATCH != 0
    }

    /// All ones for a match, 0 for a literal.
    #[inline(always)]
    pub(crate) const fn match_mask(self) -> u64 {
        ((self.0 >> 8 & 1) as u64).wrapping_neg()
    }

    /// The length and distance of a match; none for a literal.
    pub(crate) const fn parts(self) -> Option<(usize, usize)> {
        if !self.is_match() {
            return None;
        }
        Some(((self.0 & 0xff) as usize + 3, (self.0 >> 9 & 0x7fff) as usize + 1))
    }

    pub(crate) const fn byte(self) -> u8 {
        self.0 as u8
    }

    /// The byte of a literal, or 256 and the length - 3 of a match.
    #[inline(always)]
    pub(crate) const fn head(self) -> usize {
        (self.0 & (HEADS as u32 - 1)) as usize
    }

    /// The distance - 1 of a match; 0 for a literal.
    #[inline(always)]
    pub(crate) const fn reach(self) -> u32 {
        self.0 >> 9
    }
}

/// Tokens that a block has at most.
const MOST: usize = 1 << 16;
/// Literals are copied so many at a time.
const AT_ONCE: usize = 8;

/// The tokens of a block of fewer than 2^16 bytes.
#[derive(Debug)]
pub(crate) struct Tokens {
    tokens: Box<[Token; MOST + AT_ONCE]>,
    len: usize,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self { tokens: boxed(Token::literal(0)), len: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_slice(&self) -> &[Token] {
        &self.tokens[..self.len.min(MOST)]
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, token: Token) {
        self.tokens[self.len & (MOST - 1)] = token;
        self.len += 1;
    }

    /// Appends literals.
    #[inline(always)]
    pub(crate) fn push_literals(&mut self, text: &[u8]) {
        for eight in text.chunks(AT_ONCE) {
            let at = self.len & (MOST - 1);
            let to = &mut self.tokens[at..at + AT_ONCE];
            match eight.first_chunk::<AT_ONCE>() {
                Some(eight) => to
                    .iter_mut()
                    .zip(eight)
                    .for_each(|(token, &byte)| *token = Token::literal(byte)),
                None => to
                    .iter_mut()
                    .zip(eight)
                    .for_each(|(token, &byte)| *token = Token::literal(byte)),
            }
            self.len += eight.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_parts() {
        assert_eq!(Token::matched(258, 32768).parts(), Some((258, 32768)));
        assert_eq!(Token::matched(3, 1).parts(), Some((3, 1)));
        assert_eq!((Token::literal(255).parts(), Token::literal(255).byte()), (None, 255));
    }

    #[test]
    fn literals_of_any_number() {
        let text: Vec<u8> = (0..100).collect();
        let mut tokens = Tokens::new();
        for len in [0, 1, 7, 8, 9, 100] {
            tokens.clear();
            tokens.push(Token::matched(3, 9));
            tokens.push_literals(&text[..len]);
            let literals = text[..len].iter().map(|&byte| Token::literal(byte));
            assert!(tokens.as_slice()[1..].iter().copied().eq(literals), "{len}");
        }
    }
}
