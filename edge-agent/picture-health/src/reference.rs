//! How the picture usually is, for each kind of light.
//!
//! Day, dusk, street lamps and infrared light show the same place with other
//! edges and another sharpness. So there is a reference for each quarter of the
//! brightness scale. It is learnt from pictures that are well, follows them over
//! half an hour, and stands still while they are not. Its sharpness follows over
//! a week only: dirt settles slowly, and an hour of noisy pictures must not make
//! the clear ones after it look dull.

use crate::features::Features;
use crate::shift;

/// Brightness is told apart in so many steps.
pub(crate) const LIGHTS: usize = 4;
/// A reference follows the picture within this, s.
const FOLLOWS_S: f32 = 1_800.0;
/// And their sharpness within this, s.
const SHARPNESS_S: f32 = 604_800.0;
/// A reference younger than this is not judged by, s.
pub(crate) const LEARN_S: f32 = 60.0;

/// Which kind of light a picture is taken in.
pub(crate) fn light(features: &Features) -> usize {
    ((features.mean / 256.0 * LIGHTS as f32) as usize).min(LIGHTS - 1)
}

/// How the picture usually is in one kind of light.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) features: Features,
    /// How well the edges of some seconds usually agree with it, −1 to 1.
    pub(crate) agreement: f32,
    /// Seconds of which it was learnt.
    pub(crate) learnt_s: f32,
}

impl Reference {
    pub(crate) fn new(features: &Features) -> Self {
        Self {
            features: features.clone(),
            agreement: 1.0,
            learnt_s: 0.0,
        }
    }

    /// Learns from a picture that is well and was shown for `passed` seconds.
    pub(crate) fn learn(&mut self, features: &Features, passed: f32) {
        self.learnt_s += passed;
        // The mean of all at first, then of the last half hour.
        let over = self.learnt_s.clamp(1.0, FOLLOWS_S);
        let part = (passed / over).min(1.0);
        let agreement = shift::agreement(&self.features.edges, &features.edges);
        self.agreement += (agreement - self.agreement) * part;
        let detail = self.features.detail;
        self.features.approach(features, part);
        if self.learnt_s > LEARN_S {
            let step = (passed / SHARPNESS_S).min(1.0);
            self.features.detail = detail + (features.detail - detail) * step;
        }
    }
}
