//! Answers of second looks: found again in the frame that they are about, and
//! shown to the rules as that frame was.
//!
//! For that the last seconds of frames are remembered, but only where the
//! camera has a cascade. Of a frame that turns out to be a copy (a frozen
//! picture) nothing is remembered.

use std::collections::VecDeque;

use plates::Carrier;
use protocol::event::FrameTime;
use protocol::{EventTime, ObjectClass, TrackId};

use super::Scene;
use crate::input::{Output, Unanswered};
use crate::marks::{self, Bearer, Mark};
use crate::observation::{FrameView, Observation, Waits};
use crate::plate_board::{PlateBoard, PlateLook};
use crate::rules::Looked;
use crate::second_look::{CascadeUse, Found, MOST_LATE_S, SecondLook};
use crate::tracker::Track;

/// For how long somebody who was seen may be there, unseen, s.
const OUT_OF_SIGHT_S: f64 = 1.0;
/// Frames of that time at 30 a second, and some.
const MOST_FRAMES: usize = 160;
/// Answers for one frame: more road users than any picture shows.
const MOST_ANSWERS: usize = 256;

/// The cascades of a camera, and the frames that they may answer for.
#[derive(Clone, Debug, Default)]
pub(super) struct SecondLooks {
    cascades: Vec<CascadeUse>,
    /// Classes that a cascade gives and the detector does not.
    pub(super) only: Vec<ObjectClass>,
    frames: VecDeque<Past>,
    /// Frames that are over, whose memory is used again.
    spare: Vec<Past>,
}

/// A frame as it was.
#[derive(Clone, Debug)]
struct Past {
    at: FrameTime,
    watched_us: i64,
    users: Vec<Observation>,
    /// Whoever is shown, also with its wheels hidden: who may be looked at.
    shown: Vec<Bearer>,
    /// Whoever might carry a plate in it, certain or not.
    carriers: Vec<Carrier>,
    marks: Vec<Mark>,
    /// Which cascades have answered about whom.
    answered: Vec<(usize, Option<TrackId>)>,
}

/// A frame that was just judged.
pub(super) struct Judged<'a> {
    pub(super) at: FrameTime,
    pub(super) watched_us: i64,
    pub(super) users: &'a [Observation],
    pub(super) marks: &'a [Mark],
    pub(super) tracks: &'a [Track],
    pub(super) aspect: f64,
}

impl SecondLooks {
    pub(super) fn is_used(&self) -> bool {
        !self.cascades.is_empty()
    }

    /// What rules wait for.
    pub(super) fn waits(&self) -> Waits<'_> {
        Waits {
            only: &self.only,
            cascades: &self.cascades,
        }
    }

    pub(super) fn gives(&self, class: ObjectClass) -> bool {
        (self.cascades.iter()).any(|cascade| cascade.gives.contains(&class))
    }

    /// Remembers a frame that was judged.
    pub(super) fn keep(&mut self, judged: &Judged<'_>) {
        if !self.is_used() {
            return;
        }
        let Judged {
            at,
            watched_us,
            users,
            marks,
            tracks,
            aspect,
        } = *judged;
        let is_old = |past: &Past| at.time.since(past.at.time).0 > MOST_LATE_S;
        while self.frames.len() >= MOST_FRAMES || self.frames.front().is_some_and(is_old) {
            self.spare.extend(self.frames.pop_front());
        }
        let mut past = self.spare.pop().unwrap_or_else(|| Past {
            at,
            watched_us,
            users: Vec::new(),
            shown: Vec::new(),
            carriers: Vec::new(),
            marks: Vec::new(),
            answered: Vec::new(),
        });
        (past.at, past.watched_us) = (at, watched_us);
        past.users.clear();
        past.users.extend_from_slice(users);
        past.shown.clear();
        past.shown.extend(Bearer::shown(tracks, at, aspect));
        past.carriers.clear();
        past.carriers.extend(carriers(tracks, at, aspect));
        past.marks.clear();
        past.marks.extend_from_slice(marks);
        past.answered.clear();
        self.frames.push_back(past);
    }

    /// What was seen after `from` was one picture again and again.
    pub(super) fn forget_after(&mut self, from: EventTime) {
        while self.frames.back().is_some_and(|past| past.at.time > from) {
            self.spare.extend(self.frames.pop_back());
        }
    }

    pub(super) fn forget(&mut self) {
        self.spare.extend(self.frames.drain(..));
    }
}

/// Whoever was seen or may be in a frame and might carry a plate in it. Rules ask those
/// only who stand on the ground in full sight; a plate does not, and is seen where its
/// machine was missed, is new, or has its wheels hidden.
fn carriers(tracks: &[Track], at: FrameTime, aspect: f64) -> impl Iterator<Item = Carrier> {
    tracks.iter().filter_map(move |track| {
        Some(Carrier {
            id: track.id,
            class: track.class(),
            bounds: track.whereabouts(at, OUT_OF_SIGHT_S, aspect)?,
            is_certain: track.is_confirmed && track.seen == at,
        })
    })
}

/// Whether a look that shows nothing of a class speaks, because there is no other word: a helmet is
/// seen where no bare head is, but there is no mark of an empty hand.
const fn is_told_by_its_absence(class: ObjectClass) -> bool {
    use ObjectClass::{Fire, Phone, Plate, Smoke};
    matches!(class, Phone | Plate | Fire | Smoke)
}

