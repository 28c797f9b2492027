//! A picture that was looked at and whose tiles are still being looked at.

use std::time::{Duration, Instant};

use edge_core::Input;
use edge_video::Frame;
use models::{Crop, Thresholds};

use crate::live::Work;
use crate::perception::{self, Parts, Seen};

/// The scene waits no longer for tiles.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// All that is known of a camera's picture until its scene is told.
pub(super) struct Picture {
    pub(super) frame: Frame,
    inputs: Vec<Input>,
    /// What its parts show; first all that is watched of it.
    seen: Vec<Seen>,
    /// What was read meanwhile of newer pictures, in their order. One word of it, or a
    /// lamp read in each of ten pictures would fill the scene's queue.
    later: Vec<Input>,
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

    /// Has `inputs` of a newer picture told after it.
    pub(super) fn then(&mut self, inputs: Vec<Input>) {
        self.later.extend(inputs);
    }

    /// Takes in what was seen in a tile, if the tile is one of this picture.
    pub(super) fn saw(&mut self, frame: &Frame, seen: Seen) -> bool {
        let is_its_own = self.frame.number == frame.number;
        if is_its_own {
            self.seen.push(seen);
        }
        is_its_own
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
        let is_looked_at = |tile: &Crop| seen.iter().any(|(part, _)| part == tile);
        let unseen = parts.unseen(size, frame.time, is_looked_at);
        let found = parts.together(size, seen, thresholds);
        inputs.push(perception::detections(&frame, thresholds.high, found));
        inputs.extend(unseen.into_iter().map(Input::Unseen));
        let frame = Some(frame);
        let later = (!later.is_empty()).then(|| Work::new(later, None));
        std::iter::once(Work::new(inputs, frame)).chain(later)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

    use edge_video::ClipReader;
    use protocol::{Detection, EventTime, NormBox, ObjectClass};
    use rtsp_camera::TestPattern;

    use super::*;
    use crate::config::DetectConfig;

    const THRESHOLDS: Thresholds = Thresholds {
        low: 0.1,
        high: 0.5,
        nms: 0.5,
    };

    fn pictures() -> [Frame; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mkv");
        TestPattern::default().write(&path).unwrap();
        let mut clip = ClipReader::open(&path, EventTime::EPOCH).unwrap();
        [(); 2].map(|()| clip.next_frame().unwrap().unwrap())
    }

    fn a_person() -> Detection {
        Detection {
            class: ObjectClass::Person,
            score: 0.9,
            bounds: NormBox::from([0.6, 0.6, 0.05, 0.1]),
        }
    }

    fn found(work: &Work) -> usize {
        let of = |input: &Input| match input {
            Input::Detections(seen) => seen.items.len(),
            _ => 0,
        };
        work.inputs.iter().map(of).sum()
    }

    /// With a lamp read in each of twenty-five pictures a second the fourth left no room, and the tiles
    /// that were not done by then were thrown away: always the same ones.
    #[test]
    fn what_is_read_of_newer_pictures_waits_for_the_tiles_however_many_they_are() {
        let [first, second] = pictures();
        let (width, height) = (first.width, first.height);
        let whole = Crop::whole(width, height);
        let mut picture = Picture::new(first.clone(), Vec::new(), (whole, Vec::new()));
        let read: Vec<Input> = (1..=25)
            .map(|number| Input::End(EventTime::from_micros(number * 40_000)))
            .collect();
        for input in &read {
            picture.then(vec![input.clone()]);
        }
        let tile = Crop {
            x: width / 2,
            y: height / 2,
            width: width / 2,
            height: height / 2,
        };
        assert!(
            !picture.saw(&second, (tile, vec![a_person()])),
            "a tile of another picture"
        );
        assert!(picture.saw(&first, (tile, vec![a_person()])));
        let mut parts = Parts::new(&DetectConfig::default());
        let told: Vec<Work> = picture.told(&mut parts, &THRESHOLDS).collect();
        let [seen, later] = &told[..] else {
            panic!(
                "the scene's queue is short, and it is told {} works",
                told.len()
            )
        };
        assert_eq!((found(seen), seen.frame.is_some()), (1, true));
        assert_eq!((&later.inputs, later.frame.is_some()), (&read, false));
    }

    /// What stood in them was nobody, and the rules watched, as far as coverage knew.
    #[test]
    fn the_scene_hears_which_tiles_there_was_no_time_for_after_what_was_seen() {
        let [picture, _] = pictures();
        let whole = Crop::whole(picture.width, picture.height);
        let mut parts = Parts::new(&DetectConfig {
            tiles: Some(crate::config::TilesConfig::default()),
            ..DetectConfig::default()
        });
        let tiles = parts.tiles((picture.width, picture.height)).len();
        assert!(tiles > 1);
        let mut told = Vec::new();
        for second in 0..4 {
            let mut frame = picture.clone();
            frame.time = EventTime::from_micros(second * 1_000_000);
            let picture = Picture::new(frame, Vec::new(), (whole, Vec::new()));
            let work = picture.told(&mut parts, &THRESHOLDS).next().unwrap();
            assert!(matches!(work.inputs[0], Input::Detections(_)));
            told.push(work.inputs.len() - 1);
        }
        assert_eq!(told, [0, 0, 0, tiles]);
    }
}
