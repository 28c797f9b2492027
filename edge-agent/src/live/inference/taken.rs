//! A picture that was taken in, and what had become of others of its camera until then.

use std::collections::VecDeque;

use edge_video::{Frame, Lack, StreamCounters};
use protocol::EventTime;

use crate::perception;

/// A picture that was taken in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) time: EventTime,
    /// Replaced by newer ones before anybody took them, or skipped before they were decoded.
    untaken: u64,
    /// For how long others were not whole, or missing, until it came.
    lack: Lack,
}

impl Taken {
    pub(super) fn of(frame: &Frame, counters: &StreamCounters) -> Self {
        Self {
            time: frame.time,
            untaken: counters.dropped_overwritten + frame.skipped,
            lack: frame.lack,
        }
    }

    /// For how long pictures between an earlier one and this were not there to be looked at.
    pub(super) const fn lacks_since(self, before: Self) -> Lack {
        self.lack.since(before.lack)
    }

    /// Whether there were others between the earlier one and this, for which there was no time.
    pub(super) const fn takes_over_since(self, before: Self) -> bool {
        self.untaken > before.untaken
    }

    /// Whether it comes later than the earlier one for want of pictures, or because there was no
    /// time for those between them.
    pub(super) fn passes_over_since(self, before: Self) -> bool {
        let passed = self.time.since(before.time);
        self.takes_over_since(before)
            || perception::lacked(self.lacks_since(before), passed).is_some()
    }
}

/// For how long in all pictures had not been there, by the time of each that was taken in, looked at
/// or not: a look is told of what lacked before others that waited in vain.
#[derive(Clone, Debug, Default)]
pub(super) struct Lacks {
    /// Where that became more.
    known: VecDeque<(EventTime, Lack)>,
}

/// More than lie between two looks of a box that is worth its name.
const MOST_KNOWN: usize = 512;

impl Lacks {
    /// A picture was taken in.
    pub(super) fn note(&mut self, frame: &Frame) {
        // A clock that was set back knows nothing of later times.
        while (self.known.back()).is_some_and(|(known, _)| *known >= frame.time) {
            self.known.pop_back();
        }
        if (self.known.back()).is_some_and(|(_, known)| *known == frame.lack) {
            return;
        }
        if self.known.len() == MOST_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back((frame.time, frame.lack));
    }

    /// For how long none was there from then on until this one.
    pub(super) fn between(&self, from: EventTime, until: &Frame) -> Lack {
        let mut before = self.known.iter().rev();
        let before = before.find(|(known, _)| *known <= from);
        let before = before.or(self.known.front());
        before.map_or_else(Lack::default, |(_, before)| until.lack.since(*before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks that came as often as they were asked for were a gap, where a picture or two of the
    /// many between them were lost.
    #[test]
    fn what_was_there_is_passed_over_and_so_is_the_time_of_which_most_was_not() {
        let before = Taken {
            time: EventTime::EPOCH,
            untaken: 5,
            lack: Lack {
                damaged_us: 5,
                missing_us: 5,
            },
        };
        for (untaken, damaged_us, missing_us, is_passed_over) in [
            (5, 0, 0, false),
            (6, 0, 0, true),
            (6, 0, 120_000, true),
            (5, 0, 120_000, false),
            (5, 40_000, 0, false),
            (5, 0, 900_000, true),
            (5, 900_000, 0, true),
        ] {
            let lack = Lack {
                damaged_us,
                missing_us,
            };
            let now = Taken {
                time: EventTime::from_micros(1_100_000),
                untaken,
                lack: before.lack.and(lack),
            };
            assert_eq!(now.lacks_since(before), lack);
            let told = (untaken, lack);
            assert_eq!(now.passes_over_since(before), is_passed_over, "{told:?}");
        }
    }
}
