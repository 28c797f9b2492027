//! What each signal group showed, and since when: for now and for any recent instant.
//!
//! A lamp read from a picture flickers, flashes and is misread, so its looks
//! over time decide (`lamps`); a controller's word counts at once. A source
//! that has said nothing for too long is *unknown*, two sources that
//! contradict each other are *unknown*, and nobody is ever accused on unknown.
//! In doubt about when a phase began, the later instant is taken: it is the
//! one that accuses fewer. No group says anything about another.

mod lamps;
mod phases;
mod steadiness;

use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::{EventTime, SignalReading, SignalState};
use serde::{Deserialize, Serialize};

use crate::config::SignalGroup;
use lamps::LampWatch;
use phases::{Phases, Said};

/// A state, and since when without interruption.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Showing {
    /// What it is.
    pub state: SignalState,
    /// When it began.
    pub since: EventTime,
    /// Whose word it is: the lamps' where they can be read, because they are
    /// seen by the camera's own clock; `None` for unknown.
    pub source: Option<SignalSource>,
    /// Mean confidence of that source's readings which bear this phase out, as
    /// far as it has been read: 0 to 1; 0 for unknown.
    pub confidence: f64,
}

impl Showing {
    fn unknown(instant: EventTime) -> Self {
        Self {
            state: SignalState::Unknown,
            since: instant,
            source: None,
            confidence: 0.0,
        }
    }
}

/// Why nobody knows what a group shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnknownReason {
    /// No source has said anything yet, or all of it was forgotten.
    NeverRead,
    /// The last word is too old.
    Stale,
    /// The lamps cannot be read or their phase is not settled, or the
    /// controller says that it does not know.
    Unclear,
    /// Lamps and controller contradict each other.
    Contradiction,
}

impl UnknownReason {
    /// The word as written in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverRead => "never_read",
            Self::Stale => "stale",
            Self::Unclear => "unclear",
            Self::Contradiction => "contradiction",
        }
    }
}

/// That a group is unknown, for how long and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The last instant at which it was known, as far back as is remembered;
    /// `None`: it never was.
    pub since: Option<EventTime>,
    /// Why it is unknown now.
    pub reason: UnknownReason,
}

/// All signal groups of a scene.
#[derive(Clone, Debug)]
pub struct SignalBoard {
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    config: SignalGroup,
    watch: LampWatch,
    lamp: Phases,
    controller: Phases,
}

/// What was read of every group, to be taken over by another board.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BoardState(Vec<GroupState>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct GroupState {
    group: SignalGroupId,
    watch: LampWatch,
    lamp: Phases,
    controller: Phases,
}

impl SignalBoard {
    /// With nothing read yet.
    pub fn new(configs: &[SignalGroup]) -> Self {
        Self {
            groups: configs
                .iter()
                .map(|config| Group {
                    config: config.clone(),
                    watch: LampWatch::default(),
                    lamp: Phases::default(),
                    controller: Phases::default(),
                })
                .collect(),
        }
    }

    fn group(&self, group: &SignalGroupId) -> Option<&Group> {
        self.groups.iter().find(|g| g.config.group == *group)
    }

    /// Takes a reading. One of an unknown group, or one older than the newest
    /// of its source, changes nothing.
    pub fn read(&mut self, reading: &SignalReading) {
        let mut groups = self.groups.iter_mut();
        let Some(group) = groups.find(|group| group.config.group == reading.group) else {
            return;
        };
        let Group {
            config,
            watch,
            lamp,
            controller,
        } = group;
        let at = reading.time;
        match reading.source {
            SignalSource::Lamp => {
                let (state, confidence) = (reading.state, reading.confidence);
                if let Some((said, from)) = watch.look(at, state, confidence, config) {
                    let bears_out = state == said.state && confidence >= config.min_confidence;
                    let confidence = bears_out.then_some(confidence.min(1.0));
                    lamp.settle((from, at), said, confidence, config.stale_after.lamp);
                }
            }
            source @ (SignalSource::Mqtt | SignalSource::Recording) => {
                let is_trusted =
                    reading.confidence.is_finite() && reading.confidence >= config.min_confidence;
                let state = if is_trusted {
                    reading.state
                } else {
                    SignalState::Unknown
                };
                let said = Said {
                    state,
                    hint: None,
                    source,
                };
                let confidence = is_trusted.then_some(reading.confidence.min(1.0));
                controller.settle((at, at), said, confidence, config.stale_after.controller);
            }
        }
    }

    /// What a group showed at an instant. Unknown if nobody fresh said so.
    pub fn at(&self, group: &SignalGroupId, instant: EventTime) -> Showing {
        self.group(group)
            .and_then(|group| group.at(instant).ok())
            .unwrap_or_else(|| Showing::unknown(instant))
    }

