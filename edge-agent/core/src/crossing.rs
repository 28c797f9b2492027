//! Crossing a directed line, so that it cannot be miscounted.
//!
//! Only *definite* positions count: a contact point farther from the line than
//! a band that scales with the road user's box, or one that has been on the
//! same side of a narrower band at every look for a while, as of who waits
//! just behind a stop line. A crossing is the change from
//! definitely behind to definitely beyond (or back) on a way that meets the
//! line between its ends. Flicker and standing on the line stay within the
//! band and are nothing; a track born beyond the line has crossed nothing; a
//! leap that no road user can make (an id that changed bodies) starts afresh,
//! and so does who was out of sight: a crossing must be seen.

use protocol::units::Seconds;
use protocol::{EventTime, Point};

use crate::config::Line;
use crate::geometry::{Vector, segments_meet};
use crate::tracker::Spot;

/// Half the width of the band, in box heights: twice a detector's jitter.
pub const BAND_HEIGHTS: f64 = 0.1;
/// Half the width of the band for who stays on one side of it …
pub const SETTLED_BAND_HEIGHTS: f64 = 0.03;
/// … for this long, s …
const SETTLED_S: f64 = 0.8;
/// … and at this many looks at least.
const SETTLED_LOOKS: u32 = 4;
/// A road user moves at most this far between sightings, in box heights …
const LEAP_HEIGHTS: f64 = 0.8;
/// … and this much more per second.
const LEAP_HEIGHTS_PER_S: f64 = 14.0;
/// Neither does it change its size by more between sightings.
const LEAP_SIZE: f64 = 1.6;
/// Who was out of sight for longer has not been seen to cross, s.
const UNSEEN_S: f64 = 1.5;
/// Between sightings closer than this the instant of crossing is interpolated, s.
const INTERPOLATED_S: f64 = 0.5;

/// Which way a line was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the side that `towards` names.
    Forward,
    /// Back.
    Backward,
}

/// A line was crossed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossed {
    /// Which way.
    pub direction: Direction,
    /// When the contact point was on the line. With sightings far apart, the
    /// earliest instant that it can have been.
    pub at: EventTime,
    /// Where on the line.
    pub foot: Point,
    /// The last definite sighting before.
    pub before: Spot,
    /// How far before the line that was, in box heights.
    pub before_heights: f64,
    /// How far it had to be at least to be definite.
    pub least_before_heights: f64,
    /// The first definite sighting after.
    pub after: Spot,
}

/// A line in the isotropic picture.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    from: Point,
    to: Point,
    origin: Vector,
    /// Unit vector at a right angle to the line, on the side of `towards`.
    normal: Vector,
}

impl Gate {
    /// From a checked line in a picture of this aspect.
    pub fn new(line: &Line, aspect: f64) -> Self {
        let origin = Vector::isotropic(line.from, aspect);
        let along = Vector::isotropic(line.to, aspect) - origin;
        let normal = Vector::new(-along.y, along.x).unit().unwrap_or_default();
        let towards = Vector::isotropic(line.towards, aspect) - origin;
        Self {
            from: line.from,
            to: line.to,
            origin,
            normal: if normal.dot(towards) < 0.0 {
                normal * -1.0
            } else {
                normal
            },
        }
    }

    /// How far beyond the line a spot is, in its own box heights; negative behind.
    pub fn beyond(&self, spot: &Spot) -> f64 {
        self.normal.dot(spot.iso - self.origin) / spot.height.max(1e-6)
    }

    /// How far forwards the way between two spots leads at a right angle to the
    /// line, in their mean box height.
    pub fn travel(&self, from: &Spot, to: &Spot) -> f64 {
        let height = f64::midpoint(from.height, to.height).max(1e-6);
        self.normal.dot(to.iso - from.iso) / height
    }
}

/// A stay on one side of the narrower band.
#[derive(Clone, Copy, Debug)]
struct Side {
    is_beyond: bool,
    since: EventTime,
    looks: u32,
}

