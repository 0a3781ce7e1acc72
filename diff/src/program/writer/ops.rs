//! What ops give, and which go on where the one before ended.

use super::super::op::Op;

/// The bytes that an op gives as its operands say.
pub(super) fn op_len(op: &Op) -> u64 {
    match op {
        Op::Copy { len, .. }
        | Op::Edit { len, .. }
        | Op::Literal { len, .. }
        | Op::Open { len, .. }
        | Op::Following { len, .. }
        | Op::Symbols { len }
        | Op::Names { len }
        | Op::FrameIndex { len }
        | Op::Exceptions { len }
        | Op::Zeros { len } => *len,
        Op::DigestHex { .. }
        | Op::Digest { .. }
        | Op::Mtime { .. }
        | Op::EnterHash { .. }
        | Op::Generate { .. }
        | Op::EnterDigest { .. }
        | Op::Enter { .. }
        | Op::Leave => 0,
    }
}

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
        (Op::Zeros { len }, Op::Zeros { len: n }) | (Op::Names { len }, Op::Names { len: n }) => {
            *len += n;
        }
        _ => return false,
    }
    true
}
