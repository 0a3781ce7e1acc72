//! The control streams in which the ops of a unit stand (docs/delta-format.md, "Control").

use dd_inspect::failure::Failure;

use super::hooks::{Entry, Source};
use super::ids::{encoding, generator, op};
use super::input::out_of_range;
use super::limits::{EXACT_LEN, OPENED_RATIO, PARAMS_LEN};
use super::op::{Computed, Literal, Op};
use super::predict::Predictor;
use super::quoted::{Form, Hash};
use super::varint;

/// Five streams with the ops of a unit, column by column.
#[derive(Debug, Clone, Default)]
pub(crate) struct ControlStreams {
    /// OPS, LENGTHS, SOURCES, OFFSETS, OPERANDS.
    pub(crate) raw: [Vec<u8>; 5],
}

/// Reads the ops of a unit one after the other.
#[derive(Debug, Default)]
pub(crate) struct ControlReader {
    streams: ControlStreams,
    at: [usize; 5],
    pub(crate) predictor: Predictor,
}

const OPS: usize = 0;
const LENGTHS: usize = 1;
const SOURCES: usize = 2;
const OFFSETS: usize = 3;
const OPERANDS: usize = 4;

/// An op's byte holds up to this operand; a larger one follows among the operands.
const SMALL: u64 = 31;

impl ControlReader {
    pub(crate) fn new(streams: ControlStreams) -> Self {
        Self { streams, ..Self::default() }
    }

    /// The next op; `rest` is what is left of the current entry at this depth.
    pub(crate) fn next(&mut self, rest: u64) -> Result<Op, Failure> {
        let byte = self.byte(OPS)?;
        let operand = match u64::from(byte >> 3) {
            SMALL => self.varint(OPERANDS)?.checked_add(SMALL),
            small => Some(small),
        };
        let operand = operand.ok_or_else(|| out_of_range("the operand of an op"))?;
        Ok(match byte & 7 {
            op::COPY if operand == 0 => {
                let (source, offset, len) = self.range(rest)?;
                Op::Copy { source, offset, len }
            }
            op::EDIT => {
                let (source, offset, len) = self.range(rest)?;
                Op::Edit { model: operand, source, offset, len }
            }
            op::LIT => Op::Literal { kind: Literal::from_number(operand)?, len: self.len(rest)? },
            op::GEN => self.generated(operand, rest)?,
            op::ENTER if operand == encoding::DIGEST => {
                Op::EnterDigest { slot: self.varint(OPERANDS)? }
            }
            op::ENTER => {
                if let Some(hash) = Hash::from_encoding(operand) {
                    return Ok(Op::EnterHash { hash });
                }
                let encoded_len = self.varint(LENGTHS)?;
                let params_len = self.varint(OPERANDS)?;
                let exact_len = self.varint(OPERANDS)?;
                if params_len > PARAMS_LEN || exact_len > EXACT_LEN {
                    return Err(out_of_range("the parameters of an encoding"));
                }
                let params = self.bytes(OPERANDS, params_len as usize)?;
                Op::Enter { encoding: operand, params, exact_len, encoded_len }
            }
            op::LEAVE if operand == 0 => Op::Leave,
            op::OPEN => {
                let (source, offset, len) = self.range(rest)?;
                let coded_len = self.varint(OPERANDS)?;
                if len > coded_len.saturating_mul(OPENED_RATIO) {
                    return Err(out_of_range("the length of an opened range"));
                }
                Op::Open { opening: operand, source, offset, coded_len, len }
            }
            _ => return Err(out_of_range("an op")),
        })
    }

    /// An op whose bytes a generator makes.
    fn generated(&mut self, id: u64, rest: u64) -> Result<Op, Failure> {
        if let Some(kind) = Computed::from_generator(id) {
            return Ok(Op::Computed { kind, len: self.len(rest)? });
        }
        if let Some(form) = Form::from_generator(id) {
            return Ok(Op::Digest { form, step: self.signed(OPERANDS)? });
        }
        Ok(match id {
            generator::DIGEST_HEX => Op::DigestHex { slot: self.varint(OPERANDS)? },
            generator::FOLLOWING => {
                let source = self.source()?;
                Op::Following { source, len: self.len(rest)? }
            }
            generator::MTIME => Op::Mtime { step: self.signed(OPERANDS)? },
            generator => Op::Generate { generator },
        })
    }

