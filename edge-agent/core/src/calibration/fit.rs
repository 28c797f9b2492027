//! A homography from surveyed points, with the covariance that follows.
//!
//! A linear solution first, then least squares in which every point counts by
//! what it is good for: a click is worth some pixels, which far away are
//! metres, and a tape some centimetres. The covariance comes out of the same
//! least squares, and grows where the points fit worse than was promised.

#![allow(clippy::many_single_char_names)] // x, y, w and matrix entries are called so

use protocol::Point;
use protocol::units::Metres;

use super::linear::{least_squares, solve};
use super::{Calibration, Lens, Uncertainty, VERSION};

/// One surveyed point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurveyedPoint {
    /// Where it is seen, as fractions of the picture's width and height.
    pub image: Point,
    /// Where it is on the ground, in metres, east before north.
    pub ground: [f64; 2],
}

/// What the survey is good for: standard deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sigmas {
    /// Of a click, in picture heights.
    pub click: f64,
    /// Of a place on the ground, on each axis, in metres.
    pub ground_m: f64,
}

/// A fitted homography.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// For the calibration file.
    pub calibration: Calibration,
    /// For every point the distance of its measured from its mapped place, in metres.
    pub per_point_m: Vec<f64>,
    /// The same in standard deviations expected of that point.
    pub per_point_sigmas: Vec<f64>,
    /// Mean square of the misfit in expected standard deviations; 1 is as
    /// promised. `None` where nothing is left over to tell.
    pub misfit: Option<f64>,
}

/// Why there is no fit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Fewer measurements than unknowns.
    #[error("{has} given, at least {needed} are needed; measure more, spread over the road")]
    TooFew {
        /// How many there are.
        has: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The measurements do not determine the plane.
    #[error(
        "these measurements fix no plane: they lie along one line or at one place; add some on \
         the other side of the road and farther along it"
    )]
    Undetermined,
    /// Some points would lie behind the camera.
    #[error(
        "the horizon would run through the measured points; look for two that are swapped or \
         mistyped"
    )]
    AcrossHorizon,
}

/// Fits a homography; `aspect` is the picture's width over its height.
pub fn fit_points(
    points: &[SurveyedPoint],
    aspect: f64,
    lens: Option<Lens>,
    sigmas: Sigmas,
) -> Result<Fitted, FitError> {
    if points.len() < 4 {
        return Err(FitError::TooFew {
            has: points.len(),
            needed: 4,
        });
    }
    let inside = Inside::of(points, lens);
    let start = inside.linear().ok_or(FitError::Undetermined)?;
    let mut params = start;
    let mut found = None;
    // The weights depend on the solution, weakly: three rounds settle them.
    for _ in 0..4 {
        let whiten = inside
            .whitening(&params, aspect, sigmas)
            .ok_or(FitError::AcrossHorizon)?;
        let fit = least_squares(&params, &[1e-6; 8], (40, 1e-12), &mut |p, out| {
            inside.residuals(p, &whiten, out)
        })
        .ok_or(FitError::Undetermined)?;
        params.copy_from_slice(&fit.params);
        found = Some((fit, whiten));
    }
    let (fit, whiten) = found.ok_or(FitError::Undetermined)?;
    let mut whitened = Vec::new();
    if !inside.residuals(&fit.params, &whiten, &mut whitened) {
        return Err(FitError::AcrossHorizon);
    }
    let left_over = 2 * points.len() - 8;
    let misfit = (left_over > 0).then(|| fit.cost / left_over as f64);
    let growth = misfit.map_or(1.0, |misfit| misfit.max(1.0));
    let per_point_m: Vec<f64> = inside
        .pairs
        .iter()
        .map(|(from, to)| {
            let (x, y, _) = apply(&fit.params, *from);
            let (dx, dy) = (x - to[0], y - to[1]);
            (dx * dx + dy * dy).sqrt() * inside.scale
        })
        .collect();
    let per_point_sigmas = whitened
        .chunks_exact(2)
        .map(|r| f64::midpoint(r[0] * r[0], r[1] * r[1]).sqrt())
        .collect();
    let squares: f64 = per_point_m.iter().map(|m| m * m).sum();
    let (image_to_ground, uncertainty) = inside.leave(&fit.params, &fit.covariance, growth);
    Ok(Fitted {
        calibration: Calibration {
            version: VERSION,
            image_to_ground,
            residual_m: Metres((squares / points.len() as f64).sqrt()),
            points: points.len(),
            lens,
            uncertainty: Some(uncertainty),
        },
        per_point_m,
        per_point_sigmas,
        misfit,
    })
}

/// The points around their middles, the ground scaled to the order of 1.
struct Inside {
    at: Point,
    middle: [f64; 2],
    scale: f64,
    pairs: Vec<([f64; 2], [f64; 2])>,
}

