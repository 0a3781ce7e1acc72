//! Finds what may be digests in text: by their length and the characters around them.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::program::{Form, Hash};

/// Text that may be a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Where it stands.
    pub range: Range<usize>,
    pub form: Form,
    /// The hash by the length.
    pub hash: Hash,
    pub digest: Vec<u8>,
}

/// All that may be digests, in order.
pub(super) fn candidates(text: &[u8]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for run in runs(text, |byte| byte.is_ascii_alphanumeric()) {
        found.extend(candidate(text, run, Form::Hex));
    }
    for run in runs(text, |byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)) {
        let form = match text[run.clone()].iter().any(|byte| b"-_".contains(byte)) {
            true => Form::Base64Url,
            false => Form::Base64,
        };
        // apk writes Q1 before SHA-1 in its list of files.
        let marked = Form::Base64.text_len(Hash::Sha1.digest_len()) + 2;
        let run = match run.len() == marked && text[run.clone()].starts_with(b"Q1") {
            true => run.start + 2..run.end,
            false => run,
        };
        found.extend(candidate(text, run, form));
    }
    found.sort_by_key(|candidate| candidate.range.start);
    found.dedup_by(|b, a| a.range.end > b.range.start);
    found
}

/// The longest ranges of such characters.
fn runs(text: &[u8], of: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += text.get(at..)?.iter().position(|&byte| of(byte))?;
        let len = text[at..].iter().position(|&byte| !of(byte)).unwrap_or(text.len() - at);
        at += len;
        Some(at - len..at)
    })
}

/// A range as a digest, if it is as long as one and can be read as one.
fn candidate(text: &[u8], range: Range<usize>, form: Form) -> Option<Candidate> {
    let hash =
        Hash::ALL.into_iter().find(|hash| form.text_len(hash.digest_len()) == range.len())?;
    let text = &text[range.clone()];
    let digest = match form {
        Form::Hex => from_hex(text),
        Form::Base64 => STANDARD_NO_PAD.decode(text).ok(),
        Form::Base64Url => URL_SAFE_NO_PAD.decode(text).ok(),
    }?;
    Some(Candidate { range, form, hash, digest })
}

/// Bytes of lower-case hexadecimal digits.
fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    text.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::program::Hasher;

    fn digest(hash: Hash) -> Vec<u8> {
        Hasher::new(hash).finish()
    }

    #[test]
    fn digests_are_found_in_what_tools_write() {
        for (hash, form, before, after) in [
            (Hash::Sha256, Form::Base64Url, "a/b-c_d.py,sha256=", ",12\n"),
            (Hash::Sha256, Form::Hex, "\"chksum_sha256\": \"", "\",\n"),
            (Hash::Md5, Form::Hex, "", "  usr/bin/x\n"),
            (Hash::Sha1, Form::Base64, "F:usr\nR:x\nZ:Q1", "=\nR:y\n"),
            (Hash::Sha512, Form::Base64, "sha512: ", "==\n"),
            (Hash::Sha1, Form::Hex, "x-", ""),
        ] {
            let digest = digest(hash);
            let text = [before.as_bytes(), &form.text(&digest), after.as_bytes()].concat();
            let found = candidates(&text);
            let [found] = &found[..] else { panic!("{found:?}") };
            assert_eq!((found.hash, &found.digest), (hash, &digest));
            assert_eq!(found.range, before.len()..text.len() - after.len());
            assert_eq!(found.form.text(&digest), text[found.range.clone()]);
        }
    }

    #[test]
    fn other_text_is_none() {
        let hex = Form::Hex.text(&digest(Hash::Md5));
        let upper = hex.to_ascii_uppercase();
        for text in [&hex[1..], &[&hex[..], b"0"].concat(), &upper[..], b"", b"word word", b"-_/+"]
        {
            assert_eq!(candidates(text), [], "{}", String::from_utf8_lossy(text));
        }
    }
}
