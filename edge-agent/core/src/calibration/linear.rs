//! Small dense least squares, the same to the last bit on every machine.
//!
//! A dozen unknowns at most: Levenberg–Marquardt on normal equations with
//! central differences and Cholesky's decomposition. No library, because the
//! order of additions must never change between versions and processors.

/// What a fit found.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    /// The unknowns.
    pub(crate) params: Vec<f64>,
    /// Inverse of the normal matrix, row by row: the covariance of the
    /// unknowns where the residuals have unit variance.
    pub(crate) covariance: Vec<f64>,
    /// Sum of squared residuals.
    pub(crate) cost: f64,
}

/// Residuals of a guess, appended to an empty list; `false` where the guess has no meaning.
pub(crate) type Residuals<'f> = dyn FnMut(&[f64], &mut Vec<f64>) -> bool + 'f;

/// Minimises the sum of squared residuals from `start`; `steps` are the
/// unknowns' scales for numerical derivatives. Ends after so many iterations,
/// or when one improves by less than a part `tolerance`. `None` when the start has no
/// meaning or the unknowns are not determined.
pub(crate) fn least_squares(
    start: &[f64],
    steps: &[f64],
    (iterations, tolerance): (usize, f64),
    residuals: &mut Residuals<'_>,
) -> Option<Fit> {
    let n = start.len();
    let mut params = start.to_vec();
    let mut cost = cost_of(&params, residuals)?;
    let mut damping = 1e-4;
    let mut normal = Normal::new(n);
    for _ in 0..iterations {
        normal.fill(&params, steps, residuals)?;
        let mut improved = false;
        for _ in 0..6 {
            let Some(change) = normal.step(damping) else {
                damping *= 10.0;
                continue;
            };
            let next: Vec<f64> = params.iter().zip(&change).map(|(p, c)| p - c).collect();
            match cost_of(&next, residuals) {
                Some(found) if found <= cost => {
                    improved = cost - found > tolerance * cost;
                    params = next;
                    cost = found;
                    damping = (damping * 0.1).max(1e-12);
                    break;
                }
                _ => damping *= 10.0,
            }
        }
        if !improved {
            break;
        }
    }
    normal.fill(&params, steps, residuals)?;
    let covariance = inverse(&normal.matrix, n)?;
    Some(Fit {
        params,
        covariance,
        cost,
    })
}

fn cost_of(params: &[f64], residuals: &mut Residuals<'_>) -> Option<f64> {
    let mut found = Vec::new();
    let valid = residuals(params, &mut found);
    let cost: f64 = found.iter().map(|r| r * r).sum();
    (valid && cost.is_finite()).then_some(cost)
}

/// Normal equations at a guess.
struct Normal {
    n: usize,
    matrix: Vec<f64>,
    right: Vec<f64>,
    columns: Vec<Vec<f64>>,
    here: Vec<f64>,
    beyond: Vec<f64>,
}

impl Normal {
    fn new(n: usize) -> Self {
        Self {
            n,
            matrix: vec![0.0; n * n],
            right: vec![0.0; n],
            columns: vec![Vec::new(); n],
            here: Vec::new(),
            beyond: Vec::new(),
        }
    }

    fn fill(&mut self, params: &[f64], steps: &[f64], residuals: &mut Residuals<'_>) -> Option<()> {
        self.here.clear();
        if !residuals(params, &mut self.here) {
            return None;
        }
        let mut guess = params.to_vec();
        for (index, step) in steps.iter().enumerate() {
            let column = &mut self.columns[index];
            column.clear();
            self.beyond.clear();
            guess[index] = params[index] + step;
            let ahead = residuals(&guess, column);
            guess[index] = params[index] - step;
            let behind = residuals(&guess, &mut self.beyond);
            guess[index] = params[index];
            if !(ahead && behind) || column.len() != self.beyond.len() {
                return None;
            }
            for (a, b) in column.iter_mut().zip(&self.beyond) {
                *a = (*a - b) / (2.0 * step);
            }
        }
        for row in 0..self.n {
            for other in 0..=row {
                let sum: f64 = self.columns[row]
                    .iter()
                    .zip(&self.columns[other])
                    .map(|(a, b)| a * b)
                    .sum();
                self.matrix[row * self.n + other] = sum;
                self.matrix[other * self.n + row] = sum;
            }
            self.right[row] = self.columns[row]
                .iter()
                .zip(&self.here)
                .map(|(a, r)| a * r)
                .sum();
        }
        Some(())
    }

