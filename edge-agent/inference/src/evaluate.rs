//! How well a model sees, on labelled pictures.
//!
//! Figures as COCO defines them, per class, by size, by day and night, so that
//! a model may be chosen by what it does on the streets it is for, and not by
//! what its authors measured elsewhere. Besides them what the agent would have
//! believed: precision and recall from the manifest's `thresholds.high` on.
//!
//! Pure: pictures are looked at by the caller, who brings labels and detections.

pub mod average_precision;

pub mod confusion;

pub mod labels;

use std::collections::BTreeMap;

use protocol::{Detection, ObjectClass};
use serde::Serialize;

use average_precision::{
    Claim, Rectangle, Sheet, Size, at_score, average_precision, false_at_score,
};
use labels::LabelledPicture;

pub use labels::{LabelError, LabelSet};

/// Mean luma (0 to 255) below which a picture counts as taken at night, where
/// nobody said. Streets by day have 80 to 130, under lamps 20 to 50.
pub const NIGHT_LUMA: f64 = 60.0;

/// Figures of one class; all 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// Labels to be found.
    pub labels: u64,
    /// Average precision at an overlap (IoU) of one half.
    pub ap50: f64,
    /// Mean average precision over the overlaps 0.50, 0.55 … 0.95.
    pub ap50_95: f64,
}

/// Figures of a class, whole and in parts. A part without labels is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScores {
    /// Which.
    pub class: ObjectClass,
    /// Over everything.
    #[serde(flatten)]
    pub all: Scores,
    /// Of what the agent believes (from `thresholds.high` on), how much is there.
    pub precision: f64,
    /// Of what is there, how much the agent believes.
    pub recall: f64,
    /// Labels below 32² pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub small: Option<Scores>,
    /// 32² to 96².
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<Scores>,
    /// Above 96².
    #[serde(skip_serializing_if = "Option::is_none")]
    pub large: Option<Scores>,
    /// Pictures taken by day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<Scores>,
    /// Pictures taken at night.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub night: Option<Scores>,
}

/// Figures of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Pictures that were looked at.
    pub pictures: usize,
    /// Of these, taken at night.
    pub night_pictures: usize,
    /// Mean over the classes that have labels.
    pub mean: Scores,
    /// By class.
    pub classes: Vec<ClassScores>,
    /// Classes that were looked for and not found by whoever labelled, and that the agent believes in.
    pub unlabelled: Vec<Unlabelled>,
}

/// A class without a label, of which the agent believes something: average precision says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Unlabelled {
    /// Which.
    pub class: ObjectClass,
    /// How many boxes the agent would believe; none of them is there.
    pub believed: u64,
}

/// Labels and detections of all pictures, as far as they have been looked at.
#[derive(Debug, Default)]
pub struct Evaluator {
    /// By picture; in each by class.
    pictures: BTreeMap<u64, Looked>,
}

#[derive(Debug, Default)]
struct Looked {
    is_night: bool,
    sheets: BTreeMap<ObjectClass, Sheet>,
}

/// A picture as it was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// What is on it.
    pub labelled: &'a LabelledPicture,
    /// Its own size, pixels.
    pub size: (u32, u32),
    /// Mean luma, 0 to 255.
    pub luma: f64,
    /// What the model saw.
    pub detections: &'a [Detection],
}

impl Look<'_> {
    /// The size that labels and figures are in.
    pub fn label_size(&self) -> (u32, u32) {
        self.labelled.size.unwrap_or(self.size)
    }

    /// A detection's place in pixels of the labels.
    pub fn rectangle(&self, detection: &Detection) -> Rectangle {
        let (width, height) = self.label_size();
        let (width, height) = (f64::from(width), f64::from(height));
        Rectangle {
            x: detection.bounds.x * width,
            y: detection.bounds.y * height,
            width: detection.bounds.width * width,
            height: detection.bounds.height * height,
        }
    }

    fn is_night(&self) -> bool {
        self.labelled.is_night.unwrap_or(self.luma < NIGHT_LUMA)
    }
}

impl Evaluator {
    /// Takes a picture in.
    pub fn add(&mut self, look: &Look<'_>) {
        let mut sheets: BTreeMap<ObjectClass, Sheet> = BTreeMap::new();
        for (class, truth) in &look.labelled.labels {
            sheets.entry(*class).or_default().truths.push(*truth);
        }
        for detection in look.detections {
            let claim = Claim {
                bounds: look.rectangle(detection),
                score: detection.score,
            };
            sheets
                .entry(detection.class)
                .or_default()
                .claims
                .push(claim);
        }
        let looked = Looked {
            is_night: look.is_night(),
            sheets,
        };
        self.pictures.insert(look.labelled.id, looked);
    }

