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
use edge_core::{Scene, Unanswered};
use edge_video::Frame;
use models::Crop;
use protocol::event::FrameTime;
use protocol::id::CascadeId;
use protocol::{NormBox, ObjectClass};

use crate::config::CascadeConfig;

pub(crate) use fares::Fares;
pub(crate) use lookers::{Answer, LookerIndex, Lookers, Part, Taker, misfit};
use question::Promise;
pub(crate) use question::{Question, Wish};
use unanswered::Row;

/// Frames of a camera that wait for answers about road users, at most: each holds a
/// buffer of its decoder.
const MOST_FRAMES: usize = 4;
/// And about the whole picture, besides: plates that wait hold up no look for fire.
const MOST_PICTURES: usize = 2;
/// Looks that were given up and that the chooser has not heard of yet.
const MOST_GIVEN_UP: usize = 256;

/// The cascades of one camera at work.
pub(crate) struct Cascades {
    list: Vec<Cascade>,
    /// Frames that wait for answers about road users, and those about the whole picture.
    under_way: VecDeque<Weak<()>>,
    pictures_under_way: VecDeque<Weak<()>>,
    given_up: (Sender<Promise>, Receiver<Promise>),
    /// Frames in which nothing was chosen, because too many wait for answers.
    held_up: u64,
    /// Of which time the scene is to hear that looks were not answered.
    unanswered: Vec<Unanswered>,
}

struct Cascade {
    id: CascadeId,
    gives: Vec<ObjectClass>,
    /// By the count of those who look, from 0.
    model: usize,
    /// As the model's manifest says.
    believed_from: f64,
    chooser: Chooser,
    /// Looks on which the model failed.
    failed: Arc<AtomicU64>,
    /// Looks that were not answered since the last that was.
    row: Row,
    /// Looks for which there was no room on the way.
    refused: u64,
}

impl Cascades {
    /// Of a camera. `None`: it has none.
    pub(crate) fn new(configs: &[CascadeConfig], lookers: &LookerIndex) -> Option<Self> {
        let cascade = |config: &CascadeConfig| {
            let (model, believed_from) = lookers.of(config)?;
            Some(Cascade {
                id: config.id.clone(),
                gives: config.gives.clone(),
                model,
                believed_from,
                chooser: Chooser::new(config.looks.clone()),
                failed: Arc::default(),
                row: Row::default(),
                refused: 0,
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

    /// Which looks to take in a frame that the scene has just seen.
    pub(crate) fn choose(&mut self, frame: &Frame, scene: &Scene) -> Vec<Wish> {
        for (cascade, track, at) in self.given_up.1.try_iter() {
            if let Some(cascade) = self.list.get_mut(cascade) {
                cascade.chooser.not_taken(track, at);
                let failures = cascade.failed.load(Ordering::Relaxed);
                let stretch = cascade.row.given_up(&cascade.id, at, failures);
                self.unanswered.extend(stretch);
            }
        }
        for waiting in [&mut self.under_way, &mut self.pictures_under_way] {
            waiting.retain(|frame| frame.strong_count() > 0);
        }
        let has_room = self.under_way.len() < MOST_FRAMES;
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
                mount: track.mount,
                comes: track.comes,
            })
            .collect();
        let size = (f64::from(frame.width), f64::from(frame.height));
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
            let clear = |part: &NormBox| clearness(frame, part);
            let chosen = cascade.chooser.choose(frame.time, size, &candidates, clear);
            for choice in chosen {
                for (track, part) in choice.parts {
                    let who = candidates.iter().find(|c| Some(c.id) == track);
                    wishes.push(Wish {
                        model: cascade.model,
                        part,
                        class: who.map(|candidate| candidate.class),
                        question: Question {
                            at,
                            track,
                            cascade: cascade.id.clone(),
                            bounds: part,
                            gives: cascade.gives.clone(),
                            believed_from: cascade.believed_from,
                            failed: Arc::clone(&cascade.failed),
                            promise: Some((number, choice.track, frame.time)),
                            given_up: self.given_up.0.clone(),
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

    /// The scene has heard an answer of a cascade.
    pub(crate) fn answered(&mut self, cascade: &CascadeId) {
        if let Some(known) = self.list.iter_mut().find(|known| known.id == *cascade) {
            known.row.answered();
        }
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
