#![doc = include_str!("README.md")]

mod handover;
mod stop;

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use self::stop::{Stop, Stops};
use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::{Case, EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::observation::{FrameView, Length, Observation};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "stopped_vehicle",
    title: ("Xe dừng trên làn đường", "Stopped vehicle"),
    summary: (
        "Xe đứng yên trong vùng lâu hơn mức cho phép, kể cả khi bị che khuất một lúc",
        "A vehicle stands still in a zone for longer than allowed, through occlusion",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where"),
        Param::number(
            "min_dwell_s",
            (60.0, "s"),
            (1.0, 86_400.0),
            "how long it must have been seen to stand; 10 suits an expressway, 60 a city lane",
        ),
        Param::number(
            "radius_m",
            (2.0, "m"),
            (0.2, 20.0),
            "it stands while it stays within this (calibrated cameras)",
        ),
        Param::number(
            "radius_heights",
            (0.35, "box heights"),
            (0.05, 3.0),
            "it stands while it stays within this (without calibration)",
        ),
        Param::number(
            "keep_s",
            (60.0, "s"),
            (0.0, 3_600.0),
            "for how long its place is remembered while it is hidden",
        ),
        Param::number(
            "update_every_s",
            (60.0, "s"),
            (0.0, 86_400.0),
            "how often a running event is brought up to date; 0 for never",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

/// Least part of the dwell's looks that must show the contact point in the
/// zone: who stands on its edge is not in it.
const LEAST_INSIDE: f64 = 0.9;

#[derive(Clone, Debug)]
struct StoppedVehicle {
    zone: Zone,
    min_dwell_s: f64,
    update_every_s: f64,
    classes: Vec<ObjectClass>,
    stops: Stops,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let classes = params.classes("classes");
    let min_dwell_s = params.number("min_dwell_s");
    let update_every_s = params.number("update_every_s");
    let radius = Length {
        metres: params.number("radius_m"),
        heights: params.number("radius_heights"),
    };
    let keep_s = params.number("keep_s");
    Some(Box::new(StoppedVehicle {
        zone: zone?,
        min_dwell_s,
        update_every_s,
        classes: classes?,
        stops: Stops::new(radius, keep_s),
    }))
}

impl StoppedVehicle {
    fn raise(
        &self,
        stop: &Stop,
        user: &Observation,
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
    ) -> Option<Case> {
        let (basis, farthest) = stop.farthest();
        let span = Span::new(stop.began().at, frame.at);
        let mut explanation = vec![
            explain::number(
                explain::name("dwell", "Thời gian đứng yên", "Time standing still"),
                (stop.dwell(), Comparison::AtLeast, self.min_dwell_s),
                "s",
                span,
            ),
            explain::number(
                (
                    "displacement",
                    format!("Xê dịch lớn nhất ({})", basis.vi()),
                    format!("Greatest displacement ({})", basis.en()),
                ),
                (farthest, Comparison::AtMost, self.stops.radius().of(basis)),
                basis.unit(),
                span,
            ),
            explain::number(
                explain::name(
                    "in_zone",
                    "Tỷ lệ lần nhìn có điểm chạm đất trong vùng",
                    "Share of the looks with the contact point in the zone",
                ),
                (stop.share_inside(), Comparison::AtLeast, LEAST_INSIDE),
                "",
                span,
            ),
            explain::is(
                explain::name(
                    "in_zone_at_decision",
                    "Điểm chạm đất nằm trong vùng khi kết luận",
                    "Contact point in the zone at the decision",
                ),
                self.is_in_zone(user),
                true,
                Span::at(frame.at),
            ),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        if !explain::all_hold(&explanation) {
            return None;
        }
        Some(report.raise(Onset {
            subject: stop.subject(),
            onset: stop.began().at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts: explain::facts([
                ("dwell_s", stop.dwell().into()),
                ("hidden_s", stop.hidden().into()),
                ("class", user.class.as_str().into()),
                ("basis", basis.as_str().into()),
            ]),
            explanation,
            evidence: vec![stop.began().at],
        }))
    }

    fn is_in_zone(&self, user: &Observation) -> bool {
        polygon_contains(&self.zone.points, user.spot.foot)
    }
}

impl Rule for StoppedVehicle {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        self.stops.expire(frame, report);
        let zone = &self.zone.points;
        self.stops
            .follow(frame, |user| polygon_contains(zone, user.spot.foot));
        for user in frame.users {
            if self.classes.contains(&user.class) && self.is_in_zone(user) {
                self.stops.admit(user, frame);
            }
        }
        let mut stops = std::mem::take(&mut self.stops.list);
        for stop in &mut stops {
            let Some(user) = frame.find(stop.holder()) else {
                continue;
            };
            if self.stops.may_raise(stop, self.min_dwell_s) {
                if let Some(case) = self.raise(stop, user, frame, report) {
                    self.stops.raised.insert(user.track);
                    stop.raised(case);
                }
            } else if self.update_every_s > 0.0 {
                stop.bring_up_to_date(self.update_every_s, report);
            }
        }
        self.stops.list = stops;
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.stops.raised.remove(&track);
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        self.stops.end(reason, report);
    }

    fn remembered(&self) -> usize {
        self.stops.list.len() + self.stops.raised.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
