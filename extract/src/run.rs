//! The stage: records in, work on all contents, records out.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use anyhow::Context;
use dd_inspect::digest::Digest;
use dd_inspect::elsewhere::fetch_layers;
use dd_inspect::range::{FileRange, ReadAt};
use dd_inspect::record::{Archive, Blob, Entry, Location, RecordPath};
use dd_inspect::stage::{Meter, Stage};
use dd_inspect::store::Store;
use rayon::prelude::*;

use crate::cli::Args;
use crate::layer::TarEntry;
use crate::plan::{Content, Plan, Planner};
use crate::work::{Done, Stored, Task, Workshop};

/// Memory that one layer's work takes at most, beside its corrections.
const TASK_MEMORY: u64 = 160 << 20;

/// Numbers in records stay below 2^53.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Runs dd-extract.
///
/// # Errors
/// What is wrong with the input, the images or the store.
pub fn run(args: &Args, stage: &mut Stage) -> anyhow::Result<()> {
    if args.store_prune {
        let freed = stage.store()?.prune()?;
        stage.note(format_args!("{freed} bytes freed"));
        return stage.show(&format!("{freed} bytes freed\n"));
    }
    let mut input = stage.input()?;
    let store = stage.store()?;
    store.prune()?;
    let mut planner = Planner::default();
    while let Some(line) = input.next_record()? {
        stage.pass(&line)?;
        planner.read(&line)?;
    }
    let plan = planner.finish()?;
    let tasks = tasks(&plan, args, &store)?;
    let total = tasks.iter().map(Task::size).sum();
    let meter = Meter::new("reading layers", total);
    let jobs = jobs(args);
    let max_corrections = (args.memory / jobs as u64 / 2).max(1 << 20);
    let workshop = Workshop { store, meter: &meter, max_corrections };
    let (done, archives) = stage.watch(&meter, || work(&workshop, &tasks, &plan.archives, jobs))?;
    report(stage, &plan, done, archives)
}

/// Opens what the contents lie in; fetches what lies in registries.
fn tasks(plan: &Plan, args: &Args, store: &Store) -> anyhow::Result<Vec<Task>> {
    let fetched = fetch(plan, args, store)?;
    let open = |content: &Content| -> anyhow::Result<Task> {
        let mut forms = Vec::new();
        for form in &content.forms {
            let range = match &form.location {
                Location::Reference { digest, .. } => {
                    fetched.get(digest).cloned().context("a layer was not fetched")?
                }
                location => {
                    FileRange::at(location).with_context(|| format!("opening {}", form.name))?
                }
            };
            let (digest, exact, name) = (form.digest, form.exact, form.name.clone());
            forms.push(Stored { digest, range, exact, name });
        }
        let Content { diff_id, opaque, list, .. } = *content;
        Ok(Task { diff_id, opaque, list, forms })
    };
    plan.contents.iter().map(open).collect()
}

fn fetch(plan: &Plan, args: &Args, store: &Store) -> anyhow::Result<BTreeMap<Digest, FileRange>> {
    let mut wanted: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
    for form in plan.contents.iter().flat_map(|content| &content.forms) {
        if let Location::Reference { reference, digest } = &form.location {
            wanted.entry(reference).or_default().insert(*digest);
        }
    }
    let mut fetched = BTreeMap::new();
    for (reference, digests) in wanted {
        let digests: Vec<Digest> = digests.into_iter().collect();
        fetched.extend(fetch_layers(reference, &digests, &args.registry, store)?);
    }
    Ok(fetched)
}

fn jobs(args: &Args) -> usize {
    let wanted = args
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let fitting = usize::try_from(args.memory / TASK_MEMORY).unwrap_or(usize::MAX);
    wanted.get().min(fitting.max(1))
}

/// The results stand in the order of the tasks, whatever the number of threads; so does the failure that is told.
fn work(
    workshop: &Workshop<'_>,
    tasks: &[Task],
    archives: &[Archive],
    jobs: usize,
) -> anyhow::Result<(Vec<Done>, Vec<Blob>)> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    pool.context("starting threads")?.install(|| {
        let (done, files) = rayon::join(
            || tasks.par_iter().map(|task| workshop.run(task)).collect::<Vec<_>>(),
            || archives.par_iter().map(|archive| file(workshop, archive)).collect::<Vec<_>>(),
        );
        let done = done.into_iter().collect::<anyhow::Result<_>>()?;
        Ok((done, files.into_iter().collect::<anyhow::Result<_>>()?))
    })
}

/// How a compressed archive file follows from its tar.
fn file(workshop: &Workshop<'_>, archive: &Archive) -> anyhow::Result<Blob> {
    let (whole, tar) = (FileRange::at(&archive.location)?, FileRange::at(&archive.tar)?);
    let mut blob = Blob {
        diff_id: archive.tar_digest.into(),
        digest: archive.file_digest,
        stored_size: whole.size(),
        size: tar.size(),
        location: archive.tar.clone(),
        encoding: None,
        encoding_name: None,
        corrections: None,
        corrections_digest: None,
        encoding_memory: None,
        tar: false,
    };
    let found = workshop
        .encoding(&archive.file_digest, &whole, &tar)
        .with_context(|| format!("reading {}", whole.path().display()))?;
    found.describe(&mut blob);
    Ok(blob)
}

fn report(
    stage: &mut Stage,
    plan: &Plan,
    done: Vec<Done>,
    archives: Vec<Blob>,
) -> anyhow::Result<()> {
    let (layers, unpacked) = (done.len(), done.iter().map(|d| d.unpacked).sum::<u64>());
    let mut entries = 0;
    for (content, done) in plan.contents.iter().zip(done) {
        for blob in done.blobs {
            if let Some(name) = &blob.encoding_name {
                stage.note(format_args!("{}: {name}", blob.digest));
            }
            stage.emit(blob)?;
        }
        entries += done.entries.len();
        for entry in done.entries {
            stage.emit(entry_record(content, entry))?;
        }
    }
    for blob in archives {
        stage.emit(blob)?;
    }
    stage.show(&format!("{layers} layers, {entries} entries, {unpacked} bytes unpacked\n"))
}

fn entry_record(content: &Content, entry: TarEntry) -> Entry {
    let link = entry.link.map(|link| RecordPath::new(&link)).unwrap_or_default();
    let limit = MAX_INTEGER.cast_signed();
    Entry {
        layer: content.diff_id,
        path: RecordPath::new(&entry.path),
        kind: entry.kind,
        mode: entry.mode,
        uid: entry.uid.min(MAX_INTEGER),
        gid: entry.gid.min(MAX_INTEGER),
        mtime: entry.mtime.clamp(-limit, limit),
        link: link.path,
        link_base64: link.path_base64,
        size: entry.size,
        digest: entry.digest,
        header_offset: entry.header_offset,
        content_offset: entry.content_offset,
    }
}
