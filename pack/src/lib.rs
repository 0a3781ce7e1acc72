//! Writes delta packages: the stage that puts together what the stages before it found.
//!
//! [`gather`] collects records, [`plan`] makes the recipe of them, [`container`] writes the file. The format is described
//! in docs/package-format.md; its types and its reader stand in [`dd_inspect::package`].

pub mod changes;
pub mod cli;
pub mod container;
pub mod documents;
pub mod features;
pub mod gather;
pub mod plan;
pub mod stage;
mod target;
