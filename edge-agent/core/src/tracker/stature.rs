//! Whether a road user's contact with the ground is in sight.
//!
//! When something moves in front of a standing motorbike, or the motorbike
//! reaches the lower edge of the picture, its box loses height from below. The
//! lower edge then rises, and what stands still seems to drive away: over a
//! stop line, for instance. Who really drives away loses width with height, in
//! any camera. So a box that is lower than it was, and not narrower, stands on
//! nothing that is seen, and its contact point is nowhere.

//!
//! A part of that is seen sooner in the edges: of who drives away the upper
//! edge rises too, or the box gets narrower; of who is covered from below only
//! the lower edge rises. That is asked of the mean of a few looks, because
//! single boxes jitter, and it is remembered for as long as the upper edge
//! stays: a queue stands for a whole red phase.

use crate::geometry::IsoBox;

/// How big a road user has been lately, and where its box.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stature {
    width: f64,
    height: f64,
    /// Over the last looks.
    now: Edges,
    /// Over the last second or so.
    lately: Edges,
    /// Whether its lower edge alone has risen.
    is_covered: bool,
    /// Whether it is lower than it was, and not narrower.
    is_low: bool,
    /// Whether the side of the picture cut off the last box.
    at_side: bool,
}

/// Where a box ends.
#[derive(Clone, Copy, Debug)]
struct Edges {
    top: f64,
    bottom: f64,
    left: f64,
    right: f64,
}

impl Edges {
    fn of(bounds: &IsoBox) -> Self {
        Self {
            top: bounds.centre.y - bounds.height / 2.0,
            bottom: bounds.centre.y + bounds.height / 2.0,
            left: bounds.centre.x - bounds.width / 2.0,
            right: bounds.centre.x + bounds.width / 2.0,
        }
    }

    fn follow(&mut self, seen: &Self, share: f64) {
        self.top += share * (seen.top - self.top);
        self.bottom += share * (seen.bottom - self.bottom);
        self.left += share * (seen.left - self.left);
        self.right += share * (seen.right - self.right);
    }

    fn width(&self) -> f64 {
        (self.right - self.left).max(1e-9)
    }

    fn height(&self) -> f64 {
        (self.bottom - self.top).max(1e-9)
    }
}

/// This close to the side of the picture a box ends there, and not its road user.
const SIDE: f64 = 0.006;
/// Lower than this part of what it was …
const LOWER: f64 = 0.85;
/// … and by this much more so than narrower: cut off from below.
const SHAPE: f64 = 0.78;
/// Who gets wider by more than this turns its side, and is not covered.
const WIDER: f64 = 1.2;
/// A stature follows what is seen in this time, s: a car that recedes halves in about two.
const FOLLOWS_S: f64 = 0.7;
/// The same while it looks cut off: in the end it may be a vehicle that turned.
const FOLLOWS_CUT_S: f64 = 8.0;
/// Over this time single looks are averaged, s.
const NOW_S: f64 = 0.2;
/// The lower edge rose by more than this part of the height …
const ROSE: f64 = 0.1;
/// … and the upper one by less than this part of that: even of a bus seen from
/// a high pole the upper edge rises by a quarter …
const WITH_TOP: f64 = 0.2;
/// … and one side of it stayed, give or take this part of it, and the box got
/// narrower by less than this part of it: covered from below …
const WITH_SIDES: f64 = 0.5;
/// … or by more than this: covered from below and from one side.
const SIDE_TOO: f64 = 1.5;
/// It is covered until the lower edge is back, give or take this part of the height …
const BACK: f64 = 0.05;
/// … or the upper edge has moved by this part of it …
const TOP_MOVED: f64 = 0.1;
/// … or both sides have by this part.
const SIDES_MOVED: f64 = 0.3;
/// A box that was cut off stays so until it is higher than this part of what it was …
const LOWER_STILL: f64 = 0.92;
/// … or has its shape again.
const SHAPE_STILL: f64 = 0.88;
/// How long that may last at most, about, s.
const FOLLOWS_STILL_S: f64 = 30.0;

fn share(dt: f64, time: f64) -> f64 {
    1.0 - libm::exp(-dt.max(0.0) / time)
}

impl Stature {
    pub(super) fn new(bounds: &IsoBox) -> Self {
        Self {
            width: bounds.width,
            height: bounds.height,
            now: Edges::of(bounds),
            lately: Edges::of(bounds),
            is_covered: false,
            is_low: false,
            at_side: false,
        }
    }

    /// Takes the box of a detection `dt` seconds after the one before, in a
    /// picture of this aspect.
    pub(super) fn see(&mut self, bounds: &IsoBox, dt: f64, aspect: f64) {
        // Who drives into the picture grows wider as it recedes, and would seem
        // covered from below: nothing is learnt from a box that a side cuts off.
        let half = bounds.width / 2.0;
        let at_side = bounds.centre.x - half < SIDE || bounds.centre.x + half > aspect - SIDE;
        if at_side || self.at_side {
            *self = Self {
                at_side,
                ..Self::new(bounds)
            };
            return;
        }
        self.now.follow(&Edges::of(bounds), share(dt, NOW_S));
        self.is_low = self.is_low(bounds);
        self.is_covered = self.is_covered();
        let time = match (self.is_covered, self.is_low) {
            (true, _) => FOLLOWS_STILL_S,
            (_, true) => FOLLOWS_CUT_S,
            _ => FOLLOWS_S,
        };
        let share = share(dt, time);
        self.width += share * (bounds.width - self.width);
        self.height += share * (bounds.height - self.height);
        let now = self.now;
        self.lately.follow(&now, share);
    }

