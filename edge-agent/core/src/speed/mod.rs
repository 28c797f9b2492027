//! The speed of one road user on its way through a calibrated gate, with an
//! interval that says how well it is known.
//!
//! A box is not a point of its vehicle: as the vehicle passes, the box's edges
//! move from one corner to another, and a speed taken from the middle of the
//! lower edge is wrong by several per cent at a slant. So a vehicle is fitted
//! as what throws such boxes: a cuboid that drives straight on, its corners
//! projected by the camera that the homography implies (`fit`). Every look in
//! the gate counts, an outlier for little.
//!
//! The interval has three parts. *Boxes*: their jitter, from the residuals and
//! from what is usual, and with it that neighbouring looks err alike.
//! *Calibration*: the error of the distance that was driven, for which the
//! errors of its two ends are correlated. *Time*: jitter of the time stamps.

mod cuboid;
mod fit;
pub(crate) mod passage;

use protocol::units::KmPerHour;
use protocol::{EventTime, NormBox, ObjectClass, Point};

pub use cuboid::Size;

use crate::calibration::{Camera, Ground};
use crate::geometry::Vector;

/// Looks that are kept of one passage; more are merged, pair by pair.
pub const MOST_LOOKS: usize = 64;

/// One look at a road user in the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    /// When, in seconds since the passage's first look.
    pub t: f64,
    /// Left, right, top and bottom edge of the detector's box, in the picture.
    pub edges: [f64; 4],
    /// Which part of its lower edge another road user covers, 0 to 1.
    pub covered: f64,
}

/// The looks of one passage through a gate, in bounded memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Looks {
    began: Option<EventTime>,
    /// Means of `stride` looks each.
    kept: Vec<Look>,
    stride: usize,
    /// Sum and number of those that are not yet a mean: a vehicle that stands
    /// in the gate for days must not be a list of days.
    pending: (Look, usize),
    /// The first and the last with the vehicle's middle in the gate.
    within: Option<(Look, Look)>,
    count: usize,
}

impl Looks {
    /// Takes a look, at a vehicle whose middle is in the gate or near it. Times must rise.
    pub fn take(&mut self, time: EventTime, bounds: &NormBox, covered: f64, is_within: bool) {
        let began = *self.began.get_or_insert(time);
        self.stride = self.stride.max(1);
        self.count += 1;
        let look = Look {
            t: time.since(began).0,
            edges: [bounds.x, bounds.right(), bounds.y, bounds.bottom()],
            covered,
        };
        if is_within {
            self.within.get_or_insert((look, look)).1 = look;
        }
        let (sum, pending) = &mut self.pending;
        sum.add(&look);
        *pending += 1;
        if *pending < self.stride {
            return;
        }
        if self.kept.len() == MOST_LOOKS {
            let merged: Vec<Look> = self.kept.chunks(2).filter_map(mean).collect();
            self.kept = merged;
            self.stride *= 2;
            if self.pending.1 < self.stride {
                return;
            }
        }
        let (sum, pending) = std::mem::take(&mut self.pending);
        self.kept.push(sum.times(1.0 / pending as f64));
    }

    /// How many looks were taken.
    pub fn count(&self) -> usize {
        self.count
    }

    /// When the first look was taken.
    pub fn began(&self) -> Option<EventTime> {
        self.began
    }

    fn all(&self) -> &[Look] {
        &self.kept
    }
}

impl Look {
    fn add(&mut self, other: &Self) {
        self.t += other.t;
        self.covered += other.covered;
        for (sum, edge) in self.edges.iter_mut().zip(other.edges) {
            *sum += edge;
        }
    }

    fn times(mut self, factor: f64) -> Self {
        self.t *= factor;
        self.covered *= factor;
        for edge in &mut self.edges {
            *edge *= factor;
        }
        self
    }
}

