//! Second looks: what a camera's cascades want to see of a frame, and what its
//! scene learns of the answers. The same for a box that watches and for a replay.

mod fares;
mod lookers;
mod question;
mod told;
mod unanswered;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, bounded};
use edge_cascade::sharpness::{Luma, sharpness};
use edge_cascade::{Candidate, Chooser, Passed};
use edge_core::{GapReason, Scene, Unanswered};
use edge_video::Frame;
use models::Crop;
use protocol::event::{FrameTime, SecondModel};
use protocol::id::CascadeId;
use protocol::{EventTime, NormBox, ObjectClass, TrackId};

use crate::config::CascadeConfig;

pub(crate) use fares::Fares;
pub(crate) use lookers::{Answer, LookerIndex, Lookers, Part, Taker, misfit, name_of};
use question::Promise;
pub(crate) use question::{GivenUp, Learnt, Least, Pledge, Question, Wish};
use unanswered::Row;

/// Frames of a camera that wait for answers about road users, at most: each holds a
/// buffer of its decoder.
const MOST_FRAMES: usize = 4;
/// Where looks wait for the main stream's picture they wait for longer; frames are of the
/// small stream then.
const MOST_FAR_FRAMES: usize = 8;
/// And about the whole picture, besides: plates that wait hold up no look for fire.
const MOST_PICTURES: usize = 2;
/// Looks that were given up and that the chooser has not heard of yet.
const MOST_GIVEN_UP: usize = 256;

/// What a look was chosen for that was not taken, and why.
type Returned = (Promise, GivenUp);

/// The cascades of one camera at work.
pub(crate) struct Cascades {
    list: Vec<Cascade>,
    /// Frames that wait for answers about road users, and those about the whole picture.
    under_way: VecDeque<Weak<()>>,
    pictures_under_way: VecDeque<Weak<()>>,
    given_up: (Sender<Returned>, Receiver<Returned>),
    /// Frames in which nothing was chosen, because too many wait for answers.
    held_up: u64,
    /// Of which time the scene is to hear that looks were not answered.
    unanswered: Vec<Unanswered>,
}

struct Cascade {
    id: CascadeId,
    heard: Vec<ObjectClass>,
    /// By the count of those who look, from 0.
    model: usize,
    /// As the model's manifest says.
    believed_from: f64,
    /// Its networks.
    made_of: Arc<[SecondModel]>,
    chooser: Chooser,
    /// Looks on which the model failed.
    failed: Arc<AtomicU64>,
    /// Looks that were not answered since the last that was.
    row: Row,
    /// Looks for which, or for whose answers, there was no room on the way.
    refused: u64,
    /// Looks whose part was not fit in the main stream's picture.
    unfit: u64,
}

impl Cascades {
    /// Of a camera. `None`: it has none.
    pub(crate) fn new(configs: &[CascadeConfig], lookers: &LookerIndex) -> Option<Self> {
        let cascade = |config: &CascadeConfig| {
            let looker = lookers.of(config)?;
            Some(Cascade {
                id: config.id.clone(),
                heard: config.heard(),
                model: looker.number,
                believed_from: looker.believed_from,
                made_of: looker.made_of,
                chooser: Chooser::new(config.looks.clone()),
                failed: Arc::default(),
                row: Row::default(),
                refused: 0,
                unfit: 0,
            })
        };
        let list: Vec<Cascade> = configs.iter().filter_map(cascade).collect();
        (!list.is_empty()).then(|| Self {
            list,
            under_way: VecDeque::new(),
            pictures_under_way: VecDeque::new(),
            given_up: bounded(MOST_GIVEN_UP),
            held_up: 0,
            unanswered: Vec::new(),
        })
    }

