//! What a helper said before it failed.

use std::collections::VecDeque;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::failure;
use crate::failure::Failure;

/// Bytes of stderr that are kept: the end of it.
const KEPT: usize = 16 << 10;
/// Characters of a line that are quoted.
const QUOTED: usize = 1000;

/// Reads to the end and keeps the last bytes.
pub(super) fn tail(mut stderr: impl Read) -> Vec<u8> {
    let mut kept = VecDeque::with_capacity(KEPT);
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stderr.read(&mut buffer) {
        let surplus = (kept.len() + n).saturating_sub(KEPT);
        kept.drain(..surplus.min(kept.len()));
        kept.extend(&buffer[..n]);
    }
    kept.into()
}

/// The failure of a helper that ended with this status and said this.
pub(super) fn failure(
    program: &str,
    status: ExitStatus,
    stderr: &[u8],
    secrets: &[String],
) -> Failure {
    if let Some(signal) = status.signal() {
        return failure!(HelperFailed, "{program} was ended by signal {signal}");
    }
    let code = status.code().unwrap_or_default();
    match last_line(&String::from_utf8_lossy(stderr)) {
        Some(line) => failure!(HelperFailed, "{program} failed: {}", without(&line, secrets)),
        None => failure!(HelperFailed, "{program} failed with exit status {code} and no message"),
    }
}

/// The last line that says why, in plain text, at most [`QUOTED`] characters of it.
fn last_line(stderr: &str) -> Option<String> {
    let said =
        |line: &&str| !line.is_empty() && !line.starts_with("Run '") && !line.starts_with("See '");
    let line = stderr.lines().map(str::trim).rfind(said)?;
    let line = logged_message(line).unwrap_or_else(|| line.to_owned());
    Some(line.chars().take(QUOTED).collect())
}

/// The text of `time="…" level=fatal msg="…"`, as skopeo, podman and docker write it.
fn logged_message(line: &str) -> Option<String> {
    let start = line.strip_prefix("time=")?.find(" msg=\"")? + "time=".len() + " msg=\"".len();
    let mut text = String::new();
    let mut chars = line.get(start..)?.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next()? {
                'n' | 't' => text.push(' '),
                escaped => text.push(escaped),
            },
            c => text.push(c),
        }
    }
    Some(text)
}

fn without(line: &str, secrets: &[String]) -> String {
    secrets.iter().fold(line.to_owned(), |line, secret| line.replace(secret.as_str(), "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_log_lines() {
        let line = r#"time="2026-01-01T00:00:00Z" level=fatal msg="Error parsing \"docker://a\": no\nsuch""#;
        let plain = r#"Error parsing "docker://a": no such"#;
        assert_eq!(last_line(&format!("Getting\n{line}\n\n")).as_deref(), Some(plain));
        assert_eq!(logged_message(r#"time="x" msg="open"#).as_deref(), Some("open"));
        assert_eq!(logged_message(r#"time="x" msg="\"#), None);
    }

    #[test]
    fn skips_the_way_to_the_manual() {
        let stderr = "Error: no such image\n\nRun 'docker image --help' for more information\n";
        assert_eq!(last_line(stderr).as_deref(), Some("Error: no such image"));
        assert_eq!(last_line(" \n\n"), None);
    }

    #[test]
    fn keeps_the_end() {
        let mut bytes = vec![b'a'; 3 * KEPT];
        bytes.extend(b"end");
        let kept = tail(&bytes[..]);
        assert_eq!(kept.len(), KEPT);
        assert!(kept.ends_with(b"aend"));
    }
}
