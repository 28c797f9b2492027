//! How well plates are read, against what people read.
//!
//! What is counted is one look: what a single picture lets the reader say. A
//! plate is *right* when it is stated without doubt and equals the truth in
//! every character, *wrong* when it is stated and does not, and otherwise
//! *refused* (something was read that is no plate, or two plates are as likely)
//! or *not found*. A wrong plate is worse than a refused one: it is somebody
//! else's.

use plates::grammar::normal_form;
use protocol::NormBox;

use crate::look::PlateLook;
use crate::truth::Plate;

/// What became of one plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stated, and so it is.
    Right,
    /// Stated, and it is another.
    Wrong(String),
    /// Seen and not stated, with the reason.
    Refused(String),
    /// Nothing was seen there.
    NotFound,
}

/// One plate's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Result {
    /// What became of it.
    pub outcome: Outcome,
    /// The likeliest plate, else what was read; in normal form.
    pub text: String,
    /// Characters that must be put in, left out or changed to make it the truth.
    pub errors: usize,
}

/// What looks say about a plate in its box.
pub fn result(plate: &Plate, looks: &[PlateLook]) -> Result {
    let truth = plate.normal_form();
    let Some(look) = looks.iter().find(|look| is_at(&look.bounds, &plate.bounds)) else {
        return Result {
            outcome: Outcome::NotFound,
            errors: truth.chars().count(),
            text: String::new(),
        };
    };
    let outcome = match (look.stated(), look.refused()) {
        (Some(stated), _) if stated.text == truth => Outcome::Right,
        (Some(stated), _) => Outcome::Wrong(stated.text.clone()),
        (None, why) => Outcome::Refused(why.unwrap_or_default()),
    };
    let read = |look: &PlateLook| match look.best() {
        Some(best) => best.text.clone(),
        None => look
            .pieces
            .iter()
            .map(|piece| normal_form(&piece.text()))
            .collect(),
    };
    let text = read(look);
    Result {
        outcome,
        errors: distance(&text, &truth),
        text,
    }
}

/// The surest look at a plate.
pub fn at<'l>(plate: &Plate, looks: &'l [PlateLook]) -> Option<&'l PlateLook> {
    (looks.iter()).find(|look| is_at(&look.bounds, &plate.bounds))
}

/// Plates that were stated where no labelled plate is.
pub fn elsewhere<'l>(
    plates: &'l [Plate],
    looks: &'l [PlateLook],
) -> impl Iterator<Item = &'l str> + 'l {
    let is_labelled = |look: &&PlateLook| {
        plates
            .iter()
            .any(|plate| is_at(&look.bounds, &plate.bounds))
    };
    looks
        .iter()
        .filter(move |look| !is_labelled(look))
        .filter_map(|look| Some(&*look.stated()?.text))
}

/// Whether the middle of what was read lies in a plate's box.
fn is_at(read: &NormBox, plate: &NormBox) -> bool {
    let middle = read.centre();
    (plate.x..=plate.right()).contains(&middle.x) && (plate.y..=plate.bottom()).contains(&middle.y)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Sums over plates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Plates.
    pub plates: usize,
    /// Of them, by outcome.
    pub right: usize,
    /// Stated, but another.
    pub wrong: usize,
    /// Seen and not stated.
    pub refused: usize,
    /// Not seen.
    pub not_found: usize,
    /// Characters of the truth.
    pub characters: usize,
    /// Characters in error, whatever became of the plate.
    pub errors: usize,
}

impl Tally {
    /// Takes a plate in.
    pub fn add(&mut self, plate: &Plate, result: &Result) {
        self.plates += 1;
        self.characters += plate.normal_form().chars().count();
        self.errors += result.errors;
        match result.outcome {
            Outcome::Right => self.right += 1,
            Outcome::Wrong(_) => self.wrong += 1,
            Outcome::Refused(_) => self.refused += 1,
            Outcome::NotFound => self.not_found += 1,
        }
    }

    /// Plates read exactly, of all.
    pub fn exact(&self) -> Share {
        Share {
            of: self.plates,
            count: self.right,
        }
    }

    /// Plates read exactly, of those stated.
    pub fn precision(&self) -> Share {
        Share {
            of: self.right + self.wrong,
            count: self.right,
        }
    }

    /// Characters in error, of all.
    pub fn character_errors(&self) -> f64 {
        self.errors as f64 / self.characters.max(1) as f64
    }
}

/// A part of a whole, with what it may be worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Of so many …
    pub of: usize,
    /// … so many.
    pub count: usize,
}

impl Share {
    /// The interval of 95 % (Wilson 1927). It takes each plate for a draw of its
    /// own; looks at the same plate are not, so the truth is wider.
    pub fn interval(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (n, z) = (self.of as f64, 1.959_964);
        let p = self.count as f64 / n;
        let scale = 1.0 + z * z / n;
        let middle = (p + z * z / (2.0 * n)) / scale;
        let half = z / scale * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }
}

impl std::fmt::Display for Share {
    /// `70/83 = 84.3 % (75.0–90.6)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (low, high) = self.interval();
        write!(
            f,
            "{}/{} = {:.1} % ({:.1}–{:.1})",
            self.count,
            self.of,
            100.0 * self.count as f64 / self.of.max(1) as f64,
            100.0 * low,
            100.0 * high
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_what_is_put_in_left_out_and_changed() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "29A", 3),
            ("29A12345", "29A12345", 0),
            ("29A1345", "29A12345", 1),
            ("29AI2345", "29A12345", 1),
            ("9A12345", "29A1234", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn intervals_are_wilsons() {
        // Newcombe 1998, table I: 81 of 263 and 15 of 148.
        let (low, high) = Share { count: 81, of: 263 }.interval();
        assert!((low - 0.2553).abs() < 1e-4 && (high - 0.3662).abs() < 1e-4);
        let (low, high) = Share { count: 15, of: 148 }.interval();
        assert!((low - 0.0624).abs() < 1e-4 && (high - 0.1605).abs() < 1e-4);
        assert_eq!(Share { count: 0, of: 0 }.interval(), (0.0, 1.0));
        assert_eq!(
            Share { count: 9, of: 10 }.to_string(),
            "9/10 = 90.0 % (59.6–98.2)"
        );
    }
}
