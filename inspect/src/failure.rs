//! Failures: what a stage reports on stderr and in its `error` record, and the exit code.
//!
//! Library code returns [`anyhow::Error`]; where the reason decides the exit code, a [`Failure`]
//! stands somewhere in its chain. The rules: a message says what was read, where, and what is
//! wrong, in one line; the hint says what to do. An error without a `Failure` is classified by the
//! I/O error in its chain, else it is `unexpected`.

use std::fmt::{self, Display};
use std::io;

use serde::{Deserialize, Serialize};

/// Why a stage failed: a closed list, documented in docs/records.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// The command line or the records on stdin cannot be understood.
    Usage,
    /// A named file, image or platform does not exist.
    NotFound,
    /// A file is no container image, or a broken one; or no delta package.
    NotAnImage,
    /// The base lacks layers that the package needs.
    WrongBase,
    /// The right base, but not with the compressed blobs that the package needs.
    BaseForm,
    /// A file changed between two looks at it.
    BaseChanged,
    /// A delta package is damaged.
    PackageCorrupt,
    /// Content does not have the digest that was declared for it.
    DigestMismatch,
    /// The output exists and was not to be replaced.
    Exists,
    /// A disk is full.
    NoSpace,
    /// A helper program is not installed.
    MissingProgram,
    /// A helper program failed.
    HelperFailed,
    /// More memory, scratch space or work would be needed than was allowed.
    Limit,
    /// The input needs a newer or other version of this program.
    Unsupported,
    /// A stage earlier in the pipeline ended without a word.
    Upstream,
    /// Reading or writing failed.
    Io,
    /// A failure that nobody foresaw: a defect of this program.
    Unexpected,
}

impl Category {
    /// The exit code: 1 unexpected, 2 missing program, 3 invalid input or usage, 4 the operation failed.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Unexpected => 1,
            Self::MissingProgram => 2,
            Self::Usage
            | Self::NotFound
            | Self::NotAnImage
            | Self::WrongBase
            | Self::BaseForm
            | Self::Exists => 3,
            Self::BaseChanged
            | Self::PackageCorrupt
            | Self::DigestMismatch
            | Self::NoSpace
            | Self::HelperFailed
            | Self::Limit
            | Self::Unsupported
            | Self::Upstream
            | Self::Io => 4,
        }
    }
}

/// A failure with its category and, where one helps, a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Decides the exit code.
    pub category: Category,
    /// What went wrong and where, without a final full stop.
    pub message: String,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure of this category.
    pub fn new(category: Category, message: impl Display) -> Self {
        Self { category, message: message.to_string(), hint: None }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Returns early with a [`Failure`]: `fail!(NotFound, "no file {path:?}")`, with `; "hint {x}"` after it.
#[macro_export]
macro_rules! fail {
    ($category:ident, $format:literal $(, $arg:expr)* $(; $hint:literal $(, $harg:expr)*)?) => {
        return Err($crate::failure!($category, $format $(, $arg)* $(; $hint $(, $harg)*)?).into())
    };
}

/// Makes a [`Failure`]: `failure!(NotFound, "no file {path:?}"; "look again")`.
#[macro_export]
macro_rules! failure {
    ($category:ident, $format:literal $(, $arg:expr)* $(; $hint:literal $(, $harg:expr)*)?) => {
        $crate::failure::Failure::new($crate::failure::Category::$category, format!($format $(, $arg)*))
            $(.hint(format!($hint $(, $harg)*)))?
    };
}

/// The failure that an error amounts to: its whole chain as the message, and the category and hint of
/// the [`Failure`] or I/O error inside.
pub fn classify(error: &anyhow::Error) -> Failure {
    let message = one_line(&format!("{error:#}"));
    if let Some(failure) = error.chain().find_map(find_failure) {
        return Failure { message, ..failure.clone() };
    }
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    Failure { category: io.map_or(Category::Unexpected, io_category), message, hint: None }
}

fn find_failure<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Failure> {
    cause
        .downcast_ref::<Failure>()
        .or_else(|| cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<Failure>())
}

fn io_category(error: &io::Error) -> Category {
    if error.get_ref().is_some_and(|inner| inner.is::<crate::digest::Mismatch>()) {
        return Category::DigestMismatch;
    }
    match error.kind() {
        io::ErrorKind::NotFound => Category::NotFound,
        kind if is_no_space(kind) => Category::NoSpace,
        _ => Category::Io,
    }
}

/// Whether a file cannot grow: the disk is full, or the user's share of it, or what the process may write (`ulimit -f`).
pub fn is_no_space(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(kind, FileTooLarge | QuotaExceeded | StorageFull)
}

/// A message as one line of printable text.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.trim().chars() {
        match c {
            '\n' | '\r' => {
                if !line.ends_with(' ') {
                    line.push(' ');
                }
            }
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn category_survives_context_and_io() {
        let inner = failure!(WrongBase, "layer {} is missing", 3; "give version {}", 1);
        let error = Err::<(), _>(inner.clone()).context("reading\nbase").unwrap_err();
        let failure = classify(&error);
        assert_eq!(failure.category, Category::WrongBase);
        assert_eq!(failure.message, "reading base: layer 3 is missing");
        assert_eq!(failure.hint.as_deref(), Some("give version 1"));
        let wrapped = anyhow::Error::from(io::Error::other(inner));
        assert_eq!(classify(&wrapped).category, Category::WrongBase);
    }

    #[test]
    fn io_errors_have_categories() {
        let of = |kind| classify(&io::Error::from(kind).into()).category;
        assert_eq!(of(io::ErrorKind::NotFound), Category::NotFound);
        assert_eq!(of(io::ErrorKind::StorageFull), Category::NoSpace);
        assert_eq!(of(io::ErrorKind::FileTooLarge), Category::NoSpace);
        assert_eq!(of(io::ErrorKind::InvalidData), Category::Io);
        assert_eq!(classify(&anyhow::anyhow!("?")).category, Category::Unexpected);
    }

    #[test]
    fn terminal_escapes_are_harmless() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\nc"), "a\\u{1b}[2Jb c");
    }
}
