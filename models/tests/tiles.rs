//! Tiles: every small thing lies whole in one, and what they show is put together.

use models::Crop;
use models::tiles::{Sight, Tiling, TilingError, lay, merge};
use proptest::prelude::*;
use protocol::{Detection, NormBox, ObjectClass};

const PICTURE: (u32, u32) = (1920, 1080);

fn tiling(region: [u32; 4], tile: (u32, u32), largest: (u32, u32)) -> Tiling {
    let [x, y, width, height] = region;
    Tiling {
        region: Crop {
            x,
            y,
            width,
            height,
        },
        tile,
        largest,
    }
}

#[track_caller]
fn laid(tiling: &Tiling) -> Vec<[u32; 4]> {
    lay(tiling)
        .expect("a good tiling")
        .iter()
        .map(|t| [t.x, t.y, t.width, t.height])
        .collect()
}

#[test]
fn tiles_are_as_few_as_suffice_and_evenly_spread() {
    assert_eq!(
        laid(&tiling([0, 0, 1920, 540], (1040, 640), (160, 160))),
        [[0, 0, 1040, 540], [880, 0, 1040, 540]]
    );
    assert_eq!(
        laid(&tiling([100, 50, 1000, 700], (640, 416), (100, 100))),
        [
            [100, 50, 640, 416],
            [460, 50, 640, 416],
            [100, 334, 640, 416],
            [460, 334, 640, 416],
        ]
    );
    assert_eq!(
        laid(&tiling([7, 8, 5, 6], (640, 416), (600, 400))),
        [[7, 8, 5, 6]]
    );
}

