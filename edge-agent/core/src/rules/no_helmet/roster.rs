//! Who is who on a machine: a rider is known by name and by the place on it.
//!
//! A rider's track breaks while the machine's goes on (a pole, a gesture), and the same
//! rider comes back under another name; or the names of two riders change places. Looks
//! belong to a head, so they are kept by seat. Who comes back takes a seat only where no other
//! rider can be meant, and a name that leaps leaves its seat behind: two different heads
//! must never become one that was seen bare often enough.

use protocol::TrackId;

use crate::geometry::Vector;

/// A rider of a machine, from 0 in the order in which they were found.
pub(super) type Seat = u8;

/// Somebody who comes back is so near to where a rider was lost, in heights of the machine:
/// riders sit two to four times as far apart.
const NEAR: f64 = 0.12;
/// And so far from every other rider who may be meant.
const APART: f64 = 2.0 * NEAR;
/// Who moves farther than this on the machine from one frame to the next is another …
const LEAP: f64 = 0.18;
/// … and so much farther for each second in which it was not seen: machines turn.
const LEAP_PER_S: f64 = 0.2;
/// Places are compared over at most this, s.
const FRESH_S: f64 = 3.0;
/// More than ride any machine. Who comes after them is not told apart.
const MOST_SEATS: usize = 12;

/// A rider, as far as is known.
#[derive(Clone, Copy, Debug)]
struct Rider {
    seat: Seat,
    /// `None`: the name was seen to be another's.
    name: Option<TrackId>,
    /// The name before, if it came back under another.
    was: Option<TrackId>,
    /// The crown, beside the middle and above the upper edge of the machine, in its heights.
    place: Vector,
    /// When it was there, watched time, s.
    at: f64,
}

impl Rider {
    fn is_fresh(&self, watched: f64) -> bool {
        (watched - self.at).abs() <= FRESH_S
    }

    fn distance(&self, place: Vector) -> f64 {
        (place - self.place).length()
    }

    /// Whether a place is one to which it cannot have moved.
    fn would_leap(&self, place: Vector, watched: f64) -> bool {
        let most = LEAP + LEAP_PER_S * (watched - self.at).abs();
        self.is_fresh(watched) && self.distance(place) > most
    }
}

/// The riders of one machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    riders: Vec<Rider>,
    next: Seat,
}

impl Roster {
    /// Whether more than one rider was ever told apart.
    pub(super) fn knows_several(&self) -> bool {
        self.next > 1
    }

    /// Sees where the riders are, in the present frame. `count` is how many there are by vote.
    pub(super) fn follow(&mut self, shown: &[(TrackId, Vector)], watched: f64, count: u8) {
        let is_shown = |name: TrackId| shown.iter().any(|(other, _)| *other == name);
        // Who came back under another name is seen beside the one who bore it: they were two.
        self.riders.retain(|rider| {
            let is_back = rider.was.is_some_and(is_shown);
            !(is_back && rider.name.is_some_and(is_shown))
        });
        for rider in &mut self.riders {
            let place = shown.iter().find(|(name, _)| Some(*name) == rider.name);
            if let Some(&(_, place)) = place {
                if rider.would_leap(place, watched) {
                    (rider.name, rider.was) = (None, None);
                } else {
                    (rider.place, rider.at) = (place, watched);
                }
            }
        }
        for &(name, place) in shown {
            let is_known = |rider: &Rider| rider.name == Some(name);
            if !self.riders.iter().any(is_known)
                && !self.come_back((name, place), shown, watched, count)
            {
                self.begin(name, place, watched);
            }
        }
    }

    /// Takes those whom a second look showed in a frame that has passed, where the detector alone
    /// did not tell of them: their wheels or feet were hidden.
    pub(super) fn recall(&mut self, shown: &[(TrackId, Vector)], watched: f64) {
        for &(name, place) in shown {
            let mut known = self.riders.iter_mut();
            let bears = |rider: &&mut Rider| rider.name == Some(name) || rider.was == Some(name);
            if let Some(rider) = known.find(bears) {
                let is_its = rider.name == Some(name) && !rider.would_leap(place, watched);
                if is_its && watched > rider.at {
                    (rider.place, rider.at) = (place, watched);
                }
            } else if self.seat((name, place), watched).is_none() {
                self.begin(name, place, watched);
            }
        }
    }

    /// On which seat somebody sits who was seen at `watched`, be it some time ago, when names
    /// may have been others' than now; `None`: nobody can tell.
    pub(super) fn seat(&self, (name, place): (TrackId, Vector), watched: f64) -> Option<Seat> {
        let bears = |rider: &&Rider| rider.name == Some(name) || rider.was == Some(name);
        let known = self.riders.iter().find(bears);
        if let Some(known) = known.filter(|known| !known.would_leap(place, watched)) {
            return Some(known.seat);
        }
        let is_near = |rider: &&Rider| rider.is_fresh(watched) && rider.distance(place) <= NEAR;
        let near = self.riders.iter().find(is_near)?;
        let mut others = self.riders.iter().filter(|rider| rider.seat != near.seat);
        let are_apart = others.all(|rider| rider.distance(place) >= APART);
        are_apart.then_some(near.seat)
    }

    /// Whether a new name is that of a rider who is not shown, and nobody else's; then it is its.
    fn come_back(
        &mut self,
        (name, place): (TrackId, Vector),
        shown: &[(TrackId, Vector)],
        watched: f64,
        count: u8,
    ) -> bool {
        // Of more riders than were told apart it may be one who was not seen before.
        if usize::from(count) > self.riders.len() {
            return false;
        }
        let is_shown = |rider: &Rider| {
            let mut names = shown.iter().map(|(other, _)| Some(*other));
            rider.name.is_some() && names.any(|other| other == rider.name)
        };
        let mut lost = self.riders.iter().filter(|rider| !is_shown(rider));
        let is_meant = |rider: &&Rider| rider.is_fresh(watched) && rider.distance(place) <= NEAR;
        let Some(meant) = lost.clone().find(is_meant).map(|rider| rider.seat) else {
            return false;
        };
        let are_apart = lost.all(|other| other.seat == meant || other.distance(place) >= APART);
        // Two new names at one place: either may be the one.
        let is_new = |other: TrackId| self.riders.iter().all(|rider| rider.name != Some(other));
        let mut rivals = shown.iter().filter(|(other, _)| *other != name);
        let has_rival =
            rivals.any(|(other, there)| is_new(*other) && (*there - place).length() < APART);
        if !are_apart || has_rival {
            return false;
        }
        if let Some(rider) = self.riders.iter_mut().find(|rider| rider.seat == meant) {
            (rider.was, rider.name) = (rider.name, Some(name));
            (rider.place, rider.at) = (place, watched);
        }
        true
    }

    fn begin(&mut self, name: TrackId, place: Vector, watched: f64) {
        if self.riders.len() < MOST_SEATS && self.next < Seat::MAX {
            self.riders.push(Rider {
                seat: self.next,
                name: Some(name),
                was: None,
                place,
                at: watched,
            });
            self.next += 1;
        }
    }
}
