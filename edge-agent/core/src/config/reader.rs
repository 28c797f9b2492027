//! Reads one table key by key, keeps every fault, and knows at the end which
//! keys nobody asked for.

use protocol::Point;
use toml::{Table, Value};

use super::Fault;

/// What a number may be, and what it is when nobody says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// The unit as people read it, for example `s`; empty for none.
    pub unit: &'static str,
    /// When the key is absent.
    pub default: f64,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
}

/// One table of a configuration while it is being read.
#[derive(Debug)]
pub struct Section<'a> {
    table: &'a Table,
    path: String,
    known: Vec<&'static str>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Section<'a> {
    /// Begins to read a table that stands at `path`.
    pub fn new(table: &'a Table, path: impl Into<String>, faults: &'a mut Vec<Fault>) -> Self {
        Self {
            table,
            path: path.into(),
            known: Vec::new(),
            faults,
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Notes a fault at a key.
    pub fn fault(&mut self, key: &str, message: impl Into<String>) {
        let path = self.path_of(key);
        self.faults.push(Fault::new(path, message));
    }

    /// Notes a fault of the table as a whole.
    pub fn fault_here(&mut self, message: impl Into<String>) {
        self.faults.push(Fault::new(self.path.clone(), message));
    }

    /// How many faults there are so far, to find out whether a step added one.
    pub fn fault_count(&self) -> usize {
        self.faults.len()
    }

    /// The value at a key, which is known from now on.
    pub fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    /// Whether the key is there, without asking for it.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The text at a key, if it is one, without asking for it.
    pub fn peek(&self, key: &str) -> Option<&'a str> {
        self.table.get(key).and_then(Value::as_str)
    }

    /// The number at a key, if it is one, without asking for it.
    pub fn peek_number(&self, key: &str) -> Option<f64> {
        self.table.get(key).and_then(as_number)
    }

    /// The texts at a key, if it is a list of them, without asking for it.
    pub fn peek_texts(&self, key: &str) -> Option<Vec<&'a str>> {
        let list = self.table.get(key)?.as_array()?;
        list.iter().map(Value::as_str).collect()
    }

    /// Makes a key known without reading it.
    pub fn expect(&mut self, key: &'static str) {
        let _known: Option<&Value> = self.value(key);
    }

    /// A list of texts; empty when absent.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<&'a str>> {
        let Some(value) = self.value(key) else {
            return Some(Vec::new());
        };
        let texts = value
            .as_array()
            .and_then(|list| list.iter().map(Value::as_str).collect());
        if texts.is_none() {
            self.fault(
                key,
                format!(
                    "is {}; write a list of texts, for example [\"a\", \"b\"]",
                    form(value)
                ),
            );
        }
        texts
    }

    /// Text, if it is there.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        let value = self.value(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.fault(key, format!("is {}; write text in quotes", form(value)));
        }
        text
    }

    /// Text that must be there.
    pub fn required_text(&mut self, key: &'static str, example: &str) -> Option<&'a str> {
        if !self.require(key, &format!("\"{example}\"")) {
            return None;
        }
        self.text(key)
    }

    /// Checks that a key is there; `example` is a value in TOML.
    pub fn require(&mut self, key: &'static str, example: &str) -> bool {
        if self.value(key).is_some() {
            return true;
        }
        self.fault(
            key,
            format!("is missing; write for example `{key} = {example}`"),
        );
        false
    }

    /// A name that must be there.
    pub fn name<T: std::str::FromStr>(&mut self, key: &'static str, example: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.required_text(key, example)?;
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                self.fault(key, error.to_string());
                None
            }
        }
    }

    /// A truth; `false` when absent.
    pub fn flag(&mut self, key: &'static str) -> bool {
        match self.value(key) {
            None => false,
            Some(Value::Boolean(flag)) => *flag,
            Some(other) => {
                self.fault(key, format!("is {}; write true or false", form(other)));
                false
            }
        }
    }

    /// A number within its range; the default when absent or wrong.
    pub fn number(&mut self, key: &'static str, number: Number) -> f64 {
        let Some(value) = self.value(key) else {
            return number.default;
        };
        let Number { unit, min, max, .. } = number;
        let of_unit = if unit.is_empty() {
            String::new()
        } else {
            format!(" in {unit}")
        };
        let Some(read) = as_number(value) else {
            self.fault(
                key,
                format!(
                    "is {}; write a number{of_unit} without its unit, for example {}",
                    form(value),
                    number.default
                ),
            );
            return number.default;
        };
        if !(min..=max).contains(&read) {
            self.fault(
                key,
                format!("is {read}; write a number{of_unit} from {min} to {max}"),
            );
            return number.default;
        }
        read
    }

    /// A point of the picture that must be there.
    pub fn point(&mut self, key: &'static str) -> Option<Point> {
        if !self.require(key, "[0.4, 0.8]") {
            return None;
        }
        let value = self.value(key)?;
        self.read_point(key, value)
    }

    /// A list of points of the picture that must be there.
    pub fn points(&mut self, key: &'static str) -> Option<Vec<Point>> {
        if !self.require(key, "[[0.1, 0.5], [0.9, 0.5], [0.9, 0.9]]") {
            return None;
        }
        let value = self.value(key)?;
        let Some(list) = value.as_array() else {
            self.fault(key, format!("is {}; write a list of [x, y]", form(value)));
            return None;
        };
        let before = self.fault_count();
        let points = list
            .iter()
            .enumerate()
            .filter_map(|(index, value)| self.read_point(&format!("{key}[{index}]"), value))
            .collect();
        (self.fault_count() == before).then_some(points)
    }

    fn read_point(&mut self, key: &str, value: &Value) -> Option<Point> {
        let [x, y] = self.coordinates(key, value, "[x, y], for example [0.4, 0.8]")?;
        if [x, y].iter().all(|v| (0.0..=1.0).contains(v)) {
            Some(Point { x, y })
        } else {
            self.fault(
                key,
                format!(
                    "[{x}, {y}] is outside the picture; write fractions of its width and height \
                     from 0 to 1, not pixels"
                ),
            );
            None
        }
    }

    /// `N` numbers in a list.
    pub fn coordinates<const N: usize>(
        &mut self,
        key: &str,
        value: &Value,
        wanted: &str,
    ) -> Option<[f64; N]> {
        let numbers: Option<Vec<f64>> = value
            .as_array()
            .and_then(|list| list.iter().map(as_number).collect());
        if let Some(numbers) = numbers.and_then(|n| <[f64; N]>::try_from(n).ok()) {
            return Some(numbers);
        }
        self.fault(key, format!("is not what is wanted here; write {wanted}"));
        None
    }

    /// A table within, if it is there. Call [`Section::finish`] on it.
    pub fn table(&mut self, key: &'static str) -> Option<Section<'_>> {
        let value = self.value(key)?;
        let path = self.path_of(key);
        let Some(table) = value.as_table() else {
            self.fault(key, format!("is {}; write a table", form(value)));
            return None;
        };
        Some(Section::new(table, path, self.faults))
    }

    /// Calls `read` with every table of a list, and checks each for unknown keys.
    pub fn each_table(&mut self, key: &'static str, mut read: impl FnMut(&mut Section<'_>)) {
        let list = match self.value(key) {
            None => return,
            Some(Value::Array(list)) => list,
            Some(other) => {
                let message = format!("is {}; write one [[{key}]] for each", form(other));
                self.fault(key, message);
                return;
            }
        };
        for (index, value) in list.iter().enumerate() {
            let path = self.path_of(&format!("{key}[{index}]"));
            match value.as_table() {
                Some(table) => {
                    let mut section = Section::new(table, path, self.faults);
                    read(&mut section);
                    section.finish();
                }
                None => self.faults.push(Fault::new(
                    path,
                    format!("is {}; write one [[{key}]] for each", form(value)),
                )),
            }
        }
    }

    /// Forgets about keys that nobody asked for: their meaning is unknown
    /// because something else is, for example the kind of a rule.
    pub fn ignore_the_rest(&mut self) {
        self.known.clear();
    }

    /// Complains of every key that nobody asked for, with the nearest known one.
    pub fn finish(self) {
        if self.known.is_empty() {
            return;
        }
        for key in self.table.keys() {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let message = match nearest(key, &self.known) {
                Some(known) => format!("is not a key here; did you mean `{known}`?"),
                None => format!("is not a key here; known are {}", listed(&self.known)),
            };
            let path = self.path_of(key);
            self.faults.push(Fault::new(path, message));
        }
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        // Coordinates and durations are far below 2^52.
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    }
}