#[test]
fn a_tiling_that_cannot_be_says_what_to_change() {
    for (region, tile, largest, words) in [
        (
            [0, 0, 1000, 10],
            (100, 100),
            (100, 10),
            "make the tiles larger",
        ),
        ([0, 0, 1000, 1000], (0, 0), (0, 0), "make the tiles larger"),
        ([0, 0, 16_384, 16_384], (10, 10), (9, 9), "the most is 256"),
        (
            [0, 0, u32::MAX, u32::MAX],
            (2, 2),
            (1, 1),
            "the most is 256",
        ),
        ([0, 0, 0, 9], (10, 10), (1, 1), "nothing to look at"),
    ] {
        let message = lay(&tiling(region, tile, largest)).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    let error = lay(&tiling([0, 0, 300, 300], (100, 200), (50, 200))).unwrap_err();
    assert!(matches!(error, TilingError::Overlap { .. }));
}

fn seen(class: ObjectClass, score: f64, [x, y, w, h]: [f64; 4]) -> Detection {
    let (width, height) = (f64::from(PICTURE.0), f64::from(PICTURE.1));
    Detection {
        class,
        score,
        bounds: NormBox::from([x / width, y / height, w / width, h / height]),
    }
}

/// What a perfect network sees in each tile: things that show at least a tenth, cut at the border.
fn ideal(tiles: &[Crop], things: &[(ObjectClass, [f64; 4])]) -> Vec<Vec<Detection>> {
    let of_tile = |tile: &Crop| {
        let [x0, y0, x1, y1] =
            [tile.x, tile.y, tile.x + tile.width, tile.y + tile.height].map(f64::from);
        let cut = |(number, (class, [x, y, w, h])): (usize, &(ObjectClass, [f64; 4]))| {
            let (left, top) = (x.max(x0), y.max(y0));
            let (width, height) = ((x + w).min(x1) - left, (y + h).min(y1) - top);
            // The less is seen, the less sure; no two alike.
            let part = (width.max(0.0) * height.max(0.0)) / (w * h);
            let score = 0.3 + 0.6 * part - number as f64 / 1000.0;
            (part >= 0.1).then(|| seen(*class, score, [left, top, width, height]))
        };
        things.iter().enumerate().filter_map(cut).collect()
    };
    tiles.iter().map(of_tile).collect()
}

fn merged(tiling: &Tiling, tiles: &[Crop], seen: &[Vec<Detection>]) -> Vec<Detection> {
    let sights: Vec<_> = tiles
        .iter()
        .zip(seen)
        .map(|(tile, detections)| Sight {
            tile: *tile,
            detections,
        })
        .collect();
    merge(tiling, PICTURE, &sights, 0.5)
}

/// Merged boxes in pixels, whole numbers, by place.
fn boxes(found: &[Detection]) -> Vec<(ObjectClass, [i64; 4])> {
    let (width, height) = (f64::from(PICTURE.0), f64::from(PICTURE.1));
    let mut boxes: Vec<_> = found
        .iter()
        .map(|d| {
            let b = d.bounds;
            #[allow(clippy::cast_possible_truncation)] // pixels
            let edges = [
                b.x * width,
                b.y * height,
                b.right() * width,
                b.bottom() * height,
            ]
            .map(|v| v.round() as i64);
            (d.class, edges)
        })
        .collect();
    boxes.sort_unstable();
    boxes
}

#[test]
fn a_thing_in_the_overlap_is_one_thing_and_its_cut_parts_are_none() {
    let tiling = tiling([0, 0, 1920, 1080], (700, 700), (100, 100));
    let tiles = lay(&tiling).unwrap();
    // At the border of the first tile, in both directions.
    let car = [(ObjectClass::Car, [640.0, 640.0, 90.0, 90.0])];
    let seen = ideal(&tiles, &car);
    assert!(seen.iter().map(Vec::len).sum::<usize>() > 1);
    let found = merged(&tiling, &tiles, &seen);
    assert_eq!(boxes(&found), [(ObjectClass::Car, [640, 640, 730, 730])]);
    assert!(found[0].score > 0.89, "the whole sight is kept");
}

#[test]
fn a_thing_too_large_for_a_tile_is_joined_from_its_pieces() {
    let tiling = tiling([0, 0, 1920, 1080], (480, 480), (100, 100));
    let tiles = lay(&tiling).unwrap();
    let bus = [(ObjectClass::Bus, [100.0, 200.0, 1700.0, 500.0])];
    let seen = ideal(&tiles, &bus);
    assert!(seen.iter().filter(|s| !s.is_empty()).count() >= 8);
    assert_eq!(
        boxes(&merged(&tiling, &tiles, &seen)),
        [(ObjectClass::Bus, [100, 200, 1800, 700])]
    );
}

#[test]
fn what_the_whole_picture_shows_is_not_in_pieces() {
    let tiling = tiling([0, 0, 1920, 1080], (700, 700), (100, 100));
    let mut tiles = lay(&tiling).unwrap();
    let bus = [(ObjectClass::Bus, [100.0, 100.0, 1500.0, 800.0])];
    tiles.push(tiling.region);
    let found = merged(&tiling, &tiles, &ideal(&tiles, &bus));
    assert_eq!(boxes(&found), [(ObjectClass::Bus, [100, 100, 1600, 900])]);
}

#[test]
fn what_stands_at_the_edge_of_the_region_is_whole() {
    let tiling = tiling([0, 0, 1920, 1080], (700, 700), (100, 100));
    let tiles = lay(&tiling).unwrap();
    let people = [
        (ObjectClass::Person, [0.0, 0.0, 20.0, 60.0]),
        (ObjectClass::Person, [1900.0, 1020.0, 20.0, 60.0]),
    ];
    let found = merged(&tiling, &tiles, &ideal(&tiles, &people));
    assert_eq!(found.len(), 2);
}

/// A tiling of the picture and things no larger than it allows, one per cell of
/// a grid, so that they do not overlap.
fn scenes() -> impl Strategy<Value = (Tiling, Vec<(ObjectClass, [f64; 4])>)> {
    let tile = (200_u32..900, 200_u32..900);
    let class = prop::sample::select(vec![ObjectClass::Person, ObjectClass::Car]);
    // Cell, then place and size in parts of what fits.
    let thing = (
        class,
        0_u32..12,
        0_u32..6,
        prop::array::uniform4(0.0_f64..1.0),
    );
    (tile, prop::collection::vec(thing, 0..12)).prop_map(|(tile, things)| {
        let tiling = tiling([0, 0, 1920, 1080], tile, (100, 100));
        let mut cells = std::collections::BTreeMap::new();
        for (class, column, row, [x, y, w, h]) in things {
            let (width, height) = (20.0 + w * 80.0, 20.0 + h * 80.0);
            let left = f64::from(column) * 160.0 + x * (150.0 - width);
            let top = f64::from(row) * 180.0 + y * (170.0 - height);
            cells.insert((column, row), (class, [left, top, width, height]));
        }
        (tiling, cells.into_values().collect())
    })
}

proptest! {
    #[test]
    fn every_thing_lies_whole_in_a_tile_and_no_tile_outside(
        (x, y) in (0_u32..500, 0_u32..500),
        (width, height) in (1_u32..3000, 1_u32..3000),
        tile in (300_u32..900, 300_u32..900),
        largest in (0_u32..200, 0_u32..200),
        parts in prop::array::uniform4(0.0_f64..=1.0),
    ) {
        let tiling = tiling([x, y, width, height], tile, largest);
        let tiles = lay(&tiling).unwrap();
        for t in &tiles {
            prop_assert!(t.x >= x && t.y >= y);
            prop_assert!(t.x + t.width <= x + width && t.y + t.height <= y + height);
            prop_assert!(t.width == tile.0.min(width) && t.height == tile.1.min(height));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // parts of small numbers
        let part = |length: u32, part: f64| (f64::from(length) * part) as u32;
        // Anywhere in the region, up to the size that counts.
        let (w, h) = (part(largest.0.min(width), parts[0]), part(largest.1.min(height), parts[1]));
        let (left, top) = (x + part(width - w, parts[2]), y + part(height - h, parts[3]));
        prop_assert!(tiles.iter().any(|t| t.x <= left
            && t.y <= top
            && left + w <= t.x + t.width
            && top + h <= t.y + t.height));
    }

    #[test]
    fn a_perfect_network_sees_in_tiles_what_it_would_see_at_once((tiling, things) in scenes()) {
        let tiles = lay(&tiling).unwrap();
        let found = merged(&tiling, &tiles, &ideal(&tiles, &things));
        let at_once: Vec<_> = things.iter().map(|(class, edges)| seen(*class, 0.5, *edges)).collect();
        prop_assert_eq!(boxes(&found), boxes(&at_once));
    }

    #[test]
    fn order_of_tiles_and_of_what_they_hold_changes_nothing(
        (tiling, things) in scenes(),
        seed in prop::collection::vec(prop::num::u32::ANY, 64),
        noise in prop::collection::vec(-6.0_f64..6.0, 64),
    ) {
        let tiles = lay(&tiling).unwrap();
        let mut views: Vec<_> = tiles.iter().copied().zip(ideal(&tiles, &things)).collect();
        for (at, detection) in views.iter_mut().flat_map(|(_, seen)| seen).enumerate() {
            detection.bounds.x += noise[at % 64] / 1920.0;
            detection.bounds.height += noise[(at + 7) % 64] / 1080.0;
        }
        let join = |views: &[(Crop, Vec<Detection>)]| {
            let (tiles, seen): (Vec<_>, Vec<_>) = views.iter().cloned().unzip();
            merged(&tiling, &tiles, &seen)
        };
        let in_order = join(&views);
        let mut key = seed.iter().cycle();
        views.sort_by_cached_key(|_| key.next());
        for (_, seen) in &mut views {
            seen.sort_by_cached_key(|_| key.next());
        }
        prop_assert_eq!(join(&views), in_order);
    }
}
