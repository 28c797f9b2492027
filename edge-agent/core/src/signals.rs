//! What each signal group showed, and since when: for now and for any recent instant.
//!
//! A lamp read from a picture flickers, so a majority of its readings over
//! time decides; a controller's word counts at once. A source that has said
//! nothing for too long is *unknown*, two sources that contradict each other
//! are *unknown*, and nobody is ever accused on unknown. In doubt about when a
//! phase began, the later instant is taken: it is the one that accuses fewer.

use std::collections::VecDeque;

use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::units::Seconds;
use protocol::{EventTime, SignalReading, SignalState};
use serde::{Deserialize, Serialize};

use crate::config::SignalGroup;

/// A state, and since when without interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Showing {
    /// What it is.
    pub state: SignalState,
    /// When it began.
    pub since: EventTime,
    /// Whose word it is: the lamps' where they can be read, because they are
    /// seen by the camera's own clock; `None` for unknown.
    pub source: Option<SignalSource>,
}

impl Showing {
    fn unknown(instant: EventTime) -> Self {
        Self {
            state: SignalState::Unknown,
            since: instant,
            source: None,
        }
    }
}

/// All signal groups of a scene.
#[derive(Clone, Debug)]
pub struct SignalBoard {
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    config: SignalGroup,
    lamp: Source,
    controller: Source,
}

impl SignalBoard {
    /// With nothing read yet.
    pub fn new(configs: &[SignalGroup]) -> Self {
        Self {
            groups: configs
                .iter()
                .map(|config| Group {
                    config: config.clone(),
                    lamp: Source::default(),
                    controller: Source::default(),
                })
                .collect(),
        }
    }

    /// Takes a reading. One of an unknown group, or one older than the newest
    /// of its source, changes nothing.
    pub fn read(&mut self, reading: &SignalReading) {
        let Some(group) = self
            .groups
            .iter_mut()
            .find(|group| group.config.group == reading.group)
        else {
            return;
        };
        let config = &group.config;
        let trusted = reading.confidence.is_finite() && reading.confidence >= config.min_confidence;
        let state = if trusted {
            reading.state
        } else {
            SignalState::Unknown
        };
        match reading.source {
            SignalSource::Lamp => group.lamp.look(reading.time, state, config),
            source @ (SignalSource::Mqtt | SignalSource::Recording) => {
                group
                    .controller
                    .settle(reading.time, (state, source), config);
            }
        }
    }

    /// What a group showed at an instant. Unknown if nobody fresh said so.
    pub fn at(&self, group: &SignalGroupId, instant: EventTime) -> Showing {
        self.groups
            .iter()
            .find(|g| g.config.group == *group)
            .map_or_else(|| Showing::unknown(instant), |g| g.at(instant))
    }

    /// Every group with what it shows at an instant.
    pub fn all(
        &self,
        instant: EventTime,
    ) -> impl Iterator<Item = (&SignalGroupId, SignalState)> + '_ {
        self.groups
            .iter()
            .map(move |g| (&g.config.group, g.at(instant).state))
    }

    /// What was read, for [`resume`](Self::resume).
    pub(crate) fn state(&self) -> BoardState {
        BoardState(
            self.groups
                .iter()
                .map(|g| (g.config.group.clone(), g.lamp.clone(), g.controller.clone()))
                .collect(),
        )
    }

    /// Takes over what another board of the same groups had read.
    pub(crate) fn resume(&mut self, state: BoardState) {
        for (name, lamp, controller) in state.0 {
            if let Some(group) = self.groups.iter_mut().find(|g| g.config.group == name) {
                (group.lamp, group.controller) = (lamp, controller);
            }
        }
    }

    /// Forgets every reading: the clock was moved.
    pub fn forget(&mut self) {
        for group in &mut self.groups {
            group.lamp = Source::default();
            group.controller = Source::default();
        }
    }

    /// Forgets what was read from pictures: they were all the same one.
    pub fn forget_lamps(&mut self) {
        for group in &mut self.groups {
            group.lamp = Source::default();
        }
    }

    /// Forgets readings from after an instant, which came from a wrong clock.
    pub fn forget_after(&mut self, instant: EventTime) {
        for group in &mut self.groups {
            for source in [&mut group.lamp, &mut group.controller] {
                if source.newest.is_some_and(|newest| newest > instant) {
                    *source = Source::default();
                }
            }
        }
    }
}

