//! Tars of every format: made by hand, by a library and by tar itself.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

fn entries(tar: &[u8]) -> (Vec<TarEntry>, Walked) {
    let mut entries = Vec::new();
    let walked = walk(tar, |entry| {
        entries.push(entry);
        Ok(())
    })
    .unwrap();
    assert_eq!((walked.digest, walked.size), (Digest::of(tar), tar.len() as u64));
    for entry in &entries {
        let start = entry.content_offset as usize;
        let content = &tar[start..start + entry.size as usize];
        assert_eq!(entry.digest, (entry.size > 0).then(|| Digest::of(content)));
        assert!(entry.header_offset < entry.content_offset);
    }
    (entries, walked)
}

/// A header block with a right check sum.
fn block(path: &[u8], type_flag: u8, size: usize, edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0001750\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000012\0");
    block[156] = type_flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    edit(&mut block);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    content.resize(content.len().next_multiple_of(512), 0);
    content
}

fn extension(type_flag: u8, content: &[u8]) -> Vec<u8> {
    [block(b"ext", type_flag, content.len(), |_| {}), padded(content)].concat()
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

#[test]
fn plain_entries() {
    let tar = [
        block(b"usr/", b'5', 0, |_| {}),
        block(b"bin", b'0', 600, |b| b[345..351].copy_from_slice(b"a/very")),
        padded(&[7; 600]),
        block(b"l", b'2', 0, |b| b[157..162].copy_from_slice(b"../to")),
        // A hard link has no content, whatever its size says.
        block(b"h", b'1', 600, |b| b[157] = b'x'),
        block(b"usr/.wh.gone", b'0', 0, |_| {}),
        end(),
    ]
    .concat();
    let (entries, walked) = entries(&tar);
    assert!(walked.tar);
    assert_eq!(walked.entries_end, tar.len() as u64 - 1024);
    let paths: Vec<_> = entries.iter().map(|e| e.path.as_slice()).collect();
    assert_eq!(paths, [&b"usr/"[..], b"a/very/bin", b"l", b"h", b"usr/.wh.gone"]);
    assert_eq!(
        entries.iter().map(|e| e.kind).collect::<Vec<_>>(),
        [
            EntryKind::Directory,
            EntryKind::File,
            EntryKind::Symlink,
            EntryKind::Hardlink,
            EntryKind::File
        ]
    );
    let file = &entries[1];
    assert_eq!((file.mode, file.uid, file.gid, file.mtime), (0o644, 1000, 0, 10));
    assert_eq!((file.size, file.header_offset, file.content_offset), (600, 512, 1024));
    assert_eq!(entries[2].link.as_deref(), Some(&b"../to"[..]));
    assert_eq!((entries[3].size, entries[3].link.as_deref()), (0, Some(&b"x"[..])));
    assert!(entries[4].is_whiteout() && !file.is_whiteout());
}

#[test]
fn extension_headers_belong_to_their_entry() {
    let long = [b'n'; 300];
    let tar = [
        extension(b'g', b"12 gid=4711\n"),
        block(b"first", b'0', 0, |_| {}),
        extension(b'x', b"8 path=p\n9 size=5\n20 mtime=1700000000.9\n"),
        block(b"made-up", b'0', 5, |_| {}),
        padded(b"12345"),
        extension(b'L', &[&long[..], b"\0"].concat()),
        extension(b'K', b"target\0"),
        block(b"short", b'2', 0, |b| b[257..265].copy_from_slice(b"ustar  \0")),
        end(),
    ]
    .concat();
    let (entries, _) = entries(&tar);
    assert_eq!(entries.iter().map(|e| e.header_offset).collect::<Vec<_>>(), [0, 1536, 3584]);
    assert_eq!(entries.iter().map(|e| e.gid).collect::<Vec<_>>(), [4711; 3]);
    // "8 path=p\n" has 9 bytes: the header ends there.
    assert_eq!((entries[1].path.as_slice(), entries[1].size), (&b"made-up"[..], 5));
}

#[test]
fn pax_values_replace_the_headers() {
    let tar = [
        extension(b'x', b"9 path=p\n9 size=5\n22 mtime=1700000000.9\n"),
        block(b"made-up", b'0', 0, |_| {}),
        padded(b"12345"),
        extension(b'L', &[b'n'; 300]),
        extension(b'K', b"target\0"),
        block(b"short", b'2', 0, |b| b[257..265].copy_from_slice(b"ustar  \0")),
    ]
    .concat();
    let (entries, walked) = entries(&tar);
    assert_eq!((entries[0].path.as_slice(), entries[0].size), (&b"p"[..], 5));
    assert_eq!(entries[0].mtime, 1_700_000_000);
    assert_eq!((entries[1].path.len(), entries[1].link.as_deref()), (300, Some(&b"target"[..])));
    assert_eq!(walked.entries_end, tar.len() as u64, "no end-of-archive is no harm");
}

#[test]
fn sparse_files_are_as_stored() {
    let continued = [vec![0; 504], vec![1], vec![0; 7], vec![0; 512]].concat();
    let tar = [
        block(b"old", b'S', 512, |b| {
            b[257..265].copy_from_slice(b"ustar  \0");
            b[482] = 1;
        }),
        continued,
        padded(&[9; 512]),
        extension(b'x', b"22 GNU.sparse.major=1\n23 GNU.sparse.name=big\n"),
        block(b"GNUSparseFile.0/big", b'0', 513, |_| {}),
        padded(&[8; 513]),
        end(),
    ]
    .concat();
    let (entries, _) = entries(&tar);
    assert_eq!(entries[0].kind, EntryKind::Sparse);
    assert_eq!((entries[0].content_offset, entries[0].size), (512 * 3, 512));
    assert_eq!((entries[1].path.as_slice(), entries[1].size), (&b"big"[..], 513));
    assert_eq!(entries[1].kind, EntryKind::Sparse);
}

#[test]
fn where_it_is_no_tar_the_rest_is_raw() {
    let entry = [block(b"a", b'0', 3, |_| {}), padded(b"abc")].concat();
    let cases: [(Vec<u8>, usize, bool); 8] = [
        (Vec::new(), 0, false),
        (b"not a tar".repeat(100), 0, false),
        (end(), 0, true),
        ([&entry[..], b"garbage".repeat(200).as_slice()].concat(), 1, true),
        ([&entry[..], &[0; 512], &entry, &end()].concat(), 2, true),
        ([&entry[..], &end(), &entry].concat(), 1, true),
        ([&entry[..], &extension(b'x', b"9 path=p\n"), &end()].concat(), 1, true),
        ([&entry[..], &block(b"b", b'0', 1 << 30, |_| {}), b"short"].concat(), 1, true),
    ];
    for (tar, count, is_tar) in cases {
        let (entries, walked) = entries(&tar);
        assert_eq!((entries.len(), walked.tar), (count, is_tar));
    }
    for cut in 0..entry.len() {
        let (entries, _) = entries(&entry[..cut]);
        // Content that is whole is an entry, padded or not.
        assert_eq!(entries.len(), usize::from(cut >= 512 + 3), "{cut}");
    }
}

#[test]
fn what_a_library_writes() {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in [("a", &b"1"[..]), (&"d/f".repeat(80), b"22"), ("ü", b"")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, path, content).unwrap();
    }
    let (entries, _) = entries(&builder.into_inner().unwrap());
    let sizes: Vec<_> = entries.iter().map(|e| (e.path.len(), e.size, e.mode)).collect();
    assert_eq!(sizes, [(1, 1, 0o755), (240, 2, 0o755), (2, 0, 0o755)]);
}

