//! PicoDet (Yu et al., "PP-PicoDet", arXiv:2111.00902), as PaddleDetection
//! exports it without its own post-processing.
//!
//! For each stride a tensor of scores `[1, cells, classes]` (sigmoid applied)
//! and a tensor of edges `[1, cells, 4 · bins]`: for left, top, right, bottom
//! the logits of the distance from the middle of the cell, in strides. Cells run
//! along rows of y. Unlike NanoDet's, the anchor is the cell's middle.
//!
//! After `deploy/third_engine/demo_onnxruntime/infer_demo.py` of
//! PaddleDetection. Its answers are per class, so that one anchor may give two;
//! here it gives its best.

use serde::{Deserialize, Serialize};

use super::answers::{Found, Reading};
use super::{Shape, distances, grid};
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picodet {
    /// Names of the outputs with the scores, one per stride.
    pub scores: Vec<String>,
    /// Names of the outputs with the edges, one per stride.
    pub edges: Vec<String>,
    /// Pitches of the grids in pixels, in the order of the outputs.
    pub strides: Vec<u32>,
    /// Logits per edge.
    pub bins: u32,
}

impl Picodet {
    pub(super) fn check(&self) -> Result<(), String> {
        grid::check_strides(&self.strides)?;
        grid::check_outputs(
            &self.strides,
            &[("scores", &self.scores), ("edges", &self.edges)],
        )?;
        distances::check_bins(self.bins)
    }

    pub(super) fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let (scores, edges) = (classes.count(), 4 * self.bins as usize);
        let mut expected = grid::per_stride(input, &self.strides, &self.scores, scores);
        expected.extend(grid::per_stride(input, &self.strides, &self.edges, edges));
        expected
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let (classes, bins) = (reading.classes.count(), self.bins as usize);
        let (scores, edges) = tensors.split_at(self.strides.len());
        let mut found = Found::default();
        for ((stride, scores), edges) in self.strides.iter().zip(scores).zip(edges) {
            let rows = scores
                .chunks_exact(classes)
                .zip(edges.chunks_exact(4 * bins));
            for (anchor, (scores, logits)) in grid::anchors(reading.input, &[*stride]).zip(rows) {
                let number = found.total;
                found.total += 1;
                if let Some(best) = found.best(reading, scores, |score| score) {
                    let centre = (
                        (anchor.column + 0.5) * anchor.stride,
                        (anchor.row + 0.5) * anchor.stride,
                    );
                    let edges = distances::edges(centre, logits, bins, anchor.stride);
                    found.take(best, edges, number);
                }
            }
        }
        found
    }
}
