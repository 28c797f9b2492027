//! Which persons sit on a two-wheeler.
//!
//! Detectors see a rider as a person and, if at all, the motorcycle under it as
//! a second object. A rider is no pedestrian, however long it stays.
//!
//! One look proves little, so looks are put to the vote. Whoever accuses takes
//! its own vote over the time of the accusation: the life of a track is the
//! wrong jury where the tracker went on with somebody else under one name.

use super::Track;
use super::association::Group;
use crate::geometry::IsoBox;

/// How much of the person must lie within the two-wheeler, grown upwards for the upper body.
const SHARED: f64 = 0.25;

/// Notes, for every person seen at this frame, whether it rides.
pub(super) fn note(tracks: &mut [Track], aspect: f64) {
    for index in 0..tracks.len() {
        let person = &tracks[index];
        if person.misses > 0 || person.group() != Group::Person {
            continue;
        }
        let bounds = IsoBox::new(&person.bounds, aspect);
        let mount = tracks
            .iter()
            .filter(|t| t.misses == 0 && t.group() == Group::TwoWheeler)
            .map(|t| IsoBox::new(&t.bounds, aspect));
        // Where no two-wheeler is seen at all, nothing is learnt: it may have been missed.
        let look = mount
            .map(|wheels| sits_on(&bounds, &wheels))
            .reduce(|a, b| a || b);
        tracks[index].note_riding(look);
    }
}

/// In how many looks a person sat on a two-wheeler.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Riding {
    on: f64,
    of: f64,
}

/// About four seconds at 15 frames a second.
const MOST_LOOKS: f64 = 60.0;
/// The motorcycle under a rider is often missed, so less than half of the looks is enough.
const RIDER_SHARE: f64 = 0.3;

impl Riding {
    /// Takes what one frame showed; `None` is no vote.
    pub(crate) fn add(&mut self, look: Option<bool>) {
        let Some(on) = look else {
            return;
        };
        self.on += f64::from(u8::from(on));
        self.of += 1.0;
        if self.of > MOST_LOOKS {
            self.on /= 2.0;
            self.of /= 2.0;
        }
    }

    /// Whether so many looks showed it riding that it is believed.
    pub(crate) fn is_rider(self) -> bool {
        self.of > 0.0 && self.on >= RIDER_SHARE * self.of
    }
}

/// Whether a person's box sits on a two-wheeler's.
fn sits_on(person: &IsoBox, wheels: &IsoBox) -> bool {
    let sideways = (person.centre.x - wheels.centre.x).abs();
    let person_bottom = person.centre.y + person.height / 2.0;
    let (top, bottom) = (
        wheels.centre.y - wheels.height / 2.0,
        wheels.centre.y + wheels.height / 2.0,
    );
    // Somebody who stands beside or in front of a parked motorcycle has the
    // feet beyond its wheels or the body beside its frame.
    sideways <= wheels.width / 2.0
        && person_bottom >= top
        && person_bottom <= bottom + 0.1 * person.height
        && person.overlap(wheels) >= SHARED * person.width * person.height
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Vector;

    fn at(x: f64, bottom: f64, width: f64, height: f64) -> IsoBox {
        IsoBox {
            centre: Vector::new(x, bottom - height / 2.0),
            width,
            height,
        }
    }

    #[test]
    fn a_rider_is_on_the_machine_and_a_passer_by_beside_it() {
        let motorcycle = at(0.50, 0.80, 0.06, 0.10);
        assert!(sits_on(&at(0.50, 0.77, 0.04, 0.13), &motorcycle));
        assert!(!sits_on(&at(0.55, 0.80, 0.04, 0.14), &motorcycle));
        assert!(!sits_on(&at(0.50, 0.86, 0.04, 0.14), &motorcycle));
    }

    #[test]
    fn a_rider_whose_machine_is_often_missed_still_rides_and_who_passes_one_does_not() {
        let vote = |looks: &[Option<bool>]| {
            let mut riding = Riding::default();
            for look in looks {
                riding.add(*look);
            }
            riding.is_rider()
        };
        assert!(vote(&[Some(true), Some(false), None, Some(false)]));
        assert!(!vote(&[Some(false), Some(true), Some(false), Some(false)]));
        assert!(!vote(&[None, None]));
    }
}
