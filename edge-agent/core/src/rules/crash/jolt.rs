//! How suddenly a vehicle came to rest.

use std::collections::VecDeque;

use crate::geometry::Vector;
use crate::observation::Basis;
use crate::tracker::Spot;

/// The places before and after are at least and at most this far away, s.
const SIDE_S: (f64, f64) = (0.55, 1.2);
/// So it takes three places of at most this much time, s.
pub(super) const LONGEST_S: f64 = 2.0 * SIDE_S.1;
/// A body does not change its size by more within that time: the name changed bodies.
const SAME_SIZE: f64 = 1.35;
/// It was under way before: m/s, box heights per second.
const UNDER_WAY: (f64, f64) = (2.5, 1.0);
/// Thrown off its course: more than any vehicle steers within that time, degrees.
const THROWN_DEG: f64 = 60.0;

/// The change of motion at one instant of a trail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Jolt {
    pub(super) basis: Basis,
    /// At least, given how uncertain places are: m/s², or box heights per s².
    pub(super) deceleration: f64,
    /// m/s, or box heights per s.
    pub(super) before: f64,
    /// Unit vector of the motion before, in the isotropic picture.
    pub(super) course: Vector,
    /// Whether the motion after it leads elsewhere.
    pub(super) is_thrown: bool,
}

/// The jolt in the middle of the newest places of a trail, of a body whose
/// place is uncertain by `blur` (m, or box heights). Uncertainty speaks for the
/// gentler braking.
pub(super) fn newest(trail: &VecDeque<Spot>, blur: f64) -> Option<Jolt> {
    let c = trail.back()?;
    let earlier = |than: &Spot| {
        let apart = |spot: &Spot| than.at.time.since(spot.at.time).0;
        let spot = trail.iter().rev().find(|spot| apart(spot) >= SIDE_S.0)?;
        let apart = apart(spot);
        (apart <= SIDE_S.1).then_some((spot, apart))
    };
    let (b, t2) = earlier(c)?;
    let (a, t1) = earlier(b)?;
    let same_size = |p: &Spot, q: &Spot| {
        let ratio = p.height / q.height.max(1e-6);
        (1.0 / SAME_SIZE..=SAME_SIZE).contains(&ratio)
    };
    if !same_size(a, b) || !same_size(b, c) {
        return None;
    }
    let (way1, way2) = (a.way_to(b), b.way_to(c));
    if way1.basis != way2.basis {
        return None;
    }
    let (v1, v2) = (way1.vector * (1.0 / t1), way2.vector * (1.0 / t2));
    let least = match way1.basis {
        Basis::Ground => UNDER_WAY.0,
        Basis::Picture => UNDER_WAY.1,
    };
    let before = v1.length();
    if before < least {
        return None;
    }
    let is_thrown = v2.length() > 0.3 * before && v1.angle_degrees(v2) > THROWN_DEG;
    Some(Jolt {
        basis: way1.basis,
        // The second difference of three places.
        deceleration: (before - v2.length()) / (0.5 * (t1 + t2))
            - libm::sqrt(6.0) * blur / (t1 * t2),
        before,
        course: (b.iso - a.iso).unit()?,
        is_thrown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::event::FrameTime;
    use protocol::units::Seconds;
    use protocol::{EventTime, Point};

    /// A car seen five times a second at these metres.
    fn trail(places: &[f64]) -> VecDeque<Spot> {
        let spot = |(index, x): (usize, &f64)| Spot {
            at: FrameTime {
                frame: index as u64,
                time: EventTime::EPOCH + Seconds(index as f64 / 5.0),
            },
            foot: Point {
                x: x / 100.0,
                y: 0.5,
            },
            iso: Vector::new(x / 50.0, 0.5),
            ground: Some(Vector::new(*x, 0.0)),
            height: 0.05,
        };
        places.iter().enumerate().map(spot).collect()
    }

    #[test]
    fn a_sudden_stop_is_beyond_tyres_and_a_firm_one_is_not() {
        let sudden = newest(&trail(&[0.0, 2.0, 4.0, 6.0, 6.0, 6.0, 6.0]), 0.1).unwrap();
        assert!(sudden.deceleration > 15.0, "{sudden:?}");
        // 10 m/s, then braking at 4.5 m/s².
        let firm = newest(&trail(&[0.0, 2.0, 4.0, 6.0, 7.91, 9.64, 11.19]), 0.0).unwrap();
        assert!(firm.deceleration < 4.6, "{firm:?}");
    }

    #[test]
    fn too_little_too_slow_and_another_body_are_no_jolt() {
        assert_eq!(newest(&trail(&[0.0, 2.0, 4.0]), 0.1), None);
        assert_eq!(
            newest(&trail(&[0.0, 0.1, 0.2, 0.3, 0.3, 0.3, 0.3]), 0.1),
            None
        );
        let mut other = trail(&[0.0, 2.0, 4.0, 6.0, 6.0, 6.0, 6.0]);
        other[6].height = 0.1;
        assert_eq!(newest(&other, 0.1), None);
    }
}
