//! gzip files (RFC 1952) of one member: manual pages, documents, and tars in them.

use std::io;

use dd_extract::encoding::gzip::read_header;

use super::container::{Coding, Part, Parts, Role, Window, le};

/// Bytes that are looked at for the header.
const HEADER: u64 = 4096;
/// Bytes of CRC and length after the data.
const TRAILER: u64 = 8;

/// The parts of a file; that its data ends where the file does is for the caller to find.
///
/// # Errors
/// What reading fails with.
pub(super) fn parts(file: &Window<'_>) -> io::Result<Option<Vec<Part>>> {
    let start = file.read(0, file.len.min(HEADER))?;
    let Some(header) = read_header(&mut &start[..])? else { return Ok(None) };
    let Some(end) = file.len.checked_sub(TRAILER) else { return Ok(None) };
    let trailer = file.read(end, TRAILER)?;
    let Some(plain_len) = le::<4>(&trailer, 4) else { return Ok(None) };
    let mut parts = Parts::default();
    let done = parts
        .push(header.len() as u64, Role::Head, &[], Coding::Framing)
        .and_then(|()| parts.push(end, Role::Data, &[], Coding::Deflate(plain_len)))
        .and_then(|()| parts.push(file.len, Role::Tail, &[], Coding::Framing));
    Ok(done.map(|()| parts.list))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::encode::opened::samples::gzip;

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
}
