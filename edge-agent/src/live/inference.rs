//! One detector for all cameras: gates say what is worth a look, the scheduler
//! says whose turn it is.
//!
//! Pictures are taken in between any two looks, so that a gate sees the newest
//! picture of its camera whatever the detector is doing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use edge_core::{Gap, GapReason, Input};
use edge_inference::Detector;
use edge_scheduler::{Chosen, Job, Kind, Region, Scheduler};
use edge_video::{CameraStream, Frame};
use motion_gate::{Reason, Verdict};
use protocol::event::Words;
use protocol::status::CameraHealth;

use super::{CameraState, StopFlag, Work};
use crate::config::{CameraConfig, InferenceConfig};
use crate::perception;
use crate::picture_gate::PictureGate;

/// A camera's newest frame, and where what is seen in it goes.
pub(super) type Feed = (
    CameraConfig,
    Arc<CameraStream>,
    Sender<Work>,
    Arc<CameraState>,
);

/// Longest wait for a frame before the stop flag is looked at.
const PATIENCE: Duration = Duration::from_millis(100);
/// The one model there is, by the scheduler's count.
const DETECTOR: usize = 0;
/// Its letterbox and its session are for one picture at a time.
const LARGEST_BATCH: usize = 1;

/// Looks at frames until told to stop.
pub(super) fn run(
    detector: Detector,
    feeds: &[Feed],
    settings: &InferenceConfig,
    woken: &Receiver<()>,
    stop: &StopFlag,
) {
    let plans: Vec<_> = feeds
        .iter()
        .map(|(camera, ..)| camera.detect.plan(camera.analysed_fps))
        .collect();
    let mut desk = Desk {
        detector,
        feeds,
        gates: feeds
            .iter()
            .map(|(camera, ..)| PictureGate::new(&camera.detect))
            .collect(),
        scheduler: Scheduler::new(settings.settings(), &plans, &[LARGEST_BATCH]),
        began: Instant::now(),
    };
    while !stop.is_set() {
        for camera in 0..feeds.len() {
            desk.take_in(camera);
        }
        let batch = desk.scheduler.pick(desk.now_us());
        if batch.is_empty() {
            if woken.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            continue;
        }
        for chosen in batch {
            desk.look(chosen);
        }
    }
}

/// The detector and everything around it.
struct Desk<'a> {
    detector: Detector,
    feeds: &'a [Feed],
    gates: Vec<PictureGate>,
    scheduler: Scheduler<Frame>,
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
            picture: frame,
        };
        self.scheduler.offer(job, self.now_us());
        self.tell(camera);
    }

    fn look(&mut self, chosen: Chosen<Frame>) {
        let camera = chosen.job.camera;
        let frame = chosen.job.picture;
        let (config, _, work, state) = &self.feeds[camera];
        self.gates[camera].looked(frame.time);
        let begun = Instant::now();
        let seen = perception::look(&mut self.detector, &frame, &config.scene);
        let took = begun.elapsed();
        let took_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        self.scheduler.finished(DETECTOR, 1, took_us);
        state.count_look(took);
        match seen {
            Ok(mut inputs) => {
                state.show_shadow(&frame, &inputs);
                if let Some((from, to)) = chosen.unwatched {
                    let reason = GapReason::Overload;
                    inputs.insert(0, Input::Gap(Gap { from, to, reason }));
                }
                let seen = Work {
                    inputs,
                    frame: Some(frame),
                };
                send(config, state, work, seen);
            }
            Err(error) => {
                // Once for a row of them: a model that fails does so on every frame.
                if state.count_dropped_failed() == 1 {
                    tracing::error!(camera = %config.id, frame = frame.number, %error, "detector failed on a frame");
                }
            }
        }
        self.tell(camera);
    }

    fn tell(&self, camera: usize) {
        if let Some(counters) = self.scheduler.counters(camera) {
            self.feeds[camera].3.set_jobs(counters);
        }
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
