//! Platforms: `OS/ARCH[/VARIANT]`, as docker's `--platform` takes them.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// The platform that an image was made for (OCI image index, "platform").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Platform {
    /// The operating system, in Go's words.
    #[serde(default)]
    pub os: String,
    /// The processor, in Go's words.
    #[serde(default)]
    pub architecture: String,
    /// The variant of the processor; may be empty.
    #[serde(default)]
    pub variant: String,
}

/// A text that is not `OS/ARCH[/VARIANT]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form OS/ARCH[/VARIANT], like linux/amd64 or linux/arm/v7")]
pub struct ParsePlatformError(String);

impl Platform {
    /// Whether `found` is what was asked for by this platform: without a variant, any variant is.
    pub fn accepts(&self, found: &Self) -> bool {
        let (wanted, found) = (self.normal(), found.normal());
        wanted.os == found.os
            && wanted.architecture == found.architecture
            && (self.variant.is_empty() || wanted.variant == found.variant)
    }

    /// Whether it says that there is none: attestations are `unknown/unknown`.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.os.is_empty() || self.architecture.is_empty()
    }

    /// The same with one spelling for each processor, as containerd normalises them.
    fn normal(&self) -> Self {
        let (architecture, variant) = match (self.architecture.as_str(), self.variant.as_str()) {
            ("aarch64" | "arm64", "" | "8" | "v8") => ("arm64", "v8"),
            ("aarch64" | "arm64", variant) => ("arm64", variant),
            ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", "v1"),
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
            ("i386", _) => ("386", ""),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            other => other,
        };
        Self {
            os: self.os.clone(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, ParsePlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] if !variant.is_empty() => (os, architecture, variant),
            _ => ("", "", ""),
        };
        let plain =
            |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if os.is_empty() || architecture.is_empty() || !parts.iter().all(|part| plain(part)) {
            return Err(ParsePlatformError(text.chars().take(100).collect()));
        }
        let lower = str::to_ascii_lowercase;
        Ok(Self { os: lower(os), architecture: lower(architecture), variant: lower(variant) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn spellings_of_one_processor_are_equal() {
        for (wanted, found, is) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/x86_64", "linux/amd64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm", "linux/arm/v6", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/amd64", "windows/amd64", false),
            ("linux/amd64/v3", "linux/amd64", false),
        ] {
            assert_eq!(platform(wanted).accepts(&platform(found)), is, "{wanted} {found}");
        }
    }

    #[test]
    fn refuses_what_is_no_platform() {
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd64/", "linux/am d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
        assert_eq!(platform("Linux/ARM/v7").to_string(), "linux/arm/v7");
    }
}
