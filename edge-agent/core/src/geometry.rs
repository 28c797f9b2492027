//! Plane geometry on pictures and on the ground.
//!
//! Zones, lines and boxes are normalised to the picture, whose pixels are then
//! not square. What depends on angles and lengths is therefore done in the
//! *isotropic* picture: x times the aspect ratio, so that one unit is one
//! picture height in every direction. What does not (containment,
//! intersection) is done on normalised points as they are.

use protocol::{NormBox, Point};

/// A position or a displacement with equal units on both axes: isotropic
/// picture heights, or metres on the ground.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vector {
    /// Rightwards in the picture, or the ground's first axis.
    pub x: f64,
    /// Downwards in the picture, or the ground's second axis.
    pub y: f64,
}

impl Vector {
    /// From two coordinates.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// A normalised point in the isotropic picture.
    pub fn isotropic(point: Point, aspect: f64) -> Self {
        Self::new(point.x * aspect, point.y)
    }

    /// Length, in the vector's unit.
    pub fn length(self) -> f64 {
        // `sqrt` is correctly rounded on every platform; `hypot` is not.
        self.dot(self).sqrt()
    }

    /// Scalar product.
    pub fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y
    }

    /// z component of the vector product: positive when `other` lies clockwise in the picture.
    pub fn cross(self, other: Self) -> f64 {
        self.x * other.y - self.y * other.x
    }

    /// The distance from the nearest point of a segment.
    pub fn distance_to_segment(self, (a, b): (Self, Self)) -> f64 {
        let along = b - a;
        let squared = along.dot(along);
        let part = if squared > 0.0 {
            ((self - a).dot(along) / squared).clamp(0.0, 1.0)
        } else {
            0.0
        };
        (self - (a + along * part)).length()
    }

    /// The same direction with length 1; `None` for no direction.
    pub fn unit(self) -> Option<Self> {
        let length = self.length();
        (length > 1e-12 && length.is_finite()).then(|| Self::new(self.x / length, self.y / length))
    }

    /// Angle to `other` in degrees, 0 to 180.
    pub fn angle_degrees(self, other: Self) -> f64 {
        libm::atan2(self.cross(other).abs(), self.dot(other)).to_degrees()
    }
}

impl core::ops::Sub for Vector {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }
}

impl core::ops::Add for Vector {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y)
    }
}

impl core::ops::Mul<f64> for Vector {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self::new(self.x * factor, self.y * factor)
    }
}

/// Which side of a → b a point lies on: positive, negative, or 0 for on the line.
fn side(a: Point, b: Point, p: Point) -> f64 {
    (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)
}

/// Whether `p`, known to be in line with a and b, lies between them.
fn within_bounds(a: Point, b: Point, p: Point) -> bool {
    p.x >= a.x.min(b.x) && p.x <= a.x.max(b.x) && p.y >= a.y.min(b.y) && p.y <= a.y.max(b.y)
}

/// Whether two closed segments share a point.
pub fn segments_meet((a, b): (Point, Point), (c, d): (Point, Point)) -> bool {
    let (d1, d2) = (side(c, d, a), side(c, d, b));
    let (d3, d4) = (side(a, b, c), side(a, b, d));
    if d1 * d2 < 0.0 && d3 * d4 < 0.0 {
        return true;
    }
    (d1 == 0.0 && within_bounds(c, d, a))
        || (d2 == 0.0 && within_bounds(c, d, b))
        || (d3 == 0.0 && within_bounds(a, b, c))
        || (d4 == 0.0 && within_bounds(a, b, d))
}

/// Whether a simple polygon contains a point (even-odd rule).
///
/// A point on an edge belongs to exactly one of two polygons that share the
/// edge, so a road user is never in both of two neighbouring zones.
pub fn polygon_contains(polygon: &[Point], p: Point) -> bool {
    let mut inside = false;
    let mut previous = match polygon.last() {
        Some(last) => *last,
        None => return false,
    };
    for &current in polygon {
        if (current.y > p.y) != (previous.y > p.y) {
            let at =
                (previous.x - current.x) * (p.y - current.y) / (previous.y - current.y) + current.x;
            if p.x < at {
                inside = !inside;
            }
        }
        previous = current;
    }
    inside
}

