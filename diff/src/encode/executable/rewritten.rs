//! The base with addresses moved as covers say.

use std::io;

use rayon::prelude::*;

use super::file::File;
use super::model;
use crate::matching::Cover;
use crate::program::{Executable, Params, STRETCH};

/// Bytes at least that are rewritten with one copy of the model.
const PART: usize = 2 << 20;

/// A range of the base that went together.
struct Move<'a> {
    /// Where it begins, in base and target.
    from: u64,
    target: u64,
    bytes: &'a mut [u8],
}

/// The base as it looks where its parts went, what lies between two of them as if it had gone with the one before.
///
/// # Errors
/// What reading the base fails with.
pub(crate) fn rewrite(params: &Params, base: File<'_>, covers: &[Cover]) -> io::Result<Vec<u8>> {
    let executable = model(params, covers.iter().copied());
    let mut rewritten = base.whole()?;
    let mut moves = moves(&executable, &mut rewritten);
    let mut parts: Vec<&mut [Move<'_>]> = Vec::new();
    let mut rest = &mut moves[..];
    while !rest.is_empty() {
        let mut len = 0;
        let count = rest.iter().take_while(|one| {
            let fits = len < PART;
            len += one.bytes.len();
            fits
        });
        let (part, others) = rest.split_at_mut(count.count());
        parts.push(part);
        rest = others;
    }
    parts
        .into_par_iter()
        .try_for_each(|part| {
            let (mut executable, mut classes) = (executable.clone(), vec![0; STRETCH]);
            let mut read = base.reader();
            for Move { from, target, bytes } in part {
                let places = (0..).step_by(STRETCH);
                for (bytes, at) in bytes.chunks_mut(STRETCH).zip(places) {
                    executable.look(*from + at, *target + at, bytes, &mut read)?;
                    let len = bytes.len();
                    executable.predict(bytes, &mut classes, len);
                }
            }
            Ok(())
        })
        .map_err(|error: dd_inspect::failure::Failure| io::Error::other(error))?;
    drop(moves);
    Ok(rewritten)
}

/// The ranges of a base, none left out.
fn moves<'a>(executable: &Executable, mut bytes: &'a mut [u8]) -> Vec<Move<'a>> {
    let len = bytes.len() as u64;
    let mut moves: Vec<Move<'a>> = Vec::new();
    let (mut end, mut target) = (0, 0);
    let mut add = |from: u64, to: u64, target: u64| {
        let (part, rest) = std::mem::take(&mut bytes).split_at_mut((to - from) as usize);
        bytes = rest;
        if !part.is_empty() {
            moves.push(Move { from, target, bytes: part });
        }
    };
    for (from, to, went) in executable.moves() {
        let (from, to) = (u64::from(from), u64::from(to));
        add(end, from, target);
        add(from, to, u64::from(went));
        (end, target) = (to, u64::from(went) + (to - from));
    }
    add(end, len, target);
    moves
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::elf::Elf;
    use super::super::params;
    use super::super::tests::{FUNCTION, program};
    use super::*;

    #[test]
    fn what_went_is_found_where_it_is() {
        let gone = |number: usize| number % 97 == 5 && number % 2 == 1;
        let (count, start) = (60_000, program(0, gone).len());
        let (base, target) = (program(count, gone), program(count, |_| false));
        let (from, to) = (Elf::parse(&base).unwrap(), Elf::parse(&target).unwrap());
        let params = params(&from, &to, base.len(), target.len()).unwrap();
        let (mut covers, mut at) = (vec![Cover { target: 0, base: 0, len: start }], start);
        for number in (0..count).filter(|&number| !gone(number)) {
            covers.push(Cover { target: start + number * FUNCTION, base: at, len: FUNCTION });
            at += FUNCTION;
        }
        let rewritten = rewrite(&params, File::new(&base, 0, base.len() as u64), &covers).unwrap();
        assert_eq!(rewritten.len(), base.len());
        // The header says how long the code is.
        for cover in &covers[1..] {
            let wanted = &target[cover.target..cover.target_end()];
            assert_eq!(&rewritten[cover.base..cover.base_end()], wanted, "{cover:?}");
        }
        assert!(base.iter().zip(&rewritten).filter(|(a, b)| a != b).count() > count);
    }
}
