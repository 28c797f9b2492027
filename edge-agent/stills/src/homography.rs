//! The map from the picture to the ground, from surveyed points.
//!
//! OpenCV's calib3d does the estimation (linear solution, then
//! Levenberg–Marquardt on the error in metres). Around it
//! stand three things it leaves to the caller: it narrows every coordinate to
//! 32 bits, in which a UTM northing is only good for a quarter of a metre, so
//! both sides are centred and scaled first and the result is refined once more
//! in 64 bits; it returns a matrix for degenerate points, so `survey` refuses
//! them; and it does not mind a horizon between the points, so that is refused
//! afterwards.
//!
//! Lens distortion is not modelled: where it matters the residuals show it.

use opencv::core::{self, Mat, MatTraitConst, Point2d, Vector};
use opencv::{calib3d, prelude::MatTraitConstManual};
use protocol::Point;
use protocol::units::Metres;

use crate::single_threaded;
use crate::survey::{CalibrationError, Survey, check, isotropic};

/// Maps places in the picture to metres on the ground.
#[derive(Clone, Debug, PartialEq)]
pub struct Homography {
    /// Rows of the matrix that takes `(x, y, 1)` in the normalised picture to
    /// metres times a third coordinate.
    ///
    /// Scaled so that the third coordinate is 1 at the middle of the surveyed
    /// points, positive in front of the camera, zero on the horizon.
    pub matrix: [[f64; 3]; 3],
    /// Root mean square of the distances in `per_point_m`.
    ///
    /// Zero by construction of four points: they fit exactly, also when one was
    /// measured wrongly.
    pub residual_m: Metres,
    /// For every surveyed point the distance between its measured and its
    /// mapped place on the ground, in metres.
    pub per_point_m: Vec<f64>,
}

impl Homography {
    /// Whether the ground's frame is left-handed as seen from above.
    ///
    /// Distances and speeds are right, but headings and left and right are
    /// not. Most often the survey lists northing before easting, as VN-2000
    /// sheets do: exchange the two numbers of every point. With four points it
    /// may also be that two of them are swapped.
    pub fn is_mirrored(&self) -> bool {
        let [a, b, c] = self.matrix;
        let determinant = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0]);
        // The picture's y grows downwards, so a right-handed ground turns the other way round.
        determinant > 0.0
    }

    /// The place on the ground in metres, or nothing at and above the horizon.
    pub fn to_ground(&self, image: Point) -> Option<[f64; 2]> {
        let [x, y, w] = self.matrix.map(|[a, b, c]| a * image.x + b * image.y + c);
        (w > 0.0).then(|| [x / w, y / w])
    }
}

/// Least squares over all points; `aspect` is the displayed picture's width divided by its height.
///
/// Refuses fewer than four points, points outside the picture, coinciding or
/// collinear points, and a fit whose horizon runs through the points.
pub fn estimate_homography(points: &[Survey], aspect: f64) -> Result<Homography, CalibrationError> {
    check(points, aspect)?;
    let frame = Frame::around(points, aspect);
    let failed = |source| CalibrationError::OpenCv {
        points: points.len(),
        source,
    };
    let rough = frame.find(points).map_err(failed)?;
    let refined = frame.refine(rough, points).map_err(failed)?;
    let matrix = frame.leave(refined);

    // The third coordinate is one over the distance from the horizon, as a
    // share of that at the middle. A thousandth is a thousand times as far.
    let is_behind = |point: &usize| {
        let Point { x, y } = points[*point].image;
        let [a, b, c] = matrix[2];
        let w = a * x + b * y + c;
        w.is_nan() || w < 1e-3
    };
    let behind: Vec<usize> = (0..points.len()).filter(is_behind).collect();
    if !behind.is_empty() {
        return Err(CalibrationError::AcrossHorizon { points: behind });
    }

    let mut homography = Homography {
        matrix,
        residual_m: Metres(0.0),
        per_point_m: Vec::new(),
    };
    homography.per_point_m = points
        .iter()
        .map(|point| match homography.to_ground(point.image) {
            Some([x, y]) => (x - point.ground[0]).hypot(y - point.ground[1]),
            None => f64::INFINITY,
        })
        .collect();
    let squares: f64 = homography.per_point_m.iter().map(|m| m * m).sum();
    homography.residual_m = Metres((squares / points.len() as f64).sqrt());
    Ok(homography)
}

/// Middle and mean extent of some places; inside, they are of the order of 1.
struct Scaling {
    middle: [f64; 2],
    scale: f64,
}

impl Scaling {
    fn of(places: &[[f64; 2]]) -> Self {
        let count = places.len() as f64;
        let middle = [0, 1].map(|axis| places.iter().map(|p| p[axis]).sum::<f64>() / count);
        let mean = places
            .iter()
            .map(|p| (p[0] - middle[0]).hypot(p[1] - middle[1]))
            .sum::<f64>()
            / count;
        Self {
            middle,
            // Hartley's choice: the typical point is then at (1, 1).
            scale: mean / std::f64::consts::SQRT_2,
        }
    }

    fn enter(&self, place: [f64; 2]) -> Point2d {
        Point2d::new(
            (place[0] - self.middle[0]) / self.scale,
            (place[1] - self.middle[1]) / self.scale,
        )
    }
}

