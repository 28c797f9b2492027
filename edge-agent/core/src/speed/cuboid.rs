//! A vehicle as a cuboid on the road, and the box that a detector puts around it.

use protocol::ObjectClass;

use crate::calibration::Camera;
use crate::geometry::Vector;

/// Length, width and height of a kind of vehicle with their spread, m.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Mean and standard deviation.
    pub length: (f64, f64),
    /// Mean and standard deviation.
    pub width: (f64, f64),
    /// Mean and standard deviation.
    pub height: (f64, f64),
}

impl Size {
    /// What is on Vietnamese roads under this word.
    pub const fn of(class: ObjectClass) -> Self {
        let (length, width, height) = match class {
            ObjectClass::Motorcycle => ((1.9, 0.3), (0.75, 0.2), (1.6, 0.3)),
            ObjectClass::Bicycle => ((1.75, 0.3), (0.6, 0.2), (1.6, 0.3)),
            ObjectClass::Person => ((0.5, 0.2), (0.5, 0.2), (1.65, 0.15)),
            ObjectClass::Bus => ((10.0, 3.0), (2.5, 0.3), (3.2, 0.5)),
            ObjectClass::Truck => ((8.0, 4.0), (2.4, 0.4), (3.0, 0.8)),
            _ => ((4.4, 0.8), (1.8, 0.2), (1.6, 0.3)),
        };
        Self {
            length,
            width,
            height,
        }
    }
}

/// A cuboid on the road.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cuboid {
    /// Middle of its footprint.
    pub(super) middle: Vector,
    /// Unit vector along it.
    pub(super) heading: Vector,
    pub(super) length: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Cuboid {
    /// Left, right, top and bottom edge of the box around it, in the isotropic
    /// picture from the principal point; `None` when a part is behind the camera.
    pub(super) fn edges(&self, camera: &Camera) -> Option<[f64; 4]> {
        let along = self.heading * (self.length / 2.0);
        let across = Vector::new(-self.heading.y, self.heading.x) * (self.width / 2.0);
        let mut edges = [f64::MAX, f64::MIN, f64::MAX, f64::MIN];
        for (a, b) in [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)] {
            let corner = self.middle + along * a + across * b;
            for z in [0.0, self.height] {
                let seen = camera.project(corner, z)?;
                edges[0] = edges[0].min(seen.x);
                edges[1] = edges[1].max(seen.x);
                edges[2] = edges[2].min(seen.y);
                edges[3] = edges[3].max(seen.y);
            }
        }
        Some(edges)
    }
}
