//! Places in a picture, as fractions of its width and height.
//!
//! (0, 0) is the top left corner, (1, 1) the bottom right, so a change of
//! stream resolution moves nothing.

use serde::{Deserialize, Serialize};

/// A place in the picture; in JSON and TOML `[x, y]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Point {
    /// Fraction of the picture's width, from the left.
    pub x: f64,
    /// Fraction of the picture's height, from the top.
    pub y: f64,
}

impl From<[f64; 2]> for Point {
    fn from([x, y]: [f64; 2]) -> Self {
        Self { x, y }
    }
}

impl From<Point> for [f64; 2] {
    fn from(point: Point) -> Self {
        [point.x, point.y]
    }
}

/// An upright rectangle in the picture; in JSON and TOML `[left, top, width, height]`.
///
/// It may reach beyond the picture where the object does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 4]", into = "[f64; 4]")]
pub struct NormBox {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width, a fraction of the picture's.
    pub width: f64,
    /// Height, a fraction of the picture's.
    pub height: f64,
}

impl NormBox {
    /// Right edge.
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    /// Bottom edge.
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// Where the object touches the ground: the middle of the bottom edge.
    pub fn foot(&self) -> Point {
        Point {
            x: self.x + self.width / 2.0,
            y: self.bottom(),
        }
    }

    /// The middle.
    pub fn centre(&self) -> Point {
        Point {
            x: self.x + self.width / 2.0,
            y: self.y + self.height / 2.0,
        }
    }

    /// Area as a fraction of the picture's; 0 for a box that is inside out.
    pub fn area(&self) -> f64 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    /// Intersection over union, 0 to 1.
    pub fn iou(&self, other: &Self) -> f64 {
        let width = self.right().min(other.right()) - self.x.max(other.x);
        let height = self.bottom().min(other.bottom()) - self.y.max(other.y);
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let shared = width * height;
        shared / (self.area() + other.area() - shared)
    }
}

impl From<[f64; 4]> for NormBox {
    fn from([x, y, width, height]: [f64; 4]) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }
}

impl From<NormBox> for [f64; 4] {
    fn from(b: NormBox) -> Self {
        [b.x, b.y, b.width, b.height]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_shared_area_over_joint_area() {
        let a = NormBox::from([0.0, 0.0, 0.2, 0.2]);
        let b = NormBox::from([0.1, 0.0, 0.2, 0.2]);
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(a.iou(&NormBox::from([0.2, 0.2, 0.1, 0.1])), 0.0);
    }
}
