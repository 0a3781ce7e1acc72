//! The stage: from the command line to the `applied` record.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use dd_diff::program::Limits;
use dd_inspect::digest::Digest;
use dd_inspect::fail;
use dd_inspect::image::{self, Reference};
use dd_inspect::output::{Existing, OutputFile, WholeFile};
use dd_inspect::package::recipe::Needs;
use dd_inspect::package::{Documents, Options as PackageOptions, Recipe, features};
use dd_inspect::record::{Applied, Check, Exact, Role};
use dd_inspect::stage::{Meter, Stage};
use dd_inspect::store::Store;

use crate::base::{BaseImage, Bases, Missing};
use crate::choice::{Chosen, Wanted, choose};
use crate::cli::Args;
use crate::deliver::Written;
use crate::delivery::{Delivery, Request, exactness, not_exact};
use crate::expect::{self, Expectation};
use crate::figures::{Figures, Manner};
use crate::output::names::with_tag;
use crate::output::{Images, Options, Output};
use crate::package::Package;
use crate::rebuild::blobs::Blobs;
use crate::rebuild::scratch::Scratch;
use crate::rebuild::share::Share;
use crate::rebuild::{Rebuilder, Work};
use crate::remote::Remote;
use crate::{base, coherent, package, remote, report, size};

/// Runs dd-apply.
///
/// # Errors
/// See docs/records.md for the categories.
pub fn run(args: &Args, stage: &mut Stage) -> anyhow::Result<()> {
    let output = match &args.output {
        Some(text) => Output::parse(text)?,
        None => Output::Stdout,
    };
    if output.is_stdout() && !args.check {
        if io::stdout().is_terminal() {
            fail!(Usage, "an image is not written to a terminal"; "--output FILE, or pipe it into another program");
        }
        if args.records.is_none() {
            stage.release_stdout();
        }
    }
    let expected = args.expected.iter().map(|text| Expectation::parse(text));
    let expected = expected.collect::<anyhow::Result<Vec<_>>>()?;
    let scratch_dir = scratch_directory(args, &output);
    let options = PackageOptions {
        scratch: scratch_dir.clone(),
        spool_limit: args.scratch,
        features: features(),
    };
    let package = package::open(args.package.as_deref(), &options, stage)?;
    let store = match &output {
        Output::Elsewhere(_) if !args.check => Some(stage.store()?),
        _ => None,
    };
    let job = Job::new(args, output, &package, scratch_dir, &expected, store)?;
    job.run(package, stage)
}

/// Beside the output, where that can be written.
fn scratch_directory(args: &Args, output: &Output) -> PathBuf {
    if let Some(directory) = &args.scratch_dir {
        return directory.clone();
    }
    let beside = output.file().and_then(|path| std::path::absolute(path).ok()).and_then(|path| {
        let parent = path.parent()?.to_owned();
        let writable = rustix::fs::access(&parent, rustix::fs::Access::WRITE_OK).is_ok();
        (parent.is_dir() && writable).then_some(parent)
    });
    let temporary = || match std::env::var_os("TMPDIR").map(PathBuf::from) {
        Some(directory) if directory.is_absolute() => directory,
        _ => PathBuf::from("/var/tmp"),
    };
    beside.unwrap_or_else(temporary)
}

/// One run, decided.
struct Job<'a> {
    args: &'a Args,
    output: Output,
    recipe: Arc<Recipe>,
    documents: Documents,
    chosen: Vec<Chosen>,
    images: Images,
    request: Request,
    delivery: Delivery,
    expected: bool,
    scratch_dir: PathBuf,
}

impl<'a> Job<'a> {
    fn new(
        args: &'a Args,
        output: Output,
        package: &Package,
        scratch_dir: PathBuf,
        expected: &[Expectation],
        store: Option<Store>,
    ) -> anyhow::Result<Self> {
        let (recipe, documents) = (package.reader.recipe(), package.reader.documents());
        let wanted = Wanted { targets: args.images.clone(), platforms: args.platforms.clone() };
        let chosen = choose(&recipe, &wanted)?;
        coherent::check(&recipe, &documents, &chosen)?;
        let mut names = args.names.clone();
        names.extend(output.name().map(str::to_owned));
        if let Output::Elsewhere(reference) = &output {
            names.extend(remote::name_in(reference).map(str::to_owned));
        }
        // A reference name of a layout may be anything; Docker's names have a tag.
        if !matches!(output, Output::Oci(..) | Output::OciArchive(..)) {
            names = names.iter().map(|name| with_tag(name)).collect();
        }
        let request = Request {
            uncompressed: args.uncompressed,
            exact_file: args.exact_file,
            force: args.force,
            named: !names.is_empty(),
            store,
        };
        let exact = not_exact(&output, &recipe, &chosen, &request).is_none();
        let expected = expect::compare(expected, &recipe, &chosen, exact)?;
        let images = Images::new(&recipe, &documents, &chosen, &Options { names })?;
        let delivery = Delivery::new(&output, &recipe, &documents, &chosen, &images, &request)?;
        Ok(Self {
            args,
            output,
            recipe,
            documents,
            chosen,
            images,
            request,
            delivery,
            expected,
            scratch_dir,
        })
    }

