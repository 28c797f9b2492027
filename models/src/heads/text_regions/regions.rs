//! Pixels that touch: runs of a row, joined with those of the row above.

use super::rectangle::Rectangle;

/// A map of probabilities.
pub(super) struct Map<'a> {
    pub(super) width: usize,
    pub(super) probabilities: &'a [f32],
}

/// Pixels that touch, corners included.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Region {
    /// How many.
    pub(super) pixels: usize,
    /// First and last pixel of each of its runs: all that its hull can need.
    pub(super) outline: Vec<[f64; 2]>,
}

struct Run {
    row: usize,
    first: usize,
    /// Inclusive.
    last: usize,
    /// An earlier or the same run of its region; following it leads to the first.
    parent: usize,
}

/// Regions of pixels above `threshold`, in the order of their first pixel.
pub(super) fn touching(map: &Map<'_>, threshold: f32, dilate: bool) -> Vec<Region> {
    let mut runs: Vec<Run> = Vec::new();
    let mut is_text = vec![false; map.width];
    let mut above: Option<&[f32]> = None;
    let mut last_row = 0..0;
    for (row, line) in map.probabilities.chunks_exact(map.width).enumerate() {
        // NaN is above nothing.
        is_text.fill(false);
        for source in [Some(line), above.filter(|_| dilate)].into_iter().flatten() {
            for (column, probability) in source.iter().enumerate() {
                if *probability > threshold && probability.is_finite() {
                    is_text[column] = true;
                    if dilate && column + 1 < map.width {
                        is_text[column + 1] = true;
                    }
                }
            }
        }
        above = Some(line);
        let start = runs.len();
        let mut column = 0;
        while column < map.width {
            if !is_text[column] {
                column += 1;
                continue;
            }
            let first = column;
            while column < map.width && is_text[column] {
                column += 1;
            }
            let number = runs.len();
            runs.push(Run {
                row,
                first,
                last: column - 1,
                parent: number,
            });
        }
        join(&mut runs, last_row, start);
        last_row = start..runs.len();
    }
    gather(&mut runs)
}

/// Joins the runs from `start` on with those of the row above that they touch.
fn join(runs: &mut [Run], above: core::ops::Range<usize>, start: usize) {
    let mut upper = above.start;
    for lower in start..runs.len() {
        // Corners touch: one pixel further on both sides.
        while upper < above.end && runs[upper].last + 1 < runs[lower].first {
            upper += 1;
        }
        let mut other = upper;
        while other < above.end && runs[other].first <= runs[lower].last + 1 {
            let (a, b) = (root(runs, other), root(runs, lower));
            let (first, second) = (a.min(b), a.max(b));
            runs[second].parent = first;
            other += 1;
        }
    }
}

fn root(runs: &mut [Run], mut number: usize) -> usize {
    while runs[number].parent != number {
        // Halving the path keeps a comb of a thousand teeth from being walked a thousand times.
        runs[number].parent = runs[runs[number].parent].parent;
        number = runs[number].parent;
    }
    number
}

fn gather(runs: &mut [Run]) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    // A root is the first run of its region, so it comes before all others.
    let mut region_of = vec![usize::MAX; runs.len()];
    for number in 0..runs.len() {
        let root = root(runs, number);
        if root == number {
            region_of[number] = regions.len();
            regions.push(Region::default());
        }
        let region = &mut regions[region_of[root]];
        let Run {
            row, first, last, ..
        } = runs[number];
        region.pixels += last - first + 1;
        region.outline.push([first as f64, row as f64]);
        region.outline.push([last as f64, row as f64]);
    }
    regions
}

impl Map<'_> {
    /// Mean probability of the pixels in a rectangle; those that it cuts count.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // held to the map
    pub(super) fn mean(&self, rectangle: &Rectangle) -> f32 {
        let height = self.probabilities.len() / self.width;
        let corners = rectangle.corners();
        let range = |axis: usize, length: usize| {
            let of = corners.map(|corner| corner[axis]);
            let least = libm::floor(of.into_iter().fold(f64::INFINITY, f64::min)).max(0.0);
            let most = libm::ceil(of.into_iter().fold(0.0, f64::max)).min((length - 1) as f64);
            least as usize..=most as usize
        };
        let (mut total, mut count) = (0.0, 0_u32);
        for row in range(1, height) {
            let line = &self.probabilities[row * self.width..][..self.width];
            for column in range(0, self.width) {
                if line[column].is_finite() && rectangle.holds([column as f64, row as f64], 0.5) {
                    total += f64::from(line[column]);
                    count += 1;
                }
            }
        }
        (total / f64::from(count)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Regions by flooding, the slow and plain way: sizes, in the order of their first pixel.
    fn flooded(mask: &[bool], width: usize) -> Vec<usize> {
        let mut open = mask.to_vec();
        let mut sizes = Vec::new();
        for start in 0..mask.len() {
            if !open[start] {
                continue;
            }
            open[start] = false;
            let (mut size, mut queue) = (0, vec![start]);
            while let Some(at) = queue.pop() {
                size += 1;
                let (x, y) = (at % width, at / width);
                for ny in y.saturating_sub(1)..(y + 2).min(mask.len() / width) {
                    for nx in x.saturating_sub(1)..(x + 2).min(width) {
                        if core::mem::take(&mut open[ny * width + nx]) {
                            queue.push(ny * width + nx);
                        }
                    }
                }
            }
            sizes.push(size);
        }
        sizes
    }

    proptest! {
        #[test]
        fn runs_join_to_what_flooding_fills(
            width in 1_usize..20,
            bits in prop::collection::vec(prop::bool::weighted(0.4), 1..300),
            dilate: bool,
        ) {
            let height = bits.len().div_ceil(width);
            let mut bits = bits;
            bits.resize(width * height, false);
            let probabilities: Vec<f32> = bits.iter().map(|bit| f32::from(u8::from(*bit))).collect();
            let map = Map { width, probabilities: &probabilities };
            let spread: Vec<bool> = (0..bits.len())
                .map(|at| {
                    let (x, y) = (at % width, at / width);
                    let back = usize::from(dilate);
                    (x.saturating_sub(back)..=x)
                        .any(|x| (y.saturating_sub(back)..=y).any(|y| bits[y * width + x]))
                })
                .collect();
            let sizes: Vec<_> = touching(&map, 0.5, dilate).iter().map(|r| r.pixels).collect();
            prop_assert_eq!(sizes, flooded(&spread, width));
        }
    }
}
