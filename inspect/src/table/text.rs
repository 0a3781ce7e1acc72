//! Words and numbers in tables.

/// Text without what a terminal would act on: control characters, and characters that change the direction of text or
/// are not seen (Unicode, "Bidirectional Character Types": explicit formatting).
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || hidden {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Digits in groups of three.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups() {
        let text = [0, 999, 1000, 1_234_567].map(thousands);
        assert_eq!(text, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn nothing_reaches_the_terminal_that_acts_on_it() {
        assert_eq!(printable("a\u{1b}[2J\u{202e}b\tü"), "a\\u{1b}[2J\\u{202e}b\\tü");
    }
}
