//! Motion on the ground, for who is out of sight.
//!
//! In the picture a car that drives away at a constant speed slows down and
//! shrinks; a filter in the picture learns that only as it happens. Where the
//! camera is calibrated, place and velocity are followed in metres as well, and
//! say where a hidden road user should reappear, how large, and where it cannot
//! have got to.

use protocol::Point;

use super::association::Group;
use super::kalman::Axis;
use crate::calibration::Ground;
use crate::geometry::{IsoBox, Vector};

/// Random walk of the velocity, m/s per √s: braking and starting at lights.
const ACCELERATION: f64 = 1.5;
/// Random walk of the position, m per √s: what constant velocity leaves unexplained.
const WANDER: f64 = 0.3;
/// How uncertain the first velocity is, m/s: town traffic.
const FIRST_VELOCITY: f64 = 10.0;
/// Standard deviation of a contact point, in box heights.
const FOOT: f64 = 0.05;
/// The same at least, m.
const FOOT_M: f64 = 0.1;
/// Nobody is faster: a sprinter on foot …
const FASTEST_WALKER: f64 = 10.0;
/// … and 200 km/h on wheels, m/s.
const FASTEST: f64 = 55.0;
/// How many standard deviations of both contact points a step may be off.
const SURE: f64 = 3.0;
/// Small step for the local scale, in picture heights.
const STEP: f64 = 0.01;

/// A place on the ground with how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    at: Vector,
    /// Standard deviation, m.
    deviation: f64,
    /// Metres across per picture height, for sizes.
    scale: f64,
}

impl Place {
    /// Where a box touches the ground.
    pub(super) fn of(seen: &IsoBox, ground: &Ground, aspect: f64) -> Option<Self> {
        let foot = Vector::new(seen.centre.x, seen.centre.y + seen.height / 2.0);
        let on_ground = |iso: Vector| {
            ground.to_ground(Point {
                x: iso.x / aspect,
                y: iso.y,
            })
        };
        let at = on_ground(foot)?;
        // Towards the camera, where there always is ground.
        let lower = on_ground(Vector::new(foot.x, foot.y + STEP))?;
        let beside = on_ground(Vector::new(foot.x + STEP, foot.y))?;
        let depth = (lower - at).length() / STEP;
        Some(Self {
            at,
            deviation: FOOT_M + FOOT * seen.height * depth,
            scale: (beside - at).length() / STEP,
        })
    }
}

/// Place and velocity on the ground.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OnRoad {
    x: Axis,
    y: Axis,
    last: Place,
}

impl OnRoad {
    pub(super) fn new(place: Place) -> Self {
        let axis = |value| Axis::new(value, place.deviation, FIRST_VELOCITY);
        Self {
            x: axis(place.at.x),
            y: axis(place.at.y),
            last: place,
        }
    }

    pub(super) fn predict(&mut self, dt: f64) {
        self.x.predict(dt, WANDER, ACCELERATION);
        self.y.predict(dt, WANDER, ACCELERATION);
    }

    pub(super) fn correct(&mut self, place: Place) {
        self.x.correct(place.at.x, place.deviation);
        self.y.correct(place.at.y, place.deviation);
        self.last = place;
    }

    /// Where a box that was last seen as `last` should be now.
    pub(super) fn expected(&self, last: &IsoBox, ground: &Ground, aspect: f64) -> Option<IsoBox> {
        let foot = ground.to_image(Vector::new(self.x.value, self.y.value))?;
        let base = IsoBox {
            centre: Vector::new(foot.x * aspect, foot.y - last.height / 2.0),
            ..*last
        };
        let size = self.last.scale / Place::of(&base, ground, aspect)?.scale;
        (0.1..=10.0).contains(&size).then(|| IsoBox {
            centre: Vector::new(base.centre.x, foot.y - size * last.height / 2.0),
            width: size * last.width,
            height: size * last.height,
        })
    }

    /// Whether anybody of this kind could be at `place` so long after it was last seen, s.
    pub(super) fn can_reach(&self, place: &Place, group: Group, since_seen: f64) -> bool {
        let fastest = if group == Group::Person {
            FASTEST_WALKER
        } else {
            FASTEST
        };
        let slack = SURE * (self.last.deviation + place.deviation);
        (place.at - self.last.at).length() <= fastest * since_seen + slack
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::tests::plane::pole_camera;

    /// A car's box, `metres` along the road that leads away from the camera.
    fn at(ground: &Ground, metres: f64) -> IsoBox {
        let foot = ground.to_image(Vector::new(0.0, metres)).unwrap();
        let height = 1.5 / metres;
        IsoBox {
            centre: Vector::new(foot.x, foot.y - height / 2.0),
            width: 1.8 / metres,
            height,
        }
    }

    #[test]
    fn who_drives_away_behind_something_is_expected_where_perspective_puts_it() {
        let ground = Ground::new(&pole_camera()).unwrap();
        let place = |metres| Place::of(&at(&ground, metres), &ground, 1.0).unwrap();
        let mut road = OnRoad::new(place(12.0));
        for tenth in 1..=15 {
            road.predict(0.1);
            road.correct(place(12.0 + f64::from(tenth)));
        }
        for _ in 0..15 {
            road.predict(0.1);
        }
        // Fifteen metres farther on at 10 m/s, smaller than it was.
        let expected = road.expected(&at(&ground, 27.0), &ground, 1.0).unwrap();
        let truth = at(&ground, 42.0);
        assert!(expected.iou(&truth) > 0.6, "{expected:?} {truth:?}");
    }

    #[test]
    fn nobody_walks_from_one_end_of_the_road_to_the_other_in_a_moment() {
        let ground = Ground::new(&pole_camera()).unwrap();
        let place = |metres| Place::of(&at(&ground, metres), &ground, 1.0).unwrap();
        let road = OnRoad::new(place(15.0));
        assert!(road.can_reach(&place(16.0), Group::Person, 0.2));
        assert!(!road.can_reach(&place(40.0), Group::Person, 0.2));
        assert!(road.can_reach(&place(40.0), Group::FourWheeler, 1.0));
    }
}
