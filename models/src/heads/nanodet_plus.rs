//! NanoDet-Plus (RangiLyu/nanodet, 2021).
//!
//! One tensor `[1, anchors, classes + 4 · bins]`. A row is class scores (sigmoid
//! applied) and, for each edge of left, top, right, bottom, the logits of a
//! distribution over distances 0, 1, … bins − 1 in strides (Li et al.,
//! "Generalized Focal Loss", arXiv:2006.04388); its mean is the distance.

use serde::{Deserialize, Serialize};

use super::{Candidate, Reading, Shape, accepted, best_class, grid, peak};
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NanodetPlus {
    /// The output's name.
    pub tensor: String,
    /// Pitches of the grids in pixels, finest first.
    pub strides: Vec<u32>,
    /// Logits per edge.
    pub bins: u32,
}

impl NanodetPlus {
    pub(super) fn check(&self) -> Result<(), String> {
        grid::check_strides(&self.strides)?;
        if !(2..=64).contains(&self.bins) {
            return Err(format!("bins is {}; it must be 2 to 64", self.bins));
        }
        Ok(())
    }

    pub(super) fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let row = classes.count() + 4 * self.bins as usize;
        vec![(
            self.tensor.as_str(),
            Shape::of(&[1, grid::count(input, &self.strides), row]),
        )]
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, output: &[f32]) -> Vec<Candidate> {
        let (classes, bins) = (reading.classes.count(), self.bins as usize);
        grid::anchors(reading.input, &self.strides)
            .zip(output.chunks_exact(classes + 4 * bins))
            .filter_map(|(anchor, row)| {
                let (scores, logits) = row.split_at(classes);
                // There is no objectness to go by, so this runs for every anchor.
                if peak(scores) < reading.low {
                    return None;
                }
                let (number, score) = best_class(scores)?;
                let score = accepted(score, reading.low)?;
                let class = reading.classes.word(number)?;
                let (x, y) = (anchor.column * anchor.stride, anchor.row * anchor.stride);
                let distance = |edge: usize| mean(&logits[edge * bins..][..bins]) * anchor.stride;
                let edges = [
                    x - distance(0),
                    y - distance(1),
                    x + distance(2),
                    y + distance(3),
                ];
                Some(Candidate {
                    class,
                    score,
                    edges,
                })
            })
            .collect()
    }
}

/// The mean of 0, 1, 2 … under the softmax of `logits`; NaN when that has none.
fn mean(logits: &[f32]) -> f32 {
    // Softmax does not change when all logits move together; at most 0 none overflows.
    let highest = peak(logits);
    let (mut total, mut weighted) = (0.0, 0.0);
    for (bin, logit) in logits.iter().enumerate() {
        let weight = libm::expf(logit - highest);
        total += weight;
        weighted += weight * bin as f32;
    }
    weighted / total
}
