//! Whether a road user's contact with the ground is in sight.
//!
//! When something moves in front of a standing motorbike, or the motorbike
//! reaches the lower edge of the picture, its box loses height from below. The
//! lower edge then rises, and what stands still seems to drive away: over a
//! stop line, for instance. Who really drives away loses width with height, in
//! any camera. So a box that is lower than it was, and not narrower, stands on
//! nothing that is seen, and its contact point is nowhere.

use protocol::NormBox;

/// How big a road user has been lately.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stature {
    width: f64,
    height: f64,
    is_cut: bool,
    /// The last detection's.
    seen: (f64, f64),
    /// Whether it was cut off by the side of the picture so far.
    unlearnt: bool,
}

/// Lower than this part of what it was …
const LOWER: f64 = 0.85;
/// … and by this much more so than narrower: cut off from below.
const SHAPE: f64 = 0.78;
/// This close to the side of the picture a box ends there, and not its road user.
const BORDER: f64 = 0.004;
/// A stature follows what is seen in this time, s: a car that recedes halves in about two.
const FOLLOWS_S: f64 = 0.7;
/// The same while it looks cut off: in the end it may be a vehicle that turned.
const FOLLOWS_CUT_S: f64 = 8.0;

impl Stature {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            is_cut: false,
            seen: (width, height),
            unlearnt: false,
        }
    }

    /// Takes the size of a detection `dt` seconds after the one before.
    pub(super) fn see(&mut self, width: f64, height: f64, dt: f64) {
        self.seen = (width, height);
        let (lower, narrower) = (height / self.height, width / self.width);
        self.is_cut = lower < LOWER && lower < SHAPE * narrower;
        let time = if self.is_cut {
            FOLLOWS_CUT_S
        } else {
            FOLLOWS_S
        };
        let share = 1.0 - libm::exp(-dt.max(0.0) / time);
        self.width += share * (width - self.width);
        self.height += share * (height - self.height);
    }

    /// A box that the side of the picture cuts off is narrower than its road
    /// user: who drives into the picture grows wider as it recedes, and would
    /// seem covered from below for seconds. Nothing is learnt from such a box.
    pub(super) fn mind_the_border(&mut self, bounds: &NormBox) {
        let at_side = bounds.x < BORDER || bounds.right() > 1.0 - BORDER;
        if at_side {
            self.unlearnt = true;
        } else if core::mem::take(&mut self.unlearnt) {
            (self.width, self.height) = self.seen;
            self.is_cut = bounds.bottom() > 1.0 - BORDER;
        }
    }

    /// Whether the last detection was cut off from below.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Follows a change of the picture's shape.
    pub(super) fn stretch(&mut self, factor: f64) {
        self.width *= factor;
        self.seen.0 *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes seen ten times a second; how many of them were taken for cut off.
    fn cut(sizes: impl Iterator<Item = (f64, f64)>) -> usize {
        let mut stature = Stature::new(0.05, 0.1);
        sizes
            .filter(|&(width, height)| {
                stature.see(width, height, 0.1);
                stature.is_cut()
            })
            .count()
    }

    #[test]
    fn who_drives_away_at_any_speed_stands_on_the_ground() {
        for speed in [1.0, 5.0, 15.0, 30.0] {
            let receding = (1..40).map(|tick| {
                let scale = 20.0 / (20.0 + speed * f64::from(tick) / 10.0);
                (0.05 * scale, 0.1 * scale)
            });
            assert_eq!(cut(receding), 0, "{speed} m/s");
        }
    }

    #[test]
    fn who_is_covered_from_below_does_not() {
        let covered = (0..20).map(|tick| (0.05, 0.1 - 0.004 * f64::from(tick.min(12))));
        assert!(cut(covered) >= 12);
    }

    #[test]
    fn who_turns_its_side_is_not_covered() {
        let turning = (0..20).map(|tick| (0.05 + 0.004 * f64::from(tick), 0.1));
        assert_eq!(cut(turning), 0);
    }
}