    /// Whether layers are handed on before all of the output is there.
    fn is_stream(&self) -> bool {
        match &self.delivery {
            Delivery::Remote(remote) => matches!(remote, Remote::Load(..)),
            _ => self.args.output.is_some() && self.output.file().is_none(),
        }
    }

    fn run(self, package: Package, stage: &mut Stage) -> anyhow::Result<()> {
        let there = || {
            let force = self.args.force;
            self.delivery.is_there(self.output.file(), &self.recipe, &self.documents, force)
        };
        let there = there()?;
        if self.args.check {
            self.delivery.check_place(self.output.file())?;
        } else if there {
            let digests = self.digests()?;
            return self.say(stage, &package.name, &[], (self.existing()?, digests), true);
        }
        let mut bases = self.bases(stage)?;
        self.check_base(&bases)?;
        let work = Work::new(&self.recipe, &bases, self.delivery.pieces())?;
        let manner = Manner {
            verified_first: self.is_stream(),
            spool: if package.in_place { 0 } else { payload_size(&package, &self.recipe, &work) },
        };
        let size = self.delivery.size(&self.recipe)?;
        let figures = Figures::new(&self.recipe, &work, &bases, size, manner)?;
        let figures = figures.with_resources(self.output.file(), &self.scratch_dir);
        if self.args.check {
            return self.say_check(stage, &package.name, &bases, &figures);
        }
        figures.check(self.args.memory, self.args.scratch)?;
        let digests = self.digests()?;
        if bases.is_elsewhere() {
            bases.fetch(&work, &self.args.registry, &stage.store()?)?;
        }
        let jobs = figures.jobs(self.args.jobs, self.args.memory);
        stage.note(format_args!(
            "{} to write; at most {jobs} layers at once, {} of memory for one of them, {} of scratch space",
            size::show(size),
            size::show(figures.memory),
            size::show(figures.scratch)
        ));
        let references = bases.references().to_vec();
        let name = package.name.clone();
        let memory = self.args.memory.or(figures.memory_available).unwrap_or(u64::MAX);
        let share = Share::new(figures.share(self.args.jobs, self.args.memory));
        let rebuilder = self.rebuilder(package, bases, (memory, share), size);
        rebuilder.blobs.want_only(&work.blobs(&self.recipe, self.file_corrections()));
        let meter = Arc::clone(&rebuilder.meter);
        let written = match (&self.delivery, &self.request.store) {
            (Delivery::Remote(remote), Some(store)) => {
                if !self.request.force && !self.request.named {
                    remote.check_names(store)?;
                }
                let options = &self.args.registry;
                stage.watch(&meter, || remote.write(&rebuilder, &work, jobs, options, store))?;
                None
            }
            _ => {
                let path = self.output.path();
                stage.watch(&meter, || self.delivery.write(path, &rebuilder, &work, jobs))?
            }
        };
        self.say(stage, &name, &references, (written, digests), false)
    }

    fn rebuilder(
        &self,
        package: Package,
        bases: Bases,
        (memory, share): (u64, Share),
        size: u64,
    ) -> Rebuilder {
        Rebuilder {
            recipe: Arc::clone(&self.recipe),
            documents: self.documents.clone(),
            blobs: Blobs::new(package.reader),
            bases,
            scratch: Scratch::new(&self.scratch_dir, self.args.scratch),
            tools: dd_diff::tools(&self.scratch_dir),
            // No program may take more than the recipe says of all of them.
            limits: Limits { memory: memory.min(self.recipe.memory), scratch: self.recipe.scratch },
            share,
            meter: Arc::new(Meter::new("rebuilding", size)),
        }
    }

    /// The blob that compressing the whole file needs.
    fn file_corrections(&self) -> Option<u32> {
        match &self.delivery {
            Delivery::Exact(_, layout) => layout.corrections,
            _ => None,
        }
    }

    fn bases(&self, stage: &mut Stage) -> anyhow::Result<Bases> {
        let mut images = Vec::new();
        let options = image::Options {
            all_platforms: true,
            registry: self.args.registry.clone(),
            ..image::Options::default()
        };
        for reference in &self.args.bases {
            let store = stage.store()?;
            let given = Reference::new(reference);
            // A daemon's own word says nothing of compressed blobs.
            let by_contents = self.recipe.layers.iter().all(|layer| layer.form.is_none());
            if self.args.check
                && by_contents
                && let Some(image) = base::look(&given, &store)?
            {
                images.push(image);
                continue;
            }
            let records = image::inspect(&given, Role::Base, &options, &store)?;
            images.push(BaseImage { reference: given.given(), layers: records.layers });
        }
        Ok(Bases::new(images))
    }

