//! From looks at a signal head to what it shows: majority, flashing, and the
//! order in which phases follow each other.
//!
//! Three things make a look at lamps lie. *Noise* (a reflection, a compression
//! artefact) is outvoted by the majority of recent looks, each with the weight
//! of its confidence. *Flashing* looks like red half of the time; a lamp that
//! was dark just before is therefore not believed until it has been lit for
//! longer than any flash. *Misreading* shows phases that no controller makes:
//! red after green without amber, or a phase of half a second. These are
//! believed only when they have lasted. Until then nobody knows, and nobody is
//! accused on it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use protocol::signal::SignalSource;
use protocol::units::Seconds;
use protocol::{EventTime, SignalState};

use super::phases::Said;
use crate::config::{LampColour, SignalGroup};

/// Looks kept for the majority; at 30 a second this is more than two seconds.
const MOST_LOOKS: usize = 64;
/// Runs kept for flashing; two are enough for a period.
const MOST_RUNS: usize = 8;

/// Longest time for which a flashing lamp is lit or dark at a stretch, s: half a
/// period of 0.5 Hz, and half as long again for uneven flashing and the
/// interval between looks.
const LONGEST_FLASH_S: f64 = 1.5;
/// Shortest such time, s: half a period of 2 Hz less the interval between
/// looks. What is faster is the beat of an LED with the shutter.
const SHORTEST_FLASH_S: f64 = 0.1;
/// Completed flashes and pauses after which a lamp is said to flash: one and a half periods.
const FLASHES: usize = 3;
/// No controller makes a phase, amber included, that is seen for less, s.
const SHORTEST_PHASE_S: f64 = 1.0;
/// For how long a phase must last that should not have followed the one
/// before, s: longer than amber usually lasts, so that a missed amber is over.
const SETTLING_S: f64 = 3.0;
/// When nothing could be read for as long, a phase may have been missed, s.
const HIDDEN_S: f64 = 1.0;
/// The first looks at a head are believed when so many …
const CLEAR_LOOKS: usize = 3;
/// … and this part of their weight say the same.
const CLEAR_SHARE: f64 = 0.75;

/// One source's looks at one signal head.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LampWatch {
    /// Recent looks, for the majority.
    looks: VecDeque<Look>,
    /// Stretches of looks that said the same, for flashing. What could not be
    /// read is in none.
    runs: VecDeque<Run>,
    /// The phase that was last believed.
    believed: Option<Believed>,
    /// The first look.
    first: Option<EventTime>,
    newest: Option<EventTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Look {
    at: EventTime,
    state: SignalState,
    weight: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    state: SignalState,
    from: EventTime,
    /// The second look: one alone is no proof.
    confirmed: Option<EventTime>,
    /// Since when without as much as one dark look.
    clean_from: EventTime,
    /// The last look at it.
    until: EventTime,
    looks: u32,
}

/// What is to be said, and from when on.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    state: SignalState,
    from: EventTime,
}

