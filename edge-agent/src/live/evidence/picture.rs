//! Which of the pictures that were kept shows a moment.
//!
//! Where another stream is looked at than evidence is made of, a picture of the one
//! is found for a look at the other by time, and it may be far off: few pictures a
//! second, packets that were lost, other clocks. At 40 km/h a vehicle goes four
//! metres in the time between two pictures of three a second, and what stands at its
//! place then is another's. So a place is only looked up in a picture of nearly that
//! instant by the same clock; else in the stream that was looked at, which is smaller
//! and shows what was seen.

use edge_video::encoded::{AccessUnit, Cut};
use protocol::{EventTime, TimeQuality};

use super::pending::Old;

/// A picture further than this from the wanted instant is another one, s.
pub(super) const NEAR_S: f64 = 0.5;
/// In a picture nearer than this a road user is where he was seen, s.
pub(super) const NEARLY_S: f64 = 0.1;
/// And a plate is where it was read, half a metre at 40 km/h, s.
pub(super) const PLATE_S: f64 = 0.05;

/// The pictures of an event.
pub(super) struct Pictures<'a> {
    /// Of the stream that evidence is made of.
    pub(super) cut: &'a Cut,
    /// Of the stream that was looked at, where that is another one.
    pub(super) looked: Option<&'a Cut>,
    /// Key pictures of moments from before the cut.
    pub(super) album: &'a [Old],
}

/// Which stream a picture is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Evidence,
    Looked,
}

/// A picture that was chosen.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) stream: Stream,
    pub(super) unit: &'a AccessUnit,
}

impl<'a> Pictures<'a> {
    /// For a still of `time`, in which road users are drawn.
    pub(super) fn of_moment(&self, time: EventTime) -> Option<Choice<'a>> {
        let looks = self.clock_of_looks(time);
        let is_same_clock = |unit: &AccessUnit| {
            looks.is_none_or(|it| it == unit.time_quality)
                && self.slip(unit, time).is_none_or(|slip| slip <= NEARLY_S)
        };
        let own = nearest(self.cut, time).filter(|unit| is_same_clock(unit));
        let within = |limit| own.filter(|unit| away(unit, time) <= limit);
        let old = self.album.iter().find(|old| old.at.time == time);
        within(NEARLY_S)
            .map(of_evidence)
            .or_else(|| self.of_look(time, NEARLY_S))
            .or_else(|| within(NEAR_S).map(of_evidence))
            .or_else(|| old.and_then(|old| old.unit.as_ref()).map(of_evidence))
    }

    /// For a plate that was read at `time`, to be cut out where it was then.
    ///
    /// Times of arrival at this box do for stills; a plate is smaller than what two
    /// streams differ on their way.
    pub(super) fn of_plate(&self, time: EventTime) -> Option<Choice<'a>> {
        let looks = self.clock_of_looks(time);
        let is_true = |unit: &AccessUnit| {
            looks.is_none_or(|it| it == unit.time_quality && it != TimeQuality::Arrival)
                && (self.looked.is_none()
                    || self.slip(unit, time).is_some_and(|slip| slip <= PLATE_S))
        };
        nearest(self.cut, time)
            .filter(|unit| is_true(unit) && away(unit, time) <= PLATE_S)
            .map(of_evidence)
            .or_else(|| self.of_look(time, PLATE_S))
    }

    /// By which clock the looks were told then, where another stream was looked at.
    fn clock_of_looks(&self, time: EventTime) -> Option<TimeQuality> {
        Some(nearest(self.looked?, time)?.time_quality)
    }

    /// By how much a picture is told otherwise than one of the stream that was looked at
    /// would be that is of the same moment by the camera's own clock, s: as long as
    /// the times of one are slewed and the other's not. Absent where that clock is not known.
    fn slip(&self, unit: &AccessUnit, time: EventTime) -> Option<f64> {
        let looked = nearest(self.looked?, time)?;
        let own = unit.own_time?.since(looked.own_time?)?;
        Some((unit.time.since(looked.time).0 - own).abs())
    }

    fn of_look(&self, time: EventTime, within: f64) -> Option<Choice<'a>> {
        let unit = nearest(self.looked?, time)?;
        let stream = Stream::Looked;
        (away(unit, time) <= within).then_some(Choice { stream, unit })
    }
}

fn of_evidence(unit: &AccessUnit) -> Choice<'_> {
    let stream = Stream::Evidence;
    Choice { stream, unit }
}

fn away(unit: &AccessUnit, time: EventTime) -> f64 {
    unit.time.since(time).0.abs()
}

/// The picture that is nearest to an instant.
pub(super) fn nearest(cut: &Cut, time: EventTime) -> Option<&AccessUnit> {
    let units = cut.units.iter();
    units.min_by(|a, b| away(a, time).total_cmp(&away(b, time)))
}
