//! What is asked of a part of a frame, and what a scene learns of the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Sender;
use edge_core::second_look::Label;
use edge_core::{Found, Input, SecondLook};
use edge_inference::Answered;
use edge_video::Frame;
use models::heads;
use protocol::event::{FrameTime, SecondModel};
use protocol::id::CascadeId;
use protocol::{Detection, EventTime, NormBox, ObjectClass, TrackId};

use super::clearness;
use super::lookers::Answer;
use super::told::plate_text;

/// What a look was chosen for.
pub(super) type Promise = (usize, Option<TrackId>, EventTime);

/// Why a look was not taken after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Nobody had time for it, or the model failed.
    NoTime,
    /// The scene had no room for its answer.
    Unheard,
    /// Of its moment there is no picture of the stream that it is taken at.
    NoPicture,
    /// Its part is too small or not clear enough in that picture.
    Unfit,
}

/// That somebody was looked at. Dropped before the scene has heard the answer, the look counts as
/// not taken.
pub(crate) struct Pledge {
    pub(super) promise: Option<Promise>,
    pub(super) given_up: Sender<(Promise, GivenUp)>,
    /// What it means that it is dropped.
    pub(super) dropped: GivenUp,
}

impl Pledge {
    /// The scene has the answer.
    pub(crate) fn keep(mut self) {
        self.promise = None;
    }

    fn tell(&mut self, why: GivenUp) {
        if let Some(promise) = self.promise.take() {
            // Full: the chooser has looks enough to take again.
            self.given_up.try_send((promise, why)).ok();
        }
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        self.tell(self.dropped);
    }
}

/// An answer on its way to the scene.
pub(crate) struct Learnt {
    pub(crate) input: Input,
    /// To be kept when the scene has heard it.
    pub(crate) pledge: Pledge,
}

/// What a part must be in the picture that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Least {
    pub(crate) height_px: f64,
    pub(crate) sharpness: f64,
}

/// A look that a cascade wants.
pub(crate) struct Wish {
    /// By which model, from 0.
    pub(crate) model: usize,
    /// At which part of the frame.
    pub(crate) part: NormBox,
    /// Of what class is who is in it.
    pub(crate) class: Option<ObjectClass>,
    /// What the part must be there.
    pub(crate) least: Least,
    /// What is asked.
    pub(crate) question: Question,
}

/// What is to be known of a part of a frame. Dropped without an answer, the
/// look counts as not taken.
pub(crate) struct Question {
    pub(super) at: FrameTime,
    pub(super) track: Option<TrackId>,
    pub(super) cascade: CascadeId,
    /// The networks of who looks.
    pub(super) by: Arc<[SecondModel]>,
    /// When the main stream's picture was taken that is looked at instead of the frame.
    pub(super) main: Option<EventTime>,
    pub(super) bounds: NormBox,
    pub(super) heard: Vec<ObjectClass>,
    pub(super) believed_from: f64,
    pub(super) failed: Arc<AtomicU64>,
    pub(super) pledge: Pledge,
    /// The frame waits for as long as this lives.
    pub(super) _under_way: Arc<()>,
}

impl Wish {
    /// Whether the part is large and clear enough in this picture.
    pub(crate) fn is_fit_for(&self, frame: &Frame) -> bool {
        let Least {
            height_px,
            sharpness,
        } = self.least;
        self.part.height * f64::from(frame.height) >= height_px
            && (sharpness <= 0.0 || clearness(frame, &self.part) >= sharpness)
    }
}

impl Question {
    /// Whose it is.
    pub(crate) const fn cascade(&self) -> &CascadeId {
        &self.cascade
    }

    /// Whether it is about the whole picture, and nobody in it.
    pub(crate) const fn is_of_the_picture(&self) -> bool {
        self.track.is_none()
    }

    /// The look is taken at the main stream's picture of that moment.
    pub(crate) fn look_at(&mut self, main: &Frame) {
        self.main = Some(main.time);
    }

    /// It is not going to be answered.
    pub(crate) fn give_up(mut self, why: GivenUp) {
        self.pledge.tell(why);
    }

    /// What the scene learns of an answer, or of a failure: nothing.
    pub(crate) fn learnt(self, answer: Answer) -> Option<Learnt> {
        let broken = answer.broken();
        let found = match answer {
            Answer::Network(Ok(answer)) => self.heard_of(answer)?,
            Answer::Plates(Ok(answer)) => {
                Found::Plates(answer.found.iter().map(plate_text).collect())
            }
            Answer::Network(Err(error)) => return self.failed_by(&error),
            Answer::Plates(Err(error)) => return self.failed_by(&error),
        };
        // Nobody knows what stood there: that none was found says nothing. And rules judge by a look
        // that shows none of a plate, a phone, a fire.
        if broken > 0 && is_nothing(&found) {
            return self.failed_by(&"its answers are no numbers, and nothing else was found");
        }
        Some(self.found(found))
    }

    /// A model that fails does so on every look: it is said once.
    fn failed_by(self, why: &dyn std::fmt::Display) -> Option<Learnt> {
        if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(cascade = %self.cascade, frame = self.at.frame, error = %why, "a second look failed");
        }
        None
    }

    /// What counts of an answer.
    fn heard_of(&self, answer: Answered) -> Option<Found> {
        let believed_from = self.believed_from;
        let is_heard = |class: ObjectClass| self.heard.contains(&class);
        let marks = |found: Vec<Detection>| Found::Marks {
            believed_from,
            items: found
                .into_iter()
                .filter(|item| is_heard(item.class))
                .collect(),
        };
        Some(match answer {
            Answered::Detections(seen) => marks(seen.found),
            Answered::Faces(seen) => {
                let face = |face: heads::Face| Detection {
                    class: face.class,
                    score: face.score,
                    bounds: face.bounds,
                };
                marks(seen.found.into_iter().map(face).collect())
            }
            Answered::Labels(seen) => {
                let label = |label: heads::Label| {
                    let class = label.class.filter(|class| is_heard(*class))?;
                    let score = label.score;
                    Some(Label { class, score })
                };
                Found::Labels {
                    believed_from,
                    labels: seen.found.into_iter().filter_map(label).collect(),
                }
            }
            // Such networks are refused when the box starts.
            Answered::TextRegions(_) | Answered::Text(_) => return None,
        })
    }

    fn found(mut self, found: Found) -> Learnt {
        self.pledge.dropped = GivenUp::Unheard;
        let look = SecondLook {
            at: self.at,
            track: self.track,
            cascade: self.cascade.clone(),
            by: self.by.to_vec(),
            main: self.main,
            bounds: self.bounds,
            found,
        };
        Learnt {
            input: Input::SecondLook(look.canonical()),
            pledge: self.pledge,
        }
    }
}

/// Whether a look shows nothing of what it was taken for.
fn is_nothing(found: &Found) -> bool {
    match found {
        Found::Marks { items, .. } => items.is_empty(),
        Found::Labels { labels, .. } => labels.is_empty(),
        Found::Plates(plates) => plates.is_empty(),
    }
}
