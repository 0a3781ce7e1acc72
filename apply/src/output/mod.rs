//! Writing what was rebuilt: the exact file, archives, directories.

pub mod archive;
pub mod dir;
pub mod exact;
pub mod file;
pub mod images;
pub mod index;
pub mod layout;
pub mod names;
pub mod place;
pub mod plan;
pub mod stream;
pub mod tar;
pub mod tree;

pub use images::{Images, Options};
pub use place::Output;
pub use plan::{Part, Plan};
