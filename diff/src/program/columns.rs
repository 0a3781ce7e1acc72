//! Columns: the values that generators use, each kind of value in a stream of its own.
//!
//! A unit has one `columns` stream for all its ops: for each column in ascending order its number, its
//! length and its bytes. Which column holds what is told by the generator that reads it.

use dd_inspect::failure;
use dd_inspect::failure::Failure;

use super::varint;

/// Columns of a unit being read, each from its start to its end.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    raw: Vec<u8>,
    /// Number, next byte and end of each column, ascending.
    parts: Vec<(u8, usize, usize)>,
}

impl Columns {
    /// Takes the raw bytes of a `columns` stream apart.
    ///
    /// # Errors
    /// Columns out of order or longer than the stream.
    pub fn parse(raw: Vec<u8>) -> Result<Self, Failure> {
        let mut parts: Vec<(u8, usize, usize)> = Vec::new();
        let mut at = 0;
        while at < raw.len() {
            let column =
                u8::try_from(varint_at(&raw, &mut at, raw.len())?).map_err(|_| broken())?;
            let len = varint_at(&raw, &mut at, raw.len())?;
            let end = usize::try_from(len).ok().and_then(|len| at.checked_add(len));
            let end = end.filter(|&end| end <= raw.len()).ok_or_else(broken)?;
            if parts.last().is_some_and(|last| last.0 >= column) {
                return Err(broken());
            }
            parts.push((column, at, end));
            at = end;
        }
        Ok(Self { raw, parts })
    }

    /// The next integer of a column.
    ///
    /// # Errors
    /// The column has no more values.
    pub fn varint(&mut self, column: u8) -> Result<u64, Failure> {
        let part = self.parts.iter_mut().find(|part| part.0 == column).ok_or_else(broken)?;
        varint_at(&self.raw, &mut part.1, part.2)
    }

    /// The next `len` bytes of a column.
    ///
    /// # Errors
    /// The column has fewer.
    pub fn bytes(&mut self, column: u8, len: usize) -> Result<&[u8], Failure> {
        if len == 0 {
            return Ok(&[]);
        }
        let part = self.parts.iter_mut().find(|part| part.0 == column).ok_or_else(broken)?;
        let start = part.1;
        let end = start.checked_add(len).filter(|&end| end <= part.2).ok_or_else(broken)?;
        part.1 = end;
        self.raw.get(start..end).ok_or_else(broken)
    }

    /// Whether every column was read to its end.
    pub fn is_used_up(&self) -> bool {
        self.parts.iter().all(|part| part.1 == part.2)
    }
}

/// Columns of a unit being written.
#[derive(Debug, Clone, Default)]
pub struct ColumnWriter {
    columns: Vec<(u8, Vec<u8>)>,
    len: usize,
}

impl ColumnWriter {
    /// Appends an integer to a column.
    pub fn put_varint(&mut self, column: u8, value: u64) {
        let mut bytes = Vec::with_capacity(10);
        varint::put(&mut bytes, value);
        self.put(column, &bytes);
    }

    /// Appends bytes to a column.
    pub fn put(&mut self, column: u8, bytes: &[u8]) {
        self.len += bytes.len();
        match self.columns.binary_search_by_key(&column, |part| part.0) {
            Ok(index) => self.columns[index].1.extend_from_slice(bytes),
            Err(index) => self.columns.insert(index, (column, bytes.to_vec())),
        }
    }

    /// Bytes put so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was put.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The raw bytes of the `columns` stream; nothing where no value was put.
    pub fn finish(self) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.len + 8 * self.columns.len());
        for (column, bytes) in self.columns {
            varint::put(&mut raw, u64::from(column));
            varint::put(&mut raw, bytes.len() as u64);
            raw.extend_from_slice(&bytes);
        }
        raw
    }
}

fn varint_at(raw: &[u8], at: &mut usize, end: usize) -> Result<u64, Failure> {
    let value = varint::take(|| {
        let byte = raw.get(*at).copied().filter(|_| *at < end).ok_or_else(broken)?;
        *at += 1;
        Ok(byte)
    })?;
    value.ok_or_else(broken)
}

fn broken() -> Failure {
    failure!(PackageCorrupt, "the columns of the delta are damaged")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back_in_any_interleaving() {
        let mut writer = ColumnWriter::default();
        writer.put(7, b"abc");
        writer.put_varint(2, 300);
        writer.put(7, b"d");
        writer.put_varint(2, 5);
        assert_eq!(writer.len(), 7);
        let raw = writer.finish();
        assert_eq!(raw, [2, 3, 0xac, 2, 5, 7, 4, b'a', b'b', b'c', b'd']);
        let mut columns = Columns::parse(raw).unwrap();
        assert_eq!(columns.bytes(7, 2).unwrap(), b"ab");
        assert_eq!(columns.varint(2).unwrap(), 300);
        assert_eq!(columns.bytes(7, 2).unwrap(), b"cd");
        assert!(!columns.is_used_up());
        assert_eq!(columns.varint(2).unwrap(), 5);
        assert!(columns.is_used_up());
        assert!(columns.varint(2).is_err());
        assert!(columns.bytes(7, 1).is_err());
        assert!(columns.bytes(9, 1).is_err());
        assert_eq!(columns.bytes(9, 0).unwrap(), b"");
    }

    #[test]
    fn damaged_columns_are_refused() {
        for raw in [&[1, 2, 0][..], &[1], &[1, 0, 1, 0], &[2, 0, 1, 0], &[0x80, 2, 0], &[1, 0x80]] {
            assert!(Columns::parse(raw.to_vec()).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn an_integer_ends_with_its_column() {
        let mut columns = Columns::parse(vec![1, 1, 0x80, 2, 1, 5]).unwrap();
        assert!(columns.varint(1).is_err());
        assert_eq!(columns.varint(2).unwrap(), 5);
    }
}
