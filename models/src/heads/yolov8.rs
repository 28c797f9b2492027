//! The YOLOv8 form (also v9, v11): one tensor `[1, 4 + classes, anchors]`.
//!
//! A column is middle x, y, width and height in pixels of the input and class
//! scores (sigmoid applied); there is no objectness. A permissively licensed kin,
//! LibreYOLO's YOLOv9, gives left, top, right, bottom in a tensor of the same
//! shape: `boxes = "edges"`. One read as the other would be boxes at wrong places
//! without a word, so the numbers are asked which they are.
//!
//! For weights of the user's own: the best-known ones are AGPL-3.0, which a
//! manifest refuses.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::answers::{Fault, Found, Reading, around};
use super::grid::{self, Anchor};
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yolov8 {
    /// The output's name.
    pub tensor: String,
    /// Pitches of the grids in pixels; one column per cell.
    pub strides: Vec<u32>,
    /// What the first four numbers of a column are.
    #[serde(default, skip_serializing_if = "BoxForm::is_middle")]
    pub boxes: BoxForm,
}

/// How a box is written, in pixels of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxForm {
    /// Middle x, middle y, width, height.
    #[default]
    Middle,
    /// Left, top, right, bottom.
    Edges,
}

impl BoxForm {
    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde wants it
    fn is_middle(&self) -> bool {
        *self == Self::Middle
    }
}

/// Fewer anchors than this might all happen to look like the other form.
const MANY: usize = 50;

/// x, y, width, height come before the class scores.
const BEFORE_CLASSES: usize = 4;

impl Yolov8 {
    pub(super) fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let anchors = grid::count(input, &self.strides);
        let planes = BEFORE_CLASSES + classes.count();
        vec![(self.tensor.as_str(), Shape::of(&[1, planes, anchors]))]
    }

    /// Whether the boxes are of the other form.
    ///
    /// Edges are distances from the middle of the anchor's cell, so each box has
    /// it inside. If middles and sizes were such edges, every thing would lie left
    /// of and above its own anchor: not even one that fills the picture does.
    /// What looks like one form in half of the picture only is left alone.
    fn mistaken_form(&self, input: &Input, boxes: &[f32]) -> Option<Fault> {
        let anchors = boxes.len() / 4;
        let at = |anchor: usize| [0, 1, 2, 3].map(|number| boxes[number * anchors + anchor]);
        let inside = |(number, anchor): (usize, Anchor)| {
            let [left, top, right, bottom] = at(number);
            let middle = |cell: f32| (cell + 0.5) * anchor.stride;
            let (x, y) = (middle(anchor.column), middle(anchor.row));
            (left..=right).contains(&x) && (top..=bottom).contains(&y)
        };
        let is_backwards = |number: &usize| {
            let [left, top, right, bottom] = at(*number);
            right < left || bottom < top
        };
        match self.boxes {
            BoxForm::Middle => (anchors >= MANY
                && grid::anchors(input, &self.strides).enumerate().all(inside))
            .then_some(Fault::Boxes(BoxForm::Edges)),
            BoxForm::Edges => (2 * (0..anchors).filter(is_backwards).count() > anchors)
                .then_some(Fault::Boxes(BoxForm::Middle)),
        }
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
            fault: self.mistaken_form(reading.input, boxes),
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
                let [a, b, c, d] = [0, 1, 2, 3].map(|number| boxes[number * anchors + anchor]);
                let edges = match self.boxes {
                    BoxForm::Middle => around(a, b, c, d),
                    BoxForm::Edges => [a, b, c, d],
                };
                found.take(best, edges, anchor);
            }
        }
        found
    }
}
