//! The YOLOv5 form: one tensor `[1, anchors, 5 + classes]`, everything decoded
//! by the network.
//!
//! A row is middle x, y, width and height in pixels of the input, objectness
//! and class scores (sigmoid applied); score = objectness · class. Rows run over
//! strides, then anchors of a cell, then rows of y, then x; their order does not
//! matter here, only their number. YOLOv6 and v7 export the same form.
//!
//! For weights of the user's own: the best-known ones are AGPL-3.0, which a
//! manifest refuses.

use serde::{Deserialize, Serialize};

use super::answers::{Found, Reading, around};
use super::{Shape, grid};
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yolov5 {
    /// The output's name.
    pub tensor: String,
    /// Pitches of the grids in pixels.
    pub strides: Vec<u32>,
    /// Rows per cell; 3 in YOLOv5 and v7, 1 in v6.
    pub anchors_per_cell: u32,
}

/// x, y, width, height, objectness come before the class scores.
const BEFORE_CLASSES: usize = 5;

impl Yolov5 {
    pub(super) fn check(&self) -> Result<(), String> {
        grid::check_strides(&self.strides)?;
        if !(1..=16).contains(&self.anchors_per_cell) {
            return Err(format!(
                "anchors_per_cell is {}; it must be 1 to 16",
                self.anchors_per_cell
            ));
        }
        Ok(())
    }

    pub(super) fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let rows = self.anchors_per_cell as usize * grid::count(input, &self.strides);
        let row = BEFORE_CLASSES + classes.count();
        vec![(self.tensor.as_str(), Shape::of(&[1, rows, row]))]
    }

    #[allow(clippy::unused_self)] // the shape says all
    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let row_length = BEFORE_CLASSES + reading.classes.count();
        let mut found = Found::default();
        for (number, row) in tensors[0].chunks_exact(row_length).enumerate() {
            found.total += 1;
            let objectness = row[4];
            if !found.is_promising(reading, objectness) {
                continue;
            }
            let scores = &row[BEFORE_CLASSES..];
            if let Some(best) = found.best(reading, scores, |class| objectness * class) {
                found.take(best, around(row[0], row[1], row[2], row[3]), number);
            }
        }
        found
    }
}
