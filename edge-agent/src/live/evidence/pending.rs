//! An event whose evidence is still to come.

use std::time::Instant;

use edge_video::encoded::cut::{Cut, Shortfall, cut};
use edge_video::encoded::{AccessUnit, Ring, RingClock};
use protocol::event::FrameTime;
use protocol::evidence::Span;
use protocol::units::Seconds;
use protocol::{Event, EventTime};

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
    /// Key pictures of moments from before all these; absent until they are asked for.
    album: Option<Vec<Old>>,
    /// More came than a clip may hold.
    is_full: bool,
    /// That of the event's times, whatever is set while its pictures come.
    clock: Option<RingClock>,
}

/// A moment that the rule named, from before what is at hand.
pub(super) struct Old {
    pub(super) at: FrameTime,
    /// The picture that stands for it; none where those before and after it would be too near.
    pub(super) unit: Option<AccessUnit>,
}

/// Pictures come this much later than they were taken, at most; a stream that
/// is later than that is lost, s.
const GRACE_S: f64 = 5.0;
/// What is shown before the end may be sent this long after what is shown behind
/// it (at most 16 pictures of H.264 wait for another), s.
const REORDERED_S: f64 = 0.7;
/// A key picture taken so long after a moment may stand for it, s: only who stays is
/// asked for so late.
const STANDS_FOR_S: f64 = 15.0;
/// And one so long before, s: who is asked for has stayed for longer by then.
const EARLY_S: f64 = 8.0;
/// Pictures of who stays are so far apart, s.
const APART_S: f64 = 10.0;

impl Pending {
    pub(super) fn new(wish: Wish, since: Option<Instant>) -> Self {
        Self {
            wish,
            main: Taken::default(),
            detect: Taken::default(),
            since,
        }
    }

    /// The event was told anew.
    pub(super) fn heed(&mut self, event: Event) {
        if self.wish.event.revision < event.revision {
            self.wish.event = event;
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
        let most = clip.most_bytes();
        let decided = self.wish.event.decided.time;
        self.main.take_in(&rings.main, decided, &span, most);
        if let Some(detect) = &rings.detect {
            self.detect.take_in(detect, decided, &span, most);
        }
        // Once, at the beginning: the album forgets.
        if self.main.album.is_none() {
            let at = &self.wish.at;
            self.main.album = Some(self.main.of_before(&rings.main, at));
            if let Some(detect) = &rings.detect {
                self.detect.album = Some(self.detect.of_before(detect, at));
            }
        }
    }

    /// Whether nothing more will come that is wanted.
    pub(super) fn is_ready(&self, rings: &Rings, clip: &ClipConfig) -> bool {
        let to = self.asked(clip).to;
        let decided = self.wish.event.decided.time;
        let is_past = |ring: &Ring| {
            let clock = self.main.clock.unwrap_or_else(|| ring.clock_of(decided));
            let newest = ring.newest(clock);
            newest.is_some_and(|newest| newest > to + Seconds(REORDERED_S))
        };
        let is_overdue = self.since.is_some_and(|since| {
            let after = to.since(self.wish.event.decided.time).0.max(0.0);
            since.elapsed().as_secs_f64() > after + GRACE_S
        });
        is_past(&rings.main) || is_overdue
    }
}

impl Taken {
    /// Key pictures for moments that are older than the pictures at hand.
    pub(super) fn album(&self) -> &[Old] {
        self.album.as_deref().unwrap_or_default()
    }

    /// For each moment before the first picture at hand the nearest key picture that is as
    /// far from the next one shown as the moments are from each other, up to [`APART_S`].
    fn of_before(&self, ring: &Ring, at: &[FrameTime]) -> Vec<Old> {
        let begin = self.units.iter().map(|unit| unit.time).min();
        let is_old = |at: &&FrameTime| begin.is_none_or(|begin| at.time < begin);
        // Asked for, and shown.
        let mut next = at
            .iter()
            .find(|at| !is_old(at))
            .map(|at| (at.time, at.time));
        let mut found: Vec<Old> = Vec::new();
        for at in at.iter().filter(is_old).rev() {
            let latest = at.time + Seconds(STANDS_FOR_S);
            let apart = next.map_or(latest, |(wanted, shown)| {
                shown - Seconds(wanted.since(at.time).0.min(APART_S))
            });
            let clock = self.clock.unwrap_or_else(|| ring.clock_of(at.time));
            let mut keys = ring.key_pictures(at.time - Seconds(EARLY_S), latest, clock);
            // What is at hand shows itself, and stands for nothing else.
            keys.retain(|unit| begin.is_none_or(|begin| unit.time < begin));
            if keys.is_empty() {
                continue;
            }
            let away = |unit: &AccessUnit| unit.time.since(at.time).0.abs();
            let unit = keys
                .into_iter()
                .filter(|unit| unit.time <= apart)
                .min_by(|a, b| away(a).total_cmp(&away(b)));
            if let Some(unit) = &unit {
                next = Some((at.time, unit.time));
            }
            found.push(Old { at: *at, unit });
        }
        found.reverse();
        found
    }

    fn take_in(&mut self, ring: &Ring, decided: EventTime, span: &Span, most: usize) {
        let clock = *self.clock.get_or_insert_with(|| ring.clock_of(decided));
        let enough = span.to + Seconds(REORDERED_S);
        if self.units.last().is_some_and(|last| last.time > enough) || self.is_full {
            return;
        }
        let after = self.units.last().map(|unit| unit.number);
        for unit in ring.since(after, span.from, clock) {
            if self.bytes + unit.bytes.len() > most {
                self.is_full = true;
                return;
            }
            self.bytes += unit.bytes.len();
            self.units.push(unit);
        }
    }

    /// The clip of it.
    pub(super) fn cut(&self, asked: &Span, decided: EventTime) -> Cut {
        let mut cut = cut(&self.units, asked.from, asked.to, decided);
        let number = |units: &[AccessUnit]| units.last().map(|unit| unit.number);
        // It was our own bound that ended it, and no break of the stream.
        if self.is_full && number(&cut.units) == number(&self.units) {
            let ends = cut.shortfalls.iter_mut();
            ends.filter(|it| **it == Shortfall::BrokeOff)
                .for_each(|it| *it = Shortfall::TooLarge);
        }
        cut
    }
}

#[cfg(test)]
mod tests;
