//! When an input was, and the same input at another time.

use edge_core::Input;
use protocol::EventTime;

/// The instant that an input speaks of.
pub fn time_of(input: &Input) -> EventTime {
    match input {
        Input::Detections(detections) => detections.time,
        Input::SecondLook(look) => look.at.time,
        Input::Signal(reading) => reading.time,
        Input::Gap(gap) => gap.to,
        Input::Unanswered(stretch) => stretch.to,
        Input::Unseen(stretch) => stretch.to,
        Input::Health(health) => health.time,
        Input::Tick(time) | Input::End(time) => *time,
    }
}

/// The same input `shift_us` microseconds later, for playing a recording now.
pub fn shifted(mut input: Input, shift_us: i64) -> Input {
    let shift = |time: &mut EventTime| {
        *time = EventTime::from_micros(time.as_micros().saturating_add(shift_us));
    };
    match &mut input {
        Input::Detections(detections) => shift(&mut detections.time),
        Input::SecondLook(look) => {
            shift(&mut look.at.time);
            // A track is named after the instant of its birth.
            if let Some(track) = &mut look.track {
                shift(&mut track.born);
            }
        }
        Input::Signal(reading) => shift(&mut reading.time),
        Input::Gap(gap) => {
            shift(&mut gap.from);
            shift(&mut gap.to);
        }
        Input::Unanswered(stretch) => {
            shift(&mut stretch.from);
            shift(&mut stretch.to);
        }
        Input::Unseen(stretch) => {
            shift(&mut stretch.from);
            shift(&mut stretch.to);
        }
        Input::Health(health) => {
            shift(&mut health.time);
            shift(&mut health.since);
        }
        Input::Tick(time) | Input::End(time) => shift(time),
    }
    input
}
