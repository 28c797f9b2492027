//! What heads answer, and the sieve through which every answer goes.

use protocol::{NormBox, ObjectClass, Point};

use super::scores::{peak, place_of};
use super::yolov8::BoxForm;
use crate::manifest::{ClassMap, Input};

/// What a network said about one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers<T> {
    /// What counts.
    pub found: Vec<T>,
    /// How many of its answers were passed over because a number in them is NaN
    /// or infinite. Above 0 again and again means a damaged file or a precision
    /// that is too small; the caller counts it.
    pub broken: usize,
}

impl<T> Answers<T> {
    pub(super) fn map<U>(self, change: impl FnMut(T) -> U) -> Answers<U> {
        Answers {
            found: self.found.into_iter().map(change).collect(),
            broken: self.broken,
        }
    }
}

/// A face and its five points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// The word that the manifest gives it.
    pub class: ObjectClass,
    /// 0 to 1.
    pub score: f64,
    /// Where it is, in fractions of the picture.
    pub bounds: NormBox,
    /// Right eye, left eye, tip of the nose, right and left corner of the mouth,
    /// as the person's right and left; in fractions of the picture.
    pub landmarks: [Point; 5],
}

/// One class of a whole input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// The network's number for it.
    pub number: usize,
    /// The manifest's word for the number, if it has one.
    pub class: Option<ObjectClass>,
    /// 0 to 1.
    pub score: f64,
}

/// A place where something is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextRegion {
    /// Mean of the probability that its pixels are text, 0 to 1.
    pub score: f64,
    /// Corners of the smallest rectangle around it, which may be tilted: from
    /// the one that is the top left of upright text, clockwise, in fractions
    /// of the picture.
    pub corners: [Point; 4],
    /// The upright rectangle around the corners.
    pub bounds: NormBox,
}

/// One symbol of a line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Symbol {
    /// What it is.
    pub text: String,
    /// The network's probability for it, 0 to 1.
    pub confidence: f64,
    /// The next best symbol at the same place and its probability.
    pub runner_up: Option<(String, f64)>,
    /// Middle of the column in which it was seen, as a fraction of the input's width.
    pub position: f64,
}

/// A line of text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextLine {
    /// From left to right.
    pub symbols: Vec<Symbol>,
    /// Columns of the output that hold NaN or infinity; above 0, nothing was read.
    pub broken: usize,
    /// Symbols that were not read, because "nothing here" was likelier, but not by
    /// much ([`super::ctc::NEAR`]): the line may have them as well.
    pub passed_over: Vec<Symbol>,
}

impl TextLine {
    /// The symbols in a row.
    pub fn text(&self) -> String {
        self.symbols
            .iter()
            .map(|symbol| symbol.text.as_str())
            .collect()
    }

    /// Mean confidence of the symbols, as the authors give it; 0 for no text.
    pub fn confidence(&self) -> f64 {
        if self.symbols.is_empty() {
            return 0.0;
        }
        let total: f64 = self.symbols.iter().map(|symbol| symbol.confidence).sum();
        total / self.symbols.len() as f64
    }
}

/// What a head needs to know besides its tensors.
pub(super) struct Reading<'a> {
    pub(super) input: &'a Input,
    pub(super) classes: &'a ClassMap,
    /// Answers below this are not made.
    pub(super) low: f32,
}

/// An answer in the input's pixels, before anything is known of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) class: ObjectClass,
    pub(super) score: f32,
    /// Left, top, right, bottom.
    pub(super) edges: [f32; 4],
    /// Row of the tensor, for heads that have more to say about it.
    pub(super) row: usize,
}

/// What a head makes of its tensors.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    /// Answers with a number that is none.
    pub(super) broken: usize,
    /// Answers looked at.
    pub(super) total: usize,
    /// The first that is of another kind than it is read as.
    pub(super) fault: Option<Fault>,
}

/// How far numbers may be outside 0 to 1: one step of eight bits, to which
/// quantised networks round; half precision rounds to a quarter of it. Logits are
/// farther outside in every picture: what is not there has one far below 0.
pub(super) const HAIR: f32 = 0.004;

/// Numbers that are of another kind than they are read as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// It is outside 0 to 1.
    Score(f32),
    /// Of classes that exclude each other: what they make together.
    Sum(f32),
    /// They are probabilities already where logits are to be read.
    Already,
    /// Boxes are of this form, not of the manifest's.
    Boxes(BoxForm),
}

