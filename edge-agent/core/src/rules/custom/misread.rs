//! Why a text is no condition, in words for who wrote it.
//!
//! The parser's own messages speak of its grammar. What people get wrong is
//! mostly one of a few things, which are looked for here in the text itself;
//! else it is said where reading ended.

/// What every message ends with.
const EXAMPLE: &str = "write for example \"class == 'truck' && speed_kmh > 30.0\"";

/// Words and signs of other languages, and what they are here.
const OTHER_WORDS: [(&str, &str); 6] = [
    ("and", "&&"),
    ("or", "||"),
    ("not", "!"),
    ("is", "=="),
    ("equals", "=="),
    ("then", "&&"),
];
const OTHER_SIGNS: [(&str, &str); 7] = [
    ("===", "=="),
    ("<>", "!="),
    ("=<", "<="),
    ("=>", ">="),
    ("=", "=="),
    ("&", "&&"),
    ("|", "||"),
];

/// Why `text`, which the parser could not read from a character on (counted
/// from 1, in its line), is no condition.
pub(super) fn reason(text: &str, (line, column): (usize, usize)) -> String {
    let tokens = tokens(text);
    let found = unclosed(&tokens)
        .or_else(|| unbalanced(&tokens))
        .or_else(|| of_another_language(&tokens))
        .unwrap_or_else(|| where_it_ended(text, &tokens, offset(text, line, column)));
    format!("cannot be read {found}; {EXAMPLE}")
}

/// A piece of the text, with the byte at which it begins.
#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    at: usize,
    text: &'t str,
    sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Word,
    Quoted,
    /// A text in quotes that has no end.
    Unclosed,
    Bracket,
    Sign,
}

impl Token<'_> {
    fn place(&self) -> String {
        format!("at character {}, `{}`", self.at + 1, self.text)
    }
}

/// The text is plain ASCII, so bytes are characters.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = bytes.get(at) {
        let run = |is_in: &dyn Fn(u8) -> bool| {
            let rest = &bytes[at..];
            rest.iter().position(|b| !is_in(*b)).unwrap_or(rest.len())
        };
        let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
        let (length, sort) = match first {
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            quote @ (b'\'' | b'"') => match text[at + 1..].find(*quote as char) {
                Some(end) => (end + 2, Sort::Quoted),
                None => (text.len() - at, Sort::Unclosed),
            },
            b'(' | b')' | b'[' | b']' | b'{' | b'}' => (1, Sort::Bracket),
            b if is_word(*b) => (run(&is_word), Sort::Word),
            b'=' | b'<' | b'>' | b'&' | b'|' => (
                run(&|b| matches!(b, b'=' | b'<' | b'>' | b'&' | b'|')),
                Sort::Sign,
            ),
            b'!' if bytes.get(at + 1) == Some(&b'=') => (2, Sort::Sign),
            _ => (1, Sort::Sign),
        };
        tokens.push(Token {
            at,
            text: &text[at..at + length],
            sort,
        });
        at += length;
    }
    tokens
}

fn unclosed(tokens: &[Token<'_>]) -> Option<String> {
    let found = tokens.iter().find(|token| token.sort == Sort::Unclosed)?;
    Some(format!(
        "from character {} on: the text in quotes that begins there does not end",
        found.at + 1
    ))
}

fn unbalanced(tokens: &[Token<'_>]) -> Option<String> {
    let mut open: Vec<&Token<'_>> = Vec::new();
    for token in tokens.iter().filter(|token| token.sort == Sort::Bracket) {
        let opening = match token.text {
            ")" => "(",
            "]" => "[",
            "}" => "{",
            _ => {
                open.push(token);
                continue;
            }
        };
        if open.pop().is_none_or(|last| last.text != opening) {
            let place = token.place();
            return Some(format!("{place}: closes no bracket that was opened"));
        }
    }
    open.last()
        .map(|last| format!("{}: the bracket is never closed", last.place()))
}

fn of_another_language(tokens: &[Token<'_>]) -> Option<String> {
    tokens.iter().find_map(|token| {
        let table: &[(&str, &str)] = match token.sort {
            Sort::Word => &OTHER_WORDS,
            Sort::Sign => &OTHER_SIGNS,
            _ => return None,
        };
        let (_, here) = table
            .iter()
            .find(|(there, _)| token.text.eq_ignore_ascii_case(there))?;
        Some(format!("{}: write {here}", token.place()))
    })
}

fn where_it_ended(text: &str, tokens: &[Token<'_>], offset: usize) -> String {
    let Some(token) = tokens
        .iter()
        .find(|token| token.at + token.text.len() > offset)
    else {
        let end = text.trim_end().len();
        return match tokens.last() {
            Some(last) => format!(
                "to its end at character {end}: something is missing after `{}`",
                last.text
            ),
            None => "at all".to_owned(),
        };
    };
    let hint = match token.sort {
        Sort::Word | Sort::Quoted => {
            "does not belong there; between two parts stands a comparison, && or ||"
        }
        Sort::Bracket => "does not belong there; something is missing before it",
        Sort::Sign | Sort::Unclosed => {
            "does not belong there; something is missing before it, or it is no sign of conditions"
        }
    };
    format!("{}: {hint}", token.place())
}

/// The byte of a column (from 1) in a line (from 1).
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    before + column.saturating_sub(1)
}
