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

#[cfg(test)]
mod tests {
    use super::super::super::hooks::Source;
    use super::super::super::op::Literal;
    use super::*;

    fn copy(place: u32, offset: u64) -> Op {
        Op::Copy { source: Source::Base(place), offset, len: 10 }
    }

    fn edit(model: u64, offset: u64) -> Op {
        Op::Edit { model, source: Source::Base(0), offset, len: 10 }
    }

    fn literal(kind: Literal) -> Op {
        Op::Literal { kind, len: 10 }
    }

    fn computed(kind: Computed) -> Op {
        Op::Computed { kind, len: 10 }
    }

    #[test]
    fn an_op_goes_on_where_the_last_one_ended() {
        for (mut last, op) in [
            (copy(1, 5), copy(1, 15)),
            (edit(1, 5), edit(1, 15)),
            (literal(Literal::Text), literal(Literal::Text)),
            (computed(Computed::Zeros), computed(Computed::Zeros)),
            (computed(Computed::Names), computed(Computed::Names)),
        ] {
            assert!(extend(&mut last, &op), "{op:?}");
            assert_eq!(last.said_len(), 20);
        }
    }

    #[test]
    fn other_ops_begin_anew() {
        for (last, op) in [
            (copy(1, 5), copy(1, 16)),
            (copy(1, 5), copy(0, 15)),
            (copy(0, 5), edit(0, 15)),
            (edit(1, 5), edit(2, 15)),
            (literal(Literal::Text), literal(Literal::Code)),
            (computed(Computed::Zeros), computed(Computed::Names)),
            // Tables are whole rows of their own.
            (computed(Computed::Symbols), computed(Computed::Symbols)),
            (Op::Leave, Op::Leave),
        ] {
            let mut same = last.clone();
            assert!(!extend(&mut same, &op), "{op:?}");
            assert_eq!(same, last);
        }
    }
}
