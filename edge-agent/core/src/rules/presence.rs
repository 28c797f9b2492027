//! How long somebody has been in a zone, through short absences and changed ids.
//!
//! Only watched time with the road user in the zone counts. An absence of the
//! same track of up to a tolerance pauses the stay; a longer one ends it. When a
//! tracker loses somebody and finds the same body again under a new id, the stay
//! goes on: whoever was a loiterer a second ago still is. Nobody is charged with
//! another's time, so a stay is handed on only where little else is possible: to
//! a track born within [`HANDED_ON_WITHIN_S`] after the holder vanished in the
//! zone, as tall, and no farther off than it can have walked; or, because what
//! drives past covers the legs, with its head where that head was. Each
//! hand-over is kept, for the explanation.
//!
//! Nobody is accused of being on foot who sat on a two-wheeler during the stay
//! itself. The vote over a track's whole life cannot say so: where a tracker
//! goes on with a rider under the name of somebody who walked past, that vote
//! is still the walker's.

use std::collections::BTreeSet;

use protocol::TrackId;
use protocol::event::FrameTime;

use super::standing::NEAR_DWELL;
use super::{Case, EndReason, Reporter, explain};
use crate::geometry::Vector;
use crate::observation::{Basis, FrameView, Observation};
use crate::tracker::{Riding, Spot};

/// A tracker that loses somebody behind a pole has found it again within this
/// time, s. Later, somebody else may have come by.
const HANDED_ON_WITHIN_S: f64 = 1.2;
/// As tall is a box of this part of the other's height …
const AS_TALL: std::ops::RangeInclusive<f64> = 0.75..=1.33;
/// … and this is the same person with the legs covered, before or after: head
/// and shoulders at least are in sight.
const COVERED: std::ops::RangeInclusive<f64> = 0.4..=2.5;
/// Hand-overs kept by name; further ones are counted.
const MOST_HAND_OVERS: usize = 8;

/// A stay went on under another id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HandOver {
    /// Whose it was.
    pub(super) from: TrackId,
    /// The last frame that showed that one.
    pub(super) vanished: FrameTime,
    /// The first frame that showed the new one.
    pub(super) appeared: FrameTime,
}

/// Somebody in a zone.
#[derive(Clone, Debug)]
pub(super) struct Stay {
    /// Who it is now.
    pub(super) holder: TrackId,
    /// Who it was when it came: names the event.
    pub(super) subject: TrackId,
    /// Where and when it came in.
    pub(super) entered: Spot,
    /// The last sighting in the zone.
    pub(super) last_inside: Spot,
    /// Watched seconds in the zone.
    pub(super) dwell: f64,
    /// Seconds of absence that were forgiven.
    pub(super) absent: f64,
    /// How often it went on under another id.
    pub(super) times_handed_over: u32,
    /// The latest of these.
    pub(super) hand_overs: Vec<HandOver>,
    last_seen: Spot,
    /// Watched time of the last sighting in the zone.
    inside_at: f64,
    was_inside: bool,
    /// The looks of this stay.
    riding: Riding,
    case: Option<Case>,
}

impl Stay {
    /// Seconds of dwell that may pass unseen between two sightings.
    const UNSEEN_S: f64 = 2.0;

    fn new(user: &Observation, watched: f64) -> Self {
        Self {
            holder: user.track,
            subject: user.track,
            entered: user.spot,
            last_inside: user.spot,
            dwell: 0.0,
            absent: 0.0,
            times_handed_over: 0,
            hand_overs: Vec::new(),
            last_seen: user.spot,
            inside_at: watched,
            was_inside: true,
            riding: Riding::default(),
            case: None,
        }
    }

    fn take(&mut self, user: &Observation, inside: bool, watched: f64) {
        self.last_seen = user.spot;
        if inside {
            let passed = watched - self.inside_at;
            if self.was_inside && passed <= Self::UNSEEN_S {
                self.dwell += passed;
            } else {
                self.absent += passed;
            }
            self.last_inside = user.spot;
            self.inside_at = watched;
            self.riding.add(user.rides_now);
        }
        self.was_inside = inside;
    }

    /// Gives back what was credited later than this watched time, because the
    /// picture turned out to have been frozen.
    fn give_back(&mut self, watched: f64) {
        let credited = (self.inside_at - watched).max(0.0);
        self.dwell = (self.dwell - credited).max(0.0);
        self.inside_at -= credited;
    }

    /// Whether it rode a two-wheeler during this stay.
    pub(super) fn is_rider(&self) -> bool {
        self.riding.is_rider()
    }

    /// How far from where the holder's head vanished that of somebody new was
    /// first seen, in heights of the taller box, if it can be nobody else: the
    /// holder was in the zone and is not seen any more, and the new one was born
    /// a moment later, near, and as tall. Whose legs are covered is neither near
    /// by its feet nor as tall, but its head is where it was.
    fn may_be(&self, user: &Observation, frame: &FrameView<'_>) -> Option<f64> {
        if !self.was_inside || frame.shows(self.holder) {
            return None;
        }
        let last = &self.last_seen;
        let first = frame.trail(user).front().unwrap_or(&user.spot);
        let unseen = first.at.time.since(last.at.time).0;
        if user.track.born <= last.at.time || unseen > HANDED_ON_WITHIN_S {
            return None;
        }
        let ratio = first.height / last.height.max(1e-6);
        let way = last.way_to(first);
        // At a walk, and a little for where within a box the feet are found.
        let walked = |basis| match basis {
            Basis::Ground => 0.5 + 1.5 * unseen,
            Basis::Picture => 0.3 + 0.9 * unseen,
        };
        let head = |spot: &Spot| spot.iso - Vector::new(0.0, spot.height);
        let heads = (head(first) - head(last)).length() / last.height.max(first.height).max(1e-6);
        let is_near = AS_TALL.contains(&ratio) && way.vector.length() <= walked(way.basis);
        let is_covered = COVERED.contains(&ratio) && heads <= walked(Basis::Picture);
        (is_near || is_covered).then_some(heads)
    }

