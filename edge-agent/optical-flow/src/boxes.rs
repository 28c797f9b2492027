//! A box moves with its points.

use protocol::NormBox;

use crate::lucas_kanade::{self, Guess};
use crate::pyramid::Pyramid;
use crate::search;

/// Points along each side of a box's middle.
const GRID: usize = 4;
/// The grid leaves out this share of a box at each side: what is behind shows there.
pub(crate) const MARGIN: f64 = 0.2;
/// Fewer points than these tell nothing of a box.
const LEAST_POINTS: usize = 5;
/// Points agree that moved like the middle one of all, within this many pixels and this share of
/// that motion.
const AGREE_PX: f32 = 1.0;
const AGREE_SHARE: f32 = 0.15;
/// Distances below this tell no growth, pixels.
const LEAST_DISTANCE: f32 = 3.0;
/// Between two pictures nothing grows or shrinks by more.
const MOST_GROWTH: f32 = 1.1;

/// Where each of `boxes` of the picture `before` is in `after`. `None` of one whose points
/// are not found again or do not agree, and of all where the pictures differ in size.
pub fn moved(before: &Pyramid, after: &Pyramid, boxes: &[NormBox]) -> Vec<Option<NormBox>> {
    let size = before.size();
    if size != after.size() || size == (0, 0) {
        return vec![None; boxes.len()];
    }
    let size = [size.0 as f32, size.1 as f32];
    boxes
        .iter()
        .map(|bounds| of_one(before, after, size, bounds))
        .collect()
}

fn of_one(before: &Pyramid, after: &Pyramid, size: [f32; 2], bounds: &NormBox) -> Option<NormBox> {
    let points = agreeing(points(before, after, size, bounds, Guess::STILL))
        // The dear search is for those few who went farther than points are found again.
        .or_else(|| {
            let guess = search::guess(before, after, bounds)?;
            agreeing(self::points(before, after, size, bounds, guess))
        })?;
    let [dx, dy] = [0, 1].map(|axis| median(points.iter().map(|point| point.motion[axis])));
    let growth = growth(&points);
    let (width, height) = (bounds.width * growth, bounds.height * growth);
    Some(NormBox {
        x: bounds.x + bounds.width / 2.0 + f64::from(dx / size[0]) - width / 2.0,
        y: bounds.y + bounds.height / 2.0 + f64::from(dy / size[1]) - height / 2.0,
        width,
        height,
    })
}

/// A point of a box that was found again. Pixels.
struct Point {
    at: [f32; 2],
    motion: [f32; 2],
}

/// Those points of the box's grid that are found again.
#[allow(clippy::cast_possible_truncation)] // pixels of a picture of 640
fn points(
    before: &Pyramid,
    after: &Pyramid,
    size: [f32; 2],
    bounds: &NormBox,
    guess: Guess,
) -> Vec<Point> {
    let share = |at: usize| MARGIN + (1.0 - 2.0 * MARGIN) * at as f64 / (GRID - 1) as f64;
    let grid = (0..GRID * GRID).map(|number| {
        let (column, line) = (number % GRID, number / GRID);
        [
            (bounds.x + bounds.width * share(column)) as f32 * size[0],
            (bounds.y + bounds.height * share(line)) as f32 * size[1],
        ]
    });
    // Boxes reach beyond the picture, and a broken model may say anything.
    let is_inside = |at: &[f32; 2]| (0..2).all(|axis| (0.0..size[axis]).contains(&at[axis]));
    grid.filter(is_inside)
        .filter_map(|at| {
            let motion = lucas_kanade::motion(before, after, at, guess)?;
            Some(Point { at, motion })
        })
        .collect()
}

/// Those that moved like the middle one of all, where they are enough.
fn agreeing(mut points: Vec<Point>) -> Option<Vec<Point>> {
    if points.len() < LEAST_POINTS {
        return None;
    }
    let middle = [0, 1].map(|axis| median(points.iter().map(|point| point.motion[axis])));
    let reach = AGREE_PX + AGREE_SHARE * length(middle);
    points.retain(|point| apart(point.motion, middle) <= reach);
    (points.len() >= LEAST_POINTS).then_some(points)
}

/// How much farther the points are from each other than before: the middle one of all pairs.
fn growth(points: &[Point]) -> f64 {
    let growths = points.iter().enumerate().flat_map(|(number, point)| {
        points[..number].iter().filter_map(|other| {
            let was = apart(point.at, other.at);
            let moved = [0, 1].map(|axis| point.motion[axis] - other.motion[axis]);
            let is = apart([point.at[0] + moved[0], point.at[1] + moved[1]], other.at);
            (was >= LEAST_DISTANCE).then_some(is / was)
        })
    });
    let growth = median(growths).clamp(1.0 / MOST_GROWTH, MOST_GROWTH);
    // Not a number where all points are one.
    if growth.is_finite() {
        f64::from(growth)
    } else {
        1.0
    }
}

fn apart(a: [f32; 2], b: [f32; 2]) -> f32 {
    length([a[0] - b[0], a[1] - b[1]])
}

/// Not `hypot`, which is the platform's.
fn length([x, y]: [f32; 2]) -> f32 {
    (x * x + y * y).sqrt()
}

/// The middle one; not a number where there is none.
fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f32::NAN)
}
