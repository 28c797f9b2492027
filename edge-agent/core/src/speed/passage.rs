//! One vehicle on its way from line to line.

use protocol::event::FrameTime;
use protocol::{NormBox, ObjectClass, Point, TrackId};

use super::{Looks, Size, Stretch};
use crate::calibration::{Camera, Ground};
use crate::geometry::Vector;

/// Whoever was out of sight for longer is measured anew, s.
const UNSEEN_S: f64 = 1.5;
/// No road user drives faster, m/s; who does is somebody else under its id.
const FASTEST: f64 = 80.0;
/// And a box may jump by this on the ground, m.
const JUMP_M: f64 = 6.0;
/// Looks from this far before and beyond the gate tell how it drove at its ends, m.
const MARGIN_M: f64 = 3.0;
/// This close to the lower border of the picture a box is cut off.
const BORDER: f64 = 0.004;

/// What a look made of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Before, beside, within or long beyond the gate.
    Nothing,
    /// The second line was just passed.
    Through,
}

/// The gate on the ground, and the camera over it.
pub(crate) struct GateView<'a> {
    pub(crate) stretch: &'a Stretch,
    pub(crate) ground: &'a Ground,
    pub(crate) camera: Option<&'a Camera>,
}

/// The vehicle in one frame.
pub(crate) struct VehicleView {
    pub(crate) at: FrameTime,
    pub(crate) class: ObjectClass,
    pub(crate) bounds: NormBox,
    /// Which part of its lower edge another road user covers, 0 to 1.
    pub(crate) covered: f64,
}

/// A vehicle and the gate.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    pub(crate) track: TrackId,
    pub(crate) class: ObjectClass,
    pub(crate) looks: Looks,
    pub(crate) first: FrameTime,
    /// About half way.
    pub(crate) middle: FrameTime,
    pub(crate) last: FrameTime,
    /// The detector's box at `last`.
    pub(crate) bounds: NormBox,
    /// Progress at the first and at the last look, m.
    way: (f64, f64),
    place: Vector,
    pub(crate) seen: FrameTime,
    pub(crate) is_over: bool,
}

impl Passage {
    pub(crate) fn new(track: TrackId, at: FrameTime) -> Self {
        Self {
            track,
            class: ObjectClass::Other,
            looks: Looks::default(),
            first: at,
            middle: at,
            last: at,
            bounds: NormBox::from([0.0; 4]),
            way: (0.0, 0.0),
            place: Vector::default(),
            seen: at,
            is_over: false,
        }
    }

    /// From the first to the last look within the gate, along the road, m.
    pub(crate) fn way_m(&self) -> f64 {
        (self.way.1 - self.way.0).max(0.0)
    }

    /// What was seen so far is not gone on with; who was measured stays measured.
    pub(crate) fn abandon(&mut self) {
        self.looks = Looks::default();
    }

    /// Takes a look.
    pub(crate) fn see(&mut self, gate: &GateView<'_>, vehicle: &VehicleView) -> Progress {
        let GateView {
            stretch,
            ground,
            camera,
        } = *gate;
        let VehicleView {
            at,
            class,
            bounds,
            covered,
        } = *vehicle;
        let foot = Point {
            x: bounds.x + bounds.width / 2.0,
            y: bounds.bottom(),
        };
        if self.is_over || foot.y > 1.0 - BORDER {
            return Progress::Nothing;
        }
        let Some(place) = ground.to_ground(foot) else {
            return Progress::Nothing;
        };
        if self.looks.count() > 0 {
            let unseen = at.time.since(self.seen.time).0;
            let moved = (place - self.place).length();
            if unseen > UNSEEN_S || moved > JUMP_M + FASTEST * unseen {
                self.abandon();
            }
        }
        // A vehicle is in the gate while its middle is.
        let ahead = stretch.ahead(place, camera, Size::of(class));
        let (progress, inside) = stretch.progress(place);
        let progress = progress + ahead;
        let remaining = stretch.remaining(place) - ahead;
        if self.looks.count() > 0 && inside && remaining < -MARGIN_M {
            self.is_over = true;
            self.class = class;
            return Progress::Through;
        }
        if !inside || progress < -MARGIN_M || remaining < -MARGIN_M {
            return Progress::Nothing;
        }
        if self.looks.count() == 0 {
            self.first = at;
            self.middle = at;
            self.way.0 = progress.max(0.0);
        }
        let is_within = progress >= 0.0 && remaining >= 0.0;
        self.looks.take(at.time, &bounds, covered, is_within);
        if progress < remaining {
            self.middle = at;
        }
        self.seen = at;
        self.place = place;
        if remaining >= 0.0 {
            self.last = at;
            self.bounds = bounds;
        }
        self.way.1 = progress + remaining.min(0.0);
        Progress::Nothing
    }
}
