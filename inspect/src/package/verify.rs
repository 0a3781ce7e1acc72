//! Verifying a package without a base.

use std::io::{self, Read};

use super::BlobKind;
use super::reader::Reader;

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Blobs that have their declared digest and size, recipe and documents among them.
    pub blobs: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Bytes of a program that [`verify`] hands to its caller.
pub const PROGRAM_HEAD_LEN: u64 = 64 << 10;

/// Reads a whole package and checks every blob; `program` looks at the first bytes of each delta program.
///
/// # Errors
/// `package-corrupt` for what does not verify, for a package that is cut off or has something after it;
/// what `program` fails with.
pub fn verify(
    mut reader: Reader,
    mut program: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let infos = reader.blobs().to_vec();
    let mut report = Report { blobs: 0, bytes: 0 };
    for (number, info) in (0_u32..).zip(&infos) {
        // Recipe and documents were verified when the package was opened.
        let first = infos.iter().position(|other| other.digest == info.digest);
        if number >= 2 && first == usize::try_from(number).ok() {
            let mut blob = reader.blob(number)?;
            if info.kind == Some(BlobKind::Program) {
                let mut head = Vec::new();
                (&mut blob).take(PROGRAM_HEAD_LEN).read_to_end(&mut head)?;
                program(&head)?;
            }
            io::copy(&mut blob, &mut io::sink())?;
        }
        report.blobs += 1;
        report.bytes += info.size;
    }
    reader.finish()?;
    Ok(report)
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
        verify(Reader::open(Cursor::new(bytes), &Options::default())?, |_| Ok(()))
    }

    #[test]
    fn counts_every_blob() {
        let sample = Sample::new();
        let mut heads = Vec::new();
        let reader = Reader::open(Cursor::new(sample.framed()), &Options::default()).unwrap();
        let report = verify(reader, |head| {
            heads.push(head.to_vec());
            Ok(())
        })
        .unwrap();
        let bytes = sample.blobs.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert_eq!(report, Report { blobs: sample.blobs.len() as u64, bytes });
        assert_eq!(heads, [b"program".to_vec()]);
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
                assert_eq!(classify(&error).category, Category::PackageCorrupt, "{len}: {error:#}");
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
