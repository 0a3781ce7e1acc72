//! Two versions of a real program, and files that lie.

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::super::tests::{layer, round_trip, tar};
use super::super::{Options, Technique};
use super::elf::Elf;
use crate::program::ids::model;

const FIRST: &str = r#"fn main() {
    let words: Vec<String> = std::env::args().collect();
    println!("{} {:?}", words.len(), words);
}"#;

const SECOND: &str = r#"use std::collections::BTreeMap;

fn main() {
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    for word in std::env::args() {
        *words.entry(word).or_default() += 1;
    }
    println!("{} {:?}", words.len(), words);
}"#;

/// A program made by the compiler that makes this test.
fn compiled(dir: &Path, source: &str) -> Vec<u8> {
    let (from, to) = (dir.join("program.rs"), dir.join("program"));
    std::fs::write(&from, source).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--edition", "2021", "-O", "-o"]).arg(&to).arg(&from);
    assert!(command.status().unwrap().success());
    std::fs::read(to).unwrap()
}

#[test]
fn a_real_program_comes_back_and_the_model_pays() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (compiled(dir.path(), FIRST), compiled(dir.path(), SECOND));
    let base = layer(tar(&[("bin/program", &first, 1)]));
    let target = layer(tar(&[("bin/program", &second, 2)]));
    let bases = std::slice::from_ref(&base);
    let (with, encoded) = round_trip(&target, bases, &Options::default());
    let without = [Technique::Executables].into_iter().collect();
    let (without, plain) =
        round_trip(&target, bases, &Options { level: 1, without, ..Options::default() });
    let (quick, encoded_quick) =
        round_trip(&target, bases, &Options { level: 1, ..Options::default() });
    let has_model = |encoded: &crate::encode::Encoded| {
        // Linkers differ in where they put tables of exceptions, and so in what follows.
        let ids = &encoded.summary.head.ids;
        let is_model = |id| ids.contains(&(1, id));
        is_model(model::X86_64_SYMBOLS) || is_model(model::X86_64_EXCEPTIONS)
    };
    assert!(!has_model(&plain));
    assert_eq!(has_model(&encoded), cfg!(all(target_arch = "x86_64", target_os = "linux")));
    assert_eq!(has_model(&encoded_quick), has_model(&encoded));
    assert!(with * 3 < without * 2, "{with} with the model, {without} without");
    assert!(quick * 5 < without * 4, "{quick} quickly, {without} without");
}

/// A program whose names do not end, and one whose table of frame descriptions has no address.
fn lying(program: &[u8]) -> [Vec<u8>; 2] {
    let elf = Elf::parse(program).unwrap();
    let (mut unending, mut nowhere) = (program.to_vec(), program.to_vec());
    let (_, names) = elf.symbols.unwrap();
    unending[names.end as usize - 1] = b'x';
    let index = elf.index.unwrap().start;
    let number = |at: usize| u64::from_le_bytes(*program[at..].first_chunk().unwrap());
    for number_of in 0..usize::from(program[56]) {
        let header = number(32) as usize + 56 * number_of;
        let (offset, len) = (number(header + 8), number(header + 32));
        if program[header] == 1 && (offset..offset + len).contains(&index) {
            nowhere[header] = 0;
        }
    }
    assert_ne!(nowhere, program);
    [unending, nowhere]
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn programs_whose_tables_lie_come_back_with_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (compiled(dir.path(), FIRST), compiled(dir.path(), SECOND));
    let base = layer(tar(&[("bin/program", &first, 1)]));
    for program in lying(&second) {
        let target = layer(tar(&[("bin/program", &program, 2)]));
        let (_, encoded) = round_trip(&target, std::slice::from_ref(&base), &Options::default());
        let ids = &encoded.summary.head.ids;
        assert!(ids.iter().any(|&(registry, id)| registry == 1 && id >= model::X86_64_TABLES));
    }
}

/// Where code begins in the file of [`program`].
const CODE: usize = 4096;
/// Bytes of one of its functions.
pub(super) const FUNCTION: usize = 42;

/// An executable of functions that call those with even numbers; those of `count` that are `gone` are left out, which have
/// odd numbers.
pub(crate) fn program(count: usize, gone: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut places = vec![0; count];
    let mut end = CODE;
    for number in (0..count).filter(|&number| !gone(number)) {
        places[number] = end;
        end += FUNCTION;
    }
    let mut file = vec![0; CODE];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[3, 0, 62, 0, 1]);
    put(32, &64_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 1, 0]);
    put(64, &[1, 0, 0, 0, 5]);
    for at in [64 + 8, 64 + 16, 64 + 24] {
        put(at, &(CODE as u64).to_le_bytes());
    }
    for at in [64 + 32, 64 + 40] {
        put(at, &((end - CODE) as u64).to_le_bytes());
    }
    for number in (0..count).filter(|&number| !gone(number)) {
        let start = file.len();
        for call in 0..5 {
            let callee = places[(number * 7919 + call * 104_729) % count / 2 * 2];
            file.push(0xe8);
            file.extend((callee as i32 - (file.len() + 4) as i32).to_le_bytes());
        }
        for value in 0..3_usize {
            file.push(0xb8);
            file.extend(((number * 3 + value).wrapping_mul(0x9e37_79b1) as u32).to_le_bytes());
        }
        file.extend([0x5d, 0xc3]);
        assert_eq!(file.len(), start + FUNCTION);
    }
    file
}

