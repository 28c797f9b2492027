//! What a signal controller's gateway publishes: one group's state, or a whole
//! junction in the manner of SAE J2735 SPaT (ISO/TS 19091).
//!
//! Read from JSON by whoever has the bytes; at most [`MAX_MESSAGE_BYTES`] of
//! them. Nothing here trusts its sender: a word that nobody knows is
//! [`SignalState::Unknown`], a group that is said to show two things shows
//! neither, a junction whose controller reports failure is unknown throughout,
//! and a time that no calendar has is a fault. Durations to the next change
//! (`minEndTime` and the like) are predictions, and nobody is accused on one.
//! The forms are described in `docs/signals.md`.

use serde::Deserialize;
use time::{Date, Month, OffsetDateTime};

use crate::id::SignalGroupId;
use crate::signal::SignalState;
use crate::time::EventTime;

/// Longest message that is to be read. A junction of 255 groups with speeds
/// and predictions takes less.
pub const MAX_MESSAGE_BYTES: usize = 65_536;

/// Which group of which junction is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The group as the configuration names it.
    pub group: &'a SignalGroupId,
    /// Its number with the controller; without one, the name is looked for.
    pub signal_group: Option<u8>,
    /// The junction's number with the controller, where a topic carries several.
    pub intersection: Option<u16>,
}

/// What a message says of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it shows.
    pub state: SignalState,
    /// When, by the controller's clock; `None` if the message does not say.
    pub time: Option<EventTime>,
}

/// Why a message that is JSON cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpatFault {
    /// Neither a state nor a list of states.
    #[error(
        "signal message names no state; write `state`, or `states` or `intersections` with `signalGroup` and `eventState`"
    )]
    SaysNothing,
    /// A `moy` or `timeStamp` that no calendar has.
    #[error(
        "signal message says minute {moy:?} of the year and millisecond {milliseconds:?} of the minute, which no calendar has; correct the controller's gateway"
    )]
    NotATime {
        /// Minute of the year, UTC.
        moy: Option<u64>,
        /// Milliseconds within that minute.
        milliseconds: Option<u64>,
    },
}

/// A controller's message.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SignalMessage {
    /// The single reading, or the one junction, that the message itself is.
    #[serde(flatten)]
    own: Junction,
    /// Several junctions.
    intersections: Option<Vec<Junction>>,
}

/// An `IntersectionState`.
#[derive(Clone, Debug, Default, Deserialize)]
struct Junction {
    id: Option<JunctionId>,
    status: Option<Status>,
    time: Option<EventTime>,
    moy: Option<u64>,
    #[serde(rename = "timeStamp", alias = "time_stamp")]
    time_stamp: Option<TimeStamp>,
    states: Option<Vec<Movement>>,
    #[serde(flatten)]
    single: Movement,
}

/// A `MovementState`, or a plain reading.
#[derive(Clone, Debug, Default, Deserialize)]
struct Movement {
    group: Option<Name>,
    #[serde(rename = "signalGroup", alias = "signal_group")]
    signal_group: Option<Name>,
    #[serde(rename = "movementName", alias = "movement_name")]
    name: Option<Name>,
    state: Option<StateWord>,
    #[serde(rename = "eventState", alias = "event_state")]
    event_state: Option<StateWord>,
    #[serde(
        rename = "state-time-speed",
        alias = "state_time_speed",
        alias = "stateTimeSpeed"
    )]
    events: Option<Vec<MovementEvent>>,
}

