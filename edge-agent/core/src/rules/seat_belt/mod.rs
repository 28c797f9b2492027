#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use self::seats::Seat;
use super::ballot::{Ballot, Ballots, Look, Vote};
use super::explain;
use super::pace::LeastPace;
use super::{EndReason, Form, Looked, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::marks::{Mark, around};
use crate::observation::{FrameView, Observation};
use crate::second_look::LookedBy;

mod seats;

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
            "how many looks must show the same seat's belt missing …",
        ),
        Param::number(
            "of_looks",
            (7.0, ""),
            (1.0, 240.0),
            "… of so many last ones that showed somebody on this seat, with or without; looks are 0.2 s apart",
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
/// How much around a torso that the detector found is shown with it, part of its size on each
/// side: the chin above it, and not who sits beside.
const AROUND_TORSO: f64 = 0.25;
/// A torso that is also seen with a belt, overlapping by this, is not without.
const SAME_TORSO: f64 = 0.2;

/// Of which vehicle, and who in it; `None`: what is of the vehicle as a whole.
type Whose = (TrackId, Option<Seat>);

#[derive(Clone, Debug)]
struct SeatBelt {
    min_torso_pct: f64,
    least_pace: LeastPace,
    classes: Vec<ObjectClass>,
    ballots: Ballots<Whose>,
    /// Whether a vehicle came squarely towards the camera when it was last seen to move.
    comes: BTreeMap<TrackId, bool>,
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
        comes: BTreeMap::new(),
    }))
}

/// How high the torso is, part of the picture's height.
fn torso_height(mark: &Mark) -> f64 {
    let part = if mark.is_label { TORSO_OF_PART } else { 1.0 };
    part * mark.bounds.height
}

impl SeatBelt {
    /// What a frame shows of one seat of a vehicle.
    fn look(&self, seat: Seat, user: &Observation, frame: &FrameView<'_>) -> Option<Look> {
        let of = |class| {
            frame
                .marks_of(user.track)
                .filter(move |mark| mark.class == class)
        };
        let is_own = |mark: &&Mark| Seat::of(mark, user) == Some(seat);
        // One seat has one belt, and what speaks for somebody holds.
        let is_covered = of(ObjectClass::SeatBelt).any(|belt| is_own(&belt));
        let without = of(ObjectClass::NoSeatBelt).filter(is_own).find(|mark| {
            // The same torso with a belt, however doubtful, be it of one who sits in the middle.
            let is_denied = of(ObjectClass::SeatBelt)
                .any(|belt| belt.may_be_of_same(mark, frame.sight.aspect, SAME_TORSO));
            let is_large = 100.0 * torso_height(mark) >= self.min_torso_pct;
            mark.is_believed && is_large && !is_denied
        });
        let without = without.filter(|_| !is_covered);
        if without.is_none() && !is_covered {
            return None;
        }
        Some(Look {
            at: frame.at,
            watched: frame.watched,
            accuses: without.is_some(),
            height: without.map_or(0.0, |mark| 100.0 * torso_height(mark)),
            count: u8::from(without.is_some()),
            by: LookedBy::default(),
            shows: without
                .and_then(|mark| mark.look(frame.at, &around(&mark.bounds, AROUND_TORSO))),
        })
    }

    /// Takes the looks at both seats. Returns whose may decide: of two the one that was seen
    /// without a belt more often.
    fn count(
        &mut self,
        user: &Observation,
        frame: &FrameView<'_>,
        mut cast: impl FnMut(&mut Ballots<Whose>, Whose, Option<Look>) -> bool,
    ) -> Option<Whose> {
        let comes = seats::comes(user);
        if comes == Some(false) {
            return None;
        }
        let vehicle = (user.track, None);
        let looks = Seat::ALL.map(|seat| (seat, self.look(seat, user, frame)));
        let is_any = looks.iter().any(|(_, look)| look.is_some());
        if is_any || self.ballots.of(vehicle).is_some() {
            self.ballots.know(vehicle, user);
        }
        let mut due: Option<(Whose, usize)> = None;
        for (seat, look) in looks {
            let whose = (user.track, Some(seat));
            if cast(&mut self.ballots, whose, look) {
                let times = self.ballots.of(whose).map_or(0, Ballot::times_against);
                if due.is_none_or(|(_, most)| times > most) {
                    due = Some((whose, times));
                }
            }
        }
        // Who is new or stands may be seen from anywhere.
        let is_seen = comes.or_else(|| self.comes.get(&user.track).copied()) == Some(true);
        let is_raised = self.ballots.of(vehicle).is_some_and(Ballot::is_raised);
        due.filter(|_| is_seen && !is_raised)
            .map(|(whose, _)| whose)
    }

    /// Sees where it is going. Who turned is seen from another side, and sides are all that tells
    /// one seat from the other.
    fn follow(&mut self, user: &Observation) {
        let Some(comes) = seats::comes(user) else {
            return;
        };
        // How fast it was counts also where nobody looked yet.
        self.ballots.know((user.track, None), user);
        let before = self.comes.insert(user.track, comes);
        if !comes && before != Some(false) {
            self.ballots
                .forget_those(|(vehicle, seat)| *vehicle == user.track && seat.is_some());
        }
    }

    fn decide(
        &mut self,
        whose: Whose,
        user: &Observation,
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
    ) {
        let Some(ballot) = self.ballots.of(whose) else {
            return;
        };
        let basis = ballot.basis();
        let mut onset = self.judge(ballot, user, frame);
        let (_, seat) = whose;
        if let Some(seat) = seat {
            onset.facts.insert("seat".to_owned(), seat.as_str().into());
        }
        if report.decide_by(onset, basis).is_some() {
            self.ballots.mark_raised((user.track, None));
        }
    }

    /// On how many seats a belt was missing often enough.
    fn without_belt(&self, vehicle: TrackId) -> f64 {
        let ballots = Seat::ALL.map(|seat| self.ballots.of((vehicle, Some(seat))));
        let enough = |ballot: &&Ballot| self.ballots.is_enough(ballot);
        ballots.into_iter().flatten().filter(enough).count() as f64
    }

    fn judge(&self, ballot: &Ballot, user: &Observation, frame: &FrameView<'_>) -> Onset {
        let fastest = (self.ballots.of((user.track, None))).and_then(|vehicle| vehicle.fastest);
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
            self.least_pace.explain(fastest, span),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let facts = explain::facts([
            ("class", user.class.as_str().into()),
            ("without_belt", self.without_belt(user.track).into()),
        ]);
        ballot.onset(user, frame, facts, explanation)
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
            self.follow(user);
            let wants = report.wants_near_misses();
            let due = self.count(user, frame, |ballots, whose, look| {
                let vote = Vote {
                    watched: frame.watched,
                    look,
                };
                ballots.cast_of(whose, user, vote, wants)
            });
            if let Some(whose) = due {
                self.decide(whose, user, frame, report);
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
            let wants = report.wants_near_misses();
            let due = self.count(user, then, |ballots, whose, look| {
                let look = look.map(|look| look.by(looked.by));
                ballots.recast_of(whose, user, look, wants)
            });
            if let Some(whose) = due {
                self.decide(whose, user, then, report);
            }
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.comes.remove(&track);
        self.ballots.forget_those(|(vehicle, _)| *vehicle == track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.comes.clear();
        self.ballots.clear();
    }

    fn remembered(&self) -> usize {
        self.ballots.remembered() + self.comes.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