/// What is no probability, by more than rounding. NaN and infinity are counted elsewhere.
pub(super) fn improper(score: f32) -> Option<Fault> {
    (score.is_finite() && !(-HAIR..=1.0 + HAIR).contains(&score)).then_some(Fault::Score(score))
}

/// The better one of a row's classes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    pub(super) class: ObjectClass,
    pub(super) score: f32,
}

impl Found {
    /// The best class of a row and its score, if it counts.
    ///
    /// The best of all classes, also of those that are dropped: a chair that is
    /// 10 % a person is a chair. A row in which a number is none says nothing,
    /// because that number might have been the best.
    ///
    /// `score_of` makes the score of the best class number, and must rise with it.
    pub(super) fn best(
        &mut self,
        reading: &Reading<'_>,
        scores: &[f32],
        score_of: impl FnOnce(f32) -> f32,
    ) -> Option<Best> {
        // The least need not be asked: of logits some row has none above 0.
        self.check(peak(scores).highest);
        self.best_of_any(reading, scores, score_of)
    }

    /// The same of numbers that need not be probabilities.
    pub(super) fn best_of_any(
        &mut self,
        reading: &Reading<'_>,
        scores: &[f32],
        score_of: impl FnOnce(f32) -> f32,
    ) -> Option<Best> {
        let peak = peak(scores);
        let score = score_of(peak.highest);
        if !peak.is_sound || !score.is_finite() {
            self.broken += 1;
            return None;
        }
        let score = accepted(score, reading.low)?;
        let class = reading.classes.word(place_of(scores, peak.highest)?)?;
        Some(Best { class, score })
    }

    /// Notes a number that should be a probability and is none.
    pub(super) fn check(&mut self, score: f32) {
        self.fault = self.fault.or_else(|| improper(score));
    }

    /// Whether an objectness is high enough to look further. No class score exceeds 1, so most rows end here.
    pub(super) fn is_promising(&mut self, reading: &Reading<'_>, objectness: f32) -> bool {
        if !objectness.is_finite() {
            self.broken += 1;
        }
        self.check(objectness);
        objectness >= reading.low && objectness.is_finite()
    }

    /// A row whose class the network names by its number.
    ///
    /// A number that the manifest has no room for is as broken as NaN: network
    /// and manifest do not belong together.
    pub(super) fn named(&mut self, reading: &Reading<'_>, score: f32, class: f32) -> Option<Best> {
        let count = reading.classes.count() as f32;
        self.check(score);
        let is_number = class >= 0.0 && class < count && libm::truncf(class) == class;
        if !score.is_finite() || (score >= reading.low && !is_number) {
            self.broken += 1;
            return None;
        }
        let score = accepted(score, reading.low)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ≤ class < count
        let class = reading.classes.word(class as usize)?;
        Some(Best { class, score })
    }

    /// Takes a row in, unless an edge is no number.
    pub(super) fn take(&mut self, best: Best, edges: [f32; 4], row: usize) {
        if edges.iter().all(|edge| edge.is_finite()) {
            self.candidates.push(Candidate {
                class: best.class,
                score: best.score,
                edges,
                row,
            });
        } else {
            self.broken += 1;
        }
    }
}

/// What numbers make together that should make 1. Each may be rounded by half a step.
pub(super) fn no_sum(scores: &[f32]) -> Option<Fault> {
    let sum: f32 = scores.iter().sum();
    let room = (HAIR / 2.0 * scores.len() as f32).clamp(0.02, 0.5);
    (sum.is_finite() && (sum - 1.0).abs() > room).then_some(Fault::Sum(sum))
}

/// A score that may be published: finite, at least `low`, at most 1.
pub(super) fn accepted(score: f32, low: f32) -> Option<f32> {
    // Written so that NaN fails. Who exceeds 1 by more than a hair was refused before.
    (score.is_finite() && score >= low).then(|| score.min(1.0))
}

/// From middle and size to left, top, right, bottom.
pub(super) fn around(x: f32, y: f32, width: f32, height: f32) -> [f32; 4] {
    let (half_width, half_height) = (width / 2.0, height / 2.0);
    [
        x - half_width,
        y - half_height,
        x + half_width,
        y + half_height,
    ]
}
