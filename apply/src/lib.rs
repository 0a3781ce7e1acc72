//! dd-apply.

pub mod elsewhere;
