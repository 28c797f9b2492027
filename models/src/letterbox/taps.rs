//! Which source pixels make an output pixel: planned once per picture size and
//! crop, along columns and rows apart, in whole numbers, which are exact on
//! every machine.

use crate::manifest::Shrink;

/// A stretch of one axis of a plane, cut into output pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// First pixel that may be read.
    pub(super) first: usize,
    /// Pixels that may be read.
    pub(super) length: usize,
    /// Where in the plane the stretch begins; a crop of odd pixels begins amid a chroma pixel.
    pub(super) from: f64,
    /// Source pixels per output pixel.
    pub(super) scale: f64,
    /// Output pixels.
    pub(super) count: usize,
}

impl Axis {
    /// Of luma: `length` pixels from `first` on become `count`.
    pub(super) fn luma(first: usize, length: usize, count: usize) -> Self {
        Self {
            first,
            length,
            from: first as f64,
            scale: length as f64 / count as f64,
            count,
        }
    }

    /// Of the chroma under such luma: half as many, each in the middle of its two.
    pub(super) fn chroma(first: usize, length: usize, count: usize) -> Self {
        let (start, end) = (first / 2, (first + length).div_ceil(2));
        Self {
            first: start,
            length: end - start,
            from: first as f64 / 2.0,
            scale: length as f64 / count as f64 / 2.0,
            count,
        }
    }

    fn is_averaged(&self, shrink: Shrink) -> bool {
        shrink == Shrink::Area && self.scale > 1.0
    }

    /// Where output pixel `index` lies among the pixels that may be read, and
    /// how far towards the next: pixel centres meet pixel centres, and beyond
    /// the edge the edge goes on.
    fn between(&self, index: usize) -> (usize, f64) {
        let last = (self.length - 1) as f64;
        let offset = self.from - self.first as f64;
        let position = ((index as f64 + 0.5) * self.scale - 0.5 + offset).clamp(0.0, last);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ≤ position < length
        let at = position as usize;
        (at, position - at as f64)
    }

    /// The pixels that output pixel `index` covers, and how much of each, in
    /// parts of `unit` that add up to it.
    fn covered(&self, index: usize, unit: i32, weights: &mut Vec<i32>) -> usize {
        let offset = self.from - self.first as f64;
        let (start, end) = (
            index as f64 * self.scale + offset,
            (index + 1) as f64 * self.scale + offset,
        );
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // held to the length
        let (first, last) = (
            (libm::floor(start).max(0.0) as usize).min(self.length - 1),
            (libm::ceil(end).max(1.0) as usize).min(self.length) - 1,
        );
        weights.clear();
        let mut before = 0;
        for pixel in first..=last.max(first) {
            // Rounding the running sum keeps the total exact and every part within 1.
            let covered = ((pixel + 1) as f64 - start) / self.scale;
            #[allow(clippy::cast_possible_truncation)] // 0 to 1
            let until = if pixel >= last {
                unit
            } else {
                libm::round(covered.clamp(0.0, 1.0) * f64::from(unit)) as i32
            };
            weights.push(until - before);
            before = until;
        }
        first
    }
}

/// The columns of an output row, as sums over a source row.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    /// First pixel of each, among those that may be read.
    pub(super) at: Vec<u32>,
    /// `taps` weights of each, which add up to [`COLUMN_UNIT`].
    pub(super) weights: Vec<i32>,
    pub(super) taps: usize,
    /// Room for the weights of one.
    covered: Vec<i32>,
}

/// 255 · 256 (a blended row) · 2¹⁵ is just below 2³¹.
const COLUMN_UNIT: i32 = 1 << 15;
/// What a sampled number is a multiple of.
pub(super) const SAMPLE_UNIT: f32 = 1.0 / (256.0 * COLUMN_UNIT as f32);

impl Columns {
    /// Plans anew; allocates only when the output is larger than ever before.
    pub(super) fn plan(&mut self, axis: &Axis, shrink: Shrink) {
        self.at.clear();
        self.weights.clear();
        if !axis.is_averaged(shrink) {
            self.taps = 2;
            for index in 0..axis.count {
                let (at, fraction) = axis.between(index);
                #[allow(clippy::cast_possible_truncation)] // at < MAX_SIDE, fraction ≤ 1
                let (at, second) = (
                    at as u32,
                    libm::round(fraction * f64::from(COLUMN_UNIT)) as i32,
                );
                self.at.push(at);
                self.weights.extend([COLUMN_UNIT - second, second]);
            }
            return;
        }
        // At most so many pixels are touched: a whole number, and a part at each end.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below MAX_SIDE
        let most = libm::ceil(axis.scale) as usize + 1;
        self.taps = most.min(axis.length);
        for index in 0..axis.count {
            let first = axis.covered(index, COLUMN_UNIT, &mut self.covered);
            // Near the right edge the taps begin earlier, with weight 0.
            let at = first.min(axis.length - self.taps);
            let end = self.weights.len() + self.taps;
            self.weights.extend(core::iter::repeat_n(0, first - at));
            self.weights.extend(&self.covered);
            self.weights.resize(end, 0);
            #[allow(clippy::cast_possible_truncation)] // below MAX_SIDE
            self.at.push(at as u32);
        }
    }
}

/// The rows of the output, as sums over rows of a plane.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// First row of the plane and how many.
    spans: Vec<(usize, usize)>,
    /// Their weights, one output row after the other, which add up to 256.
    weights: Vec<u16>,
    /// Where each output row's weights begin.
    starts: Vec<usize>,
    /// Room for the weights of one.
    covered: Vec<i32>,
}

impl Rows {
    /// Plans anew; allocates only when there are more rows than ever before.
    pub(super) fn plan(&mut self, axis: &Axis, shrink: Shrink) {
        self.spans.clear();
        self.weights.clear();
        self.starts.clear();
        let covered = &mut self.covered;
        for index in 0..axis.count {
            self.starts.push(self.weights.len());
            let first = if axis.is_averaged(shrink) {
                axis.covered(index, 256, covered)
            } else {
                let (at, fraction) = axis.between(index);
                #[allow(clippy::cast_possible_truncation)] // 0 to 256
                let weight = libm::round(fraction * 256.0) as i32;
                covered.clear();
                covered.extend([256 - weight, weight]);
                at
            };
            // A row that does not count need not be read, and may not be there.
            while covered.len() > 1 && covered.last() == Some(&0) {
                covered.pop();
            }
            self.spans.push((axis.first + first, covered.len()));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 256
            self.weights
                .extend(covered.iter().map(|weight| *weight as u16));
        }
    }

    /// First row of the plane and the weights from it on.
    pub(super) fn of(&self, index: usize) -> (usize, &[u16]) {
        let (first, count) = self.spans[index];
        (first, &self.weights[self.starts[index]..][..count])
    }
}