impl Scene {
    /// Says which cascades the camera has. Their answers are heard from now on,
    /// and rules that need what they give are fed.
    pub fn expect_second_looks(&mut self, cascades: Vec<CascadeUse>) {
        self.plates = PlateBoard::of(&cascades);
        self.second_looks.cascades = cascades;
        self.note_only_second();
    }

    /// Which classes come from second looks alone.
    pub(super) fn note_only_second(&mut self) {
        let detector = self.classes.as_deref().unwrap_or_default();
        let cascades = self.second_looks.cascades.iter();
        let mut only: Vec<ObjectClass> = cascades
            .flat_map(|cascade| cascade.gives.iter().copied())
            .filter(|class| !detector.contains(class))
            .collect();
        only.sort_unstable();
        only.dedup();
        self.second_looks.only = only;
    }

    /// Hears that a cascade's looks were not answered: rules that get a class from
    /// nobody else, or judge by looks that show none of it, did not watch, though the detector did.
    pub(super) fn hear_unanswered(&mut self, stretch: &Unanswered) {
        let memory = &self.second_looks;
        let known = memory
            .cascades
            .iter()
            .find(|known| known.id == stretch.cascade);
        let Some(known) = known else {
            self.refused.second_looks_unasked += 1;
            return;
        };
        let us = stretch
            .to
            .as_micros()
            .saturating_sub(stretch.from.as_micros());
        for (index, config) in self.config.rules.iter().enumerate() {
            let mut needs = config.needs.iter();
            let waits = |class: &ObjectClass| {
                known.gives.contains(class)
                    && (is_told_by_its_absence(*class) || memory.only.contains(class))
            };
            if needs.any(waits) {
                self.account.take_back_of(index, us, stretch.reason.into());
            }
        }
    }

    /// Hears an answer.
    pub(super) fn hear_second_look(&mut self, look: SecondLook, out: &mut Vec<Output>) {
        let look = look.canonical();
        let memory = &mut self.second_looks;
        let Some(cascade) = (memory.cascades.iter()).position(|known| known.id == look.cascade)
        else {
            self.refused.second_looks_unasked += 1;
            return;
        };
        let order = |past: &Past| {
            let by_number = past.at.frame.cmp(&look.at.frame);
            past.at.time.cmp(&look.at.time).then(by_number)
        };
        let Ok(index) = memory.frames.binary_search_by(order) else {
            self.refused.second_looks_late += 1;
            return;
        };
        let past = &mut memory.frames[index];
        let tracks = self.tracker.tracks();
        let is_followed = |track: TrackId| tracks.iter().any(|known| known.id == track);
        // Whoever flees is gone before the answer comes, and its plate is what is wanted.
        let is_of_plates = matches!(look.found, Found::Plates(_));
        let is_known = |track: TrackId| {
            past.shown.iter().any(|shown| shown.id == track) && (is_of_plates || is_followed(track))
        };
        if look.track.is_some_and(|track| !is_known(track)) {
            self.refused.second_looks_of_nobody += 1;
            return;
        }
        let answer = (cascade, look.track);
        if past.answered.contains(&answer) || past.answered.len() >= MOST_ANSWERS {
            self.refused.second_looks_twice += 1;
            return;
        }
        past.answered.push(answer);
        let by = self.rules.lookers.note(&look.by);
        let sight = self.perspective.sight();
        marks::of_second_look(&look, &past.shown, sight.aspect, &mut past.marks);
        let whom = past.carriers.iter().find(|one| Some(one.id) == look.track);
        if let (Found::Plates(plates), Some(one)) = (&look.found, whom) {
            let said = PlateLook::of(&look, plates, one);
            let mark = self.plates.hear(&said, &past.carriers, sight.aspect);
            past.marks.extend(mark);
        }
        if look.track.is_some_and(|track| !is_followed(track)) {
            return;
        }
        // Of those who are gone nothing is judged any more.
        let mut users: Vec<Observation> = past.users.clone();
        users.retain_mut(|user| user.is_still_followed(tracks));
        let whose = look.track.map(|track| {
            let shown = past.shown.iter().find(|shown| shown.id == track);
            shown.map_or(track, Bearer::root)
        });
        let looked = Looked {
            user: whose,
            gives: &memory.cascades[cascade].gives,
            by,
        };
        let then = FrameView {
            at: look.at,
            watched: 0.0,
            users: &users,
            marks: &past.marks,
            signals: &self.signals,
            sight,
            queue: &self.queues,
            health: self.health,
            is_followed: false,
            second: Waits {
                only: &memory.only,
                cascades: &memory.cascades,
            },
            tracks,
        };
        self.rules.each(&self.config.rules, out, |rule, report| {
            let shift = &self.shifts[report.index];
            if shift.off.is_some() || !report.rule.schedule.is_on(look.at.time) {
                return;
            }
            let watched_us = (past.watched_us - shift.off_us).max(0);
            let then = FrameView {
                watched: watched_us as f64 / 1e6,
                ..then
            };
            rule.second_look(&then, &looked, report);
        });
    }
}

#[cfg(test)]
mod tests;
