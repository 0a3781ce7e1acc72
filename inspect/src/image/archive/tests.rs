use std::io::Read;

use proptest::prelude::*;
use tar::{Builder, EntryType};

use super::*;
use crate::failure::{Category, classify};

fn range(bytes: &[u8]) -> FileRange {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    FileRange::open(file.path()).unwrap()
}

fn index(bytes: &[u8]) -> anyhow::Result<TarIndex> {
    TarIndex::read(range(bytes), "it")
}

/// A tar of `NAME=CONTENT`, `NAME->SYMLINK` and `NAME=>HARDLINK`.
fn tar(lines: &[&str]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for line in lines {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        if let Some((name, to)) = line.split_once("->") {
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, name, to).unwrap();
        } else if let Some((name, to)) = line.split_once("=>") {
            header.set_entry_type(EntryType::Link);
            tar.append_link(&mut header, name, to).unwrap();
        } else {
            let (name, content) = line.split_once('=').unwrap();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

fn text(index: &TarIndex, name: &str) -> Option<String> {
    let mut text = String::new();
    index.file(name).unwrap()?.read_to_string(&mut text).unwrap();
    Some(text)
}

#[test]
fn finds_files_through_links() {
    let long = format!("{}/file", "d".repeat(300));
    let lines =
        ["a=1", "b/layer.tar->../a", "c=>b/layer.tar", &format!("{long}=long"), "a=2", "d=>a"];
    let index = index(&tar(&lines)).unwrap();
    assert_eq!(index.members().len(), 6);
    for (name, wanted) in
        [("a", "2"), ("./b//layer.tar", "2"), ("d", "2"), ("c", "2"), (&long, "long")]
    {
        assert_eq!(text(&index, name).as_deref(), Some(wanted), "{name}");
    }
    assert_eq!(text(&index, "absent"), None);
    let header = &index.members()[3];
    assert!(header.content_offset - header.header_offset > BLOCK, "its long name belongs to it");
    assert_eq!(index.trailer().size() % BLOCK, 0);
}

#[test]
fn a_hard_link_means_the_file_that_stood_before_it() {
    let index = index(&tar(&["a=1", "b=>a", "a=2"])).unwrap();
    assert_eq!(text(&index, "b").unwrap(), "1");
}

#[test]
fn links_that_lead_nowhere_are_errors() {
    let index = index(&tar(&["a->b", "b->a", "c->../../etc/passwd", "d->gone", "e=>e"])).unwrap();
    for name in ["a", "c", "d", "e", "../x"] {
        let error = index.file(name).unwrap_err();
        assert_eq!(classify(&error).category, Category::NotAnImage, "{name}: {error}");
    }
}

#[test]
fn extended_headers_count() {
    let mut tar = Builder::new(Vec::new());
    let name = "x".repeat(200);
    tar.append_pax_extensions([("path", name.as_bytes()), ("size", b"5")]).unwrap();
    let mut header = Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_size(0);
    header.set_cksum();
    tar.append(&header, &b""[..]).unwrap();
    let mut bytes = tar.into_inner().unwrap();
    // The size of the extended header counts: content stands where the builder wrote the trailer.
    bytes[3 * 512..3 * 512 + 5].copy_from_slice(b"hello");
    bytes.extend([0; 1024]);
    let index = index(&bytes).unwrap();
    assert_eq!(text(&index, &name).as_deref(), Some("hello"));
    assert_eq!(index.members()[0].header_offset, 0);
}

#[test]
fn a_truncated_archive_is_an_error() {
    let whole = tar(&["a=1", "b=some text"]);
    for (len, is_error) in [
        (511, true),
        (512, true),
        (1023, false),
        (1024, false),
        (1100, true),
        (1544, true),
        (1545, false),
    ] {
        assert_eq!(index(&whole[..len]).is_err(), is_error, "{len}");
    }
    let mut broken = whole.clone();
    broken[1024] ^= 1;
    assert_eq!(classify(&index(&broken).unwrap_err()).category, Category::NotAnImage);
}

#[test]
fn a_malformed_extension_header_is_an_error() {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_size(512);
    header.set_cksum();
    for (content, is_error) in
        [("9 path=a\n", false), ("9 path=ab", true), ("9 path=a\n7 path\n", true)]
    {
        let mut archive = header.as_bytes().to_vec();
        archive.extend(content.bytes());
        archive.resize(1024, 0);
        archive.extend(tar(&["b=1"]));
        assert_eq!(index(&archive).is_err(), is_error, "{content:?}");
    }
}

#[test]
fn huge_sizes_are_refused() {
    let mut header = Header::new_gnu();
    header.set_path("a").unwrap();
    header.set_size(u64::MAX - 100);
    header.set_cksum();
    let error = index(header.as_bytes()).unwrap_err();
    assert_eq!(classify(&error).category, Category::NotAnImage);
    header.set_entry_type(EntryType::XHeader);
    header.set_size(2 << 20);
    header.set_cksum();
    assert_eq!(classify(&index(header.as_bytes()).unwrap_err()).category, Category::Limit);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics(mut flips in prop::collection::vec((0usize..4096, any::<u8>()), 1..20), fix in any::<bool>()) {
        let mut bytes = tar(&["a=1", "b->a", "c=some text", &format!("{}=x", "n".repeat(120))]);
        for (at, value) in flips.drain(..) {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        for block in bytes.chunks_mut(512).filter(|_| fix) {
            let sum = checksum(block.first_chunk().unwrap());
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        if let Ok(index) = index(&bytes) {
            for member in index.members() {
                prop_assert!(member.content_offset + member.size <= bytes.len() as u64);
                let _ = index.file(&String::from_utf8_lossy(&member.name));
            }
        }
    }
}