impl Group {
    fn at(&self, instant: EventTime) -> Showing {
        let bridge = self.config.majority_window_s;
        match (
            self.lamp.at(instant, bridge),
            self.controller.at(instant, bridge),
        ) {
            (Some(lamp), Some(controller)) if lamp.state == controller.state => Showing {
                state: lamp.state,
                since: lamp.since.max(controller.since),
                source: lamp.source,
            },
            (Some(_), Some(_)) | (None, None) => Showing::unknown(instant),
            (Some(one), None) | (None, Some(one)) => one,
        }
    }
}

/// Readings kept for the majority; at 30 a second this is more than a second.
const MOST_LOOKS: usize = 64;
/// Phases kept; at the fastest real signal this is minutes.
const MOST_PHASES: usize = 64;

/// What was read of every group, to be taken over by another board.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BoardState(Vec<(SignalGroupId, Source, Source)>);

/// What one source said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Source {
    /// Recent looks, for the majority.
    looks: VecDeque<(EventTime, SignalState)>,
    /// Settled phases in order, without overlap.
    phases: VecDeque<Phase>,
    newest: Option<EventTime>,
}

/// A settled state from `from` until just before `until`, if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Phase {
    state: SignalState,
    source: SignalSource,
    from: EventTime,
    until: EventTime,
}

impl Source {
    /// Takes a look at the lamps, and settles what the majority of recent looks says.
    fn look(&mut self, at: EventTime, state: SignalState, config: &SignalGroup) {
        if self.newest.is_some_and(|newest| at <= newest) {
            return;
        }
        let oldest = at - config.majority_window_s;
        while self
            .looks
            .front()
            .is_some_and(|(time, _)| *time < oldest || self.looks.len() >= MOST_LOOKS)
        {
            self.looks.pop_front();
        }
        self.looks.push_back((at, state));
        let settled = self.majority().unwrap_or(SignalState::Unknown);
        // A fresh look that says something else than the majority is either
        // noise or the start of the next phase. Until it is clear which, say
        // nothing: green must stop an accusation at once.
        let contradicted = state != SignalState::Unknown && state != settled;
        let said = if contradicted {
            SignalState::Unknown
        } else {
            settled
        };
        self.settle(at, (said, SignalSource::Lamp), config);
    }

    /// The state of more than half of the looks, if there are at least two.
    fn majority(&self) -> Option<SignalState> {
        let looks = self.looks.len();
        if looks < 2 {
            return None;
        }
        self.looks
            .iter()
            .map(|(_, state)| *state)
            .find(|candidate| {
                let votes = self.looks.iter().filter(|(_, s)| s == candidate).count();
                2 * votes > looks
            })
    }

    /// Takes a state as it is from an instant on.
    fn settle(
        &mut self,
        at: EventTime,
        (state, source): (SignalState, SignalSource),
        config: &SignalGroup,
    ) {
        if self.newest.is_some_and(|newest| at < newest) {
            return;
        }
        self.newest = Some(at);
        let until = at + config.stale_after_s;
        if let Some(last) = self.phases.back_mut() {
            if last.state == state && last.source == source && at <= last.until {
                last.until = until;
                return;
            }
            last.until = last.until.min(at);
        }
        if self.phases.len() == MOST_PHASES {
            self.phases.pop_front();
        }
        self.phases.push_back(Phase {
            state,
            source,
            from: at,
            until,
        });
    }

    /// What it showed at an instant; `None` for unknown. Short holes of the
    /// unknown (up to `bridge`) between two stretches of the same state do not
    /// make it begin anew, but within a hole it is unknown.
    fn at(&self, instant: EventTime, bridge: Seconds) -> Option<Showing> {
        let index = self
            .phases
            .iter()
            .rposition(|phase| phase.from <= instant)?;
        let phase = self.phases[index];
        if phase.state == SignalState::Unknown || instant > phase.until {
            return None;
        }
        let (mut since, mut source) = (phase.from, phase.source);
        for earlier in self.phases.iter().take(index).rev() {
            if earlier.state == SignalState::Unknown {
                continue;
            }
            let hole = since.since(earlier.until);
            if earlier.state != phase.state || hole.0 > bridge.0 {
                break;
            }
            since = earlier.from;
            // Of a recording and a controller, the one whose clock is its own.
            if earlier.source == SignalSource::Mqtt {
                source = SignalSource::Mqtt;
            }
        }
        Some(Showing {
            state: phase.state,
            since,
            source: Some(source),
        })
    }
}

#[cfg(test)]
mod tests;
