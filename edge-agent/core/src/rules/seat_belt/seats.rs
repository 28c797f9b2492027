//! On which front seat somebody sits: told from which side of the vehicle's box they
//! are at, and only where the vehicle comes squarely towards the camera.
//!
//! Seen from the side the box is half door, and from behind it shows the back seats:
//! then nobody knows who sits where, and nobody is counted.

use crate::marks::Mark;
use crate::observation::Observation;

/// A front seat. The wheel is on the left, as in Vietnam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seat {
    /// At the left of the car: of one that comes towards us the right of its box.
    Driver,
    /// Beside the driver.
    Passenger,
}

/// So far beside the middle somebody is on one side, part of the vehicle's width. In the
/// middle sits a third person, or stands a box around both.
const CERTAINLY_ASIDE: f64 = 0.1;
/// Slower, nobody knows where it is going, box heights per s.
const LEAST_PACE: f64 = 0.15;
/// Who comes squarely moves at most so much aside for each step down the picture. From a
/// mast that looks down by 20 to 30 degrees this is a vehicle turned by 10 to 14 degrees: its
/// windscreen then takes two thirds of the box, and the far seat is still on the far side.
const SQUARELY: f64 = 0.5;

impl Seat {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Driver, Self::Passenger];

    /// The word among an event's facts.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Passenger => "passenger",
        }
    }

    /// Whose a belt, or its absence, is, if the vehicle comes towards us.
    pub(super) fn of(mark: &Mark, user: &Observation) -> Option<Self> {
        let aside = |x: f64| (x - user.bounds.centre().x) / user.bounds.width.max(1e-9);
        let (left, right) = (aside(mark.bounds.x), aside(mark.bounds.right()));
        let middle = f64::midpoint(left, right);
        // A classifier speaks of all that it was shown: that must be one seat.
        let is_one = |reach: f64| !mark.is_label || reach <= CERTAINLY_ASIDE;
        if middle >= CERTAINLY_ASIDE && is_one(-left) {
            return Some(Self::Driver);
        }
        (middle <= -CERTAINLY_ASIDE && is_one(right)).then_some(Self::Passenger)
    }
}

/// Whether a vehicle comes squarely towards the camera; `None` while it stands or is new.
pub(super) fn comes(user: &Observation) -> Option<bool> {
    let way = user.motion?.picture;
    (way.length() >= LEAST_PACE).then(|| way.y > 0.0 && way.x.abs() <= SQUARELY * way.y)
}
