//! What is written: which of the outputs, and of what it consists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dd_inspect::fail;
use dd_inspect::package::{Documents, FileLayout, Range, Recipe, Target};
use dd_inspect::range::FileRange;
use dd_inspect::record::Exact;
use dd_inspect::store::Store;
use rustix::fs::Access;

use crate::choice::Chosen;
use crate::output::archive::{self, Kind};
use crate::output::layout::{self, Move};
use crate::output::tree::Tree;
use crate::output::{Images, Output, Plan, dir, exact};
use crate::rebuild::Piece;
use crate::remote::Remote;

/// What the user said about the output.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `--uncompressed`.
    pub uncompressed: bool,
    /// `--exact-file`.
    pub exact_file: bool,
    /// `-f`.
    pub force: bool,
    /// The user gave names.
    pub named: bool,
    /// Where helper programs work; none where none is to be asked.
    pub store: Option<Store>,
}

/// What is written.
#[derive(Debug)]
pub enum Delivery {
    /// The target's own file.
    Exact(Plan, FileLayout),
    /// An archive that is written anew.
    Archive(Plan, Kind),
    /// A directory: its files that are not there yet.
    Tree(PathBuf, Tree),
    /// To another place by helper programs.
    Remote(Remote),
}

/// Why the output cannot be the target's own file.
pub fn not_exact(
    output: &Output,
    recipe: &Recipe,
    chosen: &[Chosen],
    request: &Request,
) -> Option<&'static str> {
    let [one] = chosen else {
        return Some("the package has several images, each with its own file");
    };
    let Some(target) = one.target(recipe) else { return Some("there is no image") };
    let own_transport = match output {
        Output::Stdout | Output::Path(_) => true,
        Output::DockerArchive(..) => target.transport == "docker-archive",
        Output::OciArchive(..) => target.transport == "oci-archive",
        _ => false,
    };
    if target.file.is_none() {
        return Some("the target was no file, or was narrowed when the package was made");
    }
    if one.narrowed {
        return Some("--image or --platform leaves out a part of it");
    }
    if request.uncompressed {
        return Some("--uncompressed writes other layers");
    }
    if request.named {
        return Some("a name was given");
    }
    if own_transport { None } else { Some("the output is of another kind than the target") }
}

impl Delivery {
    /// Decides.
    ///
    /// # Errors
    /// `usage` if `--exact-file` or `--uncompressed` cannot be had; `exists` if a directory must stay as it is.
    pub fn new(
        output: &Output,
        recipe: &Recipe,
        documents: &Documents,
        chosen: &[Chosen],
        images: &Images,
        request: &Request,
    ) -> anyhow::Result<Self> {
        let hindrance = not_exact(output, recipe, chosen, request);
        if let (None, [one]) = (hindrance, chosen)
            && let Some(file) = one.target(recipe).and_then(|target| target.file.clone())
        {
            return Ok(Self::Exact(exact::plan(&file), file));
        }
        if let Some(why) = hindrance.filter(|_| request.exact_file) {
            fail!(Usage, "the output will not be the target's own file: {why}"; "leave --exact-file away");
        }
        images.check()?;
        if request.uncompressed {
            if !matches!(output, Output::Stdout | Output::Path(_) | Output::DockerArchive(..)) {
                fail!(Usage, "--uncompressed writes a docker-archive, and the output is another kind"; "leave one of them away");
            }
            let plan = archive::plan(images, Kind::DockerPlain, recipe, None, &BTreeSet::new())?;
            return Ok(Self::Archive(plan, Kind::DockerPlain));
        }
        if let Output::Elsewhere(reference) = output {
            let remote = Remote::new(reference, recipe, chosen, images, request.store.as_ref())?;
            return Ok(Self::Remote(remote));
        }
        let first = chosen.first().and_then(|one| one.target(recipe));
        let own = first.map_or("", |target| target.transport.as_str());
        let names = if request.force || request.named { Move::Any } else { Move::Refuse };
        let kind = match output {
            Output::OciArchive(..) => Kind::Oci,
            Output::Path(_) | Output::Stdout if own == "oci-archive" => Kind::Oci,
            _ => Kind::Docker,
        };
        let index = |kind| own_index(chosen, recipe, images, request, kind);
        match output {
            Output::Oci(root, _) => {
                Self::layout(root, recipe, documents, images, index(Kind::Oci), names)
            }
            Output::Path(root) if own == "oci" => {
                Self::layout(root, recipe, documents, images, index(Kind::Oci), names)
            }
            Output::Dir(root) => Self::dir(root, recipe, documents, images, request),
            Output::Path(root) if own == "dir" => {
                Self::dir(root, recipe, documents, images, request)
            }
            _ => {
                let plan = archive::plan(images, kind, recipe, index(kind), &BTreeSet::new())?;
                Ok(Self::Archive(plan, kind))
            }
        }
    }

    fn layout(
        root: &Path,
        recipe: &Recipe,
        documents: &Documents,
        images: &Images,
        index: Option<Range>,
        names: Move,
    ) -> anyhow::Result<Self> {
        let tree = layout::tree(root, images, index, names)?;
        Ok(Self::Tree(root.to_owned(), tree.missing(root, recipe, documents)))
    }

