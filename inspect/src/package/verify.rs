//! Verifying a package without a base.

use std::collections::HashSet;
use std::io::{self, Read};

use super::BlobKind;
use super::members::broken;
use super::reader::Reader;
use crate::fail;

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Blobs that have their declared digest and size, recipe and documents among them.
    pub blobs: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// The first bytes of a delta program: its mark, and the version of its frame (docs/delta-format.md, "Head").
pub const PROGRAM_START: [u8; 9] = *b"\x8fDDP\r\n\x1a\n\x01";

/// Reads a whole package and checks every blob: its size, its digest, and that a delta program begins as one that this
/// release can read.
///
/// # Errors
/// `package-corrupt` for what does not verify, for a package that is cut off or has something after it; `unsupported`
/// for a delta program of another version.
pub fn verify(mut reader: Reader) -> anyhow::Result<Report> {
    let infos = reader.blobs().to_vec();
    let mut report = Report { blobs: 0, bytes: 0 };
    let mut seen = HashSet::new();
    for (number, info) in (0_u32..).zip(&infos) {
        // Recipe and documents were verified when the package was opened.
        if seen.insert(info.digest) && number >= 2 {
            let mut blob = reader.blob(number)?;
            let mut start = Vec::new();
            (&mut blob).take(PROGRAM_START.len() as u64).read_to_end(&mut start)?;
            io::copy(&mut blob, &mut io::sink())?;
            if info.kind == Some(BlobKind::Program) {
                check_program(&start)?;
            }
        }
        report.blobs += 1;
        report.bytes += info.size;
    }
    reader.finish()?;
    Ok(report)
}

fn check_program(start: &[u8]) -> anyhow::Result<()> {
    let (mark, version) = PROGRAM_START.split_at(8);
    if !start.starts_with(mark) {
        return Err(broken("a delta program in it does not begin as one").into());
    }
    if start.get(8..) != Some(version) {
        fail!(Unsupported, "a delta program in the package has another version"; "use a newer release");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::super::reader::Options;
    use super::super::sample::Sample;
    use super::*;
    use crate::failure::{Category, classify};

    fn check(bytes: Vec<u8>) -> anyhow::Result<Report> {
        verify(Reader::open(Cursor::new(bytes), &Options::default())?)
    }

    #[test]
    fn counts_every_blob() {
        let sample = Sample::new();
        let report = check(sample.framed()).unwrap();
        let bytes = sample.blobs.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert_eq!(report, Report { blobs: sample.blobs.len() as u64, bytes });
    }

    #[test]
    fn programs_must_begin_as_such() {
        for (start, category) in [
            (&b"pro"[..], Category::PackageCorrupt),
            (b"\x8fDDP\r\n\x1a\n\x02", Category::Unsupported),
        ] {
            let mut sample = Sample::new();
            sample.blobs[2].1 = start.to_vec();
            assert_eq!(classify(&check(sample.framed()).unwrap_err()).category, category);
        }
    }

    #[test]
    fn every_changed_byte_of_a_blob_is_noticed() {
        let sample = Sample::new();
        let good = sample.plain();
        check(good.clone()).unwrap();
        // Contents of the members only: header fields such as the owner are not vouched for.
        for at in sample.content_offsets(&good) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let category = classify(&check(bad).unwrap_err()).category;
            assert!(
                [Category::PackageCorrupt, Category::NotAnImage].contains(&category),
                "a change at {at}: {category:?}"
            );
        }
    }

    #[test]
    fn a_package_cut_anywhere_is_noticed() {
        for whole in [Sample::new().plain(), Sample::new().framed()] {
            for len in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
                // A plain tar that lost only zeros of its end mark is whole.
                if whole[len..].iter().all(|b| *b == 0) && len + 512 >= whole.len() {
                    continue;
                }
                let error = check(whole[..len].to_vec()).expect_err("a cut");
                let category = classify(&error).category;
                // The first bytes of a plain tar are not known for one.
                let unknown = category == Category::NotAnImage && len < 512;
                assert!(category == Category::PackageCorrupt || unknown, "{len}: {error:#}");
            }
        }
    }

    #[test]
    fn zeros_may_follow_and_nothing_else() {
        for mut whole in [Sample::new().plain(), Sample::new().framed()] {
            whole.resize(whole.len() + 5000, 0);
            check(whole.clone()).unwrap();
            whole.push(1);
            let error = check(whole).unwrap_err();
            assert_eq!(classify(&error).category, Category::PackageCorrupt);
        }
    }
}