    fn step(&self, damping: f64) -> Option<Vec<f64>> {
        let mut damped = self.matrix.clone();
        for i in 0..self.n {
            damped[i * self.n + i] *= 1.0 + damping;
        }
        solve(&damped, self.n, &self.right)
    }
}

/// Lower Cholesky factor of a symmetric positive matrix, scaled to unit
/// diagonal first so that the unknowns' units do not matter.
fn factor(matrix: &[f64], n: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let scale: Vec<f64> = (0..n).map(|i| matrix[i * n + i].sqrt()).collect();
    if !scale.iter().all(|s| s.is_finite() && *s > 0.0) {
        return None;
    }
    let mut lower = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let mut sum = matrix[i * n + j] / (scale[i] * scale[j]);
            for k in 0..j {
                sum -= lower[i * n + k] * lower[j * n + k];
            }
            if i == j {
                // Below this the unknowns cannot be told apart in 64 bits.
                if sum.is_nan() || sum < 1e-13 {
                    return None;
                }
                lower[i * n + i] = sum.sqrt();
            } else {
                lower[i * n + j] = sum / lower[j * n + j];
            }
        }
    }
    Some((lower, scale))
}

/// Solves a symmetric positive system.
pub(crate) fn solve(matrix: &[f64], n: usize, right: &[f64]) -> Option<Vec<f64>> {
    let (lower, scale) = factor(matrix, n)?;
    let mut x: Vec<f64> = right.iter().zip(&scale).map(|(r, s)| r / s).collect();
    for i in 0..n {
        for k in 0..i {
            x[i] -= lower[i * n + k] * x[k];
        }
        x[i] /= lower[i * n + i];
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            x[i] -= lower[k * n + i] * x[k];
        }
        x[i] /= lower[i * n + i];
    }
    for (value, s) in x.iter_mut().zip(&scale) {
        *value /= s;
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

/// Inverse of a symmetric positive matrix.
pub(crate) fn inverse(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut out = vec![0.0; n * n];
    for column in 0..n {
        let mut unit = vec![0.0; n];
        unit[column] = 1.0;
        for (row, value) in solve(matrix, n, &unit)?.into_iter().enumerate() {
            out[row * n + column] = value;
        }
    }
    Some(out)
}

/// `a · covariance · b`.
pub(crate) fn quadratic(covariance: &[f64], a: &[f64], b: &[f64]) -> f64 {
    let n = b.len();
    let row = |i: usize| -> f64 { (0..n).map(|j| covariance[i * n + j] * b[j]).sum() };
    a.iter().enumerate().map(|(i, a)| a * row(i)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_points_has_the_textbook_slope_and_variance() {
        let points = [(0.0, 1.0), (1.0, 3.1), (2.0, 4.9), (3.0, 7.0)];
        let fit = least_squares(&[0.0, 0.0], &[1e-3, 1e-3], (10, 1e-12), &mut |p, out| {
            out.extend(points.iter().map(|(x, y)| p[0] + p[1] * x - y));
            true
        })
        .unwrap();
        assert!((fit.params[1] - 1.98).abs() < 1e-9, "{:?}", fit.params);
        assert!((fit.covariance[3] - 1.0 / 5.0).abs() < 1e-9);
        assert!((fit.cost - 0.018).abs() < 1e-9, "{}", fit.cost);
    }

    #[test]
    fn unknowns_that_cannot_be_told_apart_are_no_fit() {
        let fit = least_squares(&[0.0, 0.0], &[1e-3, 1e-3], (5, 1e-12), &mut |p, out| {
            out.extend([p[0] + p[1] - 1.0, 2.0 * (p[0] + p[1]) - 2.5]);
            true
        });
        assert!(fit.is_none());
    }
}
