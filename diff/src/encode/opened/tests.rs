#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::samples::{Stored, deflated, elf, gzip, text, zip};
use super::*;
use crate::encode::tests::{encoded, layer, noise, round_trip, tar};
use crate::encode::{Means, Options};

/// A text with a changed line.
fn changed(text: &[u8]) -> Vec<u8> {
    let mut changed = text.to_vec();
    let middle = changed.len() / 2;
    changed.splice(middle..middle + 10, *b"a new thing\n");
    changed
}

/// Payload lengths with archives opened and closed, of one file that changed.
fn lens(path: &str, old: &[u8], new: &[u8]) -> (u64, u64) {
    let (base, target) = (layer(tar(&[(path, old, 1)])), layer(tar(&[(path, new, 2)])));
    let bases = std::slice::from_ref(&base);
    let opened = round_trip(&target, bases, &Options::default()).0;
    let closed = Options { search: false, ..Options::default() };
    (opened, round_trip(&target, bases, &closed).0)
}

#[test]
fn members_of_an_archive_are_compared_as_content() {
    let (a, b, c) = (text(1, 60_000), text(2, 60_000), noise(3, 20_000));
    let archive = |b: &[u8], c: &[u8]| {
        zip(&[("x/a.py", &a, Stored::No), ("x/b.py", b, Stored::No), ("x/c.so", c, Stored::Yes)])
    };
    let mut other = c.clone();
    other[1000] ^= 1;
    let (opened, closed) = lens("app.whl", &archive(&b, &c), &archive(&changed(&b), &other));
    assert!(opened < 500, "{opened}");
    assert!(closed > 40_000, "{closed}");
}

#[test]
fn an_archive_may_stand_behind_what_starts_it() {
    let (a, b, c) = (text(1, 60_000), text(2, 60_000), text(3, 9_000));
    let script = |line: &[u8], b: &[u8]| {
        let members = [("x/a.py", &a[..], Stored::No), ("x/b.py", b, Stored::No)];
        [line, &zip(&[members[0], members[1], ("x/c.py", &c, Stored::No)])].concat()
    };
    let old = script(b"#!/usr/bin/env python3\n", &b);
    let new = script(b"#!/usr/bin/python3\n", &changed(&b));
    let (opened, closed) = lens("bin/app", &old, &new);
    assert!(opened < 500, "{opened}");
    assert!(closed > 10_000, "{closed}");
}

#[test]
fn members_are_paired_by_name_without_digits_and_moved() {
    let (a, b) = (text(1, 50_000), text(2, 50_000));
    let old = zip(&[("p-1.0/a", &a, Stored::No), ("p-1.0/b", &b, Stored::No)]);
    let new = zip(&[
        ("p-1.10/b", &changed(&b), Stored::No),
        ("p-1.10/a", &a, Stored::No),
        ("p-1.10/new", b"something that is new, and long enough to be worth it", Stored::No),
    ]);
    let (opened, _) = lens("app.jar", &old, &new);
    assert!(opened < 700, "{opened}");
}

#[test]
fn gzip_files_and_what_is_in_them_are_opened() {
    let (a, b) = (text(1, 80_000), text(2, 30_000));
    let (opened, closed) = lens("man.1.gz", &gzip(&a), &gzip(&changed(&a)));
    assert!(opened < 400, "{opened}");
    assert!(closed > 10_000, "{closed}");
    let nested = |a: &[u8], b: &[u8]| {
        let inner = zip(&[("a", a, Stored::No), ("b", b, Stored::Yes)]);
        let jar = zip(&[("lib/inner.jar", &inner, Stored::Yes), ("b.gz", &gzip(b), Stored::No)]);
        gzip(&jar)
    };
    let (old, new) = (nested(&a, &b), nested(&changed(&a), &changed(&b)));
    let (opened, _) = lens("all.tar.gz", &old, &new);
    assert!(opened < 1100, "{opened}");
}

#[test]
fn gzip_files_of_several_members_are_opened() {
    let (signature, index) = (noise(1, 256), text(2, 80_000));
    let file = |signature: &[u8], index: &[u8]| [gzip(signature), gzip(index)].concat();
    let (old, new) = (file(&signature, &index), file(&noise(3, 256), &changed(&index)));
    let (opened, closed) = lens("var/cache/apk/index.tar.gz", &old, &new);
    assert!(opened < 800, "{opened}");
    assert!(closed > 10_000, "{closed}");
}

#[test]
fn files_of_gnu_gzip_and_go_are_opened() {
    use dd_extract::encoding::stream::{GoRelease, Known};
    let a = text(1, 80_000);
    for (known, system) in [
        (Known::Gnu { level: 9 }, 3),
        (Known::Go { release: GoRelease::V1_16, level: 9, flush: false }, 255),
    ] {
        let file = |plain: &[u8]| {
            let mut file = gzip(plain);
            let trailer = file.split_off(file.len() - 8);
            file.truncate(10);
            file[9] = system;
            [file, known.encode(plain).unwrap(), trailer].concat()
        };
        let (opened, closed) = lens("man.1.gz", &file(&a), &file(&changed(&a)));
        assert!(opened < 400, "{known} {opened}");
        assert!(closed > 10_000, "{known} {closed}");
    }
}

