//! Something that goes on at a place and not with one road user: a congestion,
//! a queue, a crowd.
//!
//! It begins when its condition has held for long enough, and ends when a
//! weaker condition has not held for long enough: one event, however much the
//! numbers flicker, brought up to date while it lasts.

use std::collections::BTreeMap;

use protocol::TrackId;
use protocol::event::{FrameTime, Value};

use super::{Case, EndReason, Reporter};
use crate::observation::FrameView;

/// The rank of a subject that is no track. No frame gives birth to so many.
const NO_TRACK: u16 = u16::MAX;
/// Until the event a condition may fail for this long without beginning anew:
/// detections flicker, s.
const BRIDGED_S: f64 = 2.0;

/// How long things must last.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_field_names)] // as the keys are written, with their unit
pub(super) struct Times {
    /// The condition, until it is an event, s.
    pub(super) min_duration_s: f64,
    /// Its absence, until the event is over, s.
    pub(super) clear_after_s: f64,
    /// Between updates, s; 0 for none.
    pub(super) update_every_s: f64,
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// The condition holds.
    Yes,
    /// Not quite, but an event that runs goes on.
    Still,
    /// No.
    No,
}

/// The condition at one place over time.
#[derive(Clone, Debug, Default)]
pub(super) struct Episode {
    began: Option<FrameTime>,
    /// The last frame at which the condition, or the weaker one, held.
    last: Option<FrameTime>,
    /// Watched seconds of it, and of its absence since.
    held: f64,
    absent: f64,
    /// At the last look: what it said, and watched time.
    said: Option<(Says, f64)>,
    updated_at: f64,
    case: Option<Case>,
}

impl Episode {
    /// Takes a look. `true`: it has lasted long enough for an event (or, where
    /// near misses are wanted, half of that) and has none.
    pub(super) fn look(
        &mut self,
        (says, times): (Says, &Times),
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
        facts: impl FnOnce(f64) -> BTreeMap<String, Value>,
    ) -> bool {
        let holds = match says {
            Says::Yes => true,
            Says::Still => self.case.is_some(),
            Says::No => false,
        };
        // Negative when a frozen picture's time was taken back.
        let passed = self
            .said
            .map_or(0.0, |(_, watched)| frame.watched - watched);
        let held_before = self.said.is_some_and(|(said, _)| said != Says::No);
        self.said = Some((if holds { Says::Yes } else { Says::No }, frame.watched));
        if holds {
            if self.began.is_none() {
                self.began = Some(frame.at);
                self.held = 0.0;
            } else if held_before {
                self.held = (self.held + passed).max(0.0);
            }
            self.absent = 0.0;
            self.last = Some(frame.at);
        } else if self.began.is_some() {
            self.absent = (self.absent + passed).max(0.0);
            let patience = match self.case {
                Some(_) => times.clear_after_s,
                None => BRIDGED_S.min(0.5 * times.min_duration_s),
            };
            if self.absent > patience {
                let facts = facts(self.held);
                self.close(EndReason::Left, facts, report);
                return false;
            }
        }
        if let Some(case) = &mut self.case {
            let is_due =
                times.update_every_s > 0.0 && self.held - self.updated_at >= times.update_every_s;
            if is_due {
                self.updated_at = self.held;
                case.update(facts(self.held), report);
            }
            return false;
        }
        let near = if report.wants_near_misses() { 0.5 } else { 1.0 };
        holds && self.held >= near * times.min_duration_s
    }

    /// For how many watched seconds it has held.
    pub(super) fn held(&self) -> f64 {
        self.held
    }

    /// When it began; `frame` if it has not.
    pub(super) fn began(&self, frame: &FrameView<'_>) -> FrameTime {
        self.began.unwrap_or(frame.at)
    }

    /// Names what is nobody's: the same for the same onset, and no track's.
    pub(super) fn subject(&self, frame: &FrameView<'_>) -> TrackId {
        TrackId {
            born: self.began(frame).time,
            rank: NO_TRACK,
        }
    }

    pub(super) fn raised(&mut self, case: Option<Case>) {
        self.updated_at = self.held;
        self.case = case;
    }

    /// It is over.
    pub(super) fn close(
        &mut self,
        reason: EndReason,
        facts: BTreeMap<String, Value>,
        report: &mut Reporter<'_>,
    ) {
        let (began, last, case) = (self.began, self.last, self.case.take());
        if let (Some(case), Some(last)) = (case, last) {
            case.close(last.time, reason, facts, report);
        } else if let Some(began) = began {
            report.tell_near_miss(TrackId {
                born: began.time,
                rank: NO_TRACK,
            });
        }
        *self = Self::default();
    }

    pub(super) fn remembered(&self) -> usize {
        usize::from(self.began.is_some())
    }
}
