//! Which parts of a camera's pictures the detector is shown, and what they show together.
//!
//! First all that is watched (the picture, or a region of it), then tiles of it,
//! in which small far things are large enough for the network. What is seen in
//! one picture is one answer, however many looks it took: the tracker knows
//! pictures, not parts.
//!
//! Tiles that are not looked at, because it is not their turn or there was no time,
//! are the first at the next picture.

use models::tiles::{self, Sight, Tiling};
use models::{Crop, Thresholds};
use protocol::{Detection, NormBox};

use crate::config::{DetectConfig, TilesConfig};

/// The parts of one camera's pictures.
#[derive(Clone, Debug)]
pub struct Parts {
    region: NormBox,
    tiles: Option<TilesConfig>,
    plan: Option<Plan>,
}

/// For pictures of one size.
#[derive(Clone, Debug)]
struct Plan {
    picture: (u32, u32),
    /// What is watched.
    region: Crop,
    tiles: Vec<Crop>,
    /// The tile that comes first at the next picture.
    next: usize,
}

/// What was seen in one part.
pub type Seen = (Crop, Vec<Detection>);

/// Of two sights of one thing in different parts, how much they overlap at least.
/// Networks that give no doubles have no such limit of their own.
const SAME: f64 = 0.5;

impl Parts {
    /// As configured for the camera.
    pub fn new(config: &DetectConfig) -> Self {
        Self {
            region: config.region,
            tiles: config.tiles,
            plan: None,
        }
    }

    /// What is watched of pictures of this size.
    pub fn region(&mut self, picture: (u32, u32)) -> Crop {
        self.plan(picture).region
    }

    /// The tiles whose turn it is in a picture of this size; none without tiles.
    pub fn tiles(&mut self, picture: (u32, u32)) -> Vec<Crop> {
        let most = self.tiles.and_then(|tiles| tiles.per_look);
        let plan = self.plan(picture);
        let (before, from) = plan.tiles.split_at(plan.next);
        let turn = from.iter().chain(before);
        turn.take(most.unwrap_or(usize::MAX)).copied().collect()
    }

    /// This tile was looked at: the next picture begins with the one after it.
    pub fn looked(&mut self, tile: Crop) {
        if let Some(plan) = &mut self.plan
            && let Some(place) = plan.tiles.iter().position(|other| *other == tile)
        {
            plan.next = (place + 1) % plan.tiles.len();
        }
    }

    /// What the parts of one picture show together. `seen` begins with the region.
    pub fn together(
        &mut self,
        picture: (u32, u32),
        mut seen: Vec<Seen>,
        thresholds: &Thresholds,
    ) -> Vec<Detection> {
        if seen.len() <= 1 {
            // Nothing to put together, and nothing that could change.
            return seen.pop().map(|(_, found)| found).unwrap_or_default();
        }
        let region = self.plan(picture).region;
        let tile = (region.width, region.height);
        // Of the whole region, so that a thing at the edge of the tiles, of which
        // the look at all of it shows more, counts as cut there.
        let tiling = Tiling {
            region,
            tile,
            largest: (0, 0),
        };
        let sights: Vec<_> = seen
            .iter()
            .map(|(tile, detections)| Sight {
                tile: *tile,
                detections,
            })
            .collect();
        tiles::merge(&tiling, picture, &sights, thresholds.nms.min(SAME))
    }

    fn plan(&mut self, picture: (u32, u32)) -> &mut Plan {
        let (region, tiles) = (&self.region, self.tiles);
        let old = self.plan.take().filter(|plan| plan.picture == picture);
        self.plan.insert(old.unwrap_or_else(|| {
            let (width, height) = picture;
            // A region that is no part of the picture was refused with the configuration.
            let region = Crop::around(region, width, height).unwrap_or(Crop::whole(width, height));
            let tiles = tiles.map(|tiles| tiles.lay(region, picture));
            Plan {
                picture,
                region,
                tiles: tiles.unwrap_or_default(),
                next: 0,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use protocol::ObjectClass;

    use super::*;

    fn parts(per_look: Option<usize>) -> Parts {
        Parts::new(&DetectConfig {
            tiles: Some(TilesConfig {
                per_look,
                ..TilesConfig::default()
            }),
            ..DetectConfig::default()
        })
    }

    fn seen(bounds: [f64; 4], score: f64) -> Detection {
        Detection {
            class: ObjectClass::Person,
            score,
            bounds: NormBox::from(bounds),
        }
    }

    const PICTURE: (u32, u32) = (1920, 1080);
    const THRESHOLDS: Thresholds = Thresholds {
        low: 0.1,
        high: 0.3,
        nms: 0.5,
    };

    #[test]
    fn all_is_looked_at_without_a_region_and_nothing_is_cut_without_tiles() {
        let mut parts = Parts::new(&DetectConfig::default());
        assert_eq!(parts.region(PICTURE), Crop::whole(1920, 1080));
        assert_eq!(parts.tiles(PICTURE), []);
        let found = vec![
            seen([0.1, 0.1, 0.2, 0.2], 0.9),
            seen([0.1, 0.1, 0.2, 0.2], 0.8),
        ];
        let all = parts.region(PICTURE);
        // Not even doubles: one look is the network's own business.
        let together = parts.together(PICTURE, vec![(all, found.clone())], &THRESHOLDS);
        assert_eq!(together, found);
    }

    #[test]
    fn tiles_take_turns_and_one_that_had_no_time_is_first_at_the_next_picture() {
        let mut one = parts(Some(1));
        let all = parts(None).tiles(PICTURE);
        assert_eq!(all.len(), 4);
        let mut turns = Vec::new();
        for _ in 0..5 {
            let turn = one.tiles(PICTURE);
            assert_eq!(turn.len(), 1);
            one.looked(turn[0]);
            turns.extend(turn);
        }
        assert_eq!(turns, [all[0], all[1], all[2], all[3], all[0]]);
        // Not looked at: it is still its turn.
        assert_eq!(one.tiles(PICTURE), one.tiles(PICTURE));
        let mut every = parts(None);
        every.tiles(PICTURE);
        every.looked(all[1]);
        assert_eq!(every.tiles(PICTURE), [all[2], all[3], all[0], all[1]]);
        // A camera that changes its size begins anew.
        assert_eq!(every.tiles((640, 480)).len(), 4);
    }

    #[test]
    fn what_the_parts_show_is_one_answer_with_each_thing_once() {
        let mut parts = parts(None);
        let (all, tiles) = (parts.region(PICTURE), parts.tiles(PICTURE));
        // A person across the middle, whole in the first look and cut in two tiles;
        // a small one that only a tile shows.
        let across = seen([0.48, 0.2, 0.14, 0.3], 0.8);
        let far = seen([0.2, 0.3, 0.01, 0.02], 0.4);
        let left_half = seen([0.48, 0.2, 0.07, 0.3], 0.9);
        let together = parts.together(
            PICTURE,
            vec![
                (all, vec![across]),
                (tiles[0], vec![left_half, far]),
                (tiles[1], vec![]),
            ],
            &THRESHOLDS,
        );
        assert_eq!(together, [across, far]);
    }
}
