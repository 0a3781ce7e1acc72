//! What pax extended headers say of an entry.

use dd_inspect::pax::split_record;

/// The values that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<i64>,
    /// The entry is a sparse file in one of GNU's pax formats; its stored content is what its size says.
    pub sparse: bool,
}

impl Pax {
    /// Takes in the records of one header; what is no record ends it.
    pub fn read(&mut self, content: &[u8]) {
        let mut rest = content;
        while let Some((key, value, after)) = split_record(rest) {
            self.set(key, value);
            rest = after;
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        match key {
            // The name of a sparse file comes beside `path`, which is a made-up one then.
            b"GNU.sparse.name" => {
                self.path = Some(value.to_vec());
                self.sparse = true;
            }
            b"path" if self.sparse && self.path.is_some() => {}
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = natural(value),
            b"uid" => self.uid = natural(value),
            b"gid" => self.gid = natural(value),
            b"mtime" => self.mtime = seconds(value),
            key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {}
        }
    }

    /// These values, and a global header's where there is none.
    pub fn or(self, global: &Self) -> Self {
        Self {
            path: self.path.or_else(|| global.path.clone()),
            link: self.link.or_else(|| global.link.clone()),
            size: self.size.or(global.size),
            uid: self.uid.or(global.uid),
            gid: self.gid.or(global.gid),
            mtime: self.mtime.or(global.mtime),
            sparse: self.sparse || global.sparse,
        }
    }
}

fn natural(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Decimal seconds, rounded down.
fn seconds(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let below = text.starts_with('-') && fraction.bytes().any(|b| b != b'0');
    Some(if below { seconds.saturating_sub(1) } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Pax {
        let mut pax = Pax::default();
        pax.read(content);
        pax
    }

    #[test]
    fn records() {
        let pax = read(b"13 path=a/\xff\n\n18 mtime=-1.50000\n12 uid=1234\n6 x=y\n");
        assert_eq!(pax.path.as_deref(), Some(&b"a/\xff\n"[..]));
        assert_eq!((pax.mtime, pax.uid), (Some(-2), Some(1234)));
        let sparse = read(b"25 GNU.sparse.name=a/big\n24 path=GNUSparseFile.0\n");
        assert_eq!((sparse.path.as_deref(), sparse.sparse), (Some(&b"a/big"[..]), true));
    }

    #[test]
    fn broken_records_end_the_header() {
        for broken in [
            &b""[..],
            b"x",
            b"99 path=a\n",
            b"10 path=a\n0 path=b\n",
            b"3 \n",
            b"5 abc",
            b"9999999999 a=b\n",
        ] {
            let pax = read(broken);
            assert!(pax.path.is_none() || pax.path.as_deref() == Some(b"a"), "{broken:?}");
        }
        assert_eq!(read(b"12 uid=-123\n").uid, None);
    }
}
