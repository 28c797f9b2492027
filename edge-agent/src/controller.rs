//! A signal controller's messages, in the forms of [`protocol::spat`] and `docs/signals.md`.
//!
//! A message without a time was made when it arrived, unless the broker had
//! kept it: then nobody knows when it was true, and nobody is accused on it.
//! A message from the future has a wrong clock. One from the past may be late
//! or have a slow clock, and nobody can tell from it alone; so a controller
//! whose *promptest* message of the last minute is late is not believed.

use std::collections::VecDeque;

use protocol::EventTime;
use protocol::id::SignalGroupId;
use protocol::signal::{SignalReading, SignalSource};
use protocol::spat::{MAX_MESSAGE_BYTES, SignalMessage, SpatFault, Wanted};

/// Farthest that a controller's clock may be from ours. The same as the
/// `clock_margin_s` of a red-light rule unless its technician says otherwise.
pub const MAX_CLOCK_DIFFERENCE_S: f64 = 1.0;
/// Oldest message that is taken from a controller that was prompt lately, and
/// from the broker's keeping: what it says of the past may still be asked for.
const MAX_AGE_S: f64 = 10.0;
/// For how long a prompt message vouches for the controller's clock.
const PROMPT_WITHIN_S: f64 = 60.0;
/// Messages remembered for that; the least late of each second would do.
const MOST_MESSAGES: usize = 128;

/// Why a message was not taken.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ControllerFault {
    /// Longer than any controller writes.
    #[error("signal message of {0} bytes; at most {MAX_MESSAGE_BYTES} are read")]
    TooLarge(usize),
    /// Not what is written above.
    #[error(
        "signal message is not in a form of docs/signals.md: {0}; correct the controller's gateway"
    )]
    Malformed(String),
    /// JSON, but not understood.
    #[error(transparent)]
    NotUnderstood(#[from] SpatFault),
    /// From the future: from a clock that cannot be believed.
    #[error("signal message is {0:.1} s ahead of this box's clock; synchronise both with NTP")]
    ClockAhead(f64),
    /// From the past, and so was every message of the last minute.
    #[error(
        "signal message is {0:.1} s old on arrival, as all of the last minute were; synchronise the clocks of controller and box with NTP, or find what holds its messages up"
    )]
    ClockBehind(f64),
    /// From so long ago that it says nothing about now.
    #[error("signal message is {0:.1} s old on arrival; waiting for the controller's next one")]
    Old(f64),
    /// Kept by the broker, without a word about when it was said.
    #[error(
        "retained signal message without a time, it may be of any age; add a time to the message, or publish it without the retain flag"
    )]
    UndatedRetained,
    /// Kept by the broker for too long to say anything about now.
    #[error("retained signal message is {0:.1} s old; waiting for the controller's next one")]
    OldRetained(f64),
}

/// How prompt a controller's messages were lately.
#[derive(Clone, Debug, Default)]
pub struct Promptness {
    /// When each arrived and how late it was, s.
    recent: VecDeque<(EventTime, f64)>,
}

impl Promptness {
    /// Takes a message that is `late` seconds old on arrival; whether the
    /// clock that dated it can be believed.
    fn take(&mut self, arrived: EventTime, late: f64) -> Result<(), ControllerFault> {
        if late < -MAX_CLOCK_DIFFERENCE_S {
            return Err(ControllerFault::ClockAhead(-late));
        }
        // Our own clock may have been set back.
        self.recent
            .retain(|(at, _)| (0.0..=PROMPT_WITHIN_S).contains(&arrived.since(*at).0));
        // Whatever is later and no prompter vouches for longer.
        while self
            .recent
            .back()
            .is_some_and(|(_, earlier)| *earlier >= late)
        {
            self.recent.pop_back();
        }
        if self.recent.len() == MOST_MESSAGES {
            self.recent.pop_back();
        }
        self.recent.push_back((arrived, late));
        let promptest = self.recent.front().map_or(late, |(_, late)| *late);
        if promptest > MAX_CLOCK_DIFFERENCE_S {
            Err(ControllerFault::ClockBehind(late))
        } else if late > MAX_AGE_S {
            Err(ControllerFault::Old(late))
        } else {
            Ok(())
        }
    }
}

