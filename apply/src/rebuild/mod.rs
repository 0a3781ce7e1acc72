//! Rebuilding: package and base in, verified layers out, in bounded memory.
//!
//! A layer's content comes from its program or from the base, passes a [`Checked`] writer (its diff_id), the encoder that
//! compresses it as the target had it, and another [`Checked`] (its digest), and goes to its place. Nothing is read back
//! except contents that later ones read: those are [held](held::Held).

mod ahead;
pub mod blame;
pub mod blobs;
mod checked;
pub mod held;
mod layers;
pub mod run;
pub mod scratch;
pub mod share;
mod sources;
pub mod work;

pub use checked::{Checked, is_mismatch};
pub use layers::{Place, Rebuilder, Session};
pub use work::{Piece, Work};
