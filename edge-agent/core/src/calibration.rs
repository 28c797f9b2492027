//! From the picture to the ground: a homography, made elsewhere from surveyed points.
//!
//! Holds for points on the road surface only, so it is applied to ground
//! contact points and to nothing above them. Refuses a matrix that cannot be
//! turned back, and points at or above the horizon: their place on the ground
//! is not large but meaningless.

use protocol::Point;
use protocol::units::Metres;
use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::geometry::Vector;

/// A camera's calibration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Homography from normalised picture points to metres on the ground, row by row.
    pub image_to_ground: [[f64; 3]; 3],
    /// Root mean square distance of the surveyed points from where the homography puts them.
    pub residual_m: Metres,
    /// How many points were surveyed.
    pub points: usize,
}

/// A checked [`Calibration`], with its inverse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ground {
    to_ground: [[f64; 3]; 3],
    to_image: [[f64; 3]; 3],
}

impl Ground {
    /// Checks a calibration.
    pub fn new(calibration: &Calibration) -> Result<Self, Fault> {
        let fault = |message: &str| Fault::new("calibration.image_to_ground", message);
        let mut to_ground = calibration.image_to_ground;
        if !to_ground.iter().flatten().all(|v| v.is_finite()) {
            return Err(fault(
                "holds a number that is not finite; calibrate the camera again",
            ));
        }
        // A homography means the same at any scale. The sign is chosen so that
        // the third coordinate is positive in front of the camera, which for a
        // camera that looks at a road is where the bottom of the picture is.
        let weight = row_dot(&to_ground[2], 0.5, 1.0);
        let size = to_ground
            .iter()
            .flatten()
            .fold(0.0_f64, |most, v| most.max(v.abs()));
        if size == 0.0 || weight.abs() < 1e-9 * size {
            return Err(fault(
                "puts the bottom of the picture at the horizon; calibrate the camera again \
                 with points that are on the road and not all in one line",
            ));
        }
        for value in to_ground.iter_mut().flatten() {
            *value /= weight;
        }
        let to_image = inverse(&to_ground).ok_or_else(|| {
            fault(
                "cannot be inverted; calibrate the camera again with points that are not all \
                 in one line",
            )
        })?;
        Ok(Self {
            to_ground,
            to_image,
        })
    }

    /// Where a point of the road surface is, in metres; `None` at and above the horizon.
    pub fn to_ground(&self, point: Point) -> Option<Vector> {
        // Weight 1 is the bottom middle of the picture and 0 the horizon; at a
        // hundredth, one pixel is some metres and no rule can use it.
        project(&self.to_ground, point.x, point.y, 0.01)
    }

    /// Where a place on the ground is in the picture; `None` behind the camera.
    pub fn to_image(&self, place: Vector) -> Option<Point> {
        let (m, x, y) = (&self.to_image, place.x, place.y);
        let weight = row_dot(&m[2], x, y);
        // The inverse of a matrix with weight w at a point has weight 1/w there.
        (weight > 0.0 && weight.is_finite()).then(|| Point {
            x: row_dot(&m[0], x, y) / weight,
            y: row_dot(&m[1], x, y) / weight,
        })
    }
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
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A camera on a pole 8 m above the origin that looks along y, pitched
    /// down so that the horizon is at 0.2 of the picture.
    pub(crate) fn pole_camera() -> Calibration {
        // y_image = 0.2 + 8/Y and x_image = 0.5 + X/Y: so Y = 8/(y−0.2), X = (x−0.5)·Y.
        Calibration {
            image_to_ground: [[8.0, 0.0, -4.0], [0.0, 0.0, 8.0], [0.0, 1.0, -0.2]],
            residual_m: Metres(0.1),
            points: 6,
        }
    }

    #[test]
    fn the_horizon_and_the_sky_are_nowhere_on_the_ground() {
        let ground = Ground::new(&pole_camera()).unwrap();
        assert_eq!(ground.to_ground(Point { x: 0.5, y: 0.2 }), None);
        assert_eq!(ground.to_ground(Point { x: 0.5, y: 0.1 }), None);
        let near = ground.to_ground(Point { x: 0.5, y: 1.0 }).unwrap();
        assert!((near.y - 10.0).abs() < 1e-9 && near.x.abs() < 1e-9);
    }

    #[test]
    fn a_matrix_of_either_sign_means_the_same() {
        let positive = pole_camera();
        let mut negative = positive;
        for value in negative.image_to_ground.iter_mut().flatten() {
            *value *= -3.0;
        }
        let p = Point { x: 0.3, y: 0.7 };
        let (a, b) = (
            Ground::new(&positive).unwrap().to_ground(p).unwrap(),
            Ground::new(&negative).unwrap().to_ground(p).unwrap(),
        );
        assert!((a - b).length() < 1e-9);
    }

    #[test]
    fn a_calibration_that_leads_nowhere_is_refused_with_what_to_do() {
        for matrix in [
            [[0.0; 3]; 3],
            [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
            [[1.0, 0.0, f64::NAN], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, -1.0]],
        ] {
            let calibration = Calibration {
                image_to_ground: matrix,
                residual_m: Metres(0.0),
                points: 4,
            };
            let fault = Ground::new(&calibration).unwrap_err();
            assert_eq!(fault.path, "calibration.image_to_ground");
            assert!(
                fault.message.contains("calibrate the camera again"),
                "{fault}"
            );
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_point(x in 0.0..1.0_f64, y in 0.25..1.0_f64) {
            let ground = Ground::new(&pole_camera()).unwrap();
            let place = ground.to_ground(Point { x, y }).unwrap();
            let back = ground.to_image(place).unwrap();
            prop_assert!((back.x - x).abs() < 1e-9 && (back.y - y).abs() < 1e-9);
        }
    }
}
