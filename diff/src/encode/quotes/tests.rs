#![allow(clippy::unwrap_used)]

use super::*;
use crate::encode::opened::samples::{Stored, zip};
use crate::encode::tests::{encoded, noise, tar};
use crate::encode::{Encoded, Means};
use crate::program::ids::{encoding, generator};

/// The text of a digest of bytes.
fn text(hash: Hash, form: Form, bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(hash);
    hasher.update(bytes);
    String::from_utf8(form.text(&hasher.finish())).unwrap()
}

/// 200 files; those of a later version differ in some bytes.
fn files(version: u8) -> Vec<Vec<u8>> {
    let file = |number: u64| {
        let mut bytes = noise(number + 1, 300);
        bytes[17] = version;
        bytes
    };
    (0..200).map(file).collect()
}

/// A list of the files as this writes each.
fn list(files: &[Vec<u8>], line: impl Fn(usize, &[u8]) -> String) -> Vec<u8> {
    let lines = files.iter().enumerate().map(|(number, bytes)| line(number, bytes));
    lines.collect::<String>().into_bytes()
}

/// Encodes the second version of files and of a list with this name against the first.
fn versions(name: &str, line: impl Fn(usize, &[u8]) -> String) -> (u64, Encoded) {
    let names: Vec<String> = (0..200).map(|number| format!("m/f{number:03}")).collect();
    let archive = |version| {
        let files = files(version);
        let list = list(&files, &line);
        let mut parts = vec![(name, &list[..], u64::from(version))];
        parts.extend(names.iter().zip(&files).map(|(n, f)| (n.as_str(), &f[..], 1)));
        parts.sort();
        tar(&parts)
    };
    encoded(archive(2), &[archive(1)])
}

fn ids(encoded: &Encoded, registry: u64) -> Vec<u64> {
    let ids = encoded.summary.head.ids.iter().filter(|id| id.0 == registry);
    ids.map(|id| id.1).collect()
}

#[test]
fn a_list_before_its_files_is_computed() {
    let (len, encoded) = versions("a/RECORD", |number, bytes| {
        let digest = text(Hash::Sha256, Form::Base64Url, bytes);
        format!("m/f{number:03},sha256={digest},{}\n", bytes.len())
    });
    assert!(len < 1500, "{len}");
    assert_eq!(encoded.summary.head.kept.len(), 1);
    assert_eq!(encoded.made.len(), 201);
    assert_eq!(encoded.made.iter().filter(|made| made.means == Means::Edit).count(), 200);
    assert!(ids(&encoded, 2).contains(&generator::BASE64_URL));
    assert!(ids(&encoded, 2).contains(&generator::BASE_ENTRY));
}

#[test]
fn a_list_after_its_files_needs_no_kept_object() {
    let (len, encoded) = versions("z/md5sums", |number, bytes| {
        format!("{}  m/f{number:03}\n", text(Hash::Md5, Form::Hex, bytes))
    });
    assert!(len < 1500, "{len}");
    assert_eq!(encoded.summary.head.kept.len(), 0);
    assert_eq!(ids(&encoded, 5), [encoding::MD5]);
}

/// A wheel of the files with a list of them.
fn wheel(version: u8, list_last: bool) -> Vec<u8> {
    let files = files(version);
    let list = list(&files, |number, bytes| {
        let digest = text(Hash::Sha256, Form::Base64Url, bytes);
        format!("m/f{number:03},sha256={digest},{}\n", bytes.len())
    });
    let names: Vec<String> = (0..200).map(|number| format!("m/f{number:03}")).collect();
    let file = |(name, bytes)| (String::as_str(name), Vec::as_slice(bytes), Stored::No);
    let mut members: Vec<_> = names.iter().zip(&files).map(file).collect();
    let place = if list_last { members.len() } else { 0 };
    members.insert(place, ("m.dist-info/RECORD", &list, Stored::No));
    zip(&members)
}

#[test]
fn a_list_of_members_of_an_archive_is_computed() {
    for (list_last, kept) in [(true, 1), (false, 2)] {
        let archive = |version| tar(&[("m.whl", &wheel(version, list_last), version.into())]);
        let (len, encoded) = encoded(archive(2), &[archive(1)]);
        assert!(ids(&encoded, 2).contains(&generator::BASE64_URL));
        assert_eq!(encoded.summary.head.kept.len(), kept, "the base's members, then quoted ones");
        assert_eq!(encoded.made.len(), 1);
        assert!(encoded.made[0].cost > len / 2, "{} of {len}", encoded.made[0].cost);
        assert!(len < 200 * 32, "{len}");
    }
}

#[test]
fn a_file_may_be_quoted_in_several_ways() {
    let (len, encoded) = versions("a/list", |number, bytes| {
        let sha1 = text(Hash::Sha1, Form::Base64, bytes);
        format!("F:f{number}\nZ:Q1{sha1}=\nS:{}\n", text(Hash::Sha512, Form::Hex, bytes))
    });
    assert!(len < 2500, "{len}");
    assert_eq!(ids(&encoded, 5), [encoding::SHA1, encoding::SHA512]);
}

#[test]
fn lists_of_lists_are_computed() {
    let archive = |version| {
        let file = noise(version, 4000);
        let hex = |bytes: &[u8]| text(Hash::Sha256, Form::Hex, bytes).into_bytes();
        let files = [&b"{\"file\": \""[..], &hex(&file), b"\"}"].concat();
        let manifest = [&b"{\"files\": \""[..], &hex(&files), b"\"}"].concat();
        let record = [&b"manifest,"[..], &hex(&manifest), b",files,", &hex(&files)].concat();
        tar(&[
            ("RECORD", &record, 1),
            ("FILES.json", &files, 1),
            ("MANIFEST.json", &manifest, 1),
            ("plugins/file", &file, 1),
        ])
    };
    let (len, encoded) = encoded(archive(2), &[archive(1)]);
    assert!(len < 4000 + 500, "{len}");
    assert_eq!(encoded.summary.head.kept.len(), 3);
}

#[test]
fn digests_of_other_files_stay_text() {
    let (len, encoded) = versions("a/list", |number, bytes| {
        format!("{}  m/f{number:03}\n", text(Hash::Md5, Form::Hex, &[bytes, b"!"].concat()))
    });
    assert!(len > 200 * 16, "{len}");
    assert_eq!((ids(&encoded, 5).len(), encoded.summary.head.kept.len()), (0, 0));
}
