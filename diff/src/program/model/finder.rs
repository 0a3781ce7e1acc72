//! Finds the addresses of code, by the instruction set.

use dd_inspect::failure::Failure;

use super::pairs::Window;
use super::params::Area;
use super::stretch::{Reference, Stretch};
use super::sweep::{PAGE, Pages, Read};
use super::version::Machine;

/// Work of a page that is swept.
pub(crate) const WORK_PAGE: u64 = 3 * PAGE;
/// Work of a byte that is seen around code of [`Machine::AArch64`].
const WORK_AROUND: u64 = 16;

impl Machine {
    /// The work of so many bytes of the base's file that are read to find addresses.
    pub(crate) fn work(self, read: usize) -> u64 {
        match self {
            Self::X86_64 => WORK_PAGE,
            Self::AArch64 => WORK_AROUND * read as u64,
        }
    }
}

/// What finds them in a base's file.
#[derive(Debug, Clone)]
pub(super) enum Finder {
    /// Instructions of any length are swept in pages.
    X86_64(Pages),
    AArch64(Window),
}

impl Finder {
    /// What finds those of an instruction set.
    pub(super) fn new(machine: Machine) -> Self {
        match machine {
            Machine::X86_64 => Self::X86_64(Pages::new()),
            Machine::AArch64 => Self::AArch64(Window::default()),
        }
    }

    /// Forgets what it found.
    pub(super) fn clear(&mut self) {
        match self {
            Self::X86_64(pages) => pages.clear(),
            // It has nothing but room.
            Self::AArch64(_) => {}
        }
    }

    /// The references of `from..to`, a part of an area of code and of a stretch.
    pub(super) fn find(
        &mut self,
        stretch: &Stretch<'_>,
        area: &Area,
        (from, to): (u64, u64),
        read: &mut Read<'_>,
        list: &mut Vec<Reference>,
    ) -> Result<(), Failure> {
        match self {
            Self::X86_64(pages) => {
                for page in from / PAGE..to.div_ceil(PAGE) {
                    for field in pages.fields(area, page, read)? {
                        let place = page * PAGE + u64::from(field.at);
                        if place >= from && place + 4 <= to {
                            list.extend(stretch.code(place, field.behind, field.form));
                        }
                    }
                }
                Ok(())
            }
            Self::AArch64(window) => window.find(stretch, area, (from, to), read, list),
        }
    }
}