/// How far inside the boundary of a simple polygon a point is, in picture
/// heights; negative outside.
pub fn distance_inside(polygon: &[Point], p: Point, aspect: f64) -> f64 {
    let point = Vector::isotropic(p, aspect);
    let mut nearest = f64::INFINITY;
    for (i, a) in polygon.iter().enumerate() {
        let a = Vector::isotropic(*a, aspect);
        let edge = Vector::isotropic(polygon[(i + 1) % polygon.len()], aspect) - a;
        let along = (point - a).dot(edge) / edge.dot(edge).max(1e-18);
        nearest = nearest.min((point - a - edge * along.clamp(0.0, 1.0)).length());
    }
    if polygon_contains(polygon, p) {
        nearest
    } else {
        -nearest
    }
}

/// Area of a simple polygon, as a fraction of the picture.
pub fn polygon_area(polygon: &[Point]) -> f64 {
    let mut twice = 0.0;
    for (i, a) in polygon.iter().enumerate() {
        let b = polygon[(i + 1) % polygon.len()];
        twice += a.x * b.y - b.x * a.y;
    }
    twice.abs() / 2.0
}

/// The first two edges of a polygon that cross or touch although they are not
/// neighbours, by the index of their first corner.
pub fn crossing_edges(polygon: &[Point]) -> Option<(usize, usize)> {
    let n = polygon.len();
    let edge = |i: usize| (polygon[i], polygon[(i + 1) % n]);
    for i in 0..n {
        for j in i + 1..n {
            let neighbours = j == i + 1 || (i == 0 && j == n - 1);
            if !neighbours && segments_meet(edge(i), edge(j)) {
                return Some((i, j));
            }
        }
    }
    None
}

/// A box in the isotropic picture, by its centre.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IsoBox {
    /// Centre.
    pub centre: Vector,
    /// Width in picture heights.
    pub width: f64,
    /// Height in picture heights.
    pub height: f64,
}

impl IsoBox {
    /// From a normalised box of a picture of this aspect ratio.
    pub fn new(bounds: &NormBox, aspect: f64) -> Self {
        Self {
            centre: Vector::isotropic(bounds.centre(), aspect),
            width: bounds.width * aspect,
            height: bounds.height,
        }
    }

    /// Back to normalised.
    pub fn normalised(&self, aspect: f64) -> NormBox {
        NormBox {
            x: (self.centre.x - self.width / 2.0) / aspect,
            y: self.centre.y - self.height / 2.0,
            width: self.width / aspect,
            height: self.height,
        }
    }

    /// The smallest box around this and another.
    #[must_use]
    pub fn around(&self, other: &Self) -> Self {
        let span = |c: f64, e: f64, oc: f64, oe: f64| {
            let least = (c - e / 2.0).min(oc - oe / 2.0);
            let most = (c + e / 2.0).max(oc + oe / 2.0);
            (f64::midpoint(least, most), most - least)
        };
        let (x, width) = span(self.centre.x, self.width, other.centre.x, other.width);
        let (y, height) = span(self.centre.y, self.height, other.centre.y, other.height);
        Self {
            centre: Vector { x, y },
            width,
            height,
        }
    }

    /// The box grown by a fraction of its own size on every side.
    #[must_use]
    pub fn grown(&self, by: f64) -> Self {
        Self {
            centre: self.centre,
            width: self.width * (1.0 + 2.0 * by),
            height: self.height * (1.0 + 2.0 * by),
        }
    }

    /// Shared area.
    pub fn overlap(&self, other: &Self) -> f64 {
        let span = |c: f64, e: f64, oc: f64, oe: f64| {
            ((c + e / 2.0).min(oc + oe / 2.0) - (c - e / 2.0).max(oc - oe / 2.0)).max(0.0)
        };
        span(self.centre.x, self.width, other.centre.x, other.width)
            * span(self.centre.y, self.height, other.centre.y, other.height)
    }

    /// Intersection over union of the two spans from top to bottom, 0 to 1.
    pub fn height_iou(&self, other: &Self) -> f64 {
        let (top, bottom) = (
            self.centre.y - self.height / 2.0,
            self.centre.y + self.height / 2.0,
        );
        let (other_top, other_bottom) = (
            other.centre.y - other.height / 2.0,
            other.centre.y + other.height / 2.0,
        );
        let shared = bottom.min(other_bottom) - top.max(other_top);
        let all = bottom.max(other_bottom) - top.min(other_top);
        if shared > 0.0 { shared / all } else { 0.0 }
    }

