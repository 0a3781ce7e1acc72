//! dd-extract.
