//! One thread that looks for all cameras: gates say what is worth a look, the
//! scheduler says whose turn it is, and with which model.
//!
//! Pictures are taken in between any two looks, so that a gate sees the newest
//! picture of its camera whatever the models are doing. What scenes ask to be
//! looked at more closely ([`SecondLook`]) is scheduled beside the pictures; its
//! answer goes the way of everything that a scene learns, as [`Work`].

mod arrivals;
mod looks;
mod picture;
mod readings;
mod second_look;
mod taken;
mod to_scene;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use edge_core::Input;
use edge_inference::{AtWork, AtWorkMark, Detector, Network};
use edge_scheduler::Scheduler;
use edge_video::{CameraStream, Frame};
use models::Crop;
use motion_gate::Found;

use super::forlorn::Forlorn;
use super::idle::Idle;
use super::model_state::ModelState;
use super::{CameraState, StopFlag, Work};
use crate::between_looks::BetweenLooks;
use crate::cascades::Taker;
use crate::config::{CameraConfig, InferenceConfig};
use crate::perception::{Blindness, Parts};
use crate::picture_gate::PictureGate;

use picture::Picture;
use readings::Readings;
use taken::{Lacks, Taken};
use to_scene::{Sent, ToScene};

pub(crate) use second_look::SecondLook;

/// A camera's newest frame, and where what is seen in it goes.
pub(super) type Feed = (
    CameraConfig,
    Arc<CameraStream>,
    Sender<Work>,
    Arc<CameraState>,
);

/// Longest wait for a frame before the stop flag is looked at.
const PATIENCE: Duration = Duration::from_millis(100);
/// Longest wait for scenes to hear what is left when the box stops.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The detector, by the scheduler's count of models.
const DETECTOR: usize = 0;

/// The models that look, each by its number: 0 is the detector.
pub(super) struct Models {
    /// Sees whole pictures.
    pub(super) detector: Detector,
    /// Look at parts of them: 1 and so on.
    pub(super) second: Vec<Second>,
    /// Where is noted who of them looks.
    pub(super) at_work: AtWork,
    /// Where is told how the detector fares.
    pub(super) state: Arc<ModelState>,
}

/// A model that takes second looks.
pub(super) struct Second {
    pub(super) taker: Taker,
    /// Where is told how it fares.
    pub(super) state: Arc<ModelState>,
    /// Words for when it is at work.
    pub(super) mark: AtWorkMark,
    /// Whether it was told that nothing computes it any more.
    pub(super) forlorn: Forlorn,
}

impl Second {
    /// Why nothing computes it any more in this process, once each time.
    fn newly_forlorn(&mut self, lost: &Lost<'_>) -> Option<String> {
        let why = self.forlorn.newly((lost.second)(&self.taker))?;
        Some(format!(
            "model {} for second looks: {why}",
            self.state.model
        ))
    }
}

impl Models {
    /// Counts answers that are no numbers; they are said once.
    fn doubt(&self, broken: usize) {
        if self.state.count_broken(broken) {
            tracing::warn!(
                model = %self.detector.manifest().id, broken,
                "the model gives answers that are no numbers; they are passed over and counted: if it \
                 goes on, its file is damaged or its precision too small, run `edge-agent models verify`"
            );
        }
    }

    /// How many pictures each computes at once, for the scheduler.
    fn batches(&self) -> Vec<usize> {
        std::iter::once(self.detector.network().batch())
            .chain(self.second.iter().map(|second| second.taker.batch()))
            .collect()
    }
}

/// What wakes the thread when it has nothing to do.
pub(super) struct Calls<'a> {
    /// A stream has a new picture.
    pub(super) woken: &'a Receiver<()>,
    /// A scene asks for a closer look.
    pub(super) asked: &'a Receiver<SecondLook>,
    /// Told each time that it has come round, whether or not there was something to do.
    pub(super) goes_on: &'a dyn Fn(),
    /// Told why a model for second looks has nothing any more that computes it.
    pub(super) is_forlorn: &'a dyn Fn(String),
    /// Asked each time whether that is so.
    pub(super) lost: Lost<'a>,
}

/// Who says that nothing computes a model any more in this process: the models themselves. Of those
/// it takes a device that is away for half a minute, so a test has its own.
pub(super) struct Lost<'a> {
    detector: &'a dyn Fn(&Network) -> Option<String>,
    second: &'a dyn Fn(&Taker) -> Option<String>,
}

impl Default for Lost<'_> {
    fn default() -> Self {
        Self {
            detector: &Network::forlorn,
            second: &Taker::forlorn,
        }
    }
}

/// Looks at frames until told to stop.
pub(super) fn run(
    models: Models,
    feeds: &[Feed],
    settings: &InferenceConfig,
    calls: &Calls<'_>,
    stop: &StopFlag,
) {
    let mut desk = Desk::new(models, feeds, settings);
    while !stop.is_set() && desk.work(calls) {
        (calls.goes_on)();
        if let Some(why) = (calls.lost.detector)(desk.models.detector.network()) {
            tracing::error!("nothing is watched: {why}");
            stop.give_way(why);
        }
        let second = desk.models.second.iter_mut();
        second
            .filter_map(|second| second.newly_forlorn(&calls.lost))
            .for_each(calls.is_forlorn);
    }
    for camera in 0..feeds.len() {
        desk.finish(camera);
    }
    desk.settle();
}

/// What a job is about.
enum Errand {
    /// All that is watched of a camera's picture.
    Picture(Frame),
    /// A tile of it.
    Tile(Frame, Crop),
    /// What a scene asked for.
    Second(SecondLook),
}

