//! The stage: records in, a package out.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use dd_inspect::fail;
use dd_inspect::ndjson::Line;
use dd_inspect::package::{BlobKind, describe, table};
use dd_inspect::record::Package;
use dd_inspect::stage::Stage;

use crate::changes::Changes;
use crate::cli::Args;
use crate::container::{Blob, Container, Written};
use crate::gather::Gathered;
use crate::output::{Outcome, Output};
use crate::plan::{Plan, PlanOptions, plan};

/// Runs dd-pack.
///
/// # Errors
/// Whatever stops it; nothing was written under its final name then.
pub fn run(args: Args, stage: &mut Stage) -> anyhow::Result<()> {
    if args.to_stdout() && !args.dry_run && io::stdout().is_terminal() {
        fail!(Usage, "the package is binary and stdout is a terminal"; "-o FILE, or pipe it into dd-apply -");
    }
    let mut changes = Changes::new(args.changes.as_deref(), args.force, args.with_changes)?;
    let (records, images) = gather(&args, stage, &mut changes)?;
    let store = stage.store()?;
    let mut plan = plan(&records, store, PlanOptions { any_form: args.any_form })?;
    for warning in &plan.warnings {
        stage.warn(warning);
    }
    let blobs = blobs(&mut plan, changes.inside(), args.plain)?;
    let infos: Vec<_> = blobs.iter().map(Blob::info).collect();
    let container = Container::new(blobs, plan.subject.take())?;
    let written = write(&args, stage, &container)?;
    changes.commit()?;
    if let Some(path) = &args.sha256sums {
        write_sums(path, &args, written)?;
    }
    for image in &images {
        stage.pass(image)?;
    }
    let file = file_name(&args)?;
    let package = describe(
        &plan.recipe,
        container.manifest_digest(),
        file,
        written.size,
        written.file_digest,
    );
    stage.show(&table(&plan.recipe, &infos, &plan.why))?;
    let summary = summary(&args, &package);
    if !stage.shows_table() {
        stage.note(&summary);
    }
    stage.show(&format!("{summary}\n"))?;
    stage.emit(package)
}

/// Reads all records; the `image` records are passed on later, so that a failure finds stdout as it was.
fn gather(
    args: &Args,
    stage: &mut Stage,
    changes: &mut Changes,
) -> anyhow::Result<(Gathered, Vec<Line>)> {
    let mut input = stage.input()?;
    let mut records = Gathered::default();
    let mut images = Vec::new();
    while let Some(line) = input.next_record()? {
        match line.kind.as_str() {
            "change" => changes.take(&line)?,
            "progress" if !args.to_stdout() => stage.pass(&line)?,
            "image" => {
                records.take(&line)?;
                images.push(line);
            }
            _ => records.take(&line)?,
        }
    }
    Ok((records, images))
}

/// All blobs by number.
fn blobs(plan: &mut Plan, changes: Option<Vec<u8>>, plain: bool) -> anyhow::Result<Vec<Blob>> {
    let json = serde_json::to_vec(&plan.recipe).context("making the recipe")?;
    if json.len() as u64 > dd_inspect::package::recipe::MAX_RECIPE_LEN {
        fail!(Limit, "the recipe has {} bytes, at most {} are allowed", json.len(), dd_inspect::package::recipe::MAX_RECIPE_LEN;
            "pack fewer images into one package");
    }
    let mut documents = std::mem::take(&mut plan.blobs);
    let payloads = documents.split_off(1.min(documents.len()));
    let changes = changes.map(|bytes| Blob::of(BlobKind::Changes, bytes));
    let texts = [Blob::of(BlobKind::Recipe, json)].into_iter().chain(documents);
    let pack = |blob: Blob| if plain { blob.compressed() } else { Ok(blob) };
    let mut list = texts.map(pack).collect::<io::Result<Vec<_>>>()?;
    list.extend(payloads);
    list.extend(changes.map(pack).transpose()?);
    Ok(list)
}

fn write(args: &Args, stage: &mut Stage, container: &Container) -> anyhow::Result<Written> {
    match &args.output {
        Some(path) if !args.dry_run && !args.to_stdout() => {
            let mut output = Output::create(path, args.force)?;
            let written = container.write(&mut output, args.plain)?;
            if output.commit()? == Outcome::Unchanged {
                stage.note(format_args!("{} holds this package already", path.display()));
            }
            Ok(written)
        }
        Some(_) if !args.dry_run => {
            if args.records.is_none() {
                stage.release_stdout();
            }
            container.write(io::stdout().lock(), args.plain)
        }
        _ => container.write(io::sink(), args.plain),
    }
}

fn write_sums(path: &Path, args: &Args, written: Written) -> anyhow::Result<()> {
    let name = args.output.as_deref().and_then(Path::file_name).unwrap_or("-".as_ref());
    let mut line = format!("{}  ", written.file_digest.hex()).into_bytes();
    line.extend_from_slice(std::os::unix::ffi::OsStrExt::as_bytes(name));
    line.push(b'\n');
    let mut output = Output::create(path, args.force)?;
    output.write_all(&line).context("writing the check sum")?;
    output.commit()?;
    Ok(())
}

/// The file as the `package` record says it: its absolute path, `-` for stdout, nothing in a dry run.
fn file_name(args: &Args) -> anyhow::Result<Option<String>> {
    Ok(match &args.output {
        _ if args.dry_run => None,
        Some(path) if !args.to_stdout() => {
            Some(std::path::absolute(path)?.to_string_lossy().into_owned())
        }
        _ => Some("-".to_owned()),
    })
}

fn summary(args: &Args, package: &Package) -> String {
    let share = package.size as f64 * 100.0 / (package.target_size.max(1)) as f64;
    let verb = if args.dry_run { "would have" } else { "has" };
    format!("the package {verb} {} bytes, {share:.2} % of {}", package.size, package.target_size)
}