    fn is_low(&self, bounds: &IsoBox) -> bool {
        let is_low = |height: f64, width: f64, lower: f64, shape: f64| {
            let (less_high, narrower) = (height / self.height, width / self.width);
            less_high < lower && less_high < shape * narrower && narrower < WIDER
        };
        is_low(bounds.height, bounds.width, LOWER, SHAPE)
            || (self.is_low
                && is_low(
                    self.now.height(),
                    self.now.width(),
                    LOWER_STILL,
                    SHAPE_STILL,
                ))
    }

    fn is_covered(&self) -> bool {
        let (lately, now) = (&self.lately, &self.now);
        let (height, rose) = (lately.height(), lately.bottom - now.bottom);
        let top = lately.top - now.top;
        let side = (lately.left - now.left)
            .abs()
            .min((lately.right - now.right).abs());
        if self.is_covered || self.is_low {
            return rose > BACK * height
                && top.abs() < TOP_MOVED * height
                && now.width() < WIDER * lately.width()
                && side < SIDES_MOVED * height;
        }
        let narrower = 1.0 - now.width() / lately.width();
        let from_below = side < WITH_SIDES * rose && narrower < WITH_SIDES * rose / height;
        let from_a_side_too = narrower > SIDE_TOO * rose / height;
        rose > ROSE * height && top < WITH_TOP * rose && (from_below || from_a_side_too)
    }

    /// Whether the last detection was cut off from below.
    pub(super) fn is_cut(&self) -> bool {
        self.is_covered || self.is_low
    }

    /// Follows a camera that zooms.
    pub(super) fn scale(&mut self, factor: f64) {
        self.width *= factor;
        self.height *= factor;
    }

    /// Follows a change of the picture's shape.
    pub(super) fn stretch(&mut self, factor: f64) {
        self.width *= factor;
        for edges in [&mut self.now, &mut self.lately] {
            edges.left *= factor;
            edges.right *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Vector;

    fn bounds(x: f64, top: f64, width: f64, height: f64) -> IsoBox {
        IsoBox {
            centre: Vector::new(x, top + height / 2.0),
            width,
            height,
        }
    }

    /// Boxes seen ten times a second; how many of them were taken for cut off.
    fn cut(boxes: impl Iterator<Item = IsoBox>) -> usize {
        let mut stature = Stature::new(&bounds(0.5, 0.4, 0.05, 0.1));
        boxes
            .filter(|seen| {
                stature.see(seen, 0.1, 1.5);
                stature.is_cut()
            })
            .count()
    }

    #[test]
    fn who_drives_away_at_any_speed_stands_on_the_ground() {
        for speed in [1.0, 5.0, 15.0, 30.0] {
            let receding = (1..40).map(|tick| {
                let scale = 20.0 / (20.0 + speed * f64::from(tick) / 10.0);
                // The horizon is at a quarter of the picture.
                bounds(0.5, 0.25 + 0.15 * scale, 0.05 * scale, 0.1 * scale)
            });
            assert_eq!(cut(receding), 0, "{speed} m/s");
        }
    }

    #[test]
    fn who_drives_into_the_picture_from_its_side_stands_on_the_ground() {
        let coming = (1..40).map(|tick| {
            let scale = 20.0 / (20.0 + f64::from(tick));
            let (x, width) = (0.02 * f64::from(tick), 0.4 * scale);
            let left = (x - width / 2.0).max(0.0);
            let right = x + width / 2.0;
            bounds(f64::midpoint(left, right), 0.3, right - left, 0.2 * scale)
        });
        assert_eq!(cut(coming), 0);
    }

    #[test]
    fn a_bus_as_high_as_the_camera_that_drives_away_is_not_covered() {
        let receding = (1..40).map(|tick| {
            let scale = 20.0 / (20.0 + f64::from(tick));
            bounds(0.5, 0.4, 0.05 * scale, 0.1 * scale)
        });
        assert_eq!(cut(receding), 0);
    }

    #[test]
    fn who_is_covered_from_below_does_not() {
        let covered =
            (0..20).map(|tick| bounds(0.5, 0.4, 0.05, 0.1 - 0.004 * f64::from(tick.min(12))));
        assert!(cut(covered) >= 12);
    }

    #[test]
    fn a_fifth_that_is_covered_for_a_red_phase_is_covered_for_all_of_it() {
        let stands = (0..20).map(|_| bounds(0.5, 0.4, 0.05, 0.1));
        let covered = (0..150).map(|_| bounds(0.5, 0.401, 0.049, 0.08));
        assert!(cut(stands.chain(covered)) >= 145);
    }

    #[test]
    fn who_turns_its_side_is_not_covered() {
        // Seen from behind and above its length adds to its height, from the side to its width.
        for lower in [0.0, 0.0015] {
            let turning = (0..20).map(|tick| {
                let part = f64::from(tick);
                bounds(0.5, 0.4, 0.05 + 0.004 * part, 0.1 - lower * part)
            });
            assert_eq!(cut(turning), 0, "{lower}");
        }
    }
}
