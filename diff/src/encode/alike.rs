//! Finds the file of the bases that a file with a new name resembles most, by lines that both have.
//!
//! Names say little where files were renamed: many directories have a `server.py`. Lines are what stands between
//! line feeds; they serve for other content than text as well.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use dd_inspect::record::EntryKind;
use rayon::prelude::*;

use super::catalog::{Catalog, Place, basename};
use super::layer::{File, Layer};

/// Bytes of a file that is looked at, at least and at most.
const FILE: std::ops::RangeInclusive<u64> = 64..=4 << 20;
/// Bytes of new files that are looked at, and of files of the bases.
const NEW: u64 = 32 << 20;
const OLD: u64 = 512 << 20;
/// Bytes of a line below which it says nothing.
const LINE: usize = 12;
/// New files that may have a line in common; what more have says nothing of any.
const COMMON: usize = 8;
/// Of a file longer than this only every eighth line counts, by its hash.
const LONG: u64 = 64 << 10;
/// Bytes of lines in common below which two files do not resemble each other.
const ENOUGH: u64 = 100;

/// For files of the target, by name, the file of a base that they resemble most: its layer, and where its content
/// begins.
pub(crate) type Alike = HashMap<Box<[u8]>, (u32, u64)>;

/// How much of a new file stands in a file of the bases; the first file of equal ones is greater.
type Likeness = (u64, Reverse<Place>);

/// What the files of the target that have no counterpart of their name resemble.
///
/// # Errors
/// What reading the layers fails with.
pub(crate) fn alike(target: &Layer, bases: &[Layer], catalog: &Catalog<'_>) -> io::Result<Alike> {
    let news = news(target, catalog);
    if news.is_empty() {
        return Ok(Alike::new());
    }
    let index = index(target, &news)?;
    let by_name: Vec<Option<Place>> = news.iter().map(|file| catalog.relative(file)).collect();
    let olds = olds(target, bases, &news, &by_name);
    let likeness = |place: &Place| {
        let (Some(file), Some(layer)) = (catalog.file(*place), catalog.layer(place.layer)) else {
            return Ok(Vec::new());
        };
        let content = layer.read(file.content_offset, file.size)?;
        let mut bytes: BTreeMap<u32, u64> = BTreeMap::new();
        let seen: HashSet<u64> = lines(&content).map(|(hash, _)| hash).collect();
        for line in seen.iter().filter_map(|hash| index.get(hash)) {
            line.news.iter().for_each(|new| *bytes.entry(*new).or_default() += line.len);
        }
        Ok(bytes.into_iter().map(|(new, bytes)| (new, (bytes, Reverse(*place)))).collect())
    };
    let found: io::Result<Vec<Vec<(u32, Likeness)>>> = olds.par_iter().map(likeness).collect();
    let (mut best, mut named) = (vec![None; news.len()], vec![0; news.len()]);
    for (new, likeness) in found?.into_iter().flatten() {
        let new = new as usize;
        best[new] = best[new].max(Some(likeness));
        if by_name[new] == Some(likeness.1.0) {
            named[new] = likeness.0;
        }
    }
    let mut alike = Alike::new();
    for ((file, best), named) in news.iter().zip(best).zip(named) {
        // A name counts for something.
        let better = best.filter(|(bytes, _)| *bytes >= ENOUGH.max(named + named / 4 + 1));
        if let Some((_, Reverse(place))) = better
            && let Some(other) = catalog.file(place)
        {
            alike.insert(file.name().into(), (place.layer, other.content_offset));
        }
    }
    Ok(alike)
}

/// The files of the target whose name or content no base has.
fn news<'a>(target: &'a Layer, catalog: &Catalog<'_>) -> Vec<&'a File> {
    let mut left = NEW;
    let new = |file: &&File| {
        let new = file.kind == EntryKind::File
            && FILE.contains(&file.size)
            && catalog.same_path(file).is_none()
            && catalog.twin(file, None).is_none()
            && file.size <= left;
        left -= if new { file.size } else { 0 };
        new
    };
    target.files.iter().filter(new).collect()
}

/// The files of the bases that are compared: those that the target has no more, those in directories of new files,
/// those that a name speaks for.
fn olds(target: &Layer, bases: &[Layer], news: &[&File], by_name: &[Option<Place>]) -> Vec<Place> {
    let there: HashSet<&[u8]> = target.files.iter().map(File::name).collect();
    let directories: HashSet<&[u8]> = news.iter().map(|file| directory(file)).collect();
    let named: HashSet<Place> = by_name.iter().copied().flatten().collect();
    let mut left = OLD;
    let mut olds = Vec::new();
    for (layer, base) in (0..).zip(bases) {
        for (number, file) in (0..).zip(base.files.iter()) {
            let place = Place { layer, file: number };
            let speaks = named.contains(&place)
                || !there.contains(file.name())
                || directories.contains(directory(file));
            let usable = file.kind == EntryKind::File && FILE.contains(&file.size);
            if speaks && usable && file.size <= left {
                left -= file.size;
                olds.push(place);
            }
        }
    }
    olds
}