/// The mean of consecutive looks: over a few frames a box moves evenly.
fn mean(looks: &[Look]) -> Option<Look> {
    let mut sum = Look::default();
    for look in looks {
        sum.add(look);
    }
    (!looks.is_empty()).then(|| sum.times(1.0 / looks.len() as f64))
}

/// A stretch of road between two lines, on the ground.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// Ends of the line where it begins.
    entry: [Vector; 2],
    /// Ends of the line where it ends.
    exit: [Vector; 2],
    /// The middle of either line in the picture.
    middles: [Point; 2],
    /// Unit vector along the road.
    along: Vector,
    /// From line to line along the road, by the calibration, m.
    pub length_m: f64,
    /// Standard deviation of that, from the calibration, m.
    pub length_sigma_m: f64,
}

/// Lines that are farther from parallel bound no stretch of road, degrees.
const MOST_SKEW: f64 = 30.0;
/// How far beside the lines' ends a contact point still belongs to the gate, as
/// a part of their length: lines are drawn from kerb to kerb by hand.
const BESIDE: f64 = 0.1;

impl Stretch {
    /// Between two lines of the picture, in the direction from the first to the
    /// second. `None` where they are not on the ground, or bound no stretch of road.
    pub fn new(ground: &Ground, entry: (Point, Point), exit: (Point, Point)) -> Option<Self> {
        let place = |point| ground.to_ground(point);
        let entry_ends = [place(entry.0)?, place(entry.1)?];
        let mut exit_ends = [place(exit.0)?, place(exit.1)?];
        let across_entry = entry_ends[1] - entry_ends[0];
        let mut across_exit = exit_ends[1] - exit_ends[0];
        if across_entry.dot(across_exit) < 0.0 {
            exit_ends.swap(0, 1);
            across_exit = across_exit * -1.0;
        }
        if across_entry.angle_degrees(across_exit) > MOST_SKEW {
            return None;
        }
        let across = (across_entry.unit()? + across_exit.unit()?).unit()?;
        let middle = |[a, b]: [Vector; 2]| (a + b) * 0.5;
        let way = middle(exit_ends) - middle(entry_ends);
        let mut along = Vector::new(-across.y, across.x);
        if along.dot(way) < 0.0 {
            along = along * -1.0;
        }
        let length_m = along.dot(way);
        let middles = [
            ground.to_image(middle(entry_ends))?,
            ground.to_image(middle(exit_ends))?,
        ];
        let (distance, sigma) = ground.distance(middles[0], middles[1])?;
        (length_m > 1.0).then_some(Self {
            entry: entry_ends,
            exit: exit_ends,
            middles,
            along,
            length_m,
            length_sigma_m: sigma * length_m / distance.max(length_m),
        })
    }

    /// How far a place is beyond the first line along the road, in metres; the
    /// second value says whether it is between the ends of the lines.
    pub fn progress(&self, place: Vector) -> (f64, bool) {
        // Along the road the two lines' distances are interpolated, so that
        // each line is exactly where it was drawn, also askew.
        let beyond = |[a, b]: [Vector; 2]| {
            let across = b - a;
            let along = self.along;
            // Where the line meets the way through `place`.
            let part = along.cross(place - a) / along.cross(across);
            (along.dot(place - (a + across * part)), part)
        };
        let (from_entry, at_entry) = beyond(self.entry);
        let (_, at_exit) = beyond(self.exit);
        let side = |part: f64| (-BESIDE..=1.0 + BESIDE).contains(&part);
        (from_entry, side(at_entry) && side(at_exit))
    }

    /// How far a place is short of the second line, in metres along the road.
    pub fn remaining(&self, place: Vector) -> f64 {
        let [a, b] = self.exit;
        let across = b - a;
        let part = self.along.cross(place - a) / self.along.cross(across);
        -self.along.dot(place - (a + across * part))
    }

