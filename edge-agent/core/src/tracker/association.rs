//! How well a detection fits a track: overlap first, and what to do without any.
//!
//! A gain is positive for a possible pair, greater for a better one. Classes
//! that detectors confuse with each other may pair (a van is called car, then
//! truck); a person and a car may not.

use protocol::{NormBox, ObjectClass};

use super::kalman::BoxFilter;
use super::road::Place;
use crate::geometry::IsoBox;

/// One detection of this frame, ready to be matched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    pub(super) class: ObjectClass,
    pub(super) score: f64,
    pub(super) bounds: NormBox,
    pub(super) iso: IsoBox,
    /// Where it touches the ground, where calibrated.
    pub(super) place: Option<Place>,
    pub(super) taken: bool,
}

/// Classes within a group are one kind of road user seen differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// On foot, and most riders as detectors see them.
    Person,
    /// Bicycles and motorcycles.
    TwoWheeler,
    /// Cars, buses and trucks.
    FourWheeler,
    /// Everything else, each class for itself.
    Only(ObjectClass),
}

impl Group {
    /// The group of a class.
    pub fn of(class: ObjectClass) -> Self {
        match class {
            ObjectClass::Person => Self::Person,
            ObjectClass::Bicycle | ObjectClass::Motorcycle => Self::TwoWheeler,
            ObjectClass::Car | ObjectClass::Bus | ObjectClass::Truck => Self::FourWheeler,
            other => Self::Only(other),
        }
    }

    /// How far it may have moved between two frames, in its own heights per second.
    fn reach_per_second(self) -> f64 {
        match self {
            // 1.7 m tall, running.
            Self::Person => 3.0,
            // 1.5 m tall at 60 km/h, seen from the side.
            Self::TwoWheeler | Self::FourWheeler => 11.0,
            Self::Only(_) => 5.0,
        }
    }
}

/// How well two boxes agree, in (0, 1]; 0 below `least`, a buffered overlap.
///
/// Boxes grow a little, so that thin boxes of people are not strangers after a
/// step aside (buffered `IoU`, Yang et al. 2023), and count by how far their
/// heights agree: who stands farther away is smaller and higher in the picture,
/// even where the boxes overlap (height-modulated `IoU`, Yang et al. 2024).
pub(super) fn by_overlap(expected: &IsoBox, seen: &IsoBox, least: f64) -> f64 {
    let iou = expected.grown(MARGIN).iou(&seen.grown(MARGIN));
    if iou < least {
        return 0.0;
    }
    (iou - least + EDGE) * expected.height_iou(seen).sqrt()
}

/// A gain after a doubt, never so small that a possible pair becomes impossible.
pub(super) fn doubted(gain: f64, doubt: f64) -> f64 {
    if gain > 0.0 {
        (gain - doubt).max(EDGE * EDGE)
    } else {
        0.0
    }
}

/// By how much boxes grow on each side before they are compared.
const MARGIN: f64 = 0.12;
/// A pair exactly at its limit is possible.
const EDGE: f64 = 1e-6;
/// By how much boxes grow on each side when nothing overlapped (buffered IoU, Yang et al. 2023).
const BUFFER: f64 = 0.4;
const LEAST_BUFFERED: f64 = 0.05;
/// Sizes that differ more are different things.
const SIZE_RATIO: f64 = 1.7;
/// One true position in a hundred is farther from its prediction: χ² with two degrees of freedom.
const MOST_SURPRISE: f64 = 9.21;
/// Nothing is looked for farther away than this, in box heights.
const FARTHEST: f64 = 3.0;

/// Gain where boxes did not overlap: small fast objects at low frame rates.
///
/// A track that knows its velocity is looked for around its prediction, as far
/// as its motion so far makes credible: who stood still until a moment ago has
/// not leapt onto the passer-by beside it, even if nothing else is left to
/// match. One that does not (`known` false) may have gone anywhere within its reach.
pub(super) fn by_distance(
    filter: &BoxFilter,
    seen: &IsoBox,
    group: Group,
    known: bool,
    dt: f64,
) -> f64 {
    let predicted = filter.bounds();
    let ratio = predicted.height / seen.height;
    if !(1.0 / SIZE_RATIO..=SIZE_RATIO).contains(&ratio) {
        return 0.0;
    }
    let buffered = predicted.grown(BUFFER).iou(&seen.grown(BUFFER));
    let overlap = if buffered < LEAST_BUFFERED {
        0.0
    } else {
        buffered
    };
    if known {
        let is_credible = filter.surprise(seen) <= MOST_SURPRISE;
        return if is_credible { overlap } else { 0.0 };
    }
    let height = f64::midpoint(predicted.height, seen.height);
    let distance = (predicted.centre - seen.centre).length() / height;
    let reach = (0.5 + group.reach_per_second() * dt).min(FARTHEST);
    let nearness = (1.0 - distance / reach).max(0.0);
    // Less than any overlap of the same quality: only when nothing better is there.
    overlap.max(nearness / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Vector;

    fn at(x: f64) -> IsoBox {
        IsoBox {
            centre: Vector::new(x, 0.5),
            width: 0.05,
            height: 0.05,
        }
    }

    /// A filter after one sighting and `dt` seconds.
    fn after(dt: f64) -> BoxFilter {
        let mut filter = BoxFilter::new(&at(0.5));
        filter.predict(dt, false);
        filter
    }

    #[test]
    fn a_new_track_is_found_within_the_reach_of_its_kind() {
        // Five pictures a second, a car's box two heights on: no overlap at all.
        let gain = |group| by_distance(&after(0.2), &at(0.6), group, false, 0.2);
        assert!(gain(Group::FourWheeler) > 0.0);
        assert_eq!(gain(Group::Person), 0.0);
    }

    #[test]
    fn a_track_with_a_velocity_is_found_near_its_prediction_only() {
        let gain = |x| by_distance(&after(0.2), &at(x), Group::FourWheeler, true, 0.2);
        assert!(gain(0.56) > 0.0);
        assert_eq!(gain(0.6), 0.0);
    }

    #[test]
    fn who_stood_still_has_not_leapt_a_box_further_and_who_was_gone_for_long_may_have() {
        let mut filter = after(0.0);
        for _ in 0..30 {
            filter.predict(0.1, false);
            filter.correct(&at(0.5), 0.9);
        }
        let gain = |filter: &BoxFilter| by_distance(filter, &at(0.56), Group::Person, true, 0.2);
        filter.predict(0.2, false);
        assert_eq!(gain(&filter), 0.0);
        for _ in 0..10 {
            filter.predict(0.1, true);
        }
        assert!(gain(&filter) > 0.0);
    }

    #[test]
    fn a_box_of_another_size_is_somebody_else() {
        let mut big = at(0.5);
        big.height = 0.1;
        assert_eq!(
            by_distance(&after(0.2), &big, Group::Person, false, 0.2),
            0.0
        );
    }
}
