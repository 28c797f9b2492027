//! A straight line through measurements, and how sure its slope is.

/// Ordinary least squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trend {
    /// Change of y for one of x.
    pub(crate) slope: f64,
    /// The slope is within ± this with 95 % confidence, as far as what remains is
    /// noise without memory; infinite for fewer than three points.
    pub(crate) slope_within: f64,
    /// y at x = 0.
    pub(crate) at_zero: f64,
}

impl Trend {
    pub(crate) fn through(points: &[(f64, f64)]) -> Self {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|p| p.0), mean(|p| p.1));
        let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
        let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
        let at_zero = y - slope * x;
        let free = count - 2.0;
        let slope_within = if free > 0.0 {
            let left: f64 = points
                .iter()
                .map(|p| (p.1 - at_zero - slope * p.0).powi(2))
                .sum();
            student(free) * (left / free / spread).sqrt()
        } else {
            f64::INFINITY
        };
        Self {
            slope,
            slope_within,
            at_zero,
        }
    }
}

/// The two-sided 95 % quantile of Student's t, to within 2 % from two degrees of freedom on
/// (Cornish–Fisher about the normal quantile; the first ones are from the table).
fn student(free: f64) -> f64 {
    const FIRST: [f64; 3] = [12.706, 4.303, 3.182];
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and positive
    if let Some(known) = FIRST.get(free as usize - 1) {
        return *known;
    }
    let z: f64 = 1.959_964;
    z + (z.powi(3) + z) / (4.0 * free)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * free * free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_are_those_of_the_table() {
        for (free, known) in [(1.0, 12.706), (4.0, 2.776), (10.0, 2.228), (30.0, 2.042)] {
            assert!((student(free) / known - 1.0).abs() < 0.02, "{free}");
        }
    }

    #[test]
    fn a_leak_is_told_from_noise() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut noisy = |slope: f64| -> Vec<(f64, f64)> {
            (0..60)
                .map(|n| (f64::from(n), 80.0 + slope * f64::from(n) + random.f64()))
                .collect()
        };
        let flat = Trend::through(&noisy(0.0));
        assert!(flat.slope.abs() < flat.slope_within, "{flat:?}");
        let leak = Trend::through(&noisy(0.1));
        assert!(
            (leak.slope - 0.1).abs() < 2.0 * leak.slope_within,
            "{leak:?}"
        );
        assert!(leak.slope > leak.slope_within, "{leak:?}");
    }
}