/// What a value is, as people say it.
fn form(value: &Value) -> String {
    match value {
        Value::String(text) => {
            format!("the text \"{}\"", text.chars().take(40).collect::<String>())
        }
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Boolean(flag) => format!("{flag}"),
        Value::Datetime(_) => "a date".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

/// Words in quotes with commas between them.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// The known word that is most like `word`, if any is like it at all.
pub(crate) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    // `min_dwell_ms` and `min_dwell` are far by letters but mean `min_dwell_s`.
    let stem = |text: &str| match text.rsplit_once('_') {
        Some((stem, unit)) if unit.len() <= 7 => stem.to_owned(),
        _ => text.to_owned(),
    };
    let distance = |candidate: &str| {
        let letters = edit_distance(word, candidate);
        if stem(word) == stem(candidate) || word == stem(candidate) {
            letters.min(1)
        } else {
            letters
        }
    };
    known
        .iter()
        .map(|candidate| (distance(candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete or replace (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // A key of a megabyte is nobody's spelling mistake.
    for (i, letter) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_key_is_suggested() {
        let known = ["id", "kind", "zone", "min_dwell_s", "radius_m", "limit_kmh"];
        for (word, expected) in [
            ("min_dwel_s", Some("min_dwell_s")),
            ("min_dwell", Some("min_dwell_s")),
            ("min_dwell_ms", Some("min_dwell_s")),
            ("limit_mph", Some("limit_kmh")),
            ("zones", Some("zone")),
            ("colour", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }
}