/// tar's own formats, with long names, links and a hole.
#[test]
fn what_tar_writes() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("n".repeat(120)).join("m".repeat(120));
    std::fs::create_dir_all(&long).unwrap();
    std::fs::write(long.join("file"), b"content").unwrap();
    std::os::unix::fs::symlink("x".repeat(150), dir.path().join("link")).unwrap();
    let hole = std::fs::File::create(dir.path().join("hole")).unwrap();
    hole.set_len(1 << 20).unwrap();
    (&hole).write_all(b"start").unwrap();
    for format in ["gnu", "pax", "oldgnu"] {
        let mut command = Command::new("tar");
        command.args(["-c", "--sort=name", "--sparse", "--ignore-failed-read", "--format", format]);
        let output = command.arg("-C").arg(dir.path()).arg(".").stderr(Stdio::null()).output();
        let tar = output.unwrap().stdout;
        let (entries, walked) = entries(&tar);
        assert!(walked.tar && walked.entries_end + 1024 <= walked.size, "{format}");
        let hole = entries.iter().find(|e| e.path == b"./hole").unwrap();
        assert_eq!(hole.kind, EntryKind::Sparse, "{format} {hole:?}");
        assert!(hole.size < 100_000);
        assert!(entries.iter().any(|e| e.path.len() == 2 + 120 + 1 + 120 + 5), "{format}");
        assert!(entries.iter().any(|e| e.link.as_ref().is_some_and(|l| l.len() == 150)));
    }
}

proptest! {
    #[test]
    fn no_input_is_too_odd(mut tar in prop::collection::vec(prop_oneof![
        Just(block(b"a", b'0', 3, |_| {})),
        Just(block(b"a", b'x', 20, |_| {})),
        Just(block(b"a", b'S', 20, |b| b[482] = 1)),
        Just(block(b"a", b'0', 0, |b| b[124..136].fill(0xff))),
        Just(block(b"a", b'L', 0, |b| b[124..136].copy_from_slice(b"77777777777\0"))),
        Just(vec![0; 512]),
        prop::collection::vec(any::<u8>(), 1..600),
    ], 0..12).prop_map(|parts| parts.concat()), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        entries(&tar);
        if !tar.is_empty() {
            let at = at.index(tar.len());
            tar[at] ^= 1 << bit;
            entries(&tar);
        }
    }
}
