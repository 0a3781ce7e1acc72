//! dd-inspect.
