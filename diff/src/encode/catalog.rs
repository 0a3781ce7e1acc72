//! Finds for a file of the target the file of the bases that it most likely was.

use std::cmp::Reverse;
use std::collections::HashMap;

use dd_inspect::digest::Digest;

use super::alike::Alike;
use super::layer::{File, Layer};

/// A file of a base: its layer's place and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub layer: u32,
    pub file: u32,
}

impl Place {
    /// The file that follows in the layer.
    pub(crate) fn next(self) -> Self {
        Self { file: self.file + 1, ..self }
    }
}

/// The files of all bases by content, path and name.
#[derive(Debug)]
pub(crate) struct Catalog<'a> {
    bases: &'a [Layer],
    by_digest: HashMap<Digest, Vec<Place>>,
    by_name: HashMap<&'a [u8], Vec<Place>>,
    /// Files with content by their reversed names: neighbours have the longest end in common.
    by_end: Vec<Place>,
    /// The same without digits.
    by_letters: Vec<Place>,
    /// For files of the target, by name, what their content resembles.
    alike: HashMap<Box<[u8]>, Place>,
}

/// Files with the same content that are looked at; more are copies of a very common file.
const TWINS: usize = 64;

/// Neighbours by name that are looked at to either side.
const NEIGHBOURS: usize = 8;

impl<'a> Catalog<'a> {
    /// Enters the files of all bases.
    pub(crate) fn new(bases: &'a [Layer]) -> Self {
        let mut catalog = Self {
            bases,
            by_digest: HashMap::new(),
            by_name: HashMap::new(),
            by_end: Vec::new(),
            by_letters: Vec::new(),
            alike: HashMap::new(),
        };
        for (layer, base) in (0..).zip(bases) {
            for (number, file) in (0..).zip(base.files.iter()) {
                let place = Place { layer, file: number };
                if let Some(digest) = file.digest.filter(|_| file.size > 0) {
                    let twins = catalog.by_digest.entry(digest).or_default();
                    if twins.len() < TWINS {
                        twins.push(place);
                    }
                }
                catalog.by_name.entry(file.name()).or_default().push(place);
                if file.size > 0 {
                    catalog.by_end.push(place);
                }
            }
        }
        catalog.by_letters = catalog.by_end.clone();
        let sort = |places: &mut Vec<Place>, digits| {
            let key = |place: Place| backwards(file_of(bases, place).name(), digits);
            places.sort_by(|&a, &b| key(a).cmp(key(b)).then(a.cmp(&b)));
        };
        sort(&mut catalog.by_end, true);
        sort(&mut catalog.by_letters, false);
        catalog
    }

    /// What is known of files that resemble each other.
    pub(crate) fn with(mut self, alike: &Alike) -> Self {
        for (name, &(layer, content)) in alike {
            let files = self.bases.get(layer as usize).map(|base| &base.files[..]);
            let file = files.unwrap_or_default().iter().position(|f| f.content_offset == content);
            if let Some(file) = file {
                self.alike.insert(name.clone(), Place { layer, file: file as u32 });
            }
        }
        self
    }

    /// The file at a place.
    pub(crate) fn file(&self, place: Place) -> Option<&'a File> {
        self.bases.get(place.layer as usize)?.files.get(place.file as usize)
    }

    /// The base layer at a place.
    pub(crate) fn layer(&self, layer: u32) -> Option<&'a Layer> {
        self.bases.get(layer as usize)
    }

    /// A file with the same content: the one that continues a run, else of the same path (in the last
    /// layer that has it), else of the same name, else the first.
    pub(crate) fn twin(&self, wanted: &File, run: Option<Place>) -> Option<Place> {
        let digest = wanted.digest.filter(|_| wanted.size > 0)?;
        let twins = self.by_digest.get(&digest)?;
        let twins = || twins.iter().copied().filter(|&twin| self.size(twin) == wanted.size);
        let same_path = |twin: &Place| self.name(*twin) == wanted.name();
        let continues = run.filter(|run| twins().any(|twin| twin == *run) && same_path(run));
        continues
            .or_else(|| twins().rev().find(same_path))
            .or_else(|| twins().find(|twin| Some(*twin) == run))
            .or_else(|| twins().find(|&twin| basename(self.name(twin)) == basename(wanted.name())))
            .or_else(|| twins().next())
    }

    /// The entry of the same path and kind, in the last layer that has it.
    pub(crate) fn same_path(&self, wanted: &File) -> Option<Place> {
        let mut places = self.by_name.get(wanted.name())?.iter().rev().copied();
        places.find(|&place| self.file(place).is_some_and(|file| file.kind == wanted.kind))
    }

    /// A file that this one may have been: of the same path, else of like content ([`Catalog::with`]), else of the same name, digits left out, with
    /// the longest end of its path in common. Digits count only between those that are equal without: a
    /// version that happens to be the same says less than a directory's name.
    pub(crate) fn relative(&self, wanted: &File) -> Option<Place> {
        let same = self.same_path(wanted).filter(|&place| self.size(place) > 0);
        let alike = || self.alike.get(wanted.name()).copied().filter(|_| wanted.size > 0);
        same.or_else(alike).or_else(|| self.nearest(wanted))
    }

    /// The best of those around the places where a name would stand in the orders by reversed names; of
    /// equally good ones that whose size is nearest.
    fn nearest(&self, wanted: &File) -> Option<Place> {
        let name = wanted.name();
        let own = || backwards(basename(name), false);
        own().next()?;
        let around = self.around(name, true).iter().chain(self.around(name, false)).copied();
        let alike = around.filter(|&place| own().eq(backwards(basename(self.name(place)), false)));
        alike.max_by_key(|&place| {
            let common = |digits| {
                let pairs = backwards(self.name(place), digits).zip(backwards(name, digits));
                pairs.take_while(|(a, b)| a == b).count()
            };
            let distance = self.size(place).abs_diff(wanted.size);
            (common(false), common(true), Reverse(distance), Reverse(place))
        })
    }

    /// The files around the place where a name would stand in the order by reversed names.
    fn around(&self, name: &[u8], digits: bool) -> &[Place] {
        let sorted = if digits { &self.by_end } else { &self.by_letters };
        let key = |name| backwards(name, digits);
        let at = sorted.partition_point(|&place| key(self.name(place)).lt(key(name)));
        &sorted[at.saturating_sub(NEIGHBOURS)..(at + NEIGHBOURS).min(sorted.len())]
    }

    fn name(&self, place: Place) -> &'a [u8] {
        file_of(self.bases, place).name()
    }

    fn size(&self, place: Place) -> u64 {
        file_of(self.bases, place).size
    }
}

