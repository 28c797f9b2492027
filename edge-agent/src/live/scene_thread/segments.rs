//! When the scene is made anew: for pictures of another shape, for who was parked
//! before a start, and at every new segment of the recording.

use edge_core::{Condition, Health, Input, SceneState};

use super::Room;
use crate::recording::{Cut, SegmentHead};

impl Room {
    /// Makes the scene anew when the picture's proportions are not what the
    /// calibration was computed for, and where somebody was parked before the
    /// agent was started anew. Happens once, at the first frame.
    pub(super) fn fit(&mut self, aspect: f64) {
        if self.last.is_some() {
            return;
        }
        let is_calibrated = self.setup.config.calibration.is_some();
        let is_reshaped = is_calibrated && (aspect - self.aspect).abs() >= 1e-3;
        let parked = self.setup.parked.take().filter(SceneState::has_parked);
        if !is_reshaped && parked.is_none() {
            return;
        }
        let mut state = self.scene.state();
        if !self.scene.is_quiescent() {
            // A case of the camera itself goes on; the new scene would not know of it.
            self.show(Input::End(self.now.time), None);
            state = state.beyond_end(&self.scene.state());
        }
        if let Some(parked) = parked {
            state = state.with_parked(parked);
        }
        self.renew(Cut::Resumed, aspect, state);
    }

    /// Ends the recording's segment where that is due, and begins the next one.
    pub(super) fn cut_if_due(&mut self) {
        let recorder = self.setup.recorder.as_ref();
        let Some(cut) = recorder.and_then(|recorder| recorder.due(&self.scene)) else {
            return;
        };
        let mut state = self.scene.state();
        if let (Cut::Calm | Cut::Forced, Some((last, _))) = (cut, self.last) {
            if cut == Cut::Forced {
                tracing::warn!(
                    camera = %self.setup.config.id,
                    "the road was never empty for as long as [record] allows; what goes on is \
                     ended and begins anew"
                );
            }
            self.show(Input::End(last), None);
            state = state.beyond_end(&self.scene.state());
        }
        self.renew(cut, self.aspect, state);
    }

    /// Goes on with a new scene, in a new segment of the recording: what every
    /// replay of the segment does as well.
    pub(super) fn renew(&mut self, cut: Cut, aspect: f64, state: SceneState) {
        let mut scene = match self.setup.scene(aspect) {
            Ok(scene) => scene,
            Err(error) => {
                tracing::error!(
                    camera = %self.setup.config.id, %error,
                    "the rules are suspended, because places in these pictures are not known"
                );
                self.is_misfit = true;
                self.set_picture(Health {
                    time: self.now.time,
                    since: self.now.time,
                    condition: Condition::Unknown,
                    ..Health::default()
                });
                self.show(Input::Health(self.picture), None);
                return;
            }
        };
        let identity = scene.identity();
        let head = SegmentHead {
            site: identity.site.clone(),
            box_id: identity.box_id.clone(),
            camera: identity.camera.clone(),
            begun: self.now.time,
            cut,
            aspect,
            provenance: identity.provenance.clone(),
            classes: scene.classes().map(<[_]>::to_vec),
            state,
        };
        scene.resume(head.state.clone());
        (self.scene, self.aspect) = (scene, aspect);
        if let Some(recorder) = &mut self.setup.recorder {
            recorder.begin(&head);
        }
    }
}
