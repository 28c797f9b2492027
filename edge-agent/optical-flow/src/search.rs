//! Where a box as a whole went, by whole pixels of a small size.
//!
//! A vehicle may go half its length from one picture to the next. At sizes small enough for such
//! a way the window around a point shows more of the road than of the vehicle; its whole middle does not.

use protocol::NormBox;

use crate::boxes::MARGIN;
use crate::lucas_kanade::Guess;
use crate::pyramid::{LEVELS, Level, Pyramid};

/// The middle of a box is compared at the smallest size at which both its sides have so many pixels.
const LEAST_SIDE: f64 = 6.0;
/// Nobody goes farther than this share of the longer side of his box …
const FARTHEST_SHARE: f64 = 0.75;
/// … or than this, pixels of the largest size.
const FARTHEST: f64 = 48.0;
/// What stays where it is differs least there; another place must differ by so much less.
const BETTER: f64 = 0.8;

/// More differences than this are not worth a box that is lost: a long thin one, which few models give.
const MOST_WORK: usize = 400_000;

/// A rectangle of pixels.
#[derive(Clone, Copy)]
struct Patch {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// How far the middle of `bounds` of `before` seems to have moved in `after`; `None` where nothing
/// speaks for any motion.
pub(crate) fn guess(before: &Pyramid, after: &Pyramid, bounds: &NormBox) -> Option<Guess> {
    let inner = 1.0 - 2.0 * MARGIN;
    let (width, height) = before.size();
    let sides = [bounds.width * width as f64, bounds.height * height as f64];
    let scale = |level: usize| (1usize << level) as f64;
    let level = (0..LEVELS).rev().find(|&level| {
        sides
            .iter()
            .all(|side| side * inner / scale(level) >= LEAST_SIDE)
    })?;
    let (from, to) = (&before.levels[level], &after.levels[level]);
    let patch = Patch::of(from, bounds)?;
    let farthest = (FARTHEST_SHARE * sides[0].max(sides[1])).min(FARTHEST) / scale(level);
    #[allow(clippy::cast_possible_truncation)] // some pixels
    let reach = farthest.round() as isize;
    let places = (2 * reach.unsigned_abs() + 1).pow(2);
    if places * patch.width * patch.height > MOST_WORK {
        return None;
    }
    let stays = patch.difference(from, to, [0, 0])?;
    let mut best = (stays, [0, 0]);
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            if let Some(difference) = patch.difference(from, to, [dx, dy])
                && difference < best.0
            {
                best = (difference, [dx, dy]);
            }
        }
    }
    let (difference, moved) = best;
    #[allow(clippy::cast_possible_truncation)] // some pixels
    let motion = moved.map(|pixels| (pixels as f64 * scale(level)) as f32);
    (f64::from(difference) < BETTER * f64::from(stays)).then(|| Guess {
        motion,
        level: level.saturating_sub(1),
    })
}

impl Patch {
    /// The middle of a box, as far as it lies in the picture.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // cut off at the picture
    fn of(level: &Level, bounds: &NormBox) -> Option<Self> {
        let side = |from: f64, size: f64, all: usize| {
            let cut = |at: f64| (at * all as f64).clamp(0.0, all as f64).round() as usize;
            let (first, last) = (cut(from + MARGIN * size), cut(from + (1.0 - MARGIN) * size));
            (first, last.saturating_sub(first))
        };
        let (x, width) = side(bounds.x, bounds.width, level.width);
        let (y, height) = side(bounds.y, bounds.height, level.height);
        (width > 0 && height > 0).then_some(Self {
            x,
            y,
            width,
            height,
        })
    }

    /// Sum of absolute differences to the same rectangle of `to`, moved; `None` outside of it.
    fn difference(&self, from: &Level, to: &Level, [dx, dy]: [isize; 2]) -> Option<u32> {
        let (x, y) = (
            self.x.checked_add_signed(dx)?,
            self.y.checked_add_signed(dy)?,
        );
        if x + self.width > to.width || y + self.height > to.height {
            return None;
        }
        let mut sum = 0;
        for line in 0..self.height {
            let before = &from.pixels[(self.y + line) * from.width + self.x..][..self.width];
            let after = &to.pixels[(y + line) * to.width + x..][..self.width];
            let differences = before.iter().zip(after);
            sum += differences
                .map(|(a, b)| u32::from(a.abs_diff(*b)))
                .sum::<u32>();
        }
        Some(sum)
    }
}
