use super::super::super::limits::BLOCK_LEN;
use super::*;
use proptest::prelude::*;

/// Predicted bytes, classes and wanted bytes of an op.
type Edit = (Vec<u8>, Vec<u8>, Vec<u8>);

fn edit() -> impl Strategy<Value = Edit> {
    let byte = (
        prop_oneof![3 => Just(7u8), 1 => any::<u8>()],
        0u8..3,
        prop_oneof![9 => Just(0u8), 1 => any::<u8>()],
    );
    prop::collection::vec(byte, 1..300).prop_map(|bytes| {
        let predicted = bytes.iter().map(|byte| byte.0).collect();
        let classes = bytes.iter().map(|byte| byte.1).collect();
        let wanted = bytes.iter().map(|byte| byte.0.wrapping_add(byte.2)).collect();
        (predicted, classes, wanted)
    })
}

fn coded(pieces: &[Vec<Edit>], part: usize, in_layers: bool) -> Vec<Vec<u8>> {
    let mut writer = CorrectionWriter::new(in_layers);
    let piece = |edits: &Vec<Edit>| {
        for (predicted, classes, wanted) in edits {
            for at in (0..wanted.len()).step_by(part) {
                let range = at..(at + part).min(wanted.len());
                let of = |bytes: &Vec<u8>| bytes[range.clone()].to_vec();
                writer.push(&of(predicted), &of(classes), &of(wanted));
            }
            writer.end_op();
        }
        writer.finish_piece()
    };
    pieces.iter().map(piece).collect()
}

proptest! {
    #[test]
    fn corrections_come_back_in_any_cut(
        pieces in prop::collection::vec(prop::collection::vec(edit(), 0..4), 1..4),
        written in 1usize..90,
        read in 1usize..4,
        in_layers: bool,
    ) {
        let coded = coded(&pieces, written, in_layers);
        let how = if in_layers { Corrections::InLayers } else { Corrections::Plain };
        let mut reader = CorrectionReader::new(how);
        for (coded, edits) in coded.iter().zip(&pieces) {
            reader.begin(coded);
            for (predicted, classes, wanted) in edits {
                let mut bytes = predicted.clone();
                let step = read * BLOCK_LEN;
                for (bytes, classes) in bytes.chunks_mut(step).zip(classes.chunks(step)) {
                    reader.correct(coded, bytes, classes).unwrap();
                }
                prop_assert_eq!(&bytes, wanted);
            }
            reader.finish_piece(coded).unwrap();
        }
    }

    #[test]
    fn bytes_come_back(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)) {
        let refs: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let mut reader = ByteReader::new();
        for (coded, piece) in encode_bytes(&refs).iter().zip(&pieces) {
            let mut out = vec![0; piece.len()];
            let (first, second) = out.split_at_mut(piece.len() / 3);
            reader.begin(coded);
            reader.pull(coded, first).unwrap();
            reader.pull(coded, second).unwrap();
            reader.finish_piece(coded).unwrap();
            prop_assert_eq!(&out, piece);
        }
    }

    #[test]
    fn literals_come_back(
        pieces in prop::collection::vec(prop::collection::vec(97u8..101, 0..200), 1..4),
        dictionary in prop::collection::vec(97u8..101, 0..900),
        place: Option<prop::sample::Index>,
        sort in prop_oneof![Just(Sort::Text), Just(Sort::X86_64)],
    ) {
        let refs: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let place = place.map(|place| place.index(dictionary.len() + 10));
        let stand = |place, end| Stand { place, len: 70, end };
        let marks = vec![(0, stand(None, None)), (20, stand(place, Some(400))), (90, stand(Some(3), place))];
        let marks = vec![marks; pieces.len()];
        let mut reader = LiteralReader::new(10, sort, dictionary.clone());
        let coded = encode_literals(10, sort, &dictionary, &refs, &marks);
        for ((coded, piece), marks) in coded.iter().zip(&pieces).zip(&marks) {
            let mut out = vec![0; piece.len()];
            reader.begin(coded);
            let ends = [20, 90, 200].map(|end: usize| end.min(piece.len()));
            let mut at = 0;
            for (end, (_, stand)) in ends.into_iter().zip(marks).filter(|(end, _)| *end > 0) {
                if at < end {
                    reader.stand(*stand);
                }
                reader.pull(coded, &mut out[at..end]).unwrap();
                at = end;
            }
            reader.finish_piece(coded).unwrap();
            prop_assert_eq!(&out, piece);
        }
    }

    #[test]
    fn any_coded_bytes_give_something_or_an_error(coded: Vec<u8>, classes: Vec<u8>) {
        for how in [Corrections::Plain, Corrections::InLayers] {
            let mut reader = CorrectionReader::new(how);
            reader.begin(&coded);
            let mut bytes = classes.clone();
            let corrected = reader.correct(&coded, &mut bytes, &classes);
            prop_assert!(corrected.is_ok() || coded.len() <= classes.len() * 20);
        }
        let mut reader = ByteReader::new();
        reader.begin(&coded);
        let mut out = [0; 300];
        let pulled = reader.pull(&coded, &mut out);
        prop_assert_eq!(pulled.is_err(), reader.reading.check(&coded).is_err());
    }
}

