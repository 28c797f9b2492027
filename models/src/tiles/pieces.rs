//! Pieces: what a tile's border cuts off, and how it is joined.

use protocol::{Detection, NormBox};

use crate::nms;
use crate::picture::Crop;

/// A sight and the sides at which its tile's border cuts it; axes are x and y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) seen: Detection,
    pub(super) tile: Crop,
    /// Whether it goes on to the left, above.
    cut_before: [bool; 2],
    /// Whether it goes on to the right, below.
    cut_after: [bool; 2],
    /// Distances within which edges count as one, in fractions of the picture.
    margin: [f64; 2],
}

/// How near an edge must lie to its tile's border to be cut by it, as a part of
/// the tile: a network puts an edge right to about a cell of its finest grid,
/// which is 1/52 to 1/80 of its input.
const MARGIN: f64 = 1.0 / 64.0;

/// How alike the extents of two pieces must be along the border that parts
/// them, as intersection over union.
const ALIKE: f64 = 0.6;

impl Piece {
    pub(super) fn of(seen: &Detection, tile: Crop, region: Crop, picture: (u32, u32)) -> Self {
        let mut piece = Self {
            seen: *seen,
            tile,
            cut_before: [false; 2],
            cut_after: [false; 2],
            margin: [0.0; 2],
        };
        let axes = [
            (tile.x, tile.width, region.x, region.width, picture.0),
            (tile.y, tile.height, region.y, region.height, picture.1),
        ];
        for (axis, (at, length, region_at, region_length, pixels)) in axes.into_iter().enumerate() {
            let (end, region_end) = (
                at.saturating_add(length),
                region_at.saturating_add(region_length),
            );
            let fraction = |pixel: u32| f64::from(pixel) / f64::from(pixels);
            let margin = MARGIN * fraction(length);
            let (from, to) = stretch(&seen.bounds, axis);
            // At the region's own border there is no other tile to see more.
            piece.cut_before[axis] = at > region_at && from < fraction(at) + margin;
            piece.cut_after[axis] = end < region_end && to > fraction(end) - margin;
            piece.margin[axis] = margin;
        }
        piece
    }

    pub(super) fn is_whole(&self) -> bool {
        self.cut_before == [false; 2] && self.cut_after == [false; 2]
    }

    /// Whether two pieces are of one thing: each is cut where the other goes
    /// on, they meet, and along the border they reach equally far.
    fn belongs_to(&self, other: &Self) -> bool {
        let goes_on = |one: &Self, next: &Self, axis: usize| {
            let (a, b) = (
                stretch(&one.seen.bounds, axis),
                stretch(&next.seen.bounds, axis),
            );
            one.cut_after[axis]
                && next.cut_before[axis]
                && a.0 <= b.0
                && a.1 + one.margin[axis] >= b.0
        };
        let is_joint = |axis: usize| {
            (goes_on(self, other, axis) || goes_on(other, self, axis))
                && alike(
                    stretch(&self.seen.bounds, 1 - axis),
                    stretch(&other.seen.bounds, 1 - axis),
                ) >= ALIKE
        };
        self.seen.class == other.seen.class
            && self.tile != other.tile
            && (is_joint(0) || is_joint(1))
    }
}

/// From where to where a box reaches along an axis.
fn stretch(bounds: &NormBox, axis: usize) -> (f64, f64) {
    if axis == 0 {
        (bounds.x, bounds.right())
    } else {
        (bounds.y, bounds.bottom())
    }
}

/// Intersection over union of two stretches.
fn alike(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (shared, both) = (a.1.min(b.1) - a.0.max(b.0), a.1.max(b.1) - a.0.min(b.0));
    shared / both
}

/// Area that two boxes share.
pub(super) fn shared(a: &NormBox, b: &NormBox) -> f64 {
    let width = a.right().min(b.right()) - a.x.max(b.x);
    let height = a.bottom().min(b.bottom()) - a.y.max(b.y);
    width.max(0.0) * height.max(0.0)
}

/// Pieces that belong together become one: the box around them, with the best
/// score. Best first. `pieces` are in canonical order.
pub(super) fn join(pieces: &[Piece]) -> Vec<Detection> {
    let mut group: Vec<usize> = (0..pieces.len()).collect();
    for (number, piece) in pieces.iter().enumerate() {
        for (before, other) in pieces.iter().enumerate().take(number) {
            if piece.belongs_to(other) {
                let (one, two) = (root(&group, before), root(&group, number));
                group[one.max(two)] = one.min(two);
            }
        }
    }
    let mut joined: Vec<Option<Detection>> = vec![None; pieces.len()];
    for (number, piece) in pieces.iter().enumerate() {
        // The first of a group is its best.
        match &mut joined[root(&group, number)] {
            Some(whole) => whole.bounds = around(&whole.bounds, &piece.seen.bounds),
            empty @ None => *empty = Some(piece.seen),
        }
    }
    let mut joined: Vec<_> = joined.into_iter().flatten().collect();
    // The larger first: what a piece that was left alone shows may lie in it.
    joined.sort_by(|a, b| {
        (b.bounds.area().total_cmp(&a.bounds.area())).then_with(|| nms::canonical_order(a, b))
    });
    joined
}

fn root(group: &[usize], mut number: usize) -> usize {
    while group[number] != number {
        number = group[number];
    }
    number
}

fn around(a: &NormBox, b: &NormBox) -> NormBox {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    NormBox {
        x,
        y,
        width: a.right().max(b.right()) - x,
        height: a.bottom().max(b.bottom()) - y,
    }
}
