//! A four-cornered piece of a picture, in its pixels.

use protocol::{NormBox, Point};

/// Corners from the top left of upright text, clockwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quad(pub(crate) [[f64; 2]; 4]);

fn between(a: [f64; 2], b: [f64; 2], t: f64) -> [f64; 2] {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

impl Quad {
    /// Of corners in fractions of a picture.
    pub(crate) fn of(corners: &[Point; 4], (width, height): (u32, u32)) -> Self {
        Self(corners.map(|c| [c.x * f64::from(width), c.y * f64::from(height)]))
    }

    /// Of an upright box.
    pub(crate) fn upright(bounds: &NormBox, size: (u32, u32)) -> Self {
        let (left, top) = (bounds.x, bounds.y);
        let (right, bottom) = (bounds.right(), bounds.bottom());
        let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
        Self::of(&corners.map(Point::from), size)
    }

    /// In fractions of a picture.
    pub(crate) fn points(&self, (width, height): (u32, u32)) -> [Point; 4] {
        self.0.map(|[x, y]| Point {
            x: x / f64::from(width),
            y: y / f64::from(height),
        })
    }

    /// The upright box around it, in fractions of a picture.
    pub(crate) fn bounds(&self, size: (u32, u32)) -> NormBox {
        let points = self.points(size);
        let least = |of: fn(&Point) -> f64| points.iter().map(of).fold(f64::INFINITY, f64::min);
        let most = |of: fn(&Point) -> f64| points.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let (left, top) = (least(|p| p.x), least(|p| p.y));
        let (right, bottom) = (most(|p| p.x), most(|p| p.y));
        NormBox::from([left, top, right - left, bottom - top])
    }

    /// Mean length of the edges along the text.
    pub(crate) fn width(&self) -> f64 {
        let [a, b, c, d] = self.0;
        f64::midpoint(distance(a, b), distance(d, c))
    }

    /// Mean length of the edges across the text.
    pub(crate) fn height(&self) -> f64 {
        let [a, b, c, d] = self.0;
        f64::midpoint(distance(a, d), distance(b, c))
    }

    /// The middle.
    pub(crate) fn centre(&self) -> [f64; 2] {
        let [a, b, c, d] = self.0;
        between(between(a, b, 0.5), between(d, c, 0.5), 0.5)
    }

    /// Unit vector along the text; none without a width.
    pub(crate) fn along(&self) -> Option<[f64; 2]> {
        let [a, b, c, d] = self.0;
        let sum = [b[0] - a[0] + c[0] - d[0], b[1] - a[1] + c[1] - d[1]];
        let length = sum[0].hypot(sum[1]);
        (length.is_finite() && length > 1e-9).then(|| [sum[0] / length, sum[1] / length])
    }

    /// What lies between two heights, as fractions from its upper edge.
    pub(crate) fn part(&self, from: f64, to: f64) -> Self {
        let [a, b, c, d] = self.0;
        Self([
            between(a, d, from),
            between(b, c, from),
            between(b, c, to),
            between(a, d, to),
        ])
    }

    /// The smallest rectangle along the text that holds all of these; none for none.
    pub(crate) fn around(parts: &[Self]) -> Option<Self> {
        let mut sum = [0.0, 0.0];
        for part in parts {
            let along = part.along()?;
            sum = [
                sum[0] + along[0] * part.width(),
                sum[1] + along[1] * part.width(),
            ];
        }
        let length = sum[0].hypot(sum[1]);
        if length.is_nan() || length < 1e-9 {
            return None;
        }
        let (x, y) = (sum[0] / length, sum[1] / length);
        let mut range = [
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        for point in parts.iter().flat_map(|part| part.0) {
            let (along, down) = (point[0] * x + point[1] * y, point[1] * x - point[0] * y);
            range = [
                range[0].min(along),
                range[1].max(along),
                range[2].min(down),
                range[3].max(down),
            ];
        }
        let [left, right, top, bottom] = range;
        let at = |along: f64, down: f64| [along * x - down * y, along * y + down * x];
        Some(Self([
            at(left, top),
            at(right, top),
            at(right, bottom),
            at(left, bottom),
        ]))
    }

    /// Whether it comes within `margin` of the edge of what lies between `from` and `to`.
    pub(crate) fn reaches_edge(&self, from: [f64; 2], to: [f64; 2], margin: f64) -> bool {
        let is_near = |at: f64, from: f64, to: f64| at - from < margin || to - at < margin;
        (self.0.iter()).any(|[x, y]| is_near(*x, from[0], to[0]) || is_near(*y, from[1], to[1]))
    }

    /// From the unit square to the picture: the projective map that takes its
    /// corners to these (Heckbert 1989).
    pub(crate) fn map(&self) -> Option<Map> {
        let [p0, p1, p2, p3] = self.0;
        if !self.0.iter().flatten().all(|v| v.is_finite()) {
            return None;
        }
        let d1 = [p1[0] - p2[0], p1[1] - p2[1]];
        let d2 = [p3[0] - p2[0], p3[1] - p2[1]];
        let sum = [p0[0] - p1[0] + p2[0] - p3[0], p0[1] - p1[1] + p2[1] - p3[1]];
        let area = d1[0] * d2[1] - d1[1] * d2[0];
        if area.abs() < 1e-9 {
            return None;
        }
        let g = (sum[0] * d2[1] - sum[1] * d2[0]) / area;
        let h = (d1[0] * sum[1] - d1[1] * sum[0]) / area;
        Some(Map {
            x: [p1[0] - p0[0] + g * p1[0], p3[0] - p0[0] + h * p3[0], p0[0]],
            y: [p1[1] - p0[1] + g * p1[1], p3[1] - p0[1] + h * p3[1], p0[1]],
            w: [g, h],
        })
    }
}

/// A projective map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Map {
    x: [f64; 3],
    y: [f64; 3],
    w: [f64; 2],
}

impl Map {
    /// Where a point of the unit square lies.
    pub(crate) fn at(&self, u: f64, v: f64) -> [f64; 2] {
        let w = self.w[0] * u + self.w[1] * v + 1.0;
        [
            (self.x[0] * u + self.x[1] * v + self.x[2]) / w,
            (self.y[0] * u + self.y[1] * v + self.y[2]) / w,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (200, 100);

    #[test]
    fn corners_of_the_square_go_to_the_corners_of_the_quad() {
        // A plate seen from the side: the left edge is higher than the right one.
        let quad = Quad([[10.0, 10.0], [90.0, 20.0], [88.0, 50.0], [12.0, 60.0]]);
        let map = quad.map().unwrap();
        for ([u, v], corner) in [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
            .into_iter()
            .zip(quad.0)
        {
            let at = map.at(u, v);
            assert!(distance(at, corner) < 1e-9, "{at:?} {corner:?}");
        }
        assert!(Quad([[5.0, 5.0]; 4]).map().is_none());
        assert!(Quad([[f64::NAN, 0.0]; 4]).map().is_none());
    }

    #[test]
    fn around_tilted_rows_lies_along_them() {
        let turned = |x: f64, y: f64| [50.0 + 0.8 * x - 0.6 * y, 20.0 + 0.6 * x + 0.8 * y];
        let row = |top: f64, left: f64, right: f64| {
            let bottom = top + 10.0;
            Quad([
                turned(left, top),
                turned(right, top),
                turned(right, bottom),
                turned(left, bottom),
            ])
        };
        let whole = Quad::around(&[row(0.0, 5.0, 25.0), row(12.0, 0.0, 30.0)]).unwrap();
        assert!((whole.width() - 30.0).abs() < 1e-9 && (whole.height() - 22.0).abs() < 1e-9);
        assert!(distance(whole.0[0], turned(0.0, 0.0)) < 1e-9);
        assert_eq!(Quad::around(&[]), None);
    }

    #[test]
    fn parts_and_edges_are_measured_along_the_quad() {
        let quad = Quad::upright(&NormBox::from([0.1, 0.2, 0.5, 0.4]), SIZE);
        assert_eq!(quad.0[0], [20.0, 20.0]);
        assert_eq!(quad.part(0.5, 1.0).0[0], [20.0, 40.0]);
        let (from, to) = ([0.0, 0.0], [200.0, 100.0]);
        assert!(!quad.reaches_edge(from, to, 19.0));
        assert!(quad.reaches_edge(from, to, 21.0));
        assert!(quad.reaches_edge(from, [121.0, 100.0], 5.0));
        let bounds = quad.bounds(SIZE);
        assert!((bounds.x - 0.1).abs() < 1e-9 && (bounds.height - 0.4).abs() < 1e-9);
    }
}
