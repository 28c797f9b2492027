//! The form of networks that choose their answers themselves: YOLOv10 (Wang et
//! al., arXiv:2405.14458) and others exported "end to end".
//!
//! One tensor `[1, answers, 6]`. A row is left, top, right, bottom in pixels of
//! the input, score (sigmoid applied), class number. Nothing is to be
//! suppressed: set `thresholds.nms = 1.0`.
//!
//! For weights of the user's own: the best-known ones are AGPL-3.0, which a
//! manifest refuses.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::answers::{Found, Reading};
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YoloEndToEnd {
    /// The output's name.
    pub tensor: String,
    /// How many answers it always gives, most of them with a score near 0.
    pub answers: u32,
}

impl YoloEndToEnd {
    pub(super) fn check(&self) -> Result<(), String> {
        super::check_count("answers", self.answers)
    }

    pub(super) fn expected(&self, _: &Input, _: &ClassMap) -> Vec<(&str, Shape)> {
        let shape = Shape::of(&[1, self.answers as usize, 6]);
        vec![(self.tensor.as_str(), shape)]
    }

    #[allow(clippy::unused_self)] // the shape says all
    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let mut found = Found::default();
        for (number, row) in tensors[0].as_chunks::<6>().0.iter().enumerate() {
            let [left, top, right, bottom, score, class] = *row;
            found.total += 1;
            if let Some(best) = found.named(reading, score, class) {
                found.take(best, [left, top, right, bottom], number);
            }
        }
        found
    }
}
