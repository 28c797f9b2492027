//! Lens distortion after Brown, as OpenCV's calib3d and most makers state it.
//!
//! Focal lengths and the principal point are fractions of the picture's width
//! and height, so a lens means the same at any resolution of one camera.

use protocol::Point;
use serde::{Deserialize, Serialize};

/// A lens: pinhole with radial and tangential distortion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lens {
    /// Focal length, in picture widths.
    pub fx: f64,
    /// Focal length, in picture heights.
    pub fy: f64,
    /// Principal point, as a fraction of the picture's width.
    #[serde(default = "half")]
    pub cx: f64,
    /// Principal point, as a fraction of the picture's height.
    #[serde(default = "half")]
    pub cy: f64,
    /// Radial distortion, second order.
    #[serde(default)]
    pub k1: f64,
    /// Radial distortion, fourth order.
    #[serde(default)]
    pub k2: f64,
    /// Tangential distortion.
    #[serde(default)]
    pub p1: f64,
    /// Tangential distortion.
    #[serde(default)]
    pub p2: f64,
    /// Radial distortion, sixth order.
    #[serde(default)]
    pub k3: f64,
}

fn half() -> f64 {
    0.5
}

/// Iterations of the inverse: each gains about a digit for a strong wide angle.
const ITERATIONS: usize = 24;

impl Lens {
    /// What speaks against a lens as written.
    pub fn fault(&self) -> Option<&'static str> {
        let numbers = [
            self.fx, self.fy, self.cx, self.cy, self.k1, self.k2, self.p1, self.p2, self.k3,
        ];
        if !numbers.iter().all(|v| v.is_finite()) {
            return Some("holds a number that is not finite");
        }
        if !(0.1..=20.0).contains(&self.fx) || !(0.1..=20.0).contains(&self.fy) {
            return Some(
                "has a focal length that no lens has; divide fx by the picture's width and fy by \
                 its height in pixels",
            );
        }
        if !(0.0..=1.0).contains(&self.cx) || !(0.0..=1.0).contains(&self.cy) {
            return Some(
                "has its principal point outside the picture; divide cx by the picture's width \
                 and cy by its height in pixels",
            );
        }
        // Where the picture's corner does not come back, the coefficients fold
        // the picture over itself: two places of the road at one point.
        let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
        let folds = corners.iter().any(|&(x, y)| {
            let there = self.undistorted(Point { x, y });
            let back = self.distorted(there);
            !((back.x - x).abs() < 1e-4 && (back.y - y).abs() < 1e-4)
        });
        folds.then_some(
            "bends the picture's corners over themselves; check the signs and the order of k1, \
             k2, p1, p2, k3",
        )
    }

    /// Where an ideal lens would show what this one shows at `point`.
    pub fn undistorted(&self, point: Point) -> Point {
        let seen = ((point.x - self.cx) / self.fx, (point.y - self.cy) / self.fy);
        let mut ideal = seen;
        for _ in 0..ITERATIONS {
            let (radial, tx, ty) = self.bend(ideal);
            if radial.is_nan() || radial <= 0.05 {
                break;
            }
            ideal = ((seen.0 - tx) / radial, (seen.1 - ty) / radial);
        }
        Point {
            x: ideal.0 * self.fx + self.cx,
            y: ideal.1 * self.fy + self.cy,
        }
    }

    /// Where this lens shows what an ideal one would show at `point`.
    pub fn distorted(&self, point: Point) -> Point {
        let ideal = ((point.x - self.cx) / self.fx, (point.y - self.cy) / self.fy);
        let (radial, tx, ty) = self.bend(ideal);
        Point {
            x: (ideal.0 * radial + tx) * self.fx + self.cx,
            y: (ideal.1 * radial + ty) * self.fy + self.cy,
        }
    }

    fn bend(&self, (x, y): (f64, f64)) -> (f64, f64, f64) {
        let r2 = x * x + y * y;
        let radial = 1.0 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3));
        let tx = 2.0 * self.p1 * x * y + self.p2 * (r2 + 2.0 * x * x);
        let ty = self.p1 * (r2 + 2.0 * y * y) + 2.0 * self.p2 * x * y;
        (radial, tx, ty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDE: Lens = Lens {
        fx: 0.62,
        fy: 1.1,
        cx: 0.51,
        cy: 0.49,
        k1: -0.28,
        k2: 0.07,
        p1: 0.0008,
        p2: -0.0005,
        k3: -0.004,
    };

    #[test]
    fn a_lens_in_pixels_or_with_a_folding_picture_is_refused() {
        assert_eq!(WIDE.fault(), None);
        let pixels = Lens { fx: 1190.0, ..WIDE };
        assert!(pixels.fault().unwrap().contains("divide fx"));
        let folding = Lens { k1: -2.0, ..WIDE };
        assert!(folding.fault().unwrap().contains("signs"));
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_point(x in 0.0..1.0_f64, y in 0.0..1.0_f64) {
            let back = WIDE.distorted(WIDE.undistorted(Point { x, y }));
            prop_assert!((back.x - x).abs() < 1e-6 && (back.y - y).abs() < 1e-6);
        }
    }
}
