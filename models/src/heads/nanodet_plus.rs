//! NanoDet-Plus (RangiLyu/nanodet, 2021).
//!
//! One tensor `[1, anchors, classes + 4 · bins]`. A row is class scores (sigmoid
//! applied) and, for each edge of left, top, right, bottom, the logits of its
//! distance from the corner of the anchor's cell, in strides.
//!
//! The authors' Python answers with every class of an anchor, their demos in C++
//! with its best, and so do we: one box is one thing.

use serde::{Deserialize, Serialize};

use super::answers::{Found, Reading};
use super::{Shape, distances, grid};
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
        distances::check_bins(self.bins)
    }

    pub(super) fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let row = classes.count() + 4 * self.bins as usize;
        vec![(
            self.tensor.as_str(),
            Shape::of(&[1, grid::count(input, &self.strides), row]),
        )]
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let (classes, bins) = (reading.classes.count(), self.bins as usize);
        let mut found = Found::default();
        let rows = tensors[0].chunks_exact(classes + 4 * bins).enumerate();
        for (anchor, (number, row)) in grid::anchors(reading.input, &self.strides).zip(rows) {
            found.total += 1;
            let (scores, logits) = row.split_at(classes);
            // There is no objectness to go by, so this runs for every anchor.
            if let Some(best) = found.best(reading, scores, |score| score) {
                let centre = (anchor.column * anchor.stride, anchor.row * anchor.stride);
                let edges = distances::edges(centre, logits, bins, anchor.stride);
                found.take(best, edges, number);
            }
        }
        found
    }
}
