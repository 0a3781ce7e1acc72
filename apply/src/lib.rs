//! dd-apply.
