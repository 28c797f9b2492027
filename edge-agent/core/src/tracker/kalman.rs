//! Where a box is and how it moves: a Kalman filter for variable intervals.
//!
//! Centre, width and height are four independent constant-velocity filters.
//! With position measured on each axis alone, the full 8 × 8 filter of SORT and
//! ByteTrack falls apart into exactly these blocks, so nothing is lost and a
//! step costs some dozen multiplications instead of a matrix product.
//!
//! Noise scales with the height of the box, as in ByteTrack, but is stated per
//! second instead of per frame: two steps of half an interval then give the
//! same uncertainty as one whole step, at 2 and at 30 frames a second.

use protocol::CameraMotion;

use crate::geometry::{IsoBox, Vector};

/// Standard deviation of a sure detection's edge, in box heights …
const MEASUREMENT: f64 = 0.03;
/// … and by what it grows for a doubtful one (score 0): three times as much.
/// Scores tell hidden and blurred boxes, whose edges jump (NSA, `StrongSORT`).
const DOUBT: f64 = 2.0;
/// Random walk of the position, in box heights per √s: what constant velocity leaves unexplained.
const WANDER: f64 = 0.15;
/// Random walk of the velocity, in box heights per s per √s.
const ACCELERATION: f64 = 1.0;
/// How uncertain the first velocity is, in box heights per s: a motorbike seen from the side.
const FIRST_VELOCITY: f64 = 3.0;
/// The same for growth, which is slow even towards the camera.
const FIRST_GROWTH: f64 = 0.3;
/// Growth of a box changes far less than its velocity.
const GROWTH_ACCELERATION: f64 = 0.1;
/// An unseen object's velocity falls to 1/e in this time: it is more likely to
/// have slowed down behind what hides it than to have flown out of the picture.
const UNSEEN_DECAY_S: f64 = 2.0;

/// One coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) value: f64,
    rate: f64,
    p_value: f64,
    p_cross: f64,
    p_rate: f64,
}

impl Axis {
    pub(super) fn new(value: f64, deviation: f64, rate_deviation: f64) -> Self {
        Self {
            value,
            rate: 0.0,
            p_value: deviation * deviation,
            p_cross: 0.0,
            p_rate: rate_deviation * rate_deviation,
        }
    }

    /// Continuous white-noise acceleration, discretised exactly.
    pub(super) fn predict(&mut self, dt: f64, wander: f64, acceleration: f64) {
        let (w, a) = (wander * wander, acceleration * acceleration);
        self.value += self.rate * dt;
        self.p_value +=
            dt * (2.0 * self.p_cross + dt * self.p_rate) + w * dt + a * dt * dt * dt / 3.0;
        self.p_cross += dt * self.p_rate + a * dt * dt / 2.0;
        self.p_rate += a * dt;
    }

    pub(super) fn correct(&mut self, measured: f64, deviation: f64) {
        let total = self.p_value + deviation * deviation;
        let (gain, rate_gain) = (self.p_value / total, self.p_cross / total);
        let surprise = measured - self.value;
        self.value += gain * surprise;
        self.rate += rate_gain * surprise;
        self.p_rate -= rate_gain * self.p_cross;
        self.p_cross *= 1.0 - gain;
        self.p_value *= 1.0 - gain;
    }
}

/// The state of one box in the isotropic picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BoxFilter {
    x: Axis,
    y: Axis,
    width: Axis,
    height: Axis,
}

impl BoxFilter {
    /// From the first detection.
    pub(super) fn new(first: &IsoBox) -> Self {
        let h = first.height;
        let place = |value| Axis::new(value, MEASUREMENT * h, FIRST_VELOCITY * h);
        let size = |value| Axis::new(value, MEASUREMENT * h, FIRST_GROWTH * h);
        Self {
            x: place(first.centre.x),
            y: place(first.centre.y),
            width: size(first.width),
            height: size(first.height),
        }
    }

    /// Where the box is believed to be.
    pub(super) fn bounds(&self) -> IsoBox {
        IsoBox {
            centre: Vector::new(self.x.value, self.y.value),
            width: self.width.value,
            height: self.height.value,
        }
    }

    /// How far a box's centre is from where it is believed to be, measured by
    /// how well that is known: the squared Mahalanobis distance, two degrees of freedom.
    pub(super) fn surprise(&self, seen: &IsoBox) -> f64 {
        let deviation = MEASUREMENT * self.height.value.max(seen.height);
        let of = |axis: &Axis, measured: f64| {
            let off = measured - axis.value;
            off * off / (axis.p_value + deviation * deviation)
        };
        of(&self.x, seen.centre.x) + of(&self.y, seen.centre.y)
    }

    /// Picture heights per second.
    pub(super) fn velocity(&self) -> Vector {
        Vector::new(self.x.rate, self.y.rate)
    }

