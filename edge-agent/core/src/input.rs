//! Everything that a scene may ever see, and everything that it may ever say.
//!
//! One [`Input`] per line of JSON is the recording format: the same lines give
//! the same [`Output`]s on any machine, for ever. Whoever wants a clock, a
//! random number or a file in the core adds a variant here instead.

use protocol::event::FrameTime;
use protocol::id::CascadeId;
use protocol::{
    Detections, Event, EventId, EventTime, NormBox, ObjectClass, RuleId, SignalReading, TrackId,
};
use serde::{Deserialize, Serialize};

use crate::coverage::CoverageHour;
use crate::health::Health;
use crate::near_miss::NearMiss;
use crate::second_look::SecondLook;

/// One thing that happened outside, in the order in which the scene is to see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A picture was looked at.
    Detections(Detections),
    /// Another model has looked at somebody, or at the whole picture, in a frame
    /// that has passed.
    SecondLook(SecondLook),
    /// Looks that a cascade wanted were not answered for some time.
    Unanswered(Unanswered),
    /// A part of the picture was not looked at closely for some time.
    Unseen(Unseen),
    /// A signal group was read.
    Signal(SignalReading),
    /// For a while nobody looked, or the clock was moved.
    Gap(Gap),
    /// What the camera's picture is good for, from now on.
    Health(Health),
    /// Time has passed without a picture; signals may go stale.
    Tick(EventTime),
    /// The stream is over: whatever is going on ends here.
    End(EventTime),
}

/// A stretch of time of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last instant before it.
    pub from: EventTime,
    /// The first instant after it; earlier than `from` when a clock was set back.
    pub to: EventTime,
    /// Why nobody looked.
    pub reason: GapReason,
}

/// A stretch in which a cascade wanted looks and none was answered: its model fails, or
/// there was no time for it. Rules that rest on what it gives did not watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// Whose looks.
    pub cascade: CascadeId,
    /// The first frame whose look was not answered.
    pub from: EventTime,
    /// The last.
    pub to: EventTime,
    /// Why not.
    pub reason: GapReason,
}

/// A stretch in which pictures were looked at as a whole and nobody had time for a part of them
/// that is to be looked at besides: what is small and far away there was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unseen {
    /// Which part.
    pub part: NormBox,
    /// The last picture in which it was looked at, or the end of what was told before.
    pub from: EventTime,
    /// The picture in which it is again, or the newest.
    pub to: EventTime,
    /// Why not.
    pub reason: GapReason,
}

/// Why there is a [`Gap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The stream was lost and came back.
    StreamLost,
    /// Pictures came, but damaged.
    Corrupt,
    /// The stream went on, but pictures of it are missing.
    NoPicture,
    /// The stream went on, but its picture stood still.
    Frozen,
    /// The clock of the source jumped.
    ClockStep,
    /// Pictures came faster than they could be looked at, for long.
    Overload,
    /// The stream's picture changed its size or shape.
    PictureChanged,
    /// The picture was not good enough to judge places by, see [`Health`].
    Unfit,
    /// Outside the hours of the rule.
    OffSchedule,
    /// The detector failed on every picture.
    DetectorFailed,
    /// A word that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a scene has to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // both are rare, and taken apart at once
pub enum Output {
    /// A rule's finding; goes to the outbox at once.
    Event(Event),
    /// A wish for pictures of an event; never holds the event up.
    Evidence(EvidenceRequest),
    /// What nearly was an event, where near misses are asked for.
    NearMiss(NearMiss),
    /// How long a rule was watching in an hour that is over.
    Coverage(CoverageHour),
    /// A measured speed, legal or not, of a rule that was asked for all of
    /// them; for statistics on the box, not for the outbox.
    Speed(SpeedMeasured),
}

/// How fast a vehicle drove through a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeedMeasured {
    /// Whose gate.
    pub rule: RuleId,
    /// Who.
    pub track: TrackId,
    /// What, by vote.
    pub class: ObjectClass,
    /// The last frame that showed it in the gate.
    pub at: FrameTime,
    /// The detector's box in that frame.
    pub bounds: NormBox,
    /// Mean speed over the gate.
    pub speed_kmh: f64,
    /// Lower end of the 95 % interval.
    pub low_kmh: f64,
    /// Upper end.
    pub high_kmh: f64,
    /// On how many looks it rests.
    pub looks: usize,
}

/// Which pictures prove an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRequest {
    /// Whose.
    pub event: EventId,
    /// The frames, oldest first; the last is the one of [`Event::decided`].
    pub at: Vec<FrameTime>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_recording_is_one_short_line_per_input() {
        let at = EventTime::from_micros(1_500_000);
        let lines: Vec<String> = [
            Input::Tick(at),
            Input::Gap(Gap {
                from: EventTime::EPOCH,
                to: at,
                reason: GapReason::StreamLost,
            }),
            Input::End(at),
        ]
        .iter()
        .map(|input| serde_json::to_string(input).unwrap())
        .collect();
        expect![[r#"
            {"tick":"1970-01-01T00:00:01.500000Z"}
            {"gap":{"from":"1970-01-01T00:00:00.000000Z","to":"1970-01-01T00:00:01.500000Z","reason":"stream_lost"}}
            {"end":"1970-01-01T00:00:01.500000Z"}"#]]
        .assert_eq(&lines.join("\n"));
    }
}
