//! Simulated passages: exact cuboids before a pinhole camera, with the jitter of a detector.

use protocol::event::FrameTime;
use protocol::units::Seconds;
use protocol::{EventTime, NormBox, ObjectClass, TrackId};

use super::cuboid::Cuboid;
use super::passage::{GateView, Passage, Progress, VehicleView};
use super::{Instrument, Size, Speed, Stretch};
use crate::calibration::{Calibration, Camera, Ground};
use crate::geometry::Vector;

/// Numbers that look random and are the same on every machine (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform().max(1e-300), self.uniform());
        (-2.0 * libm::log(a)).sqrt() * libm::cos(core::f64::consts::TAU * b)
    }
}

/// Where a camera hangs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Above the road, m.
    pub(crate) height: f64,
    /// Below the horizontal, rad.
    pub(crate) pitch: f64,
    /// From the road's direction, rad: 0 is frontal, a quarter turn is from the side.
    pub(crate) yaw: f64,
    /// In picture heights.
    pub(crate) focal: f64,
    /// From below the camera to the middle of the gate, m along its view.
    pub(crate) distance: f64,
    pub(crate) gate_m: f64,
    pub(crate) fps: f64,
    /// Whether the camera's own place is known to the measurement.
    pub(crate) has_model: bool,
}

/// What time stamps jitter by, s.
const TIME_SIGMA_S: f64 = 0.002;

pub(crate) const ASPECT: f64 = 16.0 / 9.0;

/// The camera stands at the origin and looks along y.
pub(crate) fn calibration(view: &View) -> Calibration {
    let (sin, cos) = (libm::sin(view.pitch), libm::cos(view.pitch));
    let (f, h) = (view.focal, view.height);
    // right·(x−½)·aspect/f, down·(y−½)/f.
    let lateral = [h * ASPECT / f, 0.0, -h * ASPECT / f / 2.0];
    let ahead = [0.0, -h * sin / f, h * cos + h * sin / f / 2.0];
    let sinking = [0.0, cos / f, sin - cos / f / 2.0];
    Calibration {
        image_to_ground: [lateral, ahead, sinking],
        points: 8,
        ..Calibration::default()
    }
}

/// One vehicle's truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vehicle {
    pub(crate) class: ObjectClass,
    pub(crate) speed: f64,
    pub(crate) acceleration: f64,
    pub(crate) offset: f64,
    /// Jitter of an edge as a part of the box, and its correlation time, s.
    pub(crate) jitter: (f64, f64),
}

/// So many seconds after the start.
fn at(s: f64) -> FrameTime {
    FrameTime {
        frame: 0,
        time: EventTime::EPOCH + Seconds(s),
    }
}

/// What came of one passage: truth and measurement, km/h.
pub(crate) fn pass(view: &View, vehicle: &Vehicle, dice: &mut Dice) -> Option<(f64, Speed)> {
    pass_measured_by(&calibration(view), view, vehicle, dice)
}

/// The same with a calibration that may be wrong.
pub(crate) fn pass_measured_by(
    believed: &Calibration,
    view: &View,
    vehicle: &Vehicle,
    dice: &mut Dice,
) -> Option<(f64, Speed)> {
    let truth = Ground::new(&calibration(view)).ok()?;
    let camera = Camera::of(&truth, ASPECT)?;
    let ground = Ground::new(believed).ok()?;
    let along = Vector::new(libm::sin(view.yaw), libm::cos(view.yaw));
    let across = Vector::new(along.y, -along.x);
    let middle = Vector::new(0.0, view.distance);
    let half = view.gate_m / 2.0;
    // Painted on the road, so at the same place in the picture for both.
    let line = |at: f64| {
        let end = |side: f64| truth.to_image(middle + along * at + across * side);
        Some((end(-5.0)?, end(5.0)?))
    };
    let (entry, exit) = (line(-half)?, line(half)?);
    let stretch = Stretch::new(&ground, entry, exit)?;
    let believed_camera = Camera::of(&ground, ASPECT).filter(|_| view.has_model);
    let usual = Size::of(vehicle.class);
    let mut draw = |(mean, sigma): (f64, f64)| mean + sigma * dice.normal().clamp(-2.0, 2.0);
    let (length, width, height) = (draw(usual.length), draw(usual.width), draw(usual.height));
    let drift = 0.02 * dice.normal().clamp(-2.0, 2.0);
    let heading = Vector::new(
        along.x * libm::cos(drift) - along.y * libm::sin(drift),
        along.x * libm::sin(drift) + along.y * libm::cos(drift),
    );
    let phase = dice.uniform();
    let mut jitter = [0.0; 4];
    let mut passage = Passage::new(
        TrackId {
            born: EventTime::EPOCH,
            rank: 0,
        },
        at(0.0),
    );
    let rho = libm::exp(-1.0 / (view.fps * vehicle.jitter.1.max(1e-6)));
    let total = 4.0 * view.gate_m / vehicle.speed;
    // When and where its middle was in the gate, and a look was taken.
    let mut seen: Option<((f64, f64), (f64, f64))> = None;
    let mut tick = 0.0;
    while (tick + phase) / view.fps < total {
        let t = (tick + phase) / view.fps;
        tick += 1.0;
        let since = t - total / 2.0;
        let way = vehicle.speed * since + vehicle.acceleration * since * since / 2.0;
        let cuboid = Cuboid {
            middle: middle + across * vehicle.offset + heading * way,
            heading,
            length,
            width,
            height,
        };
        for value in &mut jitter {
            *value = rho * *value + (1.0 - rho * rho).sqrt() * dice.normal();
        }
        let Some(edges) = cuboid.edges(&camera) else {
            continue;
        };
        let size = [edges[1] - edges[0], edges[3] - edges[2]];
        let found: [f64; 4] =
            core::array::from_fn(|e| edges[e] + vehicle.jitter.0 * size[e / 2] * jitter[e]);
        let bounds = NormBox {
            x: found[0] / ASPECT + 0.5,
            y: found[2] + 0.5,
            width: (found[1] - found[0]) / ASPECT,
            height: found[3] - found[2],
        };
        if bounds.x < 0.0 || bounds.right() > 1.0 || bounds.y < 0.0 || bounds.bottom() > 1.0 {
            continue;
        }
        let at = at(t + TIME_SIGMA_S * dice.normal());
        let before = passage.looks.count();
        let gate = GateView {
            stretch: &stretch,
            ground: &ground,
            camera: believed_camera.as_ref(),
        };
        let shown = VehicleView {
            at,
            class: vehicle.class,
            bounds,
            covered: 0.0,
        };
        if passage.see(&gate, &shown) == Progress::Through {
            break;
        }
        if passage.looks.count() > before && way.abs() <= half {
            seen.get_or_insert(((t, way), (t, way))).1 = (t, way);
        }
    }
    let (first, last) = seen?;
    // Far enough to be a measurement of this gate.
    if last.1 - first.1 < 0.6 * view.gate_m {
        return None;
    }
    let instrument = Instrument {
        ground: &ground,
        camera: believed_camera.as_ref(),
        aspect: ASPECT,
        stretch: &stretch,
        surveyed: None,
        time_sigma_s: TIME_SIGMA_S,
    };
    let speed = instrument.measure(&passage.looks, vehicle.class)?;
    Some(((last.1 - first.1) / (last.0 - first.0) * 3.6, speed))
}
