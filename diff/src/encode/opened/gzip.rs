//! gzip files (RFC 1952), of several members too: manual pages, documents, and tars in them, package indexes behind their signatures.

use std::io;

use dd_extract::encoding::gzip::read_header;
use dd_extract::encoding::inflate::Inflater;

use super::container::{Coding, Part, Parts, Role, Window, le};
use crate::program::limits::OPENED_RATIO;

/// Bytes that are looked at for the header.
const HEADER: u64 = 4096;
/// Bytes of CRC and length after the data.
const TRAILER: u64 = 8;
/// What a member begins with: magic number and method.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Members at most.
const MEMBERS: usize = 4096;
/// Bytes that are looked at at a time.
const PIECE: u64 = 64 << 10;

/// The parts of a file; that the data are whole streams which end where they should is for the caller to find.
///
/// # Errors
/// What reading fails with.
pub(super) fn parts(file: &Window<'_>) -> io::Result<Option<Vec<Part>>> {
    let mut parts = Parts::default();
    let is_alone = !has_more(file)?;
    for number in 0..MEMBERS {
        let rest = file.part(&(parts.end..file.len));
        let head = rest.read(0, rest.len.min(HEADER))?;
        let Some(header) = read_header(&mut &head[..])? else { return Ok(None) };
        let data = rest.part(&(header.len() as u64..rest.len));
        let end = if is_alone { None } else { stream_len(&data)? };
        let Some(len) = end.or(data.len.checked_sub(TRAILER)) else { return Ok(None) };
        let trailer = data.read(len, TRAILER)?;
        let Some(plain_len) = le::<4>(&trailer, 4) else { return Ok(None) };
        let name = if number == 0 { Vec::new() } else { number.to_string().into_bytes() };
        let start = parts.end + header.len() as u64;
        let done = parts
            .push(start, Role::Head, &name, Coding::Framing)
            .and_then(|()| parts.push(start + len, Role::Data, &name, Coding::Deflate(plain_len)))
            .and_then(|()| parts.push(start + len + TRAILER, Role::Tail, &name, Coding::Framing));
        if done.is_none() || parts.end == file.len {
            return Ok(done.map(|()| parts.list));
        }
    }
    Ok(None)
}

/// Whether there is what may be the beginning of another member.
fn has_more(file: &Window<'_>) -> io::Result<bool> {
    let mut at = 1;
    while at + 3 <= file.len {
        let piece = file.read(at, PIECE.min(file.len - at))?;
        if piece.windows(3).any(|bytes| bytes == MAGIC) {
            return Ok(true);
        }
        at += piece.len() as u64 - 2;
    }
    Ok(false)
}

/// The length of the stream that data begin with; none if it is broken, or has more content than is ever opened.
fn stream_len(data: &Window<'_>) -> io::Result<Option<u64>> {
    let (mut inflater, mut plain) = (Inflater::default(), vec![0; PIECE as usize]);
    let (mut at, mut left) = (0, data.len.saturating_mul(OPENED_RATIO));
    let mut coded = Vec::new();
    loop {
        if coded.is_empty() {
            coded = data.read(at, PIECE.min(data.len - at))?;
        }
        let Ok((taken, given)) = inflater.inflate(&coded, &mut plain) else { return Ok(None) };
        at += taken as u64;
        coded.drain(..taken);
        if inflater.is_ended() {
            return Ok(Some(at));
        }
        left = match left.checked_sub(given as u64) {
            Some(left) if taken > 0 || given > 0 => left,
            _ => return Ok(None),
        };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::encode::opened::samples::{gzip, text};

    #[test]
    fn a_file_has_three_parts() {
        let bytes = gzip(b"content content content");
        let file = Window { bytes: &bytes, start: 0, len: bytes.len() as u64 };
        let found = parts(&file).unwrap().unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].range, 0..10);
        assert_eq!(found[1].coding, Coding::Deflate(23));
        for len in 0..18 {
            let cut = Window { len, ..file };
            assert_eq!(parts(&cut).unwrap(), None, "{len}");
        }
        let empty = Window { len: 18, ..file };
        assert_eq!(parts(&empty).unwrap().unwrap().len(), 2, "no data");
    }

    #[test]
    fn members_follow_each_other() {
        let members = [gzip(b"first first first"), gzip(b""), gzip(&text(1, 200_000))];
        let bytes = members.concat();
        let file = Window { bytes: &bytes, start: 0, len: bytes.len() as u64 };
        let found = parts(&file).unwrap().unwrap();
        let codings: Vec<Coding> = found.iter().map(|part| part.coding).collect();
        use Coding::{Deflate, Framing};
        let one = |len| [Framing, Deflate(len), Framing];
        assert_eq!(codings, [one(17), one(0), one(200_000)].concat());
        let ends: Vec<u64> = found.chunks(3).map(|member| member[2].range.end).collect();
        let lens = members.map(|member| member.len() as u64);
        assert_eq!(ends, [lens[0], lens[0] + lens[1], bytes.len() as u64]);
        // What follows the last one, or is none: one member, which the caller finds broken.
        let behind = [&bytes[..], &[0; 100]].concat();
        let file = Window { bytes: &behind, start: 0, len: behind.len() as u64 };
        assert_eq!(parts(&file).unwrap(), None);
        let mut broken = bytes.clone();
        // A block of no kind.
        broken[10] |= 0b110;
        let file = Window { bytes: &broken, ..file };
        let whole = parts(&Window { len: broken.len() as u64, ..file }).unwrap().unwrap();
        assert_eq!(whole.len(), 3);
    }
}
