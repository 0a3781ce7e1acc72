//! `change` records: kept beside the package, or the costliest of them inside.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;

use anyhow::Context;
use dd_inspect::ndjson::Line;
use dd_inspect::output::{OutputFile, WholeFile};
use dd_inspect::record::Change;

/// Changes that go into a package.
const INSIDE: usize = 1000;
/// Bytes of them.
const INSIDE_LEN: usize = 256 << 10;

/// A change by its cost, then the earlier one first.
type Costly = (u64, Reverse<u64>, Vec<u8>);

/// Where changes go.
#[derive(Debug)]
pub struct Changes {
    file: Option<OutputFile>,
    inside: bool,
    /// The costliest ones, the cheapest of them on top.
    costliest: BinaryHeap<Reverse<Costly>>,
}

impl Changes {
    /// Changes go to `file` and, the costliest, inside.
    pub fn new(file: Option<OutputFile>, inside: bool) -> Self {
        Self { file, inside, costliest: BinaryHeap::new() }
    }

    /// Takes a `change` record.
    ///
    /// # Errors
    /// It is not as expected; the file cannot be written.
    pub fn take(&mut self, line: &Line) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            let written = file.write_all(&line.raw).and_then(|()| file.write_all(b"\n"));
            written.context("writing changes")?;
        }
        if self.inside {
            let change: Change = line.parse()?;
            let cost = change.cost.unwrap_or(0);
            self.costliest.push(Reverse((cost, Reverse(line.number), line.raw.clone())));
            if self.costliest.len() > INSIDE {
                self.costliest.pop();
            }
        }
        Ok(())
    }

    /// The changes to put into the package: the costliest first.
    pub fn inside(&mut self) -> Option<Vec<u8>> {
        if !self.inside {
            return None;
        }
        let mut list = Vec::new();
        for Reverse((_, _, raw)) in std::mem::take(&mut self.costliest).into_sorted_vec() {
            if list.len() + raw.len() < INSIDE_LEN {
                list.extend_from_slice(&raw);
                list.push(b'\n');
            }
        }
        Some(list)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As [`OutputFile::finish`].
    pub fn finish(self) -> anyhow::Result<Option<WholeFile>> {
        self.file.map(OutputFile::finish).transpose()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dd_inspect::output::Existing;

    use super::*;

    fn line(number: u64, cost: u64) -> Line {
        let layer = dd_inspect::digest::DiffId::of(b"");
        let raw = format!(
            r#"{{"type":"change","layer":"{layer}","path":"p{number}","change":"added","size":1,"cost":{cost}}}"#
        );
        Line { number, kind: "change".to_owned(), raw: raw.into_bytes() }
    }

    #[test]
    fn the_costliest_go_inside_and_all_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("changes");
        let file = OutputFile::create(&path, Existing::Keep).unwrap();
        let mut changes = Changes::new(Some(file), true);
        for n in 0..1500 {
            changes.take(&line(n, n % 1400)).unwrap();
        }
        let inside = String::from_utf8(changes.inside().unwrap()).unwrap();
        let first: Vec<_> = inside.lines().take(2).collect();
        assert!(first[0].contains("\"p1399\"") && first[1].contains("\"p1398\""), "{first:?}");
        assert_eq!(inside.lines().count(), 1000);
        changes.finish().unwrap().unwrap().commit().unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1500);
    }
}
