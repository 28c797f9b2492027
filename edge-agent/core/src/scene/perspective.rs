//! How a camera's picture lies on the road: its shape, and the calibration where there is one.
//!
//! Apart from the rest of the scene, so that a frame is judged by it while tracker and rules
//! go on.

use crate::calibration::Ground;
use crate::observation::Sight;

/// What a scene's [`Sight`] is made of.
#[derive(Clone, Debug)]
pub(super) struct Perspective {
    /// Width over height of the picture.
    pub(super) aspect: f64,
    pub(super) ground: Option<Ground>,
}

/// The shape of pictures before there is any.
pub(super) const USUAL_ASPECT: f64 = 16.0 / 9.0;

impl Perspective {
    /// Pictures have this shape. One that no camera takes is not believed.
    pub(super) fn shape(&mut self, aspect: f64) {
        if (0.1..=10.0).contains(&aspect) {
            self.aspect = aspect;
        }
    }

    pub(super) fn sight(&self) -> Sight<'_> {
        Sight {
            aspect: self.aspect,
            ground: self.ground.as_ref(),
        }
    }
}
