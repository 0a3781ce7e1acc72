//! Whole pipelines through the real programs.
