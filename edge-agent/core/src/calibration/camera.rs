//! What a homography says of the camera itself: focal length, height, place.
//!
//! With square pixels and the principal point in the middle, the two columns of
//! the map from ground to picture are at right angles and equally long for one
//! focal length only. That gives the third column, so that points *above* the
//! road can be projected as well. A camera that looks straight down has no
//! horizon and no such focal length: then there is no [`Camera`].

use protocol::Point;

use super::Ground;
use crate::geometry::Vector;

/// A pinhole camera over the ground plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Takes `(x, y, z, 1)` in metres to the isotropic picture around the
    /// principal point, in picture heights, times the distance.
    projection: [[f64; 4]; 3],
    aspect: f64,
    principal: Point,
    /// Focal length in picture heights.
    pub focal: f64,
    /// Height above the road, m.
    pub height_m: f64,
    /// The place on the ground below the camera.
    pub below: Vector,
}

/// No traffic camera has a shorter or a longer lens, in picture heights.
const FOCAL: (f64, f64) = (0.2, 25.0);
/// Lower and higher, a camera over a road is a mistake, m.
const HEIGHT_M: (f64, f64) = (0.5, 300.0);

impl Camera {
    /// From a calibration and the picture's width over height.
    pub fn of(ground: &Ground, aspect: f64) -> Option<Self> {
        let to_image = ground.ideal_to_image();
        let principal = ground
            .lens()
            .map_or(Point { x: 0.5, y: 0.5 }, |lens| Point {
                x: lens.cx,
                y: lens.cy,
            });
        // Around the principal point, in picture heights: (x − ½)·aspect, y − ½.
        let mut m = [[0.0; 3]; 3];
        for column in 0..3 {
            let w = to_image[2][column];
            m[0][column] = (to_image[0][column] - principal.x * w) * aspect;
            m[1][column] = to_image[1][column] - principal.y * w;
            m[2][column] = w;
        }
        let focal = ground.lens().map_or_else(
            || focal_length(&m),
            |lens| Some((lens.fx * aspect * lens.fy).sqrt()),
        )?;
        if !(FOCAL.0..=FOCAL.1).contains(&focal) {
            return None;
        }
        // K⁻¹ M = λ [r1 r2 t].
        let column = |c: usize| [m[0][c] / focal, m[1][c] / focal, m[2][c]];
        let (r1, r2, t) = (column(0), column(1), column(2));
        let length = |v: [f64; 3]| dot(v, v).sqrt();
        let scale = (length(r1) * length(r2)).sqrt();
        if scale.is_nan() || scale <= 0.0 {
            return None;
        }
        let mut up = cross(r1, r2).map(|v| v / scale);
        // The camera's centre is −Rᵀt.
        let of_centre = |axis: [f64; 3]| -dot(axis, t) / (scale * scale);
        let mut height_m = of_centre(up);
        if height_m < 0.0 {
            // The ground's frame is left-handed as seen from above.
            up = up.map(|v| -v);
            height_m = -height_m;
        }
        if !(HEIGHT_M.0..=HEIGHT_M.1).contains(&height_m) {
            return None;
        }
        let up = [up[0] * focal, up[1] * focal, up[2]];
        let mut projection = [[0.0; 4]; 3];
        for (row, values) in projection.iter_mut().enumerate() {
            *values = [m[row][0], m[row][1], up[row], m[row][2]];
        }
        Some(Self {
            projection,
            aspect,
            principal,
            focal,
            height_m,
            below: Vector::new(of_centre(r1), of_centre(r2)),
        })
    }

    /// A point of the undistorted picture in the coordinates of [`Camera::project`].
    pub fn from_principal(&self, ideal: Point) -> Vector {
        Vector::new(
            (ideal.x - self.principal.x) * self.aspect,
            ideal.y - self.principal.y,
        )
    }

    /// Where a point `z` metres above a place on the ground is in the isotropic
    /// undistorted picture, from the principal point, in picture heights;
    /// `None` behind the camera.
    pub fn project(&self, place: Vector, z: f64) -> Option<Vector> {
        let [u, v, w] = self
            .projection
            .map(|[a, b, c, d]| a * place.x + b * place.y + c * z + d);
        (w > 1e-9).then(|| Vector::new(u / w, v / w))
    }
}

/// The focal length for which the first two columns are at right angles and
/// equally long, by least squares over both conditions: the answer does not
/// depend on how the ground's axes lie.
fn focal_length(m: &[[f64; 3]; 3]) -> Option<f64> {
    let across = m[0][0] * m[0][1] + m[1][0] * m[1][1];
    let unequal = m[0][0] * m[0][0] + m[1][0] * m[1][0] - m[0][1] * m[0][1] - m[1][1] * m[1][1];
    let (c1, c2) = (m[2][0], m[2][1]);
    let (product, difference) = (c1 * c2, c1 * c1 - c2 * c2);
    let below = 4.0 * product * product + difference * difference;
    let squared = -(4.0 * across * product + unequal * difference) / below;
    (squared.is_finite() && squared > 0.0).then(|| squared.sqrt())
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}
