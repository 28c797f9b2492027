#![doc = include_str!("README.md")]

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::ballot::{Ballot, Ballots, Look};
use super::explain;
use super::pace::LeastPace;
use super::{EndReason, Form, Looked, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::marks::Mark;
use crate::observation::{FrameView, Observation};
use crate::second_look::LookedBy;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "seat_belt",
    title: ("Không thắt dây an toàn", "No seat belt"),
    summary: (
        "Người ngồi ghế trước ô tô không thắt dây an toàn trong nhiều lần nhìn thấy",
        "Somebody in the front of a car wears no seat belt, in many looks",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[ObjectClass::NoSeatBelt],
    params: &[
        Param::number(
            "min_looks",
            (5.0, ""),
            (1.0, 100.0),
            "how many looks must show somebody without a belt …",
        ),
        Param::number(
            "of_looks",
            (7.0, ""),
            (1.0, 240.0),
            "… of so many last ones that showed anybody with or without; looks are 0.2 s apart",
        ),
        Param::number(
            "min_torso_pct",
            (3.0, "% of the picture's height"),
            (0.1, 50.0),
            "smaller detections of belts and their absence are not looked at",
        ),
        Param::number(
            "min_speed_kmh",
            (5.0, "km/h"),
            (0.0, 100.0),
            "who was never faster is parked (calibrated cameras)",
        ),
        Param::number(
            "min_speed_heights_per_s",
            (0.2, "box heights per s"),
            (0.0, 50.0),
            "who was never faster is parked (without calibration)",
        ),
        Param::new(
            "classes",
            Form::Classes(&[ObjectClass::Car, ObjectClass::Bus, ObjectClass::Truck]),
            "which vehicles",
        ),
    ],
    read,
};

/// Of what a classifier is shown behind the glass, from the roof's edge to the bonnet, the
/// torso takes half of the height.
const TORSO_OF_PART: f64 = 0.5;
/// A torso that is also seen with a belt, overlapping by this, is not without.
const SAME_TORSO: f64 = 0.2;

#[derive(Clone, Debug)]
struct SeatBelt {
    min_torso_pct: f64,
    least_pace: LeastPace,
    classes: Vec<ObjectClass>,
    ballots: Ballots,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let (min_looks, of_looks) = (params.number("min_looks"), params.number("of_looks"));
    let min_torso_pct = params.number("min_torso_pct");
    let least_pace = LeastPace::read(params);
    let classes = params.classes("classes");
    Some(Box::new(SeatBelt {
        min_torso_pct,
        least_pace,
        classes: classes?,
        ballots: Ballots::new(min_looks, of_looks),
    }))
}

/// How high the torso is, part of the picture's height.
fn torso_height(mark: &Mark) -> f64 {
    let part = if mark.is_label { TORSO_OF_PART } else { 1.0 };
    part * mark.bounds.height
}

impl SeatBelt {
    /// What a frame shows behind the glass of a vehicle.
    fn look(&self, user: &Observation, frame: &FrameView<'_>) -> Option<Look> {
        let of = |class| {
            frame
                .marks_of(user.track)
                .filter(move |mark| mark.class == class)
        };
        let mut bare = of(ObjectClass::NoSeatBelt).filter(|mark| {
            // The same torso with a belt, however doubtful.
            let is_denied = of(ObjectClass::SeatBelt)
                .any(|belt| belt.may_be_of_same(mark, frame.sight.aspect, SAME_TORSO));
            let is_large = 100.0 * torso_height(mark) >= self.min_torso_pct;
            mark.is_believed && is_large && !is_denied
        });
        let first = bare.next();
        let accuses = first.is_some();
        if !accuses && of(ObjectClass::SeatBelt).next().is_none() {
            return None;
        }
        Some(Look {
            at: frame.at,
            watched: frame.watched,
            accuses,
            height: first.map_or(0.0, |mark| 100.0 * torso_height(mark)),
            count: u8::try_from(usize::from(accuses) + bare.count()).unwrap_or(u8::MAX),
            by: LookedBy::default(),
        })
    }

    fn decide(&mut self, user: &Observation, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let Some(ballot) = self.ballots.of(user.track) else {
            return;
        };
        let by = ballot.by();
        let onset = self.judge(ballot, user, frame);
        if report.decide_by(onset, by).is_some() {
            self.ballots.mark_raised(user.track);
        }
    }

    fn judge(&self, ballot: &Ballot, user: &Observation, frame: &FrameView<'_>) -> Onset {
        let span = ballot.span(frame.at);
        let mut explanation = vec![
            self.ballots.explain(
                ballot,
                frame.at,
                ("người không thắt dây", "somebody without a belt"),
            ),
            explain::number(
                explain::name(
                    "torso_height",
                    "Chiều cao thân người trong ảnh (trung vị)",
                    "Height of the torso in the picture (median)",
                ),
                (
                    ballot.median(|look| look.height),
                    Comparison::AtLeast,
                    self.min_torso_pct,
                ),
                "%",
                span,
            ),
            self.least_pace.explain(ballot.fastest, span),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let facts = explain::facts([
            ("class", user.class.as_str().into()),
            (
                "without_belt",
                ballot.median(|look| f64::from(look.count)).into(),
            ),
        ]);
        Onset {
            subject: user.track,
            onset: span.first.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            evidence: std::iter::once(span.first)
                .chain(ballot.best().map(|look| look.at))
                .collect(),
        }
    }
}

impl Rule for SeatBelt {
    fn place(&self) -> Option<&ZoneId> {
        None
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        for user in frame.users {
            if !self.classes.contains(&user.class) {
                continue;
            }
            let look = self.look(user, frame);
            let wants = report.wants_near_misses();
            if self.ballots.cast(user, frame.watched, look, wants) {
                self.decide(user, frame, report);
            }
        }
    }

    fn second_look(
        &mut self,
        then: &FrameView<'_>,
        looked: &Looked<'_>,
        report: &mut Reporter<'_>,
    ) {
        let belts = [ObjectClass::SeatBelt, ObjectClass::NoSeatBelt];
        let user = looked.user(then, &belts);
        if let Some(user) = user.filter(|user| self.classes.contains(&user.class)) {
            let look = self.look(user, then);
            if (self.ballots).recast(user, (look, looked.by), report.wants_near_misses()) {
                self.decide(user, then, report);
            }
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.ballots.forget(track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.ballots.clear();
    }

    fn remembered(&self) -> usize {
        self.ballots.remembered()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
