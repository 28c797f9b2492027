#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, Point, TrackId, ZoneId};

use super::explain::{self, Span};
use super::lane::Lane;
use super::pace::Pace;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::input::Gap;
use crate::observation::{Basis, FrameView, Length, Observation};
use crate::tracker::Spot;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "reversing",
    title: ("Lùi xe trên đường", "Reversing"),
    summary: (
        "Xe đang đi xuôi thì lùi lại trong làn, để người xem xét",
        "A vehicle that came forwards drives backwards in its lane, for a person to review",
    ),
    severity: Severity::Info,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "the lane or carriageway"),
        Param::new(
            "direction",
            Form::Direction,
            "the way that traffic goes there, from one point to another",
        ),
        Param::number(
            "min_distance_m",
            (4.0, "m"),
            (0.5, 1_000.0),
            "how far it must have gone backwards (calibrated cameras)",
        ),
        Param::number(
            "min_distance_heights",
            (1.5, "box heights"),
            (0.2, 100.0),
            "how far it must have gone backwards (without calibration)",
        ),
        Param::number(
            "min_duration_s",
            (1.5, "s"),
            (0.0, 600.0),
            "for how long it must have gone backwards",
        ),
        Param::number(
            "max_speed_kmh",
            (20.0, "km/h"),
            (1.0, 60.0),
            "who is faster drives against the lane instead (calibrated cameras)",
        ),
        Param::number(
            "max_speed_heights_per_s",
            (2.5, "box heights per s"),
            (0.1, 20.0),
            "who is faster drives against the lane instead (without calibration)",
        ),
        Param::new(
            "classes",
            Form::Classes(&[ObjectClass::Car, ObjectClass::Bus, ObjectClass::Truck]),
            "which vehicles",
        ),
    ],
    read,
};

/// How far it must have been seen to come forwards, so that its back is known.
const FORWARDS: Length = Length {
    metres: 2.0,
    heights: 0.7,
};
/// Who turned around has gone this far sideways: no car turns within less.
const SIDEWAYS: Length = Length {
    metres: 3.0,
    heights: 1.0,
};
/// After a longer time out of sight, everything begins anew, s.
const UNSEEN_S: f64 = 2.0;

#[derive(Clone, Debug)]
struct Reversing {
    zone: Zone,
    direction: (Point, Point),
    min_distance: Length,
    min_duration_s: f64,
    max_speed_kmh: f64,
    max_speed_heights_per_s: f64,
    classes: Vec<ObjectClass>,
    drives: BTreeMap<TrackId, Drive>,
}

/// One vehicle's way along the lane.
#[derive(Clone, Copy, Debug)]
struct Drive {
    /// Where it was farthest back before it came forwards.
    start: Spot,
    /// Where it was farthest forward since.
    front: Spot,
    front_watched: f64,
    last_watched: f64,
    /// The fastest backwards since the front.
    fastest: Option<Pace>,
    raised: bool,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let direction = params.direction("direction");
    let min_distance = Length {
        metres: params.number("min_distance_m"),
        heights: params.number("min_distance_heights"),
    };
    let min_duration_s = params.number("min_duration_s");
    let max_speed_kmh = params.number("max_speed_kmh");
    let max_speed_heights_per_s = params.number("max_speed_heights_per_s");
    let classes = params.classes("classes");
    Some(Box::new(Reversing {
        zone: zone?,
        direction: direction?,
        min_distance,
        min_duration_s,
        max_speed_kmh,
        max_speed_heights_per_s,
        classes: classes?,
        drives: BTreeMap::new(),
    }))
}

impl Reversing {
    /// Brings one vehicle's way to this frame.
    fn follow(&mut self, user: &Observation, lane: &Lane, frame: &FrameView<'_>) -> Option<Drive> {
        let spot = user.spot;
        let fresh = Drive {
            start: spot,
            front: spot,
            front_watched: frame.watched,
            last_watched: frame.watched,
            fastest: None,
            raised: false,
        };
        let is_inside = polygon_contains(&self.zone.points, spot.foot);
        let drive = self.drives.entry(user.track).or_insert(fresh);
        let unseen = frame.watched - drive.last_watched;
        if !is_inside || !(0.0..=UNSEEN_S).contains(&unseen) {
            *drive = Drive {
                raised: drive.raised,
                ..fresh
            };
            return None;
        }
        drive.last_watched = frame.watched;
        let ahead = lane.offset(&drive.front, &spot)?.ahead;
        if ahead >= 0.0 {
            (drive.front, drive.front_watched) = (spot, frame.watched);
            drive.fastest = None;
            return None;
        }
        let back = lane.pace(user).map(|pace| Pace {
            value: -pace.value,
            ..pace
        });
        drive.fastest = Pace::faster(drive.fastest, back);
        if lane.offset(&drive.start, &spot)?.ahead < 0.0 {
            // Farther back than where it was first seen: where it came from
            // does not say any more that it came forwards, unless it was seen to.
            let forwards = lane.offset(&drive.start, &drive.front)?;
            if forwards.ahead < FORWARDS.of(forwards.basis) {
                *drive = Drive {
                    raised: drive.raised,
                    ..fresh
                };
                return None;
            }
        }
        Some(*drive)
    }