impl Inside {
    fn of(points: &[SurveyedPoint], lens: Option<Lens>) -> Self {
        let count = points.len() as f64;
        let ideal: Vec<Point> = points
            .iter()
            .map(|p| lens.map_or(p.image, |lens| lens.undistorted(p.image)))
            .collect();
        let at = Point {
            x: ideal.iter().map(|p| p.x).sum::<f64>() / count,
            y: ideal.iter().map(|p| p.y).sum::<f64>() / count,
        };
        let middle = [0, 1].map(|k| points.iter().map(|p| p.ground[k]).sum::<f64>() / count);
        let spread = |p: &SurveyedPoint| {
            let (dx, dy) = (p.ground[0] - middle[0], p.ground[1] - middle[1]);
            (dx * dx + dy * dy).sqrt()
        };
        let scale = (points.iter().map(spread).sum::<f64>() / count).max(1e-6);
        let pairs = ideal
            .iter()
            .zip(points)
            .map(|(ideal, p)| {
                (
                    [ideal.x - at.x, ideal.y - at.y],
                    [
                        (p.ground[0] - middle[0]) / scale,
                        (p.ground[1] - middle[1]) / scale,
                    ],
                )
            })
            .collect();
        Self {
            at,
            middle,
            scale,
            pairs,
        }
    }

    /// The direct linear solution.
    fn linear(&self) -> Option<[f64; 8]> {
        let mut normal = [0.0; 64];
        let mut right = [0.0; 8];
        for ([u, v], [x, y]) in &self.pairs {
            let rows = [
                ([*u, *v, 1.0, 0.0, 0.0, 0.0, -x * u, -x * v], x),
                ([0.0, 0.0, 0.0, *u, *v, 1.0, -y * u, -y * v], y),
            ];
            for (row, value) in rows {
                for i in 0..8 {
                    right[i] += row[i] * value;
                    for j in 0..8 {
                        normal[i * 8 + j] += row[i] * row[j];
                    }
                }
            }
        }
        let solution = solve(&normal, 8, &right)?;
        let mut params = [0.0; 8];
        params.copy_from_slice(&solution);
        Some(params)
    }

    /// For every point the inverse Cholesky factor of its expected covariance.
    fn whitening(&self, params: &[f64; 8], aspect: f64, sigmas: Sigmas) -> Option<Vec<[f64; 3]>> {
        let sigma = [sigmas.click / aspect, sigmas.click];
        let ground = sigmas.ground_m / self.scale;
        self.pairs
            .iter()
            .map(|(from, _)| {
                let (x, y, w) = apply(params, *from);
                if w.is_nan() || w < 1e-3 {
                    return None;
                }
                let slope = |row: usize, k: usize, at: f64| {
                    (params[3 * row + k] - at * params[6 + k]) / w * sigma[k]
                };
                let (a, b) = (slope(0, 0, x), slope(0, 1, x));
                let (c, d) = (slope(1, 0, y), slope(1, 1, y));
                let floor = ground * ground + 1e-18;
                let (xx, xy, yy) = (a * a + b * b + floor, a * c + b * d, c * c + d * d + floor);
                let l11 = xx.sqrt();
                let l21 = xy / l11;
                let l22 = (yy - l21 * l21).max(1e-24).sqrt();
                Some([1.0 / l11, -l21 / (l11 * l22), 1.0 / l22])
            })
            .collect()
    }

    fn residuals(&self, params: &[f64], whiten: &[[f64; 3]], out: &mut Vec<f64>) -> bool {
        let mut valid = true;
        for ((from, to), [a, b, c]) in self.pairs.iter().zip(whiten) {
            let (x, y, w) = apply(params, *from);
            valid &= w > 1e-3;
            let (dx, dy) = (x - to[0], y - to[1]);
            out.extend([a * dx, b * dx + c * dy]);
        }
        valid
    }

    /// Back to the picture's corner and to metres.
    fn leave(&self, p: &[f64], covariance: &[f64], growth: f64) -> ([[f64; 3]; 3], Uncertainty) {
        let [mx, my] = self.middle;
        let s = self.scale;
        // Entries around `at` in metres, linear in the inner ones.
        let mut change = [[0.0; 8]; 8];
        for k in 0..3 {
            change[k][k] = s;
            change[3 + k][3 + k] = s;
        }
        for k in 0..2 {
            change[k][6 + k] = mx;
            change[3 + k][6 + k] = my;
            change[6 + k][6 + k] = 1.0;
        }
        let mut outer = [0.0; 8];
        let mut outer_covariance = [[0.0; 8]; 8];
        for i in 0..8 {
            outer[i] = (0..8).map(|k| change[i][k] * p[k]).sum();
            for j in 0..=i {
                let value = growth * super::linear::quadratic(covariance, &change[i], &change[j]);
                outer_covariance[i][j] = value;
                outer_covariance[j][i] = value;
            }
        }
        outer[2] += mx;
        outer[5] += my;
        let row = |a: f64, b: f64, c: f64| [a, b, c - a * self.at.x - b * self.at.y];
        let matrix = [
            row(outer[0], outer[1], outer[2]),
            row(outer[3], outer[4], outer[5]),
            row(outer[6], outer[7], 1.0),
        ];
        (
            matrix,
            Uncertainty {
                at: self.at,
                covariance: outer_covariance,
            },
        )
    }
}

/// The mapped place, and the third coordinate it was divided by.
fn apply(p: &[f64], [u, v]: [f64; 2]) -> (f64, f64, f64) {
    let w = p[6] * u + p[7] * v + 1.0;
    (
        (p[0] * u + p[1] * v + p[2]) / w,
        (p[3] * u + p[4] * v + p[5]) / w,
        w,
    )
}
