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

use average_precision::{Claim, Rectangle, Sheet, Size, at_score, average_precision};
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

    /// Figures of `classes`; those of which there is no label are left out.
    pub fn evaluate(&self, classes: &[ObjectClass], believed_from: f64) -> Evaluation {
        let classes: Vec<ClassScores> = classes
            .iter()
            .filter_map(|class| self.of_class(*class, believed_from))
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
