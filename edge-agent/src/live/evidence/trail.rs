//! Where everybody was in the last frames, and what the signals showed: stills
//! are also of frames before the one that decided.
//!
//! Made of what the scene says of itself; it is told nothing, so a replay is
//! the same with it or without.

use std::collections::VecDeque;

use edge_core::Scene;
use protocol::event::{Actor, FrameTime};
use protocol::plate::PlateView;
use protocol::{Event, EventTime, NormBox, ObjectClass, Point, SignalState, TrackId};

use crate::stills::Moment;

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: FrameTime,
    /// Who was seen, as what, and where.
    pub(crate) seen: Vec<(TrackId, ObjectClass, NormBox)>,
    /// Plates that the detector found.
    pub(crate) plates: Vec<NormBox>,
    /// What each signal group showed.
    pub(crate) signals: Vec<(String, SignalState)>,
}

/// The last frames, oldest first.
#[derive(Debug)]
pub(crate) struct Trail {
    keep_s: f64,
    /// Before these, one each [`OLD_EVERY_S`], back to so long before the newest, s.
    old_s: f64,
    now: Era,
    /// Until the clock was set, or nothing was seen for long. Stills of events from
    /// before it are still to be made.
    past: Era,
}

/// Frames by one clock.
#[derive(Debug, Default)]
struct Era {
    steps: VecDeque<Step>,
    old: VecDeque<Step>,
}

/// Frames kept at most, whatever their rate.
const MOST: usize = 4096;
/// Of the oldest frames one is kept each so many seconds: who stays is where he was.
const OLD_EVERY_S: f64 = 1.0;
/// Frames further apart than this say nothing of the time between them, s.
const BETWEEN_S: f64 = 5.0;
/// Whose boxes in two frames share this part of both together did not move between them.
const UNMOVED: f64 = 0.6;

impl Trail {
    /// Reaching back so many seconds, and `old_s` with fewer frames.
    pub(crate) fn new(keep_s: f64, old_s: f64) -> Self {
        Self {
            keep_s,
            old_s,
            now: Era::default(),
            past: Era::default(),
        }
    }

    /// Notes what `scene` has just made of a frame.
    pub(crate) fn note(&mut self, at: FrameTime, plates: Vec<NormBox>, scene: &Scene) {
        let seen = scene.tracks().filter(|track| track.is_seen);
        self.take(Step {
            at,
            seen: seen
                .map(|track| (track.id, track.class, track.bounds))
                .collect(),
            plates,
            signals: scene
                .signals()
                .map(|(group, state)| (group.to_string(), state))
                .collect(),
        });
    }

    fn take(&mut self, step: Step) {
        let time = step.at.time;
        let passed = |last: &Step| time.since(last.at.time).0;
        let last = self.now.steps.back().map(passed);
        if last.is_some_and(|passed| passed <= 0.0 || passed > self.keep_s) {
            self.past = std::mem::take(&mut self.now);
        }
        let Era { steps, old } = &mut self.now;
        let first = old.front().or(steps.front()).map(passed);
        if first.is_some_and(|passed| passed > self.old_s) {
            self.past = Era::default();
        }
        steps.push_back(step);
        let is_old = |step: &Step| passed(step) > self.keep_s;
        while steps.len() > MOST || steps.front().is_some_and(is_old) {
            if let Some(step) = steps.pop_front() {
                let last = old.back().map(|last| step.at.time.since(last.at.time).0);
                if last.is_none_or(|passed| passed >= OLD_EVERY_S) {
                    old.push_back(step);
                }
            }
        }
        let is_old = |step: &Step| passed(step) > self.old_s;
        while old.len() > MOST || old.front().is_some_and(is_old) {
            old.pop_front();
        }
    }

    /// The frame taken then, if it was looked at and is remembered.
    pub(crate) fn at(&self, time: EventTime) -> Option<&Step> {
        self.eras().into_iter().find_map(|era| era.at(time))
    }

    /// When the newest frame was taken.
    pub(crate) fn newest(&self) -> Option<EventTime> {
        self.now.steps.back().map(|step| step.at.time)
    }

    fn eras(&self) -> [&Era; 2] {
        [&self.now, &self.past]
    }

    /// Who did it and what the signals showed at `at`, for a picture of `captured`.
    pub(crate) fn moment(&self, event: &Event, at: FrameTime, captured: EventTime) -> Moment {
        let step = self.at(at.time);
        let actors = event.actors.iter().filter_map(|actor| {
            // Whose box is not known then is not drawn: a wrong box accuses.
            let bounds = match step {
                _ if at.time == event.decided.time => actor.bounds,
                Some(step) => step.of(actor.track)?,
                None => return None,
            };
            Some(Actor {
                bounds,
                path: self.path(actor.track, at.time),
                ..actor.clone()
            })
        });
        Moment {
            captured,
            actors: actors.collect(),
            signals: step.map(|step| step.signals.clone()).unwrap_or_default(),
        }
    }

