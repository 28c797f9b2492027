//! One thread that looks for all cameras: gates say what is worth a look, the
//! scheduler says whose turn it is, and with which model.
//!
//! Pictures are taken in between any two looks, so that a gate sees the newest
//! picture of its camera whatever the models are doing. What scenes ask to be
//! looked at more closely ([`SecondLook`]) is scheduled beside the pictures; its
//! answer goes the way of everything that a scene learns, as [`Work`].

mod picture;
mod readings;
mod second_look;
mod taken;
mod to_scene;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use edge_core::{Attention, Gap, GapReason, Input};
use edge_inference::{AtWork, AtWorkMark, Detector, DetectorError, Look};
use edge_scheduler::{Chosen, Job, Kind, Region, Scheduler};
use edge_video::{CameraStream, Diet, Frame, Lack};
use models::Crop;
use models::heads::Answers;
use motion_gate::{Found, Reason, Verdict};
use protocol::Detection;

use super::idle::Idle;
use super::model_state::ModelState;
use super::{CameraState, StopFlag, Work};
use crate::between_looks::BetweenLooks;
use crate::cascades::Taker;
use crate::config::{CameraConfig, InferenceConfig};
use crate::perception::{self, Blindness, Parts};
use crate::picture_gate::{self, PictureGate};

use picture::Picture;
use readings::Readings;
use taken::Taken;
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
    pub(super) is_forlorn: bool,
}

