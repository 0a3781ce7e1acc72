//! What dd-inspect does with a package: shows it, and verifies it on request.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use anyhow::Context;

use super::reader::{Options, Reader};
use super::show::{costs, describe, table};
use super::{BlobKind, verify};
use crate::digest::hash_reader;
use crate::files::lasting_name;
use crate::ndjson::Line;
use crate::range::FileRange;
use crate::record::Package;
use crate::stage::Stage;
use crate::table::{printable, thousands};

/// Bytes of changes that are read from a package.
const MAX_CHANGES_LEN: u64 = 4 << 20;

/// Shows the package in a file: a `package` record and the `change` records inside, or a table of it and of the costliest
/// paths. With `all`, every blob is verified first.
///
/// # Errors
/// `package-corrupt`, `unsupported`; the file cannot be read.
pub fn show_package(stage: &mut Stage, path: &Path, all: bool) -> anyhow::Result<()> {
    let scratch = stage.store()?.temporary()?;
    let options = Options { scratch, ..Options::default() };
    let verified = if all { Some(verified(path, &options)?) } else { None };
    let mut reader = Reader::open_path(path, &options)?;
    let (file_digest, size) = hash_reader(FileRange::open(path)?)
        .with_context(|| format!("reading {}", path.display()))?;
    let (recipe, name) = (reader.recipe(), lasting_name(path)?);
    let record = describe(&recipe, reader.manifest_digest(), Some(&name), size, file_digest);
    let changes = changes(&mut reader)?;
    if stage.shows_table() {
        let verified = verified.as_deref().map(|said| format!("  verified  {said}\n"));
        let text = [
            format!("{}  [delta package]\n", printable(&path.to_string_lossy())),
            summary(&record),
            verified.unwrap_or_default(),
            table(&recipe, reader.blobs(), &HashMap::new()),
            costs(&changes, size),
        ];
        return stage.show(&text.concat());
    }
    stage.emit(record)?;
    for (number, raw) in (1..).zip(changes) {
        stage.pass(&Line { number, kind: "change".to_owned(), raw })?;
    }
    if let Some(said) = verified {
        stage.note(format!("{} is whole: {said}", path.display()));
    }
    Ok(())
}

/// Verifies a package; returns what was verified.
fn verified(path: &Path, options: &Options) -> anyhow::Result<String> {
    let reader = Reader::open_path(path, options)?;
    let report = verify(reader).with_context(|| format!("verifying {}", path.display()))?;
    Ok(format!("{} blobs with {} bytes", report.blobs, thousands(report.bytes)))
}

/// What a package is and needs.
fn summary(record: &Package) -> String {
    let share = record.size as f64 * 100.0 / record.target_size.max(1) as f64;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let mut text = format!(
        "  manifest  {}\n  size      {} bytes, {share:.2} % of {}\n  needs     {} MiB of memory, {} MiB of scratch space\n",
        record.manifest_digest,
        thousands(record.size),
        thousands(record.target_size),
        mib(record.memory),
        mib(record.scratch),
    );
    match &record.requires[..] {
        [] => text.push_str("  base      none\n"),
        layers => {
            layers.iter().for_each(|layer| text.push_str(&format!("  base      {layer}\n")));
        }
    }
    text
}

/// The `change` records inside a package; lines that are none are left out.
fn changes(reader: &mut Reader) -> anyhow::Result<Vec<Vec<u8>>> {
    let place = reader.blobs().iter().position(|blob| blob.kind == Some(BlobKind::Changes));
    let Some(number) = place.and_then(|place| u32::try_from(place).ok()) else {
        return Ok(Vec::new());
    };
    let mut bytes = Vec::new();
    reader.unpacked(number)?.take(MAX_CHANGES_LEN).read_to_end(&mut bytes)?;
    let lines = bytes.split(|b| *b == b'\n').filter(|line| {
        serde_json::from_slice::<serde_json::Value>(line)
            .is_ok_and(|value| value.get("type").is_some_and(|kind| kind == "change"))
    });
    Ok(lines.map(<[u8]>::to_vec).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    #[test]
    fn changes_inside_are_found_and_other_lines_are_not() {
        let mut sample = Sample::new();
        let change = br#"{"type":"change","path":"p"}"#;
        sample.blobs[3].1 = [&change[..], b"\n{\"type\":\"end\"}\n[\n"].concat();
        let options = Options::default();
        for _ in 0..2 {
            let mut reader = Reader::open(std::io::Cursor::new(sample.framed()), &options).unwrap();
            assert_eq!(changes(&mut reader).unwrap(), [change.to_vec()]);
            sample.blobs[3].0.push_str("+zstd");
            sample.blobs[3].1 = zstd::encode_all(&sample.blobs[3].1[..], 3).unwrap();
        }
    }
}