#[derive(Clone, Debug, Deserialize)]
struct MovementEvent {
    #[serde(rename = "eventState", alias = "event_state")]
    event_state: Option<StateWord>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    Number(u64),
    Word(String),
    Other(serde::de::IgnoredAny),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum StateWord {
    Number(u64),
    Word(String),
    Other(serde::de::IgnoredAny),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum JunctionId {
    Number(u64),
    Reference { id: u64 },
    Other(serde::de::IgnoredAny),
}

/// `IntersectionStatusObject`: names, or 16 bits in hexadecimal, first bit first.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Status {
    Names(Vec<String>),
    Bits(String),
    Other(serde::de::IgnoredAny),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum TimeStamp {
    Number(u64),
    Instant(EventTime),
}

impl SignalMessage {
    /// What the message says of a group; `None` if it does not speak of it.
    /// `arrived` tells which year a minute of the year is meant of.
    pub fn said_of(
        &self,
        wanted: &Wanted<'_>,
        arrived: EventTime,
    ) -> Result<Option<Said>, SpatFault> {
        let Some(junctions) = &self.intersections else {
            return said(&self.own, self.own.moy, self.own.time, wanted, arrived);
        };
        // The time stamp of the whole is the minute of the year, that of a
        // junction the millisecond of the minute.
        let (minute, instant) = match &self.own.time_stamp {
            Some(TimeStamp::Number(minute)) => (Some(*minute), None),
            Some(TimeStamp::Instant(instant)) => (None, Some(*instant)),
            None => (None, None),
        };
        let minute = self.own.moy.or(minute);
        let mut all: Option<Said> = None;
        for junction in junctions {
            let instant = junction.time.or(self.own.time).or(instant);
            let moy = junction.moy.or(minute);
            if let Some(one) = said(junction, moy, instant, wanted, arrived)? {
                all = Some(all.map_or(one, |other| agreed(other, one)));
            }
        }
        Ok(all)
    }
}

fn said(
    junction: &Junction,
    moy: Option<u64>,
    instant: Option<EventTime>,
    wanted: &Wanted<'_>,
    arrived: EventTime,
) -> Result<Option<Said>, SpatFault> {
    let single = &junction.single;
    let states: Vec<SignalState> = match &junction.states {
        Some(states) => states
            .iter()
            .filter(|movement| movement.is_of(wanted))
            .map(Movement::shows)
            .collect(),
        None if single.says_something() => {
            let is_meant = single.is_nameless() || single.is_of(wanted);
            is_meant.then(|| single.shows()).into_iter().collect()
        }
        None => return Err(SpatFault::SaysNothing),
    };
    let Some(first) = states.first().copied().filter(|_| junction.is_of(wanted)) else {
        return Ok(None);
    };
    let is_agreed = states.iter().all(|state| *state == first);
    let is_trusted = !junction.status.as_ref().is_some_and(Status::is_failure);
    Ok(Some(Said {
        state: if is_agreed && is_trusted {
            first
        } else {
            SignalState::Unknown
        },
        time: junction.said_at(moy, instant, arrived)?,
    }))
}

/// Two junctions of one message that both have the group.
fn agreed(a: Said, b: Said) -> Said {
    Said {
        state: if a.state == b.state {
            a.state
        } else {
            SignalState::Unknown
        },
        time: a.time.min(b.time),
    }
}

impl Junction {
    fn is_of(&self, wanted: &Wanted<'_>) -> bool {
        let Some(number) = wanted.intersection else {
            return true;
        };
        matches!(&self.id, Some(JunctionId::Number(id) | JunctionId::Reference { id })
            if *id == u64::from(number))
    }

    fn said_at(
        &self,
        moy: Option<u64>,
        instant: Option<EventTime>,
        arrived: EventTime,
    ) -> Result<Option<EventTime>, SpatFault> {
        let milliseconds = match &self.time_stamp {
            _ if instant.is_some() => return Ok(instant),
            Some(TimeStamp::Instant(instant)) => return Ok(Some(*instant)),
            Some(TimeStamp::Number(milliseconds)) => Some(*milliseconds),
            None => None,
        };
        let moy = moy.filter(|minute| *minute != UNKNOWN_MINUTE);
        let Some(within) = milliseconds.filter(|ms| *ms != UNKNOWN_MILLISECOND) else {
            // A minute alone is too coarse to say when a lamp changed.
            return Ok(None);
        };
        let time = (within < MILLISECONDS_END)
            .then(|| match moy {
                Some(minute) => instant_of_year(minute, within, arrived),
                None => Some(instant_of_minute(within, arrived)),
            })
            .flatten();
        time.map(Some)
            .ok_or(SpatFault::NotATime { moy, milliseconds })
    }
}

/// J2735's word for "no minute of the year".
const UNKNOWN_MINUTE: u64 = 527_040;
/// J2735's word for "no millisecond".
const UNKNOWN_MILLISECOND: u64 = 65_535;
/// A minute with a leap second has 61 seconds.
const MILLISECONDS_END: u64 = 61_000;
const MINUTE_US: i64 = 60_000_000;

/// The millisecond of that minute of the year which is nearest to `arrived`:
/// of December's last message that arrives in January, too.
fn instant_of_year(minute: u64, within: u64, arrived: EventTime) -> Option<EventTime> {
    let minute = i64::try_from(minute).ok().filter(|m| *m < 366 * 1440)?;
    let seconds = arrived.as_micros().div_euclid(1_000_000);
    let year = OffsetDateTime::from_unix_timestamp(seconds).ok()?.year();
    (year - 1..=year + 1)
        .filter_map(|year| Date::from_calendar_date(year, Month::January, 1).ok())
        .map(|first| {
            let start = first.midnight().assume_utc().unix_timestamp();
            EventTime::from_micros((start + minute * 60) * 1_000_000 + micros_of(within))
        })
        .min_by_key(|instant| (instant.as_micros() - arrived.as_micros()).abs())
}

/// The millisecond of whichever minute is nearest to `arrived`.
fn instant_of_minute(within: u64, arrived: EventTime) -> EventTime {
    let start = arrived.as_micros().div_euclid(MINUTE_US) * MINUTE_US + micros_of(within);
    let nearest = [start - MINUTE_US, start, start + MINUTE_US]
        .into_iter()
        .min_by_key(|instant| (instant - arrived.as_micros()).abs());
    EventTime::from_micros(nearest.unwrap_or(start))
}

fn micros_of(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds.min(MILLISECONDS_END)).unwrap_or(0) * 1000
}

impl Movement {
    fn says_something(&self) -> bool {
        self.state.is_some() || self.event_state.is_some() || self.events.is_some()
    }

