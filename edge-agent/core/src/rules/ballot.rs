//! K of N looks: what one picture shows of somebody proves little.
//!
//! Pictures that follow each other closely make the same mistake, so a look
//! counts only [`LOOK_EVERY_S`] after the one before. The last N looks vote; a
//! look that shows nothing either way is none. What a frozen picture showed
//! again is given back.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;

use protocol::event::{self, Comparison, FrameTime, MOST_LOOKS, Value};
use protocol::{Predicate, TrackId};

use super::case::{Basis, Onset};
use super::explain::{self, Span};
use super::pace::Pace;
use crate::observation::{FrameView, Observation};
use crate::second_look::LookedBy;

/// Looks closer to each other than this are one look, s.
pub(super) const LOOK_EVERY_S: f64 = 0.2;
/// Frames do not come quite evenly, s.
const JITTER_S: f64 = 0.02;

/// What one look showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Which frame.
    pub(super) at: FrameTime,
    /// Watched time, s.
    pub(super) watched: f64,
    /// Whether it speaks against the road user.
    pub(super) accuses: bool,
    /// How well it was seen: height of what was looked at, in % of the picture's.
    pub(super) height: f64,
    /// How many: bare heads, riders.
    pub(super) count: u8,
    /// The models of second looks that counted for it.
    pub(super) by: LookedBy,
    /// What speaks against the road user, to be shown.
    pub(super) shows: Option<event::Look>,
}

impl Look {
    /// The same, which other models than the detector took.
    pub(super) fn by(self, by: LookedBy) -> Self {
        Self { by, ..self }
    }
}

/// What a frame says of somebody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vote {
    /// Watched time, s.
    pub(super) watched: f64,
    /// `None`: nothing either way.
    pub(super) look: Option<Look>,
}

/// The looks at one road user.
#[derive(Clone, Debug, Default)]
pub(super) struct Ballot {
    looks: VecDeque<Look>,
    raised: bool,
    /// The fastest that it was seen, in the best basis there was.
    pub(super) fastest: Option<Pace>,
}

impl Ballot {
    /// Whether there is an event of it.
    pub(super) const fn is_raised(&self) -> bool {
        self.raised
    }

    /// The looks against it.
    pub(super) fn against(&self) -> impl DoubleEndedIterator<Item = &Look> {
        self.looks.iter().filter(|look| look.accuses)
    }

    pub(super) fn times_against(&self) -> usize {
        self.against().count()
    }

    /// What an event of it rests on.
    pub(super) fn basis(&self) -> Basis {
        Basis {
            by: self.by(),
            looks: self.shown(),
        }
    }

    /// The models of all second looks that vote, also of those that speak for it: "5 of
    /// 7" rests on seven.
    fn by(&self) -> LookedBy {
        self.looks.iter().map(|look| look.by).collect()
    }

    /// Of the looks against it those that show most, of equal ones the newest, because their
    /// pictures are kept the longest; oldest first. Each voted, and is of nobody else.
    fn shown(&self) -> Vec<event::Look> {
        let mut best: Vec<(f64, event::Look)> = self
            .against()
            .filter_map(|look| Some((look.height, look.shows?)))
            .collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.at.cmp(&a.1.at)));
        best.truncate(MOST_LOOKS);
        let mut looks: Vec<event::Look> = best.into_iter().map(|(_, look)| look).collect();
        looks.sort_by_key(|look| look.at);
        looks
    }

    /// From the first look against it to now.
    pub(super) fn span(&self, now: FrameTime) -> Span {
        Span::new(self.against().next().map_or(now, |look| look.at), now)
    }

    /// The look against it that shows most.
    fn best(&self) -> Option<&Look> {
        self.against().max_by(|a, b| a.height.total_cmp(&b.height))
    }

    /// The case that the looks against `user` make: nothing goes on after the one that decides.
    pub(super) fn onset(
        &self,
        user: &Observation,
        frame: &FrameView<'_>,
        facts: BTreeMap<String, Value>,
        explanation: Vec<Predicate>,
    ) -> Onset {
        let first = self.span(frame.at).first;
        Onset {
            subject: user.track,
            onset: first.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            evidence: std::iter::once(first)
                .chain(self.best().map(|look| look.at))
                .collect(),
        }
    }

    /// What the middle one of the looks against it showed.
    pub(super) fn median(&self, of: impl Fn(&Look) -> f64) -> f64 {
        let mut values: Vec<f64> = self.against().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    }

    fn cast(&mut self, look: Look, most: usize) {
        let is_new = self
            .looks
            .back()
            .is_none_or(|last| look.watched - last.watched >= LOOK_EVERY_S - JITTER_S);
        if !is_new {
            return;
        }
        if self.looks.len() >= most.max(1) {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
    }

    /// A frame that has passed was looked at again. `look` is all that it
    /// showed, and takes the place of what was seen in it before.
    fn recast(&mut self, look: Look, most: usize) {
        if let Some(same) = self.looks.iter_mut().find(|known| known.at == look.at) {
            let by = same.by | look.by;
            *same = Look { by, ..look };
            return;
        }
        let near = |other: &Look| (other.watched - look.watched).abs() < LOOK_EVERY_S - JITTER_S;
        if let Some(other) = self.looks.iter_mut().find(|other| near(other)) {
            // The two are one look, and what speaks for somebody holds for it.
            other.accuses &= look.accuses;
            other.by |= look.by;
            return;
        }
        let place = self
            .looks
            .partition_point(|known| known.watched <= look.watched);
        self.looks.insert(place, look);
        if self.looks.len() > most.max(1) {
            self.looks.pop_front();
        }
    }
}