    /// Figures of `classes`; of those without a label only what is believed all the same.
    pub fn evaluate(&self, classes: &[ObjectClass], believed_from: f64) -> Evaluation {
        let mut unlabelled = Vec::new();
        let classes: Vec<ClassScores> = classes
            .iter()
            .filter_map(|class| {
                let scores = self.of_class(*class, believed_from);
                let believed = false_at_score(self.sheets(*class, None), believed_from);
                if scores.is_none() && believed > 0 {
                    unlabelled.push(Unlabelled {
                        class: *class,
                        believed,
                    });
                }
                scores
            })
            .collect();
        let mean = |value: fn(&Scores) -> f64| {
            let sum: f64 = classes.iter().map(|class| value(&class.all)).sum();
            sum / classes.len().max(1) as f64
        };
        Evaluation {
            pictures: self.pictures.len(),
            night_pictures: self.pictures.values().filter(|p| p.is_night).count(),
            mean: Scores {
                labels: classes.iter().map(|class| class.all.labels).sum(),
                ap50: mean(|scores| scores.ap50),
                ap50_95: mean(|scores| scores.ap50_95),
            },
            classes,
            unlabelled,
        }
    }

    fn of_class(&self, class: ObjectClass, believed_from: f64) -> Option<ClassScores> {
        let part = |size, is_night: Option<bool>| {
            average_precision(self.sheets(class, is_night), size).map(|precision| Scores {
                labels: precision.labels,
                ap50: precision.ap50,
                ap50_95: precision.ap50_95,
            })
        };
        let all = part(Size::All, None)?;
        let (precision, recall) = at_score(self.sheets(class, None), believed_from)?;
        Some(ClassScores {
            class,
            all,
            precision,
            recall,
            small: part(Size::Small, None),
            medium: part(Size::Medium, None),
            large: part(Size::Large, None),
            day: part(Size::All, Some(false)),
            night: part(Size::All, Some(true)),
        })
    }

    fn sheets(&self, class: ObjectClass, is_night: Option<bool>) -> impl Iterator<Item = &Sheet> {
        self.pictures
            .values()
            .filter(move |picture| is_night.is_none_or(|is| is == picture.is_night))
            .filter_map(move |picture| picture.sheets.get(&class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use average_precision::Truth;

    /// A picture of 100 × 100 pixels.
    fn picture(id: u64, labels: &[(ObjectClass, Rectangle, bool)]) -> LabelledPicture {
        let truth = |(class, bounds, is_crowd): &(ObjectClass, Rectangle, bool)| {
            let truth = Truth {
                bounds: *bounds,
                area: bounds.area(),
                is_crowd: *is_crowd,
            };
            (*class, truth)
        };
        LabelledPicture {
            id,
            labels: labels.iter().map(truth).collect(),
            ..LabelledPicture::default()
        }
    }

    fn seen(class: ObjectClass, x: f64, score: f64) -> Detection {
        Detection {
            class,
            score,
            bounds: [x, 0.0, 0.2, 0.2].into(),
        }
    }

    #[test]
    fn what_is_believed_of_a_class_that_nobody_labelled_is_counted() {
        use ObjectClass::{Bus, Car, Truck};
        let square = |x: f64| Rectangle {
            x,
            y: 0.0,
            width: 20.0,
            height: 20.0,
        };
        let labelled = [
            picture(1, &[(Car, square(0.0), false), (Truck, square(50.0), true)]),
            picture(2, &[]),
        ];
        // Of each picture: a car that is there, a bus that is not, one that is not believed, a truck to be ignored.
        let detections = [
            vec![
                seen(Car, 0.0, 0.9),
                seen(Bus, 0.0, 0.8),
                seen(Bus, 0.5, 0.2),
                seen(Truck, 0.5, 0.9),
            ],
            vec![seen(Bus, 0.3, 0.35)],
        ];
        let mut evaluator = Evaluator::default();
        for (labelled, detections) in labelled.iter().zip(&detections) {
            evaluator.add(&Look {
                labelled,
                size: (100, 100),
                luma: 100.0,
                detections,
            });
        }
        let evaluation = evaluator.evaluate(&[Car, Bus, Truck], 0.35);
        let classes: Vec<ObjectClass> = evaluation.classes.iter().map(|of| of.class).collect();
        assert_eq!(classes, [Car]);
        let expected = Unlabelled {
            class: Bus,
            believed: 2,
        };
        assert_eq!(evaluation.unlabelled, [expected]);
    }
}