/// The models and everything around them.
struct Desk<'a> {
    models: Models,
    feeds: &'a [Feed],
    gates: Vec<PictureGate>,
    /// Who was seen last of each camera, to be followed into pictures that nobody looks at.
    between: Vec<BetweenLooks>,
    parts: Vec<Parts>,
    /// To each camera's scene.
    ways: Vec<ToScene>,
    /// Of each camera the picture that was looked at and whose tiles still wait.
    pictures: Vec<Option<Picture>>,
    /// Of each camera what was read of pictures that its scene has not heard of.
    readings: Vec<Readings>,
    blindness: Vec<Blindness>,
    idles: Vec<Idle>,
    /// Of each camera the newest picture that was taken in.
    taken: Vec<Option<Taken>>,
    /// Of each camera for how long pictures were not there to be looked at.
    lacks: Vec<Lacks>,
    scheduler: Scheduler<Errand>,
    began: Instant,
}

impl<'a> Desk<'a> {
    fn new(models: Models, feeds: &'a [Feed], settings: &InferenceConfig) -> Self {
        let plans: Vec<_> = feeds
            .iter()
            .map(|(camera, ..)| camera.detect.plan(camera.analysed_fps))
            .collect();
        Self {
            scheduler: Scheduler::new(settings.settings(), &plans, &models.batches()),
            models,
            feeds,
            gates: feeds
                .iter()
                .map(|(camera, ..)| PictureGate::new(&camera.detect))
                .collect(),
            between: feeds
                .iter()
                .map(|(camera, ..)| BetweenLooks::new(&camera.detect))
                .collect(),
            parts: feeds
                .iter()
                .map(|(camera, ..)| Parts::new(&camera.detect))
                .collect(),
            ways: feeds.iter().map(|_| ToScene::default()).collect(),
            pictures: feeds.iter().map(|_| None).collect(),
            readings: feeds.iter().map(|_| Readings::default()).collect(),
            blindness: vec![Blindness::default(); feeds.len()],
            idles: feeds
                .iter()
                .map(|(camera, ..)| Idle::new(&camera.detect))
                .collect(),
            taken: vec![None; feeds.len()],
            lacks: vec![Lacks::default(); feeds.len()],
            began: Instant::now(),
        }
    }

    fn now_us(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Gives scenes the time to hear what they had no room for: they end after this thread.
    fn settle(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        loop {
            let ways = self.ways.iter_mut().zip(self.feeds);
            let waits = ways.filter_map(|(way, (_, _, to, _))| {
                let is_there = way.flush(to) != Sent::Gone;
                (is_there && way.owes()).then_some(())
            });
            if waits.count() == 0 || Instant::now() >= until {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Takes in what is new, and does what is most urgent or waits for something
    /// to do. False when nothing will come any more.
    fn work(&mut self, calls: &Calls<'_>) -> bool {
        for camera in 0..self.feeds.len() {
            self.take_in(camera);
            self.finish_if_overdue(camera);
        }
        for asked in calls.asked.try_iter() {
            self.take_on(asked);
        }
        let batch = self.scheduler.pick(self.now_us());
        if !batch.is_empty() {
            self.look(batch);
            return true;
        }
        select! {
            recv(calls.woken) -> call => call.is_ok(),
            recv(calls.asked) -> asked => match asked {
                Ok(asked) => {
                    self.take_on(asked);
                    true
                }
                Err(_) => false,
            },
            default(PATIENCE) => true,
        }
    }

    fn finish_if_done(&mut self, camera: usize) {
        if self.scheduler.waiting_tiles(camera) == 0 {
            self.finish(camera);
        }
    }

    /// Does not let the scene wait for tiles of which the turn does not come: what was seen
    /// in the picture as a whole may be somebody who must be told of.
    fn finish_if_overdue(&mut self, camera: usize) {
        let now = Instant::now();
        let is_overdue = |picture: &Picture| picture.is_overdue(now);
        if self.pictures[camera].as_ref().is_some_and(is_overdue) {
            self.scheduler.drop_tiles(camera);
            self.finish(camera);
        }
    }

    /// Tells the scene what was seen in the camera's last picture.
    fn finish(&mut self, camera: usize) {
        let Some(picture) = self.pictures[camera].take() else {
            return;
        };
        let thresholds = &self.models.detector.manifest().thresholds;
        let believed_from = thresholds.high;
        let time = picture.frame.time;
        let told: Vec<Work> = (picture.told(&mut self.parts[camera], thresholds)).collect();
        for seen in told {
            if let (Some(Input::Detections(found)), Some(frame)) = (seen.inputs.last(), &seen.frame)
            {
                self.between[camera].looked(frame, believed_from, &found.items);
            }
            if self.send(camera, seen) != Sent::Well {
                self.gates[camera].looked(time, Found::Unknown);
            }
        }
    }

    fn send(&mut self, camera: usize, work: Work) -> Sent {
        let (_, _, to, state) = &self.feeds[camera];
        let is_answer = work.pledge.is_some();
        let sent = self.ways[camera].send(to, work);
        match sent {
            Sent::Well => {}
            // Where answers are lost the chooser hears of it, and counts them.
            Sent::Lost if is_answer => {}
            Sent::Lost => state.count_dropped_busy(),
            // A fault of ours; its camera is given up, or the program ends.
            Sent::Gone => {
                state.count_dropped_failed();
            }
        }
        sent
    }

    fn tell(&self, camera: usize) {
        if let Some(counters) = self.scheduler.counters(camera) {
            self.feeds[camera].3.set_jobs(counters);
        }
    }
}

#[cfg(test)]
mod tests;
