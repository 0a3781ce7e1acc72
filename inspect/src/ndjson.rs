//! Newline-delimited JSON: the frame of the stream.
//!
//! Lines are cut and counted here, so that a line has a limit and errors have line numbers;
//! `ndjson-stream` parses them. A line's bytes are kept, so that a record passes on unchanged.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead};

use ndjson_stream::config::NdjsonConfig;
use ndjson_stream::engine::NdjsonEngine;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::record::{End, ErrorRecord, Stream, VERSION};
use crate::{fail, failure};

/// Bytes that a line may have.
pub const MAX_LINE_LEN: usize = 16 << 20;

/// One record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number in the input, from 1.
    pub number: u64,
    /// The value of its `type` field.
    pub kind: String,
    /// The bytes of the line without the newline.
    pub raw: Vec<u8>,
}

impl Line {
    /// The record as a typed value.
    ///
    /// # Errors
    /// `usage`, naming the line and the field that is wrong.
    pub fn parse<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        Ok(serde_json::from_slice(&self.raw).map_err(|e| {
            failure!(Usage, "line {} of the input: the {} record is not as expected: {e}", self.number, self.kind;
                "docs/records.md has an example of each record")
        })?)
    }
}

/// A stage earlier in the pipeline failed and said so; nothing is to be printed, and the process ends
/// with the exit code of that stage.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} failed: {}", record.stage, record.message)]
pub struct UpstreamFailed {
    /// What it said.
    pub record: ErrorRecord,
    /// The line, to be passed on.
    pub raw: Vec<u8>,
}

#[derive(Deserialize)]
struct Kind {
    r#type: String,
}

/// The record kinds of this version; records of other kinds are foreign and only pass.
const KNOWN: [&str; 13] = [
    "archive", "member", "image", "manifest", "config", "layer", "blob", "entry", "change",
    "delta", "package", "applied", "check",
];

/// The records of one or more whole streams, without their `stream` and `end`.
///
/// Exact repetitions of known records are dropped. After the last line it is an error if a stream is
/// open or none was seen.
pub struct Input<R> {
    reader: R,
    engine: NdjsonEngine<Kind>,
    number: u64,
    open: bool,
    streams: Vec<Stream>,
    seen: HashSet<[u8; 16]>,
}

impl<R> fmt::Debug for Input<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("number", &self.number)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

impl<R: BufRead> Input<R> {
    /// Reads the first record, which must be a `stream`.
    ///
    /// # Errors
    /// The input is empty, begins otherwise, or a stage upstream failed ([`UpstreamFailed`]).
    pub fn new(reader: R) -> anyhow::Result<Self> {
        let config = NdjsonConfig::default().with_parse_rest(true);
        let engine = NdjsonEngine::with_config(config);
        let mut input = Self {
            reader,
            engine,
            number: 0,
            open: false,
            streams: Vec::new(),
            seen: HashSet::new(),
        };
        match input.read_line()? {
            None => fail!(Upstream, "the input is empty: the stage before it died or did not run"),
            Some(line) => {
                input.frame(&line)?;
            }
        }
        Ok(input)
    }

    /// The `stream` records seen so far; at least one.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The stages that wrote the input, first one first.
    pub fn stages(&self) -> Vec<String> {
        let mut stages: Vec<String> = Vec::new();
        for stream in &self.streams {
            for stage in stream.stages.iter().chain([&stream.stage]) {
                if !stages.contains(stage) {
                    stages.push(stage.clone());
                }
            }
        }
        stages
    }

    /// The next record, or none after the end of the last stream.
    ///
    /// # Errors
    /// `usage` for a line that is no record, `upstream` for an input that ends too early,
    /// [`UpstreamFailed`] for an `error` record.
    pub fn next_record(&mut self) -> anyhow::Result<Option<Line>> {
        loop {
            let Some(line) = self.read_line()? else {
                if self.open {
                    fail!(Upstream, "the input stops after line {} without an `end`: a stage failed or a filter dropped it",
                        self.number; "keep the records stream, end and error");
                }
                return Ok(None);
            };
            if self.frame(&line)? {
                continue;
            }
            if KNOWN.contains(&line.kind.as_str()) && !self.seen.insert(short_hash(&line.raw)) {
                continue;
            }
            return Ok(Some(line));
        }
    }

