//! Which model it is: the instruction set of a file, and how much of it the model knows.

use super::super::ids::model;

/// Instruction sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// Instructions of 1 to 15 bytes.
    X86_64,
    /// Instructions of 4 bytes.
    AArch64,
}

/// Versions of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// Edits alone.
    First,
    /// New code too.
    Second,
    /// New tables too.
    Third,
    /// Symbols and their names too.
    Fourth,
    /// Tables of exceptions too; AArch64 begins with it.
    Fifth,
}

/// Models by their ids.
const MODELS: [(u64, Machine, Version); 6] = [
    (model::X86_64, Machine::X86_64, Version::First),
    (model::X86_64_CODE, Machine::X86_64, Version::Second),
    (model::X86_64_TABLES, Machine::X86_64, Version::Third),
    (model::X86_64_SYMBOLS, Machine::X86_64, Version::Fourth),
    (model::X86_64_EXCEPTIONS, Machine::X86_64, Version::Fifth),
    (model::AARCH64, Machine::AArch64, Version::Fifth),
];

/// The model with this id.
pub(crate) fn of_id(id: u64) -> Option<(Machine, Version)> {
    let found = MODELS.iter().find(|model| model.0 == id);
    found.map(|&(_, machine, version)| (machine, version))
}

/// The id of a model.
#[cfg(feature = "encode")]
pub(crate) fn id(machine: Machine, version: Version) -> Option<u64> {
    let found = MODELS.iter().find(|model| (model.1, model.2) == (machine, version));
    found.map(|model| model.0)
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_models_belong_together() {
        for number in 1..=6 {
            let (machine, version) = of_id(number).unwrap();
            assert_eq!(id(machine, version), Some(number));
        }
        assert_eq!(of_id(model::BYTES), None);
        assert_eq!(of_id(7), None);
        assert_eq!(id(Machine::AArch64, Version::First), None);
    }
}
