//! A picture that was looked at and whose tiles are still being looked at.

use std::time::{Duration, Instant};

use edge_core::Input;
use edge_video::Frame;
use models::Thresholds;

use crate::live::{SCENE_QUEUE, Work};
use crate::perception::{self, Parts, Seen};

/// The scene waits no longer for tiles.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// All that is known of a camera's picture until its scene is told.
pub(super) struct Picture {
    pub(super) frame: Frame,
    inputs: Vec<Input>,
    /// What its parts show; first all that is watched of it.
    pub(super) seen: Vec<Seen>,
    /// What was read meanwhile of newer pictures.
    pub(super) later: Vec<Work>,
    since: Instant,
}

impl Picture {
    /// `inputs` is what the scene is to learn before what was found.
    pub(super) fn new(frame: Frame, inputs: Vec<Input>, seen: Seen) -> Self {
        Self {
            frame,
            inputs,
            seen: vec![seen],
            later: Vec::new(),
            since: Instant::now(),
        }
    }

    /// Whether its tiles have had their time.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        now.duration_since(self.since) > LONGEST_WAIT
    }

    /// Whether more can wait behind it without overfilling the scene's queue.
    pub(super) fn has_room(&self) -> bool {
        self.later.len() + 1 < SCENE_QUEUE
    }

    /// What the scene is to be told, in order.
    pub(super) fn told(
        self,
        parts: &mut Parts,
        thresholds: &Thresholds,
    ) -> impl Iterator<Item = Work> {
        let Self {
            frame,
            mut inputs,
            seen,
            later,
            ..
        } = self;
        let size = (frame.width, frame.height);
        let found = parts.together(size, seen, thresholds);
        inputs.push(perception::detections(&frame, thresholds.high, found));
        let frame = Some(frame);
        std::iter::once(Work { inputs, frame }).chain(later)
    }
}
