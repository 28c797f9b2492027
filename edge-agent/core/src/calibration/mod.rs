//! From the picture to the ground, and how well that is known.
//!
//! A homography fitted to surveyed points, behind a lens where one is given. It
//! holds for points on the road surface only, so it is applied to ground
//! contact points and to nothing above them. Refuses a matrix that cannot be
//! turned back, and points at or above the horizon: their place on the ground
//! is not large but meaningless.
//!
//! All points share one matrix, so their errors are not independent: two
//! places a few metres apart are wrong together, and the distance between them
//! is far better known than either. [`Ground::distance`] counts that.

mod camera;
mod distances;
mod fit;
mod lens;
pub(crate) mod linear;

use protocol::Point;
use protocol::units::Metres;
use serde::{Deserialize, Serialize};

pub use camera::Camera;
pub use distances::{KnownDistance, fit_distances};
pub use fit::{FitError, Fitted, Sigmas, SurveyedPoint, fit_points};
pub use lens::Lens;

use crate::config::Fault;
use crate::geometry::Vector;

/// The newest version of a calibration that this program reads and writes.
pub const VERSION: u32 = 2;

/// A camera's calibration: what stands in a calibration file.
///
/// Version 1 had the matrix, its residual and the number of points, and is
/// still read: what it does not say is then unknown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Of the file's form; absent in version 1.
    #[serde(default = "first_version", skip_serializing_if = "is_first_version")]
    pub version: u32,
    /// Homography from normalised picture points to metres on the ground, row by row.
    pub image_to_ground: [[f64; 3]; 3],
    /// Root mean square distance of the surveyed points from where the homography puts them.
    pub residual_m: Metres,
    /// How many points were surveyed.
    pub points: usize,
    /// The lens, where its distortion was measured; the homography then holds
    /// for the picture without distortion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens: Option<Lens>,
    /// How well the homography is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<Uncertainty>,
}

fn first_version() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_first_version(version: &u32) -> bool {
    *version == 1
}

impl Calibration {
    /// Whether the ground's frame is left-handed as seen from above: distances
    /// and speeds are right, but left and right are exchanged. Most often the
    /// survey lists northing before easting.
    pub fn is_mirrored(&self) -> bool {
        let [a, b, c] = self.image_to_ground;
        let determinant = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0]);
        let weight = row_dot(&c, 0.5, 1.0);
        // The picture's y grows downwards, so a right-handed ground turns the other way round.
        determinant * weight > 0.0
    }
}

impl Default for Calibration {
    /// Ten metres to the picture, seen from straight above, of which nothing is known.
    fn default() -> Self {
        Self {
            version: 1,
            image_to_ground: [[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 1.0]],
            residual_m: Metres(0.0),
            points: 0,
            lens: None,
            uncertainty: None,
        }
    }
}

/// Covariance of a homography's eight degrees of freedom.
///
/// They are the entries a, b, c, d, e, f, g, h of the same map written around
/// the point `at`: with dx, dy counted from there, the ground is at
/// ((a·dx + b·dy + c) / w, (d·dx + e·dy + f) / w) with w = g·dx + h·dy + 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uncertainty {
    /// A point of the (undistorted) picture amid the surveyed ones.
    pub at: Point,
    /// Of a … h; metres, and fractions of the picture.
    pub covariance: [[f64; 8]; 8],
}

/// A checked [`Calibration`], with its inverse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ground {
    from_image: [[f64; 3]; 3],
    to_image: [[f64; 3]; 3],
    lens: Option<Lens>,
    uncertainty: Option<Uncertainty>,
    residual_m: f64,
}

