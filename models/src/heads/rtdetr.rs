//! RT-DETR (Zhao et al., arXiv:2304.08069) and its kin: D-FINE, DEIM, RF-DETR.
//!
//! A fixed number of queries, each of which answers with one box. Nothing is to
//! be suppressed: set `thresholds.nms = 1.0`.
//!
//! Two forms. [`Rtdetr`] is the network itself: `logits [1, queries, classes]`
//! before their sigmoid, and `boxes [1, queries, 4]`, middle x, y, width and
//! height in fractions of the input. [`RtdetrExported`] is what the authors'
//! `export_onnx.py` gives with post-processing: `labels [1, queries]`,
//! `boxes [1, queries, 4]` (left, top, right, bottom in pixels of the size that
//! was asked for) and `scores [1, queries]`.
//!
//! The authors rank all pairs of query and class, so that one query may answer
//! with two classes. In [`Rtdetr`] it answers with its best, because one box is
//! one thing.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::answers::{Fault, Found, Reading, around};
use super::scores::{peak, sigmoid};
use crate::manifest::{ClassMap, Input};

/// Fewer queries than this might all see something.
const MANY: usize = 50;

/// Parameters of the network without post-processing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rtdetr {
    /// Name of the output with the class logits.
    pub logits: String,
    /// Name of the output with the boxes.
    pub boxes: String,
    /// How many queries it has.
    pub queries: u32,
}

impl Rtdetr {
    pub(super) fn check(&self) -> Result<(), String> {
        super::check_count("queries", self.queries)
    }

    pub(super) fn expected(&self, _: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let queries = self.queries as usize;
        vec![
            (
                self.logits.as_str(),
                Shape::of(&[1, queries, classes.count()]),
            ),
            (self.boxes.as_str(), Shape::of(&[1, queries, 4])),
        ]
    }

    #[allow(clippy::unused_self)] // the shapes say all
    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let (width, height) = (reading.input.width as f32, reading.input.height as f32);
        let logits = tensors[0].chunks_exact(reading.classes.count());
        let boxes = tensors[1].as_chunks::<4>().0;
        let mut found = Found::default();
        let mut within = 0;
        for (number, (logits, [x, y, w, h])) in logits.zip(boxes).enumerate() {
            found.total += 1;
            within += usize::from((0.0..=1.0).contains(&peak(logits).highest));
            if let Some(best) = found.best_of_any(reading, logits, sigmoid) {
                let edges = around(x * width, y * height, w * width, h * height);
                found.take(best, edges, number);
            }
        }
        // Most queries see nothing, and say so by a logit far below 0.
        if within == found.total && within >= MANY {
            found.fault = Some(Fault::Already);
        }
        found
    }
}

/// Parameters of the network with the authors' post-processing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RtdetrExported {
    /// Name of the output with the class numbers (whole numbers; the runtime's
    /// int64 is handed over as floats).
    pub labels: String,
    /// Name of the output with the boxes.
    pub boxes: String,
    /// Name of the output with the scores.
    pub scores: String,
    /// How many queries it has.
    pub queries: u32,
    /// Width and height that its boxes refer to: the constant that takes the
    /// place of the authors' second input `orig_target_sizes`. The input's own
    /// size when it is not given; `[1, 1]` for fractions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub box_size: Option<[u32; 2]>,
}

impl RtdetrExported {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.box_size.is_some_and(|size| size.contains(&0)) {
            return Err("box_size must be above 0".to_owned());
        }
        super::check_count("queries", self.queries)
    }

    pub(super) fn expected(&self, _: &Input, _: &ClassMap) -> Vec<(&str, Shape)> {
        let queries = self.queries as usize;
        vec![
            (self.labels.as_str(), Shape::of(&[1, queries])),
            (self.boxes.as_str(), Shape::of(&[1, queries, 4])),
            (self.scores.as_str(), Shape::of(&[1, queries])),
        ]
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let size = [reading.input.width, reading.input.height];
        let [across, down] = self.box_size.unwrap_or(size);
        let (horizontal, vertical) = (size[0] as f32 / across as f32, size[1] as f32 / down as f32);
        let boxes = tensors[1].as_chunks::<4>().0;
        let mut found = Found::default();
        let rows = tensors[0].iter().zip(boxes).zip(tensors[2]).enumerate();
        for (number, ((class, [left, top, right, bottom]), score)) in rows {
            found.total += 1;
            if let Some(best) = found.named(reading, *score, *class) {
                let edges = [
                    left * horizontal,
                    top * vertical,
                    right * horizontal,
                    bottom * vertical,
                ];
                found.take(best, edges, number);
            }
        }
        found
    }
}
