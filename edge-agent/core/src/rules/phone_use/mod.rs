#![doc = include_str!("README.md")]

use protocol::event::{Comparison, Severity};
use protocol::{NormBox, ObjectClass, TrackId, ZoneId};

use super::ballot::{Ballot, Ballots, Look, Vote};
use super::explain;
use super::pace::LeastPace;
use super::params::MOTOR_VEHICLES;
use super::{EndReason, Form, Looked, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::marks::{Mark, around};
use crate::observation::{FrameView, Observation};
use crate::second_look::LookedBy;
use crate::tracker::Group;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "phone_use",
    title: ("Dùng điện thoại khi lái xe", "Phone in the driver's hand"),
    summary: (
        "Người lái xe đang chạy cầm điện thoại, để người xem xét",
        "The driver of a moving vehicle holds a phone, for a person to review",
    ),
    severity: Severity::Info,
    guide: include_str!("README.md"),
    needs: &[ObjectClass::Phone],
    params: &[
        Param::number(
            "min_looks",
            (5.0, ""),
            (1.0, 100.0),
            "how many looks must show a phone in the driver's hand …",
        ),
        Param::number(
            "of_looks",
            (10.0, ""),
            (1.0, 240.0),
            "… of so many last ones; looks are 0.2 s apart",
        ),
        Param::number(
            "min_height_pct",
            (10.0, "% of the picture's height"),
            (0.1, 100.0),
            "drivers of smaller vehicles are not looked at",
        ),
        Param::number(
            "min_speed_kmh",
            (5.0, "km/h"),
            (0.0, 100.0),
            "slower, or slower a moment ago, is standing (calibrated cameras)",
        ),
        Param::number(
            "min_speed_heights_per_s",
            (0.3, "box heights per s"),
            (0.0, 50.0),
            "slower, or slower a moment ago, is standing (without calibration)",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

/// A phone at the handlebar lies lower in a rider's box than one in the hand.
const HANDS_ABOVE: f64 = 0.5;
/// A phone's box is a hand's; so much more on each side, part of its size, shows the face beside it.
const AROUND_PHONE: f64 = 2.0;
/// A phone must be so far on the driver's side, part of the vehicle's width: what is in the middle
/// may be in its holder, or the windscreen that a classifier was shown.
const CERTAINLY_ASIDE: f64 = 0.1;

#[derive(Clone, Debug)]
struct PhoneUse {
    min_height_pct: f64,
    least_pace: LeastPace,
    classes: Vec<ObjectClass>,
    ballots: Ballots,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let (min_looks, of_looks) = (params.number("min_looks"), params.number("of_looks"));
    let min_height_pct = params.number("min_height_pct");
    let least_pace = LeastPace::read(params);
    let classes = params.classes("classes");
    Some(Box::new(PhoneUse {
        min_height_pct,
        least_pace,
        classes: classes?,
        ballots: Ballots::new(min_looks, of_looks),
    }))
}

/// Boxes are rounded; so much of a rider's height is no difference.
const HAIR: f64 = 0.01;

/// Whether a phone is where the driver's hands are; `None`: nobody can tell. A detector says
/// where it is; a classifier only that there is one somewhere in the part that it was shown,
/// and all of that must be where nothing but a hand could hold it.
fn is_drivers(phone: &Mark, user: &Observation, frame: &FrameView<'_>) -> Option<bool> {
    let place = phone.bounds.centre();
    if user.group == Group::FourWheeler {
        let (middle, width) = (user.bounds.centre().x, user.bounds.width);
        if phone.is_label && phone.bounds.x < middle - CERTAINLY_ASIDE * width {
            return None;
        }
        // Coming towards us, who sits at the left of the car is at the right of its box.
        let towards_us = user.motion.is_some_and(|motion| motion.picture.y > 0.0);
        return Some(towards_us && place.x >= middle + CERTAINLY_ASIDE * width);
    }
    let rider = phone.person.and_then(|person| frame.find(person));
    let hands = rider.map(|rider| {
        let height = rider.bounds.height;
        (rider.bounds.y + HANDS_ABOVE * height, HAIR * height)
    });
    if phone.is_label {
        // Down to the hips the handlebar is in it, and what is in its holder there.
        let (hands, hair) = hands?;
        return (phone.bounds.bottom() <= hands + hair).then_some(true);
    }
    Some(hands.is_some_and(|(hands, _)| place.y <= hands))
}

/// Where to look for the driver of a phone that the detector found: the rider's box, or what is
/// around the phone.
fn driver(phone: &Mark, frame: &FrameView<'_>) -> NormBox {
    let rider = phone.person.and_then(|person| frame.find(person));
    rider.map_or_else(|| around(&phone.bounds, AROUND_PHONE), |rider| rider.bounds)
}

impl PhoneUse {
    fn concerns(&self, user: &Observation) -> bool {
        self.classes.contains(&user.class) && 100.0 * user.bounds.height >= self.min_height_pct
    }

    fn look(&self, user: &Observation, frame: &FrameView<'_>) -> Option<Look> {
        let phones = || {
            frame
                .marks_of(user.track)
                .filter(|mark| mark.class == ObjectClass::Phone && mark.is_believed)
        };
        let is_drivers = |mark: &Mark| is_drivers(mark, user, frame);
        let phone = phones().find(|mark| is_drivers(mark) == Some(true));
        if phone.is_none() && phones().any(|mark| is_drivers(mark).is_none()) {
            return None;
        }
        // Who stands may use it: such a look speaks for nobody and against nobody.
        let drives = self.least_pace.is_reached(super::pace::Pace::of(user));
        drives.then_some(Look {
            at: frame.at,
            watched: frame.watched,
            accuses: phone.is_some(),
            height: 100.0 * user.bounds.height,
            count: 1,
            by: LookedBy::default(),
            shows: phone.and_then(|phone| phone.look(frame.at, &driver(phone, frame))),
        })
    }

    fn decide(&mut self, user: &Observation, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let Some(ballot) = self.ballots.of(user.track) else {
            return;
        };
        let basis = ballot.basis();
        let onset = self.judge(ballot, user, frame);
        if report.decide_by(onset, basis).is_some() {
            self.ballots.mark_raised(user.track);
        }
    }

    fn judge(&self, ballot: &Ballot, user: &Observation, frame: &FrameView<'_>) -> Onset {
        let span = ballot.span(frame.at);
        let mut explanation = vec![
            self.ballots.explain(
                ballot,
                frame.at,
                (
                    "điện thoại trên tay người lái khi xe đang chạy",
                    "a phone in the driver's hand while driving",
                ),
            ),
            explain::number(
                explain::name(
                    "height",
                    "Chiều cao xe trong ảnh (trung vị)",
                    "Height of the vehicle in the picture (median)",
                ),
                (
                    ballot.median(|look| look.height),
                    Comparison::AtLeast,
                    self.min_height_pct,
                ),
                "%",
                span,
            ),
            self.least_pace.explain(ballot.fastest, span),
        ];
        if user.group == Group::TwoWheeler {
            explanation.push(explain::number(
                explain::name(
                    "riders",
                    "Số người trên xe (người ngồi sau được dùng điện thoại)",
                    "Riders on it (a passenger may use a phone)",
                ),
                (f64::from(user.riders.count), Comparison::AtMost, 1.0),
                "",
                span,
            ));
        }
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let facts = explain::facts([
            ("class", user.class.as_str().into()),
            (
                "review",
                "a wallet, a cigarette packet or a phone in its holder looks the same".into(),
            ),
        ]);
        ballot.onset(user, frame, facts, explanation)
    }
}

impl Rule for PhoneUse {
    fn place(&self) -> Option<&ZoneId> {
        None
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        for user in frame.users {
            if !self.concerns(user) {
                continue;
            }
            // Who sees phones was not asked about it in this frame: that none is shown says nothing.
            let is_seen = !frame.waits_for_second_look(ObjectClass::Phone, Some(user));
            let look = self.look(user, frame).filter(|_| is_seen);
            let vote = Vote {
                watched: frame.watched,
                look,
            };
            if self.ballots.cast(user, vote, report.wants_near_misses()) {
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
        let user = looked.user(then, &[ObjectClass::Phone]);
        if let Some(user) = user.filter(|user| self.concerns(user)) {
            let look = self.look(user, then).map(|look| look.by(looked.by));
            if (self.ballots).recast(user, look, report.wants_near_misses()) {
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
