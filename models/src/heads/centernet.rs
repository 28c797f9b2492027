//! CenterNet (Zhou et al., "Objects as Points", arXiv:1904.07850), in the form
//! of 610265158/mobilenetv3_centernet: a heat map per class whose peaks are
//! object centres, and at each place the distances to the four edges.
//!
//! `heatmap [1, classes, rows, columns]` (sigmoid applied) and
//! `ltrb [1, 4, rows, columns]` in pixels of the input. A peak is a cell that
//! none of its eight neighbours exceeds, which the authors do with a 3×3
//! maximum filter; doing it here reads only the classes that have a word.
//!
//! The form of the paper's own code (xingyizhou/CenterNet: width and height, and
//! the middle's offset within its cell, in cells) is another one: two planes each,
//! which the check of shapes refuses.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::answers::{Best, Found, Reading, accepted};
use super::scores::peak;
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Centernet {
    /// Name of the output with the heat maps.
    pub heatmap: String,
    /// Name of the output with the distances.
    pub ltrb: String,
    /// Pixels of the input per cell.
    pub stride: u32,
}

impl Centernet {
    fn cells(&self, input: &Input) -> (usize, usize) {
        let (columns, rows) = (
            input.width.div_ceil(self.stride),
            input.height.div_ceil(self.stride),
        );
        (columns as usize, rows as usize)
    }

    pub(super) fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        let (columns, rows) = self.cells(input);
        let planes = |count: usize| Shape::of(&[1, count, rows, columns]);
        vec![
            (self.heatmap.as_str(), planes(classes.count())),
            (self.ltrb.as_str(), planes(4)),
        ]
    }

    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        let (heatmap, ltrb) = (tensors[0], tensors[1]);
        let (columns, rows) = self.cells(reading.input);
        let cells = columns * rows;
        let stride = self.stride as f32;
        let mut found = Found::default();
        for (number, class) in reading.classes.named() {
            let map = &heatmap[number * cells..][..cells];
            found.total += cells;
            for (row, line) in map.chunks_exact(columns).enumerate() {
                let peak = peak(line);
                if !peak.is_sound {
                    found.broken += line.iter().filter(|heat| !heat.is_finite()).count();
                }
                found.check(peak.highest);
                // Nearly every line ends here.
                if peak.highest < reading.low {
                    continue;
                }
                for (column, heat) in line.iter().enumerate() {
                    let Some(score) = accepted(*heat, reading.low) else {
                        continue;
                    };
                    if !is_peak(map, (columns, rows), (column, row)) {
                        continue;
                    }
                    let cell = row * columns + column;
                    let distance = |edge: usize| ltrb[edge * cells + cell];
                    let (x, y) = (column as f32 * stride, row as f32 * stride);
                    let edges = [
                        x - distance(0),
                        y - distance(1),
                        x + distance(2),
                        y + distance(3),
                    ];
                    found.take(Best { class, score }, edges, cell);
                }
            }
        }
        found
    }
}

/// Whether no neighbour is hotter. Equals are peaks both; suppression of doubles sees to them.
fn is_peak(map: &[f32], (columns, rows): (usize, usize), (column, row): (usize, usize)) -> bool {
    let heat = map[row * columns + column];
    (row.saturating_sub(1)..(row + 2).min(rows)).all(|y| {
        let line = &map[y * columns..][..columns];
        line[column.saturating_sub(1)..(column + 2).min(columns)]
            .iter()
            // An infinite neighbour is a fault, not an object; NaN is never hotter.
            .all(|neighbour| !(*neighbour > heat && neighbour.is_finite()))
    })
}
