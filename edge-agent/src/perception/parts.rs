//! Which parts of a camera's pictures the detector is shown, and what they show together.
//!
//! First all that is watched (the picture, or a region of it), then tiles of it,
//! in which small far things are large enough for the network. What is seen in
//! one picture is one answer, however many looks it took: the tracker knows
//! pictures, not parts.
//!
//! Tiles that are not looked at, because it is not their turn or there was no time,
//! are the first at the next picture. Where that goes on for too long it is told: what is small
//! there was not seen.

use edge_core::{GapReason, Unseen};
use models::tiles::{self, Sight, Tiling};
use models::{Crop, Thresholds};
use protocol::{Detection, EventTime, NormBox};

use super::fractions;
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
    /// Of each tile since when it was not looked at.
    since: Vec<Since>,
    /// When the last picture was taken that the scene was told of.
    told: Option<EventTime>,
}

/// Since when a tile was not looked at.
#[derive(Clone, Copy, Debug)]
struct Since {
    from: EventTime,
    /// Whether that was too long before it.
    is_late: bool,
}

/// What was seen in one part.
pub type Seen = (Crop, Vec<Detection>);

/// Rules take pictures that are farther apart for a hole, s. So are looks at a tile whose turn it
/// is in each picture; where it is in each third, three times that.
const HOLE_S: f64 = 2.0;

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

    /// The scene is told of the picture of `time`, in which some parts were looked at. Which tiles
    /// nobody had time for, for too long; each part of that time once.
    pub fn unseen(
        &mut self,
        picture: (u32, u32),
        time: EventTime,
        is_looked_at: impl Fn(&Crop) -> bool,
    ) -> Vec<Unseen> {
        let most = self.tiles.and_then(|tiles| tiles.per_look);
        let plan = self.plan(picture);
        let most = most.unwrap_or(usize::MAX).clamp(1, plan.tiles.len().max(1));
        let longest = plan.tiles.len().div_ceil(most) as f64 * HOLE_S;
        let told = plan.told.replace(time).map(|told| time.since(told).0);
        if !told.is_some_and(|passed| (0.0..=HOLE_S).contains(&passed)) {
            // The first, or after a hole, of which the scene knows as it is.
            plan.since.clear();
        }
        let now = Since {
            from: time,
            is_late: false,
        };
        plan.since.resize(plan.tiles.len(), now);
        let mut unseen = Vec::new();
        for (tile, since) in plan.tiles.iter().zip(&mut plan.since) {
            let passed = time.since(since.from).0;
            let is_looked_at = is_looked_at(tile);
            // What is left of it when it is over; not a word for each picture.
            if passed > longest || (since.is_late && is_looked_at && passed > 0.0) {
                unseen.push(Unseen {
                    part: fractions(*tile, picture),
                    from: since.from,
                    to: time,
                    reason: GapReason::Overload,
                });
                *since = Since {
                    from: time,
                    is_late: true,
                };
            }
            if is_looked_at {
                *since = now;
            }
        }
        // Whoever counts them passes over what a longer one has told.
        unseen.sort_by_key(|unseen| unseen.from);
        unseen
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
                since: Vec::new(),
                told: None,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use protocol::ObjectClass;
    use protocol::units::Seconds;

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

    /// What is told as unseen of pictures each so many seconds, in which `looked` says which tiles
    /// were looked at: tile, from, to.
    fn told(
        parts: &mut Parts,
        every: f64,
        pictures: u32,
        looked: impl Fn(u32, usize) -> bool,
    ) -> Vec<(usize, f64, f64)> {
        let tiles = parts.plan(PICTURE).tiles.clone();
        let mut told = Vec::new();
        for number in 0..pictures {
            let time = EventTime::EPOCH + Seconds(f64::from(number) * every);
            let seen: Vec<Crop> = (tiles.iter().enumerate())
                .filter(|(at, _)| looked(number, *at))
                .map(|(_, tile)| *tile)
                .collect();
            for unseen in parts.unseen(PICTURE, time, |tile| seen.contains(tile)) {
                assert_eq!(unseen.reason, GapReason::Overload);
                let is_it = |tile: &Crop| fractions(*tile, PICTURE) == unseen.part;
                let which = tiles.iter().position(is_it).unwrap();
                let second = |at: EventTime| at.since(EventTime::EPOCH).0;
                told.push((which, second(unseen.from), second(unseen.to)));
            }
        }
        told
    }

    /// A tile that got no time for half a minute was "watched", by whoever stands small in it.
    #[test]
    fn tiles_that_got_no_time_for_too_long_are_told_and_others_are_not() {
        let mut parts = parts(None);
        let last = parts.plan(PICTURE).tiles.len() - 1;
        // Each half second; the last tile at 0 s, at 7.5 s and from 9 s on.
        let seen = |number, tile| tile != last || number == 0 || number == 15 || number >= 18;
        let told = told(&mut parts, 0.5, 40, seen);
        assert_eq!(told[0], (last, 0.0, 2.5));
        assert_eq!(told.last().unwrap().2, 7.5);
        // One after the other, and nothing twice.
        assert!(
            told.windows(2).all(|pair| pair[0].2 == pair[1].1),
            "{told:?}"
        );
        assert!(told.iter().all(|(tile, ..)| *tile == last), "{told:?}");
    }

    #[test]
    fn a_hole_between_pictures_is_none_of_the_tiles() {
        let never = |_, _| false;
        assert_eq!(told(&mut parts(None), 2.5, 20, never), []);
        // Nor is it where none are asked for.
        let mut whole = Parts::new(&DetectConfig::default());
        assert_eq!(told(&mut whole, 0.5, 20, never), []);
    }

    #[test]
    fn a_tile_whose_turn_is_in_some_pictures_only_may_wait_for_that() {
        let mut parts = parts(Some(1));
        let count = parts.plan(PICTURE).tiles.len();
        assert!(count > 1);
        let by_turns = |number: u32, tile| number as usize % count == tile;
        assert_eq!(told(&mut parts, 1.5, 60, by_turns), []);
        let first_only = |number: u32, tile| tile == 0 && by_turns(number, 0);
        let told = told(&mut parts, 1.5, 60, first_only);
        let missed: Vec<usize> = (1..count).collect();
        let mut late: Vec<usize> = told.iter().map(|(tile, ..)| *tile).collect();
        late.sort_unstable();
        late.dedup();
        assert_eq!(late, missed);
    }
}
