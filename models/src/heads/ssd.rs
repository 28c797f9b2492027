//! SSD (Liu et al., arXiv:1512.02325): offsets to prior boxes.
//!
//! `boxes [1, priors, 4]` and `scores [1, priors, classes]`, in which one class
//! may be the background. With a prior's middle (px, py) and size (pw, ph) in
//! fractions of the input, offsets l and variances v:
//! x = px + l0·v0·pw, y = py + l1·v1·ph, w = pw·exp(l2·v2), h = ph·exp(l3·v3).
//! Networks that do this themselves give `boxes` as left, top, right, bottom in
//! fractions: `coding = "edges"`.
//!
//! The authors answer per class, so that one prior may give two boxes; here it
//! gives its best class. Edges are moved into the picture before boxes are
//! compared, as torchvision does. The background takes no part: a prior that is 60 %
//! background and 40 % car is a car at 0.4, as with the authors.

pub mod priors;

use serde::{Deserialize, Serialize};

use super::answers::{Fault, Found, Reading, around};
use super::scores::peak;
use super::{Activation, Shape};
use crate::manifest::{ClassMap, Input};
use priors::{PriorForm, Priors};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssd {
    /// Name of the output with the boxes.
    pub boxes: String,
    /// Name of the output with the scores.
    pub scores: String,
    /// What is still to be done to the scores.
    #[serde(default)]
    pub activation: Activation,
    /// Number of the class that means "nothing here"; `classes.count` counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<u32>,
    /// What the boxes are.
    pub coding: Coding,
}

/// Of fewer priors than this all logits might happen to lie between 0 and 1.
const MANY: usize = 50;

/// What the boxes of an SSD are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Coding {
    /// Left, top, right, bottom in fractions of the input.
    Edges {
        /// How many.
        count: u32,
    },
    /// Offsets to prior boxes.
    Offsets {
        /// What the offsets of middle x, y, width and height are multiplied
        /// by; the authors: 0.1, 0.1, 0.2, 0.2.
        variances: [f32; 4],
        /// Where the priors come from.
        priors: Priors,
    },
}

impl Ssd {
    pub(super) fn check(&self, classes: &ClassMap) -> Result<(), String> {
        if let Some(background) = self.background.map(|number| number as usize)
            && (background >= classes.count() || classes.word(background).is_some())
        {
            return Err(format!(
                "background is {background}; it must be one of the {} classes, without a word",
                classes.count()
            ));
        }
        match &self.coding {
            Coding::Edges { count } => super::check_count("count", *count),
            Coding::Offsets { variances, priors } => {
                if !variances.iter().all(|v| v.is_finite() && *v > 0.0) {
                    return Err("variances must be above 0".to_owned());
                }
                priors.check()
            }
        }
    }

    fn count(&self) -> usize {
        match &self.coding {
            Coding::Edges { count } => *count as usize,
            Coding::Offsets { priors, .. } => priors.count(),
        }
    }

    pub(super) fn expected(&self, _: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let count = self.count();
        let mut expected = vec![
            (self.boxes.as_str(), Shape::of(&[1, count, 4])),
            (
                self.scores.as_str(),
                Shape::of(&[1, count, classes.count()]),
            ),
        ];
        if let Coding::Offsets {
            priors: Priors::Output { tensor, form, .. },
            ..
        } = &self.coding
        {
            expected.push((
                tensor.as_str(),
                match form {
                    PriorForm::Caffe => Shape::of(&[1, 2, 4 * count]),
                    PriorForm::Edges | PriorForm::Middles => Shape::of(&[1, count, 4]),
                },
            ));
        }
        expected
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let (boxes, scores) = (tensors[0].as_chunks::<4>().0, tensors[1]);
        let (width, height) = (reading.input.width as f32, reading.input.height as f32);
        let priors = match &self.coding {
            Coding::Edges { .. } => None,
            Coding::Offsets { variances, priors } => Some((
                variances,
                match priors {
                    Priors::Output { form, .. } => priors::read(*form, tensors[2]),
                    Priors::Layers(layers) => priors::lay(layers, reading.input),
                },
            )),
        };
        let mut found = Found::default();
        let mut within = 0;
        let mut row_scores = vec![0.0; reading.classes.count()];
        for (number, (coded, row)) in boxes
            .iter()
            .zip(scores.chunks_exact(reading.classes.count()))
            .enumerate()
        {
            found.total += 1;
            row_scores.copy_from_slice(row);
            if !row.iter().all(|score| score.is_finite()) {
                found.broken += 1;
                continue;
            }
            match self.activation {
                Activation::None => found.check(peak(row).highest),
                Activation::Softmax | Activation::Sigmoid => {
                    within += usize::from(row.iter().all(|score| (0.0..=1.0).contains(score)));
                }
            }
            self.activation.apply(&mut row_scores);
            if let Some(background) = self.background {
                // Below every score that counts, whatever it was.
                row_scores[background as usize] = -1.0;
            }
            let Some(best) = found.best_of_any(reading, &row_scores, |score| score) else {
                continue;
            };
            let [left, top, right, bottom] = match &priors {
                None => *coded,
                Some((variances, priors)) => decode(*coded, priors[number], variances),
            };
            let edges = [left * width, top * height, right * width, bottom * height];
            found.take(best, edges, number);
        }
        // Nearly every prior sees nothing, which as a logit is a number far from 0.
        if within == found.total && within >= MANY {
            found.fault = Some(Fault::Already);
        }
        found
    }
}

/// Left, top, right, bottom in fractions, of offsets to a prior (middle x, y, width, height).
fn decode(offsets: [f32; 4], [x, y, w, h]: [f32; 4], variances: &[f32; 4]) -> [f32; 4] {
    let [l0, l1, l2, l3] = offsets;
    around(
        x + l0 * variances[0] * w,
        y + l1 * variances[1] * h,
        w * libm::expf(l2 * variances[2]),
        h * libm::expf(l3 * variances[3]),
    )
}