impl Second {
    /// Why nothing computes it any more in this process, once each time.
    fn newly_forlorn(&mut self) -> Option<String> {
        let why = self.taker.forlorn();
        let was_told = std::mem::replace(&mut self.is_forlorn, why.is_some());
        let why = why.filter(|_| !was_told)?;
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
        if let Some(why) = desk.models.detector.network().forlorn() {
            tracing::error!("nothing is watched: {why}");
            stop.give_way(why);
        }
        let second = desk.models.second.iter_mut();
        second
            .filter_map(Second::newly_forlorn)
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

/// What the detector says of one part.
type Seen = Result<Answers<Detection>, DetectorError>;

/// A part of a camera's picture whose turn it is.
struct Turn {
    camera: usize,
    frame: Frame,
    crop: Crop,
    is_tile: bool,
    /// Of which time before it too little was seen.
    unwatched: Option<Gap>,
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
    /// Of each camera for how long pictures were not there to be looked at since the last look.
    lacking: Vec<Lack>,
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
            lacking: vec![Lack::default(); feeds.len()],
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

    /// Takes the camera's newest frame, if there is one.
    fn take_in(&mut self, camera: usize) {
        let (_, stream, to, state) = &self.feeds[camera];
        if state.is_given_up() {
            return;
        }
        self.ways[camera].flush(to);
        if state.attention() == Attention::Unsettled {
            // Not with the next key picture: now.
            self.idles[camera].wake();
            stream.set_diet(Diet::All);
        }
        if let Some(frame) = stream.take_newest() {
            self.consider(camera, frame);
        }
    }

    /// Asks the camera's gate whether to look at its newest frame.
    fn consider(&mut self, camera: usize, frame: Frame) {
        let (config, stream, _, state) = &self.feeds[camera];
        let verdict = match self.gates[camera].judge(&frame, state.attention()) {
            // Where somebody moved and there was no time to look, the gate's word is not enough.
            Some(Verdict::Empty) if !self.scheduler.has_seen_all(camera) => {
                Some(Verdict::Look(Reason::Heartbeat))
            }
            verdict => verdict,
        };
        let diet = self.idles[camera].diet(verdict, state.attention(), frame.time);
        stream.set_diet(diet);
        state.count_verdict(verdict);
        let taken = Taken::of(&frame, &stream.counters());
        let before = self.taken[camera].replace(taken);
        // Now: the picture may be replaced before it is looked at.
        self.readings[camera].add(perception::glance(&frame, &config.scene));
        let kind = match verdict {
            Some(Verdict::Empty) => return self.tell_empty(camera, &frame),
            Some(Verdict::Rest) => {
                let inputs = self.readings[camera].all();
                if inputs.is_empty() {
                    return;
                }
                if let Some(picture) = &mut self.pictures[camera] {
                    // In the order of their pictures, and without hurry: the tiles of the one
                    // before are somebody who stands still and is far away.
                    picture.then(inputs);
                } else {
                    // A scene that is behind hears the lamps of the next picture.
                    self.send(camera, Work::new(inputs, None));
                }
                return;
            }
            Some(Verdict::Look(Reason::Heartbeat)) => Kind::Heartbeat,
            Some(Verdict::Look(_)) | None => {
                if let Some(before) = before {
                    let lack = taken.lacks_since(before);
                    self.lacking[camera] = self.lacking[camera].and(lack);
                    if taken.passes_over_since(before) {
                        // While a look was being done, or decoding was behind, or on the line.
                        self.scheduler.passed_over(camera, before.time);
                    }
                }
                Kind::Awake
            }
        };
        if kind == Kind::Awake && self.follow(camera, &frame) {
            return;
        }
        let job = Job {
            camera,
            model: DETECTOR,
            kind,
            region: Region::Whole,
            series: 0,
            time: frame.time,
            picture: Errand::Picture(frame),
        };
        self.scheduler.offer(job, self.now_us());
        // The tiles of the picture before it are dropped with that.
        self.finish(camera);
        self.tell(camera);
    }

    /// Tells the scene where those of the last look are in `frame`; false where the detector is to look
    /// at it.
    fn follow(&mut self, camera: usize, frame: &Frame) -> bool {
        // What waits is looked at later, and its scene may not hear of an older picture then.
        if self.scheduler.has_waiting_picture(camera) {
            return false;
        }
        let believed_from = self.models.detector.manifest().thresholds.high;
        let begun = Instant::now();
        let found = self.between[camera].follow(frame, believed_from);
        self.feeds[camera]
            .3
            .count_followed(found.is_some(), begun.elapsed());
        let Some(found) = found else {
            return false;
        };
        let told = perception::followed(frame, believed_from, found);
        let (earlier, lamps) = self.readings[camera].until(frame.time);
        self.scheduler.followed(camera, frame.time);
        self.lacking[camera] = Lack::default();
        let inputs = earlier.into_iter().chain(lamps).chain([told]).collect();
        let frame = Some(frame.clone());
        self.send(camera, Work::new(inputs, frame));
        true
    }

    /// Tells the scene that nobody is in `frame`, by the gate's word.
    fn tell_empty(&mut self, camera: usize, frame: &Frame) {
        // Its scene hears of pictures in their order.
        self.finish(camera);
        let believed_from = self.models.detector.manifest().thresholds.high;
        let told = perception::followed(frame, believed_from, &[]);
        let (earlier, lamps) = self.readings[camera].until(frame.time);
        let inputs = earlier.into_iter().chain(lamps).chain([told]).collect();
        if self.send(camera, Work::new(inputs, Some(frame.clone()))) == Sent::Well {
            self.gates[camera].told(frame.time);
            self.scheduler.rested(camera, frame.time, self.now_us());
        }
    }

    /// Takes on what a scene asks for. It is dropped, and counted, when the scheduler
    /// has no time for it.
    fn take_on(&mut self, asked: SecondLook) {
        let number = |feed: &Feed| feed.0.id == asked.camera;
        let Some(camera) = self.feeds.iter().position(number) else {
            tracing::debug!(camera = %asked.camera, "a look at a camera that has no pictures");
            return;
        };
        let job = Job {
            camera,
            model: asked.model,
            kind: if asked.is_whole {
                Kind::PictureLook
            } else {
                Kind::SecondLook
            },
            region: Region::Part(asked.part),
            series: (self.feeds[camera].0.cascades.iter())
                .position(|cascade| cascade.id == asked.cascade)
                .unwrap_or(0),
            time: asked.frame.time,
            picture: Errand::Second(asked),
        };
        self.scheduler.offer(job, self.now_us());
        // Too many of them, and tiles are dropped.
        self.finish_if_done(camera);
        self.tell(camera);
    }

    /// Does one batch: jobs of one model.
    fn look(&mut self, batch: Vec<Chosen<Errand>>) {
        let Some(model) = batch.first().map(|chosen| chosen.job.model) else {
            return;
        };
        let (mut turns, mut second) = (Vec::new(), Vec::new());
        for chosen in batch {
            let camera = chosen.job.camera;
            match chosen.job.picture {
                Errand::Picture(frame) => {
                    let lack = std::mem::take(&mut self.lacking[camera]);
                    let unwatched = chosen.unwatched.map(|(from, to)| Gap {
                        from,
                        to,
                        // What never came, or not whole, no box could have looked at.
                        reason: perception::lacked(lack, to.since(from))
                            .unwrap_or(GapReason::Overload),
                    });
                    turns.push(Turn {
                        camera,
                        crop: self.parts[camera].region((frame.width, frame.height)),
                        frame,
                        is_tile: false,
                        unwatched,
                    });
                }
                Errand::Tile(frame, crop) => turns.push(Turn {
                    camera,
                    frame,
                    crop,
                    is_tile: true,
                    unwatched: None,
                }),
                Errand::Second(asked) => second.push((camera, asked)),
            }
        }
        if !turns.is_empty() {
            self.detect(turns);
        }
        if !second.is_empty() {
            self.look_closer(model, second);
        }
    }

    /// Shows pictures and tiles to the detector.
    fn detect(&mut self, turns: Vec<Turn>) {
        let begun = Instant::now();
        let looks: Vec<_> = turns
            .iter()
            .map(|turn| Look::crop(turn.frame.view(), turn.crop))
            .collect();
        let seen = self.models.detector.detect_batch(&looks);
        let took = self.finished(DETECTOR, turns.len(), begun);
        self.models.state.note(self.models.detector.network());
        let cameras: Vec<_> = turns.iter().map(|turn| turn.camera).collect();
        for (turn, seen) in turns.into_iter().zip(seen) {
            if turn.is_tile {
                self.saw_tile(&turn, seen, took);
            } else {
                self.saw_picture(turn, seen, took);
            }
        }
        for camera in cameras {
            self.finish_if_done(camera);
            self.tell(camera);
        }
    }

    fn saw_picture(&mut self, turn: Turn, seen: Seen, took: Duration) {
        let Turn {
            camera,
            frame,
            crop,
            unwatched,
            ..
        } = turn;
        let (config, _, _, state) = &self.feeds[camera];
        state.count_look(took);
        let believed_from = self.models.detector.manifest().thresholds.high;
        let found = match &seen {
            Ok(seen) => picture_gate::found(&seen.found, seen.broken, believed_from),
            Err(_) => Found::Unknown,
        };
        self.gates[camera].looked(frame.time, found);
        let (earlier, lamps) = self.readings[camera].until(frame.time);
        // Whatever waits is of an older picture.
        self.scheduler.drop_tiles(camera);
        self.finish(camera);
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                self.models.state.count_failure();
                self.between[camera].forget();
                let gap = self.blindness[camera].failed(frame.time);
                failed(config, state, &frame, &error);
                // A lamp is read without the detector.
                let gap = gap.map(Input::Gap);
                let inputs: Vec<_> = earlier.into_iter().chain(gap).chain(lamps).collect();
                if !inputs.is_empty() {
                    self.send(camera, Work::new(inputs, None));
                }
                return;
            }
        };
        self.models.doubt(seen.broken);
        state.show_shadow(&frame, crop, &seen.found);
        let gap = self.blindness[camera].seen(frame.time).or(unwatched);
        let gap = gap.map(Input::Gap);
        let inputs = earlier.into_iter().chain(gap).chain(lamps).collect();
        self.offer_tiles(camera, &frame);
        self.pictures[camera] = Some(Picture::new(frame, inputs, (crop, seen.found)));
    }

