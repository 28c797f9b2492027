//! How the picture as a whole differs from the background: gain, offset, shift.
//!
//! `now ≈ gain · background + offset + ∇background · shift`, by least squares over
//! a quarter of the cells: exposure and a swaying pole in one fit (Lucas and Kanade
//! 1981 with gain and bias, as in Baker and Matthews 2004, "Lucas–Kanade 20 years on",
//! part 3). What does not fit is motion and must not pull: each round leaves out what
//! is farther off than three robust deviations (trimmed least squares).

use crate::background::Background;
use crate::small::SmallPicture;

/// Every second cell, across and down, takes part.
const EACH: usize = 2;
/// Samples whose products are added up in single precision.
const FEW: usize = 64;
/// Samples side by side.
const LANES: usize = 4;
/// Rounds of leaving out what does not fit.
const ROUNDS: usize = 4;
/// Left out beyond so many robust deviations.
const OUTLIER: f32 = 3.0;
/// A deviation below this is the noise of the picture, luma.
const LEAST_DEVIATION: f32 = 0.7;
/// The fit is believed only when this part of the cells took part to the end.
const LEAST_SHARE: f32 = 0.5;
/// How far each parameter usually is from no change, for a picture that says
/// nothing about it (an even grey has no gradient): gain, offset, shifts.
const USUAL: [f32; 4] = [0.5, 50.0, 0.5, 0.5];
/// A larger shift than this is not linear any more, cells.
const MOST_SHIFT: f32 = 1.0;
/// Exposure steps beyond this are another picture.
const GAINS: std::ops::RangeInclusive<f32> = 0.4..=2.5;

/// A change of the whole picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Light {
    pub(crate) gain: f32,
    pub(crate) offset: f32,
    /// Of the picture against the background, cells.
    pub(crate) shift: (f32, f32),
}

impl Light {
    pub(crate) const SAME: Self = Self {
        gain: 1.0,
        offset: 0.0,
        shift: (0.0, 0.0),
    };

    /// What a cell should show now.
    pub(crate) fn expected(&self, mean: f32, gradient: (f32, f32)) -> f32 {
        self.gain * mean + self.offset + self.shift.0 * gradient.0 + self.shift.1 * gradient.1
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.gain - other.gain).abs() < 1e-5
            && (self.offset - other.offset).abs() < 1e-3
            && (self.shift.0 - other.shift.0).abs() < 1e-4
            && (self.shift.1 - other.shift.1).abs() < 1e-4
    }
}

/// Finds the light of pictures; kept for its memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct LightMeter {
    samples: Samples,
    /// How far each sample is off.
    off: Vec<f32>,
    sorted: Vec<f32>,
}

/// Cells that take part in a fit.
#[derive(Clone, Debug, Default)]
struct Samples {
    mean: Vec<f32>,
    across: Vec<f32>,
    down: Vec<f32>,
    /// Of the picture against the background.
    change: Vec<f32>,
}

impl LightMeter {
    /// The change from `background` to `now`; `None` when most of the picture does not fit any.
    pub(crate) fn between(&mut self, background: &Background, now: &SmallPicture) -> Option<Light> {
        self.samples.take(background, now);
        let Self {
            samples,
            off,
            sorted,
        } = self;
        sorted.clone_from(&samples.change);
        let mut light = Light {
            offset: median(sorted),
            ..Light::SAME
        };
        let mut share = 0.0;
        for _ in 0..ROUNDS {
            samples.residuals(&light, off);
            sorted.clone_from(off);
            // 1.4826 medians of the absolute deviation are one standard deviation.
            let limit = OUTLIER * (1.4826 * median(sorted)).max(LEAST_DEVIATION);
            let kept = off.iter().filter(|off| **off <= limit).count();
            share = kept as f32 / off.len().max(1) as f32;
            let next = samples.solve(off, limit)?;
            let is_found = next.is_like(&light);
            light = next;
            // The same light leaves out the same, and so on for ever.
            if is_found {
                break;
            }
        }
        let is_plausible = share >= LEAST_SHARE
            && GAINS.contains(&light.gain)
            && light.shift.0.abs() <= MOST_SHIFT
            && light.shift.1.abs() <= MOST_SHIFT;
        is_plausible.then_some(light)
    }
}

