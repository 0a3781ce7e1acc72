//! What a delta program asks of its reader.

use anyhow::Context;
use dd_diff::program::Head;
use dd_diff::program::ids::Registry;
use dd_inspect::range::FileRange;
use dd_inspect::record::Location;

/// The feature that stands for the frame of version 1 and its ids ([`is_of_frame`]).
const FRAME: &str = "program-1";

/// Whether an id belongs to [`FRAME`]; others are features of their own.
fn is_of_frame(registry: Registry, id: u64) -> bool {
    let later = match registry {
        Registry::Generator => 16..=26,
        Registry::Encoding => 16..=19,
        _ => 0..=0,
    };
    id <= last_id(registry) || later.contains(&id)
}

/// The last id of each registry that belongs to [`FRAME`], beside those of digests, moved names and times.
const fn last_id(registry: Registry) -> u64 {
    match registry {
        Registry::Op => 7,
        Registry::Model => 6,
        Registry::Generator => 3,
        Registry::Coder => 14,
        Registry::Stream => 10,
        Registry::Encoding => 3,
        Registry::Opening => 0,
    }
}

/// The head of a program.
///
/// # Errors
/// It cannot be read, or is no program.
pub fn head(location: &Location) -> anyhow::Result<Head> {
    Head::read(FileRange::at(location)?).context("reading a delta")
}

/// The features that a reader of this program must have (docs/package-format.md, "Features").
pub fn of_program(head: &Head) -> Vec<String> {
    let own = head.ids.iter().filter_map(|(registry, id)| match Registry::from_number(*registry) {
        Some(known) if is_of_frame(known, *id) => None,
        Some(known) => Some(format!("{}-{id}", known.word().replace(' ', "-"))),
        None => Some(format!("registry-{registry}-{id}")),
    });
    std::iter::once(FRAME.to_owned()).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dd_diff::program::head::{MAGIC, VERSION};
    use dd_inspect::package::{PROGRAM_START, features};

    #[test]
    fn later_ids_are_features_of_their_own() {
        let ids = vec![(0, 0), (0, 5), (1, 0), (1, 9), (2, 22), (3, 12), (4, 11), (5, 16), (9, 2)];
        let head = Head { ids, ..Head::default() };
        assert_eq!(of_program(&head), ["program-1", "model-9", "stream-kind-11", "registry-9-2"]);
    }

    #[test]
    fn what_this_release_reads_needs_no_other_feature() {
        let tools = dd_diff::tools("/nowhere");
        for (registry, id) in (0..10).flat_map(|registry| (0..64).map(move |id| (registry, id))) {
            let head = Head { ids: vec![(registry, id)], ..Head::default() };
            if head.check_ids(&tools).is_ok() {
                assert_eq!(of_program(&head), [FRAME], "id {id} of registry {registry}");
            }
        }
    }

    #[test]
    fn the_reader_knows_the_same_beginning() {
        assert_eq!(PROGRAM_START[..8], MAGIC);
        assert_eq!(u64::from(PROGRAM_START[8]), VERSION);
        assert!(features().contains(&FRAME.to_owned()));
    }

    #[test]
    fn encodings_of_this_release_are_features_that_the_reader_has() {
        for encoding in [
            r#"{"encoding":"gzip","header":"","deflate":"zlib","level":6,"mem_level":8}"#,
            r#"{"encoding":"gzip-members","chunk":5}"#,
            r#"{"encoding":"gzip","header":"","deflate":"pigz","level":6,"block":131072}"#,
            r#"{"encoding":"gzip","header":"","deflate":"gnu-gzip","level":6}"#,
            r#"{"encoding":"gzip","header":"","deflate":"klauspost","release":"1.10.2","level":5}"#,
            r#"{"encoding":"gzip-members","uses":["amended-1","go-1.16"]}"#,
            r#"{"encoding":"zstd-klauspost","release":"1.14.2","level":"default","first_block":8}"#,
            r#"{"encoding":"zstd-klauspost","release":"1.17.8","level":"fastest"}"#,
            r#"{"encoding":"zstd-frames","release":"1.17.8","level":"best","longest":7}"#,
            &format!(
                r#"{{"encoding":"zstd","library":"{}","level":3}}"#,
                dd_extract::encoding::zstd::library()
            ),
        ] {
            let value = serde_json::from_str(encoding).expect("JSON");
            let encoding = dd_extract::encoding::Encoding::parse(&value).expect("an encoding");
            for feature in encoding.features() {
                assert!(features().contains(&feature), "{feature}");
            }
        }
    }
}