    fn hand_over(&mut self, user: &Observation, frame: &FrameView<'_>) {
        if self.hand_overs.len() == MOST_HAND_OVERS {
            self.hand_overs.remove(0);
        }
        self.hand_overs.push(HandOver {
            from: self.holder,
            vanished: self.last_seen.at,
            appeared: frame.first_seen(user),
        });
        self.times_handed_over = self.times_handed_over.saturating_add(1);
        self.holder = user.track;
    }
}

/// Everybody in a zone.
#[derive(Clone, Debug)]
pub(super) struct Stays {
    tolerance_s: f64,
    /// Whether people on two-wheelers are of no concern.
    on_foot: bool,
    list: Vec<Stay>,
    /// Tracks that were part of an event: none has a second one.
    raised: BTreeSet<TrackId>,
}

/// More than a tracker follows at once; further ones wait.
const MOST_STAYS: usize = 2 * crate::tracker::MOST_TRACKS;

impl Stays {
    /// Of people on foot.
    pub(super) fn new(tolerance_s: f64) -> Self {
        Self {
            on_foot: true,
            ..Self::of_anybody(tolerance_s)
        }
    }

    /// Of whatever moves.
    pub(super) fn of_anybody(tolerance_s: f64) -> Self {
        Self {
            tolerance_s,
            on_foot: false,
            list: Vec::new(),
            raised: BTreeSet::new(),
        }
    }

    /// Brings every stay to this frame. `inside` says `None` for whom the rule
    /// does not concern.
    pub(super) fn update(
        &mut self,
        frame: &FrameView<'_>,
        inside: impl Fn(&Observation) -> Option<bool>,
    ) {
        for user in frame.users {
            let Some(is_inside) = inside(user) else {
                continue;
            };
            let held = self.list.iter().position(|s| s.holder == user.track);
            let index = held.or_else(|| (is_inside).then(|| self.admit(user, frame))?);
            if let Some(index) = index {
                self.list[index].take(user, is_inside, frame.watched);
            }
        }
    }

    /// Finds the stay that somebody new in the zone goes on with, or starts one.
    fn admit(&mut self, user: &Observation, frame: &FrameView<'_>) -> Option<usize> {
        let mut nearest: Option<(f64, usize)> = None;
        for (index, stay) in self.list.iter().enumerate() {
            if let Some(distance) = stay.may_be(user, frame)
                && nearest.is_none_or(|(least, _)| distance < least)
            {
                nearest = Some((distance, index));
            }
        }
        if let Some((_, index)) = nearest {
            let stay = &mut self.list[index];
            stay.hand_over(user, frame);
            if stay.case.is_some() {
                self.raised.insert(user.track);
            }
            return Some(index);
        }
        if self.raised.contains(&user.track) || self.list.len() >= MOST_STAYS {
            return None;
        }
        self.list.push(Stay::new(user, frame.watched));
        Some(self.list.len() - 1)
    }

    /// Calls `raise` for every stay (on foot, where that matters) of at least
    /// `least_s` seconds whose holder this frame shows in the zone and that has
    /// no event yet; where near misses are asked for, also for shorter ones.
    pub(super) fn raise(
        &mut self,
        frame: &FrameView<'_>,
        least_s: f64,
        wants_near_misses: bool,
        mut raise: impl FnMut(&Stay, &Observation) -> Option<Case>,
    ) {
        let least_s = if wants_near_misses {
            NEAR_DWELL * least_s
        } else {
            least_s
        };
        let on_foot = self.on_foot;
        for stay in &mut self.list {
            let is_due = stay.case.is_none()
                && stay.was_inside
                && stay.dwell >= least_s
                && !(on_foot && stay.is_rider())
                && !self.raised.contains(&stay.holder);
            if !is_due {
                continue;
            }
            if let Some(user) = frame.find(stay.holder)
                && let Some(case) = raise(stay, user)
            {
                stay.case = Some(case);
                self.raised.insert(stay.holder);
            }
        }
    }

    /// Ends the stays of those who have been away for longer than the tolerance.
    pub(super) fn expire(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let tolerance = self.tolerance_s;
        self.list.retain_mut(|stay| {
            stay.give_back(frame.watched);
            let stays = frame.watched - stay.inside_at <= tolerance;
            if !stays {
                let reason = if stay.was_inside {
                    EndReason::LostFromView
                } else {
                    EndReason::Left
                };
                close(stay, reason, report);
            }
            stays
        });
    }

    pub(super) fn forget(&mut self, track: TrackId) {
        self.raised.remove(&track);
    }

    pub(super) fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        for mut stay in self.list.drain(..) {
            close(&mut stay, reason, report);
        }
        self.raised.clear();
    }

    pub(super) fn remembered(&self) -> usize {
        self.list.len() + self.raised.len()
    }
}

fn close(stay: &mut Stay, reason: EndReason, report: &mut Reporter<'_>) {
    if let Some(case) = stay.case.take() {
        let facts = explain::facts([("dwell_s", stay.dwell.into())]);
        case.close(stay.last_inside.at.time, reason, facts, report);
    }
}