fn directory(file: &File) -> &[u8] {
    let name = file.name();
    name.get(..name.len() - basename(name).len()).unwrap_or_default()
}

/// A line of new files.
struct Line {
    len: u64,
    /// The files that have it.
    news: Vec<u32>,
}

/// The lines of new files by their hashes.
fn index(target: &Layer, news: &[&File]) -> io::Result<HashMap<u64, Line>> {
    let mut index: HashMap<u64, Line> = HashMap::new();
    for (number, file) in (0..).zip(news) {
        let content = target.read(file.content_offset, file.size)?;
        let every = if file.size > LONG { 8 } else { 1 };
        for (hash, len) in lines(&content).filter(|(hash, _)| hash % every == 0) {
            let line = index.entry(hash).or_insert_with(|| Line { len, news: Vec::new() });
            if line.news.last() != Some(&number) && line.news.len() <= COMMON {
                line.news.push(number);
            }
        }
    }
    index.retain(|_, line| line.news.len() <= COMMON);
    Ok(index)
}

/// Hashes (FNV-1a) and lengths of the lines that are long enough.
fn lines(content: &[u8]) -> impl Iterator<Item = (u64, u64)> + '_ {
    let long = content.split(|&byte| byte == b'\n').filter(|line| line.len() >= LINE);
    long.map(|line| {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = line.iter().fold(0xcbf2_9ce4_8422_2325, step);
        (hash ^ hash >> 29, line.len() as u64)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::encode::tests::{layer, tar};

    /// Text of 40 lines of its own.
    fn text(name: &str) -> String {
        (0..40).map(|line| format!("line {line} of what stands in {name}\n")).collect()
    }

    /// For each new file the path of the one that it resembles.
    fn found(base: &[(&str, &str)], target: &[(&str, &str)]) -> Vec<(String, String)> {
        let archive = |files: &[(&str, &str)]| {
            let parts: Vec<_> = files.iter().map(|(n, c)| (*n, c.as_bytes(), 1)).collect();
            layer(tar(&parts))
        };
        let (target, bases) = (archive(target), [archive(base)]);
        let catalog = Catalog::new(&bases);
        let name = |(layer, content): (u32, u64)| {
            let mut files = bases[layer as usize].files.iter();
            let file = files.find(|file| file.content_offset == content).unwrap();
            String::from_utf8(file.name().to_vec()).unwrap()
        };
        let alike = alike(&target, &bases, &catalog).unwrap();
        let pairs = alike.into_iter();
        let mut pairs: Vec<_> =
            pairs.map(|(new, old)| (String::from_utf8(new.to_vec()).unwrap(), name(old))).collect();
        pairs.sort();
        pairs
    }

    #[test]
    fn content_counts_more_than_a_name() {
        let (a, b) = (text("a"), text("b"));
        let base = [("hetzner/hcloud_server.py", &a[..]), ("other/server.py", &b)];
        let target = [("hetzner/server.py", &format!("{a}more\n")[..]), ("other/server.py", &b)];
        let pair = ("hetzner/server.py".to_owned(), "hetzner/hcloud_server.py".to_owned());
        assert_eq!(found(&base, &target), [pair]);
    }

    #[test]
    fn a_name_counts_among_equals() {
        let a = text("a");
        let base = [("x/one.txt", &a[..]), ("x/two.txt", &a)];
        assert_eq!(found(&base, &[("y/two.txt", &format!("{a}more\n"))]), []);
    }

    #[test]
    fn little_in_common_is_nothing() {
        let few: String = text("a").lines().take(2).map(|line| format!("{line}\n")).collect();
        let target = [("new", &format!("{few}{}", text("b"))[..])];
        assert_eq!(found(&[("old", &text("a"))], &target), []);
    }

    #[test]
    fn lines_of_many_files_say_nothing() {
        let a = text("a");
        let names: Vec<String> = (0..COMMON + 2).map(|number| format!("n{number}")).collect();
        let texts: Vec<String> = names.iter().map(|name| format!("{a}{name}\n")).collect();
        let target: Vec<(&str, &str)> =
            names.iter().zip(&texts).map(|(n, t)| (n.as_str(), t.as_str())).collect();
        assert_eq!(found(&[("old", &a)], &target), []);
        assert_eq!(found(&[("old", &a)], &target[..2]).len(), 2);
    }
}
