//! From the scenario's metres to fractions of the picture, and what of a place the picture shows.

use anyhow::{Context as _, bail};

use crate::polygon::{self, P};

type Matrix = [[f64; 3]; 3];

/// A camera that looks at a flat world.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// From fractions of the picture to metres.
    pub(crate) image_to_ground: Matrix,
    /// From metres to fractions of the picture; the third coordinate is positive
    /// before the camera and 1 at the bottom middle of the picture.
    ground_to_image: Matrix,
}

/// Nearer to the camera's own plane than this part of the distance to what the
/// bottom middle of the picture shows, nothing is in the picture.
const NEAREST: f64 = 0.02;
/// A zone with a smaller part of the picture holds nobody's contact point.
const SMALLEST_PIECE: f64 = 2e-5;
/// Corners closer than this part of the picture are one.
const ONE_CORNER: f64 = 1e-5;

impl World {
    /// From a homography of pixels.
    pub(crate) fn new(
        pixels_to_ground: &Matrix,
        [width, height]: [f64; 2],
    ) -> anyhow::Result<Self> {
        let mut image_to_ground = *pixels_to_ground;
        for row in &mut image_to_ground {
            row[0] *= width;
            row[1] *= height;
        }
        let weight = |m: &Matrix| 0.5 * m[2][0] + m[2][1] + m[2][2];
        let scale = weight(&image_to_ground);
        if !scale.is_finite() || scale.abs() < 1e-12 {
            bail!("homography_image_to_world puts the bottom of the picture at the horizon");
        }
        for value in image_to_ground.iter_mut().flatten() {
            *value /= scale;
        }
        let ground_to_image =
            inverse(&image_to_ground).context("homography_image_to_world cannot be inverted")?;
        Ok(Self {
            image_to_ground,
            ground_to_image,
        })
    }

    /// Where a point of the ground is in the picture, be it in its frame or not.
    pub(crate) fn project(&self, place: P) -> Option<P> {
        let m = &self.ground_to_image;
        let row = |r: usize| m[r][0] * place[0] + m[r][1] * place[1] + m[r][2];
        (row(2) > NEAREST * 0.5).then(|| [row(0) / row(2), row(1) / row(2)])
    }

    /// What the picture shows of an area of the ground: pieces, the largest first.
    pub(crate) fn area(&self, ground: &[P]) -> Vec<Vec<P>> {
        let mut depth = self.ground_to_image[2];
        depth[2] -= NEAREST;
        let mut pieces: Vec<Vec<P>> = polygon::cut(ground, depth)
            .into_iter()
            .map(|piece| piece.iter().filter_map(|&p| self.project(p)).collect())
            .collect();
        for frame in FRAME {
            pieces = pieces
                .iter()
                .flat_map(|piece: &Vec<P>| polygon::cut(piece, frame))
                .collect();
        }
        let mut pieces: Vec<Vec<P>> = pieces
            .iter()
            .map(|piece| polygon::without_repeats(&within(piece), ONE_CORNER))
            .filter(|piece| piece.len() >= 3 && polygon::area(piece) > SMALLEST_PIECE)
            .collect();
        pieces.sort_by(|a, b| polygon::area(b).total_cmp(&polygon::area(a)));
        pieces
    }

    /// What the picture shows of a straight line on the ground.
    pub(crate) fn line(&self, from: P, to: P) -> Option<(P, P)> {
        let mut depth = self.ground_to_image[2];
        depth[2] -= NEAREST;
        let (from, to) = shorten((from, to), depth)?;
        let mut line = (self.project(from)?, self.project(to)?);
        for frame in FRAME {
            line = shorten(line, frame)?;
        }
        let ends = within(&[line.0, line.1]);
        Some((ends[0], ends[1]))
    }
}

/// The half-planes whose common part is the picture.
const FRAME: [[f64; 3]; 4] = [
    [1.0, 0.0, 0.0],
    [-1.0, 0.0, 1.0],
    [0.0, 1.0, 0.0],
    [0.0, -1.0, 1.0],
];

/// Rounding may have left a point a hair outside the picture.
fn within(points: &[P]) -> Vec<P> {
    points
        .iter()
        .map(|p| p.map(|v| (v.clamp(0.0, 1.0) * 1e7).round() / 1e7))
        .collect()
}

#[allow(clippy::many_single_char_names)] // a, b, c as in `polygon::cut`
fn shorten((from, to): (P, P), [a, b, c]: [f64; 3]) -> Option<(P, P)> {
    let side = |p: P| a * p[0] + b * p[1] + c;
    let (s, t) = (side(from), side(to));
    if s < 0.0 && t < 0.0 {
        return None;
    }
    let part = s / (s - t);
    let meeting = [
        from[0] + part * (to[0] - from[0]),
        from[1] + part * (to[1] - from[1]),
    ];
    Some(match (s < 0.0, t < 0.0) {
        (true, _) => (meeting, to),
        (_, true) => (from, meeting),
        _ => (from, to),
    })
}

fn inverse(m: &Matrix) -> Option<Matrix> {
    let minor = |r: usize, c: usize| {
        let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant: f64 = (0..3).map(|c| m[0][c] * minor(0, c)).sum();
    if !determinant.is_normal() {
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
mod tests {
    use super::*;

    /// Eight metres above the origin, looking along y, horizon at a fifth of the picture.
    fn camera() -> World {
        let pixels = [
            [8.0 / 1920.0, 0.0, -4.0],
            [0.0, 0.0, 8.0],
            [0.0, 1.0 / 1080.0, -0.2],
        ];
        World::new(&pixels, [1920.0, 1080.0]).unwrap()
    }

    #[test]
    fn a_lane_that_runs_on_behind_the_camera_is_cut_and_not_turned_over() {
        let lane = [[-2.0, -50.0], [2.0, -50.0], [2.0, 200.0], [-2.0, 200.0]];
        let pieces = camera().area(&lane);
        assert_eq!(pieces.len(), 1);
        let lowest = pieces[0].iter().map(|p| p[1]).fold(0.0, f64::max);
        let highest = pieces[0].iter().map(|p| p[1]).fold(1.0, f64::min);
        assert!((lowest - 1.0).abs() < 1e-6, "{pieces:?}");
        assert!((highest - (0.2 + 8.0 / 200.0)).abs() < 1e-4, "{pieces:?}");
    }

    #[test]
    fn what_is_behind_or_beside_is_not_in_the_picture() {
        let behind = [[-2.0, -50.0], [2.0, -50.0], [2.0, -5.0], [-2.0, -5.0]];
        let beside = [[90.0, 20.0], [95.0, 20.0], [95.0, 30.0], [90.0, 30.0]];
        assert!(camera().area(&behind).is_empty() && camera().area(&beside).is_empty());
        assert_eq!(camera().line([-2.0, -5.0], [2.0, -5.0]), None);
    }

    #[test]
    fn a_line_ends_where_the_picture_ends() {
        let (from, to) = camera().line([0.0, 20.0], [500.0, 20.0]).unwrap();
        assert!((from[0] - 0.5).abs() < 1e-6 && (to[0] - 1.0).abs() < 1e-6);
        assert!((from[1] - 0.6).abs() < 1e-6 && (to[1] - 0.6).abs() < 1e-6);
    }
}
