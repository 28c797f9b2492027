#![doc = include_str!("README.md")]

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::ballot::{Ballot, Ballots, Look, Vote};
use super::explain;
use super::pace::LeastPace;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::observation::{FrameView, Observation};
use crate::second_look::LookedBy;

pub(super) const THREE_PLUS: RuleEntry = RuleEntry {
    kind: "riders_three_plus",
    title: (
        "Chở quá số người quy định",
        "Three or more on a two-wheeler",
    ),
    summary: (
        "Từ ba người trở lên trên một xe hai bánh, kể cả người lái",
        "Three or more ride one two-wheeler, the driver included",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: PARAMS,
    read: |params| read(params, Riders::AtLeast(3)),
};

pub(super) const TWO: RuleEntry = RuleEntry {
    kind: "riders_two",
    title: ("Hai người trên xe", "Two on a two-wheeler"),
    summary: (
        "Đúng hai người trên xe chỉ được chở một, để người xem xét",
        "Exactly two ride a two-wheeler where only one may, for a person to review",
    ),
    severity: Severity::Info,
    guide: include_str!("README.md"),
    needs: &[],
    params: PARAMS,
    read: |params| read(params, Riders::Exactly(2)),
};

const PARAMS: &[Param] = &[
    Param::number(
        "min_looks",
        (8.0, ""),
        (1.0, 100.0),
        "how many looks must show so many riders …",
    ),
    Param::number(
        "of_looks",
        (10.0, ""),
        (1.0, 240.0),
        "… of so many last ones that showed any; looks are 0.2 s apart",
    ),
    Param::number(
        "min_height_pct",
        (6.0, "% of the picture's height"),
        (0.1, 100.0),
        "riders of smaller machines are not counted",
    ),
    Param::number(
        "min_speed_kmh",
        (5.0, "km/h"),
        (0.0, 100.0),
        "who was never faster sits on a parked machine (calibrated cameras)",
    ),
    Param::number(
        "min_speed_heights_per_s",
        (0.4, "box heights per s"),
        (0.0, 50.0),
        "who was never faster sits on a parked machine (without calibration)",
    ),
    Param::new(
        "classes",
        Form::Classes(&[ObjectClass::Motorcycle]),
        "which two-wheelers",
    ),
];

/// How many are too many.
#[derive(Clone, Copy, Debug)]
enum Riders {
    AtLeast(u8),
    Exactly(u8),
}

impl Riders {
    fn are(self, count: u8) -> bool {
        match self {
            Self::AtLeast(least) => count >= least,
            Self::Exactly(number) => count == number,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::AtLeast(number) | Self::Exactly(number) => number,
        }
    }
}

#[derive(Clone, Debug)]
struct TooManyRiders {
    riders: Riders,
    min_height_pct: f64,
    least_pace: LeastPace,
    classes: Vec<ObjectClass>,
    ballots: Ballots,
}

fn read(params: &mut Params<'_, '_>, riders: Riders) -> Option<Box<dyn Rule>> {
    let (min_looks, of_looks) = (params.number("min_looks"), params.number("of_looks"));
    let min_height_pct = params.number("min_height_pct");
    let least_pace = LeastPace::read(params);
    let classes = params.classes("classes");
    Some(Box::new(TooManyRiders {
        riders,
        min_height_pct,
        least_pace,
        classes: classes?,
        ballots: Ballots::new(min_looks, of_looks),
    }))
}

impl TooManyRiders {
    fn judge(&self, ballot: &Ballot, user: &Observation, frame: &FrameView<'_>) -> Onset {
        let span = ballot.span(frame.at);
        let wanted = f64::from(self.riders.number());
        let comparison = match self.riders {
            Riders::AtLeast(_) => Comparison::AtLeast,
            Riders::Exactly(_) => Comparison::Is,
        };
        let mut explanation = vec![
            self.ballots.explain(
                ballot,
                frame.at,
                ("đủ số người trên xe", "so many riders on it"),
            ),
            explain::number(
                explain::name(
                    "riders",
                    "Số người trên xe (trung vị của các lần nhìn gần đây)",
                    "Riders on it (median of the recent looks)",
                ),
                (f64::from(user.riders.count), comparison, wanted),
                "",
                span,
            ),
            explain::number(
                explain::name(
                    "height",
                    "Chiều cao xe trong ảnh (trung vị)",
                    "Height of the machine in the picture (median)",
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
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let mut facts = explain::facts([
            ("class", user.class.as_str().into()),
            ("riders", f64::from(user.riders.count).into()),
        ]);
        let review = match (self.riders, user.riders.count) {
            (Riders::Exactly(_), _) => Some("two riders are an offence only where one may ride"),
            (_, 3) => Some("a child under 12 or somebody taken to hospital is exempt"),
            _ => None,
        };
        if let Some(review) = review {
            facts.insert("review".to_owned(), review.into());
        }
        Onset {
            actors: frame.with_riders(user),
            ..ballot.onset(user, frame, facts, explanation)
        }
    }
}

impl Rule for TooManyRiders {
    fn place(&self) -> Option<&ZoneId> {
        None
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        for user in frame.users {
            let height = 100.0 * user.bounds.height;
            if !self.classes.contains(&user.class) || height < self.min_height_pct {
                continue;
            }
            let count = frame.riders_now(user);
            // Who was followed was not counted anew: one look is one look.
            let is_look = count > 0 && !frame.is_followed;
            let look = is_look.then_some(Look {
                at: frame.at,
                watched: frame.watched,
                accuses: self.riders.are(count),
                height,
                count,
                by: LookedBy::default(),
                // Who rides is not in one part of a picture: the stills show them.
                shows: None,
            });
            let vote = Vote {
                watched: frame.watched,
                look,
            };
            if !(self.ballots).cast(user, vote, report.wants_near_misses()) {
                continue;
            }
            let Some(ballot) = self.ballots.of(user.track) else {
                continue;
            };
            let onset = self.judge(ballot, user, frame);
            if report.decide(onset).is_some() {
                self.ballots.mark_raised(user.track);
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
