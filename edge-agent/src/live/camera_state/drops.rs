//! Frames that were not looked at, and those that nobody could have looked at.

use edge_video::{GarbageCounters, StreamCounters};

use super::CameraState;

/// Frames that were not looked at, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drops {
    /// A newer frame came before the detector was free.
    pub(crate) overwritten: u64,
    /// More frames than `analysed_fps` asks for.
    pub(crate) rate: u64,
    /// The scene had not finished earlier ones.
    pub(crate) scene_busy: u64,
    /// The detector failed on it.
    pub(crate) inference: u64,
    /// The picture had been the same for too long.
    pub(crate) frozen: u64,
    /// The decoder marked it as damaged.
    pub(crate) corrupt: u64,
    /// No camera sends such a picture.
    pub(crate) garbage: GarbageCounters,
    /// The decoder was behind.
    pub(crate) backlog: u64,
    /// It was not known yet when it had been taken.
    pub(crate) undated: u64,
}

/// What had come of a camera's stream at some moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrived {
    pictures: u64,
    /// Those of them that were not whole.
    damaged: u64,
    /// Places where packets were lost on the way.
    packet_gaps: u64,
}

impl Arrived {
    const fn of(counters: &StreamCounters) -> Self {
        Self {
            pictures: counters.received,
            damaged: counters.dropped_corrupt,
            packet_gaps: counters.packet_gaps,
        }
    }

    /// Whether of the pictures that came after `before` most were damaged.
    pub(crate) const fn is_damaged_since(self, before: Self) -> bool {
        let damaged = self.damaged.saturating_sub(before.damaged);
        let others = (self.pictures.saturating_sub(before.pictures)).saturating_sub(damaged);
        damaged > others
    }

    /// Whether packets were lost after `before`.
    pub(crate) const fn has_gaps_since(self, before: Self) -> bool {
        self.packet_gaps > before.packet_gaps
    }
}

impl CameraState {
    /// What has come of the stream so far.
    pub(crate) fn arrived(&self) -> Arrived {
        // Asked for each look: nothing else of the stream is copied.
        let inner = self.lock();
        let stream = inner.stream.upgrade();
        let counters = stream.map_or(inner.counters, |stream| stream.counters());
        Arrived::of(&counters)
    }

    /// So much has come of a stream that there is not.
    #[cfg(test)]
    pub(crate) fn make_up(&self, counters: StreamCounters) {
        self.lock().counters = counters;
    }
}

impl Drops {
    pub(super) fn total(self) -> u64 {
        self.overwritten
            + self.rate
            + self.scene_busy
            + self.inference
            + self.frozen
            + self.corrupt
            + self.garbage.total()
            + self.backlog
            + self.undated
    }
}
