//! The way that traffic goes somewhere, as an axis on which road users have a place.

use protocol::Point;

use super::pace::Pace;
use crate::geometry::Vector;
use crate::observation::{Basis, FrameView, Observation};
use crate::tracker::Spot;

/// A direction of travel as unit vectors, in the picture and, where calibrated, on the ground.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    picture: Vector,
    ground: Option<Vector>,
}

/// Where somebody is relative to somebody else, along the lane and across it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offset {
    pub(super) basis: Basis,
    /// How far ahead; negative is behind.
    pub(super) ahead: f64,
    /// How far to the right as the lane goes; negative is to the left.
    pub(super) right: f64,
}

impl Lane {
    pub(super) fn new((from, to): (Point, Point), frame: &FrameView<'_>) -> Option<Self> {
        let spot = |point| frame.sight.spot(point, 1.0, frame.at);
        let (from, to) = (spot(from), spot(to));
        let ground = from.ground.zip(to.ground);
        Some(Self {
            picture: (to.iso - from.iso).unit()?,
            ground: ground.and_then(|(from, to)| (to - from).unit()),
        })
    }

    /// The direction, where it is known in a basis.
    pub(super) fn along(&self, basis: Basis) -> Option<Vector> {
        match basis {
            Basis::Ground => self.ground,
            Basis::Picture => Some(self.picture),
        }
    }

    /// Where `to` is, seen from `from`.
    pub(super) fn offset(&self, from: &Spot, to: &Spot) -> Option<Offset> {
        let way = from.way_to(to);
        let along = self.along(way.basis)?;
        Some(Offset {
            basis: way.basis,
            ahead: along.dot(way.vector),
            right: along.cross(way.vector),
        })
    }

    /// How fast somebody goes along the lane; negative is against it.
    pub(super) fn pace(&self, user: &Observation) -> Option<Pace> {
        let motion = user.motion?;
        Some(match (motion.ground, self.ground) {
            (Some(velocity), Some(along)) => Pace {
                basis: Basis::Ground,
                value: 3.6 * along.dot(velocity),
            },
            _ => Pace {
                basis: Basis::Picture,
                value: self.picture.dot(motion.picture),
            },
        })
    }
}