#[test]
fn compressed_sections_of_programs_are_opened() {
    let (program, info, line) = (noise(1, 50_000), text(2, 80_000), text(3, 40_000));
    let file = |program: &[u8], info: &[u8], rest: &[u8]| {
        elf(program, &[(".debug_info", info), (".debug_line", &line)], rest)
    };
    let mut other = program.clone();
    other.splice(20_000..20_000, *b"some new code");
    let old = file(&program, &info, &text(4, 5_000));
    let new = file(&other, &changed(&info), &changed(&text(4, 5_000)));
    let (opened, closed) = lens("bin/program", &old, &new);
    assert!(opened < 800, "{opened}");
    assert!(closed > 70_000, "{closed}");
}

#[test]
fn new_files_are_opened_where_it_pays() {
    let (a, b) = (text(1, 60_000), noise(2, 9_000));
    let only = |files: &[(&str, &[u8], u64)]| {
        let (target, base) = (layer(tar(files)), layer(tar(&[("other", b"x", 1)])));
        let opened = round_trip(&target, std::slice::from_ref(&base), &Options::default());
        let closed = Options { search: false, ..Options::default() };
        (opened.0, round_trip(&target, &[base], &closed).0, opened.1)
    };
    let (opened, closed, encoded) = only(&[("n.gz", &gzip(&a), 1)]);
    assert!(opened < closed * 97 / 100, "{opened} {closed}");
    assert_eq!(encoded.made[0].means, Means::Literal);
    let (opened, closed, _) = only(&[("n.gz", &gzip(&b), 1)]);
    assert!(opened <= closed + 8, "{opened} {closed}");
    let archive = zip(&[("a", &a, Stored::No), ("b", &b, Stored::No)]);
    let (opened, closed, _) = only(&[("n.zip", &archive, 1)]);
    assert!(opened < closed - 300, "{opened} {closed}");
}

#[test]
fn a_compressed_file_may_have_been_none() {
    let a = text(1, 60_000);
    let base = layer(tar(&[("doc/x/changelog", &a, 1), ("doc/y/changelog", b"other", 1)]));
    let target = layer(tar(&[("doc/x/changelog.gz", &gzip(&changed(&a)), 2)]));
    let (len, encoded) = round_trip(&target, &[base], &Options::default());
    assert!(len < 500, "{len}");
    assert_eq!(encoded.made[0].means, Means::Edit);
}

#[test]
fn contents_that_are_compressed_again_are_bounded() {
    let line = |file: u32, n: u32| {
        format!("line {} of a file {file} that says the same again and again\n", n * 7919 % 10_007)
    };
    let files: Vec<(String, Vec<u8>)> = (0..20)
        .map(|file| {
            let plain: String = (0..1500).map(|n| line(file, n)).collect();
            (format!("z{file}.gz"), gzip(plain.as_bytes()))
        })
        .collect();
    let files: Vec<_> = files.iter().map(|(path, file)| (path.as_str(), &file[..], 1)).collect();
    let all: usize = files.iter().map(|(_, file, _)| file.len()).sum();
    // Some stay closed, because all contents are more than ten times as long as the layer.
    let (len, _) = encoded(tar(&files), &[tar(&[("other", b"x", 1)])]);
    assert!(len < all as u64 * 9 / 10 && len > all as u64 / 10, "{len} of {all}");
}

#[test]
fn content_may_be_many_times_as_long() {
    let line = |n: u32| {
        format!("line {} of a file that says the same again and again\n", n * 7919 % 10_007)
    };
    let words = (0..1500).map(line).collect::<String>().into_bytes();
    let (old, new) = (gzip(&words), gzip(&changed(&words)));
    assert!(words.len() > old.len() * 10);
    let base = [("a.gz", &old[..], 1), ("b", b"", 1)];
    let target = [("a.gz", &new[..], 2), ("c.gz", &old[..], 2)];
    let (_, encoded) = encoded(tar(&target), &[tar(&base)]);
    assert_eq!(encoded.summary.head.kept[0].size, words.len() as u64);
}

#[test]
fn what_no_encoder_gives_stays_closed() {
    let a = text(1, 40_000);
    let strange = |plain: &[u8]| {
        let mut file = gzip(plain);
        let at = file.len() / 2;
        file[at] ^= 0x40;
        file
    };
    let (opened, _) = lens("a.gz", &strange(&a), &strange(&changed(&a)));
    assert!(opened > 3_000, "{opened}");
    let level_0 =
        [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &deflated(0, 8, &a), &[0; 8]].concat();
    lens("b.gz", &gzip(&a), &level_0);
}