    /// Moves on by `dt` seconds ≥ 0. `unseen`: the last picture did not show it.
    pub(super) fn predict(&mut self, dt: f64, unseen: bool) {
        let h = self.height.value;
        let decay = if unseen {
            libm::exp(-dt / UNSEEN_DECAY_S)
        } else {
            1.0
        };
        for axis in [&mut self.x, &mut self.y] {
            axis.predict(dt, WANDER * h, ACCELERATION * h);
            axis.rate *= decay;
        }
        for axis in [&mut self.width, &mut self.height] {
            if unseen {
                axis.rate = 0.0;
            }
            axis.predict(dt, WANDER * h / 2.0, GROWTH_ACCELERATION * h);
        }
        self.keep_real();
    }

    /// Takes a detection of this score.
    pub(super) fn correct(&mut self, seen: &IsoBox, score: f64) {
        let edge = MEASUREMENT * (1.0 + DOUBT * (1.0 - score));
        let deviation = edge * self.height.value.max(seen.height);
        self.x.correct(seen.centre.x, deviation);
        self.y.correct(seen.centre.y, deviation);
        self.width.correct(seen.width, deviation);
        self.height.correct(seen.height, deviation);
        self.keep_real();
    }

    /// Follows a change of the picture's shape: the same scene, stretched.
    pub(super) fn stretch(&mut self, factor: f64) {
        for axis in [&mut self.x, &mut self.width] {
            axis.value *= factor;
            axis.rate *= factor;
        }
    }

    /// Follows the camera: the same scene, shifted, scaled and turned.
    pub(super) fn follow_camera(&mut self, motion: &CameraMotion) {
        let place = moved(Vector::new(self.x.value, self.y.value), motion);
        let rate = turned(Vector::new(self.x.rate, self.y.rate), motion);
        (self.x.value, self.y.value) = (place.x, place.y);
        (self.x.rate, self.y.rate) = (rate.x, rate.y);
        let scale = motion.scale();
        for axis in [&mut self.width, &mut self.height] {
            axis.value *= scale;
            axis.rate *= scale;
        }
        for axis in [&mut self.x, &mut self.y, &mut self.width, &mut self.height] {
            axis.p_value *= scale * scale;
            axis.p_cross *= scale * scale;
            axis.p_rate *= scale * scale;
        }
        self.keep_real();
    }

    /// A box shrinks to a speck, never to less.
    fn keep_real(&mut self) {
        for axis in [&mut self.width, &mut self.height] {
            if axis.value < SPECK {
                axis.value = SPECK;
                axis.rate = axis.rate.max(0.0);
            }
        }
    }
}

/// Where a place of the previous picture is in this one.
pub(super) fn moved(place: Vector, motion: &CameraMotion) -> Vector {
    turned(place, motion) + Vector::new(motion.shift_x, motion.shift_y)
}

/// What a way in the previous picture is in this one.
fn turned(way: Vector, motion: &CameraMotion) -> Vector {
    Vector::new(
        motion.a * way.x - motion.b * way.y,
        motion.b * way.x + motion.a * way.y,
    )
}

/// A tenth of a pixel at 1080p.
const SPECK: f64 = 1e-4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(x: f64) -> IsoBox {
        IsoBox {
            centre: Vector::new(x, 0.5),
            width: 0.1,
            height: 0.1,
        }
    }

    #[test]
    fn constant_velocity_is_learnt_at_any_frame_rate() {
        for fps in [2.0, 5.0, 12.5, 30.0] {
            let mut filter = BoxFilter::new(&at(0.0));
            let steps = 10;
            for i in 1..=steps {
                filter.predict(1.0 / fps, false);
                filter.correct(&at(0.2 * f64::from(i) / fps), 0.9);
            }
            let speed = filter.velocity().x;
            assert!((speed - 0.2).abs() < 0.02, "{fps} fps: {speed}");
        }
    }

    #[test]
    fn an_unseen_box_slows_down_and_never_turns_inside_out() {
        let mut filter = BoxFilter::new(&at(0.0));
        for i in 1..10 {
            filter.predict(0.1, false);
            let mut seen = at(0.05 * f64::from(i));
            seen.height = 0.1 - 0.01 * f64::from(i);
            filter.correct(&seen, 0.9);
        }
        let before = filter.velocity().x;
        for _ in 0..100 {
            filter.predict(0.5, true);
        }
        assert!(filter.velocity().x < before / 1e6);
        assert!(filter.bounds().height >= SPECK && filter.bounds().width >= SPECK);
    }

    proptest! {
        #[test]
        fn two_half_steps_are_one_step(dt in 0.01..2.0_f64, rate in -1.0..1.0_f64) {
            let mut once = Axis::new(0.3, 0.01, 0.2);
            once.rate = rate;
            let mut twice = once;
            once.predict(dt, 0.1, 0.5);
            twice.predict(dt / 2.0, 0.1, 0.5);
            twice.predict(dt / 2.0, 0.1, 0.5);
            for (a, b) in [
                (once.value, twice.value),
                (once.p_value, twice.p_value),
                (once.p_cross, twice.p_cross),
                (once.p_rate, twice.p_rate),
            ] {
                prop_assert!((a - b).abs() < 1e-9 * (1.0 + a.abs()), "{} {}", a, b);
            }
        }
    }
}
