//! The stage: records in, a delta for each layer of a target, records out.

mod changes;
mod deliver;
mod inventory;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use anyhow::Context;
use dd_inspect::digest::DiffId;
use dd_inspect::fail;
use dd_inspect::range::FileRange;
use dd_inspect::record::Delta;
use dd_inspect::stage::{Meter, Stage};

use crate::cli::{Args, Method};
use crate::encode::{Layer, Options};
use inventory::{Inventory, Job};

/// Runs dd-diff.
///
/// # Errors
/// What is wrong with the input, the layers or the store.
pub fn run(args: &Args, stage: &mut Stage) -> anyhow::Result<()> {
    let mut input = stage.input()?;
    let mut inventory = Inventory::default();
    while let Some(line) = input.next_record()? {
        if !inventory.read(&line)? {
            stage.pass(&line)?;
        }
    }
    let jobs = inventory.jobs(args.pair)?;
    for only in &args.only {
        if !jobs.iter().any(|job| job.layer == *only) {
            fail!(Usage, "--only {only}: no target has this layer");
        }
    }
    let (mut layers, mut opened) = (HashMap::new(), Vec::new());
    for job in jobs.iter().filter(|job| !job.held) {
        for diff_id in job.sources.iter().chain([&job.layer]) {
            if !layers.contains_key(diff_id) {
                let (layer, file) = inventory.open(*diff_id)?;
                layers.insert(*diff_id, layer);
                opened.push(file);
            }
        }
    }
    drop(inventory);
    work(args, stage, &jobs, &layers)?;
    opened.iter().try_for_each(FileRange::check_unchanged)
}

fn work(
    args: &Args,
    stage: &mut Stage,
    jobs: &[Job],
    layers: &HashMap<DiffId, Layer>,
) -> anyhow::Result<()> {
    let threads = args
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build();
    let pool = pool.context("starting threads")?;
    let store = stage.store()?;
    let search = args.method == Method::Auto;
    let without = args.without.iter().copied().collect();
    let options = Options { level: args.effort(), search, memory: args.memory, without };
    let wanted = |job: &Job| !job.held && (args.only.is_empty() || args.only.contains(&job.layer));
    let count = jobs.iter().filter(|job| wanted(job)).count();
    let mut totals = Totals::default();
    for job in jobs {
        if job.held {
            totals.held += 1;
            stage.emit(held(job.layer))?;
            continue;
        }
        if !wanted(job) {
            continue;
        }
        let find = |id: &DiffId| layers.get(id).cloned().context("a layer was not opened");
        let target = find(&job.layer)?;
        let bases: Vec<Layer> = job.sources.iter().map(find).collect::<anyhow::Result<_>>()?;
        let task = format!("encoding layer {} of {count}", totals.made + 1);
        // Each byte is encoded and decoded.
        let meter = Meter::new(&task, job.size.saturating_mul(2));
        let done = |bytes| meter.add(bytes);
        let delivered = stage.watch(&meter, || {
            pool.install(|| deliver::deliver(&target, &bases, &options, args.method, &store, done))
        })?;
        delivered.notes.iter().for_each(|note| stage.note(note));
        for change in changes::changes(&target, &bases, &delivered.made) {
            stage.emit(change)?;
        }
        if totals.made == 0 {
            report_removed(stage, &target, &bases, jobs, layers)?;
        }
        totals.add(job.size, &delivered.delta);
        stage.emit(delivered.delta)?;
    }
    stage.show(&totals.summary())
}

/// Tells once what no target has any more.
fn report_removed(
    stage: &mut Stage,
    target: &Layer,
    bases: &[Layer],
    jobs: &[Job],
    layers: &HashMap<DiffId, Layer>,
) -> anyhow::Result<()> {
    let ids: HashSet<DiffId> = jobs.iter().map(|job| job.layer).collect();
    let targets: Vec<&Layer> =
        layers.values().filter(|layer| ids.contains(&layer.diff_id)).collect();
    for change in changes::removed(target, bases, &targets) {
        stage.emit(change)?;
    }
    Ok(())
}

/// The record of a layer that a base has.
fn held(layer: DiffId) -> Delta {
    Delta {
        layer,
        means: "base".to_owned(),
        location: None,
        size: 0,
        shared: None,
        digest: None,
        sources: vec![layer],
        memory: 0,
        scratch: 0,
        proven: true,
        why: None,
    }
}

/// What there was, for the line on a terminal.
#[derive(Debug, Default)]
struct Totals {
    held: u64,
    made: u64,
    layer_bytes: u64,
    delta_bytes: u64,
}

impl Totals {
    fn add(&mut self, size: u64, delta: &Delta) {
        self.made += 1;
        self.layer_bytes += size;
        self.delta_bytes += delta.size;
    }

    fn summary(&self) -> String {
        let Self { held, made, layer_bytes, delta_bytes } = self;
        let layers =
            |count: u64| if count == 1 { "1 layer".into() } else { format!("{count} layers") };
        let verb = if *held == 1 { "is" } else { "are" };
        let (held, made) = (layers(*held), layers(*made));
        format!(
            "{held} {verb} in the base, {made} of {layer_bytes} bytes became deltas of {delta_bytes} bytes\n"
        )
    }
}
