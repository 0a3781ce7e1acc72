//! Ops that go on where the one before ended.

use super::super::op::{Computed, Op};

/// Makes `last` longer by an op that continues it.
pub(super) fn extend(last: &mut Op, op: &Op) -> bool {
    match (last, op) {
        (Op::Copy { source, offset, len }, Op::Copy { source: s, offset: o, len: n })
            if source == s && *offset + *len == *o =>
        {
            *len += n;
        }
        (
            Op::Edit { model, source, offset, len },
            Op::Edit { model: m, source: s, offset: o, len: n },
        ) if model == m && source == s && *offset + *len == *o => *len += n,
        (Op::Literal { kind, len }, Op::Literal { kind: k, len: n }) if kind == k => *len += n,
        (Op::Computed { kind, len }, Op::Computed { kind: k, len: n })
            if kind == k && matches!(kind, Computed::Zeros | Computed::Names) =>
        {
            *len += n;
        }
        _ => return false,
    }
    true
}
