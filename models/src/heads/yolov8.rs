//! The YOLOv8 form (also v9, v11): one tensor `[1, 4 + classes, anchors]`.
//!
//! A column is middle x, y, width and height in pixels of the input and class
//! scores (sigmoid applied); there is no objectness.
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
pub struct Yolov8 {
    /// The output's name.
    pub tensor: String,
    /// Pitches of the grids in pixels; one column per cell.
    pub strides: Vec<u32>,
}

/// x, y, width, height come before the class scores.
const BEFORE_CLASSES: usize = 4;

impl Yolov8 {
    pub(super) fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let anchors = grid::count(input, &self.strides);
        let planes = BEFORE_CLASSES + classes.count();
        vec![(self.tensor.as_str(), Shape::of(&[1, planes, anchors]))]
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let anchors = grid::count(reading.input, &self.strides);
        let (boxes, scores) = tensors[0].split_at(BEFORE_CLASSES * anchors);
        // Classes lie `anchors` numbers apart, so the maxima of all anchors run
        // along together: reading one anchor at a time would miss the cache.
        let (mut highest, mut zeros) = (vec![f32::NEG_INFINITY; anchors], vec![0.0; anchors]);
        for plane in scores.chunks_exact(anchors) {
            for ((highest, zero), score) in highest.iter_mut().zip(&mut zeros).zip(plane) {
                *highest = if *score > *highest { *score } else { *highest };
                *zero += *score * 0.0; // NaN once a score is NaN or infinite
            }
        }
        let mut found = Found {
            total: anchors,
            ..Found::default()
        };
        let mut column = vec![0.0; reading.classes.count()];
        for anchor in 0..anchors {
            if zeros[anchor] == 0.0 {
                found.check(highest[anchor]);
            }
            if highest[anchor] < reading.low && zeros[anchor] == 0.0 {
                continue;
            }
            for (score, plane) in column.iter_mut().zip(scores.chunks_exact(anchors)) {
                *score = plane[anchor];
            }
            if let Some(best) = found.best(reading, &column, |score| score) {
                let at = |number: usize| boxes[number * anchors + anchor];
                found.take(best, around(at(0), at(1), at(2), at(3)), anchor);
            }
        }
        found
    }
}
