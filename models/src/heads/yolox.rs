//! YOLOX (Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430).
//!
//! One tensor `[1, anchors, 5 + classes]`. A row is x, y, log width, log height
//! (relative to its anchor, in strides), objectness, class scores; the last two
//! have passed their sigmoid already.

use serde::{Deserialize, Serialize};

use super::{Candidate, Reading, Shape, accepted, best_class, grid};
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yolox {
    /// The output's name.
    pub tensor: String,
    /// Pitches of the grids in pixels, finest first.
    pub strides: Vec<u32>,
}

/// x, y, width, height, objectness come before the class scores.
const BEFORE_CLASSES: usize = 5;

impl Yolox {
    pub(super) fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let row = BEFORE_CLASSES + classes.count();
        vec![(
            self.tensor.as_str(),
            Shape::of(&[1, grid::count(input, &self.strides), row]),
        )]
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, output: &[f32]) -> Vec<Candidate> {
        let row_length = BEFORE_CLASSES + reading.classes.count();
        grid::anchors(reading.input, &self.strides)
            .zip(output.chunks_exact(row_length))
            // No class score exceeds 1, so most rows end here.
            .filter(|(_, row)| row[4] >= reading.low)
            .filter_map(|(anchor, row)| {
                // The best of all classes, also of those that we drop: a chair
                // that is 10 % a person is a chair.
                let (number, class_score) = best_class(&row[BEFORE_CLASSES..])?;
                let score = accepted(row[4] * class_score, reading.low)?;
                let class = reading.classes.word(number)?;
                let (x, y) = (
                    (row[0] + anchor.column) * anchor.stride,
                    (row[1] + anchor.row) * anchor.stride,
                );
                let (half_width, half_height) = (
                    libm::expf(row[2]) * anchor.stride / 2.0,
                    libm::expf(row[3]) * anchor.stride / 2.0,
                );
                let edges = [
                    x - half_width,
                    y - half_height,
                    x + half_width,
                    y + half_height,
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
