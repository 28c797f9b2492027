//! One point of a picture found again in the next.

use crate::pyramid::{LEVELS, Level, Pyramid};

/// Side of the window around a point that is found again, pixels.
const WINDOW: usize = 9;
const HALF: usize = WINDOW / 2;
const AREA: usize = WINDOW * WINDOW;
/// Steps at each size, at most.
const STEPS: usize = 6;
/// A step shorter than this is the last, pixels.
const ENOUGH: f32 = 0.03;
/// Less texture than this in its weaker direction tells no motion: the smaller eigenvalue of the
/// window's structure tensor, per pixel, in squared levels a pixel.
const LEAST_TEXTURE: f32 = 2.0;
/// The same window looks so alike, at most: mean absolute difference, levels of 255.
const MOST_DIFFERENT: f32 = 12.0;

/// Where the window is by whole pixels, with its brightness and slopes.
struct Window {
    bright: [f32; AREA],
    slope_x: [f32; AREA],
    slope_y: [f32; AREA],
    /// Structure tensor.
    xx: f32,
    xy: f32,
    yy: f32,
}

impl Window {
    /// Around `x`, `y`; `None` where it does not lie in the picture with its rim.
    fn of(level: &Level, x: usize, y: usize) -> Option<Self> {
        let (left, top) = (x.checked_sub(HALF + 1)?, y.checked_sub(HALF + 1)?);
        if left + WINDOW + 2 > level.width || top + WINDOW + 2 > level.height {
            return None;
        }
        let mut window = Self {
            bright: [0.0; AREA],
            slope_x: [0.0; AREA],
            slope_y: [0.0; AREA],
            xx: 0.0,
            xy: 0.0,
            yy: 0.0,
        };
        let row = |line: usize| &level.pixels[(top + line) * level.width + left..][..WINDOW + 2];
        for line in 0..WINDOW {
            let (above, here, below) = (row(line), row(line + 1), row(line + 2));
            for column in 0..WINDOW {
                let at = line * WINDOW + column;
                window.bright[at] = f32::from(here[column + 1]);
                window.slope_x[at] = (f32::from(here[column + 2]) - f32::from(here[column])) / 2.0;
                window.slope_y[at] =
                    (f32::from(below[column + 1]) - f32::from(above[column + 1])) / 2.0;
            }
        }
        for at in 0..AREA {
            window.xx += window.slope_x[at] * window.slope_x[at];
            window.xy += window.slope_x[at] * window.slope_y[at];
            window.yy += window.slope_y[at] * window.slope_y[at];
        }
        Some(window)
    }

    /// Smaller eigenvalue of the structure tensor, per pixel.
    fn texture(&self) -> f32 {
        let (sum, difference) = (self.xx + self.yy, self.xx - self.yy);
        (sum - (difference * difference + 4.0 * self.xy * self.xy).sqrt()) / (2.0 * AREA as f32)
    }

    /// Differences to the same window around `x`, `y` of another picture: against both slopes,
    /// and absolute. `None` outside of it.
    fn against(&self, level: &Level, x: f32, y: f32) -> Option<(f32, f32, f32)> {
        let (left, top) = (x - HALF as f32, y - HALF as f32);
        // Not a number is outside, too.
        let is_inside = left >= 0.0
            && top >= 0.0
            && left + (WINDOW + 1) as f32 <= level.width as f32
            && top + (WINDOW + 1) as f32 <= level.height as f32;
        if !is_inside {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // inside the picture
        let (column, line) = (left as usize, top as usize);
        let (right, down) = (left - column as f32, top - line as f32);
        let weights = [
            (1.0 - right) * (1.0 - down),
            right * (1.0 - down),
            (1.0 - right) * down,
            right * down,
        ];
        let row = |below: usize| {
            let from = (line + below) * level.width + column;
            // At the picture's very rim the neighbour has no weight and may not be there.
            level.pixels.get(from..from + WINDOW + 1)
        };
        let (mut along_x, mut along_y, mut absolute) = (0.0, 0.0, 0.0);
        for below in 0..WINDOW {
            let (here, next) = (row(below)?, row(below + 1)?);
            for across in 0..WINDOW {
                let at = below * WINDOW + across;
                let there = weights[0] * f32::from(here[across])
                    + weights[1] * f32::from(here[across + 1])
                    + weights[2] * f32::from(next[across])
                    + weights[3] * f32::from(next[across + 1]);
                let difference = self.bright[at] - there;
                along_x += difference * self.slope_x[at];
                along_y += difference * self.slope_y[at];
                absolute += difference.abs();
            }
        }
        Some((along_x, along_y, absolute / AREA as f32))
    }
}

/// Where to begin: a guess of the motion, in pixels of the largest size, and the size from which on it
/// is refined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guess {
    pub(crate) motion: [f32; 2],
    pub(crate) level: usize,
}

impl Guess {
    /// No motion, from the smallest size on.
    pub(crate) const STILL: Self = Self {
        motion: [0.0; 2],
        level: LEVELS - 1,
    };
}

/// How far the point `x`, `y` (pixels of the largest size) of `before` has moved in `after`,
/// pixels; `None` where that cannot be told.
pub(crate) fn motion(
    before: &Pyramid,
    after: &Pyramid,
    [x, y]: [f32; 2],
    guess: Guess,
) -> Option<[f32; 2]> {
    let coarsest = guess.level.min(LEVELS - 1);
    let shrunk = 0.5f32.powi(i32::try_from(coarsest).unwrap_or(0));
    let [mut dx, mut dy] = guess.motion.map(|motion| motion * shrunk);
    let mut different = f32::MAX;
    for number in (0..=coarsest).rev() {
        let (from, to) = (&before.levels[number], &after.levels[number]);
        let scale = 0.5f32.powi(i32::try_from(number).unwrap_or(0));
        if number < coarsest {
            (dx, dy) = (2.0 * dx, 2.0 * dy);
        }
        // Motion is that of the whole window, so that its middle may be rounded.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // cut off below zero
        let (column, line) = ((x * scale) as usize, (y * scale) as usize);
        let Some(window) = Window::of(from, column, line) else {
            // Small sizes have no room for a window near the rim; larger ones may.
            if number == 0 {
                return None;
            }
            continue;
        };
        let is_last = number == 0;
        if window.texture() < LEAST_TEXTURE {
            if is_last {
                return None;
            }
            continue;
        }
        let determinant = window.xx * window.yy - window.xy * window.xy;
        let (before_x, before_y) = (dx, dy);
        for _ in 0..STEPS {
            let found = window.against(to, column as f32 + dx, line as f32 + dy);
            let Some((along_x, along_y, absolute)) = found else {
                if is_last {
                    return None;
                }
                // It left a small size's rim; the guess of the size below stays.
                (dx, dy) = (before_x, before_y);
                break;
            };
            different = absolute;
            let step_x = (window.yy * along_x - window.xy * along_y) / determinant;
            let step_y = (window.xx * along_y - window.xy * along_x) / determinant;
            (dx, dy) = (dx + step_x, dy + step_y);
            if step_x * step_x + step_y * step_y < ENOUGH * ENOUGH {
                break;
            }
        }
    }
    (different <= MOST_DIFFERENT).then_some([dx, dy])
}