impl Ground {
    /// Checks a calibration.
    pub fn new(calibration: &Calibration) -> Result<Self, Fault> {
        if calibration.version == 0 || calibration.version > VERSION {
            let version = calibration.version;
            return Err(Fault::new(
                "calibration.version",
                format!(
                    "is {version}, and this program reads up to {VERSION}; install a newer program, or calibrate again with this one"
                ),
            ));
        }
        if let Some(message) = calibration.lens.and_then(|lens| lens.fault()) {
            return Err(Fault::new("calibration.lens", message));
        }
        let fault = |message: &str| Fault::new("calibration.image_to_ground", message);
        let mut from_image = calibration.image_to_ground;
        if !from_image.iter().flatten().all(|v| v.is_finite()) {
            return Err(fault(
                "holds a number that is not finite; calibrate the camera again",
            ));
        }
        // A homography means the same at any scale. The sign is chosen so that
        // the third coordinate is positive in front of the camera, which for a
        // camera that looks at a road is where the bottom of the picture is.
        let weight = row_dot(&from_image[2], 0.5, 1.0);
        let size = from_image
            .iter()
            .flatten()
            .fold(0.0_f64, |most, v| most.max(v.abs()));
        if size == 0.0 || weight.abs() < 1e-9 * size {
            return Err(fault(
                "puts the bottom of the picture at the horizon; calibrate the camera again \
                 with points that are on the road and not all in one line",
            ));
        }
        for value in from_image.iter_mut().flatten() {
            *value /= weight;
        }
        let to_image = inverse(&from_image).ok_or_else(|| {
            fault(
                "cannot be inverted; calibrate the camera again with points that are not all \
                 in one line",
            )
        })?;
        if let Some(uncertainty) = &calibration.uncertainty {
            check_covariance(uncertainty)?;
        }
        Ok(Self {
            from_image,
            to_image,
            lens: calibration.lens,
            uncertainty: calibration.uncertainty,
            residual_m: calibration.residual_m.0.max(0.0),
        })
    }

    /// Where a point of the road surface is, in metres; `None` at and above the horizon.
    pub fn to_ground(&self, point: Point) -> Option<Vector> {
        let ideal = self.undistorted(point);
        // Weight 1 is the bottom middle of the picture and 0 the horizon; at a
        // hundredth, one pixel is some metres and no rule can use it.
        project(&self.from_image, ideal.x, ideal.y, 0.01)
    }

    /// The same with its covariance in m², from the calibration's and from that
    /// of the point itself, whose standard deviations are fractions of the
    /// picture's width and height.
    pub fn to_ground_with_covariance(
        &self,
        point: Point,
        point_sigma: [f64; 2],
    ) -> Option<(Vector, [[f64; 2]; 2])> {
        let place = self.to_ground(point)?;
        let slopes = self.slopes_by_point(self.undistorted(point), place);
        let mut covariance = [[0.0; 2]; 2];
        let by_matrix = self.slopes_by_matrix(point);
        for (row, values) in covariance.iter_mut().enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                *value = (0..2)
                    .map(|k| slopes[row][k] * slopes[column][k] * point_sigma[k] * point_sigma[k])
                    .sum();
                *value += match (&by_matrix, &self.uncertainty) {
                    (Some(by), Some(uncertainty)) => quadratic(uncertainty, &by[row], &by[column]),
                    // A calibration that does not say more: its residual, in every direction.
                    _ if row == column => self.residual_m * self.residual_m / 2.0,
                    _ => 0.0,
                };
            }
        }
        Some((place, covariance))
    }

    /// The distance between two points of the road surface and its standard
    /// deviation from the calibration alone, in metres. The errors of the two
    /// places are correlated, because they share one homography.
    pub fn distance(&self, from: Point, to: Point) -> Option<(f64, f64)> {
        let (a, b) = (self.to_ground(from)?, self.to_ground(to)?);
        let way = b - a;
        let along = way.unit()?;
        let Some(uncertainty) = &self.uncertainty else {
            return Some((way.length(), self.residual_m));
        };
        let (at_a, at_b) = (self.slopes_by_matrix(from)?, self.slopes_by_matrix(to)?);
        let slope: [f64; 8] = core::array::from_fn(|k| {
            along.x * (at_b[0][k] - at_a[0][k]) + along.y * (at_b[1][k] - at_a[1][k])
        });
        let variance = quadratic(uncertainty, &slope, &slope).max(0.0);
        Some((way.length(), variance.sqrt()))
    }

    /// Root mean square distance of the surveyed points from their mapped places, m.
    pub fn residual_m(&self) -> f64 {
        self.residual_m
    }

    /// The lens, if it distorts.
    pub fn lens(&self) -> Option<&Lens> {
        self.lens.as_ref()
    }

    /// A point as an ideal lens would show it.
    pub fn undistorted(&self, point: Point) -> Point {
        self.lens.map_or(point, |lens| lens.undistorted(point))
    }

    /// The map from the ground to the undistorted picture.
    pub(crate) fn ideal_to_image(&self) -> &[[f64; 3]; 3] {
        &self.to_image
    }

    /// How a place moves with its point: metres per fraction of the picture.
    fn slopes_by_point(&self, ideal: Point, place: Vector) -> [[f64; 2]; 2] {
        let m = &self.from_image;
        let weight = row_dot(&m[2], ideal.x, ideal.y);
        let slope =
            |row: usize, column: usize, at: f64| (m[row][column] - at * m[2][column]) / weight;
        [
            [slope(0, 0, place.x), slope(0, 1, place.x)],
            [slope(1, 0, place.y), slope(1, 1, place.y)],
        ]
    }

    /// How a place moves with the eight entries of [`Uncertainty`].
    fn slopes_by_matrix(&self, point: Point) -> Option<[[f64; 8]; 2]> {
        let at = self.uncertainty.as_ref()?.at;
        let ideal = self.undistorted(point);
        let place = self.to_ground(point)?;
        let (dx, dy) = (ideal.x - at.x, ideal.y - at.y);
        let middle = row_dot(&self.from_image[2], at.x, at.y);
        let weight = row_dot(&self.from_image[2], ideal.x, ideal.y) / middle;
        let (u, v, one) = (dx / weight, dy / weight, 1.0 / weight);
        Some([
            [u, v, one, 0.0, 0.0, 0.0, -place.x * u, -place.x * v],
            [0.0, 0.0, 0.0, u, v, one, -place.y * u, -place.y * v],
        ])
    }

    /// Where the ground's horizon is above or below this place of the picture, by
    /// the ideal lens; `None` where it is upright.
    pub(crate) fn horizon_at(&self, x: f64) -> Option<f64> {
        let row = &self.from_image[2];
        let y = -(row[0] * x + row[2]) / row[1];
        y.is_finite().then_some(y)
    }

    /// Where a place on the ground is in the picture; `None` behind the camera.
    pub fn to_image(&self, place: Vector) -> Option<Point> {
        let (m, x, y) = (&self.to_image, place.x, place.y);
        let weight = row_dot(&m[2], x, y);
        // The inverse of a matrix with weight w at a point has weight 1/w there.
        (weight > 0.0 && weight.is_finite()).then(|| {
            let ideal = Point {
                x: row_dot(&m[0], x, y) / weight,
                y: row_dot(&m[1], x, y) / weight,
            };
            self.lens.map_or(ideal, |lens| lens.distorted(ideal))
        })
    }
}

