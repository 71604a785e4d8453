//! The one place that prints lines, so that nothing of a file (a key, a column's name, a path, a recipe's name) can
//! command the terminal: what is no visible character, space, tab or end of a line comes as an escape. Lints keep all else
//! in the library from printing; progress bars show numbers and texts of the program's own.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

/// Prints a line on stdout.
pub(super) fn line(line: impl Display) -> io::Result<()> {
    #[allow(clippy::disallowed_methods, reason = "what is written is harmless")]
    let mut out = io::stdout().lock();
    writeln!(out, "{}", harmless(&line.to_string()))
}

/// Hands what was printed on to whoever reads it.
pub(super) fn flush() -> io::Result<()> {
    #[allow(clippy::disallowed_methods, reason = "nothing new is written")]
    io::stdout().flush()
}

/// Prints a line on stderr. Who cannot read it cannot be told: `eprintln!` would panic.
pub(super) fn error_line(line: impl Display) {
    #[allow(clippy::disallowed_methods, reason = "what is written is harmless")]
    let _ = writeln!(io::stderr().lock(), "{}", harmless(&line.to_string()));
}

/// The text with control characters, and those that turn the direction of writing, written as JSON has them (`\u001b`):
/// in a string of JSON they still mean the same.
fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return text.into();
    }
    let escaped = |c: char| if harmful(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_escaped() {
        assert_eq!(harmless("\u{1b}[31mred\u{7}\r\u{9b}2J\u{7f}"), r"\u001b[31mred\u0007\u000d\u009b2J\u007f");
        assert_eq!(harmless("gpj.\u{202e}exe"), r"gpj.\u202eexe");
        let plain = "lines\n\tof ä → 日本 🦀";
        assert!(matches!(harmless(plain), Cow::Borrowed(text) if text == plain));
    }

    #[test]
    fn json_means_the_same() {
        let text = "\u{1b}\u{9b}\u{7f}\u{202e}";
        let line = serde_json::to_string(text).unwrap();
        assert_eq!(serde_json::from_str::<String>(&harmless(&line)).unwrap(), text);
    }
}
