//! One thread that looks for all cameras: gates say what is worth a look, the
//! scheduler says whose turn it is, and with which model.
//!
//! Pictures are taken in between any two looks, so that a gate sees the newest
//! picture of its camera whatever the models are doing. What scenes ask to be
//! looked at more closely ([`SecondLook`]) is scheduled beside the pictures; its
//! answer goes the way of everything that a scene learns, as [`Work`].

mod second_look;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, select};
use edge_core::{Gap, GapReason, Input};
use edge_inference::{Detector, DetectorError, Look, Network};
use edge_scheduler::{Chosen, Job, Kind, Region, Scheduler};
use edge_video::{CameraStream, Frame};
use motion_gate::{Reason, Verdict};
use protocol::event::Words;
use protocol::status::CameraHealth;

use super::{CameraState, StopFlag, Work};
use crate::config::{CameraConfig, InferenceConfig};
use crate::perception;
use crate::picture_gate::PictureGate;

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
/// The detector, by the scheduler's count of models.
const DETECTOR: usize = 0;

/// The models that look, each by its number: 0 is the detector.
pub(super) struct Models {
    /// Sees whole pictures.
    pub(super) detector: Detector,
    /// Look at parts of them: 1 and so on.
    pub(super) second: Vec<Network>,
}

impl Models {
    /// How many pictures each computes at once, for the scheduler.
    fn batches(&self) -> Vec<usize> {
        std::iter::once(self.detector.network())
            .chain(&self.second)
            .map(Network::batch)
            .collect()
    }
}

/// What wakes the thread when it has nothing to do.
pub(super) struct Calls<'a> {
    /// A stream has a new picture.
    pub(super) woken: &'a Receiver<()>,
    /// A scene asks for a closer look.
    pub(super) asked: &'a Receiver<SecondLook>,
}

/// Looks at frames until told to stop.
pub(super) fn run(
    models: Models,
    feeds: &[Feed],
    settings: &InferenceConfig,
    calls: &Calls<'_>,
    stop: &StopFlag,
) {
    let plans: Vec<_> = feeds
        .iter()
        .map(|(camera, ..)| camera.detect.plan(camera.analysed_fps))
        .collect();
    let mut desk = Desk {
        scheduler: Scheduler::new(settings.settings(), &plans, &models.batches()),
        models,
        feeds,
        gates: feeds
            .iter()
            .map(|(camera, ..)| PictureGate::new(&camera.detect))
            .collect(),
        began: Instant::now(),
    };
    while !stop.is_set() {
        for camera in 0..feeds.len() {
            desk.take_in(camera);
        }
        for asked in calls.asked.try_iter() {
            desk.take_on(asked);
        }
        let batch = desk.scheduler.pick(desk.now_us());
        if !batch.is_empty() {
            desk.look(batch);
            continue;
        }
        select! {
            recv(calls.woken) -> call => if call.is_err() {
                return;
            },
            // Without scenes that ask there is no such call any more.
            recv(calls.asked) -> asked => match asked {
                Ok(asked) => desk.take_on(asked),
                Err(_) => return,
            },
            default(PATIENCE) => {}
        }
    }
}

/// What a job is about.
enum Errand {
    /// A camera's picture.
    Picture(Frame),
    /// What a scene asked for.
    Second(SecondLook),
}

/// A camera's picture whose turn it is.
struct Turn {
    camera: usize,
    frame: Frame,
    unwatched: Option<Gap>,
}

/// The models and everything around them.
struct Desk<'a> {
    models: Models,
    feeds: &'a [Feed],
    gates: Vec<PictureGate>,
    scheduler: Scheduler<Errand>,
    began: Instant,
}

