//! What the pipeline tests share: images described as text, programs run in plain `sh`, strict records.

pub mod format;
pub mod image;
pub mod strict;
pub mod world;
