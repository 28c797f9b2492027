//! What commands print: lines for whoever reads them, be it a terminal, a pipe or a file.
//!
//! A reader that has gone (`| head -1`, `2>&1 | head -1`) is no fault, and what was begun
//! is ended all the same. Names and messages may come from strangers' files: what would
//! move a terminal's cursor is shown instead of sent.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::process;

/// Prints a line to standard output.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {
        $crate::files::said::line(format_args!($($words)*))
    };
}

/// Prints a line to standard error.
#[macro_export]
macro_rules! aside {
    ($($words:tt)*) => {
        $crate::files::said::aside(format_args!($($words)*))
    };
}

/// See [`say!`](crate::say).
pub fn line(words: fmt::Arguments<'_>) {
    let mut shown = printable(&words.to_string());
    shown.push('\n');
    text(&shown);
}

/// See [`aside!`](crate::aside).
pub fn aside(words: fmt::Arguments<'_>) {
    let mut shown = printable(&words.to_string());
    shown.push('\n');
    // Who cannot be told that telling failed is not told.
    let _told = io::stderr().lock().write_all(shown.as_bytes()).is_ok();
}

/// Prints a JSON document to standard output.
pub fn json(document: &str) {
    let mut shown = printable_json(document);
    shown.push('\n');
    text(&shown);
}

/// Prints to standard output what is as it is to be: painted, or a file for programs.
pub fn text(text: &str) {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            aside(format_args!("error: cannot print: {error}"));
            process::exit(1);
        }
        _ => {}
    }
}

/// An error and what is below it, outermost first. Of those that say what is below them
/// themselves nothing is told twice.
pub fn whole<'e>(causes: impl IntoIterator<Item = &'e (dyn Error + 'static)>) -> String {
    let mut told = String::new();
    for cause in causes {
        let words = cause.to_string();
        if told.is_empty() {
            told = words;
        } else if !told.contains(&words) {
            told = format!("{told}: {words}");
        }
    }
    told
}

/// Text without anything that a terminal obeys but the ends of lines.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() && char != '\n' && char != '\t' {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// As [`printable`], of a JSON document, which stays one: a writer of JSON lets the upper
/// control characters stand, and only in strings.
fn printable_json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len() + 1);
    for char in document.chars() {
        if char.is_control() && char != '\n' {
            write!(shown, "\\u{:04x}", u32::from(char)).expect("text takes text");
        } else {
            shown.push(char);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io;

    use super::{printable, printable_json, whole};

    #[test]
    fn a_terminal_is_shown_what_it_would_obey() {
        assert_eq!(printable("a\tb\nđường"), "a\tb\nđường");
        assert_eq!(printable("\u{1b}[2J\r\u{9b}"), "\\u{1b}[2J\\r\\u{9b}");
    }

    #[derive(Debug, thiserror::Error)]
    enum Fault {
        #[error("model small: {source}")]
        Quoting { source: io::Error },
        #[error("model small")]
        Plain { source: io::Error },
    }

    #[test]
    fn what_an_error_says_of_the_one_below_is_not_said_again() {
        let source = || io::Error::other("all is NaN");
        for error in [
            Fault::Quoting { source: source() },
            Fault::Plain { source: source() },
        ] {
            let below = error.source();
            let causes = [&error as &(dyn Error + 'static)].into_iter().chain(below);
            assert_eq!(whole(causes), "model small: all is NaN");
        }
    }

    #[test]
    fn json_stays_json_without_what_a_terminal_would_obey() {
        let value = serde_json::json!({ "name": "\u{9b}2J\u{1b}[2J\u{7f}đường\t" });
        let shown = printable_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'));
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }
}