/// One road user and one line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crossing {
    previous: Option<(Spot, f64)>,
    /// The last definite sighting: negative for behind; and the band that it was outside of.
    definite: Option<(Spot, f64, f64)>,
    /// Since when every look was on the same side of the narrower band.
    side: Option<Side>,
    /// When and where the contact point last changed sides, definite or not.
    on_line: Option<(EventTime, Point)>,
}

impl Crossing {
    /// The last definite sighting behind the line, if it has not crossed since.
    pub fn behind(&self) -> Option<&Spot> {
        self.definite
            .as_ref()
            .filter(|(_, beyond, _)| *beyond < 0.0)
            .map(|(spot, ..)| spot)
    }

    /// Takes the next sighting, in order of time.
    pub fn observe(&mut self, gate: &Gate, spot: &Spot) -> Option<Crossed> {
        let beyond = gate.beyond(spot);
        if let Some((previous, before)) = self.previous {
            let unseen = spot.at.time.since(previous.at.time).0;
            if unseen > UNSEEN_S || is_leap(&previous, spot) {
                *self = Self::default();
            } else if (before < 0.0) != (beyond < 0.0) {
                self.on_line = Some(change_of_sides((&previous, before), (spot, beyond)));
            }
        }
        self.previous = Some((*spot, beyond));
        let band = if beyond.abs() > BAND_HEIGHTS {
            self.stay(beyond, spot.at.time);
            BAND_HEIGHTS
        } else if self.stay(beyond, spot.at.time) {
            SETTLED_BAND_HEIGHTS
        } else {
            return None;
        };
        let (before, before_heights, least_before_heights) =
            self.definite.replace((*spot, beyond, band))?;
        if (before_heights < 0.0) == (beyond < 0.0) {
            return None;
        }
        let (at, foot) = self.on_line?;
        segments_meet((before.foot, spot.foot), (gate.from, gate.to)).then_some(Crossed {
            direction: if beyond > 0.0 {
                Direction::Forward
            } else {
                Direction::Backward
            },
            at,
            foot,
            before,
            before_heights: before_heights.abs(),
            least_before_heights,
            after: *spot,
        })
    }

    /// Whether it has stayed on this side of the narrower band long enough.
    fn stay(&mut self, beyond: f64, now: EventTime) -> bool {
        if beyond.abs() <= SETTLED_BAND_HEIGHTS {
            self.side = None;
            return false;
        }
        let is_beyond = beyond > 0.0;
        let new = Side {
            is_beyond,
            since: now,
            looks: 0,
        };
        let side = self.side.get_or_insert(new);
        if side.is_beyond != is_beyond {
            *side = new;
        }
        side.looks = side.looks.saturating_add(1);
        side.looks >= SETTLED_LOOKS && now.since(side.since).0 >= SETTLED_S
    }
}

/// Whether no road user can have come from the one to the other: the id changed bodies.
fn is_leap(from: &Spot, to: &Spot) -> bool {
    let height = f64::midpoint(from.height, to.height).max(1e-6);
    let dt = to.at.time.since(from.at.time).0.max(0.0);
    let ratio = to.height / from.height.max(1e-6);
    (to.iso - from.iso).length() / height > LEAP_HEIGHTS + LEAP_HEIGHTS_PER_S * dt
        || !(1.0 / LEAP_SIZE..=LEAP_SIZE).contains(&ratio)
}

/// When and where a contact point was on the line, between two sightings.
fn change_of_sides(
    (previous, before): (&Spot, f64),
    (spot, beyond): (&Spot, f64),
) -> (EventTime, Point) {
    let part = (before / (before - beyond)).clamp(0.0, 1.0);
    let foot = Point {
        x: previous.foot.x + part * (spot.foot.x - previous.foot.x),
        y: previous.foot.y + part * (spot.foot.y - previous.foot.y),
    };
    let interval = spot.at.time.since(previous.at.time).0;
    // Far apart, nobody knows how it moved in between. The earliest instant is
    // the one that shortens a red phase, so it accuses fewest.
    let after = if interval <= INTERPOLATED_S {
        part * interval
    } else {
        0.0
    };
    (previous.at.time + Seconds(after), foot)
}

#[cfg(test)]
mod tests;