/// A library for AArch64 of so many functions, the text of some of which is longer; none without a compiler.
fn cross_compiled(dir: &Path, functions: u32, longer: bool) -> Option<Vec<u8>> {
    let (from, to) = (dir.join("library.c"), dir.join("library.so"));
    let mut source = String::from("extern int out(const char *, int);\nstatic int table[999];\n");
    for n in 0..functions {
        let more = if longer && n % 16 == 3 { "x += out(\"more\", table[x & 7]);" } else { "" };
        let other = n.saturating_sub(n % 13 + 1);
        source += &format!(
            "int f{n}(int x) {{ if (x > {n}) {{ {more} x ^= table[{}]++; }}\n\
             for (; x & 3; x++) out(\"text of {n}\", x);\n return x ? f{other}(x - 1) : {n}; }}\n",
            n * 7 % 999
        );
    }
    std::fs::write(&from, source).unwrap();
    let mut command = Command::new("aarch64-linux-gnu-gcc");
    command.args(["-O2", "-shared", "-fPIC", "-nostdlib", "-o"]).arg(&to).arg(&from);
    command.stderr(std::process::Stdio::null());
    let status = command.status().ok()?;
    status.success().then(|| std::fs::read(to).unwrap())
}

#[test]
fn a_library_for_aarch64_comes_back_and_the_model_pays() {
    let dir = tempfile::tempdir().unwrap();
    let made = |longer| cross_compiled(dir.path(), 800, longer);
    let Some((first, second)) = made(false).zip(made(true)) else { return };
    let base = layer(tar(&[("lib/library.so", &first, 1)]));
    let target = layer(tar(&[("lib/library.so", &second, 2)]));
    let bases = std::slice::from_ref(&base);
    let (with, encoded) = round_trip(&target, bases, &Options::default());
    let without = [Technique::Executables].into_iter().collect();
    let (without, _) =
        round_trip(&target, bases, &Options { level: 3, without, ..Options::default() });
    assert!(encoded.summary.head.ids.contains(&(1, model::AARCH64)));
    assert!(with * 3 < without, "{with} with the model, {without} without");
}

/// A small file with headers: one segment, code and names of sections.
fn small() -> Vec<u8> {
    let mut file = vec![0; 2000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[3, 0, 62, 0]);
    put(32, &64u64.to_le_bytes());
    put(40, &200u64.to_le_bytes());
    put(54, &[56, 0, 1, 0, 64, 0, 3, 0, 2, 0]);
    put(64, &[1, 0, 0, 0, 5]);
    put(64 + 32, &2000u64.to_le_bytes());
    put(64 + 40, &2000u64.to_le_bytes());
    put(264 + 4, &[1, 0, 0, 0, 6]);
    put(264 + 24, &600u64.to_le_bytes());
    put(264 + 32, &1000u64.to_le_bytes());
    put(328 + 4, &[3]);
    put(328 + 24, &1600u64.to_le_bytes());
    put(328 + 32, &10u64.to_le_bytes());
    file
}

#[test]
fn a_file_is_read_as_its_headers_say() {
    let elf = Elf::parse(&small()).unwrap();
    assert_eq!((elf.segments.len(), elf.areas.len(), elf.lowest), (1, 1, 600));
    assert_eq!((elf.areas[0].offset, elf.areas[0].len), (600, 1000));
}

#[test]
fn a_part_of_a_file_has_the_sections_that_are_in_it() {
    let mut file = small();
    file[64 + 32..64 + 40].copy_from_slice(&1600u64.to_le_bytes());
    let whole = Elf::parse(&file).unwrap();
    // Without the names of sections, which stand at the end.
    let part = Elf::parse(&file[..1600]).unwrap();
    assert_eq!(part.areas, whole.areas);
    assert_eq!((part.areas[0].offset, part.areas[0].len), (600, 1000));
}

#[test]
fn files_that_lie_are_bytes() {
    let lies: [(usize, &[u8]); 7] = [
        // Another machine; a section in another; sections and segments beyond the end; absurd counts.
        (18, &[40]),
        (328 + 24, &[0, 3]),
        (264 + 32, &[0; 8]),
        (264 + 33, &[255; 7]),
        (64 + 32, &[255; 8]),
        (56, &[255, 255]),
        (54, &[1, 0]),
    ];
    for (number, (at, bytes)) in lies.into_iter().enumerate() {
        let mut file = small();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let areas = Elf::parse(&file).map(|elf| elf.areas);
        // Without sections the executable segment is the code.
        let whole = areas.as_ref().is_some_and(|areas| areas[0].len == 2000);
        assert!(areas.is_none() || whole, "{number}: {areas:?}");
        let base = layer(tar(&[("a", &small(), 1)]));
        round_trip(&layer(tar(&[("a", &file, 1)])), &[base], &Options::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_damage_comes_back(changes in prop::collection::vec((0usize..460, any::<u8>()), 1..8)) {
        let mut file = small();
        for (at, byte) in changes {
            file[at] = byte;
        }
        let (small, file) = (tar(&[("a", &small(), 1)]), tar(&[("a", &file, 1)]));
        round_trip(&layer(file.clone()), &[layer(small.clone())], &Options::default());
        round_trip(&layer(small), &[layer(file)], &Options::default());
    }
}
