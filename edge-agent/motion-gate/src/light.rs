//! How the picture as a whole differs from the background: gain, offset, shift.
//!
//! `now ≈ gain · background + offset + ∇background · shift`, by least squares over
//! a quarter of the cells: exposure and a swaying pole in one fit (Lucas and Kanade
//! 1981 with gain and bias, as in Baker and Matthews 2004, "Lucas–Kanade 20 years on",
//! part 3). What does not fit is motion and must not pull: each round leaves out what
//! is farther off than three robust deviations (trimmed least squares).

use crate::background::Background;
use crate::small::SmallPicture;

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

    /// The change from `background` to `now`; `None` when most of the picture does not fit any.
    pub(crate) fn between(background: &Background, now: &SmallPicture) -> Option<Self> {
        let (columns, rows) = now.size();
        let mut samples = Vec::with_capacity(columns * rows / 4 + 1);
        for row in (1..rows.saturating_sub(1)).step_by(2) {
            for column in (1..columns.saturating_sub(1)).step_by(2) {
                let cell = row * columns + column;
                let (across, down) = background.gradient(cell);
                samples.push(([background.mean[cell], 1.0, across, down], now.luma[cell]));
            }
        }
        let mut differences: Vec<f32> = samples.iter().map(|(x, now)| now - x[0]).collect();
        let mut light = Self {
            offset: median(&mut differences),
            ..Self::SAME
        };
        let mut share = 0.0;
        for _ in 0..ROUNDS {
            let residual =
                |light: &Self, x: &[f32; 4], now: f32| now - light.expected(x[0], (x[2], x[3]));
            let mut off: Vec<f32> = samples
                .iter()
                .map(|(x, now)| residual(&light, x, *now).abs())
                .collect();
            // 1.4826 medians of the absolute deviation are one standard deviation.
            let limit = OUTLIER * (1.4826 * median(&mut off)).max(LEAST_DEVIATION);
            let kept = samples
                .iter()
                .filter(|(x, now)| residual(&light, x, *now).abs() <= limit);
            let count = kept.clone().count();
            share = count as f32 / samples.len().max(1) as f32;
            let next = Self::solve(kept)?;
            // The same light leaves out the same, and so on for ever.
            if next == light {
                break;
            }
            light = next;
        }
        let is_plausible = share >= LEAST_SHARE
            && GAINS.contains(&light.gain)
            && light.shift.0.abs() <= MOST_SHIFT
            && light.shift.1.abs() <= MOST_SHIFT;
        is_plausible.then_some(light)
    }

    /// Least squares about no change, with a little pull towards it.
    fn solve<'a>(samples: impl Iterator<Item = &'a ([f32; 4], f32)>) -> Option<Self> {
        let mut matrix = [[0.0_f64; 5]; 4];
        for (x, now) in samples {
            let change = f64::from(now - x[0]);
            for (row, a) in x.iter().enumerate() {
                // The other half is the same, mirrored.
                for (column, b) in x.iter().enumerate().skip(row) {
                    matrix[row][column] += f64::from(a * b);
                }
                matrix[row][4] += f64::from(*a) * change;
            }
        }
        for (row, column) in [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
            matrix[row][column] = matrix[column][row];
        }
        for (index, usual) in USUAL.iter().enumerate() {
            matrix[index][index] += f64::from(1.0 / (usual * usual));
        }
        let [gain, offset, across, down] = eliminate(matrix)?;
        Some(Self {
            gain: 1.0 + gain as f32,
            offset: offset as f32,
            shift: (across as f32, down as f32),
        })
    }
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
