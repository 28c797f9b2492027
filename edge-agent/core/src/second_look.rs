//! Second looks: what another model saw of one road user, or of the whole
//! picture, in a frame that has passed.
//!
//! A cascade looks at few frames of a road user, chosen by the shell, and
//! answers late. An answer is an [`Input`](crate::Input) like any other, so a
//! recording has it. It names its frame; what it shows counts in *that* frame,
//! beside what the detector showed there, and once. An answer for a frame that
//! is no longer remembered counts for nothing, and so does one about somebody who is gone,
//! unless it is about a plate: that is its vehicle's, whether it is still there or not.
//! It names its models, and so does every event for which it counts ([`LookedBy`]).

mod looked_by;

use plates::Rows;
use protocol::event::{FrameTime, SecondModel};
use protocol::id::CascadeId;
use protocol::units::rounded;
use protocol::{Detection, EventTime, NormBox, ObjectClass, TrackId};
use serde::{Deserialize, Serialize};

pub use looked_by::LookedBy;
pub(crate) use looked_by::LookerBook;

/// An answer that comes later than this is about nobody's present, s.
pub(crate) const MOST_LATE_S: f64 = 5.0;

/// A cascade of a camera, as the scene knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CascadeUse {
    /// Its name.
    pub id: CascadeId,
    /// Whom it looks at; empty: at the whole picture.
    pub on: Vec<ObjectClass>,
    /// Which marks it can give.
    pub gives: Vec<ObjectClass>,
    /// Whether it reads plates.
    pub reads_plates: bool,
}

/// What a second look showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecondLook {
    /// The frame that was looked at.
    pub at: FrameTime,
    /// At whom; `None`: at the whole picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackId>,
    /// By which cascade.
    pub cascade: CascadeId,
    /// By which models: of a reader of plates both. Empty in recordings of agents that
    /// did not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<SecondModel>,
    /// Where it was shown the main stream's picture of that moment instead of the frame:
    /// when that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<EventTime>,
    /// Which part of the picture the model was shown.
    #[serde(rename = "box")]
    pub bounds: NormBox,
    /// What it saw.
    #[serde(flatten)]
    pub found: Found,
}

/// What a model saw in the part of a picture that it was shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Things and where they are, of a detector.
    Marks {
        /// As [`protocol::Detections::believed_from`].
        believed_from: f64,
        /// In fractions of the whole picture.
        items: Vec<Detection>,
    },
    /// What all of it is, of a classifier: one class, or several that may be
    /// true at once; none where it has no word here for what it saw.
    Labels {
        /// As [`protocol::Detections::believed_from`].
        believed_from: f64,
        /// Each class once.
        labels: Vec<Label>,
    },
    /// Plates and what was read on them; none: there was none to be seen.
    Plates(Vec<PlateText>),
}

/// What a classifier says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// What.
    pub class: ObjectClass,
    /// Its probability, 0 to 1.
    pub score: f64,
}

/// A plate in a picture, and the characters that were read on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateText {
    /// Where it is, in fractions of the whole picture.
    #[serde(rename = "box")]
    pub bounds: NormBox,
    /// How sure it is that this is a plate, 0 to 1.
    pub score: f64,
    /// The upper row, or the only one; empty where nothing could be read.
    pub upper: Vec<Glyph>,
    /// The lower row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<Vec<Glyph>>,
    /// Whether there may be a character more or less than was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_doubtful: bool,
    /// Its ground, where that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<PlateColour>,
}

/// A character as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Glyph {
    /// The likeliest.
    pub symbol: char,
    /// Its probability, 0 to 1.
    pub confidence: f64,
    /// The next best and its probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_up: Option<(char, f64)>,
}

/// The ground of a plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words are their own meaning
pub enum PlateColour {
    White,
    Yellow,
    Blue,
    Red,
}

