//! A homography from known distances alone: lane width, the pitch of dashed
//! lines, a vehicle of known length.
//!
//! Distances say less than places, so the camera must help: square pixels, the
//! principal point in the middle, a flat road. Then four numbers remain: focal
//! length, pitch, roll, height. The ground's frame is the camera's own: its
//! origin is below the camera, and y leads away from it.

#![allow(clippy::many_single_char_names)] // x, y, w and matrix entries are called so

use protocol::Point;
use protocol::units::Metres;

use super::fit::{FitError, Fitted, Sigmas};
use super::linear::{Fit, least_squares};
use super::{Calibration, Lens, Uncertainty, VERSION};

/// Two points on the road whose distance was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownDistance {
    /// One end in the picture.
    pub from: Point,
    /// The other end.
    pub to: Point,
    /// How far apart they are on the road, m.
    pub metres: f64,
    /// Standard deviation of that, m.
    pub sigma_m: f64,
}

/// A camera's four numbers and what is known beforehand.
struct Inside {
    aspect: f64,
    principal: Point,
    /// Known from a lens.
    focal: Option<f64>,
    middle: Point,
}

/// Focal length without a lens's word: ln of 1.2 picture heights (the usual
/// field of view of 45° to 90°) within a factor of two or so.
const USUAL_FOCAL: (f64, f64) = (1.2, 0.7);
/// A bracket is levelled to about this, rad.
const USUAL_ROLL: f64 = 0.05;

/// Fits a camera to known distances; `aspect` is the picture's width over its
/// height. Four distances in at least two directions, near and far.
pub fn fit_distances(
    distances: &[KnownDistance],
    aspect: f64,
    lens: Option<Lens>,
    sigmas: Sigmas,
) -> Result<Fitted, FitError> {
    if distances.len() < 4 {
        return Err(FitError::TooFew {
            has: distances.len(),
            needed: 4,
        });
    }
    let ideal = |point: Point| lens.map_or(point, |lens| lens.undistorted(point));
    let ends: Vec<(Point, Point)> = distances
        .iter()
        .map(|d| (ideal(d.from), ideal(d.to)))
        .collect();
    let all = || ends.iter().flat_map(|(a, b)| [a, b]);
    let count = 2.0 * ends.len() as f64;
    let inside = Inside {
        aspect,
        principal: lens.map_or(Point { x: 0.5, y: 0.5 }, |lens| Point {
            x: lens.cx,
            y: lens.cy,
        }),
        focal: lens.map(|lens| (lens.fx * aspect * lens.fy).sqrt()),
        middle: Point {
            x: all().map(|p| p.x).sum::<f64>() / count,
            y: all().map(|p| p.y).sum::<f64>() / count,
        },
    };
    let fit = inside
        .best(&ends, distances, sigmas)
        .ok_or(FitError::Undetermined)?;
    let left_over = distances.len() - 3;
    // The priors add two residuals, which the fit has on either side.
    let misfit = fit.cost / left_over as f64;
    let mut per_point_m = Vec::new();
    let mut per_point_sigmas = Vec::new();
    let mut whitened = Vec::new();
    inside.residuals(&fit.params, &ends, (distances, sigmas), &mut whitened);
    for ((from, to), (known, sigma)) in ends.iter().zip(distances.iter().zip(&whitened)) {
        let (a, b) = inside
            .place(&fit.params, *from)
            .zip(inside.place(&fit.params, *to))
            .ok_or(FitError::AcrossHorizon)?;
        per_point_m.push((length(a, b) - known.metres).abs());
        per_point_sigmas.push(sigma.abs());
    }
    let squares: f64 = per_point_m.iter().map(|m| m * m).sum();
    let calibration = Calibration {
        version: VERSION,
        image_to_ground: inside.matrix(&fit.params),
        residual_m: Metres((squares / distances.len() as f64).sqrt()),
        points: distances.len(),
        lens,
        uncertainty: Some(inside.uncertainty(&fit, misfit.max(1.0))),
    };
    Ok(Fitted {
        calibration,
        per_point_m,
        per_point_sigmas,
        misfit: Some(misfit),
    })
}

impl Inside {
    /// From several guesses the one that fits best: the cost has side valleys.
    fn best(
        &self,
        ends: &[(Point, Point)],
        distances: &[KnownDistance],
        sigmas: Sigmas,
    ) -> Option<Fit> {
        let mut best: Option<Fit> = None;
        for focal in [0.7, 1.2, 2.5] {
            for pitch in [0.15, 0.4, 0.8, 1.2] {
                // Unknowns: ln focal, pitch, roll, ln height.
                let start = [libm::log(self.focal.unwrap_or(focal)), pitch, 0.0, 2.0];
                let found = least_squares(&start, &[1e-5; 4], (60, 1e-12), &mut |p, out| {
                    self.residuals(p, ends, (distances, sigmas), out)
                });
                if let Some(found) = found
                    && (0.01..1.57).contains(&found.params[1])
                    && best.as_ref().is_none_or(|b| found.cost < b.cost)
                {
                    best = Some(found);
                }
            }
        }
        best
    }