    /// Which looks to take in a frame that the scene has just seen. `main`: pixels of the
    /// stream whose picture of that moment is looked at instead of this one; how clear it
    /// is nobody knows yet.
    pub(crate) fn choose(
        &mut self,
        frame: &Frame,
        scene: &Scene,
        main: Option<(u32, u32)>,
    ) -> Vec<Wish> {
        self.hear_given_up();
        for waiting in [&mut self.under_way, &mut self.pictures_under_way] {
            waiting.retain(|frame| frame.strong_count() > 0);
        }
        let most = if main.is_some() {
            MOST_FAR_FRAMES
        } else {
            MOST_FRAMES
        };
        let has_room = self.under_way.len() < most;
        let has_room_for_pictures = self.pictures_under_way.len() < MOST_PICTURES;
        let is_held_up = |cascade: &Cascade| {
            let is_of_the_picture = cascade.chooser.looks().on.is_empty();
            !(if is_of_the_picture {
                has_room_for_pictures
            } else {
                has_room
            })
        };
        self.held_up += u64::from(self.list.iter().any(is_held_up));
        if self.list.iter().all(is_held_up) {
            return Vec::new();
        }
        let candidates: Vec<Candidate> = scene
            .tracks()
            .map(|track| Candidate {
                id: track.id,
                class: track.class,
                bounds: track.bounds,
                is_seen: track.is_seen,
                missed: track.missed,
                is_grounded: track.is_grounded,
                mount: track.mount,
                comes: track.comes,
            })
            .collect();
        let (width, height) = main.unwrap_or((frame.width, frame.height));
        let size = (f64::from(width), f64::from(height));
        let at = FrameTime {
            frame: frame.number,
            time: frame.time,
        };
        let (token, picture_token) = (Arc::new(()), Arc::new(()));
        let mut wishes = Vec::new();
        for (number, cascade) in self.list.iter_mut().enumerate() {
            if is_held_up(cascade) {
                continue;
            }
            let looks = cascade.chooser.looks();
            let least = Least {
                height_px: looks.min_height_px,
                sharpness: looks.min_sharpness,
            };
            let clear = |part: &NormBox| {
                let clear = clearness(frame, part);
                // What is blurred here may be clear there.
                main.map_or(clear, |_| clear.max(least.sharpness))
            };
            let chosen = cascade.chooser.choose(frame.time, size, &candidates, clear);
            for choice in chosen {
                for (track, part) in choice.parts {
                    let who = candidates.iter().find(|c| Some(c.id) == track);
                    wishes.push(Wish {
                        model: cascade.model,
                        part,
                        class: who.map(|candidate| candidate.class),
                        least,
                        question: Question {
                            at,
                            track,
                            cascade: cascade.id.clone(),
                            by: Arc::clone(&cascade.made_of),
                            main: None,
                            bounds: part,
                            heard: cascade.heard.clone(),
                            believed_from: cascade.believed_from,
                            failed: Arc::clone(&cascade.failed),
                            pledge: Pledge {
                                promise: Some((number, choice.track, frame.time)),
                                given_up: self.given_up.0.clone(),
                                dropped: GivenUp::NoTime,
                            },
                            _under_way: Arc::clone(if track.is_some() {
                                &token
                            } else {
                                &picture_token
                            }),
                        },
                    });
                }
            }
        }
        for (waiting, token) in [
            (&mut self.under_way, token),
            (&mut self.pictures_under_way, picture_token),
        ] {
            if Arc::strong_count(&token) > 1 {
                waiting.push_back(Arc::downgrade(&token));
            }
        }
        wishes
    }

    /// Looks that were not taken may be taken again, and the scene is to hear of rows of
    /// them.
    fn hear_given_up(&mut self) {
        for ((cascade, track, at), why) in self.given_up.1.try_iter() {
            let Some(cascade) = self.list.get_mut(cascade) else {
                continue;
            };
            if why == GivenUp::Unfit {
                cascade.chooser.was_unfit(track, at);
                cascade.unfit += 1;
                continue;
            }
            cascade.chooser.not_taken(track, at);
            cascade.refused += u64::from(why == GivenUp::Unheard);
            let failures = cascade.failed.load(Ordering::Relaxed);
            let stretch = cascade.row.given_up(&cascade.id, at, failures);
            self.unanswered.extend(stretch.map(|stretch| Unanswered {
                reason: match why {
                    GivenUp::NoPicture => GapReason::StreamLost,
                    GivenUp::NoTime | GivenUp::Unheard | GivenUp::Unfit => stretch.reason,
                },
                ..stretch
            }));
        }
    }

    /// The scene has heard an answer of a cascade.
    pub(crate) fn answered(&mut self, cascade: &CascadeId) {
        if let Some(known) = self.list.iter_mut().find(|known| known.id == *cascade) {
            known.row.answered();
        }
    }

    /// An answer of a cascade came too late for the scene, which has forgotten the frame: the
    /// look counts as not taken, and may be taken again.
    pub(crate) fn came_too_late(
        &mut self,
        cascade: &CascadeId,
        whom: Option<TrackId>,
        at: EventTime,
    ) {
        let known = self.list.iter_mut().find(|known| known.id == *cascade);
        let Some(known) = known else { return };
        known.chooser.came_too_late(whom, at);
        let failures = known.failed.load(Ordering::Relaxed);
        let stretch = known.row.given_up(&known.id, at, failures);
        self.unanswered.extend(stretch);
    }

    /// Of which time the scene is to hear that looks were not answered; told once.
    pub(crate) fn take_unanswered(&mut self) -> Vec<Unanswered> {
        std::mem::take(&mut self.unanswered)
    }

    /// There was no room for a look on the way to the models.
    pub(crate) fn refuse(&mut self, cascade: &CascadeId) {
        if let Some(known) = self.list.iter_mut().find(|known| known.id == *cascade) {
            known.refused += 1;
        }
    }

    /// Why nobody was looked at, by cascade, and how often nothing was chosen
    /// because answers were waited for.
    pub(crate) fn passed(&self) -> (BTreeMap<CascadeId, Passed>, u64) {
        let of = |cascade: &Cascade| {
            let mut passed = cascade.chooser.passed();
            passed.busy += cascade.refused;
            passed.unclear += cascade.unfit;
            (cascade.id.clone(), passed)
        };
        (self.list.iter().map(of).collect(), self.held_up)
    }
}

/// How clear a part of a frame is.
fn clearness(frame: &Frame, part: &NormBox) -> f64 {
    let Some(crop) = Crop::around(part, frame.width, frame.height) else {
        return 0.0;
    };
    let (x, y) = (crop.x as usize, crop.y as usize);
    let stride = frame.y_stride();
    let bytes = frame.y().get(y * stride + x..).unwrap_or_default();
    sharpness(Luma {
        bytes,
        stride,
        width: crop.width as usize,
        height: crop.height as usize,
    })
}

#[cfg(test)]
mod tests;