#[test]
fn unchanged_members_are_copied_closed() {
    let (a, b) = (text(1, 60_000), text(2, 60_000));
    let archive = |b: &[u8]| zip(&[("a", &a, Stored::No), ("b", b, Stored::No)]);
    let base = layer(tar(&[("x.zip", &archive(&b), 1)]));
    let target = layer(tar(&[("x.zip", &archive(&changed(&b)), 1)]));
    let (_, encoded) = round_trip(&target, &[base], &Options::default());
    let kept = &encoded.summary.head.kept;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].size, 60_000);
    assert_eq!(encoded.made.len(), 1);
    assert_eq!((encoded.made[0].file, encoded.made[0].means), (0, Means::Edit));
}

#[test]
fn bombs_and_lies_stay_closed() {
    let bomb = gzip(&vec![0; 1 << 20]);
    let mut other = vec![0; 1 << 20];
    other[7] = 1;
    let (_, encoded) = encoded(tar(&[("a.gz", &gzip(&other), 1)]), &[tar(&[("a.gz", &bomb, 1)])]);
    assert!(encoded.summary.head.kept.is_empty());
    let a = text(1, 40_000);
    let mut lie = gzip(&changed(&a));
    let end = lie.len();
    lie[end - 4..].copy_from_slice(&77_000_u32.to_le_bytes());
    let (opened, _) = lens("a.gz", &gzip(&a), &lie);
    assert!(opened > 3_000, "{opened}");
}

#[test]
fn the_longest_covers_are_kept() {
    let cover = |at: u64| Cover { target: at, base: 0, len: at % 7 + 1 };
    let mut covers: Vec<Cover> = (0..50_000).map(cover).collect();
    bound(&mut covers);
    assert_eq!(covers.len(), MAX_COVERS);
    assert!(covers.is_sorted_by_key(|cover| cover.target));
    assert!(covers.iter().filter(|cover| cover.len == 7).count() > 7000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_archive_comes_back(
        members in proptest::collection::vec((0_u64..5, 0_usize..4000, any::<bool>()), 0..6),
        edits in proptest::collection::vec((0_usize..6, 0_usize..4000, any::<u8>()), 0..6),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        wrapped: bool,
    ) {
        let names: Vec<String> = (0..members.len()).map(|number| format!("d/m{number}")).collect();
        let contents: Vec<Vec<u8>> = members.iter().map(|&(seed, len, _)| text(seed, len)).collect();
        let archive = |contents: &[Vec<u8>]| {
            let stored = |number: usize| if members[number].2 { Stored::Yes } else { Stored::No };
            let parts: Vec<_> = names.iter().zip(contents).enumerate().map(|(number, (name, content))| (name.as_str(), content.as_slice(), stored(number))).collect();
            let archive = zip(&parts);
            if wrapped { gzip(&archive) } else { archive }
        };
        let old = archive(&contents);
        let mut changed = contents.clone();
        for (member, at, byte) in edits {
            if let Some(content) = changed.get_mut(member) {
                let at = at.min(content.len());
                content.insert(at, byte);
            }
        }
        let mut new = archive(&changed);
        if let Some((at, byte)) = damage {
            let at = at.index(new.len());
            new[at] = byte;
        }
        let (base, target) = (layer(tar(&[("x.zip", &old, 1)])), layer(tar(&[("x.zip", &new, 1)])));
        round_trip(&target, std::slice::from_ref(&base), &Options::default());
        round_trip(&base, &[target], &Options::default());
    }
}

#[test]
fn framing_is_computed() {
    let names: Vec<String> = (0..60).map(|n| format!("a/b/m{n}")).collect();
    let texts: Vec<Vec<u8>> = (0..60).map(|n| text(n, 200)).collect();
    let archive = |count: usize, step: usize| {
        let at = |n: usize| (n * step) % count;
        let members: Vec<_> =
            (0..count).map(|n| (names[at(n)].as_str(), &texts[at(n)][..], Stored::No)).collect();
        zip(&members)
    };
    let ids = |old: &[u8], new: &[u8]| {
        let (base, target) = (layer(tar(&[("x.whl", old, 1)])), layer(tar(&[("x.whl", new, 1)])));
        let (len, encoded) = round_trip(&target, &[base], &Options::default());
        let used = encoded.summary.head.ids.contains(&(2, 3));
        (len, used && encoded.made[0].means == Means::Edit)
    };
    let (old, new) = (archive(60, 1), archive(60, 7));
    let (len, used) = ids(&old, &new);
    assert!(used && len < 500, "{len}");
    let mut odd = new.clone();
    let directory = odd.len() - 22 - 60 * 46;
    let name = odd[directory..].iter().position(|&byte| byte == b'm').unwrap();
    odd[directory + name] = b'n';
    assert!(!ids(&old, &odd).1, "a record of another name than the local header");
    assert!(!ids(&archive(2, 1), &archive(2, 3)).1, "few members");
}
