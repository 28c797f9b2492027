#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::{Case, EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::crossing::BAND_HEIGHTS;
use crate::geometry::distance_inside;
use crate::input::{Gap, GapReason};
use crate::observation::{Basis, FrameView, Length, Observation};
use crate::tracker::Spot;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "no_entry",
    title: ("Đi vào đường cấm", "Entering where it is forbidden"),
    summary: (
        "Xe thuộc loại bị cấm đi từ ngoài vào vùng cấm, trong giờ cấm",
        "A vehicle of a forbidden class drives into a zone over its boundary, in forbidden hours",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where entry is forbidden"),
        Param::number(
            "min_duration_s",
            (1.0, "s"),
            (0.0, 600.0),
            "for how long it must have been inside",
        ),
        Param::number(
            "min_distance_m",
            (4.0, "m"),
            (0.5, 100.0),
            "how far it must have come since it was last outside (calibrated cameras)",
        ),
        Param::number(
            "min_distance_heights",
            (1.5, "box heights"),
            (0.2, 20.0),
            "how far it must have come since it was last outside (without calibration)",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

/// Who was out of sight for longer has not been seen to enter, s.
const UNSEEN_S: f64 = 1.5;
/// Farther between two sightings than so many box heights, and so many per
/// second, is an id that changed bodies.
const LEAP_HEIGHTS: (f64, f64) = (0.8, 14.0);
/// Neither does a body change its size by more between sightings.
const LEAP_SIZE: f64 = 1.6;
/// Who is seen outside for this long has left, s.
const OVER_S: f64 = 1.0;

#[derive(Clone, Debug)]
struct NoEntry {
    zone: Zone,
    min_duration_s: f64,
    min_distance: Length,
    classes: Vec<ObjectClass>,
    visits: BTreeMap<TrackId, Visit>,
}

/// One road user and the boundary.
#[derive(Clone, Debug)]
struct Visit {
    last: Spot,
    /// The last definite sighting outside, with how far outside, in box heights.
    outside: Option<(Spot, f64)>,
    /// The first definite sighting inside after that.
    entered: Option<Spot>,
    inside_s: f64,
    /// Watched time of the last sighting.
    watched: f64,
    last_inside: Spot,
    is_raised: bool,
    case: Option<Case>,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let classes = params.classes("classes");
    let min_duration_s = params.number("min_duration_s");
    let min_distance = Length {
        metres: params.number("min_distance_m"),
        heights: params.number("min_distance_heights"),
    };
    Some(Box::new(NoEntry {
        zone: zone?,
        min_duration_s,
        min_distance,
        classes: classes?,
        visits: BTreeMap::new(),
    }))
}

impl Visit {
    fn new(spot: Spot, watched: f64) -> Self {
        Self {
            last: spot,
            outside: None,
            entered: None,
            inside_s: 0.0,
            watched,
            last_inside: spot,
            is_raised: false,
            case: None,
        }
    }

    /// Takes the next sighting, so many box heights inside the boundary.
    fn look(&mut self, spot: Spot, depth: f64, watched: f64) {
        let passed = watched - self.watched;
        let unseen = spot.at.time.since(self.last.at.time).0;
        if unseen > UNSEEN_S || is_leap(&self.last, &spot) {
            // What it did in between, nobody saw.
            self.outside = None;
            if self.case.is_none() {
                self.entered = None;
            }
        }
        if depth < -BAND_HEIGHTS {
            self.outside = Some((spot, -depth));
            if self.case.is_none() {
                self.entered = None;
                self.inside_s = 0.0;
            }
        } else if depth > BAND_HEIGHTS {
            self.last_inside = spot;
            if self.entered.is_some() {
                // Negative when a frozen picture's time is taken back.
                self.inside_s = (self.inside_s + passed.min(UNSEEN_S)).max(0.0);
            } else if self.outside.is_some() {
                self.entered = Some(spot);
                self.inside_s = 0.0;
            }
        }
        self.last = spot;
        self.watched = watched;
    }
}

fn is_leap(from: &Spot, to: &Spot) -> bool {
    let height = f64::midpoint(from.height, to.height).max(1e-6);
    let passed = to.at.time.since(from.at.time).0.max(0.0);
    let ratio = to.height / from.height.max(1e-6);
    (to.iso - from.iso).length() / height > LEAP_HEIGHTS.0 + LEAP_HEIGHTS.1 * passed
        || !(1.0 / LEAP_SIZE..=LEAP_SIZE).contains(&ratio)
}

impl NoEntry {
    fn onset(
        &self,
        visit: &Visit,
        depth: f64,
        user: &Observation,
        frame: &FrameView<'_>,
    ) -> Option<Onset> {
        let ((outside, outside_heights), entered) = (visit.outside?, visit.entered?);
        let way = outside.way_to(&user.spot);
        let basis = way.basis;
        let span = Span::new(outside.at, frame.at);
        let heights = Basis::Picture.unit();
        let mut explanation = vec![
            explain::number(
                explain::name(
                    "outside_before",
                    "Trước đó ở ngoài ranh giới (theo chiều cao khung)",
                    "Before that outside the boundary (in box heights)",
                ),
                (outside_heights, Comparison::MoreThan, BAND_HEIGHTS),
                heights,
                Span::at(outside.at),
            ),
            explain::number(
                explain::name(
                    "inside_now",
                    "Hiện ở trong ranh giới (theo chiều cao khung)",
                    "Now inside the boundary (in box heights)",
                ),
                (depth, Comparison::MoreThan, BAND_HEIGHTS),
                heights,
                Span::at(frame.at),
            ),
            explain::number(
                explain::name("inside_for", "Thời gian ở trong vùng", "Time inside"),
                (visit.inside_s, Comparison::AtLeast, self.min_duration_s),
                "s",
                Span::new(entered.at, frame.at),
            ),
            explain::number(
                (
                    "way_in",
                    format!("Quãng đường từ ngoài vào ({})", basis.vi()),
                    format!("Way from outside ({})", basis.en()),
                ),
                (
                    way.vector.length(),
                    Comparison::AtLeast,
                    self.min_distance.of(basis),
                ),
                basis.unit(),
                span,
            ),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        Some(Onset {
            subject: user.track,
            onset: entered.at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts: explain::facts([
                ("class", user.class.as_str().into()),
                ("basis", basis.as_str().into()),
            ]),
            explanation,
            evidence: vec![outside.at, entered.at],
        })
    }
}

impl Rule for NoEntry {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut visits = std::mem::take(&mut self.visits);
        for user in frame.users {
            if !self.classes.contains(&user.class) {
                continue;
            }
            let inside = distance_inside(&self.zone.points, user.spot.foot, frame.sight.aspect);
            let depth = inside / user.spot.height.max(1e-6);
            let visit = visits
                .entry(user.track)
                .or_insert_with(|| Visit::new(user.spot, frame.watched));
            visit.look(user.spot, depth, frame.watched);
            let is_due = visit.inside_s >= self.min_duration_s || report.wants_near_misses();
            if !visit.is_raised
                && is_due
                && let Some(onset) = self.onset(visit, depth, user, frame)
            {
                visit.case = report.decide(onset);
                visit.is_raised = visit.case.is_some();
            }
            let left_s = frame.at.time.since(visit.last_inside.at.time).0;
            if left_s > OVER_S
                && let Some(case) = visit.case.take()
            {
                let ended = visit.last_inside.at.time;
                case.close(ended, EndReason::Left, BTreeMap::new(), report);
            }
        }
        self.visits = visits;
    }

    fn interrupt(&mut self, gap: &Gap) {
        if matches!(gap.reason, GapReason::Frozen | GapReason::ClockStep) {
            // Of an entry of which one side was seen in a frozen picture
            // nobody can say when it was.
            for visit in self.visits.values_mut().filter(|v| v.case.is_none()) {
                visit.outside = None;
                visit.entered = None;
            }
        }
    }

    fn forget(&mut self, track: TrackId, report: &mut Reporter<'_>) {
        if let Some(mut visit) = self.visits.remove(&track)
            && let Some(case) = visit.case.take()
        {
            let ended = visit.last_inside.at.time;
            case.close(ended, EndReason::LostFromView, BTreeMap::new(), report);
        }
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        for (_, mut visit) in std::mem::take(&mut self.visits) {
            if let Some(case) = visit.case.take() {
                case.close(visit.last_inside.at.time, reason, BTreeMap::new(), report);
            }
        }
    }

    fn remembered(&self) -> usize {
        self.visits.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