impl PlateText {
    /// A plate whose `rows` were read, as the reader joined them. A scene that reads
    /// [`rows`](Self::rows) again reads the plate that the reader read.
    pub fn of(
        bounds: NormBox,
        score: f64,
        rows: &Rows,
        colour: Option<plates::PlateColour>,
    ) -> Self {
        let row = |row: &Vec<plates::Glyph>| row.iter().map(Glyph::from).collect();
        Self {
            bounds,
            score,
            upper: row(&rows.upper),
            lower: rows.lower.as_ref().map(row),
            is_doubtful: rows.is_doubtful,
            colour: colour.map(PlateColour::from),
        }
    }

    /// What was read on it.
    pub fn rows(&self) -> Rows {
        let row = |row: &Vec<Glyph>| row.iter().map(plates::Glyph::from).collect();
        Rows {
            upper: row(&self.upper),
            lower: self.lower.as_ref().map(row),
            is_doubtful: self.is_doubtful,
        }
    }
}

impl From<&plates::Glyph> for Glyph {
    fn from(glyph: &plates::Glyph) -> Self {
        Self {
            symbol: glyph.symbol,
            confidence: glyph.confidence,
            runner_up: glyph.runner_up,
        }
    }
}

impl From<&Glyph> for plates::Glyph {
    fn from(glyph: &Glyph) -> Self {
        Self {
            symbol: glyph.symbol,
            confidence: glyph.confidence,
            runner_up: glyph.runner_up,
        }
    }
}

impl From<plates::PlateColour> for PlateColour {
    fn from(colour: plates::PlateColour) -> Self {
        use plates::PlateColour as C;
        match colour {
            C::White => Self::White,
            C::Yellow => Self::Yellow,
            C::Blue => Self::Blue,
            C::Red => Self::Red,
        }
    }
}

impl From<PlateColour> for plates::PlateColour {
    fn from(colour: PlateColour) -> Self {
        use PlateColour as C;
        match colour {
            C::White => Self::White,
            C::Yellow => Self::Yellow,
            C::Blue => Self::Blue,
            C::Red => Self::Red,
        }
    }
}

/// More things than one road user shows; more are a fault of the model.
const MOST_FOUND: usize = 64;
/// More models than one look needs.
const MOST_MODELS: usize = 8;
/// More characters than two rows of text have.
const MOST_GLYPHS: usize = 64;

impl SecondLook {
    /// Rounds numbers to what is recorded and leaves out what no picture has.
    /// The shell calls this once, so that a live scene and a replay of its
    /// recording start from the same bytes.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.bounds = canonical_box(&self.bounds);
        self.by.sort_unstable();
        self.by.dedup();
        self.by.truncate(MOST_MODELS);
        match &mut self.found {
            Found::Marks {
                believed_from,
                items,
            } => {
                *believed_from = probability(*believed_from);
                items.retain(|item| is_box(&item.bounds) && item.score.is_finite());
                items.truncate(MOST_FOUND);
                for item in &mut *items {
                    item.score = probability(item.score);
                    item.bounds = canonical_box(&item.bounds);
                }
                // The order in which a model lists things says nothing.
                items.sort_unstable_by(|a, b| {
                    let edges = |item: &Detection| -> [f64; 4] { item.bounds.into() };
                    let by_place = || {
                        let mut pairs = edges(a).into_iter().zip(edges(b));
                        pairs
                            .find_map(|(a, b)| a.total_cmp(&b).is_ne().then(|| a.total_cmp(&b)))
                            .unwrap_or(std::cmp::Ordering::Equal)
                    };
                    b.score
                        .total_cmp(&a.score)
                        .then(a.class.cmp(&b.class))
                        .then_with(by_place)
                });
            }
            Found::Labels {
                believed_from,
                labels,
            } => {
                *believed_from = probability(*believed_from);
                for label in &mut *labels {
                    label.score = probability(label.score);
                }
                // The surest of a class, in the order of classes.
                labels.sort_unstable_by(|a, b| {
                    a.class.cmp(&b.class).then(b.score.total_cmp(&a.score))
                });
                labels.dedup_by_key(|label| label.class);
            }
            Found::Plates(plates) => {
                plates.retain(|plate| is_box(&plate.bounds));
                plates.truncate(MOST_FOUND);
                for plate in plates {
                    plate.score = probability(plate.score);
                    plate.bounds = canonical_box(&plate.bounds);
                    for row in [Some(&mut plate.upper), plate.lower.as_mut()] {
                        let Some(row) = row else { continue };
                        row.truncate(MOST_GLYPHS);
                        for glyph in row {
                            glyph.confidence = probability(glyph.confidence);
                            let next = glyph.runner_up;
                            glyph.runner_up = next.map(|(c, p)| (c, probability(p)));
                        }
                    }
                }
            }
        }
        self
    }
}

