//! What is known of a zone and of those in it at a frame.

use std::collections::BTreeMap;

use protocol::{NormBox, ObjectClass, Point, TrackId};

use super::facts::is_stationary;
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::observation::{FrameView, Observation};
use crate::rules::params::ROAD_USERS;

/// Points on each side of the grid by which occupancy is measured.
const GRID: u32 = 24;
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

/// Points spread evenly over a zone, by which the covered part of it is measured.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    points: Vec<Point>,
    /// Kept for its memory only.
    boxes: Vec<NormBox>,
}

impl Grid {
    pub(super) fn new(zone: &Zone) -> Self {
        let axis = |pick: fn(&Point) -> f64| {
            let values = || zone.points.iter().map(pick);
            (
                values().fold(f64::INFINITY, f64::min),
                values().fold(f64::NEG_INFINITY, f64::max),
            )
        };
        let ((left, right), (top, bottom)) = (axis(|p| p.x), axis(|p| p.y));
        let at = |low: f64, high: f64, step: u32| {
            low + (high - low) * (f64::from(step) + 0.5) / f64::from(GRID)
        };
        let points = (0..GRID * GRID).map(|index| Point {
            x: at(left, right, index % GRID),
            y: at(top, bottom, index / GRID),
        });
        Self {
            points: points
                .filter(|p| polygon_contains(&zone.points, *p))
                .collect(),
            boxes: Vec::new(),
        }
    }

    /// The part of the zone that boxes of those in it cover.
    pub(super) fn covered(
        &mut self,
        zone: &Zone,
        frame: &FrameView<'_>,
        classes: &[ObjectClass],
    ) -> f64 {
        self.boxes.clear();
        self.boxes
            .extend(members(zone, frame, classes).map(|user| user.bounds));
        let is_covered = |point: &&Point| {
            self.boxes.iter().any(|b| {
                (b.x..=b.right()).contains(&point.x) && (b.y..=b.bottom()).contains(&point.y)
            })
        };
        let covered = self.points.iter().filter(is_covered).count();
        covered as f64 / (self.points.len() as f64).max(1.0)
    }
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
