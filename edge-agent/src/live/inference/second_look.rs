//! A closer look at something that was found, with a model of its own: a plate, a helmet.

use edge_video::Frame;
use models::PictureView;
use protocol::id::CascadeId;
use protocol::{CameraId, NormBox, ObjectClass};

use crate::cascades::{Answer, Learnt, Part, Taker};

/// What becomes of an answer: what the scene is to learn of it.
pub(crate) type Learn = Box<dyn FnOnce(Answer) -> Option<Learnt> + Send>;

/// A look that a scene asks for.
///
/// It may never come: one that waited for too long
/// ([`second_look_us`](edge_scheduler::Settings::second_look_us)), or that came
/// on top of too many, is dropped unanswered, and `learn` with it. It is counted
/// as `second_look`, or `picture_look`, in `edge_inference_jobs_dropped_total`.
pub(crate) struct SecondLook {
    /// Whose scene asks, and is told.
    pub(crate) camera: CameraId,
    /// Which of its cascades wants to know.
    pub(crate) cascade: CascadeId,
    /// With which of the models, see [`Models`](super::Models); 1 is the first that is not the detector.
    pub(crate) model: usize,
    /// At which picture, as the scene knows it.
    pub(crate) frame: Frame,
    /// The main stream's picture of the same moment, where that is the one to look at.
    pub(crate) instead: Option<Frame>,
    /// At which part of it, in fractions.
    pub(crate) part: NormBox,
    /// Whether that is the whole picture, for what is nobody's: fire, smoke.
    pub(crate) is_whole: bool,
    /// Of what class is who is in it.
    pub(crate) class: Option<ObjectClass>,
    /// What the scene is to learn of the answer; runs on the thread that looks, so it is quick.
    pub(crate) learn: Learn,
}

/// Looks at all of them in batches as large as `taker` takes.
///
/// A part that lies outside its picture is answered with an error.
pub(super) fn answers(taker: &mut Taker, asked: &[(usize, SecondLook)]) -> Vec<Answer> {
    let views: Vec<PictureView<'_>> = (asked.iter())
        .map(|(_, asked)| asked.instead.as_ref().unwrap_or(&asked.frame).view())
        .collect();
    let parts: Vec<Part<'_>> = views
        .iter()
        .zip(asked)
        .map(|(view, (_, asked))| Part {
            view,
            bounds: asked.part,
            class: asked.class,
        })
        .collect();
    taker.look(&parts)
}
