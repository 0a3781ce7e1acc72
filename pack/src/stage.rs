//! The stage: records in, a package out.

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dd_inspect::digest::Digest;
use dd_inspect::fail;
use dd_inspect::files::is_stream;
use dd_inspect::ndjson::Line;
use dd_inspect::output::{Existing, Outcome, OutputFile, WholeFile};
use dd_inspect::package::{BlobKind, describe, table};
use dd_inspect::record::Package;
use dd_inspect::stage::Stage;

use crate::changes::Changes;
use crate::cli::Args;
use crate::container::{Blob, Container, Written};
use crate::gather::Gathered;
use crate::plan::{Plan, PlanOptions, plan};

/// Runs dd-pack.
///
/// # Errors
/// Whatever stops it; nothing was written under its final name then.
pub fn run(args: Args, stage: &mut Stage) -> anyhow::Result<()> {
    if args.to_stdout() && io::stdout().is_terminal() {
        fail!(Usage, "the package is binary and stdout is a terminal"; "-o FILE, or pipe it into dd-apply -");
    }
    let existing = Existing::Keep.or_force(args.force);
    let create = |path: &PathBuf| OutputFile::create(path, existing);
    let package = match &args.output {
        _ if args.dry_run => None,
        Some(_) if args.to_stdout() => Some(OutputFile::stdout()?),
        path => path.as_ref().map(create).transpose()?,
    };
    let sums = args.sha256sums.as_ref().map(create).transpose()?;
    let mut changes =
        Changes::new(args.changes.as_ref().map(create).transpose()?, args.with_changes);
    let (records, images) = gather(stage, &mut changes)?;
    let store = stage.store()?;
    let mut plan = plan(&records, store, PlanOptions { any_form: args.any_form })?;
    for warning in &plan.warnings {
        stage.warn(warning);
    }
    let blobs = blobs(&mut plan, changes.inside(), args.plain)?;
    let infos: Vec<_> = blobs.iter().map(Blob::info).collect();
    if let Err(what) = plan.recipe.check(&infos) {
        fail!(Usage, "no package can be made of these records: {what}"; "they must be what dd-inspect, dd-extract and dd-diff write");
    }
    let container = Container::new(blobs, plan.subject.take())?;
    if args.to_stdout() && args.records.is_none() {
        stage.release_stdout();
    }
    let (package, written) = write(package, &container, args.plain)?;
    let sums = sums.map(|file| write_sums(file, &args, &written)).transpose()?;
    let changes = changes.finish()?;
    // All are whole now: what is there already hinders none of them.
    let outcome = package.map(WholeFile::commit).transpose()?;
    for file in [changes, sums].into_iter().flatten() {
        file.commit()?;
    }
    let file = file_name(&args)?;
    if let (Some(Outcome::Unchanged), Some(file)) = (outcome, &file) {
        stage.note(format_args!("{} holds this package already", file.display()));
    }
    for image in &images {
        stage.pass(image)?;
    }
    let package = describe(
        &plan.recipe,
        container.manifest_digest(),
        file.as_deref(),
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
fn gather(stage: &mut Stage, changes: &mut Changes) -> anyhow::Result<(Gathered, Vec<Line>)> {
    let mut input = stage.input()?;
    let mut records = Gathered::default();
    let mut images = Vec::new();
    while let Some(line) = input.next_record()? {
        match line.kind.as_str() {
            "change" => changes.take(&line)?,
            "progress" => stage.pass(&line)?,
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

fn write(
    file: Option<OutputFile>,
    container: &Container,
    plain: bool,
) -> anyhow::Result<(Option<WholeFile>, Written)> {
    let Some(mut file) = file else { return Ok((None, container.write(io::sink(), plain)?)) };
    let written = container.write(&mut file, plain)?;
    Ok((Some(file.finish()?), written))
}

/// The line that `sha256sum` writes for the package.
fn write_sums(mut file: OutputFile, args: &Args, written: &Written) -> anyhow::Result<WholeFile> {
    let name = args.output.as_deref().unwrap_or(Path::new("-")).as_os_str().as_bytes();
    file.write_all(&sum_line(name, &written.file_digest)).context("writing the checksum")?;
    file.finish()
}

/// `\` at the beginning says that the name has escapes (GNU coreutils, "cksum output modes").
fn sum_line(name: &[u8], digest: &Digest) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in name {
        match byte {
            b'\\' => escaped.extend(b"\\\\"),
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            other => escaped.push(*other),
        }
    }
    let mark = if escaped.len() == name.len() { "" } else { "\\" };
    [format!("{mark}{}  ", digest.hex()).as_bytes(), &escaped, b"\n"].concat()
}

/// The file as the `package` record says it: its absolute path, `-` for what is no file, nothing in a dry run.
fn file_name(args: &Args) -> anyhow::Result<Option<PathBuf>> {
    Ok(match &args.output {
        _ if args.dry_run => None,
        Some(path) if !args.to_stdout() && !is_stream(path) => Some(std::path::absolute(path)?),
        _ => Some("-".into()),
    })
}

fn summary(args: &Args, package: &Package) -> String {
    let share = package.size as f64 * 100.0 / (package.target_size.max(1)) as f64;
    let verb = if args.dry_run { "would have" } else { "has" };
    format!("the package {verb} {} bytes, {share:.2} % of {}", package.size, package.target_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_sha256sum_does() {
        let digest = Digest::of(b"");
        let line = |name: &[u8]| {
            String::from_utf8_lossy(&sum_line(name, &digest)).replace(&digest.hex(), "SUM")
        };
        assert_eq!(line(b"sub/a b.delta"), "SUM  sub/a b.delta\n");
        assert_eq!(line(b"a\nb\\c\rd"), "\\SUM  a\\nb\\\\c\\rd\n");
    }
}
