//! The lines of text on a plate, in order.
//!
//! Motorcycles' plates and the short ones of cars have two rows; detectors of
//! text find each row, and now and then cut one at its dot. What stands beside
//! each other is one row, what stands below is the next: measured along the
//! direction of the text, so that a plate may hang askew.

#[cfg(feature = "networks")]
use models::heads::{TextLine, TextRegion};
use protocol::Point;

use crate::reading::Refusal;

/// One recognised character.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glyph {
    /// What was read.
    pub symbol: char,
    /// The recogniser's probability for it, 0 to 1.
    pub confidence: f64,
    /// The next best character and its probability.
    pub runner_up: Option<(char, f64)>,
}

/// A recognised line and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Its characters, from left to right.
    pub glyphs: Vec<Glyph>,
    /// Its corners, from the top left of upright text clockwise, in fractions of the picture.
    pub corners: [Point; 4],
    /// Whether it may have characters that were not read: such a look is not decided.
    pub is_doubtful: bool,
}

/// What is written on a plate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The upper row, or the only line that was found. One line does not mean
    /// that the plate has one row: a recogniser may have read both as one.
    pub upper: Vec<Glyph>,
    /// The lower row.
    pub lower: Option<Vec<Glyph>>,
    /// Whether there may be a character more or less than was read: the look is not decided.
    pub is_doubtful: bool,
}

#[cfg(feature = "networks")]
impl Glyph {
    /// The characters of a line that a network read, with probabilities as they
    /// are recorded: whoever reads the recording reads the same plate.
    pub fn of_line(line: &TextLine) -> Vec<Self> {
        let mut glyphs = Vec::new();
        for symbol in &line.symbols {
            // Some alphabets have ligatures; their parts are as sure as the whole.
            for c in symbol.text.chars() {
                let single = symbol.runner_up.as_ref().and_then(|(text, probability)| {
                    let mut other = text.chars();
                    let first = other.next()?;
                    let probability = recorded(*probability);
                    other.next().is_none().then_some((first, probability))
                });
                glyphs.push(Self {
                    symbol: c,
                    confidence: recorded(symbol.confidence),
                    runner_up: single,
                });
            }
        }
        glyphs
    }
}

/// Whether "nothing here" was hardly likelier than a character somewhere in the line:
/// `30A-1234` may be `30A-123.45`. A dot more is no other plate.
#[cfg(feature = "networks")]
pub fn may_have_more(line: &TextLine) -> bool {
    let mut passed = line.passed_over.iter();
    passed.any(|symbol| symbol.text.chars().any(char::is_alphanumeric))
}

/// A second look of edge-core is recorded to the fifth digit.
#[cfg(feature = "networks")]
fn recorded(probability: f64) -> f64 {
    protocol::units::rounded(probability, 5)
}

#[cfg(feature = "networks")]
impl Patch {
    /// A region of text and what was read in it.
    pub fn new(region: &TextRegion, line: &TextLine) -> Self {
        Self {
            glyphs: Glyph::of_line(line),
            corners: region.corners,
            is_doubtful: may_have_more(line),
        }
    }
}

/// Writing less than this high, as part of the highest, is a dealer's or the
/// bolt's. The rows of a plate are equally high to a fifth.
const LEAST_HEIGHT: f64 = 0.4;

/// More pieces than two rows fall into.
const MOST_PATCHES: usize = 16;

impl Rows {
    /// One line as it was read.
    pub fn one(line: Vec<Glyph>) -> Self {
        Self {
            upper: line,
            lower: None,
            is_doubtful: false,
        }
    }

    /// Two rows, the upper first.
    pub fn two(upper: Vec<Glyph>, lower: Vec<Glyph>) -> Self {
        Self {
            upper,
            lower: Some(lower),
            is_doubtful: false,
        }
    }

    /// Joins what was found on one plate. `aspect` is the picture's width over height.
    pub fn join(patches: &[Patch], aspect: f64) -> Result<Self, Refusal> {
        if patches.len() > MOST_PATCHES {
            return Err(Refusal::TooManyRows);
        }
        let axis = axis(patches, aspect).ok_or(Refusal::NoText)?;
        let mut pieces: Vec<Piece<'_>> = patches
            .iter()
            .filter(|patch| !patch.glyphs.is_empty())
            .filter_map(|patch| Piece::of(patch, aspect, axis))
            .collect();
        let highest = pieces.iter().map(|p| p.height).fold(0.0, f64::max);
        pieces.retain(|piece| piece.height >= LEAST_HEIGHT * highest);
        pieces.sort_by(|a, b| a.down.total_cmp(&b.down).then(a.along.total_cmp(&b.along)));

        let is_doubtful = pieces.iter().any(|piece| piece.is_doubtful);
        let mut rows: Vec<Vec<Piece<'_>>> = Vec::new();
        for piece in pieces {
            match rows.last_mut() {
                // Beside each other: the middles are less than half a letter apart.
                Some(row) if piece.down - row[0].down < piece.height.min(row[0].height) / 2.0 => {
                    row.push(piece);
                }
                _ => rows.push(vec![piece]),
            }
        }
        let mut lines = rows.into_iter().map(|mut row| {
            row.sort_by(|a, b| a.along.total_cmp(&b.along));
            row.iter().flat_map(|p| p.glyphs.iter().copied()).collect()
        });
        let upper = lines.next().ok_or(Refusal::NoText)?;
        let lower = lines.next();
        if lines.next().is_some() {
            return Err(Refusal::TooManyRows);
        }
        Ok(Self {
            upper,
            lower,
            is_doubtful,
        })
    }
}

struct Piece<'p> {
    glyphs: &'p [Glyph],
    /// Middle, in picture heights, along the text and across it downwards.
    along: f64,
    down: f64,
    height: f64,
    is_doubtful: bool,
}

impl<'p> Piece<'p> {
    fn of(patch: &'p Patch, aspect: f64, axis: (f64, f64)) -> Option<Self> {
        let corners = patch.corners.map(|corner| (corner.x * aspect, corner.y));
        let along = |point: (f64, f64)| point.0 * axis.0 + point.1 * axis.1;
        let down = |point: (f64, f64)| point.1 * axis.0 - point.0 * axis.1;
        let mean = |of: &dyn Fn((f64, f64)) -> f64| corners.map(of).iter().sum::<f64>() / 4.0;
        let piece = Self {
            glyphs: &patch.glyphs,
            along: mean(&along),
            down: mean(&down),
            height: (down(corners[3]) - down(corners[0])).abs(),
            is_doubtful: patch.is_doubtful,
        };
        (piece.along.is_finite() && piece.down.is_finite() && piece.height.is_finite())
            .then_some(piece)
    }
}

/// The direction of the text: the mean of all upper edges, of length 1.
fn axis(patches: &[Patch], aspect: f64) -> Option<(f64, f64)> {
    let (mut x, mut y) = (0.0, 0.0);
    for patch in patches.iter().filter(|patch| !patch.glyphs.is_empty()) {
        let [left, right, ..] = patch.corners;
        x += (right.x - left.x) * aspect;
        y += right.y - left.y;
    }
    let length = (x * x + y * y).sqrt();
    (length.is_finite() && length > 1e-9).then(|| (x / length, y / length))
}

#[cfg(test)]
mod tests;