    /// How far beside its way forwards it goes back: who turned around comes
    /// back on another line.
    fn sideways(
        &self,
        drive: &Drive,
        user: &Observation,
        lane: &Lane,
        frame: &FrameView<'_>,
    ) -> f64 {
        let since = drive.start.at.time..=user.spot.at.time;
        let before = frame.trail(user).iter();
        before
            .filter(|spot| since.contains(&spot.at.time))
            .chain(std::iter::once(&drive.front))
            .filter_map(|spot| lane.offset(spot, &user.spot))
            // Where it is now and before, on the way here; not how it came into the lane.
            .filter(|offset| offset.ahead <= self.min_distance.of(offset.basis))
            .map(|offset| offset.right.abs())
            .fold(0.0, f64::max)
    }

    fn judge(
        &self,
        drive: &Drive,
        user: &Observation,
        lane: &Lane,
        frame: &FrameView<'_>,
    ) -> Option<Onset> {
        let back = lane.offset(&drive.front, &user.spot)?;
        let forwards = lane.offset(&drive.start, &drive.front)?;
        let basis = back.basis;
        let pace = drive.fastest?;
        let (most, pace_unit) = match pace.basis {
            Basis::Ground => (self.max_speed_kmh, "km/h"),
            Basis::Picture => (self.max_speed_heights_per_s, "box heights per s"),
        };
        let span = Span::new(drive.front.at, frame.at);
        let labelled = |vi: &str, en: &str, basis: Basis| {
            (
                format!("{vi} ({})", basis.vi()),
                format!("{en} ({})", basis.en()),
            )
        };
        let (vi, en) = labelled("Đoạn đã đi xuôi trước đó", "Way forwards before", basis);
        let forwards = explain::number(
            ("came_forwards", vi, en),
            (
                forwards.ahead,
                Comparison::AtLeast,
                FORWARDS.of(forwards.basis),
            ),
            forwards.basis.unit(),
            Span::new(drive.start.at, drive.front.at),
        );
        let (vi, en) = labelled("Đoạn đã lùi", "Way backwards", basis);
        let backwards = explain::number(
            ("backwards", vi, en),
            (
                -back.ahead,
                Comparison::AtLeast,
                self.min_distance.of(basis),
            ),
            basis.unit(),
            span,
        );
        let (vi, en) = labelled(
            "Đoạn lệch ngang (quay đầu thì lớn hơn)",
            "Way sideways (who turns around goes farther)",
            basis,
        );
        let sideways = explain::number(
            ("sideways", vi, en),
            (
                self.sideways(drive, user, lane, frame),
                Comparison::AtMost,
                SIDEWAYS.of(basis),
            ),
            basis.unit(),
            span,
        );
        let (vi, en) = labelled("Tốc độ lùi cao nhất", "Fastest backwards", pace.basis);
        let fastest = explain::number(
            ("speed", vi, en),
            (pace.value, Comparison::AtMost, most),
            pace_unit,
            span,
        );
        let lasts = explain::number(
            explain::name("lasts", "Thời gian lùi", "Time backwards"),
            (
                frame.watched - drive.front_watched,
                Comparison::AtLeast,
                self.min_duration_s,
            ),
            "s",
            span,
        );
        let mut explanation = vec![forwards, backwards, sideways, fastest, lasts];
        explanation.push(explain::is(
            explain::name(
                "in_zone",
                "Điểm chạm đất nằm trong vùng",
                "Contact point in the zone",
            ),
            polygon_contains(&self.zone.points, user.spot.foot),
            true,
            Span::at(frame.at),
        ));
        explanation.extend(explain::of_class(user, &self.classes, frame));
        Some(Onset {
            subject: user.track,
            onset: drive.front.at.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts: explain::facts([
                ("class", user.class.as_str().into()),
                ("basis", basis.as_str().into()),
                ("review", "it may be parking or giving way".into()),
            ]),
            explanation,
            evidence: vec![drive.front.at],
        })
    }
}

impl Rule for Reversing {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let Some(lane) = Lane::new(self.direction, frame) else {
            return;
        };
        for user in frame.users {
            if !self.classes.contains(&user.class) {
                continue;
            }
            let Some(drive) = self.follow(user, &lane, frame) else {
                continue;
            };
            let is_due = frame.watched - drive.front_watched >= self.min_duration_s;
            if drive.raised || !(is_due || report.wants_near_misses()) {
                continue;
            }
            if let Some(onset) = self.judge(&drive, user, &lane, frame)
                && report.decide(onset).is_some()
                && let Some(drive) = self.drives.get_mut(&user.track)
            {
                drive.raised = true;
            }
        }
    }

    fn interrupt(&mut self, _gap: &Gap) {
        // Nobody saw how it got where it is now.
        for drive in self.drives.values_mut() {
            drive.last_watched = f64::NEG_INFINITY;
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.drives.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.drives.clear();
    }

    fn remembered(&self) -> usize {
        self.drives.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
