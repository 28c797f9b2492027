//! What is known of a zone and of those in it at a frame.

use std::collections::BTreeMap;

use protocol::{ObjectClass, Point, TrackId};

use super::facts::is_stationary;
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::observation::{FrameView, Observation};
use crate::rules::params::ROAD_USERS;

/// Points on each side of the grid by which occupancy is measured; a row fits a number.
const GRID: usize = 24;
/// Two sightings farther apart than this were not watched in between, s.
const UNSEEN_S: f64 = 2.0;
/// Who is seen outside for longer has left, s.
const LEFT_S: f64 = 1.0;

/// A zone at a frame.
#[derive(Clone, Debug, Default)]
pub(super) struct ZoneLook {
    counts: [f64; ROAD_USERS.len()],
    stationary: f64,
    speeds: (f64, f64),
    /// The part of its area that boxes cover.
    pub(super) occupancy: f64,
    /// Of those that are in it, s.
    pub(super) longest_dwell_s: f64,
}

impl ZoneLook {
    pub(super) fn new(
        zone: &Zone,
        frame: &FrameView<'_>,
        classes: &[ObjectClass],
        dwells: &Dwells,
    ) -> Self {
        let mut look = Self::default();
        for user in members(zone, frame, classes) {
            let Some(class) = ROAD_USERS.iter().position(|class| *class == user.class) else {
                continue;
            };
            look.counts[class] += 1.0;
            if is_stationary(frame, user) {
                look.stationary += 1.0;
            }
            if let Some(speed) = user.motion.and_then(|motion| motion.ground_speed()) {
                look.speeds.0 += speed.0;
                look.speeds.1 += 1.0;
            }
            look.longest_dwell_s = look.longest_dwell_s.max(dwells.of(user.track));
        }
        look
    }

    pub(super) fn count(&self) -> f64 {
        self.counts.iter().sum()
    }

    pub(super) fn count_of(&self, class: ObjectClass) -> f64 {
        let index = ROAD_USERS.iter().position(|known| *known == class);
        index.map_or(0.0, |index| self.counts[index])
    }

    pub(super) fn stationary(&self) -> f64 {
        self.stationary
    }

    pub(super) fn mean_speed_kmh(&self) -> Option<f64> {
        (self.speeds.1 > 0.0).then(|| self.speeds.0 / self.speeds.1)
    }
}

/// Those in a zone who are road users of their own: a rider belongs to the vehicle.
fn members<'f>(
    zone: &'f Zone,
    frame: &FrameView<'f>,
    classes: &'f [ObjectClass],
) -> impl Iterator<Item = &'f Observation> {
    frame.users.iter().filter(|user| {
        classes.contains(&user.class)
            && !user.is_rider
            && polygon_contains(&zone.points, user.spot.foot)
    })
}

/// A grid of points over a zone, by which the covered part of it is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Left and top of the zone, and the size of a cell.
    origin: (f64, f64),
    cell: (f64, f64),
    /// Which points, the middles of cells, are in the zone: a row for each number.
    zone: [u32; GRID],
}

impl Grid {
    pub(super) fn new(zone: &Zone) -> Self {
        let axis = |pick: fn(&Point) -> f64| {
            let values = || zone.points.iter().map(pick);
            let least = values().fold(f64::INFINITY, f64::min);
            let most = values().fold(f64::NEG_INFINITY, f64::max);
            (least, (most - least) / GRID as f64)
        };
        let ((left, width), (top, height)) = (axis(|p| p.x), axis(|p| p.y));
        let mut rows = [0; GRID];
        for (row, bits) in rows.iter_mut().enumerate() {
            for column in 0..GRID {
                let point = Point {
                    x: left + (column as f64 + 0.5) * width,
                    y: top + (row as f64 + 0.5) * height,
                };
                *bits |= u32::from(polygon_contains(&zone.points, point)) << column;
            }
        }
        Self {
            origin: (left, top),
            cell: (width, height),
            zone: rows,
        }
    }

    /// The part of the zone that boxes of those in it cover.
    pub(super) fn covered(
        &self,
        zone: &Zone,
        frame: &FrameView<'_>,
        classes: &[ObjectClass],
    ) -> f64 {
        let mut covered = [0_u32; GRID];
        for user in members(zone, frame, classes) {
            let b = &user.bounds;
            let columns = middles((b.x, b.right()), self.origin.0, self.cell.0);
            let mask = columns.fold(0_u32, |mask, column| mask | 1 << column);
            for row in middles((b.y, b.bottom()), self.origin.1, self.cell.1) {
                covered[row] |= mask;
            }
        }
        let count = |rows: [u32; GRID]| -> u32 { rows.iter().map(|row| row.count_ones()).sum() };
        let mut inside = covered;
        for (row, zone) in inside.iter_mut().zip(self.zone) {
            *row &= zone;
        }
        f64::from(count(inside)) / f64::from(count(self.zone).max(1))
    }
}

/// The cells along one axis whose middles lie between two edges.
fn middles((low, high): (f64, f64), origin: f64, cell: f64) -> std::ops::Range<usize> {
    let at = |edge: f64| ((edge - origin) / cell.max(1e-12)).clamp(0.0, GRID as f64);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the grid
    let rounded = |place: f64| (place + 0.5).floor() as usize;
    rounded(at(low)).min(GRID)..rounded(at(high)).min(GRID)
}

/// For how long each road user has been in the zone, in watched time.
#[derive(Clone, Debug, Default)]
pub(super) struct Dwells(BTreeMap<TrackId, Dwell>);

#[derive(Clone, Copy, Debug)]
struct Dwell {
    so_far_s: f64,
    /// Watched time of the last look, and of the last that showed it inside.
    looked: f64,
    inside: f64,
    was_inside: bool,
}

impl Dwells {
    pub(super) fn look(&mut self, zone: &Zone, frame: &FrameView<'_>) {
        let now = frame.watched;
        for user in frame.users {
            let is_inside = polygon_contains(&zone.points, user.spot.foot);
            if is_inside {
                let dwell = self.0.entry(user.track).or_insert(Dwell {
                    so_far_s: 0.0,
                    looked: now,
                    inside: now,
                    was_inside: true,
                });
                // Negative when a frozen picture's time is taken back.
                let passed = now - dwell.looked;
                if dwell.was_inside && passed <= UNSEEN_S {
                    dwell.so_far_s = (dwell.so_far_s + passed).max(0.0);
                }
                *dwell = Dwell {
                    so_far_s: dwell.so_far_s,
                    looked: now,
                    inside: now,
                    was_inside: true,
                };
            } else if let Some(dwell) = self.0.get_mut(&user.track) {
                dwell.looked = now;
                dwell.was_inside = false;
                if now - dwell.inside > LEFT_S {
                    self.0.remove(&user.track);
                }
            }
        }
    }

    pub(super) fn of(&self, track: TrackId) -> f64 {
        self.0.get(&track).map_or(0.0, |dwell| dwell.so_far_s)
    }

    pub(super) fn forget(&mut self, track: TrackId) {
        self.0.remove(&track);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::middles;

    #[test]
    fn a_box_covers_the_cells_whose_middles_it_covers() {
        for (edges, expected) in [
            ((0.0, 0.4), 0..0),
            ((0.0, 0.6), 0..1),
            ((0.4, 2.6), 0..3),
            ((0.6, 2.4), 1..2),
            ((-5.0, 99.0), 0..24),
            ((30.0, 40.0), 24..24),
        ] {
            assert_eq!(middles(edges, 0.0, 1.0), expected, "{edges:?}");
        }
    }
}