    /// Fails unless the bases have what the chosen images need.
    fn check_base(&self, bases: &Bases) -> anyhow::Result<()> {
        let mut lacking = Vec::new();
        for one in &self.chosen {
            let needs: Needs = self.recipe.needs(one.layers(&self.recipe));
            let missing = Missing::new(&needs, &self.recipe, bases);
            if !missing.is_empty() {
                lacking.push((one, missing));
            }
        }
        let Some((one, missing)) = lacking.first() else { return Ok(()) };
        let mut failure = missing.failure(&self.recipe, &one.describe(&self.recipe), bases);
        if lacking.len() < self.chosen.len() {
            let good: Vec<_> = self
                .chosen
                .iter()
                .filter(|one| lacking.iter().all(|(other, _)| other.number != one.number))
                .map(|one| format!("--image {}", one.describe(&self.recipe)))
                .collect();
            failure = failure.hint(format_args!("{} rebuilds what this base has", good.join(" ")));
        }
        Err(failure.into())
    }

    /// The file that is there, for the record.
    fn existing(&self) -> anyhow::Result<Option<Written>> {
        let Some(path) = self.output.file().filter(|path| path.is_file()) else { return Ok(None) };
        let (digest, size) = match &self.delivery {
            Delivery::Exact(_, layout) => (layout.digest, layout.size),
            _ => dd_inspect::digest::hash_reader(std::fs::File::open(path)?)?,
        };
        Ok(Some(Written { digest, size }))
    }

    fn output_name(&self) -> String {
        let output = self.args.output.as_ref();
        output.map_or_else(|| "-".to_owned(), |output| output.to_string_lossy().into_owned())
    }

    /// The file of digests, so that it is known before work that it can be written; it still lacks its name.
    fn digests(&self) -> anyhow::Result<Option<WholeFile>> {
        let Some(path) = &self.args.digestfile else { return Ok(None) };
        let mut file = OutputFile::create(path, Existing::Keep.or_force(self.args.force))?;
        let images = report::rebuilt(&self.images, &self.delivery);
        io::Write::write_all(&mut file, report::digests(&images).as_bytes())?;
        Ok(Some(file.finish()?))
    }

    fn expected(&self) -> String {
        if self.expected { "match" } else { "none" }.to_owned()
    }

    fn say(
        &self,
        stage: &mut Stage,
        package: &str,
        bases: &[String],
        (written, digests): (Option<Written>, Option<WholeFile>),
        unchanged: bool,
    ) -> anyhow::Result<()> {
        digests.map(WholeFile::commit).transpose()?;
        let file_exact = self.delivery.is_exact_file();
        let images = report::rebuilt(&self.images, &self.delivery);
        let exact: Exact =
            exactness(&self.delivery, &self.recipe, &self.chosen, &self.images, &self.request);
        let applied = Applied {
            package: package.to_owned(),
            output: self.output_name(),
            exact,
            file_exact,
            file_digest: written.map(|written| -> Digest { written.digest }),
            size: written.map(|written| written.size),
            images,
            bases: bases.to_vec(),
            expected: self.expected(),
            unchanged,
        };
        if !file_exact {
            let why = not_exact(&self.output, &self.recipe, &self.chosen, &self.request);
            stage.note(format_args!(
                "the output is not the target's own file: {}",
                why.unwrap_or("")
            ));
        }
        let text = report::applied(&applied);
        stage.emit(applied)?;
        stage.show(&text)
    }

    fn say_check(
        &self,
        stage: &mut Stage,
        package: &str,
        bases: &Bases,
        figures: &Figures,
    ) -> anyhow::Result<()> {
        let file_exact = self.delivery.is_exact_file();
        let check = Check {
            package: package.to_owned(),
            output: self.args.output.as_ref().map(|_| self.output_name()),
            file_exact,
            images: report::rebuilt(&self.images, &self.delivery),
            bases: bases.references().to_vec(),
            expected: self.expected(),
            output_size: figures.output,
            output_free: figures.output_free,
            memory: figures.memory,
            memory_available: figures.memory_available,
            scratch: figures.scratch,
            scratch_free: figures.scratch_free,
        };
        let text = report::check(&check);
        stage.emit(check)?;
        stage.show(&text)?;
        figures.check(self.args.memory, self.args.scratch)
    }
}

/// Bytes of the payloads that are read.
fn payload_size(package: &Package, recipe: &Recipe, work: &Work) -> u64 {
    let blobs = package.reader.blobs();
    let sizes = work.blobs(recipe, None).into_iter().filter_map(|n| blobs.get(n as usize));
    sizes.fold(0, |sum, blob| sum.saturating_add(blob.size))
}
