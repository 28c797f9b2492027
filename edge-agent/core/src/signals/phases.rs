//! The settled phases of one source, for now and for any recent instant.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use protocol::signal::SignalSource;
use protocol::units::Seconds;
use protocol::{EventTime, SignalState};

use super::{Showing, UnknownReason};

/// Phases kept; at the fastest real signal this is minutes.
pub(super) const MOST_PHASES: usize = 64;

/// What one source said, in order and without overlap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Phases {
    list: VecDeque<Phase>,
    newest: Option<EventTime>,
}

/// What a source says from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// What is settled.
    pub(super) state: SignalState,
    /// While nothing is: the light that the last look seemed to show, if any.
    pub(super) hint: Option<SignalState>,
    /// Whose word it is.
    pub(super) source: SignalSource,
}

/// How sure the readings were that bear something out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sureness {
    sum: f64,
    readings: u32,
}

impl Sureness {
    fn of(reading: Option<f64>) -> Self {
        Self {
            sum: reading.unwrap_or(0.0),
            readings: u32::from(reading.is_some()),
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            readings: self.readings.saturating_add(other.readings),
        }
    }

    fn mean(self) -> f64 {
        self.sum / f64::from(self.readings.max(1))
    }
}

/// Why a source does not know, and what it would guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    pub(super) reason: UnknownReason,
    pub(super) hint: Option<SignalState>,
}

/// Something said from `from` until just before `until`, if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Phase {
    said: Said,
    from: EventTime,
    until: EventTime,
    #[serde(default)]
    sureness: Sureness,
}

impl Phases {
    /// When this source last said anything.
    pub(super) fn newest(&self) -> Option<EventTime> {
        self.newest
    }

    /// Takes what is said at an instant, until it is stale. It holds from that
    /// instant on, or from an earlier one as far as nothing was known since.
    /// With the confidence of the reading, if it was of what is said.
    pub(super) fn settle(
        &mut self,
        (from, at): (EventTime, EventTime),
        said: Said,
        confidence: Option<f64>,
        stale_after: Seconds,
    ) {
        if self.newest.is_some_and(|newest| at < newest) {
            return;
        }
        self.newest = Some(at);
        let until = at + stale_after;
        if let Some(last) = self.list.back_mut()
            && last.said == said
            && at <= last.until
        {
            last.until = until;
            last.sureness = last.sureness.with(Sureness::of(confidence));
            return;
        }
        let mut from = from.min(at);
        while let Some(last) = self.list.back_mut() {
            last.until = last.until.min(at);
            let is_known = last.said.state != SignalState::Unknown;
            if from >= last.until || is_known {
                from = from.max(last.until);
                break;
            }
            if last.from < from {
                last.until = from;
                break;
            }
            self.list.pop_back();
        }
        if self.list.len() == MOST_PHASES {
            self.list.pop_front();
        }
        self.list.push_back(Phase {
            said,
            from,
            until,
            sureness: Sureness::of(confidence),
        });
    }

    /// What it showed at an instant, or why that is unknown. Short holes of
    /// the unknown (up to `bridge`) between two stretches of the same state do
    /// not make it begin anew, but within a hole it is unknown.
    pub(super) fn at(&self, instant: EventTime, bridge: Seconds) -> Result<Showing, Doubt> {
        let doubt = |reason| Doubt { reason, hint: None };
        let index = self
            .list
            .iter()
            .rposition(|phase| phase.from <= instant)
            .ok_or(doubt(UnknownReason::NeverRead))?;
        let phase = self.list[index];
        if instant > phase.until {
            return Err(doubt(UnknownReason::Stale));
        }
        if phase.said.state == SignalState::Unknown {
            return Err(Doubt {
                reason: UnknownReason::Unclear,
                hint: phase.said.hint,
            });
        }
        let (mut since, mut source) = (phase.from, phase.said.source);
        let mut sureness = phase.sureness;
        for earlier in self.list.iter().take(index).rev() {
            if earlier.said.state == SignalState::Unknown {
                continue;
            }
            let hole = since.since(earlier.until);
            if earlier.said.state != phase.said.state || hole.0 > bridge.0 {
                break;
            }
            since = earlier.from;
            sureness = sureness.with(earlier.sureness);
            // Of a recording and a controller, the one whose clock is its own.
            if earlier.said.source == SignalSource::Mqtt {
                source = SignalSource::Mqtt;
            }
        }
        Ok(Showing {
            state: phase.said.state,
            since,
            source: Some(source),
            confidence: sureness.mean(),
        })
    }

    /// Starts and ends of phases up to an instant: between two of these
    /// nothing changes.
    pub(super) fn changes(&self, instant: EventTime) -> impl Iterator<Item = EventTime> + '_ {
        self.list
            .iter()
            .flat_map(|phase| [phase.from, phase.until])
            .filter(move |change| *change <= instant)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}