    /// Whether a group is unknown at an instant, since when and why; `None`
    /// while it is known. A group that is not configured was never read.
    pub fn unknown(&self, group: &SignalGroupId, instant: EventTime) -> Option<Unknown> {
        let Some(group) = self.group(group) else {
            return Some(Unknown {
                since: None,
                reason: UnknownReason::NeverRead,
            });
        };
        let reason = group.at(instant).err()?;
        Some(Unknown {
            since: group.last_known(instant),
            reason,
        })
    }

    /// Since when a group has been unknown, if it is at an instant; the outer
    /// `None`: it is known, the inner one: it never was known.
    #[allow(clippy::option_option)] // both mean something
    pub fn unknown_since(
        &self,
        group: &SignalGroupId,
        instant: EventTime,
    ) -> Option<Option<EventTime>> {
        self.unknown(group, instant).map(|unknown| unknown.since)
    }

    /// Since when every group of the scene has been red, if all are at an
    /// instant. `None` as well where there is only one group, which says
    /// nothing about the other approaches.
    pub fn all_red(&self, instant: EventTime) -> Option<EventTime> {
        if self.groups.len() < 2 {
            return None;
        }
        self.groups
            .iter()
            .map(|group| {
                let showing = group.at(instant).ok()?;
                (showing.state == SignalState::Red).then_some(showing.since)
            })
            .try_fold(None, |latest, since| Some(latest.max(Some(since?))))
            .flatten()
    }

    /// Every group with what it shows at an instant.
    pub fn all(
        &self,
        instant: EventTime,
    ) -> impl Iterator<Item = (&SignalGroupId, SignalState)> + '_ {
        self.groups.iter().map(move |group| {
            let state = group.at(instant).map_or(SignalState::Unknown, |s| s.state);
            (&group.config.group, state)
        })
    }

    /// What was read, for [`resume`](Self::resume).
    pub(crate) fn state(&self) -> BoardState {
        let state = |g: &Group| GroupState {
            group: g.config.group.clone(),
            watch: g.watch.clone(),
            lamp: g.lamp.clone(),
            controller: g.controller.clone(),
        };
        BoardState(self.groups.iter().map(state).collect())
    }

    /// Takes over what another board of the same groups had read.
    pub(crate) fn resume(&mut self, state: BoardState) {
        for read in state.0 {
            let mut groups = self.groups.iter_mut();
            if let Some(group) = groups.find(|g| g.config.group == read.group) {
                group.watch = read.watch;
                group.lamp = read.lamp;
                group.controller = read.controller;
            }
        }
    }

    /// Forgets every reading: the clock was moved.
    pub fn forget(&mut self) {
        self.forget_lamps();
        for group in &mut self.groups {
            group.controller = Phases::default();
        }
    }

    /// Forgets what was read from pictures: they were all the same one.
    pub fn forget_lamps(&mut self) {
        for group in &mut self.groups {
            group.watch = LampWatch::default();
            group.lamp = Phases::default();
        }
    }

    /// Forgets readings from after an instant, which came from a wrong clock.
    pub fn forget_after(&mut self, instant: EventTime) {
        for group in &mut self.groups {
            if group.lamp.newest() > Some(instant) {
                group.watch = LampWatch::default();
                group.lamp = Phases::default();
            }
            if group.controller.newest() > Some(instant) {
                group.controller = Phases::default();
            }
        }
    }
}

impl Group {
    fn at(&self, instant: EventTime) -> Result<Showing, UnknownReason> {
        let bridge = self.config.majority_window_s;
        let lamp = self.lamp.at(instant, bridge);
        let controller = self.controller.at(instant, bridge);
        match (lamp, controller) {
            (Ok(lamp), Ok(controller)) if lamp.state == controller.state => Ok(Showing {
                state: lamp.state,
                since: lamp.since.max(controller.since),
                source: lamp.source,
                confidence: lamp.confidence,
            }),
            (Ok(_), Ok(_)) => Err(UnknownReason::Contradiction),
            // A light that is not settled contradicts all the same: green is
            // seen for half a second before the majority says so.
            (Ok(one), Err(doubt)) | (Err(doubt), Ok(one)) => match doubt.hint {
                Some(light) if light != one.state => Err(UnknownReason::Contradiction),
                _ => Ok(one),
            },
            // The one that is further on the way to being known.
            (Err(lamp), Err(controller)) => Err(lamp.reason.max(controller.reason)),
        }
    }

    /// The last instant before `instant` at which it was known.
    fn last_known(&self, instant: EventTime) -> Option<EventTime> {
        // What was known ended with a phase of one source or the other (one
        // that begins and contradicts ends nothing of its own, so its start
        // counts as well).
        let mut ends: Vec<EventTime> = self
            .lamp
            .changes(instant)
            .chain(self.controller.changes(instant))
            .collect();
        ends.sort_unstable();
        ends.into_iter()
            .rev()
            .find(|end| self.at(before(*end)).is_ok())
    }
}

fn before(instant: EventTime) -> EventTime {
    EventTime::from_micros(instant.as_micros().saturating_sub(1))
}

#[cfg(test)]
mod tests;