    fn dir(
        root: &Path,
        recipe: &Recipe,
        documents: &Documents,
        images: &Images,
        request: &Request,
    ) -> anyhow::Result<Self> {
        let tree = dir::tree(images)?.missing(root, recipe, documents);
        let empty =
            std::fs::read_dir(root).map_or(!root.exists(), |mut entries| entries.next().is_none());
        if !empty && !tree.is_empty() && !request.force {
            fail!(Exists, "{} exists and holds something else", root.display(); "-f replaces it");
        }
        Ok(Self::Tree(root.to_owned(), tree))
    }

    /// Whether the output will be the target's own file.
    pub fn is_exact_file(&self) -> bool {
        matches!(self, Self::Exact(..))
    }

    /// Whether the output has the manifest of an image; `made`: one that the target has not.
    pub fn has_manifest(&self, made: bool) -> bool {
        match self {
            Self::Exact(..) => !made,
            Self::Archive(_, kind) => *kind != Kind::DockerPlain,
            Self::Tree(..) | Self::Remote(_) => true,
        }
    }

    /// The pieces that are to be made.
    pub fn pieces(&self) -> Vec<Piece> {
        match self {
            Self::Exact(plan, _) | Self::Archive(plan, _) => plan.pieces().collect(),
            Self::Tree(_, tree) => tree.pieces().collect(),
            Self::Remote(remote) => remote.pieces(),
        }
    }

    /// Bytes that are written.
    ///
    /// # Errors
    /// `package-corrupt` for impossible sizes.
    pub fn size(&self, recipe: &Recipe) -> anyhow::Result<u64> {
        match self {
            Self::Exact(_, file) => Ok(file.size),
            Self::Archive(plan, _) => plan.size(recipe),
            Self::Tree(_, tree) => tree.size(recipe),
            Self::Remote(remote) => remote.size(recipe),
        }
    }

    /// Whether the output can be written where it is to be, as far as that shows without writing.
    ///
    /// # Errors
    /// The directory is not there or cannot be written; the path is a directory and is to be a file.
    pub fn check_place(&self, path: Option<&Path>) -> anyhow::Result<()> {
        let Some(path) = path else { return Ok(()) };
        let path = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path))?;
        let beside = || format!("writing beside {}", path.display());
        let directory = match self {
            Self::Tree(..) if path.exists() => &path,
            _ if path.is_dir() => fail!(Usage, "{} is a directory", path.display()),
            _ if path.exists() && !path.is_file() => return Ok(()),
            _ => path.parent().unwrap_or(&path),
        };
        let access = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::access(directory, access).map_err(std::io::Error::from).with_context(beside)
    }

    /// Whether the output holds the wanted bytes already.
    ///
    /// # Errors
    /// `exists` if a file is there that does not and must stay.
    pub fn is_there(
        &self,
        path: Option<&Path>,
        recipe: &Recipe,
        documents: &Documents,
        force: bool,
    ) -> anyhow::Result<bool> {
        let (Self::Exact(..) | Self::Archive(..)) = self else {
            return Ok(matches!(self, Self::Tree(_, tree) if tree.is_empty()));
        };
        let Some(path) = path.filter(|path| path.is_file()) else { return Ok(false) };
        let there = FileRange::open(path)?;
        let same = match self {
            Self::Exact(_, file) => {
                let size = dd_inspect::range::ReadAt::size(&there);
                size == file.size && dd_inspect::digest::hash_reader(there)?.0 == file.digest
            }
            Self::Archive(plan, _) => plan.matches(&there, recipe, documents)?,
            _ => false,
        };
        if !same && !force {
            fail!(Exists, "{} exists and holds something else", path.display(); "-f replaces it");
        }
        Ok(same)
    }
}

/// The target's own `index.json`, where it fits what is written: of one image, under its own names.
fn own_index(
    chosen: &[Chosen],
    recipe: &Recipe,
    images: &Images,
    request: &Request,
    kind: Kind,
) -> Option<Range> {
    let [one] = chosen else { return None };
    let target: &Target = one.target(recipe)?;
    if request.named || one.picked || images.tops.iter().any(|top| top.made) {
        return None;
    }
    // ctr refuses an index.json that names what the archive lacks.
    let complete = target.manifests.iter().enumerate().all(|(place, manifest)| {
        manifest.parent.is_some() || one.manifests.contains(&place) && !manifest.gap()
    });
    target.index.filter(|_| complete || kind == Kind::Oci)
}

/// How exact the result is.
pub fn exactness(
    delivery: &Delivery,
    recipe: &Recipe,
    chosen: &[Chosen],
    images: &Images,
    request: &Request,
) -> Exact {
    if delivery.is_exact_file() {
        return Exact::File;
    }
    let config_only = chosen
        .iter()
        .filter_map(|one| one.target(recipe))
        .any(|target| target.exact == Exact::Config);
    if config_only || request.uncompressed || images.tops.iter().any(|top| top.made) {
        Exact::Config
    } else {
        Exact::Manifest
    }
}
