//! Second looks of one camera: chosen where its scene is, taken where the models are.

use crossbeam_channel::Sender;
use edge_core::{Scene, Unanswered};
use edge_video::Frame;
use protocol::id::CascadeId;
use protocol::{CameraId, EventTime, TrackId};

use super::CameraState;
use super::inference::SecondLook;
use super::main_looks::MainLooks;
use crate::cascades::{Cascades, LookerIndex, Wish};
use crate::config::CameraConfig;

/// What a scene thread asks of the thread with the models.
pub(super) struct SecondLooks {
    camera: CameraId,
    cascades: Cascades,
    ask: Sender<SecondLook>,
    /// Of a camera with two streams: who finds the large picture of the same moment.
    main: Option<MainLooks>,
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
            main: None,
        })
    }

    /// Looks at parts of pictures are taken at the main stream's.
    pub(super) fn look_at(&mut self, main: MainLooks) {
        self.main = Some(main);
    }

    /// Asks for what is worth a second look in a frame that the scene has seen.
    /// What the other thread has no room for counts as not taken, and as `busy`. Returns
    /// of which time looks were not answered, for the scene.
    pub(super) fn ask(&mut self, frame: &Frame, scene: &Scene) -> Vec<Unanswered> {
        let size = self.main.as_mut().and_then(|main| main.size_for(frame));
        let wishes = self.cascades.choose(frame, scene, size);
        let main = self.main.as_ref().filter(|_| size.is_some());
        // Fire and smoke fill a small picture as well.
        let is_near = |wish: &Wish| main.is_none() || wish.question.is_of_the_picture();
        let (near, far): (Vec<Wish>, Vec<Wish>) = wishes.into_iter().partition(is_near);
        for wish in near {
            let cascade = wish.question.cascade().clone();
            // Dropped with its question, which says so to the chooser.
            let look = second_look(&self.camera, frame, None, wish);
            if self.ask.try_send(look).is_err() {
                self.cascades.refuse(&cascade);
            }
        }
        if let (Some(main), false) = (main, far.is_empty()) {
            let refused = main.ask(frame, far).err().unwrap_or_default();
            for wish in refused {
                self.cascades.refuse(wish.question.cascade());
            }
        }
        self.cascades.take_unanswered()
    }

    /// The scene has heard an answer of a cascade.
    pub(super) fn answered(&mut self, cascade: &CascadeId) {
        self.cascades.answered(cascade);
    }

    /// The answer about `whom` in the frame of `at` came too late for the scene.
    pub(super) fn came_too_late(
        &mut self,
        cascade: &CascadeId,
        whom: Option<TrackId>,
        at: EventTime,
    ) {
        self.cascades.came_too_late(cascade, whom, at);
    }

    /// Tells what was not looked at, and which answers counted for nothing.
    pub(super) fn tell(&self, scene: &Scene, state: &CameraState) {
        let (passed, held_up) = self.cascades.passed();
        state.set_second_looks(passed, held_up, scene.refused());
    }
}

/// A look at `frame`, or at another stream's picture of its moment `instead`.
pub(super) fn second_look(
    camera: &CameraId,
    frame: &Frame,
    instead: Option<&Frame>,
    wish: Wish,
) -> SecondLook {
    let mut question = wish.question;
    if let Some(main) = instead {
        question.look_at(main);
    }
    SecondLook {
        camera: camera.clone(),
        cascade: question.cascade().clone(),
        // The detector is the first.
        model: wish.model + 1,
        frame: frame.clone(),
        instead: instead.cloned(),
        part: wish.part,
        is_whole: question.is_of_the_picture(),
        class: wish.class,
        learn: Box::new(move |answer| question.learnt(answer)),
    }
}
