#![doc = include_str!("README.md")]

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::presence::{Stay, Stays};
use super::{Case, EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::observation::{FrameView, Observation};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "intrusion",
    title: ("Xâm nhập khu vực cấm", "Intrusion"),
    summary: (
        "Người hoặc xe có mặt trong khu vực cấm, trong giờ cấm",
        "Somebody is where nobody may be, at the hours of the rule",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where nobody may be"),
        Param::new(
            "except_zones",
            Form::Zones,
            "parts of it where anybody may be all the same",
        ),
        Param::number(
            "min_duration_s",
            (1.0, "s"),
            (0.0, 3_600.0),
            "how long somebody must have been there",
        ),
        Param::number(
            "max_exit_s",
            (5.0, "s"),
            (0.0, 600.0),
            "an absence of up to this pauses the duration; a longer one ends the event",
        ),
        Param::new(
            "classes",
            Form::Classes(&[
                ObjectClass::Person,
                ObjectClass::Bicycle,
                ObjectClass::Motorcycle,
                ObjectClass::Car,
                ObjectClass::Bus,
                ObjectClass::Truck,
            ]),
            "who may not be there",
        ),
    ],
    read,
};

#[derive(Clone, Debug)]
struct Intrusion {
    zone: Zone,
    except: Vec<Zone>,
    min_duration_s: f64,
    classes: Vec<ObjectClass>,
    stays: Stays,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let except = params.zones("except_zones");
    let min_duration_s = params.number("min_duration_s");
    let max_exit_s = params.number("max_exit_s");
    let classes = params.classes("classes");
    Some(Box::new(Intrusion {
        zone: zone?,
        except: except?,
        min_duration_s,
        classes: classes?,
        stays: Stays::of_anybody(max_exit_s),
    }))
}

impl Intrusion {
    /// Whether it is concerned, and then whether it is in the zone. A rider is
    /// concerned once: as its vehicle.
    fn is_inside(&self, user: &Observation) -> Option<bool> {
        let two_wheelers = [ObjectClass::Motorcycle, ObjectClass::Bicycle];
        let counts_as_vehicle = user.is_rider
            && two_wheelers
                .iter()
                .any(|class| self.classes.contains(class));
        let is_concerned = self.classes.contains(&user.class) && !counts_as_vehicle;
        is_concerned.then(|| self.contains(user))
    }

    fn contains(&self, user: &Observation) -> bool {
        let foot = user.spot.foot;
        polygon_contains(&self.zone.points, foot)
            && !self
                .except
                .iter()
                .any(|zone| polygon_contains(&zone.points, foot))
    }

    fn decide(
        &self,
        stay: &Stay,
        user: &Observation,
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
    ) -> Option<Case> {
        let span = Span::new(stay.entered.at, frame.at);
        let mut explanation = vec![
            explain::number(
                explain::name("in_zone_for", "Thời gian ở trong vùng", "Time in the zone"),
                (stay.dwell, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::is(
                explain::name(
                    "in_zone",
                    "Điểm chạm đất nằm trong vùng",
                    "Contact point in the zone",
                ),
                self.contains(user),
                true,
                Span::at(frame.at),
            ),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        report.decide(Onset {
            subject: stay.subject,
            onset: stay.entered.at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts: explain::facts([
                ("dwell_s", stay.dwell.into()),
                ("class", user.class.as_str().into()),
            ]),
            explanation,
            evidence: vec![stay.entered.at],
        })
    }
}

impl Rule for Intrusion {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut stays = std::mem::replace(&mut self.stays, Stays::of_anybody(0.0));
        stays.expire(frame, report);
        stays.update(frame, |user| self.is_inside(user));
        let wants = report.wants_near_misses();
        stays.raise(frame, self.min_duration_s, wants, |stay, user| {
            self.decide(stay, user, frame, report)
        });
        self.stays = stays;
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.stays.forget(track);
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        self.stays.end(reason, report);
    }

    fn remembered(&self) -> usize {
        self.stays.remembered()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
