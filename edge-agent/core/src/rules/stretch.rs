//! A drive through a zone without a stop, for rules about who drives where.
//!
//! Only looks that fit (in the zone and driving, as the rule means it) make it
//! longer. What does not fit for up to a flicker is forgiven and counted; time
//! that nobody saw is reported apart and is no driving.

use std::collections::BTreeMap;

use protocol::event::{Comparison, FrameTime};
use protocol::{Point, Predicate, TrackId};

use super::explain::{self, Span};
use super::{Case, EndReason, Reporter};
use crate::config::Zone;
use crate::geometry::{Vector, polygon_contains};
use crate::observation::{Basis, FrameView, Observation, Way};
use crate::tracker::Spot;

/// Looks that do not fit, or no look, for up to this long are flicker, s.
const FLICKER_S: f64 = 0.6;
/// Least part of the pictures that must have shown it in the zone.
const LEAST_INSIDE: f64 = 0.8;
/// Who has not driven there for this long does it no more, s.
const OVER_S: f64 = 3.0;

/// One drive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) start: Spot,
    /// The last look that fitted.
    pub(super) last: Spot,
    last_watched: f64,
    /// Watched seconds of driving.
    pub(super) driven_s: f64,
    /// Seconds of which nobody saw anything.
    pub(super) hidden_s: f64,
    looks: f64,
    looks_inside: f64,
    looks_astray: f64,
}

impl Stretch {
    fn new(user: &Observation, watched: f64) -> Self {
        Self {
            start: user.spot,
            last: user.spot,
            last_watched: watched,
            driven_s: 0.0,
            hidden_s: 0.0,
            looks: 0.0,
            looks_inside: 0.0,
            looks_astray: 0.0,
        }
    }

    fn go_on(&mut self, user: &Observation, watched: f64) {
        // Negative when a frozen picture's time is taken back.
        let passed = watched - self.last_watched;
        if passed <= FLICKER_S {
            self.driven_s = (self.driven_s + passed).max(0.0);
        } else {
            self.hidden_s += passed;
        }
        self.last = user.spot;
        self.last_watched = watched;
        self.looks += 1.0 + self.looks_astray;
        self.looks_inside += 1.0;
        self.looks_astray = 0.0;
    }

    /// The way from its begin to where it is now.
    pub(super) fn way(&self) -> Way {
        self.start.way_to(&self.last)
    }

    /// From its begin until now.
    pub(super) fn span(&self) -> Span {
        Span::new(self.start.at, self.last.at)
    }

    /// A length driven since its begin as a mean speed: km/h on the ground,
    /// else box heights per second.
    pub(super) fn pace(&self, length: f64, basis: Basis) -> f64 {
        let per_second = length / (self.driven_s + self.hidden_s).max(1e-3);
        match basis {
            Basis::Ground => per_second * 3.6,
            Basis::Picture => per_second,
        }
    }

    /// That enough of its looks were in the zone.
    pub(super) fn in_zone(&self) -> Predicate {
        explain::number(
            explain::name(
                "in_zone",
                "Tỷ lệ khung hình thấy xe nằm trong vùng",
                "Share of the pictures with the vehicle in the zone",
            ),
            (
                self.looks_inside / self.looks.max(1.0),
                Comparison::AtLeast,
                LEAST_INSIDE,
            ),
            "",
            self.span(),
        )
    }
}

/// What one road user does with respect to the zone.
#[derive(Clone, Debug, Default)]
struct Drive {
    stretch: Option<Stretch>,
    case: Option<(Case, FrameTime)>,
    is_raised: bool,
}

/// Everybody's drives.
#[derive(Clone, Debug, Default)]
pub(super) struct Drives(BTreeMap<TrackId, Drive>);

impl Drives {
    /// Takes one look at a road user; `fits`: it drives in the zone. Where its
    /// stretch goes on, `decide` may make a case of it.
    pub(super) fn follow(
        &mut self,
        (user, fits): (&Observation, bool),
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
        decide: impl FnOnce(&Stretch, &mut Reporter<'_>) -> Option<Case>,
    ) {
        if !fits && !self.0.contains_key(&user.track) {
            return;
        }
        let drive = self.0.entry(user.track).or_default();
        if fits {
            let stretch = drive
                .stretch
                .get_or_insert_with(|| Stretch::new(user, frame.watched));
            stretch.go_on(user, frame.watched);
            if let Some((_, last)) = &mut drive.case {
                *last = frame.at;
            } else if !drive.is_raised
                && let Some(case) = decide(stretch, report)
            {
                drive.is_raised = true;
                drive.case = Some((case, frame.at));
            }
        } else if let Some(stretch) = &mut drive.stretch {
            stretch.looks_astray += 1.0;
            if frame.watched - stretch.last_watched > FLICKER_S {
                drive.stretch = None;
            }
        }
        let is_over = |(_, last): &mut (Case, FrameTime)| frame.at.time.since(last.time).0 > OVER_S;
        if let Some((case, last)) = drive.case.take_if(is_over) {
            case.close(last.time, EndReason::Left, BTreeMap::new(), report);
        }
    }

    pub(super) fn forget(&mut self, track: TrackId, report: &mut Reporter<'_>) {
        if let Some((case, last)) = self.0.remove(&track).and_then(|drive| drive.case) {
            case.close(last.time, EndReason::LostFromView, BTreeMap::new(), report);
        }
    }

    pub(super) fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        for (_, drive) in std::mem::take(&mut self.0) {
            if let Some((case, last)) = drive.case {
                case.close(last.time, reason, BTreeMap::new(), report);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whether the middle half of its lower edge is in the zone. Seen at a slant, a
/// bus of the neighbouring lane has one point of it here, not all.
pub(super) fn stands_in(zone: &Zone, user: &Observation) -> bool {
    let (foot, quarter) = (user.spot.foot, user.bounds.width / 4.0);
    [-quarter, 0.0, quarter].iter().all(|offset| {
        let point = Point {
            x: foot.x + offset,
            y: foot.y,
        };
        polygon_contains(&zone.points, point)
    })
}

/// A direction drawn in the picture, as a unit vector in either basis.
pub(super) fn axis(
    (from, to): (Point, Point),
    basis: Basis,
    frame: &FrameView<'_>,
) -> Option<Vector> {
    let spot = |point| frame.sight.spot(point, 1.0, frame.at);
    let (from, to) = (spot(from), spot(to));
    match basis {
        Basis::Ground => from
            .ground
            .zip(to.ground)
            .and_then(|(from, to)| (to - from).unit()),
        Basis::Picture => (to.iso - from.iso).unit(),
    }
}

/// A speed's unit.
pub(super) const fn pace_unit(basis: Basis) -> &'static str {
    match basis {
        Basis::Ground => "km/h",
        Basis::Picture => "box heights per s",
    }
}

/// How fast somebody moves now: km/h on the ground, else box heights per second.
pub(super) fn pace_now(user: &Observation) -> Option<(Basis, f64)> {
    let motion = user.motion?;
    Some(motion.ground_speed().map_or_else(
        || (Basis::Picture, motion.picture.length()),
        |speed| (Basis::Ground, speed.0),
    ))
}