#[test]
fn what_is_right_costs_almost_nothing() {
    let bytes: Vec<u8> =
        (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as u8).collect();
    for in_layers in [false, true] {
        let mut writer = CorrectionWriter::new(in_layers);
        writer.push(&bytes, &[], &bytes);
        assert!(writer.finish_piece().len() < 20);
    }
}

#[test]
fn the_same_change_of_the_same_bytes_becomes_cheap() {
    let predicted: Vec<u8> =
        (0..64_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as u8 & 3).collect();
    let wanted: Vec<u8> = predicted.iter().map(|&byte| if byte == 2 { 77 } else { byte }).collect();
    for in_layers in [false, true] {
        let mut writer = CorrectionWriter::new(in_layers);
        writer.push(&predicted, &[], &wanted);
        let len = writer.finish_piece().len();
        assert!(len < 2_000, "{len}");
    }
}

#[test]
fn literals_like_the_dictionary_cost_little() {
    let words: Vec<u8> = (0..3000u32)
        .flat_map(|i| format!("w{} ", i.wrapping_mul(7919) % 997).into_bytes())
        .collect();
    let text = &words[4000..9000];
    for sort in [Sort::Text, Sort::X86_64] {
        let len = |dictionary: &[u8], place: Option<usize>| {
            let stand = Stand { place, len: text.len(), end: None };
            encode_literals(14, sort, dictionary, &[text], &[vec![(0, stand)]]).concat().len()
        };
        let (alone, with, told) = (len(&[], None), len(&words, None), len(&words, Some(4000)));
        assert!(alone > 400 && with < 60 && told < 10, "{alone} {with} {told}");
    }
}

#[test]
fn readers_forget_what_they_read() {
    let words: Vec<u8> = (0..900u32).flat_map(|i| (i * i % 777).to_le_bytes()).collect();
    let pieces = [&words[..], &words[300..900]];
    let (all, few) = (words.clone(), words[40..50].to_vec());
    let mut spare = LiteralReader::new(11, Sort::Text, all.clone());
    let streams = [
        (12, Sort::Text, few.clone()),
        (12, Sort::X86_64, all.clone()),
        (11, Sort::X86_64, few),
        (12, Sort::X86_64, Vec::new()),
        (12, Sort::Text, all),
        (13, Sort::Text, Vec::new()),
    ];
    for (window_log, sort, dictionary) in streams {
        let coded = encode_literals(window_log, sort, &dictionary, &[pieces[1]], &[]).remove(0);
        let mut reader = spare.again(window_log, sort, dictionary);
        let mut out = vec![0; pieces[1].len()];
        reader.begin(&coded);
        reader.pull(&coded, &mut out).unwrap();
        reader.finish_piece(&coded).unwrap();
        assert_eq!(out, pieces[1], "{window_log}");
        spare = reader;
    }
    let (mut bytes, mut out) = (ByteReader::new(), vec![0; words.len()]);
    let coded = encode_bytes(&[&words]).remove(0);
    for _ in 0..2 {
        bytes = bytes.again();
        bytes.begin(&coded);
        bytes.pull(&coded, &mut out).unwrap();
        assert_eq!(out, words);
    }
    let mut corrections = CorrectionReader::new(Corrections::InLayers);
    for in_layers in [false, true, true, false, false] {
        let mut writer = CorrectionWriter::new(in_layers);
        writer.push(&vec![7; words.len()], &[], &words);
        let corrected = writer.finish_piece();
        let how = if in_layers { Corrections::InLayers } else { Corrections::Plain };
        corrections = corrections.again(how);
        corrections.begin(&corrected);
        out.fill(7);
        corrections.correct(&corrected, &mut out, &[]).unwrap();
        assert_eq!(out, words);
    }
}

#[test]
fn what_was_measured_before_does_not_count() {
    let words: Vec<u8> = (0..900u32).flat_map(|i| (i * i % 777).to_le_bytes()).collect();
    let len = |bytes: &[u8]| {
        let Ok(len) = measured(|writer| {
            writer.push(&vec![7; bytes.len()], &[], bytes);
            Ok::<_, std::convert::Infallible>(())
        });
        len
    };
    let first = len(&words);
    assert!(first > 500 && len(&words[..100]) < first / 4);
    assert_eq!(len(&words), first);
    assert!(measured(|_| Err(())).is_err());
    assert_eq!(len(&words), first);
}

#[test]
fn literals_have_a_window() {
    for sort in [Sort::Text, Sort::X86_64] {
        let coded = encode_literals(11, sort, &[], &[&[5; 1100]], &[]).remove(0);
        for (window_log, fits) in [(10, false), (11, true)] {
            let mut reader = LiteralReader::new(window_log, sort, Vec::new());
            reader.begin(&coded);
            assert_eq!(reader.pull(&coded, &mut [0; 1100]).is_ok(), fits);
        }
    }
}

#[test]
fn pieces_are_taken_exactly() {
    let coded = encode_bytes(&[b"some bytes that are coded"]).remove(0);
    for len in [9, 90] {
        let mut reader = ByteReader::new();
        reader.begin(&coded);
        let mut out = vec![0; len];
        let done = reader.pull(&coded, &mut out).and_then(|()| reader.finish_piece(&coded));
        assert!(done.is_err(), "{len}");
    }
}
