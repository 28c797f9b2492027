//! Lamps that were read of pictures which wait to be looked at, or were replaced by newer
//! ones while they waited: the scene hears of them before the next look, in their order.

use edge_core::Input;
use protocol::EventTime;

use crate::recording::time_of;

/// Readings that wait, at most: some seconds of a junction's lamps. Beyond, the oldest go.
const MOST: usize = 512;

/// What was read of one camera's pictures and its scene has not heard yet, oldest first.
#[derive(Default)]
pub(super) struct Readings(Vec<Input>);

impl Readings {
    /// Adds what was read of the newest picture.
    pub(super) fn add(&mut self, read: Vec<Input>) {
        // By a clock that was set back since: the scene forgets its lamps with the step.
        if let Some(now) = read.first().map(time_of) {
            self.0.retain(|old| time_of(old) <= now);
        }
        self.0.extend(read);
        let too_many = self.0.len().saturating_sub(MOST);
        self.0.drain(..too_many);
    }

    /// Takes what was read of pictures before `time`, and of the one at `time`.
    pub(super) fn until(&mut self, time: EventTime) -> (Vec<Input>, Vec<Input>) {
        let newer = self.0.partition_point(|input| time_of(input) <= time);
        let later = self.0.split_off(newer);
        let mut before = std::mem::replace(&mut self.0, later);
        let of_it = before.partition_point(|input| time_of(input) < time);
        let of_it = before.split_off(of_it);
        (before, of_it)
    }

    /// Takes all.
    pub(super) fn all(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::SignalGroupId;
    use protocol::signal::{SignalReading, SignalSource, SignalState};
    use protocol::units::Seconds;

    use super::*;

    fn at(frame: usize) -> EventTime {
        EventTime::EPOCH + Seconds(frame as f64 * 0.04)
    }

    /// What two lamps show in a picture.
    fn read(frame: usize) -> Vec<Input> {
        ["main", "left"]
            .map(|group| {
                Input::Signal(SignalReading {
                    group: SignalGroupId::new(group).unwrap(),
                    state: SignalState::Red,
                    time: at(frame),
                    confidence: 0.9,
                    source: SignalSource::Lamp,
                })
            })
            .into()
    }

    #[test]
    fn of_pictures_that_were_replaced_all_is_heard_before_the_look_in_its_order() {
        let mut readings = Readings::default();
        for frame in 0..10 {
            readings.add(read(frame));
        }
        let (before, of_it) = readings.until(at(7));
        let expected: Vec<Input> = (0..7).flat_map(read).collect();
        assert_eq!(before, expected);
        assert_eq!(of_it, read(7));
        // The newer ones wait for their own look.
        assert_eq!(readings.all(), [read(8), read(9)].concat());
        assert_eq!(readings.until(at(9)), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_was_read_before_the_clock_was_set_back_is_not_told() {
        let mut readings = Readings::default();
        readings.add(read(100));
        readings.add(read(5));
        assert_eq!(readings.until(at(5)), (Vec::new(), read(5)));
        assert_eq!(readings.all(), Vec::new());
    }

    #[test]
    fn a_camera_that_is_never_looked_at_keeps_the_newest_only() {
        let mut readings = Readings::default();
        for frame in 0..1000 {
            readings.add(read(frame));
        }
        let kept = readings.all();
        assert_eq!(kept.len(), MOST);
        assert_eq!(kept[MOST - 2..], read(999)[..]);
    }
}