    /// Consumes `stream`, `end` and `error`; whether the line was one of the first two.
    fn frame(&mut self, line: &Line) -> anyhow::Result<bool> {
        match line.kind.as_str() {
            "error" => {
                let record = line.parse()?;
                Err(UpstreamFailed { record, raw: line.raw.clone() }.into())
            }
            "stream" if self.open => {
                fail!(Upstream, "line {} begins a stream inside another: its `end` is missing", line.number;
                    "keep the records stream, end and error")
            }
            "stream" => {
                let stream: Stream = line.parse()?;
                if stream.version != VERSION {
                    fail!(Unsupported, "the input has records of version {}, this program reads {VERSION}", stream.version;
                        "use stages of one release");
                }
                self.streams.push(stream);
                self.open = true;
                Ok(true)
            }
            _ if !self.open => {
                fail!(Usage, "line {} of the input is a {} record outside a stream", line.number, line.kind;
                    "records begin with `stream`: keep the records stream, end and error")
            }
            "end" => {
                let _: End = line.parse()?;
                self.open = false;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn read_line(&mut self) -> anyhow::Result<Option<Line>> {
        let Some(raw) = self.cut_line()? else { return Ok(None) };
        let number = self.number;
        if raw.trim_ascii().is_empty() {
            fail!(Usage, "line {number} of the input is blank"; "a filter between two stages wrote it: each line is one record");
        }
        self.engine.input(raw.as_slice());
        self.engine.input(b"\n".as_slice());
        match self.engine.pop() {
            Some(Ok(Kind { r#type })) => Ok(Some(Line { number, kind: r#type, raw })),
            Some(Err(e)) => {
                let hint = hint_for(&raw, &e);
                fail!(Usage, "line {number} of the input is not a record: {e}"; "{hint}")
            }
            None => fail!(Usage, "line {number} of the input is not a record"),
        }
    }

    /// The next line without its newline; none at the end.
    fn cut_line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut raw = Vec::new();
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(anyhow::Error::from(e).context("reading records from stdin")),
            };
            if chunk.is_empty() {
                if raw.is_empty() {
                    return Ok(None);
                }
                fail!(Upstream, "line {} of the input is cut off", self.number + 1;
                    "the stage before it died, or a filter lost the last newline");
            }
            let newline = chunk.iter().position(|b| *b == b'\n');
            let taken = newline.unwrap_or(chunk.len());
            raw.extend_from_slice(&chunk[..taken]);
            self.reader.consume(newline.map_or(taken, |n| n + 1));
            if raw.len() > MAX_LINE_LEN {
                fail!(
                    Limit,
                    "line {} of the input has more than {MAX_LINE_LEN} bytes",
                    self.number + 1
                );
            }
            if newline.is_some() {
                self.number += 1;
                return Ok(Some(raw));
            }
        }
    }
}

fn hint_for(raw: &[u8], error: &serde_json::Error) -> &'static str {
    match raw.first() {
        Some(b'{') if error.is_eof() => "one JSON object must stand on one line (jq needs -c)",
        Some(b'{') => "each record is a JSON object with a `type` field",
        _ if raw.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || raw.starts_with(&[0x1f, 0x8b]) => {
            "this looks like a compressed file; give a package to dd-apply as an argument"
        }
        _ => "records are written by the stage before: dd-inspect | dd-extract | dd-diff | dd-pack",
    }
}

fn short_hash(raw: &[u8]) -> [u8; 16] {
    let full: [u8; 32] = Sha256::digest(raw).into();
    let mut short = [0; 16];
    short.copy_from_slice(&full[..16]);
    short
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure::{Category, classify};

    const STREAM: &str =
        r#"{"type":"stream","version":1,"stage":"dd-inspect","tool_version":"0.1.0","stages":[]}"#;
    const END: &str = r#"{"type":"end","stage":"dd-inspect"}"#;

    fn read(text: &str) -> anyhow::Result<Vec<Line>> {
        let mut input = Input::new(text.as_bytes())?;
        std::iter::from_fn(|| input.next_record().transpose()).collect()
    }

    fn category(text: &str) -> Category {
        classify(&read(text).unwrap_err()).category
    }

    #[test]
    fn foreign_records_keep_their_bytes() {
        let foreign = r#"{ "type":"x:mine",  "n": 1.50 }"#;
        let lines = read(&format!("{STREAM}\n{foreign}\n{foreign}\n{END}\n")).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].raw.as_slice(), lines[0].number), (foreign.as_bytes(), 2));
    }

    #[test]
    fn several_streams_and_repetitions() {
        let one = format!("{STREAM}\n{{\"type\":\"layer\",\"a\":1}}\n{END}\n");
        assert_eq!(read(&format!("{one}{one}")).unwrap().len(), 1);
    }

    #[test]
    fn a_stream_without_end_is_a_failure_upstream() {
        assert_eq!(category(""), Category::Upstream);
        assert_eq!(category(&format!("{STREAM}\n")), Category::Upstream);
        assert_eq!(category(&format!("{STREAM}\n{{\"type\":\"la")), Category::Upstream);
        assert_eq!(category(&format!("{STREAM}\n{STREAM}\n{END}\n")), Category::Upstream);
        assert_eq!(
            category(&format!("{STREAM}\n{END}\n{{\"type\":\"layer\"}}\n")),
            Category::Usage
        );
    }

    #[test]
    fn errors_name_the_line_and_help() {
        let error = read(&format!("{STREAM}\n{{\n")).unwrap_err();
        let failure = classify(&error);
        assert!(failure.message.starts_with("line 2 of the input is not a record"), "{failure}");
        assert!(failure.hint.unwrap().contains("jq needs -c"));
        assert_eq!(category("[]\n"), Category::Usage);
        for blank in ["", " ", "\r"] {
            let failure = classify(&read(&format!("{STREAM}\n{blank}\n{END}\n")).unwrap_err());
            assert_eq!(failure.message, "line 2 of the input is blank");
            assert_eq!(failure.category, Category::Usage);
        }
        assert_eq!(
            category(&format!("{STREAM}\n{}\n", "x".repeat(MAX_LINE_LEN + 1))),
            Category::Limit
        );
    }

    #[test]
    fn an_error_record_is_told_apart() {
        let error = r#"{"type":"error","stage":"dd-x","exit":2,"category":"missing-program","message":"m"}"#;
        let found = read(&format!("{STREAM}\n{error}\n")).unwrap_err();
        let upstream = found.downcast_ref::<UpstreamFailed>().unwrap();
        assert_eq!((upstream.record.exit, upstream.raw.as_slice()), (2, error.as_bytes()));
    }
}
