//! What dd-inspect does.

use std::collections::HashSet;
use std::ffi::OsString;
use std::sync::Arc;

use crate::cli::Args;
use crate::digest::DiffId;
use crate::fail;
use crate::image::{ImageRecords, Inspected, Options, Place, Reference, look};
use crate::package;
use crate::record::Role;
use crate::stage::{Meter, Stage};
use crate::table;

/// Runs dd-inspect.
///
/// # Errors
/// Nothing was given to look at, or what looking fails with.
pub fn run(args: &Args, stage: &mut Stage) -> anyhow::Result<()> {
    let references: Vec<(Role, Reference)> =
        [(Role::Base, &args.bases), (Role::Target, &args.targets), (Role::Image, &args.images)]
            .into_iter()
            .flat_map(|(role, list)| {
                list.iter().map(move |given: &OsString| (role, Reference::new(given)))
            })
            .collect();
    if args.store_prune {
        let freed = stage.store()?.prune()?;
        stage.note(format!("{freed} bytes of the store were freed"));
        return stage.show(&format!("{} bytes of the store were freed\n", table::thousands(freed)));
    }
    if references.is_empty() && args.verify.is_empty() {
        fail!(Usage, "no image was given"; "dd-inspect IMAGE shows one; --base A --target B begins a pipeline; --help says more");
    }
    for path in &args.verify {
        package::show_package(stage, path, true)?;
    }
    if references.is_empty() {
        return Ok(());
    }
    let found = find(&references, args, stage)?;
    let bases: HashSet<DiffId> = found
        .iter()
        .filter_map(|found| match found {
            Inspected::Image(records) if records.image.role == Role::Base => {
                Some(records.diff_ids())
            }
            _ => None,
        })
        .flatten()
        .collect();
    let mut shown = HashSet::new();
    for (number, found) in found.into_iter().enumerate() {
        if number > 0 {
            stage.show("\n")?;
        }
        match found {
            Inspected::Image(records) => {
                if shown.insert(records.image.key.clone()) {
                    emit_image(*records, &bases, stage)?;
                }
            }
            Inspected::Package(path) => package::show_package(stage, &path, false)?,
        }
    }
    Ok(())
}

/// Looks at everything, with a display of how far reading is.
fn find(
    references: &[(Role, Reference)],
    args: &Args,
    stage: &mut Stage,
) -> anyhow::Result<Vec<Inspected>> {
    let store = stage.store()?;
    let total = total(references);
    let meter = Arc::new(Meter::new("reading images", total.unwrap_or(0)));
    let options = Options {
        platform: args.platform.clone(),
        all_platforms: args.all_platforms,
        registry: args.registry.clone(),
        meter: Some(meter.clone()),
    };
    let look_at_all = || {
        let mut found = Vec::new();
        for (role, reference) in references {
            let one = look(reference, *role, &options, &store)?;
            if let (Inspected::Package(path), Role::Base | Role::Target) = (&one, role) {
                fail!(NotAnImage, "{} is a delta package, not an image", path.display(); "dd-apply makes an image of it");
            }
            found.push(one);
        }
        Ok(found)
    };
    match total {
        Some(0) => look_at_all(),
        _ => stage.watch(&meter, look_at_all),
    }
}

/// Bytes of target files, which are read whole; none if images are fetched, which takes a time that nobody knows.
fn total(references: &[(Role, Reference)]) -> Option<u64> {
    let mut total = 0;
    for (role, reference) in references {
        match reference.resolve() {
            Ok(Place::Disk { path, .. }) if *role == Role::Target => {
                let file = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
                total += file.map_or(0, |file| file.len());
            }
            Ok(Place::Elsewhere { .. }) => return None,
            _ => {}
        }
    }
    Some(total)
}

fn emit_image(
    mut records: ImageRecords,
    bases: &HashSet<DiffId>,
    stage: &mut Stage,
) -> anyhow::Result<()> {
    if records.image.role == Role::Target {
        records.mark_in_base(bases);
    }
    let (image, layers) = (&records.image, records.layers.len());
    let held = records.layers.iter().filter(|layer| layer.in_base == Some(true)).count();
    let held = if held > 0 { format!(" ({held} in a base)") } else { String::new() };
    stage.note(format_args!("{}: {}, layers: {layers}{held}", image.reference, image.transport));
    if stage.shows_table() {
        return stage.show(&table::image(&records));
    }
    for record in records.records() {
        stage.emit(record)?;
    }
    Ok(())
}