    /// Who did it, for a picture of `time` that was not looked at itself: drawn is who
    /// stood still between the frames before and after it.
    pub(crate) fn moment_between(&self, event: &Event, time: EventTime) -> Moment {
        let around = self.eras().into_iter().find_map(|era| era.around(time));
        let actors = event.actors.iter().filter_map(|actor| {
            let (before, after) = around?;
            let (from, to) = (before.of(actor.track)?, after.of(actor.track)?);
            (from.iou(&to) >= UNMOVED).then(|| Actor {
                bounds: from,
                path: Vec::new(),
                ..actor.clone()
            })
        });
        let same = around.filter(|(before, after)| before.signals == after.signals);
        Moment {
            captured: time,
            actors: actors.collect(),
            signals: same
                .map(|(before, _)| before.signals.clone())
                .unwrap_or_default(),
        }
    }

    /// Where `track` stood on the ground up to then, oldest first, for drawing.
    pub(crate) fn path(&self, track: TrackId, until: EventTime) -> Vec<Point> {
        let eras = self.eras();
        let era = eras.into_iter().find(|era| era.at(until).is_some());
        let steps = &era.unwrap_or(&self.now).steps;
        let before = steps.iter().rev().filter(|step| step.at.time <= until);
        let mut path: Vec<Point> = before
            .filter_map(|step| step.of(track))
            .take(64)
            .map(|bounds| bounds.foot())
            .collect();
        path.reverse();
        path
    }

    /// The frame that shows `track`'s plate largest, within these times.
    ///
    /// Only where no other road user's box holds the plate's middle: a plate of
    /// the car beside would be worse than none.
    pub(crate) fn best_plate(
        &self,
        track: TrackId,
        (from, to): (EventTime, EventTime),
    ) -> Option<PlateView> {
        let steps = self.past.steps.iter().chain(&self.now.steps);
        steps
            .filter(|step| (from..=to).contains(&step.at.time))
            .filter_map(|step| {
                let (at, bounds) = (step.at, step.plate_of(track)?);
                Some(PlateView { at, bounds })
            })
            .max_by(|a, b| a.bounds.area().total_cmp(&b.bounds.area()))
    }
}

impl Era {
    fn at(&self, time: EventTime) -> Option<&Step> {
        let index = self.steps.binary_search_by_key(&time, |step| step.at.time);
        index.ok().and_then(|index| self.steps.get(index))
    }

    /// The frames before and after an instant, if they are near each other.
    fn around(&self, time: EventTime) -> Option<(&Step, &Step)> {
        let steps = || self.old.iter().chain(&self.steps);
        let before = steps().take_while(|step| step.at.time <= time).last()?;
        let after = steps().find(|step| step.at.time >= time)?;
        let is_near = after.at.time.since(before.at.time).0 <= BETWEEN_S;
        is_near.then_some((before, after))
    }
}

impl Step {
    /// Where `track` was.
    pub(crate) fn of(&self, track: TrackId) -> Option<NormBox> {
        let found = self.seen.iter().find(|(id, ..)| *id == track);
        found.map(|(.., bounds)| *bounds)
    }

    fn plate_of(&self, track: TrackId) -> Option<NormBox> {
        let own = self.of(track)?;
        let holds = |bounds: &NormBox, plate: &NormBox| {
            let middle = plate.centre();
            (bounds.x..=bounds.right()).contains(&middle.x)
                && (bounds.y..=bounds.bottom()).contains(&middle.y)
        };
        let is_own = |plate: &&NormBox| {
            holds(&own, plate)
                && self
                    .seen
                    .iter()
                    .all(|(id, _, bounds)| *id == track || !holds(bounds, plate))
        };
        let plates = self.plates.iter().filter(is_own);
        plates.max_by(|a, b| a.area().total_cmp(&b.area())).copied()
    }
}

