//! A signal controller's messages: `{"group":"north","state":"red","time":"…"}`.
//!
//! The field names follow SAE J2735 SPaT in spirit (signal group, state, time
//! mark) in the words of [`protocol::signal`]. A message without a time was
//! made when it arrived, unless the broker had kept it: then nobody knows when
//! it was true, and nobody is accused on it.

use protocol::EventTime;
use protocol::id::SignalGroupId;
use protocol::signal::{SignalReading, SignalSource, SignalState};
use serde::Deserialize;

/// Longest message that is read. Bytes.
const MAX_MESSAGE_BYTES: usize = 4096;
/// Farthest that a controller's clock may be ahead of or behind ours.
/// Beyond, its word about *when* is worthless and so is its word.
const MAX_CLOCK_DIFFERENCE_S: f64 = 10.0;

#[derive(Deserialize)]
struct Message {
    group: Option<SignalGroupId>,
    state: SignalState,
    time: Option<EventTime>,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ControllerFault {
    /// Longer than any controller writes.
    #[error("signal message of {0} bytes; at most {MAX_MESSAGE_BYTES} are read")]
    TooLarge(usize),
    /// Not what is written above.
    #[error(
        "signal message is not {{\"group\":…,\"state\":…,\"time\":…}}: {0}; correct the controller's gateway"
    )]
    Malformed(String),
    /// From a clock that cannot be believed.
    #[error("signal message is {0:.1} s away from this box's clock; synchronise both with NTP")]
    ClockDiffers(f64),
    /// Kept by the broker, without a word about when it was said.
    #[error(
        "retained signal message without a time, it may be of any age; add a time to the message, or publish it without the retain flag"
    )]
    UndatedRetained,
    /// Kept by the broker for too long to say anything about now.
    #[error("retained signal message is {0:.1} s old; waiting for the controller's next one")]
    OldRetained(f64),
}

/// Reads a message that arrived at `now` for `group`'s topic; `is_retained` when
/// the broker had kept it, so that it was not said now.
pub fn read(
    payload: &[u8],
    is_retained: bool,
    group: &SignalGroupId,
    now: EventTime,
) -> Result<Option<SignalReading>, ControllerFault> {
    if payload.len() > MAX_MESSAGE_BYTES {
        return Err(ControllerFault::TooLarge(payload.len()));
    }
    let message: Message = serde_json::from_slice(payload)
        .map_err(|error| ControllerFault::Malformed(error.to_string()))?;
    // One topic may carry all groups of a junction.
    if message.group.as_ref().is_some_and(|other| other != group) {
        return Ok(None);
    }
    if is_retained && message.time.is_none() {
        return Err(ControllerFault::UndatedRetained);
    }
    let time = message.time.unwrap_or(now);
    let difference = time.since(now).0;
    if is_retained && difference < -MAX_CLOCK_DIFFERENCE_S {
        return Err(ControllerFault::OldRetained(-difference));
    }
    if difference.abs() > MAX_CLOCK_DIFFERENCE_S {
        return Err(ControllerFault::ClockDiffers(difference));
    }
    Ok(Some(SignalReading {
        group: group.clone(),
        state: message.state,
        time,
        confidence: 1.0,
        source: SignalSource::Mqtt,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_at_ten(text: &str) -> Result<Option<SignalReading>, ControllerFault> {
        read_kept_at(10_000_000, false, text)
    }

    fn read_kept_at(
        now: i64,
        is_retained: bool,
        text: &str,
    ) -> Result<Option<SignalReading>, ControllerFault> {
        let group = SignalGroupId::new("north").unwrap();
        let now = EventTime::from_micros(now);
        read(text.as_bytes(), is_retained, &group, now)
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
            Err(ControllerFault::ClockDiffers(60.0)),
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
            read_at_ten(&"x".repeat(5000)),
            Err(ControllerFault::TooLarge(5000))
        );
        assert_eq!(
            read_at_ten(r#"{"state":"red","time":"1970-01-01T01:00:00Z"}"#),
            Err(ControllerFault::ClockDiffers(3590.0))
        );
    }
}
