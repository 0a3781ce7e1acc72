//! What benches and fuzz targets reach of the inside. No part of the crate's interface: it may change at any time.

use dd_inspect::failure::Failure;
use dd_inspect::range::ReadAt;

use crate::encode::executable::{self, Depth, File, Found};
use crate::matching::{Cover, Effort};
use crate::program::inner::{
    CorrectionReader, CorrectionWriter, Corrections, LiteralReader, Sort,
    encode_literals as encode_mixed,
};

/// That of the default level.
const DEPTH: Depth = Depth { rounds: 2, every: 1, also: &[] };

/// Two executables that were matched by what their addresses mean.
#[derive(Debug)]
pub struct Matched(Found);

impl Matched {
    /// Matches them; none where these are no executables or it does not pay.
    pub fn search(base: &[u8], target: &[u8], effort: &Effort) -> Option<Self> {
        let (base, target) = (base.to_vec(), target.to_vec());
        let file = |bytes| File::new(bytes, 0, ReadAt::size(bytes));
        executable::search(file(&base), file(&target), effort, DEPTH).ok()?.map(Self)
    }

    /// What of the target stands in the base.
    pub fn covers(&self) -> &[Cover] {
        &self.0.covers
    }

    /// The base with its addresses moved to where what they mean went.
    pub fn rewrite(&self, base: &[u8]) -> Vec<u8> {
        let base = base.to_vec();
        let file = File::new(&base, 0, ReadAt::size(&base));
        executable::rewrite(&self.0.params, file, &self.0.covers).unwrap_or_default()
    }
}

/// Codes one piece of corrections by mixing. `classes` has a byte for each of `predicted`, or none.
pub fn encode_corrections(predicted: &[u8], classes: &[u8], wanted: &[u8]) -> Vec<u8> {
    let mut writer = CorrectionWriter::new(false);
    writer.push(predicted, classes, wanted);
    writer.finish_piece()
}

/// Turns predicted bytes into those that were wanted.
///
/// # Errors
/// What no encoder writes.
pub fn decode_corrections(coded: &[u8], bytes: &mut [u8], classes: &[u8]) -> Result<(), Failure> {
    let mut reader = CorrectionReader::new(Corrections::Plain);
    reader.begin(coded);
    reader.correct(coded, bytes, classes)?;
    reader.finish_piece(coded)
}

/// Codes literals of at most 2^`window_log` bytes by mixing, as one piece.
pub fn encode_literals(window_log: u8, dictionary: &[u8], bytes: &[u8]) -> Vec<u8> {
    encode_mixed(window_log, Sort::Text, dictionary, &[bytes], &[]).concat()
}

/// Fills `out` with literals.
///
/// # Errors
/// What no encoder writes, and more than the window holds.
pub fn decode_literals(
    window_log: u8,
    dictionary: &[u8],
    coded: &[u8],
    out: &mut [u8],
) -> Result<(), Failure> {
    let mut reader = LiteralReader::new(window_log, Sort::Text, dictionary.to_vec());
    reader.begin(coded);
    reader.pull(coded, out)?;
    reader.finish_piece(coded)
}