/// The looks at everybody, or at every `Whose` of somebody.
#[derive(Clone, Debug)]
pub(super) struct Ballots<Whose = TrackId> {
    /// How many looks must speak against somebody …
    least: f64,
    /// … of the last so many.
    of: usize,
    list: BTreeMap<Whose, Ballot>,
}

impl<Whose: Ord + Copy> Ballots<Whose> {
    /// `least` of `of` looks.
    pub(super) fn new(least: f64, of: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // held within a range
        let of = of.max(least).clamp(1.0, 240.0).round() as usize;
        Self {
            least: least.max(1.0).round(),
            of,
            list: BTreeMap::new(),
        }
    }

    /// Takes what a second look at a frame showed of somebody, together with
    /// what was seen there before. Returns as [`cast_of`](Self::cast_of) does.
    pub(super) fn recast_of(
        &mut self,
        whose: Whose,
        user: &Observation,
        look: Option<Look>,
        wants_near_misses: bool,
    ) -> bool {
        let Some(look) = look else {
            return false;
        };
        let ballot = self.list.entry(whose).or_default();
        ballot.fastest = Pace::faster(ballot.fastest, Pace::of(user));
        ballot.recast(look, self.of);
        let counts = ballot.against().any(|known| known.at == look.at);
        !ballot.raised
            && counts
            && (wants_near_misses || ballot.times_against() as f64 >= self.least)
    }

    /// Takes what a frame showed of somebody.
    /// Whether this frame may decide: it speaks against somebody of whom there
    /// was no event yet, and enough looks do, or near misses are wanted.
    pub(super) fn cast_of(
        &mut self,
        whose: Whose,
        user: &Observation,
        vote: Vote,
        wants_near_misses: bool,
    ) -> bool {
        let Vote { watched, look } = vote;
        let ballot = match look {
            Some(_) => self.list.entry(whose).or_default(),
            None => match self.list.get_mut(&whose) {
                Some(known) => known,
                None => return false,
            },
        };
        let is_late = |look: &Look| look.watched > watched;
        while ballot.looks.back().is_some_and(is_late) {
            ballot.looks.pop_back();
        }
        ballot.fastest = Pace::faster(ballot.fastest, Pace::of(user));
        let Some(look) = look else {
            return false;
        };
        ballot.cast(look, self.of);
        !ballot.raised
            && look.accuses
            && (wants_near_misses || ballot.times_against() as f64 >= self.least)
    }

    /// The looks at somebody.
    pub(super) fn of(&self, whose: Whose) -> Option<&Ballot> {
        self.list.get(&whose)
    }

    /// How many looks must speak against somebody.
    pub(super) fn least(&self) -> usize {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // held within a range
        let least = self.least as usize;
        least
    }

    /// What was seen so far may be of somebody else; that there is an event stays.
    pub(super) fn forget_looks_of(&mut self, whose: Whose) {
        if let Some(ballot) = self.list.get_mut(&whose) {
            ballot.looks.clear();
        }
    }

    /// All looks, in the order of whose they are.
    pub(super) fn among(
        &self,
        whose: impl RangeBounds<Whose>,
    ) -> impl Iterator<Item = (&Whose, &Ballot)> {
        self.list.range(whose)
    }

    /// Somebody is there, whatever was shown.
    pub(super) fn know(&mut self, whose: Whose, user: &Observation) {
        let ballot = self.list.entry(whose).or_default();
        ballot.fastest = Pace::faster(ballot.fastest, Pace::of(user));
    }

    /// There is an event now, and there will be no other.
    pub(super) fn mark_raised(&mut self, whose: Whose) {
        if let Some(ballot) = self.list.get_mut(&whose) {
            ballot.raised = true;
        }
    }

    /// Whether so many looks speak against somebody that it is an event.
    pub(super) fn is_enough(&self, ballot: &Ballot) -> bool {
        ballot.times_against() as f64 >= self.least
    }

    /// That enough looks speak against it.
    pub(super) fn explain(&self, ballot: &Ballot, now: FrameTime, what: (&str, &str)) -> Predicate {
        explain::number(
            (
                "looks_against",
                format!(
                    "Số lần nhìn thấy {} (trong {} lần gần nhất)",
                    what.0, self.of
                ),
                format!("Looks that showed {} (of the last {})", what.1, self.of),
            ),
            (
                ballot.times_against() as f64,
                Comparison::AtLeast,
                self.least,
            ),
            "",
            ballot.span(now),
        )
    }

    /// Forgets everybody who is gone.
    pub(super) fn forget_those(&mut self, is_gone: impl Fn(&Whose) -> bool) {
        self.list.retain(|whose, _| !is_gone(whose));
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    pub(super) fn remembered(&self) -> usize {
        self.list.len()
    }
}

impl Ballots {
    /// As [`recast_of`](Self::recast_of), of a road user as a whole.
    pub(super) fn recast(
        &mut self,
        user: &Observation,
        look: Option<Look>,
        wants_near_misses: bool,
    ) -> bool {
        self.recast_of(user.track, user, look, wants_near_misses)
    }

    /// As [`cast_of`](Self::cast_of), of a road user as a whole.
    pub(super) fn cast(&mut self, user: &Observation, vote: Vote, wants_near_misses: bool) -> bool {
        self.cast_of(user.track, user, vote, wants_near_misses)
    }

    pub(super) fn forget(&mut self, track: TrackId) {
        self.list.remove(&track);
    }
}
