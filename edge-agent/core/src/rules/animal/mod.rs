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
    kind: "animal",
    title: ("Động vật trên đường", "Animal on the carriageway"),
    summary: (
        "Động vật ở trên phần đường dành cho xe",
        "An animal stands or walks where only vehicles belong",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[ObjectClass::Animal],
    params: &[
        Param::new("zone", Form::Zone, "the carriageway"),
        Param::number(
            "min_duration_s",
            (2.0, "s"),
            (0.0, 3_600.0),
            "how long it must have been there",
        ),
        Param::number(
            "max_exit_s",
            (1.0, "s"),
            (0.0, 60.0),
            "an absence of up to this pauses the duration; a longer one ends it",
        ),
        Param::number(
            "min_height_pct",
            (2.0, "% of the picture's height"),
            (0.1, 100.0),
            "smaller ones are birds and far cats",
        ),
    ],
    read,
};

const ANIMALS: &[ObjectClass] = &[ObjectClass::Animal];

#[derive(Clone, Debug)]
struct Animal {
    zone: Zone,
    min_duration_s: f64,
    min_height_pct: f64,
    stays: Stays,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let min_duration_s = params.number("min_duration_s");
    let max_exit_s = params.number("max_exit_s");
    let min_height_pct = params.number("min_height_pct");
    Some(Box::new(Animal {
        zone: zone?,
        min_duration_s,
        min_height_pct,
        stays: Stays::new(max_exit_s),
    }))
}

impl Animal {
    fn judge(&self, stay: &Stay, user: &Observation, frame: &FrameView<'_>) -> Onset {
        let span = Span::new(stay.entered.at, frame.at);
        let mut explanation = vec![
            explain::number(
                explain::name(
                    "on_carriageway_for",
                    "Thời gian ở trên lòng đường",
                    "Time on the carriageway",
                ),
                (stay.dwell, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::number(
                explain::name("height", "Chiều cao trong ảnh", "Height in the picture"),
                (
                    100.0 * user.bounds.height,
                    Comparison::AtLeast,
                    self.min_height_pct,
                ),
                "%",
                Span::at(frame.at),
            ),
        ];
        explanation.extend(explain::of_class(user, ANIMALS, frame));
        Onset {
            subject: stay.subject,
            onset: stay.entered.at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts: explain::facts([("dwell_s", stay.dwell.into())]),
            explanation,
            evidence: vec![stay.entered.at],
        }
    }
}

impl Rule for Animal {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut stays = std::mem::replace(&mut self.stays, Stays::new(0.0));
        stays.expire(frame, report);
        stays.update(frame, |user| {
            (user.class == ObjectClass::Animal)
                .then(|| polygon_contains(&self.zone.points, user.spot.foot))
        });
        let wants = report.wants_near_misses();
        stays.raise(
            frame,
            self.min_duration_s,
            wants,
            |stay, user| -> Option<Case> { report.decide(self.judge(stay, user, frame)) },
        );
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
