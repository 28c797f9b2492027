//! How far a picture's edges are from where they were.
//!
//! The edges of a few seconds are laid over those of the reference at every
//! shift within reach; where they agree best (normalised correlation) is how far
//! the camera was turned. First on every second point, then finely. What drives
//! through has other edges every second and averages out.

use crate::thumbnail::{HEIGHT, WIDTH};

/// Farthest shift that is looked for, points: an eighth of the picture.
const REACH_X: isize = 20;
const REACH_Y: isize = 12;

/// Where edges agree best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shift {
    /// To the right, points of the thumbnail.
    pub(crate) x: f32,
    /// Down, points.
    pub(crate) y: f32,
    /// How well they agree there, −1 to 1.
    pub(crate) agreement: f32,
}

/// How well two sets of edges agree without a shift, −1 to 1.
pub(crate) fn agreement(reference: &[f32], now: &[f32]) -> f32 {
    correlation(reference, now, (WIDTH, HEIGHT), (0, 0))
}

/// How well two rows of numbers agree, −1 to 1.
pub(crate) fn correlation_of(one: &[f32], other: &[f32]) -> f32 {
    correlation(one, other, (one.len().min(other.len()), 1), (0, 0))
}

/// The best shift within reach.
pub(crate) fn find(reference: &[f32], now: &[f32]) -> Shift {
    let (small_reference, small_now) = (halved(reference), halved(now));
    let half = (WIDTH / 2, HEIGHT / 2);
    let (mut best, mut x, mut y) = (f32::NEG_INFINITY, 0, 0);
    for dy in -REACH_Y / 2..=REACH_Y / 2 {
        for dx in -REACH_X / 2..=REACH_X / 2 {
            let value = correlation(&small_reference, &small_now, half, (dx, dy));
            if value > best {
                (best, x, y) = (value, 2 * dx, 2 * dy);
            }
        }
    }
    let at = |dx, dy| correlation(reference, now, (WIDTH, HEIGHT), (dx, dy));
    let (mut fine, mut fine_x, mut fine_y) = (f32::NEG_INFINITY, x, y);
    for dy in y - 2..=y + 2 {
        for dx in x - 2..=x + 2 {
            let value = at(dx, dy);
            if value > fine {
                (fine, fine_x, fine_y) = (value, dx, dy);
            }
        }
    }
    // The top of a parabola through the neighbours: a part of a point.
    let part = |before: f32, after: f32| {
        let bend = before - 2.0 * fine + after;
        if bend < -1e-6 {
            ((before - after) / (2.0 * bend)).clamp(-0.5, 0.5)
        } else {
            0.0
        }
    };
    Shift {
        x: fine_x as f32 + part(at(fine_x - 1, fine_y), at(fine_x + 1, fine_y)),
        y: fine_y as f32 + part(at(fine_x, fine_y - 1), at(fine_x, fine_y + 1)),
        agreement: fine,
    }
}

fn halved(edges: &[f32]) -> Vec<f32> {
    let mut half = Vec::with_capacity(WIDTH / 2 * (HEIGHT / 2));
    for y in 0..HEIGHT / 2 {
        for x in 0..WIDTH / 2 {
            let at = |x: usize, y: usize| edges[y * WIDTH + x];
            let (x, y) = (2 * x, 2 * y);
            half.push((at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)) / 4.0);
        }
    }
    half
}

/// Normalised correlation of what both show when `now` is taken back by a shift.
fn correlation(
    reference: &[f32],
    now: &[f32],
    (width, height): (usize, usize),
    (dx, dy): (isize, isize),
) -> f32 {
    let (columns, rows) = (width as isize, height as isize);
    let (from_x, to_x) = ((-dx).max(0), (columns - dx).min(columns));
    let (from_y, to_y) = ((-dy).max(0), (rows - dy).min(rows));
    if to_x <= from_x || to_y <= from_y {
        return 0.0;
    }
    let length = (to_x - from_x) as usize;
    let (mut n, mut a, mut b) = (0.0_f32, 0.0_f32, 0.0_f32);
    let (mut aa, mut bb, mut ab) = (0.0_f32, 0.0_f32, 0.0_f32);
    for y in from_y..to_y {
        let of_reference = (y * columns + from_x) as usize;
        let of_now = ((y + dy) * columns + from_x + dx) as usize;
        let pairs = reference[of_reference..of_reference + length]
            .iter()
            .zip(&now[of_now..of_now + length]);
        for (p, q) in pairs {
            a += p;
            b += q;
            aa += p * p;
            bb += q * q;
            ab += p * q;
        }
        n += length as f32;
    }
    let covariance = ab - a * b / n;
    let spread = (aa - a * a / n).max(0.0) * (bb - b * b / n).max(0.0);
    if spread <= 1e-6 {
        0.0
    } else {
        covariance / spread.sqrt()
    }
}
