#![doc = include_str!("README.md")]

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use self::heads::{Heads, Whose};
use self::roster::{Roster, Seat};
use super::ballot::{Ballot, Ballots, Look, Vote};
use super::explain;
use super::pace::LeastPace;
use super::{Case, EndReason, Form, Looked, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::geometry::{IsoBox, Vector};
use crate::observation::{FrameView, Observation};

mod heads;
mod roster;

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

const MAY_BE_A_CHILD: &str = "the bare head may be a passenger under 6, who is exempt";

#[derive(Clone, Debug)]
struct NoHelmet {
    min_head_pct: f64,
    least_pace: LeastPace,
    classes: Vec<ObjectClass>,
    /// Of each rider who can be told apart; with `None` of all others of a machine.
    ballots: Ballots<Whose>,
    /// Of each machine who of its riders is who.
    rosters: BTreeMap<TrackId, Roster>,
    /// Of each machine its event, and how many bare heads that tells.
    cases: BTreeMap<TrackId, (Case, usize)>,
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
        rosters: BTreeMap::new(),
        cases: BTreeMap::new(),
    }))
}

impl NoHelmet {
    fn concerns(&self, user: &Observation) -> bool {
        self.classes.contains(&user.class)
    }

    /// Sees who of a machine's riders is who, before any look is taken.
    fn follow(&mut self, user: &Observation, frame: &FrameView<'_>) {
        let aspect = frame.sight.aspect;
        let heads = Heads::of(user, frame, self.min_head_pct, true);
        let mut shown = heads.places();
        let riding =
            |rider: &&Observation| rider.mount == Some(user.track) && rider.rides_now == Some(true);
        for rider in frame.users.iter().filter(riding) {
            if shown.iter().all(|(known, _)| *known != rider.track) {
                let body = IsoBox::new(&frame.detected(rider), aspect);
                shown.push((rider.track, heads::place_on(user, &body, aspect)));
            }
        }
        self.note(user.track, &shown, |roster| {
            roster.follow(&shown, frame.watched, user.riders.count);
        });
    }

    /// The same of a frame that has passed.
    fn recall(&mut self, user: &Observation, then: &FrameView<'_>) {
        let shown = Heads::of(user, then, self.min_head_pct, true).places();
        self.note(user.track, &shown, |roster| {
            roster.recall(&shown, then.watched);
        });
    }

    fn note(
        &mut self,
        machine: TrackId,
        shown: &[(TrackId, Vector)],
        note: impl FnOnce(&mut Roster),
    ) {
        if shown.is_empty() {
            return;
        }
        let roster = self.rosters.entry(machine).or_default();
        let were_several = roster.knows_several();
        note(roster);
        if roster.knows_several() && !were_several {
            // The only rider was not. Heads without a name may be another's from now on, and
            // those before were of this one.
            self.ballots.forget_looks_of((machine, None));
        }
    }

    /// What a frame shows of a machine's heads, and on which seats those are who can be told apart.
    fn heads(
        &self,
        user: &Observation,
        frame: &FrameView<'_>,
    ) -> (Heads, Vec<(TrackId, Option<Seat>)>) {
        let roster = self.rosters.get(&user.track);
        let are_several = roster.is_some_and(Roster::knows_several);
        let heads = Heads::of(user, frame, self.min_head_pct, are_several);
        let seat = |(name, place)| {
            let seat = roster.and_then(|roster| roster.seat((name, place), frame.watched));
            (name, seat)
        };
        let seats = heads.places().into_iter().map(seat).collect();
        (heads, seats)
    }