fn is_box(bounds: &NormBox) -> bool {
    let edges: [f64; 4] = (*bounds).into();
    edges.iter().all(|edge| edge.abs() <= 4.0) && bounds.width > 0.0 && bounds.height > 0.0
}

fn canonical_box(bounds: &NormBox) -> NormBox {
    let edges: [f64; 4] = (*bounds).into();
    edges
        .map(|edge| {
            if edge.is_finite() {
                rounded(edge, 5)
            } else {
                0.0
            }
        })
        .into()
}

/// What is no number is no confidence.
fn probability(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        rounded(value.clamp(0.0, 1.0), 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn look(found: Found) -> SecondLook {
        SecondLook {
            at: FrameTime {
                frame: 7,
                time: EventTime::from_micros(700_000),
            },
            track: Some(TrackId {
                born: EventTime::EPOCH,
                rank: 1,
            }),
            cascade: CascadeId::new("helmets").unwrap(),
            by: Vec::new(),
            main: None,
            bounds: [0.123_456_7, 0.2, 0.1, f64::NAN].into(),
            found,
        }
    }

    #[test]
    fn an_answer_is_one_line_and_reads_back_as_it_was() {
        let found = [
            Found::Labels {
                believed_from: 0.6,
                labels: vec![Label {
                    class: ObjectClass::NoHelmet,
                    score: 0.912_345_678,
                }],
            },
            Found::Marks {
                believed_from: 0.5,
                items: vec![
                    Detection {
                        class: ObjectClass::Helmet,
                        score: f64::NAN,
                        bounds: [0.1, 0.1, 0.1, 0.1].into(),
                    },
                    Detection {
                        class: ObjectClass::Helmet,
                        score: 0.7,
                        bounds: [0.1, 0.1, 0.1, 0.1].into(),
                    },
                ],
            },
            Found::Plates(vec![PlateText {
                bounds: [0.1, 0.2, 0.05, 0.02].into(),
                score: 0.8,
                upper: vec![Glyph {
                    symbol: '2',
                    confidence: 1.25,
                    runner_up: Some(('Z', 0.01)),
                }],
                lower: None,
                is_doubtful: false,
                colour: Some(PlateColour::White),
            }]),
        ];
        let lines: Vec<String> = found
            .map(|found| {
                let look = look(found).canonical();
                let line = serde_json::to_string(&look).unwrap();
                assert_eq!(serde_json::from_str::<SecondLook>(&line).unwrap(), look);
                assert_eq!(look.clone().canonical(), look, "once is enough");
                line
            })
            .into();
        expect![[r#"
            {"at":{"frame":7,"time":"1970-01-01T00:00:00.700000Z"},"track":"t8000000000000000.1","cascade":"helmets","box":[0.12346,0.2,0.1,0.0],"labels":{"believed_from":0.6,"labels":[{"class":"no_helmet","score":0.91235}]}}
            {"at":{"frame":7,"time":"1970-01-01T00:00:00.700000Z"},"track":"t8000000000000000.1","cascade":"helmets","box":[0.12346,0.2,0.1,0.0],"marks":{"believed_from":0.5,"items":[{"class":"helmet","score":0.7,"box":[0.1,0.1,0.1,0.1]}]}}
            {"at":{"frame":7,"time":"1970-01-01T00:00:00.700000Z"},"track":"t8000000000000000.1","cascade":"helmets","box":[0.12346,0.2,0.1,0.0],"plates":[{"box":[0.1,0.2,0.05,0.02],"score":0.8,"upper":[{"symbol":"2","confidence":1.0,"runner_up":["Z",0.01]}],"colour":"white"}]}"#]].assert_eq(&lines.join("\n"));
    }
}
