//! Who may go on with a place, and with the time that somebody stood there.
//!
//! A tracker gives a vehicle a new name when it was hidden, or when two names
//! change bodies. Such a name is *suddenly* at the place: it has no past, or it
//! leapt there from somewhere else. Whoever was seen to drive up is another
//! vehicle, and in a queue each one drives up to where the one before it stood.

use std::collections::VecDeque;

use protocol::EventTime;

use crate::geometry::Vector;
use crate::observation::Motion;
use crate::tracker::Spot;

/// A box is off by at most this from where its motion should have brought it, in box heights …
const OFF_HEIGHTS: f64 = 0.3;
/// … and by this much more per second between the sightings: full throttle, or full brakes.
const OFF_HEIGHTS_PER_S: f64 = 3.0;
/// Who has been at a place for less than this may be passing, s.
const STAYED_S: f64 = 0.35;

/// Whether no vehicle can have got from `before` to `after`, when its motion
/// should have brought it to `expected`: its name changed bodies.
pub(super) fn is_leap(before: &Spot, expected: Vector, after: &Spot) -> bool {
    let height = f64::midpoint(before.height, after.height).max(1e-6);
    let passed = after.at.time.since(before.at.time).0.max(0.0);
    (after.iso - expected).length() / height > OFF_HEIGHTS + OFF_HEIGHTS_PER_S * passed
}

/// Since when a vehicle has been where it is now.
pub(super) fn here_since(
    trail: &VecDeque<Spot>,
    now: &Spot,
    is_here: impl Fn(&Spot) -> bool,
) -> EventTime {
    let before = trail.iter().rev().filter(|spot| spot.at.time < now.at.time);
    before
        .take_while(|spot| is_here(spot))
        .last()
        .map_or(now.at.time, |spot| spot.at.time)
}

/// Since when a vehicle has been where it is now, if it was suddenly there and stayed.
pub(super) fn appeared(
    trail: &VecDeque<Spot>,
    now: &Spot,
    is_here: impl Fn(&Spot) -> bool,
) -> Option<EventTime> {
    let mut first = now;
    let mut before = None;
    for spot in trail.iter().rev().filter(|spot| spot.at.time < now.at.time) {
        if !is_here(spot) {
            before = Some(spot);
            break;
        }
        first = spot;
    }
    let has_stayed = now.at.time.since(first.at.time).0 >= STAYED_S;
    let is_sudden = before.is_none_or(|before| {
        // Who is too young to have a known motion may have driven here.
        Motion::of(trail, before).is_some_and(|motion| {
            let passed = first.at.time.since(before.at.time).0;
            let expected = before.iso + motion.picture * (passed * before.height);
            is_leap(before, expected, first)
        })
    });
    (has_stayed && is_sudden).then_some(first.at.time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Point;
    use protocol::event::FrameTime;
    use protocol::units::Seconds;

    /// Places of a box of height 0.1, five times a second.
    fn seen(places: &[f64]) -> (VecDeque<Spot>, Spot) {
        let spots: VecDeque<Spot> = places
            .iter()
            .enumerate()
            .map(|(index, &x)| Spot {
                at: FrameTime {
                    frame: index as u64,
                    time: EventTime::EPOCH + Seconds(index as f64 / 5.0),
                },
                foot: Point { x, y: 0.5 },
                iso: Vector::new(x, 0.5),
                ground: None,
                height: 0.1,
            })
            .collect();
        let now = *spots.back().unwrap();
        (spots, now)
    }

    /// The place is x = 0.5, give or take a third of a box height.
    fn since(places: &[f64]) -> Option<f64> {
        let (trail, now) = seen(places);
        appeared(&trail, &now, |spot| (spot.iso.x - 0.5).abs() < 0.035)
            .map(|time| time.since(EventTime::EPOCH).0)
    }

    #[test]
    fn a_new_name_at_the_place_and_one_that_leapt_there_appeared_and_who_drove_up_did_not() {
        for (story, places, expected) in [
            ("born here", &[0.5, 0.5, 0.51][..], Some(0.0)),
            ("born here a moment ago", &[0.5, 0.5], None),
            (
                "leapt here from a car that drove by",
                &[0.1, 0.16, 0.22, 0.28, 0.5, 0.5, 0.5],
                Some(0.8),
            ),
            (
                "crept up in a queue",
                &[0.44, 0.44, 0.44, 0.45, 0.48, 0.5, 0.5, 0.5],
                None,
            ),
            (
                "drove up and braked",
                &[0.1, 0.2, 0.3, 0.38, 0.44, 0.48, 0.5, 0.5],
                None,
            ),
            ("drives by", &[0.2, 0.3, 0.4, 0.5], None),
            ("was born beside and is here", &[0.3, 0.5, 0.5, 0.5], None),
        ] {
            assert_eq!(since(places), expected, "{story}");
        }
    }
}
