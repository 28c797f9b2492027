//! When the scene is made anew: for pictures of another shape, for who was parked
//! before a start, and at every new segment of the recording.

use edge_core::{Condition, Health, Input, SceneState};
use protocol::EventTime;
use protocol::event::Words;

use super::Room;
use crate::recording::{Cut, SegmentHead};
use crate::scene_setup::SceneSetupError;

/// Pictures whose width over height differs by less have one shape.
const SAME_SHAPE: f64 = 1e-3;

/// Pictures in which the calibration cannot be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Misfit {
    /// Their width over height.
    aspect: f64,
    since: EventTime,
}

impl Room {
    /// Makes the scene anew when the picture's proportions are not what the
    /// calibration was computed for, and where somebody was parked before the agent was
    /// started anew. Where the calibration cannot be used in such pictures the rules are
    /// suspended, until one comes in which it can.
    pub(super) fn fit(&mut self, aspect: f64, time: EventTime) {
        // Without a calibration every shape is as good as another.
        let is_calibrated = self.setup.config.calibration.is_some();
        let is_as = |known: f64| !is_calibrated || (aspect - known).abs() < SAME_SHAPE;
        if self.misfit.is_some_and(|misfit| is_as(misfit.aspect)) {
            return;
        }
        let is_reshaped = !is_as(self.aspect);
        if is_reshaped && let Err(error) = self.setup.scene(aspect) {
            self.suspend(aspect, time, &error);
            return;
        }
        let was_misfit = self.misfit.take().is_some();
        self.standing.misfit = None;
        let parked = self.setup.parked.take().filter(SceneState::has_parked);
        if is_reshaped || parked.is_some() {
            let mut state = self.scene.state();
            if !self.scene.is_quiescent() {
                // Nothing goes on in pictures of another shape; a case of the camera itself
                // does, and the new scene would not know of it.
                let last = self.last.map_or(self.now.time, |(last, _)| last);
                self.show(Input::End(last), None);
                state = state.beyond_end(&self.scene.state());
            }
            if let Some(parked) = parked {
                state = state.with_parked(parked);
            }
            self.renew(Cut::Resumed, aspect, state);
        }
        // While the stream is lost the scene is told when it is back.
        if was_misfit && self.stream.is_none() {
            tracing::info!(camera = %self.setup.config.id, "the picture fits its calibration again");
            self.show(Input::Health(self.picture_at(time)), None);
        }
    }

    /// From `time` on nobody knows places in the picture.
    fn suspend(&mut self, aspect: f64, time: EventTime, error: &SceneSetupError) {
        tracing::error!(
            camera = %self.setup.config.id, %error,
            "the rules are suspended, because places in these pictures are not known"
        );
        let since = time;
        self.misfit = Some(Misfit { aspect, since });
        self.standing.misfit = Some(Words::new(
            "Hình có tỉ lệ khác với lúc hiệu chỉnh nên các quy tắc tạm dừng; đặt lại độ phân giải của máy ảnh \
             hoặc hiệu chỉnh lại",
            format!(
                "the rules are suspended, because places in these pictures are not known: {error}"
            ),
        ));
        self.show(Input::Health(self.picture_at(time)), None);
    }

    /// What the picture is good for at `time`, as the scene is to know it.
    pub(super) fn picture_at(&self, time: EventTime) -> Health {
        let known = self.misfit.map_or(self.picture, |misfit| Health {
            since: misfit.since,
            condition: Condition::Unknown,
            ..Health::default()
        });
        Health {
            time,
            since: known.since.min(time),
            ..known
        }
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
            // It was made for such pictures before.
            Err(error) => {
                let time = self.now_of_frames();
                return self.suspend(aspect, time, &error);
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
            cascades: Some(self.setup.config.cascade_ids()),
            state,
        };
        scene.resume(head.state.clone());
        (self.scene, self.aspect) = (scene, aspect);
        if let Some(recorder) = &mut self.setup.recorder {
            recorder.begin(&head);
        }
    }
}