    /// Gives the ops that come next to `take`, as long as it takes them and there are any; they are read
    /// again afterwards.
    pub(crate) fn look_ahead(&mut self, mut rest: u64, mut take: impl FnMut(&Op) -> bool) {
        let at = self.at;
        self.predictor.go_ahead();
        while let Ok(op) = self.next(rest) {
            if !take(&op) {
                break;
            }
            self.predictor.made(&op);
            rest = rest.saturating_sub(op.plain_len().unwrap_or(0));
        }
        self.predictor.go_back();
        self.at = at;
    }

    fn source(&mut self) -> Result<Source, Failure> {
        match self.varint(SOURCES)? {
            0 => Ok(self.predictor.source()),
            number => Source::from_number(number - 1).ok_or_else(|| out_of_range("a source")),
        }
    }

    fn range(&mut self, rest: u64) -> Result<(Source, u64, u64), Failure> {
        let source = self.source()?;
        let change = self.signed(OFFSETS)?;
        let offset = self.predictor.offset(source).wrapping_add(change as u64);
        Ok((source, offset, self.len(rest)?))
    }

    /// A length; 0 stands for the rest of the entry.
    fn len(&mut self, rest: u64) -> Result<u64, Failure> {
        match self.varint(LENGTHS)? {
            0 if rest == 0 => Err(out_of_range("the length of an op")),
            0 => Ok(rest),
            len => Ok(len),
        }
    }

    fn byte(&mut self, stream: usize) -> Result<u8, Failure> {
        let byte = self.streams.raw[stream].get(self.at[stream]).copied();
        self.at[stream] += 1;
        byte.ok_or_else(|| out_of_range("the length of a control stream"))
    }

    fn varint(&mut self, stream: usize) -> Result<u64, Failure> {
        varint::take(|| self.byte(stream))?.ok_or_else(|| out_of_range("an operand"))
    }

    fn signed(&mut self, stream: usize) -> Result<i64, Failure> {
        Ok(varint::unzigzag(self.varint(stream)?))
    }

    fn bytes(&mut self, stream: usize, len: usize) -> Result<Vec<u8>, Failure> {
        (0..len).map(|_| self.byte(stream)).collect()
    }

    /// Whether all streams were read to their ends.
    pub(crate) fn is_used_up(&self) -> bool {
        self.streams.raw.iter().zip(self.at).all(|(raw, at)| raw.len() == at)
    }
}

/// What is left of the current tar entry, at each depth of ENTER.
#[derive(Debug, Clone)]
pub(crate) struct Rest(Vec<u64>);

impl Default for Rest {
    fn default() -> Self {
        Self(vec![0])
    }
}

impl Rest {
    /// Bytes that are left at the present depth.
    pub(crate) fn now(&self) -> u64 {
        self.0.last().copied().unwrap_or(0)
    }

    /// Bytes came out at the present depth.
    pub(crate) fn produced(&mut self, len: u64) {
        if let Some(rest) = self.0.last_mut() {
            *rest = rest.saturating_sub(len);
        }
    }

    /// A header was generated.
    pub(crate) fn entry(&mut self, entry: &Entry) {
        if let Some(rest) = self.0.last_mut() {
            *rest = entry.content_len;
        }
    }

    /// ENTER: a digest slot leaves the entry as it is, an encoder hides it.
    pub(crate) fn enter(&mut self, digest: bool) {
        self.0.push(if digest { self.now() } else { 0 });
    }

    /// LEAVE, after so many bytes came out of the encoding.
    pub(crate) fn leave(&mut self, len: u64) {
        if self.0.len() > 1 {
            self.0.pop();
        }
        self.produced(len);
    }
}

