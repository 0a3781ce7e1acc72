//! Rebuilds container images from a base and a delta package: the last stage.
//!
//! [`stage`] is the program: it opens the [`package`], decides which images are rebuilt ([`choice`]) and what is written
//! ([`delivery`]), looks at the [`base`], compares needs with what there is ([`figures`]), and only then [`rebuild`]s the layers
//! into an [`output`].

pub mod base;
pub mod choice;
pub mod cli;
pub mod coherent;
pub mod deliver;
pub mod delivery;
pub mod elsewhere;
pub mod expect;
pub mod figures;
pub mod memory;
pub mod output;
pub mod package;
pub mod rebuild;
pub mod remote;
pub mod report;
pub mod resources;
pub mod size;
pub mod stage;
