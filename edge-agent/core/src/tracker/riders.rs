//! Which persons sit on a two-wheeler.
//!
//! Detectors see a rider as a person and, if at all, the motorcycle under it as
//! a second object. A rider is no pedestrian, however long it stays.

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
        let mut any = false;
        let mut riding = false;
        for wheels in mount {
            any = true;
            riding |= sits_on(&bounds, &wheels);
        }
        // Where no two-wheeler is seen at all, nothing is learnt: it may have been missed.
        if any {
            tracks[index].note_riding(riding);
        }
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
}
