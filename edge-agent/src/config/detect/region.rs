//! `roi` and `tiles` of `[camera.detect]`: what of a picture the detector is shown.

use models::Crop;
use models::tiles::{self, Tiling};
use protocol::NormBox;
use serde::Deserialize;

/// All of a picture.
pub(super) const WHOLE: NormBox = NormBox {
    x: 0.0,
    y: 0.0,
    width: 1.0,
    height: 1.0,
};

/// Tiles of one picture, at most: so many looks no box has time for, and the
/// scheduler keeps no more waiting.
const MOST_TILES: usize = 16;
/// A region or tile narrower than this is a typing error. Fractions of the picture.
const LEAST_SIDE: f64 = 0.02;

/// How a picture is cut into tiles. All in fractions of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TilesConfig {
    /// What is cut; the part of it that is watched.
    pub region: NormBox,
    /// Width and height of a tile.
    pub size: [f64; 2],
    /// Width and height up to which a thing lies wholly in one tile: neighbours
    /// overlap by so much.
    pub largest: [f64; 2],
    /// Tiles per look, by turns; `None`: all.
    pub per_look: Option<usize>,
}

impl Default for TilesConfig {
    /// Four tiles, a little larger than a quarter of the picture.
    fn default() -> Self {
        Self {
            region: WHOLE,
            size: [0.55, 0.55],
            largest: [0.1, 0.1],
            per_look: None,
        }
    }
}

impl TilesConfig {
    /// The tiles of what is watched of a picture of this size. A picture of a
    /// few pixels, in which they cannot be laid as configured, has none.
    pub fn lay(&self, watched: Crop, picture: (u32, u32)) -> Vec<Crop> {
        let tiling = self.tiling(watched, picture);
        tiling
            .and_then(|tiling| tiles::lay(&tiling).ok())
            .unwrap_or_default()
    }

    fn tiling(&self, watched: Crop, picture: (u32, u32)) -> Option<Tiling> {
        let (width, height) = picture;
        let region = Crop::around(&self.region, width, height)?;
        let region = shared(region, watched)?;
        // Rounded so that no rounding adds a tile.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // fractions of a picture
        let pixels = |fraction: f64, length: u32, up: bool| {
            let pixels = fraction * f64::from(length);
            (if up { pixels.ceil() } else { pixels.floor() }) as u32
        };
        Some(Tiling {
            region,
            tile: (
                pixels(self.size[0], width, true),
                pixels(self.size[1], height, true),
            ),
            largest: (
                pixels(self.largest[0], width, false),
                pixels(self.largest[1], height, false),
            ),
        })
    }
}

fn shared(a: Crop, b: Crop) -> Option<Crop> {
    let (x, y) = (a.x.max(b.x), a.y.max(b.y));
    let width = (a.x + a.width).min(b.x + b.width).checked_sub(x)?;
    let height = (a.y + a.height).min(b.y + b.height).checked_sub(y)?;
    (width > 0 && height > 0).then_some(Crop {
        x,
        y,
        width,
        height,
    })
}

/// `tiles = {}` is enough.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TilesKeys {
    region: Option<Vec<[f64; 2]>>,
    size: Option<[f64; 2]>,
    largest: Option<[f64; 2]>,
    per_look: Option<usize>,
}

/// What is watched, and its tiles; what cannot be is told to `refuse` with its key.
pub(super) fn read(
    roi: Option<&[[f64; 2]]>,
    tiles: Option<&TilesKeys>,
    refuse: &mut impl FnMut(&str, &str),
) -> (NormBox, Option<TilesConfig>) {
    let mut bounds = |key: &str, points: Option<&[[f64; 2]]>| match points.map(around) {
        None => Some(WHOLE),
        Some(Some(bounds)) => Some(bounds),
        Some(None) => {
            let message = format!(
                "is at least two corners, each between 0 and 1, with a box of at least \
                     {LEAST_SIDE} between them: [[0.0, 0.2], [1.0, 0.7]]"
            );
            refuse(&format!("detect.{key}"), &message);
            None
        }
    };
    let watched = bounds("roi", roi);
    let Some(keys) = tiles else {
        return (watched.unwrap_or(WHOLE), None);
    };
    let region = bounds("tiles.region", keys.region.as_deref());
    let (Some(watched), Some(region)) = (watched, region) else {
        return (WHOLE, None);
    };
    let usual = TilesConfig::default();
    let tiles = TilesConfig {
        region,
        size: keys.size.unwrap_or(usual.size),
        largest: keys.largest.unwrap_or(usual.largest),
        per_look: keys.per_look,
    };
    match tiles.fault(&watched) {
        None => (watched, Some(tiles)),
        Some((key, message)) => {
            refuse(&format!("detect.tiles{key}"), &message);
            (watched, None)
        }
    }
}

