//! What became of each path, for people and for `jq`.

use std::collections::{HashMap, HashSet};

use dd_inspect::record::{Change, ChangeKind, RecordPath};

use crate::encode::{File, Layer, Made, Means};

/// The changes of a target layer against the bases that it was made from.
pub(crate) fn changes(target: &Layer, bases: &[Layer], made: &[Made]) -> Vec<Change> {
    let mut known: HashSet<&[u8]> = HashSet::new();
    for base in bases {
        known.extend(base.files.iter().map(File::name));
    }
    made.iter().filter_map(|made| change(target, bases, &known, made)).collect()
}

fn change(target: &Layer, bases: &[Layer], known: &HashSet<&[u8]>, made: &Made) -> Option<Change> {
    let file = target.files.get(made.file)?;
    let from = made.from.filter(|_| made.means != Means::Literal || file.size == 0);
    let from = from.and_then(|(layer, file)| {
        let layer = bases.get(layer)?;
        Some((layer, layer.files.get(file)?))
    });
    let same_path = from.is_some_and(|(_, origin)| origin.name() == file.name());
    let kind = match made.means {
        _ if known.contains(file.name()) => {
            let same_content = made.means == Means::Copy && same_path;
            if same_content { ChangeKind::Metadata } else { ChangeKind::Modified }
        }
        Means::Copy | Means::Edit if from.is_some() && file.size > 0 => ChangeKind::Renamed,
        _ => ChangeKind::Added,
    };
    let means = match made.means {
        Means::Copy => "copy",
        Means::Edit => "edit",
        Means::Literal => "literal",
    };
    let origin = from.filter(|_| kind != ChangeKind::Added);
    Some(Change {
        layer: target.diff_id,
        path: RecordPath::new(&file.path),
        change: kind,
        size: file.size,
        from_layer: origin.map(|(layer, _)| layer.diff_id),
        from_path: origin
            .filter(|_| !same_path)
            .map(|(_, origin)| String::from_utf8_lossy(&origin.path).into_owned()),
        means: (file.size > 0).then(|| means.to_owned()),
        cost: Some(made.cost),
    })
}

/// The paths that only bases have, of the layers that no target has: removed.
///
/// `layer` is the target's layer that the records name.
pub(crate) fn removed(layer: &Layer, bases: &[Layer], targets: &[&Layer]) -> Vec<Change> {
    let kept: HashSet<&[u8]> =
        targets.iter().flat_map(|target| target.files.iter().map(File::name)).collect();
    let mut gone: HashMap<&[u8], (&Layer, &File)> = HashMap::new();
    let mut order = Vec::new();
    for base in bases.iter().filter(|base| targets.iter().all(|t| t.diff_id != base.diff_id)) {
        for file in base.files.iter().filter(|file| !kept.contains(file.name())) {
            if gone.insert(file.name(), (base, file)).is_none() {
                order.push(file.name());
            }
        }
    }
    let record = |(base, file): (&Layer, &File)| Change {
        layer: layer.diff_id,
        path: RecordPath::new(&file.path),
        change: ChangeKind::Removed,
        size: file.size,
        from_layer: Some(base.diff_id),
        from_path: None,
        means: None,
        cost: None,
    };
    order.into_iter().filter_map(|name| gone.get(name).copied()).map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dd_inspect::digest::DiffId;
    use dd_inspect::record::EntryKind;
    use std::sync::Arc;

    fn layer(id: &str, files: &[(&str, u64)]) -> Layer {
        let file = |(number, (path, size)): (u64, &(&str, u64))| File {
            path: path.as_bytes().into(),
            kind: EntryKind::File,
            header_offset: number * 2048,
            content_offset: number * 2048 + 512,
            size: *size,
            digest: None,
        };
        let files: Vec<File> = (0..).zip(files).map(file).collect();
        let bytes = vec![0_u8; files.len() * 2048];
        Layer::new(DiffId::of(id.as_bytes()), Arc::new(bytes), files)
    }

    #[test]
    fn kinds_of_changes() {
        let bases = [layer("b", &[("a", 9), ("b", 9), ("dir/", 0)])];
        let target =
            layer("t", &[("./a", 9), ("b", 9), ("c", 9), ("d", 9), ("./dir", 0), ("new/", 0)]);
        let made = |file, from: Option<usize>, means| Made {
            file,
            from: from.map(|from| (0, from)),
            means,
            cost: 1,
        };
        let made = [
            made(0, Some(0), Means::Copy),
            made(1, Some(1), Means::Edit),
            made(2, Some(1), Means::Copy),
            made(3, Some(1), Means::Literal),
            made(4, Some(2), Means::Copy),
            made(5, None, Means::Copy),
        ];
        let found = changes(&target, &bases, &made);
        let kinds: Vec<ChangeKind> = found.iter().map(|change| change.change).collect();
        use ChangeKind::{Added, Metadata, Modified, Renamed};
        assert_eq!(kinds, [Metadata, Modified, Renamed, Added, Metadata, Added]);
        assert_eq!(found[2].from_path.as_deref(), Some("b"));
        assert_eq!((&found[0].from_path, &found[3].from_layer), (&None, &None));
        assert_eq!(found[1].means.as_deref(), Some("edit"));
    }

    #[test]
    fn paths_that_no_target_has_are_removed() {
        let bases =
            [layer("1", &[("kept", 1), ("gone", 2)]), layer("2", &[("./gone", 3), ("x", 1)])];
        let targets = [layer("2", &[("./gone", 3), ("x", 1)]), layer("t", &[("/kept", 1)])];
        let listed = |targets: &[&Layer]| {
            let found = removed(&targets[0].clone(), &bases, targets);
            found.into_iter().filter_map(|change| change.path.path).collect::<Vec<_>>()
        };
        assert_eq!(listed(&[&targets[0], &targets[1]]), Vec::<String>::new());
        assert_eq!(listed(&[&targets[1]]), ["./gone", "x"]);
    }
}