fn check_covariance(uncertainty: &Uncertainty) -> Result<(), Fault> {
    let c = &uncertainty.covariance;
    let symmetric =
        |i: usize, j: usize| (c[i][j] - c[j][i]).abs() <= 1e-6 * (c[i][i] * c[j][j]).abs().sqrt();
    let is_covariance = c.iter().flatten().all(|v| v.is_finite())
        && (0..8).all(|i| c[i][i] >= 0.0)
        && (0..8).all(|i| (0..i).all(|j| symmetric(i, j)));
    if is_covariance {
        return Ok(());
    }
    Err(Fault::new(
        "calibration.uncertainty.covariance",
        "is no covariance (symmetric, with a diagonal of at least 0); calibrate the camera again",
    ))
}

fn quadratic(uncertainty: &Uncertainty, a: &[f64; 8], b: &[f64; 8]) -> f64 {
    linear::quadratic(uncertainty.covariance.as_flattened(), a, b)
}

fn row_dot(row: &[f64; 3], x: f64, y: f64) -> f64 {
    row[0] * x + row[1] * y + row[2]
}

fn project(m: &[[f64; 3]; 3], x: f64, y: f64, least: f64) -> Option<Vector> {
    let weight = row_dot(&m[2], x, y);
    if weight < least || !weight.is_finite() {
        return None;
    }
    let place = Vector::new(row_dot(&m[0], x, y) / weight, row_dot(&m[1], x, y) / weight);
    (place.x.is_finite() && place.y.is_finite()).then_some(place)
}

fn inverse(m: &[[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let minor = |r: usize, c: usize| {
        let (r1, r2) = ((r + 1) % 3, (r + 2) % 3);
        let (c1, c2) = ((c + 1) % 3, (c + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant = m[0][0] * minor(0, 0) + m[0][1] * minor(0, 1) + m[0][2] * minor(0, 2);
    let rows: f64 = m
        .iter()
        .map(|row| row.iter().map(|v| v * v).sum::<f64>().sqrt())
        .product();
    // Relative to the largest determinant that rows of these lengths could
    // have (Hadamard), so the test does not depend on the unit.
    if determinant.abs() <= 1e-12 * rows || !determinant.is_finite() {
        return None;
    }
    let mut result = [[0.0; 3]; 3];
    for (r, row) in result.iter_mut().enumerate() {
        for (c, value) in row.iter_mut().enumerate() {
            *value = minor(c, r) / determinant;
        }
    }
    Some(result)
}

#[cfg(test)]
pub(crate) mod tests;