    fn is_nameless(&self) -> bool {
        self.group.is_none() && self.signal_group.is_none() && self.name.is_none()
    }

    fn is_of(&self, wanted: &Wanted<'_>) -> bool {
        let is_named = |name: &Option<Name>| match name {
            Some(Name::Word(word)) => word == wanted.group.as_str(),
            Some(Name::Number(number)) => number.to_string() == wanted.group.as_str(),
            Some(Name::Other(_)) | None => false,
        };
        match wanted.signal_group {
            Some(number) => match &self.signal_group {
                Some(Name::Number(given)) => *given == u64::from(number),
                Some(Name::Word(given)) => *given == number.to_string(),
                Some(Name::Other(_)) | None => false,
            },
            None => is_named(&self.group) || is_named(&self.signal_group) || is_named(&self.name),
        }
    }

    /// What it shows now; unknown when it says two things.
    fn shows(&self) -> SignalState {
        // The first of the events is the current one, those after it are predictions.
        let event = self.events.as_ref().map(|events| {
            let current = events.first().and_then(|event| event.event_state.as_ref());
            current.map_or(SignalState::Unknown, StateWord::state)
        });
        let mut said = [
            self.state.as_ref().map(StateWord::state),
            self.event_state.as_ref().map(StateWord::state),
            event,
        ]
        .into_iter()
        .flatten();
        let first = said.next().unwrap_or(SignalState::Unknown);
        if said.all(|other| other == first) {
            first
        } else {
            SignalState::Unknown
        }
    }
}

/// `MovementPhaseState` in the order of its numbers, and what it is to us.
///
/// Protected and permissive differ in who must give way, not in the lamp. What
/// `stop-Then-Proceed` and `caution-Conflicting-Traffic` show is a flashing lamp.
pub const MOVEMENT_PHASE_STATES: [(&str, SignalState); 10] = [
    ("unavailable", SignalState::Unknown),
    ("dark", SignalState::Dark),
    ("stop-Then-Proceed", SignalState::FlashingRed),
    ("stop-And-Remain", SignalState::Red),
    ("pre-Movement", SignalState::RedAmber),
    ("permissive-Movement-Allowed", SignalState::Green),
    ("protected-Movement-Allowed", SignalState::Green),
    ("permissive-clearance", SignalState::Amber),
    ("protected-clearance", SignalState::Amber),
    ("caution-Conflicting-Traffic", SignalState::FlashingAmber),
];

impl StateWord {
    fn state(&self) -> SignalState {
        match self {
            Self::Other(_) => SignalState::Unknown,
            Self::Number(number) => usize::try_from(*number)
                .ok()
                .and_then(|number| MOVEMENT_PHASE_STATES.get(number))
                .map_or(SignalState::Unknown, |(_, state)| *state),
            Self::Word(word) => {
                let own = SignalState::ALL
                    .into_iter()
                    .find(|state| state.as_str() == word);
                let theirs = || {
                    let found = MOVEMENT_PHASE_STATES
                        .iter()
                        .find(|(name, _)| is_same_word(name, word));
                    found.map(|(_, state)| *state)
                };
                own.or_else(theirs).unwrap_or(SignalState::Unknown)
            }
        }
    }
}

/// Encoders of J2735 differ in capitals and in what joins the parts of a word.
fn is_same_word(a: &str, b: &str) -> bool {
    fn letters(word: &str) -> impl Iterator<Item = char> + '_ {
        word.chars()
            .filter(|c| !matches!(c, '-' | '_' | ' '))
            .map(|c| c.to_ascii_lowercase())
    }
    letters(a).eq(letters(b))
}

/// Conditions under which a controller's states are not what its lamps show,
/// with their bit in the 16 of `IntersectionStatusObject`.
const FAILURES: [(&str, u16); 3] = [
    ("failureMode", 0x8000 >> 8),
    ("off", 0x8000 >> 9),
    ("noValidSPATisAvailableAtThisTime", 0x8000 >> 13),
];

impl Status {
    fn is_failure(&self) -> bool {
        let is_named = |word: &String| FAILURES.iter().any(|(name, _)| is_same_word(name, word));
        match self {
            Self::Names(names) => names.iter().any(is_named),
            Self::Bits(text) => {
                let bits = (text.len() == 4).then(|| u16::from_str_radix(text, 16).ok());
                match bits.flatten() {
                    Some(bits) => FAILURES.iter().any(|(_, bit)| bits & bit != 0),
                    None => is_named(text),
                }
            }
            Self::Other(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