    /// How far ahead of its contact point the middle of a vehicle is along the
    /// road, in metres: half its length where it drives away from the camera,
    /// less half where it comes.
    pub fn ahead(&self, place: Vector, camera: Option<&Camera>, size: Size) -> f64 {
        let view = camera.and_then(|camera| (place - camera.below).unit());
        view.map_or(0.0, |view| self.along.dot(view) * size.length.0 / 2.0)
    }

    /// Unit vector along the road.
    pub fn along(&self) -> Vector {
        self.along
    }
}

/// What a speed is measured with.
#[derive(Clone, Copy, Debug)]
pub struct Instrument<'a> {
    /// The calibration.
    pub ground: &'a Ground,
    /// The camera that it implies; `None`: the middle of the lower edge is
    /// taken for a point of the vehicle, and the interval is wider for it.
    pub camera: Option<&'a Camera>,
    /// Width over height of the picture.
    pub aspect: f64,
    /// Where.
    pub stretch: &'a Stretch,
    /// Length of the stretch by a tape, and its standard deviation, m.
    pub surveyed: Option<(f64, f64)>,
    /// Standard deviation of one time stamp, s.
    pub time_sigma_s: f64,
}

/// A measured speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Mean over the gate.
    pub speed: KmPerHour,
    /// Lower end of the 95 % interval.
    pub low: KmPerHour,
    /// Upper end.
    pub high: KmPerHour,
    /// Of it, standard deviation from boxes and time stamps.
    pub sigma_boxes: KmPerHour,
    /// Of it, standard deviation from the length of the gate.
    pub sigma_length: KmPerHour,
    /// How far the vehicle was followed in the gate, m.
    pub way_m: f64,
    /// For how long, s.
    pub duration_s: f64,
    /// Looks that were used.
    pub looks: usize,
    /// Root mean square of the boxes' edges from where the fitted vehicle
    /// would have them, as a part of the box.
    pub misfit: f64,
}

impl Instrument<'_> {
    /// How far beyond the first line the middle of a vehicle of this size is
    /// whose box is seen there, roughly, in metres: from the lower edge, which
    /// is where it is nearest to the camera.
    fn progress(&self, [left, right, _, bottom]: [f64; 4], size: Size) -> Option<f64> {
        let foot = Point {
            x: f64::midpoint(left, right),
            y: bottom,
        };
        let place = self.ground.to_ground(foot)?;
        let ahead = self.stretch.ahead(place, self.camera, size);
        Some(self.stretch.progress(place).0 + ahead)
    }

    /// The speed of a passage; `None` where the looks do not determine it.
    pub fn measure(&self, looks: &Looks, class: ObjectClass) -> Option<Speed> {
        let fit = fit::fit(self, looks, Size::of(class))?;
        let speed = fit.speed;
        // Calibration or tape: whichever knows the length of the gate better.
        let by_calibration = (self.stretch.length_m, self.stretch.length_sigma_m);
        let (length, sigma) = match self.surveyed {
            Some(tape) if tape.1 < by_calibration.1 => tape,
            _ => by_calibration,
        };
        let scale = length / self.stretch.length_m;
        let kmh = |metres_per_second: f64| KmPerHour::from_metres_per_second(metres_per_second);
        let mean = speed * scale;
        let boxes = fit.sigma * scale;
        let of_length = mean * sigma / length;
        let total = (boxes * boxes * fit.quantile * fit.quantile
            + of_length * of_length * NORMAL_95 * NORMAL_95)
            .sqrt();
        Some(Speed {
            speed: kmh(mean),
            low: kmh((mean - total).max(0.0)),
            high: kmh(mean + total),
            sigma_boxes: kmh(boxes),
            sigma_length: kmh(of_length),
            way_m: speed * fit.duration * scale,
            duration_s: fit.duration,
            looks: looks.count(),
            misfit: fit.misfit,
        })
    }
}

/// 97.5 % of a normal distribution lie below this many standard deviations.
const NORMAL_95: f64 = 1.96;

#[cfg(test)]
pub(crate) mod simulation;
#[cfg(test)]
mod tests;