impl Verdict {
    fn now(state: SignalState, at: EventTime) -> Self {
        Self { state, from: at }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Believed {
    state: SignalState,
    from: EventTime,
    until: EventTime,
}

impl LampWatch {
    /// Takes a look; what is to be said, and from when on: a light that has
    /// proved steady was so from its second look on. `None` for a look that is
    /// not later than the one before.
    pub(super) fn look(
        &mut self,
        at: EventTime,
        (state, confidence): (SignalState, f64),
        config: &SignalGroup,
    ) -> Option<(Said, EventTime)> {
        if self.newest.is_some_and(|newest| at <= newest) {
            return None;
        }
        self.first.get_or_insert(at);
        self.newest = Some(at);
        let is_trusted = confidence.is_finite() && confidence >= config.min_confidence;
        let trusted = if is_trusted {
            state
        } else {
            SignalState::Unknown
        };
        let weight = if is_trusted && state != SignalState::Unknown {
            confidence.min(1.0)
        } else {
            // A look that says nothing is as heavy as the weakest that says something.
            config.min_confidence
        };
        self.vote(
            Look {
                at,
                state: trusted,
                weight,
            },
            config.majority_window_s,
        );
        // A night's dark lamp is a black spot, which may be anything; that it
        // is not lit is certain enough to doubt that it is steady.
        if state == SignalState::Dark {
            self.run_on(at, SignalState::Dark);
        } else if trusted != SignalState::Unknown {
            self.run_on(at, trusted);
        }
        let verdict = self.judge(at, config);
        let is_lit = !matches!(trusted, SignalState::Unknown | SignalState::Dark);
        let is_unknown = verdict.state == SignalState::Unknown;
        Some((
            Said {
                state: verdict.state,
                hint: (is_unknown && is_lit).then_some(trusted),
                source: SignalSource::Lamp,
            },
            verdict.from,
        ))
    }

    fn vote(&mut self, look: Look, window: Seconds) {
        let oldest = look.at - window;
        while self
            .looks
            .front()
            .is_some_and(|first| first.at < oldest || self.looks.len() >= MOST_LOOKS)
        {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
    }

    fn judge(&mut self, at: EventTime, config: &SignalGroup) -> Verdict {
        if let Some(flashing) = self.flashing(at) {
            self.believed = None;
            return Verdict::now(flashing, at);
        }
        let unknown = Verdict::now(SignalState::Unknown, at);
        let settled = self.majority().unwrap_or(SignalState::Unknown);
        // A fresh look that says something else than the majority is either
        // noise or the start of the next phase. Until a later one tells which,
        // say nothing: green must stop an accusation at once.
        let mut looks = self.looks.iter().rev().map(|look| look.state);
        let is_contradicted = looks.find(|state| *state != SignalState::Unknown) != Some(settled);
        if settled == SignalState::Unknown || is_contradicted {
            return unknown;
        }
        match self.steady(settled, at) {
            // Of the first looks at a head, any may have been misread: what
            // they say is said, but nothing is concluded from it.
            Some(_) if !self.is_understood(at) && !self.is_clear(settled) => {
                Verdict::now(settled, at)
            }
            Some(from) => self.believe(settled, (from, at), config),
            None => unknown,
        }
    }

    /// The state with more than half of the weight, if there are at least two looks.
    fn majority(&self) -> Option<SignalState> {
        if self.looks.len() < 2 {
            return None;
        }
        let weight_of = |state: Option<SignalState>| -> f64 {
            let counted = self
                .looks
                .iter()
                .filter(|look| state.is_none_or(|state| look.state == state));
            counted.map(|look| look.weight).sum()
        };
        let half = weight_of(None) / 2.0;
        let mut states = self.looks.iter().map(|look| look.state);
        states.find(|state| weight_of(Some(*state)) > half)
    }

    /// Whether a phase was believed before, or the head has been looked at for
    /// longer than any flash.
    fn is_understood(&self, at: EventTime) -> bool {
        self.believed.is_some()
            || self
                .first
                .is_some_and(|first| at.since(first).0 > LONGEST_FLASH_S)
    }

    /// Whether three looks or more say the same and hardly one something else.
    fn is_clear(&self, state: SignalState) -> bool {
        let weight =
            |looks: &mut dyn Iterator<Item = &Look>| -> f64 { looks.map(|look| look.weight).sum() };
        let of = |look: &&Look| look.state == state;
        let whole = weight(&mut self.looks.iter());
        self.looks.iter().filter(of).count() >= CLEAR_LOOKS
            && weight(&mut self.looks.iter().filter(of)) >= CLEAR_SHARE * whole
    }

    /// Notes that a look said `state`, the same as the last ones or something new.
    fn run_on(&mut self, at: EventTime, state: SignalState) {
        let runs = self.runs.len();
        if let Some(last) = self.runs.back_mut()
            && last.state == state
            && at.since(last.until).0 <= LONGEST_FLASH_S
        {
            last.until = at;
            last.looks += 1;
            last.confirmed = last.confirmed.or(Some(at));
            return;
        }
        // One dark look between long stretches of the same light is noise.
        if runs >= 2
            && let (Some(dark), Some(before)) = (self.runs.get(runs - 1), self.runs.get(runs - 2))
            && dark.state == SignalState::Dark
            && dark.looks == 1
            && before.state == state
            && at.since(before.until).0 <= LONGEST_FLASH_S
            && before.until.since(before.clean_from).0 >= LONGEST_FLASH_S
        {
            self.runs.pop_back();
            if let Some(resumed) = self.runs.back_mut() {
                resumed.until = at;
                resumed.clean_from = at;
                resumed.looks += 1;
            }
            return;
        }
        if runs == MOST_RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(Run {
            state,
            from: at,
            confirmed: None,
            clean_from: at,
            until: at,
            looks: 1,
        });
    }

    /// Which lamp flashes, if one does: alternately lit and dark, each for no
    /// longer and no shorter than a flash of 0.5 to 2 Hz.
    fn flashing(&self, at: EventTime) -> Option<SignalState> {
        let newest = self.runs.back()?;
        if at.since(newest.from).0 > LONGEST_FLASH_S || at.since(newest.until).0 > LONGEST_FLASH_S {
            return None;
        }
        let mut flashes = 0;
        for (earlier, later) in self.runs.iter().rev().skip(1).zip(self.runs.iter().rev()) {
            let lasted = later.from.since(earlier.from).0;
            let alternates =
                (earlier.state == SignalState::Dark) != (later.state == SignalState::Dark);
            if !alternates || !(SHORTEST_FLASH_S..=LONGEST_FLASH_S).contains(&lasted) {
                break;
            }
            flashes += 1;
        }
        if flashes < FLASHES {
            return None;
        }
        let mut lit = self
            .runs
            .iter()
            .rev()
            .take(flashes + 1)
            .map(|run| run.state)
            .filter(|state| *state != SignalState::Dark);
        let colour = lit.next()?;
        lit.all(|other| other == colour).then_some(match colour {
            SignalState::Red => SignalState::FlashingRed,
            SignalState::Amber => SignalState::FlashingAmber,
            // Green that flashes before it ends is nothing to accuse on.
            _ => SignalState::Unknown,
        })
    }

    /// From when on a state is neither a flash nor a pause: it follows another
    /// light at once, of a head that is understood already, or has lasted for
    /// longer than any flash. Green needs no proof: it excuses.
    fn steady(&self, state: SignalState, at: EventTime) -> Option<EventTime> {
        if state == SignalState::Green {
            return Some(at);
        }
        let mut runs = self.runs.iter().rev();
        let run = runs.next().filter(|run| run.state == state)?;
        let is_understood = self.is_understood(at);
        let follows_a_light = runs.next().is_some_and(|before| {
            is_understood
                && before.state != SignalState::Dark
                && run.from.since(before.until).0 <= LONGEST_FLASH_S
                && state != SignalState::Dark
        });
        if follows_a_light {
            return Some(at);
        }
        let has_lasted = at.since(run.from).0 > LONGEST_FLASH_S;
        has_lasted.then(|| run.confirmed.unwrap_or(at))
    }

    /// Takes a steady state for the phase unless it cannot follow the last one.
    fn believe(
        &mut self,
        state: SignalState,
        (from, at): (EventTime, EventTime),
        config: &SignalGroup,
    ) -> Verdict {
        let verdict = Verdict { state, from };
        let Some(believed) = &mut self.believed else {
            self.believed = Some(Believed::new(state, at));
            return verdict;
        };
        if believed.state == state {
            believed.until = at;
            return verdict;
        }
        let is_short = believed.until.since(believed.from).0 < SHORTEST_PHASE_S;
        let follows = !is_short && may_follow(believed.state, state, config);
        if follows || self.was_hidden() {
            self.believed = Some(Believed::new(state, at));
            return verdict;
        }
        let run = self.runs.back().filter(|run| run.state == state);
        if run.is_some_and(|run| at.since(run.clean_from).0 >= SETTLING_S) {
            self.believed = Some(Believed::new(state, at));
            return Verdict::now(state, at);
        }
        Verdict::now(SignalState::Unknown, at)
    }

    /// Whether nothing could be read for long enough to miss a phase, just
    /// before the current run.
    fn was_hidden(&self) -> bool {
        let mut runs = self.runs.iter().rev();
        match (runs.next(), runs.next()) {
            (Some(run), Some(before)) => run.from.since(before.until).0 > HIDDEN_S,
            _ => true,
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.looks.len().max(self.runs.len())
    }
}

#[cfg(test)]
pub(super) const MOST_REMEMBERED: usize = MOST_LOOKS;

impl Believed {
    fn new(state: SignalState, at: EventTime) -> Self {
        Self {
            state,
            from: at,
            until: at,
        }
    }
}

/// Which phase may follow which without anything between (Vienna Convention on
/// Road Signs and Signals, article 23; red and amber together is optional).
fn may_follow(before: SignalState, after: SignalState, config: &SignalGroup) -> bool {
    use SignalState::{Amber, Dark, Green, Red, RedAmber};
    let has_amber = config
        .lamp
        .as_ref()
        .is_none_or(|lamp| lamp.lamps.contains(&LampColour::Amber));
    match (before, after) {
        // Heads of two lamps, as for arrows and people on foot.
        (Green, Red) => !has_amber,
        // A dark one was switched on, or is an arrow that comes and goes.
        (Green, Amber) | (Amber, Red) | (Red, Green | RedAmber) | (RedAmber, Green) => true,
        _ => [before, after].contains(&Dark),
    }
}
