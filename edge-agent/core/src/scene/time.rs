//! A scene's clocks: frames, ticks, gaps and readings of signals come with their times, which may
//! run backwards, jump or stand still.
//!
//! Here it is decided which time was watched. A tick says that time passes, and not that anybody
//! watched.

use protocol::event::FrameTime;
use protocol::units::Seconds;
use protocol::{Detections, EventTime, SignalReading};

use super::Scene;
use crate::coverage::Unwatched;
use crate::input::{Gap, GapReason, Output};
use crate::rules::EndReason;
use crate::tracker::Moment;

/// Frames farther apart than this were not watched in between, announced or not, s.
const HOLE_S: f64 = 2.0;
/// A frame this much earlier than the one before is out of order; more, and
/// the clock was set back, s.
const OUT_OF_ORDER_S: f64 = 1.0;
/// A signal reading this far ahead of the pictures has a wrong clock, s.
const FUTURE_S: f64 = 10.0;

impl Scene {
    /// Sets the clocks to a frame. `false`: the frame is out of order.
    pub(super) fn begin_frame(&mut self, detections: &Detections, out: &mut Vec<Output>) -> bool {
        let now = detections.time;
        if let Some(last) = self.frame {
            let passed = now.since(last.time).0;
            if (-OUT_OF_ORDER_S..=0.0).contains(&passed) {
                self.refused.frames_out_of_order += 1;
                return false;
            }
            if passed < 0.0 {
                self.restart(now, out);
            }
        }
        if self.clock.is_none() {
            self.signals.forget_after(now + Seconds(FUTURE_S));
        }
        if let Some(last) = self.frame {
            let passed = now.as_micros() - last.time.as_micros();
            let watched = passed - self.unwatched_us.clamp(0, passed);
            let is_hole = (watched as f64) > HOLE_S * 1e6;
            if !is_hole {
                self.watched_us += watched;
                for shift in &mut self.shifts {
                    if shift.off.is_some() {
                        shift.off_us += watched;
                    }
                }
            }
            self.account_for(now, is_hole.then_some(Unwatched::NoPicture), out);
        } else {
            self.account_for(now, Some(Unwatched::NoPicture), out);
        }
        self.unwatched_us = 0;
        self.clock = self.clock.max(Some(now));
        self.frame = Some(FrameTime {
            frame: detections.frame,
            time: now,
        });
        self.rules.time_quality = detections.time_quality;
        self.perspective.shape(detections.aspect);
        true
    }

    pub(super) fn moment(&self, at: FrameTime) -> Moment {
        Moment {
            at,
            watched: self.watched_us as f64 / 1e6,
            aspect: self.perspective.aspect,
            is_followed: false,
        }
    }

    pub(super) fn pass_time(&mut self, at: EventTime, out: &mut Vec<Output>) {
        // A tick says that time passes, not that anybody watched.
        if self.clock.is_some_and(|clock| at <= clock) {
            return;
        }
        self.clock = Some(at);
        self.tell_health(out);
        let Some(last) = self.frame else {
            return;
        };
        let moment = self.moment(FrameTime {
            frame: last.frame,
            time: at,
        });
        let given_up = self.tracker.pass_time(&moment).to_vec();
        self.each_rule(out, |rule, report| {
            for track in &given_up {
                rule.forget(*track, report);
            }
        });
        self.tell_nearest(&given_up, out);
    }

    pub(super) fn pause(&mut self, gap: Gap, out: &mut Vec<Output>) {
        let Some(last) = self.frame else {
            // Nothing was seen at all so far, and now it is known why.
            self.account_for(gap.from, Some(Unwatched::NoPicture), out);
            self.account_for_gap(&gap, out);
            return;
        };
        if gap.reason == GapReason::Frozen && gap.from <= gap.to {
            self.take_back(&gap, last.time);
        } else if gap.to < last.time {
            self.restart(gap.to, out);
            return;
        }
        self.rules.interrupt(&gap);
        if gap.to > last.time {
            self.account_for(gap.from.max(last.time), None, out);
            self.account_for_gap(&gap, out);
        }
        if gap.reason == GapReason::ClockStep {
            // How long a lamp has shown what it shows is not known any more.
            self.signals.forget_lamps();
        }
        // Only what lies after the last frame is not yet accounted for.
        let from = gap.from.max(last.time);
        let length = gap.to.as_micros() - from.as_micros();
        self.unwatched_us = self.unwatched_us.saturating_add(length.max(0));
    }

    /// That a picture has frozen is found out late. Until then its copies were
    /// handled as looks: their time was not watched after all, and what their
    /// lamps said was said once.
    fn take_back(&mut self, gap: &Gap, last: EventTime) {
        let from = self
            .taken_back
            .map_or(gap.from, |until| gap.from.max(until));
        let to = gap.to.min(last);
        let credited = to.as_micros().saturating_sub(from.as_micros()).max(0);
        // At most, because there may have been gaps within; never too little.
        self.watched_us = self.watched_us.saturating_sub(credited).max(0);
        self.account.take_back(credited, Unwatched::Frozen);
        self.taken_back = self.taken_back.max(Some(to));
        self.second_looks.forget_after(gap.from);
        self.signals.forget_lamps();
    }

    pub(super) fn read_signal(&mut self, reading: &SignalReading) {
        if let Some(clock) = self.clock
            && reading.time.since(clock).0 > FUTURE_S
        {
            self.refused.signals_from_the_future += 1;
            return;
        }
        self.signals.read(reading);
    }

    /// The clock was set back to `now`: what was seen before cannot be followed up.
    fn restart(&mut self, now: EventTime, out: &mut Vec<Output>) {
        self.begin_anew(EndReason::ClockStep, Some(now), out);
    }

    /// Pictures may follow, of the next clip or the next connection, and their clock may start
    /// anew.
    pub(super) fn finish(&mut self, out: &mut Vec<Output>) {
        self.begin_anew(EndReason::StreamEnded, None, out);
    }

    fn begin_anew(&mut self, why: EndReason, clock: Option<EventTime>, out: &mut Vec<Output>) {
        self.each_rule(out, |rule, report| rule.end(why, report));
        self.settle(out);
        self.tracker.restart();
        self.signals.forget();
        self.queues.forget();
        self.second_looks.forget();
        self.frame = None;
        self.clock = clock;
        self.unwatched_us = 0;
        self.taken_back = None;
    }
}