/// The file at a place that came from these very layers.
fn file_of(bases: &[Layer], place: Place) -> &File {
    &bases[place.layer as usize].files[place.file as usize]
}

/// What follows the last slash of a name.
pub(crate) fn basename(name: &[u8]) -> &[u8] {
    name.rsplit(|&byte| byte == b'/').next().unwrap_or(name)
}

/// A name from its end, with or without its digits.
fn backwards(name: &[u8], digits: bool) -> impl Iterator<Item = u8> + Clone {
    name.iter().rev().copied().filter(move |byte| digits || !byte.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dd_inspect::digest::DiffId;
    use dd_inspect::record::EntryKind;
    use std::sync::Arc;

    fn file(number: u64, path: &str, content: &str) -> File {
        File {
            path: path.as_bytes().into(),
            kind: EntryKind::File,
            header_offset: number * 4096,
            content_offset: number * 4096 + 512,
            size: content.len() as u64,
            digest: (!content.is_empty()).then(|| Digest::of(content.as_bytes())),
        }
    }

    fn layer(files: &[(&str, &str)]) -> Layer {
        let files: Vec<File> =
            (0..).zip(files).map(|(number, (path, content))| file(number, path, content)).collect();
        Layer::new(DiffId::of(b""), Arc::new(vec![0_u8; files.len() * 4096]), files)
    }

    fn place(layer: u32, file: u32) -> Option<Place> {
        Some(Place { layer, file })
    }

    #[test]
    fn twins_are_preferred_by_run_path_and_name() {
        let bases = [
            layer(&[("a/x", "same"), ("a/y", "same"), ("a/z", "same")]),
            layer(&[("./a/y", "same"), ("a/e", "")]),
        ];
        let catalog = Catalog::new(&bases);
        let twin = |path, content, run| catalog.twin(&file(0, path, content), run);
        assert_eq!(twin("a/y", "same", None), place(1, 0));
        assert_eq!(twin("a/y", "same", place(0, 1)), place(0, 1));
        assert_eq!(twin("b/y", "same", place(0, 2)), place(0, 2));
        assert_eq!(twin("b/y", "same", None), place(0, 1));
        assert_eq!(twin("b/w", "same", None), place(0, 0));
        assert_eq!(twin("a/y", "else", None), None);
        assert_eq!(twin("a/e", "", None), None);
    }

    #[test]
    fn relatives_are_found_by_path_then_name_then_letters() {
        let bases = [layer(&[
            ("lib/a/__init__.py", "1"),
            ("lib/b/__init__.py", "12"),
            ("opt/app-1.9/b/main.py", "123"),
            ("usr/lib/libx.so.1.2", "1234"),
            ("etc/empty", ""),
        ])];
        let catalog = Catalog::new(&bases);
        let relative = |path| catalog.relative(&file(0, path, "1234"));
        assert_eq!(relative("/lib/b/__init__.py"), place(0, 1));
        assert_eq!(relative("new/a/__init__.py"), place(0, 0));
        assert_eq!(relative("new/c/__init__.py"), place(0, 1));
        assert_eq!(relative("opt/app-2.10/b/main.py"), place(0, 2));
        assert_eq!(relative("usr/lib/libx.so.1.3"), place(0, 3));
        assert_eq!(relative("usr/lib/liby.so"), None);
        assert_eq!(relative("etc/empty"), None);
        assert_eq!(relative("123"), None);
    }

    #[test]
    fn an_equal_version_is_no_reason_to_be_taken() {
        let bases = [layer(&[
            ("lib/numpy-1.26.2.dist-info/RECORD", "1"),
            ("lib/pandas-2.1.3.dist-info/RECORD", "1234"),
            ("lib/tzdata-2.1.4.dist-info/RECORD", "1234"),
            ("lib/numpy-1.26.1.dist-info/RECORD", "12345"),
        ])];
        let catalog = Catalog::new(&bases);
        let relative = |path| catalog.relative(&file(0, path, "1234"));
        assert_eq!(relative("lib/pandas-2.1.4.dist-info/RECORD"), place(0, 1));
        assert_eq!(relative("lib/numpy-1.26.4.dist-info/RECORD"), place(0, 3));
        assert_eq!(relative("lib/numpy-1.27.2.dist-info/RECORD"), place(0, 0));
    }
}