impl Samples {
    fn take(&mut self, background: &Background, now: &SmallPicture) {
        for values in [
            &mut self.mean,
            &mut self.across,
            &mut self.down,
            &mut self.change,
        ] {
            values.clear();
        }
        let (columns, rows) = now.size();
        for row in (1..rows.saturating_sub(1)).step_by(EACH) {
            for column in (1..columns.saturating_sub(1)).step_by(EACH) {
                let cell = row * columns + column;
                let mean = background.mean[cell];
                let (across, down) = background.gradient(row, column);
                self.mean.push(mean);
                self.across.push(across);
                self.down.push(down);
                self.change.push(now.luma[cell] - mean);
            }
        }
    }

    /// How far each sample is from what it should be in this light.
    fn residuals(&self, light: &Light, off: &mut Vec<f32>) {
        let gradients = self.across.iter().zip(&self.down);
        let samples = self.mean.iter().zip(gradients).zip(&self.change);
        off.clear();
        off.extend(samples.map(|((mean, (across, down)), change)| {
            (change + mean - light.expected(*mean, (*across, *down))).abs()
        }));
    }

    /// Least squares about no change, with a little pull towards it, over what is no farther
    /// off than `limit`.
    fn solve(&self, off: &[f32], limit: f32) -> Option<Light> {
        let mut matrix = [[0.0_f64; 5]; 4];
        // Single precision holds the sums of a few samples, and the total needs more.
        for from in (0..off.len()).step_by(FEW) {
            let part = from..(from + FEW).min(off.len());
            let sums = products(
                [
                    &self.mean[part.clone()],
                    &self.across[part.clone()],
                    &self.down[part.clone()],
                    &self.change[part.clone()],
                    &off[part],
                ],
                limit,
            );
            for (total, sum) in matrix.as_flattened_mut().iter_mut().zip(sums) {
                *total += f64::from(sum);
            }
        }
        for (row, column) in [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
            matrix[row][column] = matrix[column][row];
        }
        for (index, usual) in USUAL.iter().enumerate() {
            matrix[index][index] += f64::from(1.0 / (usual * usual));
        }
        let [gain, offset, across, down] = eliminate(matrix)?;
        Some(Light {
            gain: 1.0 + gain as f32,
            offset: offset as f32,
            shift: (across as f32, down as f32),
        })
    }
}

/// Sums of products of samples (mean, across, down, change, and how far it is off) that are no
/// farther off than `limit`: the upper half of the matrix and the right side, row by row.
fn products([mean, across, down, change, off]: [&[f32]; 5], limit: f32) -> [f32; 20] {
    let mut sums = [[0.0_f32; LANES]; 20];
    let mut add = |lane: usize, [mean, across, down, change, off]: [f32; 5]| {
        let kept = if off <= limit { 1.0 } else { 0.0 };
        let x = [mean * kept, kept, across * kept, down * kept];
        let y = [mean, 1.0, across, down, change];
        for (row, a) in x.iter().enumerate() {
            // The other half is the same, mirrored.
            for (column, b) in y.iter().enumerate().skip(row) {
                sums[5 * row + column][lane] += a * b;
            }
        }
    };
    let whole = mean.len() - mean.len() % LANES;
    for from in (0..whole).step_by(LANES) {
        for lane in 0..LANES {
            let at = from + lane;
            add(lane, [mean[at], across[at], down[at], change[at], off[at]]);
        }
    }
    for at in whole..mean.len() {
        add(0, [mean[at], across[at], down[at], change[at], off[at]]);
    }
    sums.map(|lanes| lanes.iter().sum())
}

/// Gauss with the largest pivot; `None` for a matrix without an answer.
fn eliminate(mut m: [[f64; 5]; 4]) -> Option<[f64; 4]> {
    for pivot in 0..4 {
        let best = (pivot..4).max_by(|a, b| m[*a][pivot].abs().total_cmp(&m[*b][pivot].abs()))?;
        m.swap(pivot, best);
        if m[pivot][pivot].abs() < 1e-12 {
            return None;
        }
        let leading = m[pivot];
        for (index, row) in m.iter_mut().enumerate() {
            if index != pivot {
                let factor = row[pivot] / leading[pivot];
                for (value, above) in row.iter_mut().zip(&leading) {
                    *value -= factor * above;
                }
            }
        }
    }
    Some([0, 1, 2, 3].map(|row| m[row][4] / m[row][row]))
}

fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}
