//! The root package owns the pipeline tests in this folder; it has no library of its own.
