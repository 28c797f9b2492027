//! YOLOX (Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430).
//!
//! One tensor `[1, anchors, 5 + classes]`. A row is x, y, log width, log height
//! (relative to its anchor, in strides), objectness, class scores; the last two
//! have passed their sigmoid already.

use serde::{Deserialize, Serialize};

use super::answers::{Found, Reading, around};
use super::{Shape, grid};
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

    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let row_length = BEFORE_CLASSES + reading.classes.count();
        let mut found = Found::default();
        let rows = tensors[0].chunks_exact(row_length).enumerate();
        for (anchor, (number, row)) in grid::anchors(reading.input, &self.strides).zip(rows) {
            found.total += 1;
            let objectness = row[4];
            if !found.is_promising(reading, objectness) {
                continue;
            }
            let Some(best) =
                found.best(reading, &row[BEFORE_CLASSES..], |class| objectness * class)
            else {
                continue;
            };
            let edges = around(
                (row[0] + anchor.column) * anchor.stride,
                (row[1] + anchor.row) * anchor.stride,
                libm::expf(row[2]) * anchor.stride,
                libm::expf(row[3]) * anchor.stride,
            );
            found.take(best, edges, number);
        }
        found
    }
}
