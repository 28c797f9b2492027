//! The syntax of conditions: CEL, read by the parser of the `cel` crate, whose
//! work is bounded before it begins.

use cel::common::ast::{Expr, IdedExpr, SourceInfo, operators};
use cel::parser::Parser;

use super::condition::Relation;
use super::misread;

/// Longest text of a condition, bytes.
const LONGEST: usize = 500;
/// Deepest brackets.
const DEEPEST: usize = 10;

/// The tree of a text, with the places of its parts.
pub(super) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), String> {
    before_parsing(text)?;
    Parser::new()
        .parse_with_source_info(text)
        .map_err(|errors| {
            // Further errors are mostly consequences of the first.
            let first = errors.errors.first().map(|error| error.pos);
            let place = |at: isize| usize::try_from(at).unwrap_or(1);
            misread::reason(
                text,
                first.map_or((1, 1), |(line, at)| (place(line), place(at))),
            )
        })
}

/// Bounds the parser's work before it begins.
fn before_parsing(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty; write for example \"speed_kmh > 30.0\"".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!(
            "has {} characters; use at most {LONGEST}, or two rules",
            text.len()
        ));
    }
    let is_fit = |c: &char| c.is_ascii_graphic() || matches!(c, ' ' | '\n' | '\r' | '\t');
    if let Some(other) = text.chars().find(|c| !is_fit(c)) {
        return Err(format!(
            "has the character {other:?}; conditions are written in plain ASCII, people's words \
             go into `title`"
        ));
    }
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!(
                "has brackets within brackets more than {DEEPEST} deep; write it flatter"
            ));
        }
    }
    Ok(())
}

/// From where to where in the text a part goes, without brackets around it.
pub(super) fn span(text: &str, places: &SourceInfo, part: &IdedExpr) -> (usize, usize) {
    let (start, stop) = reach(text, places, part);
    // The parser does not say where a bracket within is closed.
    let mut depth = 0_i32;
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if at + 1 >= stop && depth <= 0 {
            return (start, stop.max(at + usize::from(depth == 0)));
        }
    }
    (start, stop)
}

/// From its first sign to its last that the parser has a place for.
fn reach(text: &str, places: &SourceInfo, part: &IdedExpr) -> (usize, usize) {
    let own = places.offset_for(part.id);
    let own = own.map_or((text.len(), 0), |(a, b)| (a as usize, b as usize + 1));
    let (mut start, mut stop) = parts(part)
        .into_iter()
        .map(|part| reach(text, places, part))
        .fold(own, |all, one| (all.0.min(one.0), all.1.max(one.1)));
    // The parser places a selection at its dot, and a call at its bracket.
    match &part.expr {
        Expr::Select(select) => stop += select.field.len(),
        Expr::Call(call) if text[..start.min(text.len())].ends_with(&call.func_name) => {
            start -= call.func_name.len();
        }
        _ => {}
    }
    (start.min(text.len()), stop.min(text.len()))
}

/// The comparison of this name.
pub(super) fn relation(function: &str) -> Option<Relation> {
    Some(match function {
        operators::LESS => Relation::Less,
        operators::LESS_EQUALS => Relation::AtMost,
        operators::GREATER => Relation::More,
        operators::GREATER_EQUALS => Relation::AtLeast,
        operators::EQUALS => Relation::Equal,
        operators::NOT_EQUALS => Relation::Unequal,
        _ => return None,
    })
}

/// An operator or function of no object, with its arguments. A method has its
/// object before them, so that no operator has that shape.
pub(super) fn call(expr: &IdedExpr) -> Option<(&str, &[IdedExpr])> {
    match &expr.expr {
        Expr::Call(call) if call.target.is_none() => Some((&call.func_name, &call.args)),
        _ => None,
    }
}

/// Whether it is the word of which signal groups are parts.
pub(super) fn is_signal(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Expr::Ident(name) if name == "signal")
}

/// The parts of which an expression is made.
fn parts(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Comprehension(comprehension) => vec![&comprehension.iter_range],
        _ => Vec::new(),
    }
}
