//! From a dotted key to its line in the file.

use toml_edit::{Document, Item, Table};

/// The line, from 1, of the longest part of `path` that stands in the file.
///
/// A missing key has the line of the table that should hold it.
pub(super) fn line_of(document: &Document<&str>, path: &str) -> Option<usize> {
    let mut offset = None;
    let mut here = Place::Table(document.as_table());
    for step in steps(path) {
        let Some((next, span)) = here.step(&step) else {
            break;
        };
        offset = span.or(offset);
        here = next;
    }
    offset.map(|offset| line_at(document.raw(), offset))
}

/// The line, from 1, of a byte offset.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.split(|&byte| byte == b'\n').count()
}

#[derive(Debug, PartialEq)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '['])
        .filter(|part| !part.is_empty())
        .map(
            |part| match part.strip_suffix(']').unwrap_or(part).parse() {
                Ok(index) => Step::Index(index),
                Err(_) => Step::Key(part),
            },
        )
}

enum Place<'a> {
    Table(&'a Table),
    Tables(&'a toml_edit::ArrayOfTables),
    Inline(&'a toml_edit::InlineTable),
    Array(&'a toml_edit::Array),
    Leaf,
}

impl<'a> Place<'a> {
    fn of_item(item: &'a Item) -> Self {
        match item {
            Item::Table(table) => Self::Table(table),
            Item::ArrayOfTables(tables) => Self::Tables(tables),
            Item::Value(value) => Self::of_value(value),
            Item::None => Self::Leaf,
        }
    }

    fn of_value(value: &'a toml_edit::Value) -> Self {
        match value {
            toml_edit::Value::Array(array) => Self::Array(array),
            toml_edit::Value::InlineTable(table) => Self::Inline(table),
            _ => Self::Leaf,
        }
    }

    fn step(&self, step: &Step<'_>) -> Option<(Self, Option<usize>)> {
        match (self, step) {
            (Self::Table(table), Step::Key(key)) => {
                let (key, item) = table.get_key_value(key)?;
                let span = key.span().or_else(|| item.span());
                Some((Self::of_item(item), span.map(|s| s.start)))
            }
            (Self::Inline(table), Step::Key(key)) => {
                let value = table.get(key)?;
                let span = table
                    .key(key)
                    .and_then(toml_edit::Key::span)
                    .or_else(|| value.span());
                Some((Self::of_value(value), span.map(|s| s.start)))
            }
            (Self::Tables(tables), Step::Index(index)) => {
                let table = tables.get(*index)?;
                Some((Self::Table(table), table.span().map(|s| s.start)))
            }
            (Self::Array(array), Step::Index(index)) => {
                let value = array.get(*index)?;
                Some((Self::of_value(value), value.span().map(|s| s.start)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_where_they_stand() {
        let text = "\
[box]
id = 'b'

[[camera]]
id = 'one'
source = { rtsp = 'x', transport = 'tcp' }

[[camera]]
id = 'two'
[[camera.zone]]
points = [
  [0, 0],
  [1, 2],
]
";
        let document = Document::parse(text).unwrap();
        for (path, line) in [
            ("box.id", Some(2)),
            ("box.site", Some(1)),
            ("camera[0].source.transport", Some(6)),
            ("camera[1]", Some(8)),
            ("camera[1].name", Some(8)),
            ("camera[1].zone[0].points[1]", Some(13)),
            ("camera[1].zone[0].points[1][0]", Some(13)),
            ("nowhere", None),
        ] {
            assert_eq!(line_of(&document, path), line, "{path}");
        }
    }
}