    fn saw_tile(&mut self, turn: &Turn, seen: Seen, took: Duration) {
        let (config, _, _, state) = &self.feeds[turn.camera];
        state.count_part(took);
        match seen {
            Ok(seen) => {
                self.models.doubt(seen.broken);
                let picture = self.pictures[turn.camera].as_mut();
                if picture.is_some_and(|picture| picture.saw(&turn.frame, (turn.crop, seen.found)))
                {
                    // Only what the scene hears is done: others are the first at the next picture.
                    self.parts[turn.camera].looked(turn.crop);
                }
            }
            // The picture is not lost with it, and its turn is over.
            Err(error) => {
                self.parts[turn.camera].looked(turn.crop);
                self.models.state.count_failure();
                tracing::debug!(camera = %config.id, %error, "detector failed on a tile");
            }
        }
    }

    fn offer_tiles(&mut self, camera: usize, frame: &Frame) {
        let size = (frame.width, frame.height);
        for tile in self.parts[camera].tiles(size) {
            let job = Job {
                camera,
                model: DETECTOR,
                kind: Kind::Tile,
                region: Region::Part(perception::fractions(tile, size)),
                series: 0,
                time: frame.time,
                picture: Errand::Tile(frame.clone(), tile),
            };
            self.scheduler.offer(job, self.now_us());
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

    /// Second looks, all with one model; their scenes are told.
    fn look_closer(&mut self, model: usize, asked: Vec<(usize, SecondLook)>) {
        let Models {
            second, at_work, ..
        } = &mut self.models;
        let Some(second) = (model.checked_sub(1)).and_then(|number| second.get_mut(number)) else {
            return;
        };
        let begun = Instant::now();
        let taker = &mut second.taker;
        let answers = at_work.while_at_work(&second.mark, || second_look::answers(taker, &asked));
        second.taker.tell(&answers, &second.state);
        let took = self.finished(model, asked.len(), begun);
        for ((camera, asked), answer) in asked.into_iter().zip(answers) {
            self.feeds[camera].3.count_part(took);
            if let Some(learnt) = (asked.learn)(answer) {
                let work = Work {
                    inputs: vec![learnt.input],
                    // What the answer decides is shown in the picture that it is about.
                    frame: Some(asked.frame),
                    pledge: Some(learnt.pledge),
                };
                self.send(camera, work);
            }
            self.tell(camera);
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

    /// Tells the scheduler what a batch cost; each one's share of it.
    fn finished(&mut self, model: usize, size: usize, begun: Instant) -> Duration {
        let took = begun.elapsed();
        let took_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        self.scheduler.finished(model, size, took_us, self.now_us());
        took / u32::try_from(size.max(1)).unwrap_or(u32::MAX)
    }

    fn tell(&self, camera: usize) {
        if let Some(counters) = self.scheduler.counters(camera) {
            self.feeds[camera].3.set_jobs(counters);
        }
    }
}

fn failed(camera: &CameraConfig, state: &CameraState, frame: &Frame, error: &DetectorError) {
    // Once for a row of them: a model that fails does so on every frame.
    if state.count_dropped_failed() == 1 {
        tracing::error!(camera = %camera.id, frame = frame.number, %error, "detector failed on a frame");
    }
}

#[cfg(test)]
mod tests;
