//! FastestDet (Ma Xuehua, github.com/dog-qiuqiu/FastestDet, 2022).
//!
//! One tensor `[1, 5 + classes, rows, columns]`: objectness (sigmoid applied),
//! x and y before their tanh, width and height before their sigmoid, class
//! scores (softmax applied). The middle lies at (column + tanh x, row + tanh y)
//! in cells; width and height are fractions of the input. The score is
//! objectness^0.6 · class^0.4.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::answers::{Found, Reading, around};
use super::scores::sigmoid;
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fastestdet {
    /// The output's name.
    pub tensor: String,
    /// Pixels of the input per cell.
    pub stride: u32,
}

/// Objectness, x, y, width, height come before the class scores.
const BEFORE_CLASSES: usize = 5;

impl Fastestdet {
    fn cells(&self, input: &Input) -> (usize, usize) {
        let (columns, rows) = (
            input.width.div_ceil(self.stride),
            input.height.div_ceil(self.stride),
        );
        (columns as usize, rows as usize)
    }

    pub(super) fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let (columns, rows) = self.cells(input);
        let planes = BEFORE_CLASSES + classes.count();
        vec![(self.tensor.as_str(), Shape::of(&[1, planes, rows, columns]))]
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let (columns, rows) = self.cells(reading.input);
        let cells = columns * rows;
        let plane = |number: usize| &tensors[0][number * cells..][..cells];
        let (width, height) = (reading.input.width as f32, reading.input.height as f32);
        // No class exceeds 1, so an objectness below this cannot reach `low`.
        let least = libm::powf(reading.low, 1.0 / 0.6);
        let mut found = Found::default();
        let mut scores = vec![0.0; reading.classes.count()];
        for (cell, objectness) in plane(0).iter().enumerate() {
            found.total += 1;
            if !objectness.is_finite() {
                found.broken += 1;
                continue;
            }
            found.check(*objectness);
            if *objectness < least {
                continue;
            }
            for (class, score) in scores.iter_mut().enumerate() {
                *score = plane(BEFORE_CLASSES + class)[cell];
            }
            let weight = libm::powf(*objectness, 0.6);
            let score_of = |class: f32| weight * libm::powf(class.max(0.0), 0.4);
            let Some(best) = found.best(reading, &scores, score_of) else {
                continue;
            };
            let x = (cell % columns) as f32 + libm::tanhf(plane(1)[cell]);
            let y = (cell / columns) as f32 + libm::tanhf(plane(2)[cell]);
            let edges = around(
                x * width / columns as f32,
                y * height / rows as f32,
                sigmoid(plane(3)[cell]) * width,
                sigmoid(plane(4)[cell]) * height,
            );
            found.take(best, edges, cell);
        }
        found
    }
}
