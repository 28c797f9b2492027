//! The fit of a passage: where a vehicle was, how fast it drove, how big it is.
//!
//! Robust, regularised least squares on the edges of the boxes. The speed is a
//! broken line over time, so that a vehicle may brake and stop within the gate;
//! what is reported is its mean. Edges that touch the border of the picture do
//! not count, and the upper edge only tells the height: roofs are no planes.

#![allow(clippy::many_single_char_names)] // x, y, w and matrix entries are called so

use protocol::Point;

use super::cuboid::{Cuboid, Size};
use super::{Instrument, Look, Looks};
use crate::calibration::linear::{Fit, least_squares, quadratic};
use crate::geometry::Vector;

/// What the looks say.
pub(super) struct Passage {
    /// Mean speed from the first look to the last, m/s.
    pub(super) speed: f64,
    /// Its standard deviation, from boxes and time stamps, m/s.
    pub(super) sigma: f64,
    /// How many standard deviations 95 % are, with as few looks.
    pub(super) quantile: f64,
    /// From the first look to the last, s.
    pub(super) duration: f64,
    /// Root mean square residual, as a part of the box.
    pub(super) misfit: f64,
}

/// Jitter of an edge as a part of the box's extent across it, before anything
/// was seen: that of the detectors in use, by day.
const USUAL_JITTER: f64 = 0.02;
/// The usual jitter weighs as much as this many looks.
const USUAL_WEIGHT: f64 = 4.0;
/// A lower edge that is wholly covered by a nearer road user is put wrong by this
/// part of the height, towards it or away from it; see `tracker::footing`.
const COVERED: f64 = crate::tracker::footing::PULL;
/// No edge is better than this, in picture heights: half a pixel of 1080.
const FINEST: f64 = 0.000_5;
/// The upper edge is where a cuboid would have it within this part of the height.
const ROOF: f64 = 0.1;
/// An edge this close to the border of the picture is the border's, not the vehicle's.
const BORDER: f64 = 0.004;
/// Road users change their speed by about this in a second, m/s².
const ACCELERATION: f64 = 1.5;
/// Time between the knots of the speed, s.
const KNOT_S: f64 = 1.5;
/// And at most so many pieces.
const MOST_PIECES: usize = 8;
/// Lanes run along the gate within about this, rad.
const HEADING: f64 = 0.1;
/// Standardised residuals beyond this count for less and less (Huber).
const OUTLIER: f64 = 2.5;
/// Without a camera model the contact point may wander over the vehicle by
/// about this part of its length from one end of the gate to the other.
const WANDER: f64 = 0.15;
/// Jitter persists for about this time: the picture changes little from frame
/// to frame, and the detector errs alike. Weighs as much as so many looks, s.
const USUAL_PERSISTENCE: (f64, f64) = (0.15, 30.0);
/// Jitter of neighbouring looks is assumed to be alike at most so much.
const MOST_ALIKE: f64 = 0.95;

/// Unknowns before the speeds at the knots.
const X: usize = 0;
const Y: usize = 1;
const TURN: usize = 2;
const LENGTH: usize = 3;
const WIDTH: usize = 4;
const HEIGHT: usize = 5;
const SPEEDS: usize = 6;

struct Model<'a> {
    instrument: &'a Instrument<'a>,
    size: Size,
    looks: &'a [Look],
    /// Edges in the model's coordinates, with the extent across each.
    seen: Vec<[Seen; 4]>,
    knots: usize,
    duration: f64,
}

/// One edge of one look.
#[derive(Clone, Copy)]
struct Seen {
    place: f64,
    /// Expected jitter, in picture heights; infinite: does not count.
    sigma: f64,
    extent: f64,
}

/// What the residuals of a round are worth.
#[derive(Clone, Copy)]
struct Weighing<'a> {
    /// Jitter of each kind of edge, in units of the expected one.
    scales: &'a [f64; 4],
    /// By how much more jitter counts because neighbouring looks err alike.
    grow: f64,
    /// Outliers count for less.
    weights: &'a [[f64; 4]],
    /// By how much an edge moves within the jitter of its time stamp.
    drifts: &'a [[f64; 4]],
}

