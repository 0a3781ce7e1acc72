//! Releases of encoders that give the same bytes.

use serde::{Deserialize, Serialize};

use crate::deflate::Class;

/// Releases of Go whose encoders differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GoRelease {
    /// Go 1.16 to 1.26.
    #[serde(rename = "1.16")]
    V1_16,
    /// Go 1.27 and later.
    #[serde(rename = "1.27")]
    V1_27,
}

/// Releases of klauspost/compress whose encoders differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KlauspostRelease {
    /// 1.15.11 to 1.17.11 (levels 7 to 9: from 1.15.15 on).
    #[serde(rename = "1.15.11")]
    V1_15_11,
    /// 1.18.0.
    #[serde(rename = "1.18.0")]
    V1_18_0,
    /// 1.18.1 and later.
    #[serde(rename = "1.18.1")]
    V1_18_1,
    /// 1.10.2 to 1.11.12, levels 1 and 5.
    #[serde(rename = "1.10.2")]
    V1_10_2,
    /// 1.12.2, level 5.
    #[serde(rename = "1.12.2")]
    V1_12_2,
    /// 1.12.3 to 1.13.6, levels -2, 1, 5 and 6.
    #[serde(rename = "1.12.3")]
    V1_12_3,
    /// 1.14.0 to 1.14.2, levels 5 and 6.
    #[serde(rename = "1.14.0")]
    V1_14_0,
    /// 1.14.3 and 1.14.4, levels 1, 3, 5 and 6.
    #[serde(rename = "1.14.3")]
    V1_14_3,
    /// 1.15.0 to 1.15.9, levels 1, 3, 5 and 6.
    #[serde(rename = "1.15.0")]
    V1_15_0,
    /// 1.15.10, levels 1, 3 and 5 to 8; 7 and 8 up to 1.15.14.
    #[serde(rename = "1.15.10")]
    V1_15_10,
}

/// Go's releases, by the number that a script has for them.
pub(super) const GO: [(GoRelease, &str); 2] =
    [(GoRelease::V1_16, "1.16"), (GoRelease::V1_27, "1.27")];
/// klauspost's releases, by the number that a script has for them.
pub(super) const KLAUSPOST: [(KlauspostRelease, &str); 10] = [
    (KlauspostRelease::V1_15_11, "1.15.11"),
    (KlauspostRelease::V1_18_0, "1.18.0"),
    (KlauspostRelease::V1_18_1, "1.18.1"),
    (KlauspostRelease::V1_10_2, "1.10.2"),
    (KlauspostRelease::V1_12_2, "1.12.2"),
    (KlauspostRelease::V1_12_3, "1.12.3"),
    (KlauspostRelease::V1_14_0, "1.14.0"),
    (KlauspostRelease::V1_14_3, "1.14.3"),
    (KlauspostRelease::V1_15_0, "1.15.0"),
    (KlauspostRelease::V1_15_10, "1.15.10"),
];

impl KlauspostRelease {
    /// Whether its encoder is known to be the same at a level.
    pub(super) fn has(self, level: i8) -> bool {
        match self {
            Self::V1_10_2 => matches!(level, 1 | 5),
            Self::V1_12_2 => level == 5,
            Self::V1_12_3 => matches!(level, -2 | 1 | 5 | 6),
            Self::V1_14_0 => matches!(level, 5 | 6),
            Self::V1_14_3 | Self::V1_15_0 => matches!(level, 1 | 3 | 5 | 6),
            Self::V1_15_10 => matches!(level, 1 | 3 | 5..=8),
            Self::V1_15_11 | Self::V1_18_0 | Self::V1_18_1 => matches!(level, -2 | 0..=9),
        }
    }

    pub(super) fn class(self) -> Class {
        match self {
            Self::V1_10_2 => Class::V1_10_2,
            Self::V1_12_2 => Class::V1_12_2,
            Self::V1_12_3 => Class::V1_12_3,
            Self::V1_14_0 => Class::V1_14_0,
            Self::V1_14_3 => Class::V1_14_3,
            Self::V1_15_0 => Class::V1_15_0,
            Self::V1_15_10 => Class::V1_15_10,
            Self::V1_15_11 => Class::V1_15_11,
            Self::V1_18_0 => Class::V1_18_0,
            Self::V1_18_1 => Class::V1_18_2,
        }
    }
}

pub(super) fn name<R: PartialEq>(releases: &[(R, &'static str)], release: R) -> &'static str {
    releases.iter().find(|(r, _)| *r == release).map_or("", |(_, name)| name)
}

pub(super) fn place<R: PartialEq>(releases: &[(R, &'static str)], release: R) -> u8 {
    releases.iter().position(|(r, _)| *r == release).unwrap_or(0) as u8
}