impl TilesConfig {
    /// Why it cannot be, with its key; by a picture that is larger than most.
    fn fault(&self, watched: &NormBox) -> Option<(&'static str, String)> {
        const PICTURE: (u32, u32) = (3840, 2160);
        let is_side = |side: &f64| (LEAST_SIDE..=1.0).contains(side);
        if !self.size.iter().all(is_side) {
            let message = format!("is width and height, each between {LEAST_SIDE} and 1");
            return Some((".size", message));
        }
        let [width, height] = self.size;
        let is_smaller = |largest: f64, side: f64| (0.0..side).contains(&largest);
        if !is_smaller(self.largest[0], width) || !is_smaller(self.largest[1], height) {
            let message = "is the width and height of what must lie wholly in a tile, below `size`";
            return Some((".largest", message.to_owned()));
        }
        if self.per_look == Some(0) {
            let message = "is at least 1 tile per look; without the key all are looked at";
            return Some((".per_look", message.to_owned()));
        }
        let watched = Crop::around(watched, PICTURE.0, PICTURE.1)?;
        let Some(tiling) = self.tiling(watched, PICTURE) else {
            return Some((".region", "lies outside `roi`".to_owned()));
        };
        match tiles::lay(&tiling) {
            Ok(tiles) if tiles.len() <= MOST_TILES => None,
            Ok(tiles) => Some((
                "",
                format!(
                    "makes {} tiles, the most is {MOST_TILES}; make `size` larger, or `region` or `largest` smaller",
                    tiles.len()
                ),
            )),
            Err(error) => Some(("", error.to_string())),
        }
    }
}

/// The box around points of a picture.
fn around(points: &[[f64; 2]]) -> Option<NormBox> {
    let is_inside = points
        .iter()
        .flatten()
        .all(|number| (0.0..=1.0).contains(number));
    if points.len() < 2 || !is_inside {
        return None;
    }
    let span = |axis: usize| {
        let numbers = points.iter().map(|point| point[axis]);
        let (least, most) = numbers.fold((1.0_f64, 0.0_f64), |(least, most), number| {
            (least.min(number), most.max(number))
        });
        (most - least >= LEAST_SIDE).then_some((least, most - least))
    };
    let ((x, width), (y, height)) = (span(0)?, span(1)?);
    Some(NormBox {
        x,
        y,
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::camera::testing::camera;
    use super::*;

    const SOURCE: &str = "source = { rtsp = 'rtsp://h/x' }\n";

    fn detect(keys: &str) -> Result<super::super::DetectConfig, String> {
        camera(&format!("{SOURCE}detect = {{ {keys} }}")).map(|camera| camera.detect)
    }

    #[test]
    fn a_region_is_the_box_around_its_corners_and_tiles_lie_in_it() {
        assert_eq!(detect("").unwrap().region, WHOLE);
        let config = detect("roi = [[0.5, 0.2], [0.0, 0.6], [0.25, 0.4]], tiles = {}").unwrap();
        let (region, tiles) = (config.region, config.tiles.unwrap());
        assert_eq!([region.x, region.y, region.width], [0.0, 0.2, 0.5]);
        let picture = (1920, 1080);
        let watched = Crop::around(&region, picture.0, picture.1).unwrap();
        // It is smaller than a tile.
        assert_eq!(tiles.lay(watched, picture), [watched]);
        let four = detect("tiles = { per_look = 1 }").unwrap().tiles.unwrap();
        for picture in [(1920, 1080), (768, 576), (641, 361), (3840, 2160)] {
            assert_eq!(
                four.lay(Crop::whole(picture.0, picture.1), picture).len(),
                4
            );
        }
        // Of a picture of nothing there are no tiles, and no panic.
        assert!(four.lay(Crop::whole(1, 1), (1, 1)).len() <= 1);
    }

    #[test]
    fn what_cannot_be_looked_at_is_a_fault_with_what_to_write() {
        for (keys, part) in [
            ("roi = [[0.1, 0.1]]", "detect.roi: is at least two corners"),
            ("roi = [[0.0, 0.0], [1.5, 1.0]]", "detect.roi"),
            ("roi = [[0.0, 0.5], [1.0, 0.501]]", "detect.roi"),
            ("tiles = { region = [[0.0, 0.0]] }", "detect.tiles.region"),
            (
                "tiles = { size = [0.0, 0.5] }",
                "detect.tiles.size: is width and height",
            ),
            ("tiles = { largest = [0.6, 0.1] }", "detect.tiles.largest"),
            (
                "tiles = { per_look = 0 }",
                "detect.tiles.per_look: is at least 1",
            ),
            (
                "tiles = { size = [0.2, 0.2], largest = [0.0, 0.0] }",
                "detect.tiles: makes 25 tiles, the most is 16",
            ),
            (
                "roi = [[0.0, 0.0], [0.4, 0.4]], tiles = { region = [[0.5, 0.5], [1.0, 1.0]] }",
                "detect.tiles.region: lies outside `roi`",
            ),
            ("tiles = { sice = [0.5, 0.5] }", "sice"),
        ] {
            let faults = detect(keys).unwrap_err();
            assert!(faults.contains(part), "{keys}: {faults}");
        }
    }
}