/// Somebody who took longer crawled or stood; where it was at either end then
/// says more than a smooth way between, s.
const CRAWL_S: f64 = 12.0;
/// The places at either end are as good as this, m: a box's lower edge on a
/// vehicle that turns a little.
const END_M: f64 = 0.4;

/// The speed of somebody who crawled through the gate, or stood in it: from
/// the first look within the gate to the last.
fn crawl(instrument: &Instrument<'_>, looks: &Looks, size: Size) -> Option<Passage> {
    let (first, last) = looks.within?;
    let way = instrument.progress(last.edges, size)? - instrument.progress(first.edges, size)?;
    let duration = last.t - first.t;
    (duration > 0.0).then(|| Passage {
        speed: way / duration,
        sigma: END_M * core::f64::consts::SQRT_2 / duration,
        quantile: super::NORMAL_95,
        duration,
        misfit: 0.0,
    })
}

/// Fits a passage.
pub(super) fn fit(instrument: &Instrument<'_>, all: &Looks, size: Size) -> Option<Passage> {
    let looks = all.all();
    let model = Model::new(instrument, looks, size)?;
    if model.duration > CRAWL_S {
        return crawl(instrument, all, size);
    }
    let start = model.start()?;
    let steps = model.steps();
    let mut scales = [1.0; 4];
    let mut weights = vec![[1.0; 4]; looks.len()];
    let mut params = start;
    let mut alike = 0.0;
    let mut fit: Option<Fit> = None;
    // First as told, then with the jitter that shows, then with what is alike.
    for (round, iterations) in [(0, 12), (1, 6), (2, 6), (3, 6)] {
        let grow = if round < 2 {
            1.0
        } else {
            (1.0_f64 + alike) / (1.0 - alike)
        }
        .sqrt();
        let drifts = model.drifts(&params)?;
        let weighing = Weighing {
            scales: &scales,
            grow,
            weights: &weights,
            drifts: &drifts,
        };
        let found = least_squares(&params, &steps, (iterations, 1e-5), &mut |p, out| {
            model.residuals(p, &weighing, out)
        })?;
        params.clone_from(&found.params);
        let raw = model.standardised(&params)?;
        scales = Model::scales(&raw, &weights);
        weights = raw
            .iter()
            .map(|edges| {
                core::array::from_fn(|e| {
                    let r = (edges[e] / scales[e]).abs();
                    if r <= OUTLIER { 1.0 } else { OUTLIER / r }
                })
            })
            .collect();
        alike = model.alikeness(&raw, &scales, &weights);
        fit = Some(found);
    }
    let fit = fit?;
    // From when the vehicle's middle passed the first line to when it passed
    // the second, as far as it was seen.
    let (from, to) = model.within(&params)?;
    let mut slope = vec![0.0; params.len()];
    for (k, weight) in slope[SPEEDS..].iter_mut().enumerate() {
        *weight = (model.share(k, to) - model.share(k, from)) / (to - from);
    }
    let speed: f64 = slope.iter().zip(&params).map(|(s, p)| s * p).sum();
    let mut variance = quadratic(&fit.covariance, &slope, &slope);
    if instrument.camera.is_none() {
        let wander = WANDER * size.length.0 / (to - from);
        variance += wander * wander;
    }
    // As many looks as are independent; each tells the speed by two kinds of
    // edge at least, the lower one and the sides, whose jitter is estimated apart.
    let independent = looks.len() as f64 * (1.0 - alike) / (1.0 + alike);
    let freedom = (2.0 * independent + USUAL_WEIGHT - 2.0).max(3.0);
    let raw = model.standardised(&params)?;
    let mut squares = (0.0, 0.0);
    for (edges, seen) in raw.iter().zip(&model.seen) {
        for e in [0, 1, 3] {
            if seen[e].sigma.is_finite() {
                let part = edges[e] * seen[e].sigma / seen[e].extent.max(1e-6);
                squares = (squares.0 + part * part, squares.1 + 1.0);
            }
        }
    }
    (speed.is_finite() && variance.is_finite()).then(|| Passage {
        speed,
        sigma: variance.max(0.0).sqrt(),
        // Student's t by its expansion around the normal distribution.
        quantile: super::NORMAL_95 + 2.37 / freedom + 2.8 / (freedom * freedom),
        duration: to - from,
        misfit: (squares.0 / f64::max(squares.1, 1.0)).sqrt(),
    })
}

