//! A frame is looked at: the tracker says who is in it, and the rules judge them.
//!
//! Each rule is shown the same frame. One that is off, by its hours or because of the picture's
//! health, is shown none, and hears of the gap once it is on again.

use protocol::event::FrameTime;
use protocol::{Detections, ObjectClass, TrackId};

use super::Scene;
use super::second_looks::Judged;
use crate::coverage::Unwatched;
use crate::health::Health;
use crate::input::{Gap, GapReason, Output};
use crate::marks::is_mark;
use crate::observation::{FrameView, Observation};
use crate::rules::{EndReason, Reporter, Rule};
use crate::tracker::{Moment, Track};

impl Scene {
    pub(super) fn look(&mut self, detections: Detections, out: &mut Vec<Output>) {
        let sent = detections.items.len();
        let mut detections = detections.canonical();
        // A box far outside its picture is a fault of the detector's decoding.
        detections.items.retain(|item| {
            let edges: [f64; 4] = item.bounds.into();
            edges.iter().all(|edge| edge.abs() <= 4.0) && (0.0..=1.0).contains(&item.score)
        });
        self.refused.detections_out_of_range += (sent - detections.items.len()) as u64;
        self.note_given(&detections);
        if !self.begin_frame(&detections, out) {
            return;
        }
        let moment = Moment {
            is_followed: detections.is_followed,
            ..self.moment(FrameTime {
                frame: detections.frame,
                time: detections.time,
            })
        };
        if let Some(motion) = &detections.camera_motion {
            self.tracker.follow_camera(motion);
        }
        if detections.is_followed {
            // One look is one vote, however far it is followed.
            detections.items.retain(|item| !is_mark(item.class));
        }
        self.marks
            .take(&mut detections.items, detections.believed_from);
        let given_up = self
            .tracker
            .step(&moment, detections.believed_from, &detections.items)
            .to_vec();
        self.judge(&moment, &given_up, out);
    }

    /// Where nobody knows what the detector can give, what it gave is known.
    fn note_given(&mut self, detections: &Detections) {
        if self.classes.is_none() {
            let given = detections.items.iter().map(|item| item.class);
            self.given.extend(given);
        }
    }

    /// Lets the rules see what the tracker made of a frame.
    fn judge(&mut self, moment: &Moment, given_up: &[TrackId], out: &mut Vec<Output>) {
        let sight = self.perspective.sight();
        for track in self.tracker.tracks_mut() {
            if track.seen == moment.at && track.is_grounded() {
                let spot = sight.spot(track.foot(), track.bounds.height, moment.at);
                track.note(spot);
            }
        }
        let tracks: &[Track] = self.tracker.tracks();
        Observation::collect(tracks, moment.at, &sight, &mut self.observations);
        self.queues
            .update(moment, (&self.observations, tracks), &self.signals, &sight);
        self.marks.assign(tracks, moment.at, sight.aspect);
        let frame = FrameView {
            at: moment.at,
            watched: moment.watched,
            users: &self.observations,
            marks: self.marks.marks(),
            signals: &self.signals,
            sight,
            queue: &self.queues,
            health: self.health,
            is_followed: moment.is_followed,
            second: self.second_looks.waits(),
            tracks,
        };
        self.rules.each(&self.config.rules, out, |rule, report| {
            for track in given_up {
                rule.forget(*track, report);
            }
            let config = report.rule;
            let shift = &mut self.shifts[report.index];
            let off = if !config.schedule.is_on(moment.at.time) {
                Some(Unwatched::OffSchedule)
            } else if rule.is_suspended_by(self.health.condition) {
                Some(self.health.condition.into())
            } else {
                None
            };
            match (off, shift.off) {
                (Some(Unwatched::OffSchedule), None) => {
                    rule.end(EndReason::OffSchedule, report);
                }
                (None, Some((from, _))) => rule.interrupt(&Gap {
                    from,
                    to: moment.at.time,
                    reason: GapReason::Unfit,
                }),
                _ => {}
            }
            shift.off = off.map(|why| (shift.off.map_or(moment.at.time, |(from, _)| from), why));
            if off.is_some() {
                return;
            }
            let watched_us = (self.watched_us - shift.off_us).max(0);
            let frame = FrameView {
                watched: watched_us as f64 / 1e6,
                ..frame
            };
            rule.frame(&frame, report);
            let mut needs = config.needs.iter();
            let unfed = if let Some(can) = &self.classes {
                let is_fed =
                    |class: &ObjectClass| can.contains(class) || self.second_looks.gives(*class);
                // A detector that was trained on without motorcycles finds none on a forbidden lane.
                let sees_somebody = config.about.is_empty() || config.about.iter().any(is_fed);
                (!sees_somebody || !needs.all(is_fed)).then_some(Unwatched::NoModel)
            } else {
                let is_given = needs
                    .all(|class| self.given.contains(class) || self.second_looks.gives(*class));
                (!is_given).then_some(Unwatched::ModelUnknown)
            };
            shift.blind = unfed.or_else(|| rule.blind(&frame));
        });
        self.second_looks.keep(&Judged {
            at: moment.at,
            watched_us: self.watched_us,
            users: &self.observations,
            marks: self.marks.marks(),
            tracks: self.tracker.tracks(),
            aspect: self.perspective.aspect,
        });
        self.tell_nearest(given_up, out);
    }

    /// The condition of the picture was told.
    pub(super) fn hear(&mut self, health: Health, out: &mut Vec<Output>) {
        self.health = Health {
            since: health.since.min(health.time),
            ..health
        };
        self.tell_health(out);
    }

    /// Rules about the camera itself hear of its health also when no frame comes.
    pub(super) fn tell_health(&mut self, out: &mut Vec<Output>) {
        let health = self.health;
        let now = FrameTime {
            frame: self.frame.map_or(0, |last| last.frame),
            time: self.clock.unwrap_or(health.time).max(health.time),
        };
        self.each_rule(out, |rule, report| {
            if report.rule.schedule.is_on(now.time) {
                rule.health(&health, now, report);
            }
        });
    }

    pub(super) fn each_rule(
        &mut self,
        out: &mut Vec<Output>,
        act: impl FnMut(&mut dyn Rule, &mut Reporter<'_>),
    ) {
        self.rules.each(&self.config.rules, out, act);
    }
}

#[cfg(test)]
impl Scene {
    /// Looks at a frame in which every detection says whose it is, so that a
    /// rule's test does not depend on the tracker.
    pub(crate) fn look_given(
        &mut self,
        detections: &Detections,
        whose: &[u16],
        out: &mut Vec<Output>,
    ) {
        self.note_given(detections);
        let (mut items, mut of) = (detections.items.clone(), whose.to_vec());
        let mut kept = detections.items.iter().map(|i| !is_mark(i.class));
        of.retain(|_| kept.next().unwrap_or(true));
        self.marks.take(&mut items, detections.believed_from);
        if !self.begin_frame(detections, out) {
            return;
        }
        let moment = self.moment(FrameTime {
            frame: detections.frame,
            time: detections.time,
        });
        let given_up = self.tracker.step_given(&moment, &items, &of).to_vec();
        let said = out.len();
        self.judge(&moment, &given_up, out);
        self.attend_to_plates(said, out);
    }
}