#[cfg(feature = "encode")]
pub(crate) use encode::ControlWriter;

#[cfg(feature = "encode")]
mod encode {
    use super::*;

    /// Writes the ops of a unit one after the other.
    #[derive(Debug, Default)]
    pub(crate) struct ControlWriter {
        pub(crate) streams: ControlStreams,
        pub(crate) predictor: Predictor,
    }

    impl ControlWriter {
        /// Appends an op; `rest` is what is left of the current entry at this depth.
        pub(crate) fn put(&mut self, op: &Op, rest: u64) {
            match op {
                Op::Copy { source, offset, len } => {
                    self.code(op::COPY, 0);
                    self.range(*source, *offset, *len, rest);
                }
                Op::Edit { model, source, offset, len } => {
                    self.code(op::EDIT, *model);
                    self.range(*source, *offset, *len, rest);
                }
                Op::Literal { kind, len } => {
                    self.code(op::LIT, kind.stream() - crate::program::ids::stream::TEXT);
                    self.len(*len, rest);
                }
                Op::Computed { kind, len } => {
                    self.code(op::GEN, kind.generator());
                    self.len(*len, rest);
                }
                Op::DigestHex { slot } => {
                    self.code(op::GEN, generator::DIGEST_HEX);
                    self.varint(OPERANDS, *slot);
                }
                Op::Generate { generator } => self.code(op::GEN, *generator),
                Op::Digest { form, step } => {
                    self.code(op::GEN, form.generator());
                    self.varint(OPERANDS, varint::zigzag(*step));
                }
                Op::Following { source, len } => {
                    self.code(op::GEN, generator::FOLLOWING);
                    self.source(*source);
                    self.len(*len, rest);
                }
                Op::Mtime { step } => {
                    self.code(op::GEN, generator::MTIME);
                    self.varint(OPERANDS, varint::zigzag(*step));
                }
                Op::EnterHash { hash } => self.code(op::ENTER, hash.encoding()),
                Op::EnterDigest { slot } => {
                    self.code(op::ENTER, encoding::DIGEST);
                    self.varint(OPERANDS, *slot);
                }
                Op::Enter { encoding, params, exact_len, encoded_len } => {
                    self.code(op::ENTER, *encoding);
                    self.varint(LENGTHS, *encoded_len);
                    self.varint(OPERANDS, params.len() as u64);
                    self.varint(OPERANDS, *exact_len);
                    self.streams.raw[OPERANDS].extend_from_slice(params);
                }
                Op::Leave => self.code(op::LEAVE, 0),
                Op::Open { opening, source, offset, coded_len, len } => {
                    self.code(op::OPEN, *opening);
                    self.range(*source, *offset, *len, rest);
                    self.varint(OPERANDS, *coded_len);
                }
            }
        }

        fn code(&mut self, code: u8, operand: u64) {
            self.streams.raw[OPS].push(code | (operand.min(SMALL) as u8) << 3);
            if operand >= SMALL {
                self.varint(OPERANDS, operand - SMALL);
            }
        }

        fn source(&mut self, source: Source) {
            let expected = source == self.predictor.source();
            self.varint(SOURCES, if expected { 0 } else { source.number() + 1 });
        }

        fn range(&mut self, source: Source, offset: u64, len: u64, rest: u64) {
            self.source(source);
            let change = offset.wrapping_sub(self.predictor.offset(source)) as i64;
            self.varint(OFFSETS, varint::zigzag(change));
            self.len(len, rest);
        }

        fn len(&mut self, len: u64, rest: u64) {
            self.varint(LENGTHS, if len == rest { 0 } else { len });
        }

        fn varint(&mut self, stream: usize, value: u64) {
            varint::put(&mut self.streams.raw[stream], value);
        }

        /// Bytes of all streams.
        pub(crate) fn len_so_far(&self) -> usize {
            self.streams.raw.iter().map(Vec::len).sum()
        }
    }
}

