//! What is new: the gate says whether a picture is worth a look, and what is asked for is
//! taken on.

use std::time::Instant;

use edge_core::Attention;
use edge_scheduler::{Job, Kind, Region};
use edge_video::{Diet, Frame};
use motion_gate::{Reason, Verdict};

use super::second_look::SecondLook;
use super::taken::Taken;
use super::to_scene::Sent;
use super::{DETECTOR, Desk, Errand, Feed};
use crate::live::Work;
use crate::perception;

impl Desk<'_> {
    /// Takes the camera's newest frame, if there is one.
    pub(super) fn take_in(&mut self, camera: usize) {
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
    pub(super) fn consider(&mut self, camera: usize, frame: Frame) {
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
        self.lacks[camera].note(&frame);
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
            Some(Verdict::Look(Reason::Heartbeat)) => {
                // Nobody asks a gate while a look is being done: where that took long this
                // heartbeat is late, and the box is to blame.
                if before.is_some_and(|before| taken.takes_over_since(before)) {
                    self.scheduler.passed_over_at_rest(camera);
                }
                Kind::Heartbeat
            }
            Some(Verdict::Look(_)) | None => {
                if let Some(before) = before
                    && taken.passes_over_since(before)
                {
                    // While a look was being done, or decoding was behind, or on the line.
                    self.scheduler.passed_over(camera, before.time);
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
    pub(super) fn take_on(&mut self, asked: SecondLook) {
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
}