/// How a message came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When, by this box's clock.
    pub at: EventTime,
    /// Whether the broker had kept it, so that it was not said now.
    pub is_retained: bool,
}

/// Reads a message for `wanted`; `None` if it speaks of other groups only.
pub fn read(
    payload: &[u8],
    arrival: Arrival,
    wanted: &Wanted<'_>,
    promptness: &mut Promptness,
) -> Result<Option<SignalReading>, ControllerFault> {
    if payload.len() > MAX_MESSAGE_BYTES {
        return Err(ControllerFault::TooLarge(payload.len()));
    }
    let message: SignalMessage = serde_json::from_slice(payload)
        .map_err(|error| ControllerFault::Malformed(error.to_string()))?;
    let now = arrival.at;
    // One topic may carry all groups of a junction.
    let Some(said) = message.said_of(wanted, now)? else {
        return Ok(None);
    };
    let late = |time: EventTime| now.since(time).0;
    match said.time.map(late) {
        None if arrival.is_retained => return Err(ControllerFault::UndatedRetained),
        None => {}
        Some(late) if arrival.is_retained => {
            if late > MAX_AGE_S {
                return Err(ControllerFault::OldRetained(late));
            }
            if late < -MAX_CLOCK_DIFFERENCE_S {
                return Err(ControllerFault::ClockAhead(-late));
            }
        }
        Some(late) => promptness.take(now, late)?,
    }
    Ok(Some(SignalReading {
        group: wanted.group.clone(),
        state: said.state,
        time: said.time.unwrap_or(now),
        confidence: 1.0,
        source: SignalSource::Mqtt,
    }))
}

/// What is asked of a controller for a configured group.
pub fn wanted(signal: &edge_core::SignalGroup) -> Option<(String, Named)> {
    let mqtt = signal.mqtt.as_ref()?;
    let named = Named {
        group: signal.group.clone(),
        signal_group: mqtt.signal_group,
        intersection: mqtt.intersection,
    };
    Some((mqtt.topic.clone(), named))
}

/// A group by its names here and with its controller.
#[derive(Clone, Debug)]
pub struct Named {
    /// In the configuration.
    pub group: SignalGroupId,
    /// See [`Wanted::signal_group`].
    pub signal_group: Option<u8>,
    /// See [`Wanted::intersection`].
    pub intersection: Option<u16>,
}

impl Named {
    /// What to look for in a message.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            group: &self.group,
            signal_group: self.signal_group,
            intersection: self.intersection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SignalState;
    use protocol::units::Seconds;

    fn read_at_ten(text: &str) -> Result<Option<SignalReading>, ControllerFault> {
        read_kept_at(10_000_000, false, text)
    }

    fn read_kept_at(
        now: i64,
        is_retained: bool,
        text: &str,
    ) -> Result<Option<SignalReading>, ControllerFault> {
        let arrival = Arrival {
            at: EventTime::from_micros(now),
            is_retained,
        };
        read_with(&mut Promptness::default(), arrival, text)
    }

    fn read_with(
        promptness: &mut Promptness,
        arrival: Arrival,
        text: &str,
    ) -> Result<Option<SignalReading>, ControllerFault> {
        let group = SignalGroupId::new("north").unwrap();
        let wanted = Wanted {
            group: &group,
            signal_group: None,
            intersection: None,
        };
        read(text.as_bytes(), arrival, &wanted, promptness)
    }

