//! Second looks of one camera: chosen where its scene is, taken where the models are.

use crossbeam_channel::Sender;
use edge_core::{Scene, Unanswered};
use edge_video::Frame;
use protocol::CameraId;
use protocol::id::CascadeId;

use super::CameraState;
use super::inference::SecondLook;
use crate::cascades::{Cascades, LookerIndex};
use crate::config::CameraConfig;

/// What a scene thread asks of the thread with the models.
pub(super) struct SecondLooks {
    camera: CameraId,
    cascades: Cascades,
    ask: Sender<SecondLook>,
}

impl SecondLooks {
    /// Of a camera with pictures; `None`: it has no cascades.
    pub(super) fn new(
        camera: &CameraConfig,
        lookers: &LookerIndex,
        ask: Sender<SecondLook>,
    ) -> Option<Self> {
        Some(Self {
            camera: camera.id.clone(),
            cascades: Cascades::new(&camera.cascades, lookers)?,
            ask,
        })
    }

    /// Asks for what is worth a second look in a frame that the scene has seen.
    /// What the other thread has no room for counts as not taken, and as `busy`. Returns
    /// of which time looks were not answered, for the scene.
    pub(super) fn ask(&mut self, frame: &Frame, scene: &Scene) -> Vec<Unanswered> {
        for wish in self.cascades.choose(frame, scene) {
            let question = wish.question;
            let cascade = question.cascade().clone();
            let look = SecondLook {
                camera: self.camera.clone(),
                // The detector is the first.
                model: wish.model + 1,
                frame: frame.clone(),
                part: wish.part,
                is_whole: question.is_of_the_picture(),
                class: wish.class,
                learn: Box::new(move |answer| question.learnt(answer).into_iter().collect()),
            };
            // Dropped with its question, which says so to the chooser.
            if self.ask.try_send(look).is_err() {
                self.cascades.refuse(&cascade);
            }
        }
        self.cascades.take_unanswered()
    }

    /// The scene hears an answer of a cascade.
    pub(super) fn answered(&mut self, cascade: &CascadeId) {
        self.cascades.answered(cascade);
    }

    /// Tells what was not looked at, and which answers counted for nothing.
    pub(super) fn tell(&self, scene: &Scene, state: &CameraState) {
        let (passed, held_up) = self.cascades.passed();
        state.set_second_looks(passed, held_up, scene.refused());
    }
}
