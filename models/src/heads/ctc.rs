//! Text by connectionist temporal classification (Graves et al. 2006), as the
//! recognisers of PP-OCR (Du et al., arXiv:2009.09941) give it.
//!
//! One tensor `[1, columns, 1 + symbols]`: for each column of the input, `stride`
//! pixels wide, the probability of "nothing here" (the blank) and of each
//! symbol. Read greedily: the best of each column; columns of one symbol in a row
//! are one symbol, seen in the first of them; blanks part equal neighbours.
//!
//! A symbol of which "nothing here" was likelier, but not by much, is told apart:
//! the line may have one character more ([`TextLine::passed_over`]).
//!
//! After `CTCLabelDecode` of PaddleOCR. A line in which a column holds NaN or
//! infinity is not read at all: a number plate that lacks a digit is another
//! man's plate.

use serde::{Deserialize, Serialize};

use super::answers::{Fault, Reading, Symbol, TextLine, improper, no_sum};
use super::scores::{peak, place_of};
use super::{Activation, Shape};
use crate::manifest::Input;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ctc {
    /// The output's name.
    pub tensor: String,
    /// Pixels of the input per column.
    pub stride: u32,
    /// Number of the blank.
    #[serde(default)]
    pub blank: u32,
    /// What is still to be done to the numbers.
    #[serde(default)]
    pub activation: Activation,
    /// What the numbers other than the blank's mean.
    pub symbols: Symbols,
}

/// Where the symbols are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Symbols {
    /// Here, one character each, in the order of their numbers.
    Written(String),
    /// In the model file.
    Metadata {
        /// Key of the ONNX metadata whose text holds one symbol per line.
        key: String,
        /// Symbols after those of the file.
        #[serde(default)]
        append: Vec<String>,
        /// How many that makes, without the blank.
        count: u32,
    },
}

/// The symbols of a recogniser, by number, without the blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alphabet {
    symbols: Vec<String>,
    /// Which of them may be read; none: all.
    readable: Option<Vec<bool>>,
}

impl Alphabet {
    /// Of all symbols only those that `keep` keeps, for a line that is known to
    /// be written in few. Where the best symbol is another, the best of these
    /// takes its place with its own probability, so that a character is not
    /// lost because a sign of another script looks more like it.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.readable = Some(self.symbols.iter().map(|symbol| keep(symbol)).collect());
        self
    }

    /// Whether the symbol at this place may be read. An alphabet of another head may be shorter.
    fn is_readable(&self, place: usize) -> bool {
        self.readable
            .as_ref()
            .is_none_or(|readable| readable.get(place).is_some_and(|is| *is))
    }
}

/// Symbols that are not what the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlphabetError {
    /// The file does not have them.
    #[error(
        "the model has no metadata `{0}` with its symbols; correct `head.symbols` in its manifest or install the right file"
    )]
    Missing(String),
    /// Another number of them.
    #[error(
        "the model's metadata and `append` give {found} symbols, its manifest says {expected}; correct `head.symbols` or install the right file"
    )]
    Count {
        /// By the manifest.
        expected: usize,
        /// There.
        found: usize,
    },
}

/// From which probability on a symbol is told that was not read. What is not there
/// has some hundredths.
pub const NEAR: f32 = 0.2;

/// More symbols than any script has.
const MAX_SYMBOLS: u32 = 200_000;

