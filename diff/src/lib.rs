//! dd-diff.
