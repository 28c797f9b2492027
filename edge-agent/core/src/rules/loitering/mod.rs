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
    kind: "loitering",
    title: ("Lảng vảng trong khu vực", "Loitering"),
    summary: (
        "Người ở trong vùng lâu hơn mức cho phép, kể cả khi ra ngoài một lát",
        "Somebody stays in a zone for longer than allowed, short exits included",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where"),
        Param::number(
            "min_dwell_s",
            (60.0, "s"),
            (1.0, 86_400.0),
            "how long somebody must have been in the zone",
        ),
        Param::number(
            "max_exit_s",
            (5.0, "s"),
            (0.0, 600.0),
            "an absence of the same track of up to this pauses the dwell; a longer one ends it",
        ),
        Param::new(
            "classes",
            Form::Classes(&[ObjectClass::Person]),
            "who is concerned; people on two-wheelers never are",
        ),
    ],
    read,
};

/// Time in the zone for each change of id that may be forgiven, s.
const DWELL_PER_HAND_OVER_S: f64 = 15.0;

#[derive(Clone, Debug)]
struct Loitering {
    zone: Zone,
    min_dwell_s: f64,
    classes: Vec<ObjectClass>,
    stays: Stays,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let min_dwell_s = params.number("min_dwell_s");
    let max_exit_s = params.number("max_exit_s");
    let classes = params.classes("classes");
    Some(Box::new(Loitering {
        zone: zone?,
        min_dwell_s,
        classes: classes?,
        stays: Stays::new(max_exit_s),
    }))
}

impl Loitering {
    fn raise(
        &self,
        stay: &Stay,
        user: &Observation,
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
    ) -> Option<Case> {
        let span = Span::new(stay.entered.at, frame.at);
        let handed_over = stay.hand_overs.first().zip(stay.hand_overs.last());
        let mut explanation = vec![
            explain::number(
                explain::name("dwell", "Thời gian ở trong vùng", "Time in the zone"),
                (stay.dwell, Comparison::AtLeast, self.min_dwell_s),
                "s",
                span,
            ),
            explain::is(
                explain::name(
                    "in_zone",
                    "Điểm chạm đất nằm trong vùng",
                    "Contact point in the zone",
                ),
                polygon_contains(&self.zone.points, user.spot.foot),
                true,
                Span::at(frame.at),
            ),
            explain::number(
                explain::name(
                    "hand_overs",
                    "Số lần đổi mã đối tượng (tối đa một lần mỗi 15 giây)",
                    "Changes of track id (at most one for every 15 s)",
                ),
                (
                    f64::from(stay.times_handed_over),
                    Comparison::AtMost,
                    (stay.dwell / DWELL_PER_HAND_OVER_S).floor(),
                ),
                "",
                handed_over.map_or(span, |(first, last)| {
                    Span::new(first.vanished, last.appeared)
                }),
            ),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let mut facts = explain::facts([
            ("dwell_s", stay.dwell.into()),
            ("absent_s", stay.absent.into()),
            ("class", user.class.as_str().into()),
        ]);
        if !stay.hand_overs.is_empty() {
            let former = stay.hand_overs.iter().map(|one| one.from.to_string());
            let former: Vec<String> = former.collect();
            facts.insert("former_tracks".to_owned(), former.join(", ").into());
        }
        // Where the id changed, a person has to see that the body did not.
        let mut evidence = vec![stay.entered.at];
        if let Some(last) = stay.hand_overs.last() {
            evidence.extend([last.vanished, last.appeared]);
        }
        report.decide(Onset {
            subject: stay.subject,
            onset: stay.entered.at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            evidence,
        })
    }
}

impl Rule for Loitering {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut stays = std::mem::replace(&mut self.stays, Stays::new(0.0));
        stays.expire(frame, report);
        stays.update(frame, |user| {
            (self.classes.contains(&user.class) && !user.is_rider)
                .then(|| polygon_contains(&self.zone.points, user.spot.foot))
        });
        let wants = report.wants_near_misses();
        stays.raise(frame, self.min_dwell_s, wants, |stay, user| {
            self.raise(stay, user, frame, report)
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