    /// Intersection over union, 0 to 1.
    pub fn iou(&self, other: &Self) -> f64 {
        let shared = self.overlap(other);
        if shared <= 0.0 {
            return 0.0;
        }
        shared / (self.width * self.height + other.width * other.height - shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(list: &[[f64; 2]]) -> Vec<Point> {
        list.iter().map(|&p| p.into()).collect()
    }

    #[test]
    fn a_bow_tie_is_found_and_an_l_shape_is_not() {
        let bow_tie = points(&[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]);
        assert_eq!(crossing_edges(&bow_tie), Some((0, 2)));
        let l_shape = points(&[
            [0.1, 0.1],
            [0.9, 0.1],
            [0.9, 0.4],
            [0.4, 0.4],
            [0.4, 0.9],
            [0.1, 0.9],
        ]);
        assert_eq!(crossing_edges(&l_shape), None);
        assert!((polygon_area(&l_shape) - 0.39).abs() < 1e-12);
        assert!(polygon_contains(&l_shape, [0.2, 0.8].into()));
        assert!(!polygon_contains(&l_shape, [0.8, 0.8].into()));
    }

    #[test]
    fn the_distance_to_a_boundary_is_in_picture_heights() {
        let zone = points(&[[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]);
        for (p, expected) in [
            ([0.5, 0.5], 0.25),
            ([0.3, 0.5], 0.1),
            ([0.2, 0.5], -0.1),
            ([0.5, 0.9], -0.15),
            ([0.1, 0.1], -f64::sqrt(0.3 * 0.3 + 0.15 * 0.15)),
        ] {
            let found = distance_inside(&zone, p.into(), 2.0);
            assert!((found - expected).abs() < 1e-12, "{p:?} {found}");
        }
    }

    #[test]
    fn segments_that_touch_meet_and_parallels_do_not() {
        let s = |a: [f64; 2], b: [f64; 2]| (a.into(), b.into());
        for (one, two, expected) in [
            (s([0.0, 0.0], [1.0, 1.0]), s([0.0, 1.0], [1.0, 0.0]), true),
            (s([0.0, 0.0], [1.0, 0.0]), s([0.5, 0.0], [0.5, 1.0]), true),
            (s([0.0, 0.0], [1.0, 0.0]), s([0.0, 0.1], [1.0, 0.1]), false),
            (s([0.0, 0.0], [1.0, 0.0]), s([2.0, 0.0], [3.0, 0.0]), false),
            (s([0.0, 0.0], [1.0, 0.0]), s([0.5, 0.0], [3.0, 0.0]), true),
        ] {
            assert_eq!(segments_meet(one, two), expected, "{one:?} {two:?}");
        }
    }

    #[test]
    fn angles_are_between_nothing_and_half_a_turn() {
        let east = Vector::new(1.0, 0.0);
        for (other, expected) in [
            (Vector::new(2.0, 0.0), 0.0),
            (Vector::new(0.0, 3.0), 90.0),
            (Vector::new(0.0, -3.0), 90.0),
            (Vector::new(-1.0, 0.0), 180.0),
        ] {
            assert!((east.angle_degrees(other) - expected).abs() < 1e-9);
        }
        assert_eq!(Vector::default().unit(), None);
    }

    proptest! {
        #[test]
        fn a_point_is_in_exactly_one_half_of_a_cut_zone(
            x in 0.0..1.0_f64, y in 0.0..1.0_f64, cut in 0.1..0.9_f64
        ) {
            let left = points(&[[0.0, 0.0], [cut, 0.0], [cut, 1.0], [0.0, 1.0]]);
            let right = points(&[[cut, 0.0], [1.0, 0.0], [1.0, 1.0], [cut, 1.0]]);
            let p = Point { x, y };
            prop_assert!(polygon_contains(&left, p) ^ polygon_contains(&right, p));
        }

        #[test]
        fn isotropic_boxes_overlap_as_normalised_ones_do(
            a in prop::array::uniform4(0.01..0.5_f64), b in prop::array::uniform4(0.01..0.5_f64),
            aspect in 0.3..3.0_f64
        ) {
            let (a, b) = (NormBox::from(a), NormBox::from(b));
            let (ia, ib) = (IsoBox::new(&a, aspect), IsoBox::new(&b, aspect));
            prop_assert!((ia.iou(&ib) - a.iou(&b)).abs() < 1e-9);
            let back = ia.normalised(aspect);
            prop_assert!((back.x - a.x).abs() < 1e-12 && (back.bottom() - a.bottom()).abs() < 1e-12);
        }
    }
}
