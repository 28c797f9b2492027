//! What is measured on one thumbnail, and its mean over some seconds.

use crate::thumbnail::{HEIGHT, Thumbnail, WIDTH};

/// Side of a cell in points of the thumbnail.
const CELL: usize = 10;
/// Cells across and down.
const COLUMNS: usize = WIDTH / CELL;
const ROWS: usize = HEIGHT / CELL;
/// Cells of a picture.
pub(crate) const CELLS: usize = COLUMNS * ROWS;
/// Steeper edges than this are headlights and letters; they must not outweigh the rest.
const STEEPEST: f32 = 60.0;

/// A picture in numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Features {
    /// Mean luma, 0 to 255.
    pub(crate) mean: f32,
    /// Nine tenths of the picture are darker than this, 0 to 255.
    pub(crate) bright: f32,
    /// Standard deviation of the luma.
    pub(crate) contrast: f32,
    /// See [`Thumbnail`].
    pub(crate) detail: f32,
    /// Mean steepness of each cell, luma per point.
    pub(crate) cells: [f32; CELLS],
    /// Mean luma of each cell.
    pub(crate) cell_luma: [f32; CELLS],
    /// Steepness of each point, cut at [`STEEPEST`].
    pub(crate) edges: Vec<f32>,
}

impl Features {
    pub(crate) fn of(thumbnail: &Thumbnail) -> Self {
        let luma = &thumbnail.luma;
        let count = luma.len() as f32;
        let mean = luma.iter().sum::<f32>() / count;
        let variance = luma.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
        let mut histogram = [0_usize; 256];
        for value in luma {
            histogram[usize::from(*value as u8)] += 1;
        }
        let mut below = 0;
        let bright = histogram
            .iter()
            .position(|points| {
                below += points;
                below * 10 >= luma.len() * 9
            })
            .unwrap_or(255);
        let mut edges = vec![0.0; WIDTH * HEIGHT];
        let mut cells = [0.0; CELLS];
        let mut cell_luma = [0.0; CELLS];
        let per_cell = (CELL * CELL) as f32;
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let at = |x: usize, y: usize| luma[y * WIDTH + x];
                let (left, right) = (x.saturating_sub(1), (x + 1).min(WIDTH - 1));
                let (up, down) = (y.saturating_sub(1), (y + 1).min(HEIGHT - 1));
                let steep = (at(right, y) - at(left, y)).abs() + (at(x, down) - at(x, up)).abs();
                let steep = (steep / 2.0).min(STEEPEST);
                edges[y * WIDTH + x] = steep;
                let cell = (y / CELL) * COLUMNS + x / CELL;
                cells[cell] += steep / per_cell;
                cell_luma[cell] += at(x, y) / per_cell;
            }
        }
        Self {
            mean,
            bright: bright as f32,
            contrast: variance.sqrt(),
            detail: thumbnail.detail,
            cells,
            cell_luma,
            edges,
        }
    }

    /// How steep the flattest tenth of the cells is: what noise alone makes.
    pub(crate) fn flattest(&self) -> f32 {
        let mut cells = self.cells;
        cells.sort_unstable_by(f32::total_cmp);
        cells[CELLS / 10]
    }

    /// Moves towards `newer` by `part` of the way.
    pub(crate) fn approach(&mut self, newer: &Self, part: f32) {
        let toward = |old: &mut f32, new: f32| *old += (new - *old) * part;
        toward(&mut self.mean, newer.mean);
        toward(&mut self.bright, newer.bright);
        toward(&mut self.contrast, newer.contrast);
        toward(&mut self.detail, newer.detail);
        let pairs = |old: &mut [f32], new: &[f32]| {
            for (old, new) in old.iter_mut().zip(new) {
                toward(old, *new);
            }
        };
        pairs(&mut self.cells, &newer.cells);
        pairs(&mut self.cell_luma, &newer.cell_luma);
        pairs(&mut self.edges, &newer.edges);
    }
}