    /// A broker hands a retained message out at every reconnection. Dated by
    /// its arrival, yesterday's red would accuse whoever drives now.
    #[test]
    fn what_a_broker_kept_counts_only_with_a_recent_time_of_its_own() {
        let kept = |text| read_kept_at(60_000_000, true, text);
        assert_eq!(
            kept(r#"{"state":"red"}"#),
            Err(ControllerFault::UndatedRetained)
        );
        assert_eq!(
            kept(r#"{"state":"red","time":"1970-01-01T00:00:10Z"}"#),
            Err(ControllerFault::OldRetained(50.0))
        );
        let reading = kept(r#"{"state":"red","time":"1970-01-01T00:00:55Z"}"#);
        assert_eq!(reading.unwrap().unwrap().time.as_micros(), 55_000_000);
        assert_eq!(
            kept(r#"{"state":"red","time":"1970-01-01T00:02:00Z"}"#),
            Err(ControllerFault::ClockAhead(60.0)),
            "from the future is a wrong clock, kept or not"
        );
        assert_eq!(
            kept(r#"{"group":"south","state":"red"}"#),
            Ok(None),
            "another group's message is not ours to refuse"
        );
    }

    #[test]
    fn a_controllers_word_is_taken_with_its_time() {
        let reading = read_at_ten(
            r#"{"group":"north","state":"red","time":"1970-01-01T00:00:09.5Z","intersection":7}"#,
        );
        let reading = reading.unwrap().unwrap();
        assert_eq!(
            (reading.state, reading.time.as_micros()),
            (SignalState::Red, 9_500_000)
        );
        let reading = read_at_ten(r#"{"state":"green"}"#).unwrap().unwrap();
        assert_eq!(reading.time.as_micros(), 10_000_000);
        let spat = r#"{"intersections":[{"id":{"id":7},"moy":0,"timeStamp":9400,"states":[
            {"movementName":"north","state-time-speed":[{"eventState":"stop-And-Remain"}]}]}]}"#;
        let reading = read_at_ten(spat).unwrap().unwrap();
        assert_eq!(
            (reading.state, reading.time.as_micros()),
            (SignalState::Red, 9_400_000)
        );
    }

    #[test]
    fn other_groups_on_the_topic_are_not_ours() {
        assert_eq!(read_at_ten(r#"{"group":"south","state":"red"}"#), Ok(None));
    }

    #[test]
    fn a_state_nobody_knows_is_unknown_and_never_red() {
        let reading = read_at_ten(r#"{"state":"crimson"}"#).unwrap().unwrap();
        assert_eq!(reading.state, SignalState::Unknown);
    }

    #[test]
    fn nonsense_and_wrong_clocks_are_refused_with_a_reason() {
        assert!(matches!(
            read_at_ten("red"),
            Err(ControllerFault::Malformed(_))
        ));
        assert_eq!(
            read_at_ten(&"x".repeat(70_000)),
            Err(ControllerFault::TooLarge(70_000))
        );
        assert_eq!(
            read_at_ten("{}"),
            Err(ControllerFault::NotUnderstood(SpatFault::SaysNothing))
        );
        assert_eq!(
            read_at_ten(r#"{"state":"red","time":"1970-01-01T00:00:12Z"}"#),
            Err(ControllerFault::ClockAhead(2.0))
        );
    }

    /// A controller's clock that is 3 s slow would turn the first 3 s of green
    /// into red for whoever publishes on change only.
    #[test]
    fn a_slow_clock_is_told_from_a_late_message() {
        let mut promptness = Promptness::default();
        let mut arrive = |at: f64, late: f64| {
            let at = EventTime::EPOCH + Seconds(at);
            let arrival = Arrival {
                at,
                is_retained: false,
            };
            let text = format!(r#"{{"state":"red","time":"{}"}}"#, at - Seconds(late));
            read_with(&mut promptness, arrival, &text).map(|reading| reading.is_some())
        };
        assert_eq!(arrive(100.0, 3.0), Err(ControllerFault::ClockBehind(3.0)));
        assert_eq!(arrive(101.0, 3.2), Err(ControllerFault::ClockBehind(3.2)));
        assert_eq!(arrive(102.0, 0.2), Ok(true), "on time");
        assert_eq!(arrive(103.0, 3.0), Ok(true), "late, but its clock is right");
        assert_eq!(arrive(104.0, 30.0), Err(ControllerFault::Old(30.0)));
        assert_eq!(arrive(161.0, 0.9), Ok(true));
        assert_eq!(arrive(163.0, 3.0), Ok(true));
        assert_eq!(
            arrive(230.0, 3.0),
            Err(ControllerFault::ClockBehind(3.0)),
            "not prompt for a minute"
        );
        assert_eq!(arrive(10.0, 0.0), Ok(true), "our own clock was set back");
    }
}