    fn residuals(
        &self,
        p: &[f64],
        ends: &[(Point, Point)],
        (distances, sigmas): (&[KnownDistance], Sigmas),
        out: &mut Vec<f64>,
    ) -> bool {
        for ((from, to), known) in ends.iter().zip(distances) {
            let Some((a, b)) = self.place(p, *from).zip(self.place(p, *to)) else {
                return false;
            };
            // What a click along the line is worth in metres, at either end.
            let mut variance = known.sigma_m * known.sigma_m + 1e-12;
            for end in [*from, *to] {
                let other = if end == *from { b } else { a };
                for (dx, dy) in [(sigmas.click / self.aspect, 0.0), (0.0, sigmas.click)] {
                    let near = Point {
                        x: end.x + dx,
                        y: end.y + dy,
                    };
                    let Some(moved) = self.place(p, near) else {
                        return false;
                    };
                    let change = length(moved, other) - length(a, b);
                    variance += change * change;
                }
            }
            out.push((length(a, b) - known.metres) / variance.sqrt());
        }
        let (usual, sigma) = self.focal.map_or(USUAL_FOCAL, |focal| (focal, 0.02));
        out.push((p[0] - libm::log(usual)) / sigma);
        out.push(p[2] / USUAL_ROLL);
        true
    }

    fn place(&self, p: &[f64], point: Point) -> Option<[f64; 2]> {
        let m = self.matrix(p);
        let [x, y, w] = m.map(|[a, b, c]| a * point.x + b * point.y + c);
        (w > 1e-4).then(|| [x / w, y / w])
    }

    /// From the picture to the ground; the third coordinate is how far below
    /// the horizon a ray leads.
    fn matrix(&self, p: &[f64]) -> [[f64; 3]; 3] {
        let focal = libm::exp(p[0]);
        let height = libm::exp(p[3]);
        let (sin_pitch, cos_pitch) = (libm::sin(p[1]), libm::cos(p[1]));
        let (sin_roll, cos_roll) = (libm::sin(p[2]), libm::cos(p[2]));
        // A ray: x to the right and y down in the levelled picture, 1 ahead.
        let right = [self.aspect * cos_roll / focal, sin_roll / focal];
        let down = [-self.aspect * sin_roll / focal, cos_roll / focal];
        let with =
            |[a, b]: [f64; 2], c: f64| [a, b, c - a * self.principal.x - b * self.principal.y];
        let lateral = with(right, 0.0).map(|v| v * height);
        let ahead = with(down.map(|v| -v * sin_pitch), cos_pitch).map(|v| v * height);
        let sinking = with(down.map(|v| v * cos_pitch), sin_pitch);
        [lateral, ahead, sinking]
    }

    /// The covariance of four numbers as that of the eight entries.
    fn uncertainty(&self, fit: &Fit, growth: f64) -> Uncertainty {
        let entries = |p: &[f64]| -> [f64; 8] {
            let m = self.matrix(p);
            let around = m.map(|[a, b, c]| [a, b, a * self.middle.x + b * self.middle.y + c]);
            let w = around[2][2];
            [
                around[0][0] / w,
                around[0][1] / w,
                around[0][2] / w,
                around[1][0] / w,
                around[1][1] / w,
                around[1][2] / w,
                around[2][0] / w,
                around[2][1] / w,
            ]
        };
        let mut slopes = [[0.0; 4]; 8];
        for k in 0..4 {
            let (mut more, mut less) = (fit.params.clone(), fit.params.clone());
            more[k] += 1e-6;
            less[k] -= 1e-6;
            let (more, less) = (entries(&more), entries(&less));
            for (slope, (a, b)) in slopes.iter_mut().zip(more.iter().zip(&less)) {
                slope[k] = (a - b) / 2e-6;
            }
        }
        let mut covariance = [[0.0; 8]; 8];
        for i in 0..8 {
            for j in 0..=i {
                let value =
                    growth * super::linear::quadratic(&fit.covariance, &slopes[i], &slopes[j]);
                covariance[i][j] = value;
                covariance[j][i] = value;
            }
        }
        Uncertainty {
            at: self.middle,
            covariance,
        }
    }
}

fn length(a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
    (dx * dx + dy * dy).sqrt()
}