/// The plates among detections.
pub(crate) fn plates(detections: &protocol::Detections) -> Vec<NormBox> {
    let items = detections.items.iter();
    items
        .filter(|item| item.class == ObjectClass::Plate)
        .map(|item| item.bounds)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(x: f64, y: f64, width: f64, height: f64) -> NormBox {
        NormBox {
            x,
            y,
            width,
            height,
        }
    }

    fn track(rank: u16) -> TrackId {
        let born = EventTime::EPOCH;
        TrackId { born, rank }
    }

    fn trail(plates: &[&[NormBox]]) -> Trail {
        let mut trail = Trail::new(60.0, 60.0);
        for (n, plates) in (0_u32..).zip(plates) {
            trail.take(Step {
                at: FrameTime {
                    frame: u64::from(n),
                    time: EventTime::from_micros(i64::from(n) * 100_000),
                },
                seen: vec![
                    (track(1), ObjectClass::Car, bounds(0.1, 0.1, 0.4, 0.4)),
                    (track(2), ObjectClass::Car, bounds(0.4, 0.1, 0.4, 0.4)),
                ],
                plates: plates.to_vec(),
                signals: Vec::new(),
            });
        }
        trail
    }

    #[test]
    fn the_largest_plate_that_can_only_be_its_own_is_taken() {
        let trail = trail(&[
            &[bounds(0.2, 0.3, 0.02, 0.01)],
            &[bounds(0.2, 0.3, 0.04, 0.02)],
            // In both boxes: nobody's.
            &[bounds(0.42, 0.3, 0.06, 0.03)],
            &[bounds(0.6, 0.3, 0.08, 0.04)],
        ]);
        let all = (EventTime::EPOCH, EventTime::from_micros(i64::MAX));
        let frame = |id| trail.best_plate(track(id), all).map(|seen| seen.at.frame);
        assert_eq!((frame(1), frame(2), frame(3)), (Some(1), Some(3), None));
        assert_eq!(
            trail.path(track(1), EventTime::from_micros(200_000)).len(),
            3
        );
        assert!(trail.at(EventTime::from_micros(100_000)).is_some());
        assert!(trail.at(EventTime::from_micros(100_001)).is_none());
    }

    #[test]
    fn between_two_frames_only_who_did_not_move_is_drawn() {
        let mut trail = trail(&[&[], &[], &[]]);
        let event = include_str!("../../../../protocol/tests/wire/v1/event-wrong-way.json");
        let event: protocol::Envelope<Event> = serde_json::from_str(event).unwrap();
        let mut event = event.data;
        event.actors[0].track = track(1);
        let drawn = |trail: &Trail, micros| {
            let moment = trail.moment_between(&event, EventTime::from_micros(micros));
            moment.actors.first().map(|actor| actor.bounds.x)
        };
        assert_eq!(drawn(&trail, 150_000), Some(0.1));
        // Nothing is known from after the last frame.
        assert_eq!(drawn(&trail, 250_000), None);
        trail.now.steps[2].seen[0].2.x = 0.4;
        assert_eq!(drawn(&trail, 150_000), None);
        assert_eq!(drawn(&trail, 50_000), Some(0.1));
        // Frames that are too far apart say nothing.
        trail.now.steps[1].at.time = EventTime::from_micros(60_000_000);
        assert_eq!(drawn(&trail, 50_000), None);
    }
    /// A clock that was set cleared the trail: stills of what had been decided just
    /// before it drew nobody, and no plate was found.
    #[test]
    fn a_clock_that_is_set_takes_nobody_out_of_what_was_seen_before() {
        for set in [-3600, -1, 3600] {
            let mut trail = trail(&[&[], &[bounds(0.2, 0.3, 0.02, 0.01)], &[], &[]]);
            let before = trail.now.steps.clone();
            let later = |step: &Step, micros: i64| Step {
                at: FrameTime {
                    frame: step.at.frame + 10,
                    time: EventTime::from_micros(step.at.time.as_micros() + micros),
                },
                ..step.clone()
            };
            for step in &before {
                trail.take(later(step, set * 1_000_000 + 400_000));
            }
            let all = (EventTime::from_micros(0), EventTime::from_micros(300_000));
            let plate = trail.best_plate(track(1), all);
            assert_eq!(plate.map(|seen| seen.at.frame), Some(1), "{set}");
            for step in &before {
                assert_eq!(
                    trail.at(step.at.time).map(|it| it.at),
                    Some(step.at),
                    "{set}"
                );
            }
            assert_eq!(
                trail.path(track(1), EventTime::from_micros(200_000)).len(),
                3
            );
            assert!(trail.past.around(EventTime::from_micros(150_000)).is_some());
            // Nobody asks for it when so long has passed again.
            let newest = later(&before[3], set * 1_000_000 + 50_000_000);
            trail.take(newest.clone());
            assert_eq!(trail.past.steps.len(), 4, "{set}");
            trail.take(later(&newest, 20_000_000));
            assert_eq!(trail.past.steps.len(), 0, "{set}");
        }
    }
}
