//! The smallest rectangle around points, tilted as it may be.

/// A rectangle by its middle, a side's direction, and half its sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rectangle {
    middle: [f64; 2],
    /// Unit vector along the first side.
    along: [f64; 2],
    /// Half the length of the first and of the second side.
    half: [f64; 2],
}

fn dot(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

impl Rectangle {
    /// The rectangle of least area; `None` for no points. One of its sides lies
    /// along an edge of the hull (Freeman and Shapira 1975). Of equals that of
    /// the first edge.
    pub(super) fn around(points: &[[f64; 2]]) -> Option<Self> {
        let hull = hull(points);
        let first = *hull.first()?;
        if hull.len() == 1 {
            return Some(Self {
                middle: first,
                along: [1.0, 0.0],
                half: [0.0, 0.0],
            });
        }
        let mut best: Option<(f64, Self)> = None;
        for (number, from) in hull.iter().enumerate() {
            let to = hull[(number + 1) % hull.len()];
            let edge = [to[0] - from[0], to[1] - from[1]];
            let length = libm::sqrt(dot(edge, edge));
            let along = [edge[0] / length, edge[1] / length];
            let across = [-along[1], along[0]];
            let range = |axis: [f64; 2]| {
                hull.iter()
                    .map(|point| dot(*point, axis))
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), at| {
                        (least.min(at), most.max(at))
                    })
            };
            let ((a0, a1), (b0, b1)) = (range(along), range(across));
            let (a, b) = (f64::midpoint(a0, a1), f64::midpoint(b0, b1));
            let rectangle = Self {
                middle: [a * along[0] + b * across[0], a * along[1] + b * across[1]],
                along,
                half: [(a1 - a0) / 2.0, (b1 - b0) / 2.0],
            };
            let area = (a1 - a0) * (b1 - b0);
            // Rounding must not choose between equals.
            if best.is_none_or(|(least, _)| area < least * (1.0 - 1e-9)) {
                best = Some((area, rectangle));
            }
        }
        best.map(|(_, rectangle)| rectangle)
    }

    pub(super) fn shorter_side(&self) -> f64 {
        2.0 * self.half[0].min(self.half[1])
    }

    /// Grown on every side by area · `ratio` / perimeter.
    pub(super) fn grown(&self, ratio: f64) -> Self {
        let [a, b] = self.half;
        let sum = a + b;
        let by = if sum > 0.0 { a * b / sum * ratio } else { 0.0 };
        Self {
            half: [a + by, b + by],
            ..*self
        }
    }

    /// Whether a point lies in it or at most `margin` beside it.
    pub(super) fn holds(&self, point: [f64; 2], margin: f64) -> bool {
        let from = [point[0] - self.middle[0], point[1] - self.middle[1]];
        let across = [-self.along[1], self.along[0]];
        dot(from, self.along).abs() <= self.half[0] + margin
            && dot(from, across).abs() <= self.half[1] + margin
    }

    /// Corners, clockwise on the screen, from the upper one of the two on the left.
    pub(super) fn corners(&self) -> [[f64; 2]; 4] {
        let [ax, ay] = [self.along[0] * self.half[0], self.along[1] * self.half[0]];
        let [bx, by] = [-self.along[1] * self.half[1], self.along[0] * self.half[1]];
        let [x, y] = self.middle;
        let mut corners = [
            [x - ax - bx, y - ay - by],
            [x + ax - bx, y + ay - by],
            [x + ax + bx, y + ay + by],
            [x - ax + bx, y - ay + by],
        ];
        corners.sort_by(|p, q| p[0].total_cmp(&q[0]).then(p[1].total_cmp(&q[1])));
        let upper_first = |one: [f64; 2], other: [f64; 2]| {
            if other[1] < one[1] {
                (other, one)
            } else {
                (one, other)
            }
        };
        let (top_left, bottom_left) = upper_first(corners[0], corners[1]);
        let (top_right, bottom_right) = upper_first(corners[2], corners[3]);
        [top_left, top_right, bottom_right, bottom_left]
    }
}

/// Corners of the convex hull in order (Andrew's monotone chain).
fn hull(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|p, q| p[0].total_cmp(&q[0]).then(p[1].total_cmp(&q[1])));
    sorted.dedup();
    if sorted.len() < 3 {
        return sorted;
    }
    let turns_left = |o: [f64; 2], a: [f64; 2], b: [f64; 2]| {
        (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]) > 0.0
    };
    let mut chain: Vec<[f64; 2]> = Vec::new();
    let half = |chain: &mut Vec<[f64; 2]>, points: &mut dyn Iterator<Item = &[f64; 2]>| {
        let start = chain.len();
        for point in points {
            while chain.len() >= start + 2
                && !turns_left(chain[chain.len() - 2], chain[chain.len() - 1], *point)
            {
                chain.pop();
            }
            chain.push(*point);
        }
        chain.pop();
    };
    half(&mut chain, &mut sorted.iter());
    half(&mut chain, &mut sorted.iter().rev());
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tilted_rectangle_is_found_again() {
        let whole = Rectangle {
            middle: [40.0, 30.0],
            along: [0.8, 0.6],
            half: [20.0, 5.0],
        };
        let mut points = whole.corners().to_vec();
        points.push([40.0, 30.0]);
        let found = Rectangle::around(&points).unwrap();
        for (a, b) in found.corners().iter().zip(whole.corners()) {
            assert!((a[0] - b[0]).abs() < 1e-9 && (a[1] - b[1]).abs() < 1e-9);
        }
        assert!((found.shorter_side() - 10.0).abs() < 1e-9);
        let grown = found.grown(1.5);
        // 400 · 1.5 / 100 = 6 on every side.
        assert!((grown.shorter_side() - 22.0).abs() < 1e-9);
        assert!(grown.holds([40.0, 30.0], 0.0) && !grown.holds([80.0, 30.0], 0.0));
    }

    #[test]
    fn points_in_a_line_make_a_rectangle_without_width() {
        for points in [
            vec![[3.0, 4.0]],
            vec![[3.0, 4.0], [9.0, 4.0]],
            vec![[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]],
        ] {
            assert!(Rectangle::around(&points).unwrap().shorter_side() < 1e-9);
        }
        assert_eq!(Rectangle::around(&[]), None);
    }

    proptest! {
        #[test]
        fn every_point_lies_inside(points in prop::collection::vec([-50_i32..50, -50_i32..50], 1..40)) {
            let points: Vec<[f64; 2]> = points.iter().map(|p| p.map(f64::from)).collect();
            let rectangle = Rectangle::around(&points).unwrap();
            for point in points {
                prop_assert!(rectangle.holds(point, 1e-9));
            }
        }
    }
}