#[cfg(all(test, feature = "encode"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source() -> impl Strategy<Value = Source> {
        prop_oneof![(0u32..3).prop_map(Source::Base), any::<u32>().prop_map(Source::Kept)]
    }

    fn op() -> impl Strategy<Value = Op> {
        let kind = prop_oneof![Just(Literal::Text), Just(Literal::Code), Just(Literal::Raw)];
        let computed = prop::sample::select(&Computed::ALL[..]);
        let params = prop::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            (source(), any::<u64>(), 1u64..).prop_map(|(source, offset, len)| Op::Copy {
                source,
                offset,
                len
            }),
            (0u64..40, source(), any::<u64>(), 1u64..)
                .prop_map(|(model, source, offset, len)| Op::Edit { model, source, offset, len }),
            (kind, 1u64..500).prop_map(|(kind, len)| Op::Literal { kind, len }),
            (computed, 1u64..5000).prop_map(|(kind, len)| Op::Computed { kind, len }),
            any::<u64>().prop_map(|slot| Op::DigestHex { slot }),
            any::<i64>().prop_map(|step| Op::Digest { form: Form::Base64Url, step }),
            (source(), 1u64..).prop_map(|(source, len)| Op::Following { source, len }),
            Just(Op::EnterHash { hash: Hash::Sha1 }),
            any::<i64>().prop_map(|step| Op::Mtime { step }),
            (27u64..100).prop_map(|generator| Op::Generate { generator }),
            any::<u64>().prop_map(|slot| Op::EnterDigest { slot }),
            (20u64.., params, 0..=EXACT_LEN, any::<u64>()).prop_map(
                |(encoding, params, exact_len, encoded_len)| Op::Enter {
                    encoding,
                    params,
                    exact_len,
                    encoded_len
                }
            ),
            Just(Op::Leave),
            (0u64..40, source(), any::<u64>(), 1u64..1000, 1u64..=64).prop_map(
                |(opening, source, offset, coded_len, ratio)| Op::Open {
                    opening,
                    source,
                    offset,
                    coded_len,
                    len: coded_len * ratio
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn round_trip(ops in prop::collection::vec((op(), 0u64..4), 0..60)) {
            let mut writer = ControlWriter::default();
            for (op, rest) in &ops {
                writer.put(op, *rest);
                writer.predictor.made(op);
            }
            let mut reader = ControlReader::new(writer.streams);
            for (op, rest) in &ops {
                prop_assert_eq!(&reader.next(*rest).unwrap(), op);
                reader.predictor.made(op);
            }
            prop_assert!(reader.is_used_up());
            prop_assert!(reader.next(0).is_err());
        }

        #[test]
        fn any_bytes_are_ops_or_an_error(raw: [Vec<u8>; 5], rest: u64) {
            let mut reader = ControlReader::new(ControlStreams { raw });
            while let Ok(op) = reader.next(rest) {
                reader.predictor.made(&op);
            }
        }
    }

    #[test]
    fn an_expected_copy_is_all_zeros() {
        let entry = Entry { content_len: 700, base: Some((Source::Base(1), 4096)), mtime: Some(0) };
        let op = Op::Copy { source: Source::Base(1), offset: 4096, len: 700 };
        let mut writer = ControlWriter::default();
        writer.predictor.skip(512);
        writer.predictor.entry(&entry);
        writer.put(&op, entry.content_len);
        assert_eq!(writer.streams.raw, [vec![0], vec![0], vec![0], vec![0], vec![]]);
    }

    #[test]
    fn the_rest_follows_entries_and_depth() {
        let mut rest = Rest::default();
        rest.entry(&Entry { content_len: 10, base: None, mtime: Some(0) });
        rest.produced(3);
        rest.enter(true);
        assert_eq!(rest.now(), 7);
        rest.produced(4);
        rest.leave(4);
        assert_eq!(rest.now(), 3);
        rest.enter(false);
        assert_eq!(rest.now(), 0);
        rest.leave(5);
        assert_eq!(rest.now(), 0);
        rest.leave(0);
        assert_eq!(rest.now(), 0);
    }
}
