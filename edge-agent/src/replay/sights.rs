//! What the detector made of a clip's pictures, as far as it could see them.
//!
//! A picture on which it fails is not seen, as it would not be live: what the scene
//! is told instead is the same, a gap and the lamps, and that time passes. A clip of
//! which it sees nothing cannot be replayed.

use anyhow::bail;
use edge_core::Input;
use edge_inference::DetectorError;
use edge_video::Frame;
use protocol::EventTime;
use protocol::units::Seconds;

use crate::live::TICK_BEHIND_S;
use crate::perception::{Blindness, Shown};

/// A box tells its scenes so often that time passes. s.
const TICK_EVERY_S: f64 = 1.0;

/// Looks at a clip so far.
#[derive(Debug, Default)]
pub(super) struct Sights {
    blindness: Blindness,
    ticked: Option<EventTime>,
    looks: u64,
    failures: Failures,
    of_tiles: Failures,
    /// Answers that are no numbers.
    broken: usize,
}

/// Looks on which the detector failed.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    /// The first, with its frame.
    first: Option<(u64, String)>,
}

impl Failures {
    fn add(&mut self, frame: &Frame, error: &DetectorError) {
        self.count += 1;
        self.first
            .get_or_insert_with(|| (frame.number, error.to_string()));
    }
}

impl Sights {
    /// What the scene is to learn of a picture that was looked at, and whether it was
    /// seen; `glance` is what it learns of one that was not.
    pub(super) fn told(
        &mut self,
        frame: &Frame,
        seen: Result<Shown<Input>, DetectorError>,
        glance: impl FnOnce() -> Vec<Input>,
    ) -> (Vec<Input>, bool) {
        self.looks += 1;
        match seen {
            Ok(shown) => {
                self.broken += shown.broken;
                for error in &shown.failed_tiles {
                    self.of_tiles.add(frame, error);
                }
                let gap = self.blindness.seen(frame.time).map(Input::Gap);
                (gap.into_iter().chain(shown.found).collect(), true)
            }
            Err(error) => {
                self.failures.add(frame, &error);
                let gap = self.blindness.failed(frame.time).map(Input::Gap);
                let told = gap.into_iter().chain(glance());
                (told.chain(self.tick(frame.time)).collect(), false)
            }
        }
    }

    /// That time passes, when nothing was seen for as long as a box would wait.
    fn tick(&mut self, now: EventTime) -> Option<Input> {
        let unseen = now.since(self.blindness.last_seen()?).0;
        let is_due = self
            .ticked
            .is_none_or(|ticked| now.since(ticked).0 >= TICK_EVERY_S);
        (unseen > TICK_BEHIND_S && is_due).then(|| {
            self.ticked = Some(now);
            Input::Tick(now + Seconds(-TICK_BEHIND_S))
        })
    }

    /// What speaks against what was seen.
    pub(super) fn doubts(self) -> anyhow::Result<Vec<String>> {
        let (looks, broken) = (self.looks, self.broken);
        let mut doubts = Vec::new();
        if let Some((frame, error)) = self.failures.first {
            let count = self.failures.count;
            if count == looks {
                bail!("the detector failed on every picture, first on frame {frame}: {error}");
            }
            doubts.push(format!(
                "the detector failed on {count} of {looks} pictures, first on frame {frame}: {error}"
            ));
        }
        if let Some((frame, error)) = self.of_tiles.first {
            doubts.push(format!(
                "the detector failed on {} tiles, whose pictures were looked at without them, first on \
                 frame {frame}: {error}",
                self.of_tiles.count
            ));
        }
        if broken > 0 {
            doubts.push(format!(
                "{broken} answers of the model were no numbers and were passed over; if this is \
                 the model of a box, run `edge-agent models verify` there"
            ));
        }
        Ok(doubts)
    }
}
