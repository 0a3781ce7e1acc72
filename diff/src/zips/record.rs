//! A member's record in the directory (4.3.12), and the local header (4.3.7) that goes with it.

/// Bytes of a record and of a local header without what has a length of its own.
const RECORD_LEN: usize = 46;
pub(super) const LOCAL_LEN: usize = 30;
const RECORD: [u8; 4] = *b"PK\x01\x02";
pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
const END: [u8; 4] = *b"PK\x05\x06";

/// How checksum and lengths of a member are written around its data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the local header.
    #[default]
    Before,
    /// In a data descriptor (4.3.9) behind the data; the local header has zeros.
    Behind,
    /// The same without the descriptor's signature.
    Bare,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::Before, Self::Behind, Self::Bare];

    pub(super) fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// A record; fields that are only copied are bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub made_by: [u8; 2],
    /// Version needed, flags, method.
    pub method: [u8; 6],
    /// Time and date.
    pub time: [u8; 4],
    pub crc: [u8; 4],
    pub coded_len: u32,
    pub plain_len: u32,
    /// Disk, internal and external attributes.
    pub attributes: [u8; 8],
    /// Where the local header is.
    pub local: u32,
    pub name: Vec<u8>,
    pub extra: Vec<u8>,
    pub comment: Vec<u8>,
}

impl Record {
    /// The record at the start of these bytes, and its length.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let head = bytes.first_chunk::<RECORD_LEN>()?;
        if head[..4] != RECORD {
            return None;
        }
        let mut at = RECORD_LEN;
        let mut part = |place: usize| {
            let start = at;
            at += usize::from(u16::from_le_bytes([head[place], head[place + 1]]));
            Some(bytes.get(start..at)?.to_vec())
        };
        let (name, extra, comment) = (part(28)?, part(30)?, part(32)?);
        let record = Self {
            made_by: fixed(head, 4),
            method: fixed(head, 6),
            time: fixed(head, 12),
            crc: fixed(head, 16),
            coded_len: u32::from_le_bytes(fixed(head, 20)),
            plain_len: u32::from_le_bytes(fixed(head, 24)),
            attributes: fixed(head, 34),
            local: u32::from_le_bytes(fixed(head, 42)),
            name,
            extra,
            comment,
        };
        Some((record, at))
    }

    /// Appends the record; none if a part is too long.
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Option<()> {
        out.extend(RECORD);
        out.extend(self.made_by);
        self.put_common(out);
        self.put_lens(Form::Before, out);
        out.extend(len_of(&self.name)?);
        out.extend(len_of(&self.extra)?);
        out.extend(len_of(&self.comment)?);
        out.extend(self.attributes);
        out.extend(self.local.to_le_bytes());
        [&self.name, &self.extra, &self.comment].into_iter().for_each(|part| out.extend(part));
        Some(())
    }

    /// Appends the local header; none if a part is too long.
    pub(super) fn put_local(&self, extra: &[u8], form: Form, out: &mut Vec<u8>) -> Option<()> {
        out.extend(LOCAL);
        self.put_common(out);
        self.put_lens(form, out);
        out.extend(len_of(&self.name)?);
        out.extend(len_of(extra)?);
        out.extend(&self.name);
        out.extend(extra);
        Some(())
    }

    /// Appends what stands behind the data.
    pub(super) fn put_descriptor(&self, form: Form, out: &mut Vec<u8>) {
        if form == Form::Behind {
            out.extend(DESCRIPTOR);
        }
        if form != Form::Before {
            self.put_lens(Form::Before, out);
        }
    }

    fn put_common(&self, out: &mut Vec<u8>) {
        out.extend(self.method);
        out.extend(self.time);
    }

    fn put_lens(&self, form: Form, out: &mut Vec<u8>) {
        if form == Form::Before {
            out.extend(self.crc);
            out.extend(self.coded_len.to_le_bytes());
            out.extend(self.plain_len.to_le_bytes());
        } else {
            out.extend([0; 12]);
        }
    }
}

/// Appends the end record (4.3.16) of an archive on one disk; none if something is too long.
pub(super) fn put_end(
    count: usize,
    directory_len: usize,
    start: u64,
    comment: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    let count = u16::try_from(count).ok()?.to_le_bytes();
    out.extend(END);
    out.extend([0; 4]);
    out.extend([count, count].as_flattened());
    out.extend(u32::try_from(directory_len).ok()?.to_le_bytes());
    out.extend(u32::try_from(start).ok()?.to_le_bytes());
    out.extend(len_of(comment)?);
    out.extend(comment);
    Some(())
}

fn len_of(bytes: &[u8]) -> Option<[u8; 2]> {
    Some(u16::try_from(bytes.len()).ok()?.to_le_bytes())
}

fn fixed<const N: usize>(head: &[u8; RECORD_LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record {
            made_by: [20, 3],
            method: [20, 0, 8, 0, 8, 0],
            time: [1, 2, 3, 4],
            crc: [5, 6, 7, 8],
            coded_len: 300,
            plain_len: 70_000,
            attributes: [0, 0, 1, 0, 0, 0, 0xa4, 0x81],
            local: 99,
            name: b"dir/name".to_vec(),
            extra: b"UT".to_vec(),
            comment: b"!".to_vec(),
        }
    }

    #[test]
    fn records_come_back() {
        let mut bytes = Vec::new();
        sample().put(&mut bytes);
        assert_eq!(bytes.len(), RECORD_LEN + 11);
        bytes.push(7);
        assert_eq!(Record::parse(&bytes), Some((sample(), bytes.len() - 1)));
        for len in 0..bytes.len() - 1 {
            assert_eq!(Record::parse(&bytes[..len]), None, "{len}");
        }
        bytes[0] = 0;
        assert_eq!(Record::parse(&bytes), None);
    }

    #[test]
    fn local_headers_have_the_fields_of_records() {
        let (mut before, mut behind, mut descriptor) = (Vec::new(), Vec::new(), Vec::new());
        sample().put_local(b"xy", Form::Before, &mut before);
        sample().put_local(b"xy", Form::Behind, &mut behind);
        sample().put_descriptor(Form::Before, &mut descriptor);
        assert_eq!(descriptor, b"");
        sample().put_descriptor(Form::Behind, &mut descriptor);
        assert_eq!(before.len(), LOCAL_LEN + 10);
        assert_eq!(before[..14], behind[..14]);
        assert_eq!(behind[14..26], [0; 12]);
        assert_eq!(before[14..26], descriptor[4..]);
        assert_eq!(before[26..], *b"\x08\0\x02\0dir/namexy");
        assert_eq!(descriptor[4..], [5, 6, 7, 8, 44, 1, 0, 0, 112, 17, 1, 0]);
        let long = Record { name: vec![b'a'; 65_536], ..sample() };
        assert_eq!(long.put(&mut Vec::new()), None);
        assert_eq!(long.put_local(b"", Form::Before, &mut Vec::new()), None);
    }

    #[test]
    fn the_end_says_where_the_directory_is() {
        let mut end = Vec::new();
        assert_eq!(put_end(2, 100, 0x1234, b"hi", &mut end), Some(()));
        assert_eq!(end, b"PK\x05\x06\0\0\0\0\x02\0\x02\0\x64\0\0\0\x34\x12\0\0\x02\0hi");
        assert_eq!(put_end(65_536, 0, 0, b"", &mut end), None);
        assert_eq!(put_end(0, 0, 1 << 32, b"", &mut end), None);
    }
}