impl<'a> Model<'a> {
    fn new(instrument: &'a Instrument<'a>, looks: &'a [Look], size: Size) -> Option<Self> {
        let (first, last) = (looks.first()?, looks.last()?);
        let duration = last.t - first.t;
        if looks.len() < 3 || duration <= 0.0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few pieces
        let pieces = ((duration / KNOT_S) as usize).clamp(1, MOST_PIECES);
        let mut model = Self {
            instrument,
            size,
            looks,
            seen: Vec::with_capacity(looks.len()),
            knots: pieces + 1,
            duration,
        };
        for look in looks {
            let seen = model.see(look);
            model.seen.push(seen);
        }
        Some(model)
    }

    /// A point of the picture in the model's coordinates.
    fn place(&self, point: Point) -> Vector {
        let ideal = self.instrument.ground.undistorted(point);
        match self.instrument.camera {
            Some(camera) => camera.from_principal(ideal),
            None => Vector::isotropic(ideal, self.instrument.aspect),
        }
    }

    fn see(&self, look: &Look) -> [Seen; 4] {
        let [left, right, top, bottom] = look.edges;
        let (x, y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        let places = [
            self.place(Point { x: left, y }).x,
            self.place(Point { x: right, y }).x,
            self.place(Point { x, y: top }).y,
            self.place(Point { x, y: bottom }).y,
        ];
        let across = [
            places[1] - places[0],
            places[1] - places[0],
            places[3] - places[2],
            places[3] - places[2],
        ];
        let at_border = [
            left < BORDER,
            right > 1.0 - BORDER,
            top < BORDER,
            bottom > 1.0 - BORDER,
        ];
        core::array::from_fn(|edge| {
            let mut jitter = (USUAL_JITTER * across[edge]).max(FINEST);
            if edge == 3 {
                jitter = libm::hypot(jitter, COVERED * look.covered * across[edge]);
            }
            Seen {
                place: places[edge],
                sigma: if at_border[edge] {
                    f64::INFINITY
                } else if edge == 2 {
                    jitter.max(ROOF * across[edge])
                } else {
                    jitter
                },
                extent: across[edge],
            }
        })
    }

    /// A first guess: straight along the gate between where the first and the
    /// last looks put the contact point.
    fn start(&self) -> Option<Vec<f64>> {
        let foot = |look: &Look| {
            self.instrument.ground.to_ground(Point {
                x: f64::midpoint(look.edges[0], look.edges[1]),
                y: look.edges[3],
            })
        };
        let along = self.instrument.stretch.along();
        let few = (self.looks.len() / 4).clamp(1, 5);
        let mean = |looks: &[Look]| {
            let mut sum = (Vector::default(), 0.0, 0.0);
            for look in looks {
                if let Some(place) = foot(look) {
                    sum = (sum.0 + place, sum.1 + look.t, sum.2 + 1.0);
                }
            }
            (sum.2 > 0.0).then(|| (sum.0 * (1.0 / sum.2), sum.1 / sum.2))
        };
        let (from, t_from) = mean(&self.looks[..few])?;
        let (to, t_to) = mean(&self.looks[self.looks.len() - few..])?;
        let speed = along.dot(to - from) / (t_to - t_from).max(1e-3);
        let middle = (from + to) * 0.5;
        let mut params = vec![
            middle.x,
            middle.y,
            0.0,
            self.size.length.0,
            self.size.width.0,
            self.size.height.0,
        ];
        params.resize(SPEEDS + self.knots, speed);
        Some(params)
    }

    fn steps(&self) -> Vec<f64> {
        let mut steps = vec![1e-3, 1e-3, 1e-4, 1e-3, 1e-3, 1e-3];
        steps.resize(SPEEDS + self.knots, 1e-3);
        steps
    }

    /// Where a vehicle of these unknowns is at `t`, from its place at half time.
    fn way(&self, p: &[f64], t: f64) -> f64 {
        self.driven(p, t) - self.driven(p, self.duration / 2.0)
    }

    /// The integral of the broken line of speeds since the first look.
    fn driven(&self, p: &[f64], t: f64) -> f64 {
        let speeds = p[SPEEDS..].iter().enumerate();
        speeds.map(|(k, speed)| speed * self.share(k, t)).sum()
    }

    /// The part of the k-th knot's speed in what was driven until `t`, s.
    fn share(&self, k: usize, t: f64) -> f64 {
        let piece = self.duration / (self.knots - 1) as f64;
        let at = (t - self.looks[0].t) / piece - k as f64;
        // The integral of a tent, cut off at the ends.
        let (mut share, rise, fall) = (0.0, (at + 1.0).clamp(0.0, 1.0), at.clamp(0.0, 1.0));
        if k > 0 {
            share += rise * rise / 2.0;
        }
        if k < self.knots - 1 {
            share += fall - fall * fall / 2.0;
        }
        share * piece
    }

    /// From when to when the middle of a vehicle was within the gate, and seen.
    fn within(&self, p: &[f64]) -> Option<(f64, f64)> {
        let stretch = self.instrument.stretch;
        let (first, last) = (self.looks.first()?.t, self.looks.last()?.t);
        let place = |t: f64| Vector::new(p[X], p[Y]) + self.heading(p) * self.way(p, t);
        let cross = |beyond: &dyn Fn(f64) -> bool| {
            let (mut before, mut after) = (first, last);
            for _ in 0..24 {
                let middle = f64::midpoint(before, after);
                if beyond(middle) {
                    after = middle;
                } else {
                    before = middle;
                }
            }
            f64::midpoint(before, after)
        };
        let from = cross(&|t| stretch.progress(place(t)).0 >= 0.0);
        let to = cross(&|t| stretch.remaining(place(t)) <= 0.0);
        (to - from > 0.3 * self.duration).then_some((from, to))
    }

    fn heading(&self, p: &[f64]) -> Vector {
        let along = self.instrument.stretch.along();
        let (sin, cos) = (libm::sin(p[TURN]), libm::cos(p[TURN]));
        Vector::new(along.x * cos - along.y * sin, along.x * sin + along.y * cos)
    }

    /// Where the edges would be.
    fn expected(&self, p: &[f64], t: f64) -> Option<[f64; 4]> {
        let heading = self.heading(p);
        let middle = Vector::new(p[X], p[Y]) + heading * self.way(p, t);
        if let Some(camera) = self.instrument.camera {
            let cuboid = Cuboid {
                middle,
                heading,
                length: p[LENGTH],
                width: p[WIDTH],
                height: p[HEIGHT],
            };
            return cuboid.edges(camera);
        }
        let m = self.instrument.ground.ideal_to_image();
        let [u, v, w] = m.map(|[a, b, c]| a * middle.x + b * middle.y + c);
        let at = Vector::isotropic(Point { x: u / w, y: v / w }, self.instrument.aspect);
        // Only the contact point: its edges are taken around it in `standardised`.
        (w > 0.0).then_some([at.x, at.x, 0.0, at.y])
    }

    /// Residuals in units of the expected jitter; 0 for an edge that does not count.
    fn standardised(&self, p: &[f64]) -> Option<Vec<[f64; 4]>> {
        let has_camera = self.instrument.camera.is_some();
        self.looks
            .iter()
            .zip(&self.seen)
            .map(|(look, seen)| {
                let expected = self.expected(p, look.t)?;
                let mut residuals: [f64; 4] =
                    core::array::from_fn(|e| (seen[e].place - expected[e]) / seen[e].sigma);
                if !has_camera {
                    // Both side edges together say where the middle is.
                    let middle = f64::midpoint(seen[0].place, seen[1].place) - expected[0];
                    residuals[0] = middle / seen[0].sigma;
                    residuals[1] = 0.0;
                    residuals[2] = 0.0;
                }
                Some(residuals)
            })
            .collect()
    }

    fn residuals(
        &self,
        p: &[f64],
        &Weighing {
            scales,
            grow,
            weights,
            drifts,
        }: &Weighing<'_>,
        out: &mut Vec<f64>,
    ) -> bool {
        if p[LENGTH] < 0.1 || p[WIDTH] < 0.1 || p[HEIGHT] < 0.1 {
            return false;
        }
        let Some(raw) = self.standardised(p) else {
            return false;
        };
        let looks = raw.iter().zip(weights).zip(drifts).zip(&self.seen);
        for (((edges, weights), drifts), seen) in looks {
            for e in 0..4 {
                let mut variance = scales[e] * scales[e] * grow * grow / weights[e];
                let drift = drifts[e] / seen[e].sigma;
                variance += drift * drift;
                out.push(edges[e] / variance.sqrt());
            }
        }
        let size = &self.size;
        for (index, (mean, sigma)) in [
            (LENGTH, size.length),
            (WIDTH, size.width),
            (HEIGHT, size.height),
        ] {
            out.push((p[index] - mean) / sigma);
        }
        out.push(p[TURN] / HEADING);
        let piece = self.duration / (self.knots - 1) as f64;
        for k in 0..self.knots - 1 {
            out.push((p[SPEEDS + k + 1] - p[SPEEDS + k]) / (ACCELERATION * piece));
        }
        true
    }

    /// By how much each edge of each look moves in the picture within the
    /// jitter of a time stamp, for a vehicle of these unknowns: across the
    /// picture by the length of a vehicle from the side, down it by a little of
    /// one that comes.
    fn drifts(&self, p: &[f64]) -> Option<Vec<[f64; 4]>> {
        let sigma = self.instrument.time_sigma_s;
        let of = |look: &Look| {
            let (then, later) = (
                self.expected(p, look.t - sigma / 2.0)?,
                self.expected(p, look.t + sigma / 2.0)?,
            );
            Some(core::array::from_fn(|e| later[e] - then[e]))
        };
        self.looks.iter().map(of).collect()
    }

    /// For every kind of edge, how its jitter compares with the usual.
    fn scales(raw: &[[f64; 4]], weights: &[[f64; 4]]) -> [f64; 4] {
        core::array::from_fn(|e| {
            let (mut squares, mut count) = (USUAL_WEIGHT, USUAL_WEIGHT);
            for (edges, weights) in raw.iter().zip(weights) {
                squares += weights[e] * edges[e] * edges[e];
                count += 1.0;
            }
            // About two unknowns are spent on each kind of edge. An upper edge
            // keeps its large expected error, which looks do not reduce.
            let free = (count - 2.0).max(1.0);
            let scale = (squares / free).sqrt();
            if e == 2 {
                scale.max(1.0)
            } else {
                scale.max(0.1)
            }
        })
    }

    /// How alike the jitter of neighbouring looks is: its correlation, 0 to [`MOST_ALIKE`].
    fn alikeness(&self, raw: &[[f64; 4]], scales: &[f64; 4], weights: &[[f64; 4]]) -> f64 {
        let (mut products, mut squares) = (0.0, 0.0);
        for e in [0, 1, 3] {
            let value = |k: usize| raw[k][e] / scales[e] * weights[k][e];
            for k in 1..raw.len() {
                products += value(k) * value(k - 1);
                squares += f64::midpoint(value(k) * value(k), value(k - 1) * value(k - 1));
            }
        }
        let found = products / f64::max(squares, 1e-9);
        // A fit takes the slow part of the jitter for motion; what is left
        // over seems less alike than it is, the more so the fewer the looks.
        let looks = raw.len() as f64;
        let found = found + (1.0 + 3.0 * found.max(0.0)) / looks;
        let (time, weight) = USUAL_PERSISTENCE;
        let usual = libm::exp(-self.duration / (looks - 1.0) / time);
        ((looks * found + weight * usual) / (looks + weight)).clamp(0.0, MOST_ALIKE)
    }
}
