//! Sizes as people write and read them.

/// Reads `1048576`, `512M`, `1.5G`, `64KiB`: powers of 1024.
///
/// # Errors
/// A text in words, for the command line.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size; 512M or 2G are");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong()),
    };
    let value: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = value * (1_u64 << shift) as f64;
    if bytes.is_finite() && (0.0..9e15).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
}

/// A size in words: `7.3 MiB`.
pub fn show(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "";
    for name in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = name;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1k", 1024),
            ("1.5G", 3 << 29),
            ("64MiB", 64 << 20),
            ("2 GB", 2 << 30),
        ] {
            assert_eq!(parse(text).unwrap(), bytes, "{text}");
        }
        for bad in ["", "x", "1x", "-1", "1e9", "99999999T", "."] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!([show(5), show(1536), show(80 << 20)], ["5 B", "1.5 KiB", "80.0 MiB"]);
    }
}