/// The well-conditioned frame in which the estimation happens.
struct Frame {
    aspect: f64,
    picture: Scaling,
    ground: Scaling,
}

type Matrix = [[f64; 3]; 3];

impl Frame {
    fn around(points: &[Survey], aspect: f64) -> Self {
        let picture: Vec<_> = points.iter().map(|p| isotropic(p.image, aspect)).collect();
        let ground: Vec<_> = points.iter().map(|p| p.ground).collect();
        Self {
            aspect,
            picture: Scaling::of(&picture),
            ground: Scaling::of(&ground),
        }
    }

    fn enter(&self, point: &Survey) -> (Point2d, Point2d) {
        (
            self.picture.enter(isotropic(point.image, self.aspect)),
            self.ground.enter(point.ground),
        )
    }

    fn find(&self, points: &[Survey]) -> opencv::Result<Matrix> {
        // Least squares over all of them, which has no tolerance.
        const ALL: i32 = 0;
        single_threaded()?;
        let (from, to): (Vector<Point2d>, Vector<Point2d>) =
            points.iter().map(|point| self.enter(point)).unzip();
        let found = calib3d::find_homography(&from, &to, &mut core::no_array(), ALL, 0.0)?;
        if found.empty() {
            return Err(opencv::Error::new(
                core::StsNoConv,
                "findHomography returned no matrix",
            ));
        }
        let mut matrix = [[0.0; 3]; 3];
        for (row, values) in (0..).zip(&mut matrix) {
            for (column, value) in (0..).zip(values) {
                *value = *found.at_2d::<f64>(row, column)?;
            }
        }
        Ok(matrix)
    }

    /// Gauss–Newton on the error on the ground, in 64 bits.
    ///
    /// The last entry stays at 1: it belongs to the middle of the points,
    /// which is never on the horizon of a fit that is accepted.
    fn refine(&self, rough: Matrix, points: &[Survey]) -> opencv::Result<Matrix> {
        const STEPS: usize = 8;
        let pairs: Vec<_> = points.iter().map(|point| self.enter(point)).collect();
        let rows = 2 * i32::try_from(pairs.len())?;
        let mut best = rough;
        let mut error = squared_error(&best, &pairs);
        for _ in 0..STEPS {
            let mut slopes = Vec::with_capacity(pairs.len() * 16);
            let mut misses = Vec::with_capacity(pairs.len() * 2);
            for (from, to) in &pairs {
                let (at, w) = apply(&best, *from);
                // The slopes of `at` by the first eight entries.
                let [u, v, one] = [from.x / w, from.y / w, 1.0 / w];
                slopes.extend([u, v, one, 0.0, 0.0, 0.0, -u * at.x, -v * at.x]);
                slopes.extend([0.0, 0.0, 0.0, u, v, one, -u * at.y, -v * at.y]);
                misses.extend([to.x - at.x, to.y - at.y]);
            }
            let slopes = Mat::new_rows_cols_with_data(rows, 8, &slopes)?;
            let misses = Mat::new_rows_cols_with_data(rows, 1, &misses)?;
            let mut step = Mat::default();
            if !core::solve(&slopes, &misses, &mut step, core::DECOMP_SVD)? {
                break;
            }
            let mut next = best;
            for (entry, change) in next.as_flattened_mut().iter_mut().zip(step.data_typed()?) {
                *entry += change;
            }
            let next_error = squared_error(&next, &pairs);
            // NaN compares false, so a step into nonsense ends it too.
            if next_error < error {
                (best, error) = (next, next_error);
            } else {
                break;
            }
        }
        Ok(best)
    }

    /// Back to the normalised picture and to metres.
    fn leave(&self, inner: Matrix) -> Matrix {
        let Scaling { middle, scale } = &self.picture;
        let enter = [
            [self.aspect / scale, 0.0, -middle[0] / scale],
            [0.0, 1.0 / scale, -middle[1] / scale],
            [0.0, 0.0, 1.0],
        ];
        let Scaling { middle, scale } = &self.ground;
        let leave = [
            [*scale, 0.0, middle[0]],
            [0.0, *scale, middle[1]],
            [0.0, 0.0, 1.0],
        ];
        product(&leave, &product(&inner, &enter))
    }
}

/// The mapped place, and the third coordinate it was divided by.
fn apply(matrix: &Matrix, at: Point2d) -> (Point2d, f64) {
    let [x, y, w] = matrix.map(|[a, b, c]| a * at.x + b * at.y + c);
    (Point2d::new(x / w, y / w), w)
}

fn squared_error(matrix: &Matrix, pairs: &[(Point2d, Point2d)]) -> f64 {
    pairs
        .iter()
        .map(|(from, to)| {
            let (at, _) = apply(matrix, *from);
            (at.x - to.x).powi(2) + (at.y - to.y).powi(2)
        })
        .sum()
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let mut out = [[0.0; 3]; 3];
    for (row, values) in out.iter_mut().enumerate() {
        for (column, value) in values.iter_mut().enumerate() {
            *value = (0..3).map(|k| a[row][k] * b[k][column]).sum();
        }
    }
    out
}
