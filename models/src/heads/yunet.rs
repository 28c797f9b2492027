//! YuNet faces (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector",
//! Machine Intelligence Research 2023), as in the OpenCV zoo.
//!
//! For each stride four tensors of one row per cell, rows of y, then x:
//! `cls [1, cells, 1]` and `obj [1, cells, 1]` (sigmoid applied),
//! `bbox [1, cells, 4]` (x, y from the cell's corner and log width, log height,
//! in strides) and `kps [1, cells, 10]` (x, y of five points from the cell's
//! corner, in strides). Score = √(cls · obj), both held to 0 … 1.
//!
//! After `FaceDetectorYNImpl::postProcess` in OpenCV's `face_detect.cpp`.

use protocol::Point;
use serde::{Deserialize, Serialize};

use super::answers::{Found, Reading, around};
use super::{Shape, grid};
use crate::letterbox::Letterbox;
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yunet {
    /// Names of the outputs with the class scores, one per stride.
    pub cls: Vec<String>,
    /// Names of the outputs with the objectness, one per stride.
    pub obj: Vec<String>,
    /// Names of the outputs with the boxes, one per stride.
    pub bbox: Vec<String>,
    /// Names of the outputs with the five points, one per stride.
    pub kps: Vec<String>,
    /// Pitches of the grids in pixels, in the order of the outputs.
    pub strides: Vec<u32>,
}

impl Yunet {
    pub(super) fn check(&self, classes: &ClassMap) -> Result<(), String> {
        if classes.count() != 1 {
            return Err("it knows one class; write count = 1 and face = [0]".to_owned());
        }
        grid::check_strides(&self.strides)?;
        grid::check_outputs(
            &self.strides,
            &[
                ("cls", &self.cls),
                ("obj", &self.obj),
                ("bbox", &self.bbox),
                ("kps", &self.kps),
            ],
        )
    }

    pub(super) fn expected(&self, input: &Input, _: &ClassMap) -> Vec<(&str, Shape)> {
        [
            (&self.cls, 1),
            (&self.obj, 1),
            (&self.bbox, 4),
            (&self.kps, 10),
        ]
        .into_iter()
        .flat_map(|(names, row)| grid::per_stride(input, &self.strides, names, row))
        .collect()
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let mut found = Found::default();
        let strides = self.strides.len();
        for (number, stride) in self.strides.iter().enumerate() {
            let [cls, obj, bbox] = [0, 1, 2].map(|kind| tensors[kind * strides + number]);
            let rows = cls.iter().zip(obj).zip(bbox.as_chunks::<4>().0);
            for (anchor, ((cls, obj), [x, y, w, h])) in
                grid::anchors(reading.input, &[*stride]).zip(rows)
            {
                let row = found.total;
                found.total += 1;
                found.check(*cls);
                found.check(*obj);
                // `clamp` keeps NaN but makes a number of infinity.
                let score = if cls.is_finite() && obj.is_finite() {
                    libm::sqrtf(cls.clamp(0.0, 1.0) * obj.clamp(0.0, 1.0))
                } else {
                    f32::NAN
                };
                if let Some(best) = found.named(reading, score, 0.0) {
                    let edges = around(
                        (anchor.column + x) * anchor.stride,
                        (anchor.row + y) * anchor.stride,
                        libm::expf(*w) * anchor.stride,
                        libm::expf(*h) * anchor.stride,
                    );
                    found.take(best, edges, row);
                }
            }
        }
        found
    }

    /// The five points of a face that was found in `row`; `None` when one is no number.
    pub(super) fn landmarks(
        &self,
        (input, letterbox): (&Input, &Letterbox),
        tensors: &[&[f32]],
        mut row: usize,
    ) -> Option<[Point; 5]> {
        for (number, stride) in self.strides.iter().enumerate() {
            let cells = grid::count(input, &[*stride]);
            if row >= cells {
                row -= cells;
                continue;
            }
            let columns = input.width.div_ceil(*stride) as usize;
            let (column, line) = ((row % columns) as f32, (row / columns) as f32);
            let points = &tensors[3 * self.strides.len() + number][10 * row..][..10];
            if !points.iter().all(|v| v.is_finite()) {
                return None;
            }
            let pitch = *stride as f32;
            return Some([0, 1, 2, 3, 4].map(|point| {
                let (x, y) = (points[2 * point], points[2 * point + 1]);
                letterbox.point_to_picture([(column + x) * pitch, (line + y) * pitch])
            }));
        }
        None
    }
}
