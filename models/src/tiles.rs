//! Tiles: small far things are looked at in parts of the picture that a network
//! sees larger, and what the parts show is put together again.
//!
//! Tiles overlap by the size of the largest thing that must not be cut, so each
//! such thing lies wholly in at least one of them ([`lay`]). A thing is then seen
//! up to four times, some of them cut off at a tile's border: [`merge`] keeps the
//! whole sight, drops the cut ones that it covers, and joins the pieces of what
//! is larger than any tile allows.
//!
//! The whole picture is a tile like any other; adding it finds large things that
//! are not in pieces.

mod pieces;

use protocol::Detection;

use crate::nms;
use crate::picture::Crop;
use pieces::Piece;

/// How a region is cut into tiles; all in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// What is looked at.
    pub region: Crop,
    /// Width and height of a tile. A region that is smaller is one tile.
    pub tile: (u32, u32),
    /// Width and height up to which a thing lies wholly in one tile: the least
    /// overlap of neighbours.
    pub largest: (u32, u32),
}

/// A tiling that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TilingError {
    /// Neighbours would overlap wholly.
    #[error(
        "tiles of {}×{} pixels cannot hold things of {}×{} whole; make the tiles larger or the things smaller",
        tile.0, tile.1, largest.0, largest.1
    )]
    Overlap {
        /// Pixels.
        tile: (u32, u32),
        /// Pixels.
        largest: (u32, u32),
    },
    /// More looks than a box can afford.
    #[error(
        "that makes {0} tiles, the most is {MAX_TILES}; make the tiles larger or the region smaller"
    )]
    Count(u64),
    /// No pixels.
    #[error("a region of {}×{} pixels has nothing to look at", .0.width, .0.height)]
    Empty(Crop),
}

/// Most tiles of one picture.
pub const MAX_TILES: u64 = 256;

/// The tiles of a region: rows from the top, in each from the left, as few as
/// suffice and evenly spread.
pub fn lay(tiling: &Tiling) -> Result<Vec<Crop>, TilingError> {
    let Tiling {
        region,
        tile,
        largest,
    } = *tiling;
    if region.width == 0 || region.height == 0 {
        return Err(TilingError::Empty(region));
    }
    let too_close = |length: u32, tile: u32, largest: u32| length > tile && largest >= tile;
    if too_close(region.width, tile.0, largest.0) || too_close(region.height, tile.1, largest.1) {
        return Err(TilingError::Overlap { tile, largest });
    }
    let (columns, rows) = (
        count(region.width, tile.0, largest.0),
        count(region.height, tile.1, largest.1),
    );
    let total = columns.saturating_mul(rows);
    if total > MAX_TILES {
        return Err(TilingError::Count(total));
    }
    let (width, height) = (tile.0.min(region.width), tile.1.min(region.height));
    let across = places(region.width, width, columns);
    Ok(places(region.height, height, rows)
        .flat_map(|y| {
            across.clone().map(move |x| Crop {
                x: region.x + x,
                y: region.y + y,
                width,
                height,
            })
        })
        .collect())
}

/// How many tiles of an axis, each at most `tile − largest` after the last.
fn count(length: u32, tile: u32, largest: u32) -> u64 {
    if length <= tile {
        return 1;
    }
    u64::from((length - tile).div_ceil(tile - largest)) + 1
}

fn places(length: u32, tile: u32, count: u64) -> impl Iterator<Item = u32> + Clone {
    let (slack, gaps) = (u64::from(length - tile), (count - 1).max(1));
    // Rounding down moves no two neighbours further apart than the whole number above.
    (0..count).map(move |number| u32::try_from(number * slack / gaps).unwrap_or(u32::MAX))
}

/// What was seen in one tile.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The tile.
    pub tile: Crop,
    /// What is in it, in fractions of the whole picture, as
    /// [`Letterbox::to_picture`](crate::Letterbox::to_picture) gives it.
    pub detections: &'a [Detection],
}

/// A cut piece of which so much lies in a whole thing of its class is a part of it.
const COVERED: f64 = 0.7;

/// What the tiles show together, best first, at most [`nms::MAX_CANDIDATES`].
///
/// `tiling` is the one that the tiles were laid by, `picture` the width and
/// height of the picture in pixels. Two whole sights of one class that overlap
/// by more than `max_iou` are one thing. The order of tiles and of what they
/// hold changes nothing.
pub fn merge(
    tiling: &Tiling,
    picture: (u32, u32),
    sights: &[Sight<'_>],
    max_iou: f64,
) -> Vec<Detection> {
    let pieces = sights.iter().flat_map(|sight| {
        let tile = sight.tile;
        sight
            .detections
            .iter()
            .map(move |detection| Piece::of(detection, tile, tiling.region, picture))
    });
    let (whole, cut): (Vec<_>, Vec<_>) = pieces.partition(Piece::is_whole);
    let kept = nms::suppress(whole.iter().map(|piece| piece.seen).collect(), max_iou);
    let is_part = |piece: &Piece| {
        kept.iter().any(|whole| {
            whole.class == piece.seen.class
                && (pieces::shared(&whole.bounds, &piece.seen.bounds)
                    >= COVERED * piece.seen.bounds.area()
                    || whole.bounds.iou(&piece.seen.bounds) > max_iou)
        })
    };
    let mut cut: Vec<_> = cut.into_iter().filter(|piece| !is_part(piece)).collect();
    cut.sort_by(|a, b| nms::canonical_order(&a.seen, &b.seen).then_with(|| a.tile.cmp(&b.tile)));
    cut.truncate(nms::MAX_CANDIDATES);
    let joined = pieces::join(&cut);
    // What is in pieces is larger than what is whole, and may be covered by
    // nothing but a larger one of its kind.
    let mut all = kept;
    for candidate in joined {
        let is_known = all.iter().any(|known| {
            known.class == candidate.class
                && (known.bounds.iou(&candidate.bounds) > max_iou
                    || pieces::shared(&known.bounds, &candidate.bounds)
                        >= COVERED * candidate.bounds.area())
        });
        if !is_known {
            all.push(candidate);
        }
    }
    all.sort_by(nms::canonical_order);
    all.truncate(nms::MAX_CANDIDATES);
    all
}