impl Desk<'_> {
    fn now_us(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Takes the camera's newest frame, if there is one, and asks its gate.
    fn take_in(&mut self, camera: usize) {
        let (config, stream, work, state) = &self.feeds[camera];
        let Some(frame) = stream.take_newest() else {
            return;
        };
        let verdict = self.gates[camera].judge(&frame, state.attention());
        state.count_verdict(verdict);
        let kind = match verdict {
            Some(Verdict::Rest) => {
                let inputs = perception::glance(&frame, &config.scene);
                if !inputs.is_empty() {
                    let glance = Work {
                        inputs,
                        frame: None,
                    };
                    // A scene that is behind hears the lamps of the next picture.
                    send(config, state, work, glance);
                }
                return;
            }
            Some(Verdict::Look(Reason::Heartbeat)) => Kind::Heartbeat,
            Some(Verdict::Look(_)) | None => Kind::Awake,
        };
        let job = Job {
            camera,
            model: DETECTOR,
            kind,
            region: Region::Whole,
            time: frame.time,
            picture: Errand::Picture(frame),
        };
        self.scheduler.offer(job, self.now_us());
        self.tell(camera);
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
            kind: Kind::SecondLook,
            region: Region::Part(asked.part),
            time: asked.frame.time,
            picture: Errand::Second(asked),
        };
        self.scheduler.offer(job, self.now_us());
        self.tell(camera);
    }

    /// Does one batch: jobs of one model.
    fn look(&mut self, batch: Vec<Chosen<Errand>>) {
        let Some(model) = batch.first().map(|chosen| chosen.job.model) else {
            return;
        };
        let (mut pictures, mut second) = (Vec::new(), Vec::new());
        for chosen in batch {
            let camera = chosen.job.camera;
            match chosen.job.picture {
                Errand::Picture(frame) => {
                    let unwatched = chosen.unwatched.map(|(from, to)| Gap {
                        from,
                        to,
                        reason: GapReason::Overload,
                    });
                    pictures.push(Turn {
                        camera,
                        frame,
                        unwatched,
                    });
                }
                Errand::Second(asked) => second.push((camera, asked)),
            }
        }
        if !pictures.is_empty() {
            self.look_at_pictures(pictures);
        }
        if !second.is_empty() {
            self.look_closer(model, second);
        }
    }

    fn look_at_pictures(&mut self, turns: Vec<Turn>) {
        let begun = Instant::now();
        let views: Vec<_> = turns
            .iter()
            .map(|turn| perception::view(&turn.frame))
            .collect();
        let looks: Vec<_> = views.iter().map(Look::whole).collect();
        let seen = self.models.detector.detect_batch(&looks);
        let took = self.finished(DETECTOR, turns.len(), begun);
        let believed_from = self.models.detector.manifest().thresholds.high;
        for (turn, seen) in turns.into_iter().zip(seen) {
            let Turn {
                camera,
                frame,
                unwatched,
            } = turn;
            let (config, _, work, state) = &self.feeds[camera];
            self.gates[camera].looked(frame.time);
            state.count_look(took);
            match seen {
                Ok(seen) => {
                    let mut inputs = perception::glance(&frame, &config.scene);
                    inputs.push(perception::detections(&frame, believed_from, seen.found));
                    state.show_shadow(&frame, &inputs);
                    if let Some(gap) = unwatched {
                        inputs.insert(0, Input::Gap(gap));
                    }
                    let seen = Work {
                        inputs,
                        frame: Some(frame),
                    };
                    send(config, state, work, seen);
                }
                Err(error) => failed(config, state, &frame, &error),
            }
            self.tell(camera);
        }
    }

    /// Second looks, all with one model; their scenes are told.
    fn look_closer(&mut self, model: usize, asked: Vec<(usize, SecondLook)>) {
        let Some(network) = model
            .checked_sub(1)
            .and_then(|number| self.models.second.get_mut(number))
        else {
            return;
        };
        let begun = Instant::now();
        let answers = second_look::answers(network, &asked);
        let took = self.finished(model, asked.len(), begun);
        for ((camera, asked), answer) in asked.into_iter().zip(answers) {
            let (config, _, work, state) = &self.feeds[camera];
            state.count_second_look(took);
            let learnt = Work {
                inputs: (asked.learn)(answer),
                frame: None,
            };
            if !learnt.inputs.is_empty() {
                send(config, state, work, learnt);
            }
            self.tell(camera);
        }
    }

    /// Tells the scheduler what a batch cost; each one's share of it.
    fn finished(&mut self, model: usize, size: usize, begun: Instant) -> Duration {
        let took = begun.elapsed();
        let took_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        self.scheduler.finished(model, size, took_us);
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

fn send(camera: &CameraConfig, state: &CameraState, to: &Sender<Work>, work: Work) {
    let is_look = work.frame.is_some();
    match to.try_send(work) {
        Err(TrySendError::Full(_)) if is_look => state.count_dropped_busy(),
        Ok(()) | Err(TrySendError::Full(_)) => {}
        Err(TrySendError::Disconnected(_)) => scene_is_gone(camera, state),
    }
}

/// The scene thread has ended, which only a fault of ours can do.
fn scene_is_gone(camera: &CameraConfig, state: &CameraState) {
    state.count_dropped_failed();
    let reason = Words::new(
        "Bộ phân tích của camera đã dừng; khởi động lại hộp",
        "the camera's scene has ended; restart the agent and report its log",
    );
    if state.set_health(CameraHealth::Lost, Some(reason)) {
        tracing::error!(camera = %camera.id, "the camera's scene has ended; restart the agent");
    }
}
