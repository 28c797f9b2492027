//! An event whose evidence is still to come.

use std::time::Instant;

use edge_video::encoded::{AccessUnit, Ring};
use protocol::EventTime;
use protocol::evidence::Span;
use protocol::units::Seconds;

use super::{Rings, Wish};
use crate::config::ClipConfig;

/// A wish, and the pictures that were taken for it so far.
pub(super) struct Pending {
    pub(super) wish: Wish,
    pub(super) main: Taken,
    pub(super) detect: Taken,
    /// When it was asked for, where pictures come as they are taken.
    since: Option<Instant>,
}

/// Pictures of one stream, shared with its ring.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) units: Vec<AccessUnit>,
    bytes: usize,
}

/// Pictures come this much later than they were taken, at most; a stream that
/// is later than that is lost, s.
const GRACE_S: f64 = 5.0;
/// What is shown before the end may be sent this long after what is shown behind
/// it (at most 16 pictures of H.264 wait for another), s.
const REORDERED_S: f64 = 0.7;
/// A clip holds at most as much as so many rings.
const MOST_RINGS: usize = 2;

impl Pending {
    pub(super) fn new(wish: Wish, since: Option<Instant>) -> Self {
        Self {
            wish,
            main: Taken::default(),
            detect: Taken::default(),
            since,
        }
    }

    /// What the clip should show.
    pub(super) fn asked(&self, clip: &ClipConfig) -> Span {
        let event = &self.wish.event;
        let from = event.onset - Seconds(clip.pre_s);
        let whole = event.ended.map(|ended| ended + Seconds(clip.post_s));
        // A long event has a clip of `longest_s`, but what decided it is in it.
        let bound = self.begins(from).unwrap_or(from) + Seconds(clip.longest_s);
        let decided = event.decided.time + Seconds(clip.post_s);
        let to = whole.map_or(bound, |whole| whole.min(bound)).max(decided);
        Span { from, to }
    }

    /// From when on there are pictures.
    fn begins(&self, from: EventTime) -> Option<EventTime> {
        let first = self.main.units.first().or(self.detect.units.first())?;
        Some(first.time.max(from))
    }

    /// Whether the clip ends before the event does.
    pub(super) fn is_cut_off(&self, asked: &Span, clip: &ClipConfig) -> bool {
        let ended = self.wish.event.ended;
        ended.is_none_or(|ended| ended + Seconds(clip.post_s) > asked.to + Seconds(0.5))
    }

    pub(super) fn take_in(&mut self, rings: &Rings, clip: &ClipConfig) {
        let span = self.asked(clip);
        let most = clip.ring_mb as usize * 1_000_000 * MOST_RINGS;
        self.main.take_in(&rings.main, &span, most);
        if let Some(detect) = &rings.detect {
            self.detect.take_in(detect, &span, most);
        }
    }

    /// Whether nothing more will come that is wanted.
    pub(super) fn is_ready(&self, rings: &Rings, clip: &ClipConfig) -> bool {
        let to = self.asked(clip).to;
        let is_past = |ring: &Ring| {
            ring.newest()
                .is_some_and(|newest| newest > to + Seconds(REORDERED_S))
        };
        let is_overdue = self.since.is_some_and(|since| {
            let after = to.since(self.wish.event.decided.time).0.max(0.0);
            since.elapsed().as_secs_f64() > after + GRACE_S
        });
        is_past(&rings.main) || is_overdue
    }
}

impl Taken {
    fn take_in(&mut self, ring: &Ring, span: &Span, most: usize) {
        let enough = span.to + Seconds(REORDERED_S);
        if self.units.last().is_some_and(|last| last.time > enough) || self.bytes > most {
            return;
        }
        let after = self.units.last().map(|unit| unit.number);
        for unit in ring.since(after, span.from) {
            self.bytes += unit.bytes.len();
            self.units.push(unit);
        }
    }
}
