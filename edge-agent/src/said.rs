//! What commands print: lines for whoever reads them, be it a terminal, a pipe or a file.
//!
//! A reader that has gone (`| head -1`) is no fault, and what was begun is ended all the
//! same. Names and messages may come from strangers' files: what would move a
//! terminal's cursor is shown instead of sent.

use std::fmt;
use std::io::{self, Write as _};
use std::process;

/// Prints a line to standard output.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::said::line(format_args!($($words)*))
    };
}

/// See [`say!`].
pub(crate) fn line(words: fmt::Arguments<'_>) {
    let mut text = printable(&words.to_string());
    text.push('\n');
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot print: {error}");
            process::exit(1);
        }
        _ => {}
    }
}

/// Text without anything that a terminal obeys but the ends of lines.
pub(crate) fn printable(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_terminal_is_shown_what_it_would_obey() {
        assert_eq!(printable("a\tb\nđường"), "a\tb\nđường");
        assert_eq!(printable("\u{1b}[2J\r\u{9b}"), "\\u{1b}[2J\\r\\u{9b}");
    }
}
