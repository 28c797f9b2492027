//! Looking: a batch is shown to its model, and what it says is told or kept until a
//! picture's tiles are through.

use std::time::{Duration, Instant};

use edge_core::{Gap, GapReason, Input};
use edge_inference::{DetectorError, Look};
use edge_scheduler::{Chosen, Job, Kind, Region};
use edge_video::Frame;
use models::Crop;
use models::heads::Answers;
use motion_gate::Found;
use protocol::Detection;

use super::picture::Picture;
use super::second_look::{self, SecondLook};
use super::{DETECTOR, Desk, Errand, Models};
use crate::config::CameraConfig;
use crate::live::{CameraState, Work};
use crate::perception;
use crate::picture_gate;

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

impl Desk<'_> {
    /// Does one batch: jobs of one model.
    pub(super) fn look(&mut self, batch: Vec<Chosen<Errand>>) {
        let Some(model) = batch.first().map(|chosen| chosen.job.model) else {
            return;
        };
        let (mut turns, mut second) = (Vec::new(), Vec::new());
        for chosen in batch {
            let camera = chosen.job.camera;
            match chosen.job.picture {
                Errand::Picture(frame) => {
                    let unwatched = chosen.unwatched.map(|(from, to)| {
                        // What never came, or not whole, no box could have looked at.
                        let lack = self.lacks[camera].between(from, &frame);
                        let lacked = perception::lacked(lack, to.since(from));
                        let reason = lacked.unwrap_or(GapReason::Overload);
                        Gap { from, to, reason }
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

    /// Tells the scheduler what a batch cost; each one's share of it.
    fn finished(&mut self, model: usize, size: usize, begun: Instant) -> Duration {
        let took = begun.elapsed();
        let took_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        self.scheduler.finished(model, size, took_us, self.now_us());
        took / u32::try_from(size.max(1)).unwrap_or(u32::MAX)
    }
}

fn failed(camera: &CameraConfig, state: &CameraState, frame: &Frame, error: &DetectorError) {
    // Once for a row of them: a model that fails does so on every frame.
    if state.count_dropped_failed() == 1 {
        tracing::error!(camera = %camera.id, frame = frame.number, %error, "detector failed on a frame");
    }
}
