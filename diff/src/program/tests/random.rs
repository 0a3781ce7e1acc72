//! Random programs: what is written comes back, in any cut.

use std::io::Read;

use proptest::prelude::*;

use super::toys::*;
use crate::program::*;

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![Just(Literal::Text), Just(Literal::Code), Just(Literal::Raw)]
}

fn leaf() -> impl Strategy<Value = Step> {
    let changes = prop::collection::vec((0u16..40, any::<u8>()), 0..40);
    prop_oneof![
        (0usize..2, any::<u8>(), any::<u8>())
            .prop_map(|(base, start, part)| Step::Copy(base, start, part)),
        (0usize..2, any::<u8>(), any::<u8>(), changes)
            .prop_map(|(base, start, part, changes)| Step::Edit(base, start, part, changes)),
        (literal(), prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(kind, bytes)| Step::Literal(kind, bytes)),
        (0u16..2000).prop_map(Step::Zeros),
        (any::<u8>(), 0u16..100, 0usize..2, any::<u8>())
            .prop_map(|(padding, len, base, start)| Step::Header(padding, len, base, start)),
        (0usize..2, any::<u8>(), any::<u8>())
            .prop_map(|(base, start, part)| Step::Group(base, start, part)),
    ]
}

fn nested() -> impl Strategy<Value = Step> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        let steps = prop::collection::vec(inner, 0..4);
        prop_oneof![
            steps.clone().prop_map(Step::Digest),
            (any::<u8>(), prop::collection::vec(any::<u8>(), 0..20), steps)
                .prop_map(|(add, exact, steps)| Step::Encode(add, exact, steps)),
        ]
    })
}

/// Steps of all sorts; kept objects stand outermost.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kept = (prop::collection::vec(nested(), 0..4), any::<u8>(), any::<u8>());
    let step = prop_oneof![
        4 => nested(),
        1 => kept.prop_map(|(steps, start, part)| Step::Kept(steps, start, part)),
    ];
    prop::collection::vec(step, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn programs_come_back(steps in steps(), cut in 1usize..5000, strong: bool) {
        let bases = vec![noise(1, 2000), noise(2, 300)];
        let mut writer = writer_with(&bases, if strong { Coders::Usual } else { Coders::Quick });
        let layer = write(&mut writer, &bases, &steps);
        let (payload, summary) = finish(writer);
        prop_assert_eq!(&decode(&payload, &bases).unwrap(), &layer);
        prop_assert_eq!(summary.head.output_len, layer.len() as u64);
        let sources = named(&bases, &summary.head);
        let mut decoder = Decoder::new(&payload[..], sources, tools(), Limits::default()).unwrap();
        let mut out = Vec::new();
        while (&mut decoder).take(cut as u64).read_to_end(&mut out).unwrap() > 0 {}
        prop_assert_eq!(out, layer);
    }
}
