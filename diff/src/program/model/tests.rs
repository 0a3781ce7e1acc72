//! What the second version of the model adds: to symbols, and new code.

use super::params::{Segment, SymbolTables};
use super::*;
use crate::program::Source;

const NAMES_AT: u64 = 240;

/// A model of ten symbols with their names behind them, where nothing is said to have moved.
fn symbols(version: Version) -> Executable {
    let segment = Segment { offset: 0, len: 1000, address: 0, extra: 0 };
    let area = Area { offset: 0, len: NAMES_AT, content: Content::Symbols };
    Executable::new(
        Params {
            source: Source::Base(0),
            offset: 0,
            len: 1000,
            target_len: 1000,
            base: vec![segment],
            target: vec![segment],
            lowest: 500,
            areas: vec![area],
            new: Vec::new(),
            symbols: SymbolTables::default(),
            machine: Machine::X86_64,
            version,
        },
        std::iter::empty(),
    )
}

/// Predicts symbols whose names are these, in blocks; how many were wrong.
fn wrong(version: Version, base: &[u32], target: &[u32]) -> usize {
    let table = |names: &[u32]| -> Vec<u8> {
        names.iter().flat_map(|name| [&name.to_le_bytes()[..], &[0; 20]].concat()).collect()
    };
    let (then, now) = (table(base), table(target));
    let mut executable = symbols(version);
    executable.begin(0, 0, &then, &mut |_, _| Ok(())).unwrap();
    let (mut predicted, mut classes) = (then.clone(), vec![0; then.len()]);
    let mut at = 0;
    while at < now.len() {
        let end = executable.next_end(at, now.len(), 32);
        executable.predict(&mut predicted, &mut classes, end);
        executable.learn(&now, &then, end);
        at = end;
    }
    predicted.chunks(24).zip(now.chunks(24)).filter(|(a, b)| a != b).count()
}

#[test]
fn names_move_with_the_one_before() {
    let base: Vec<u32> = (0..10).map(|n| n * 20).collect();
    let target: Vec<u32> = base.iter().map(|name| name + if *name < 60 { 0 } else { 7 }).collect();
    assert_eq!(wrong(Version::First, &base, &target), 7);
    // The name after the first that moved may stand in its block.
    assert!(wrong(Version::Second, &base, &target) <= 2);
}

#[test]
fn names_far_away_or_before_do_not() {
    let base = [9000, 100, 5000, 13_000];
    let target = [9007, 100, 5000, 13_000];
    assert_eq!(wrong(Version::Second, &base, &target), 1);
}

#[test]
fn what_would_not_turn_back_stays() {
    let mut params = symbols(Version::Second).params.clone();
    params.new = vec![Area { offset: 0, len: 1000, content: Content::Code }];
    let executable = Executable::new(params, std::iter::empty());
    // vxorpd 0x15d4b(%rip),%xmm2,%xmm2 has a byte more; its second and later ones look like a jump.
    let code = [0xc5, 0xe9, 0x57, 0x15, 0x4b, 0x5d, 0x01, 0x00];
    for (len, turns, differs) in [(8, true, true), (7, false, false), (5, true, false)] {
        let mut bytes = code[..len].to_vec();
        assert_eq!(executable.begin_literals(&mut bytes, 0, 400), turns, "{len}");
        assert_eq!(bytes != code[..len], differs, "{len}");
        if turns {
            executable.finish_literals(&mut bytes, 0, 400);
            assert_eq!(bytes, code[..len]);
        }
    }
}
