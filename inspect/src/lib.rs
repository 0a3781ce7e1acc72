//! Finds the documents and layers of container images and writes them as records: the first stage of
//! the pipeline, and the vocabulary of all of them.

pub mod child;
pub mod cli;
pub mod digest;
pub mod elsewhere;
pub mod failure;
pub mod files;
pub mod image;
pub mod ndjson;
pub mod output;
pub mod package;
pub mod pax;
pub mod range;
pub mod record;
pub mod run;
pub mod stage;
pub mod store;
pub mod table;
