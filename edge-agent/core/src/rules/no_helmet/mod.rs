#![doc = include_str!("README.md")]

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use self::heads::{Heads, Whose};
use super::ballot::{Ballot, Ballots, Look};
use super::explain;
use super::pace::LeastPace;
use super::{EndReason, Form, Looked, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::observation::{FrameView, Observation};

mod heads;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "no_helmet",
    title: ("Không đội mũ bảo hiểm", "No helmet"),
    summary: (
        "Người trên xe máy không đội mũ bảo hiểm trong nhiều lần nhìn thấy",
        "Somebody rides a motorcycle without a helmet, in many looks",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[ObjectClass::NoHelmet],
    params: &[
        Param::number(
            "min_looks",
            (5.0, ""),
            (1.0, 100.0),
            "how many looks must show the same head bare …",
        ),
        Param::number(
            "of_looks",
            (7.0, ""),
            (1.0, 240.0),
            "… of so many last ones that showed this head; looks are 0.2 s apart",
        ),
        Param::number(
            "min_head_pct",
            (2.0, "% of the picture's height"),
            (0.1, 50.0),
            "smaller heads are not looked at",
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
    ],
    read,
};

#[derive(Clone, Debug)]
struct NoHelmet {
    min_head_pct: f64,
    least_pace: LeastPace,
    classes: Vec<ObjectClass>,
    /// Of each rider who can be told apart; with `None` of all others of a machine.
    ballots: Ballots<Whose>,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let (min_looks, of_looks) = (params.number("min_looks"), params.number("of_looks"));
    let min_head_pct = params.number("min_head_pct");
    let least_pace = LeastPace::read(params);
    let classes = params.classes("classes");
    Some(Box::new(NoHelmet {
        min_head_pct,
        least_pace,
        classes: classes?,
        ballots: Ballots::new(min_looks, of_looks),
    }))
}

impl NoHelmet {
    fn concerns(&self, user: &Observation) -> bool {
        self.classes.contains(&user.class)
    }

    /// Takes the looks at all heads of a machine. Returns whose head may decide: of several the
    /// one that was seen bare most often.
    fn count(
        &mut self,
        user: &Observation,
        heads: &Heads,
        mut cast: impl FnMut(&mut Ballots<Whose>, Whose, Option<Look>) -> bool,
    ) -> Option<Whose> {
        let machine = (user.track, None);
        // It is there before any other: it holds what is of the machine as a whole.
        if !heads.is_empty() {
            self.ballots.know(machine, user);
        }
        let mut due: Option<(Whose, usize)> = None;
        if cast(&mut self.ballots, machine, heads.look(None)) {
            due = Some((machine, self.times_against(machine)));
        }
        // Also those whose head it does not show: what a frozen picture showed is given back.
        let known = (self.ballots.among((user.track, None)..))
            .take_while(|((machine, _), _)| *machine == user.track)
            .filter_map(|((_, person), _)| *person);
        let mut persons: Vec<TrackId> = known.chain(heads.persons()).collect();
        persons.sort_unstable();
        persons.dedup();
        for person in persons {
            let whose = (user.track, Some(person));
            if cast(&mut self.ballots, whose, heads.look(Some(person))) {
                let times = self.times_against(whose);
                if due.is_none_or(|(_, most)| times > most) {
                    due = Some((whose, times));
                }
            }
        }
        let is_raised = self.ballots.of(machine).is_some_and(Ballot::is_raised);
        due.filter(|_| !is_raised).map(|(whose, _)| whose)
    }

    fn times_against(&self, whose: Whose) -> usize {
        self.ballots.of(whose).map_or(0, Ballot::times_against)
    }

    /// How many heads of a machine were seen bare often enough. Those who could not be told apart
    /// may be those who could at other times.
    fn bare_heads(&self, track: TrackId) -> f64 {
        let of_machine = self
            .ballots
            .among((track, None)..)
            .take_while(|((machine, _), _)| *machine == track)
            .filter(|(_, ballot)| self.ballots.is_enough(ballot));
        let (mut told_apart, mut others) = (0.0, 0.0_f64);
        for ((_, person), ballot) in of_machine {
            match person {
                Some(_) => told_apart += 1.0,
                None => others = ballot.median(|look| f64::from(look.count)),
            }
        }
        others.max(told_apart).max(1.0)
    }

    fn decide(
        &mut self,
        (whose, heads): (Whose, &Heads),
        user: &Observation,
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
    ) {
        let Some(ballot) = self.ballots.of(whose) else {
            return;
        };
        let by = ballot.by();
        let onset = self.judge(ballot, heads, user, frame);
        if report.decide_by(onset, by).is_some() {
            self.ballots.mark_raised((user.track, None));
        }
    }

    fn judge(
        &self,
        ballot: &Ballot,
        heads: &Heads,
        user: &Observation,
        frame: &FrameView<'_>,
    ) -> Onset {
        let fastest = (self.ballots.of((user.track, None))).and_then(|machine| machine.fastest);
        let span = ballot.span(frame.at);
        let mut explanation = vec![
            self.ballots
                .explain(ballot, frame.at, ("đầu trần", "a bare head")),
            explain::number(
                explain::name(
                    "head_height",
                    "Chiều cao đầu trong ảnh (trung vị)",
                    "Height of the head in the picture (median)",
                ),
                (
                    ballot.median(|look| look.height),
                    Comparison::AtLeast,
                    self.min_head_pct,
                ),
                "%",
                span,
            ),
            self.least_pace.explain(fastest, span),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let mut facts = explain::facts([
            ("class", user.class.as_str().into()),
            ("bare_heads", self.bare_heads(user.track).into()),
            ("heads", f64::from(heads.count()).into()),
            ("riders", f64::from(user.riders.count).into()),
        ]);
        if heads.count() > 1 || user.riders.count > 1 {
            facts.insert(
                "review".to_owned(),
                "the bare head may be a passenger under 6, who is exempt".into(),
            );
        }
        let riders = frame.users.iter().filter(|u| u.mount == Some(user.track));
        Onset {
            subject: user.track,
            onset: span.first.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: std::iter::once(user)
                .chain(riders)
                .map(|one| frame.actor(one))
                .collect(),
            facts,
            explanation,
            evidence: std::iter::once(span.first)
                .chain(ballot.best().map(|look| look.at))
                .collect(),
        }
    }
}

impl Rule for NoHelmet {
    fn place(&self) -> Option<&ZoneId> {
        None
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        for user in frame.users {
            if !self.concerns(user) {
                continue;
            }
            let heads = Heads::of(user, frame, self.min_head_pct);
            let wants = report.wants_near_misses();
            let due = self.count(user, &heads, |ballots, whose, look| {
                ballots.cast_of(whose, user, (frame.watched, look), wants)
            });
            if let Some(whose) = due {
                self.decide((whose, &heads), user, frame, report);
            }
        }
    }

    fn second_look(
        &mut self,
        then: &FrameView<'_>,
        looked: &Looked<'_>,
        report: &mut Reporter<'_>,
    ) {
        let heads = [ObjectClass::Helmet, ObjectClass::NoHelmet];
        let user = looked.user(then, &heads);
        if let Some(user) = user.filter(|user| self.concerns(user)) {
            let heads = Heads::of(user, then, self.min_head_pct);
            let wants = report.wants_near_misses();
            let due = self.count(user, &heads, |ballots, whose, look| {
                ballots.recast_of(whose, user, (look, looked.by), wants)
            });
            if let Some(whose) = due {
                self.decide((whose, &heads), user, then, report);
            }
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        (self.ballots)
            .forget_those(|(machine, person)| *machine == track || *person == Some(track));
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