impl Ctc {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=64).contains(&self.stride) {
            return Err(format!("stride is {}; it must be 1 to 64", self.stride));
        }
        if self.activation == Activation::Sigmoid {
            return Err(
                "symbols exclude each other: activation is \"none\" or \"softmax\"".to_owned(),
            );
        }
        let count = self.count();
        if count == 0 || count > MAX_SYMBOLS as usize || self.blank as usize > count {
            return Err(format!(
                "1 to {MAX_SYMBOLS} symbols are needed and blank must be one of their numbers or the next; there are {count}, blank is {}",
                self.blank
            ));
        }
        Ok(())
    }

    /// How many symbols there are without the blank.
    fn count(&self) -> usize {
        match &self.symbols {
            Symbols::Written(characters) => characters.chars().count(),
            Symbols::Metadata { count, .. } => *count as usize,
        }
    }

    /// The metadata key that [`alphabet`](Self::alphabet) needs the text of.
    pub fn metadata_key(&self) -> Option<&str> {
        match &self.symbols {
            Symbols::Written(_) => None,
            Symbols::Metadata { key, .. } => Some(key),
        }
    }

    /// The symbols; `metadata` is the text under [`metadata_key`](Self::metadata_key) in the file.
    pub fn alphabet(&self, metadata: Option<&str>) -> Result<Alphabet, AlphabetError> {
        let symbols: Vec<String> = match &self.symbols {
            Symbols::Written(characters) => characters.chars().map(String::from).collect(),
            Symbols::Metadata { key, append, .. } => metadata
                .ok_or_else(|| AlphabetError::Missing(key.clone()))?
                .lines()
                .map(str::to_owned)
                .chain(append.iter().cloned())
                .collect(),
        };
        if symbols.len() != self.count() {
            return Err(AlphabetError::Count {
                expected: self.count(),
                found: symbols.len(),
            });
        }
        Ok(Alphabet {
            symbols,
            readable: None,
        })
    }

    pub(super) fn expected(&self, input: &Input) -> Vec<(&str, Shape)> {
        let columns = input.width.div_ceil(self.stride) as usize;
        let shape = Shape::of(&[1, columns, 1 + self.count()]);
        vec![(self.tensor.as_str(), shape)]
    }

    /// The line, and how many columns it was read from.
    pub(super) fn read(
        &self,
        reading: &Reading<'_>,
        alphabet: &Alphabet,
        tensors: &[&[f32]],
    ) -> Result<(TextLine, usize), Fault> {
        let row_length = 1 + self.count();
        let columns = tensors[0].len() / row_length;
        let blank = self.blank as usize;
        let mut line = TextLine::default();
        // What the network said, and what was made of it.
        let (mut last_said, mut last) = (blank, blank);
        let mut softened = Vec::new();
        let mut near: Vec<Column> = Vec::with_capacity(columns);
        for (column, row) in tensors[0].chunks_exact(row_length).enumerate() {
            let peak = peak(row);
            let Some(said) = peak.is_sound.then(|| place_of(row, peak.highest)).flatten() else {
                line.broken += 1;
                near.push(Column::default());
                continue;
            };
            if self.activation == Activation::None {
                let fault = improper(peak.highest).or_else(|| no_sum(row));
                fault.map_or(Ok(()), Err)?;
            }
            let number = if said == blank || alphabet.is_readable(self.place(said)) {
                said
            } else {
                self.best(alphabet, row, said).unwrap_or(blank)
            };
            near.push(if number == blank {
                Column {
                    read: None,
                    near: self.near(alphabet, row, &mut softened),
                }
            } else {
                Column {
                    read: Some(number),
                    near: None,
                }
            });
            // One sign over several columns is one, also where each column would make
            // another readable one of it.
            if number != blank && number != last && said != last_said {
                let row = if self.activation == Activation::None {
                    row
                } else {
                    softened.clear();
                    softened.extend_from_slice(row);
                    self.activation.apply(&mut softened);
                    &softened
                };
                line.symbols.push(Symbol {
                    text: self.symbol(alphabet, number),
                    confidence: probability(row[number]),
                    runner_up: self
                        .best(alphabet, row, number)
                        .map(|second| (self.symbol(alphabet, second), probability(row[second]))),
                    position: (column as f64 + 0.5) * f64::from(self.stride)
                        / f64::from(reading.input.width),
                });
            }
            (last_said, last) = (said, number);
        }
        if line.broken > 0 || line.confidence() < f64::from(reading.low) {
            line.symbols.clear();
        }
        let passed_over = passed_over(&near).map(|(column, number, score)| Symbol {
            text: self.symbol(alphabet, number),
            confidence: probability(score),
            runner_up: None,
            position: (column as f64 + 0.5) * f64::from(self.stride)
                / f64::from(reading.input.width),
        });
        line.passed_over = passed_over.collect();
        Ok((line, columns))
    }

    /// The symbol that comes near the blank of a column, and its probability.
    fn near(
        &self,
        alphabet: &Alphabet,
        row: &[f32],
        softened: &mut Vec<f32>,
    ) -> Option<(usize, f32)> {
        let blank = self.blank as usize;
        let row = if self.activation == Activation::None {
            row
        } else {
            softened.clear();
            softened.extend_from_slice(row);
            self.activation.apply(softened);
            &*softened
        };
        // Together they are 1, so that nearly every column ends here.
        if *row.get(blank)? > 1.0 - NEAR {
            return None;
        }
        let best = self.best(alphabet, row, blank)?;
        (row[best] >= NEAR).then_some((best, row[best]))
    }

    fn symbol(&self, alphabet: &Alphabet, number: usize) -> String {
        // An alphabet of another head may be shorter.
        let symbol = alphabet.symbols.get(self.place(number));
        symbol.cloned().unwrap_or_default()
    }

    /// Where in the alphabet the symbol of a number stands.
    fn place(&self, number: usize) -> usize {
        number - usize::from(number > self.blank as usize)
    }

    /// The best symbol that may be read besides `first`, which is not the blank.
    fn best(&self, alphabet: &Alphabet, row: &[f32], first: usize) -> Option<usize> {
        row.iter()
            .enumerate()
            .filter(|(number, _)| *number != first && *number != self.blank as usize)
            .filter(|(number, _)| alphabet.is_readable(self.place(*number)))
            // The first of equals.
            .reduce(|best, other| if other.1 > best.1 { other } else { best })
            .map(|(number, _)| number)
    }
}

/// What was made of a column, and what came near its blank.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    read: Option<usize>,
    near: Option<(usize, f32)>,
}

/// Column, number and probability of symbols that came near and are no edge of one
/// that was read: that one fades out over its neighbours.
fn passed_over(columns: &[Column]) -> impl Iterator<Item = (usize, usize, f32)> + '_ {
    let is_of = |column: &Column, number: usize| {
        column.read == Some(number) || column.near.is_some_and(|(other, _)| other == number)
    };
    let mut runs: Vec<(usize, usize, f32, bool)> = Vec::new();
    let mut last: Option<usize> = None;
    for (place, column) in columns.iter().enumerate() {
        let Some((number, score)) = column.near else {
            last = None;
            continue;
        };
        let before = place.checked_sub(1).and_then(|place| columns.get(place));
        let after = columns.get(place + 1);
        let is_edge = [before, after]
            .into_iter()
            .flatten()
            .any(|beside| beside.read == Some(number));
        match runs.last_mut() {
            Some(run) if last == Some(number) && before.is_some_and(|b| is_of(b, number)) => {
                run.2 = run.2.max(score);
                run.3 |= is_edge;
            }
            _ => runs.push((place, number, score, is_edge)),
        }
        last = Some(number);
    }
    runs.into_iter()
        .filter(|(.., is_edge)| !is_edge)
        .map(|(place, number, score, _)| (place, number, score))
}

fn probability(score: f32) -> f64 {
    f64::from(score.clamp(0.0, 1.0))
}
