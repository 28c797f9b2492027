//! A picture that was taken in, and what had become of others of its camera until then.

use edge_core::GapReason;
use edge_video::{Frame, StreamCounters};
use protocol::EventTime;

/// A picture that was taken in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) time: EventTime,
    /// Replaced by newer ones before anybody took them, or skipped before they were decoded.
    untaken: u64,
    /// Not whole.
    damaged: u64,
    /// Times that several were missing.
    holes: u64,
}

impl Taken {
    pub(super) fn of(frame: &Frame, counters: &StreamCounters) -> Self {
        Self {
            time: frame.time,
            untaken: counters.dropped_overwritten + frame.skipped,
            damaged: counters.dropped_corrupt,
            holes: frame.holes,
        }
    }

    /// Why pictures between an earlier one and this were not there to be looked at.
    pub(super) fn lacks_since(self, before: Self) -> Option<GapReason> {
        if self.damaged > before.damaged {
            Some(GapReason::Corrupt)
        } else {
            (self.holes > before.holes).then_some(GapReason::NoPicture)
        }
    }

    /// Whether some between them were there, and there was no time for them.
    pub(super) const fn passes_over_since(self, before: Self) -> bool {
        self.untaken > before.untaken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_there_is_the_lines_fault_and_what_was_is_the_boxs() {
        let before = Taken {
            time: EventTime::EPOCH,
            untaken: 5,
            damaged: 5,
            holes: 5,
        };
        for (untaken, damaged, holes, lacked) in [
            (5, 5, 5, None),
            (6, 5, 5, None),
            (6, 5, 6, Some(GapReason::NoPicture)),
            (5, 6, 5, Some(GapReason::Corrupt)),
            (5, 6, 6, Some(GapReason::Corrupt)),
        ] {
            let now = Taken {
                time: EventTime::EPOCH,
                untaken,
                damaged,
                holes,
            };
            assert_eq!(now.lacks_since(before), lacked);
            assert_eq!(now.passes_over_since(before), untaken > 5);
        }
    }
}
