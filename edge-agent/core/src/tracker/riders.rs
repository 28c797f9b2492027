//! Which persons sit on which two-wheeler, and how many on each.
//!
//! Detectors see a rider as a person and, if at all, the motorcycle under it as
//! a second object. A rider is no pedestrian, however long it stays; motorcycle
//! and riders are one road user, of which the motorcycle's track is the name.
//!
//! One look proves little, so looks are put to the vote. Whoever accuses takes
//! its own vote over the time of the accusation: the life of a track is the
//! wrong jury where the tracker went on with somebody else under one name.

use protocol::TrackId;

use super::association::Group;
use super::{Moment, Track};
use crate::geometry::IsoBox;

/// How much of the person must lie within the two-wheeler, grown upwards for the upper body.
const SHARED: f64 = 0.25;

/// Notes, for every person seen at this frame, whether it rides and on what,
/// and for every two-wheeler how many ride it.
pub(super) fn note(tracks: &mut [Track], moment: &Moment) {
    let is_seen = |track: &Track, group| track.misses == 0 && track.group() == group;
    let shows_wheels = tracks.iter().any(|t| is_seen(t, Group::TwoWheeler));
    if shows_wheels {
        for track in tracks.iter_mut() {
            track.riders_now = 0;
        }
    }
    for index in 0..tracks.len() {
        if !is_seen(&tracks[index], Group::Person) {
            continue;
        }
        if !shows_wheels {
            // Nothing is learnt: the machine may have been missed.
            tracks[index].note_riding(None, None);
            continue;
        }
        let mount = mount_of(&tracks[index], tracks, moment.aspect);
        if let Some(mount) = mount {
            tracks[mount].riders_now = tracks[mount].riders_now.saturating_add(1);
        }
        let name = mount.map(|mount| tracks[mount].id);
        tracks[index].note_riding(Some(name.is_some()), name);
    }
    // Who is followed is not counted anew.
    if shows_wheels && !moment.is_followed {
        for track in tracks {
            if is_seen(track, Group::TwoWheeler) {
                track.note_riders();
            }
        }
    }
}

/// The one two-wheeler on which a person sits in this frame: of several that
/// overlap the one that holds most of it, the oldest of equals.
fn mount_of(person: &Track, tracks: &[Track], aspect: f64) -> Option<usize> {
    let bounds = IsoBox::new(&person.bounds, aspect);
    let mut best = None;
    let mut most = 0.0;
    for (index, track) in tracks.iter().enumerate() {
        if track.misses > 0 || track.group() != Group::TwoWheeler {
            continue;
        }
        let wheels = IsoBox::new(&track.bounds, aspect);
        let overlap = bounds.overlap(&wheels);
        if sits_on(&bounds, &wheels) && overlap > most {
            (best, most) = (Some(index), overlap);
        }
    }
    best
}

/// How many ride a two-wheeler, by a vote over its recent looks.
///
/// A pillion is often hidden behind the driver and a passer-by covers the
/// machine for a moment. So the count is the median of the looks: at least half
/// of them showed at least so many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RiderCount {
    /// How many; 0 where nobody was seen on it, or it is no two-wheeler.
    pub count: u8,
    /// How many looks were asked, of the track's whole life.
    pub looks: u32,
    /// The part of the recent looks that showed at least `count`, 0.5 to 1; 0 without a look.
    pub share: f64,
}

/// More are counted as so many.
const MOST_RIDERS: usize = 7;

/// The looks at a two-wheeler by the number of riders that each showed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Riders {
    showed: [f64; MOST_RIDERS + 1],
    looks: u32,
}

impl Riders {
    /// Takes what one look showed.
    pub(crate) fn add(&mut self, riders: u8) {
        self.showed[usize::from(riders).min(MOST_RIDERS)] += 1.0;
        self.looks = self.looks.saturating_add(1);
        if self.showed.iter().sum::<f64>() > MOST_LOOKS {
            for looks in &mut self.showed {
                *looks /= 2.0;
            }
        }
    }

    /// The part of the recent looks that showed at least `riders`, 0 to 1.
    pub(crate) fn share_of(&self, riders: u8) -> f64 {
        let all: f64 = self.showed.iter().sum();
        let from = usize::from(riders).min(MOST_RIDERS + 1);
        let enough: f64 = self.showed[from..].iter().sum();
        if all > 0.0 { enough / all } else { 0.0 }
    }

    /// The vote.
    pub(crate) fn count(&self) -> RiderCount {
        let count = (1..=7_u8)
            .rev()
            .find(|&riders| self.share_of(riders) >= 0.5)
            .unwrap_or(0);
        RiderCount {
            count,
            looks: self.looks,
            share: self.share_of(count),
        }
    }
}

/// On which two-wheeler a person mostly sits: the candidate gains with every
/// look that shows it and loses with every one that shows another, until the
/// other takes its place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mount {
    candidate: Option<TrackId>,
    lead: f64,
}

impl Mount {
    /// Takes the two-wheeler that one frame showed under the person.
    pub(crate) fn add(&mut self, mount: TrackId) {
        if self.candidate == Some(mount) {
            self.lead = (self.lead + 1.0).min(MOST_LOOKS);
        } else if self.lead >= 1.0 {
            self.lead -= 1.0;
        } else {
            (self.candidate, self.lead) = (Some(mount), 1.0);
        }
    }

    /// The one that leads.
    pub(crate) fn leader(self) -> Option<TrackId> {
        self.candidate
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

    #[test]
    fn riders_are_counted_by_the_median_look() {
        for (looks, count, share) in [
            (&[][..], 0, 0.0),
            (&[0, 0, 1], 0, 1.0),
            (&[2, 1, 2, 2], 2, 0.75),
            // A pillion hidden in every other look is still one.
            (&[3, 2, 3, 2], 3, 0.5),
            // A passer-by in front of one look is none.
            (&[1, 1, 4, 1], 1, 1.0),
            (&[200, 200], 7, 1.0),
        ] {
            let mut riders = Riders::default();
            for look in looks {
                riders.add(*look);
            }
            let expected = RiderCount {
                count,
                looks: u32::try_from(looks.len()).unwrap(),
                share,
            };
            assert_eq!(riders.count(), expected, "{looks:?}");
        }
    }

    #[test]
    fn who_changes_the_machine_is_seen_to_and_a_single_look_changes_nothing() {
        let id = |rank| TrackId {
            born: protocol::EventTime::EPOCH,
            rank,
        };
        let mut mount = Mount::default();
        assert_eq!(mount.leader(), None);
        for (looks, rank, leader) in [(5, 1, 1), (1, 2, 1), (10, 2, 2)] {
            for _ in 0..looks {
                mount.add(id(rank));
            }
            assert_eq!(mount.leader(), Some(id(leader)));
        }
    }
}