    /// Takes the looks at all heads of a machine. Returns whose head may decide: of several the
    /// one that was seen bare most often.
    fn count(
        &mut self,
        user: &Observation,
        (heads, seats): (&Heads, &[(TrackId, Option<Seat>)]),
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
        let seated = |seat: Seat| {
            let mut those = seats.iter().filter(move |(_, at)| *at == Some(seat));
            those.next().map(|(person, _)| *person)
        };
        // Somebody in a helmet, of whom nobody can tell who it is, may be any of them.
        let mut untold = seats.iter().filter(|(_, seat)| seat.is_none());
        let helmet = untold.find_map(|(person, _)| {
            let look = heads.look(Some(*person))?;
            (!look.accuses).then_some(look)
        });
        // Also those whose head it does not show: what a frozen picture showed is given back.
        let known = (self.ballots.among((user.track, None)..))
            .take_while(|((machine, _), _)| *machine == user.track)
            .filter_map(|((_, seat), _)| *seat);
        let all: BTreeSet<Seat> = known
            .chain(seats.iter().filter_map(|(_, seat)| *seat))
            .collect();
        for seat in all {
            let whose = (user.track, Some(seat));
            let look = match seated(seat) {
                Some(person) => heads.look(Some(person)),
                None => helmet,
            };
            if cast(&mut self.ballots, whose, look) {
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

    /// How many heads of a machine were seen bare together often enough.
    fn bare_heads(&self, track: TrackId) -> usize {
        let of_machine = (self.ballots.among((track, None)..))
            .take_while(|((machine, _), _)| *machine == track)
            .flat_map(|(_, ballot)| ballot.against());
        let mut together: BTreeMap<_, u8> = BTreeMap::new();
        for look in of_machine {
            let most = together.entry((look.at.time, look.at.frame)).or_default();
            *most = look.count.max(*most);
        }
        let mut counts: Vec<u8> = together.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let of_least = counts.get(self.ballots.least() - 1);
        of_least.map_or(1, |count| usize::from(*count).max(1))
    }

    /// Brings an event up to date when more heads were bare than it tells: the looks at driver
    /// and passenger of one frame are answered one after the other.
    fn follow_up(&mut self, user: &Observation, heads: &Heads, report: &mut Reporter<'_>) {
        if !self.cases.contains_key(&user.track) {
            return;
        }
        let bare = self.bare_heads(user.track);
        let Some((case, told)) = self.cases.get_mut(&user.track) else {
            return;
        };
        if bare <= *told {
            return;
        }
        *told = bare;
        let shown = usize::from(heads.count()).max(bare);
        let mut facts = explain::facts([
            ("bare_heads", (bare as f64).into()),
            ("heads", (shown as f64).into()),
        ]);
        facts.insert("review".to_owned(), MAY_BE_A_CHILD.into());
        case.update(facts, report);
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
        let basis = ballot.basis();
        let onset = self.judge(ballot, heads, user, frame);
        if let Some(case) = report.decide_by(onset, basis) {
            self.ballots.mark_raised((user.track, None));
            let told = self.bare_heads(user.track);
            self.cases.insert(user.track, (case, told));
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
            ("bare_heads", (self.bare_heads(user.track) as f64).into()),
            ("heads", f64::from(heads.count()).into()),
            ("riders", f64::from(user.riders.count).into()),
        ]);
        if heads.count() > 1 || user.riders.count > 1 {
            facts.insert("review".to_owned(), MAY_BE_A_CHILD.into());
        }
        Onset {
            actors: frame.with_riders(user),
            ..ballot.onset(user, frame, facts, explanation)
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
            self.follow(user, frame);
            let (heads, seats) = self.heads(user, frame);
            let wants = report.wants_near_misses();
            let due = self.count(user, (&heads, &seats), |ballots, whose, look| {
                let vote = Vote {
                    watched: frame.watched,
                    look,
                };
                ballots.cast_of(whose, user, vote, wants)
            });
            if let Some(whose) = due {
                self.decide((whose, &heads), user, frame, report);
            }
            self.follow_up(user, &heads, report);
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
            self.recall(user, then);
            let (heads, seats) = self.heads(user, then);
            let wants = report.wants_near_misses();
            let due = self.count(user, (&heads, &seats), |ballots, whose, look| {
                let look = look.map(|look| look.by(looked.by));
                ballots.recast_of(whose, user, look, wants)
            });
            if let Some(whose) = due {
                self.decide((whose, &heads), user, then, report);
            }
            self.follow_up(user, &heads, report);
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        // A rider who is gone may be found again, under another name.
        self.ballots.forget_those(|(machine, _)| *machine == track);
        self.rosters.remove(&track);
        self.cases.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.ballots.clear();
        self.rosters.clear();
        self.cases.clear();
    }

    fn remembered(&self) -> usize {
        self.ballots.remembered() + self.rosters.len() + self.cases.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
