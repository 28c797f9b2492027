//! From looks at a signal head to what it shows: majority, flashing, and the
//! order in which phases follow each other.
//!
//! Three things make a look at lamps lie. *Noise* (a reflection, a compression
//! artefact) is outvoted by the majority of recent looks, each with the weight
//! of its confidence. *Flashing* looks like red half of the time, and all of
//! the time where the looks keep step with it ([`super::steadiness`]); a light
//! that follows darkness, or the start, is therefore not believed until looks
//! have excluded flashing, or the head has shown green: a head that works
//! regularly has steady lights. *Misreading* shows phases that no controller
//! makes: red after green without amber, or a phase of half a second. These
//! are believed only when they have lasted. Until then nobody knows, and nobody
//! is accused on it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use protocol::signal::SignalSource;
use protocol::units::Seconds;
use protocol::{EventTime, SignalState};

use super::phases::Said;
use super::steadiness::{Of, Unbroken};
use crate::config::{LampColour, SignalGroup};

/// Looks kept for the majority; at 30 a second this is more than two seconds.
const MOST_LOOKS: usize = 64;
/// Runs kept for flashing; two are enough for a period.
const MOST_RUNS: usize = 8;

/// Longest time for which a flashing lamp is lit or dark at a stretch, s: of
/// 0.5 Hz and lit for half of it, and half as long again for uneven flashing
/// and the interval between looks.
const LONGEST_FLASH_S: f64 = 1.5;
/// Shortest period of a flash, s: 2.5 Hz, less the interval between looks. What
/// is quicker is the beat of an LED with the shutter.
const SHORTEST_PERIOD_S: f64 = 0.3;
/// A dark look is noise where it stands alone after so many looks at the same
/// light. Unless its looks keep step with it, a flash is dark at one in five;
/// where they have kept step and fall out of it, several dark looks follow each
/// other within five.
const LONE_AFTER_LOOKS: u32 = 10;
/// For how long a head may be out of sight and still be taken to work as it
/// did, s: as long as a bus takes to pass. To start flashing just then is
/// what no programme does.
const OUT_OF_SIGHT_S: f64 = 10.0;
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
    /// Looks at some light since the last dark one.
    #[serde(default)]
    lit: Unbroken,
    /// Dark looks since the last light.
    #[serde(default)]
    unlit: Unbroken,
    /// The last look at some light.
    #[serde(default)]
    last_lit: Option<EventTime>,
    /// Whether the head is known to work regularly, with steady lights.
    #[serde(default)]
    is_regular: bool,
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
    /// How many looks since then.
    #[serde(default)]
    clean_looks: u32,
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
        state: SignalState,
        confidence: f64,
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
        let mut is_proved = false;
        if state == SignalState::Dark {
            self.lit.end();
            self.unlit.look(Of::Darkness, at);
            self.run_on(at, SignalState::Dark);
        } else if trusted != SignalState::Unknown {
            is_proved = self.see_light(at, trusted);
        }
        let verdict = self.judge(at, is_proved, config);
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

    /// Takes a look at a light; whether it is the one that excludes flashing.
    fn see_light(&mut self, at: EventTime, state: SignalState) -> bool {
        let is_after_dark = self
            .runs
            .back()
            .is_some_and(|run| run.state == SignalState::Dark);
        let ends_green = self.is_pause_of_green();
        let was_noise = self.run_on(at, state);
        self.unlit.end();
        self.lit.look(Of::Light, at);
        let was_out_of_sight = self
            .last_lit
            .is_none_or(|last| at.since(last).0 > OUT_OF_SIGHT_S);
        self.last_lit = Some(at);
        if was_out_of_sight || (is_after_dark && !was_noise && !ends_green) {
            self.is_regular = false;
        }
        let is_proved = !self.is_regular && self.lit.excludes_flashing(Of::Light);
        self.is_regular |= is_proved;
        is_proved
    }

    /// Whether it is dark after green, for no longer than green that flashes
    /// before it ends.
    fn is_pause_of_green(&self) -> bool {
        let mut runs = self.runs.iter().rev();
        let (Some(dark), Some(before)) = (runs.next(), runs.next()) else {
            return false;
        };
        dark.state == SignalState::Dark
            && before.state == SignalState::Green
            && dark.until.since(dark.from).0 <= LONGEST_FLASH_S
    }

    fn judge(&mut self, at: EventTime, is_proved: bool, config: &SignalGroup) -> Verdict {
        match self.flashing(at) {
            // Green that flashes before it ends is nothing to accuse on, and
            // its phase all the same.
            Some(SignalState::Green) => {
                if let Some(green) = &mut self.believed
                    && green.state == SignalState::Green
                {
                    green.until = at;
                }
                return Verdict::now(SignalState::Unknown, at);
            }
            Some(colour) => {
                self.believed = None;
                self.is_regular = false;
                let flashing = match colour {
                    SignalState::Red => SignalState::FlashingRed,
                    SignalState::Amber => SignalState::FlashingAmber,
                    _ => SignalState::Unknown,
                };
                return Verdict::now(flashing, at);
            }
            None => {}
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
        match self.steady(settled, at, is_proved) {
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

    /// Notes that a look said `state`, the same as the last ones or something
    /// new; whether it showed that a dark look before it was noise.
    fn run_on(&mut self, at: EventTime, state: SignalState) -> bool {
        let runs = self.runs.len();
        if let Some(last) = self.runs.back_mut()
            && last.state == state
            && at.since(last.until).0 <= LONGEST_FLASH_S
        {
            last.until = at;
            last.looks = last.looks.saturating_add(1);
            last.clean_looks = last.clean_looks.saturating_add(1);
            last.confirmed = last.confirmed.or(Some(at));
            return false;
        }
        // One dark look between long stretches of the same light is noise.
        if runs >= 2
            && let (Some(dark), Some(before)) = (self.runs.get(runs - 1), self.runs.get(runs - 2))
            && dark.state == SignalState::Dark
            && dark.looks == 1
            && before.state == state
            && at.since(before.until).0 <= LONGEST_FLASH_S
            && before.until.since(before.clean_from).0 >= LONGEST_FLASH_S
            && before.clean_looks >= LONE_AFTER_LOOKS
        {
            self.runs.pop_back();
            if let Some(resumed) = self.runs.back_mut() {
                resumed.until = at;
                resumed.clean_from = at;
                resumed.clean_looks = 1;
                resumed.looks = resumed.looks.saturating_add(1);
            }
            return true;
        }
        if runs == MOST_RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(Run {
            state,
            from: at,
            confirmed: None,
            clean_from: at,
            clean_looks: 1,
            until: at,
            looks: 1,
        });
        false
    }

    /// Which colour flashes, if one does: alternately lit and dark, each for no
    /// longer and both for no shorter than in a flash of 0.5 to 2.5 Hz.
    fn flashing(&self, at: EventTime) -> Option<SignalState> {
        let newest = self.runs.back()?;
        if at.since(newest.from).0 > LONGEST_FLASH_S || at.since(newest.until).0 > LONGEST_FLASH_S {
            return None;
        }
        let mut flashes = 0;
        let mut later_still: Option<EventTime> = None;
        for (earlier, later) in self.runs.iter().rev().skip(1).zip(self.runs.iter().rev()) {
            let lasted = later.from.since(earlier.from).0;
            let alternates =
                (earlier.state == SignalState::Dark) != (later.state == SignalState::Dark);
            let is_beat =
                later_still.is_some_and(|end| end.since(earlier.from).0 < SHORTEST_PERIOD_S);
            if !alternates || lasted > LONGEST_FLASH_S || is_beat {
                break;
            }
            later_still = Some(later.from);
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
        lit.all(|other| other == colour).then_some(colour)
    }

    /// From when on a state is neither a flash nor a pause: looks have excluded
    /// flashing, now or before, and none has been dark since. Green needs no
    /// proof: it excuses.
    fn steady(&self, state: SignalState, at: EventTime, is_proved: bool) -> Option<EventTime> {
        if state == SignalState::Green {
            return Some(at);
        }
        let run = self.runs.back().filter(|run| run.state == state)?;
        let from_its_second_look = run.confirmed.unwrap_or(at);
        if state == SignalState::Dark {
            let is_no_pause = self.unlit.excludes_flashing(Of::Darkness);
            return is_no_pause.then_some(from_its_second_look);
        }
        let from = if is_proved { from_its_second_look } else { at };
        self.is_regular.then_some(from)
    }

    /// Takes a steady state for the phase unless it cannot follow the last one.
    fn believe(
        &mut self,
        state: SignalState,
        (from, at): (EventTime, EventTime),
        config: &SignalGroup,
    ) -> Verdict {
        let verdict = Verdict { state, from };
        let run = self.runs.back().copied().filter(|run| run.state == state);
        // A phase is as old as its looks, not as the belief in it.
        let new = Believed {
            state,
            from: run.map_or(at, |run| run.from),
            until: at,
        };
        let Some(believed) = &mut self.believed else {
            self.believed = Some(new);
            return verdict;
        };
        if believed.state == state {
            believed.until = at;
            // What shows green flashes neither red nor amber.
            self.is_regular |= state == SignalState::Green && believed.has_lasted();
            return verdict;
        }
        let follows = believed.has_lasted() && may_follow(believed.state, state, config);
        if follows || self.was_hidden() {
            self.believed = Some(new);
            return verdict;
        }
        if run.is_some_and(|run| at.since(run.clean_from).0 >= SETTLING_S) {
            self.believed = Some(new);
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
    /// Whether a controller can have made it.
    fn has_lasted(&self) -> bool {
        self.until.since(self.from).0 >= SHORTEST_PHASE_S
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
