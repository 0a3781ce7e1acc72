//! Which entry of a base the content that follows was, without a header: GEN 22 of the delta program.
//!
//! Content that is made before its header is expected to read the base's content as it would behind its header
//! (docs/delta-format.md, "Entries of a base").

use dd_inspect::failure::Failure;

use super::column;
use super::generator::{Model, broken};
use crate::program::{Columns, Entry, Generator, Source, SourceBytes, varint};

/// Headers that are looked at for one.
const STEPS: u64 = 64;

/// Names entries of bases, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct EntryGenerator {
    /// Where the header follows after the entry that was named last.
    next: Option<(Source, u64)>,
}

impl Generator for EntryGenerator {
    fn generate(
        &mut self,
        columns: &mut Columns,
        sources: &mut dyn SourceBytes,
        _: &mut Vec<u8>,
    ) -> Result<Option<Entry>, Failure> {
        let steps = columns.varint(column::REFERENCE)?;
        let (source, offset) = if steps == 0 {
            let source = Source::from_number(columns.varint(column::PLACE)?);
            let offset = columns.varint(column::PLACE)?.checked_mul(512);
            (source.ok_or_else(broken)?, offset.ok_or_else(broken)?)
        } else {
            self.next.ok_or_else(broken)?
        };
        if steps > STEPS {
            return Err(broken());
        }
        let mut model = Model::read(sources, source, offset)?;
        for _ in 1..steps {
            model = Model::read(sources, source, model.next().ok_or_else(broken)?)?;
        }
        let difference = varint::unzigzag(columns.varint(column::SHAPE)?);
        let content_len = model.group.content_len().wrapping_add_signed(difference);
        self.next = model.next().map(|next| (source, next));
        Ok(Some(Entry { content_len, base: Some((source, model.content())), mtime: Some(0) }))
    }
}

#[cfg(feature = "encode")]
mod encode {
    use super::*;
    use crate::program::ColumnWriter;

    /// Describes what [`EntryGenerator`] gives.
    #[derive(Debug, Default)]
    pub(crate) struct EntryEncoder {
        state: EntryGenerator,
    }

    impl EntryEncoder {
        /// The content of `len` bytes that follows was that of an entry of a base, whose header and content
        /// begin at these offsets. None if that cannot be said.
        pub(crate) fn encode(
            &mut self,
            len: u64,
            source: Source,
            (header, content): (u64, u64),
            sources: &mut dyn SourceBytes,
            columns: &mut ColumnWriter,
        ) -> Option<Entry> {
            let model = Model::read(sources, source, header).ok()?;
            if header % 512 != 0 || model.content() != content {
                return None;
            }
            match self.steps(source, header, sources) {
                Some(steps) => columns.put_varint(column::REFERENCE, steps),
                None => {
                    columns.put_varint(column::REFERENCE, 0);
                    columns.put_varint(column::PLACE, source.number());
                    columns.put_varint(column::PLACE, header / 512);
                }
            }
            let difference = len.wrapping_sub(model.group.content_len()) as i64;
            columns.put_varint(column::SHAPE, varint::zigzag(difference));
            self.state.next = model.next().map(|next| (source, next));
            Some(Entry { content_len: len, base: Some((source, content)), mtime: Some(0) })
        }

        /// Which of the next headers stands there, from 1.
        fn steps(&self, source: Source, header: u64, sources: &mut dyn SourceBytes) -> Option<u64> {
            let (_, mut next) = self.state.next.filter(|(last, _)| *last == source)?;
            for steps in 1..=STEPS {
                if next >= header {
                    return (next == header).then_some(steps);
                }
                next = Model::read(sources, source, next).ok()?.next()?;
            }
            None
        }
    }
}

#[cfg(feature = "encode")]
pub(crate) use encode::EntryEncoder;

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{Layer, archive, headers};
    use super::*;
    use crate::program::ColumnWriter;

    const SOURCE: Source = Source::Base(0);

    /// The headers of 200 files of 5 bytes, in blocks.
    fn base() -> (Layer, Vec<(u64, u64)>) {
        let names: Vec<String> = (0..200).map(|number| format!("file{number}")).collect();
        let tar = archive(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
        let places = headers(&tar).into_iter().map(|(start, ..)| (start, start + 512)).collect();
        (Layer(tar), places)
    }

    #[test]
    fn entries_are_found_by_steps_and_places() {
        let (mut base, places) = base();
        let files = [(3, 5), (4, 5), (9, 700), (100, 0), (2, 4), (3, 6)];
        let (mut encoder, mut columns) = (EntryEncoder::default(), ColumnWriter::default());
        let mut entries = Vec::new();
        for (file, len) in files {
            let place: (u64, u64) = places[file];
            let entry = encoder.encode(len, SOURCE, place, &mut base, &mut columns).unwrap();
            assert_eq!((entry.content_len, entry.base), (len, Some((SOURCE, place.1))));
            entries.push(entry);
        }
        let raw = columns.finish();
        assert!(raw.len() < 40, "{}", raw.len());
        let (mut columns, mut generator) =
            (Columns::parse(raw).unwrap(), EntryGenerator::default());
        let mut out = Vec::new();
        for entry in entries {
            assert_eq!(generator.generate(&mut columns, &mut base, &mut out).unwrap(), Some(entry));
        }
        assert!(columns.is_used_up() && out.is_empty());
    }

    #[test]
    fn what_is_no_entry_cannot_be_said() {
        let (mut base, places) = base();
        let mut columns = ColumnWriter::default();
        let mut encode =
            |place| EntryEncoder::default().encode(5, SOURCE, place, &mut base, &mut columns);
        // Zeros end the archive.
        assert_eq!(encode((400 * 512, 401 * 512)), None);
        assert_eq!(encode((places[1].0, places[1].1 + 512)), None);
        assert_eq!(encode((places[1].0 + 1, places[1].1 + 1)), None);
        assert_eq!(columns.len(), 0);
    }

    #[test]
    fn damaged_columns_are_errors() {
        for (steps, place) in [(1, 0), (STEPS + 1, 0), (0, u64::MAX / 512), (0, 400)] {
            let mut columns = ColumnWriter::default();
            let values = [(column::REFERENCE, steps), (column::PLACE, 0), (column::PLACE, place)];
            values.into_iter().for_each(|(column, value)| columns.put_varint(column, value));
            columns.put_varint(column::SHAPE, 0);
            let mut columns = Columns::parse(columns.finish()).unwrap();
            let mut generator = EntryGenerator::default();
            let (mut base, mut out) = (base().0, Vec::new());
            assert!(generator.generate(&mut columns, &mut base, &mut out).is_err());
        }
    }
}
