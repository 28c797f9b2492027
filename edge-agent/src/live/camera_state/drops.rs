//! Frames that were not looked at.

use edge_video::GarbageCounters;

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
