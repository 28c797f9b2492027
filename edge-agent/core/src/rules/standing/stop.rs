//! Places where a vehicle stands, whoever the tracker thinks it is.
//!
//! A place outlives a name, not a vehicle: see [`handover`].

use std::collections::BTreeSet;

use protocol::event::{FrameTime, Value};
use protocol::{EventTime, TrackId};

use super::super::{Case, EndReason, Reporter, explain};
use super::handover;
use crate::geometry::IsoBox;
use crate::observation::{Basis, FrameView, Length, Observation};
use crate::tracker::{Group, Spot};

/// A vehicle that stood this long has a place; before, the place moves with it, s.
const SETTLED_S: f64 = 3.0;
/// Standing may pass unseen between two sightings for this long, s.
const UNSEEN_S: f64 = 2.0;
/// A vehicle that was seen to leave its place or the zone is given this long
/// to come back, or to turn out to be another one whose id jumped, s.
const LEFT_S: f64 = 2.0;
/// No vehicle moves up to where another one stood sooner after that one left, s.
const PASSES_S: f64 = 0.5;
/// A box outside its place or its zone for less than this is jitter, s.
const OUTSIDE_S: f64 = 0.6;
/// A filter takes this long to follow a name that leapt, s.
const LEAP_TAKES_S: f64 = 0.5;
/// Sightings that make the mean of a place; then it stays where it is.
const MEAN_OF: f64 = 12.0;
/// Least overlap of a box with the one that stood there.
const SAME_PLACE: f64 = 0.4;
/// A place is forgotten after a hole in the stream of this length: another
/// vehicle may have taken it while nobody watched, s.
const HOLE_S: f64 = 120.0;
/// Pictures for people are at least this far apart, s.
const STILLS_APART_S: f64 = 10.0;
/// Pictures kept of a stop; when there are more, every second one goes.
const MOST_STILLS: usize = 8;
/// Places remembered at most.
const MOST_STOPS: usize = 2 * crate::tracker::MOST_TRACKS;

/// A place where a vehicle stands, or stood a moment ago.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    holder: TrackId,
    subject: TrackId,
    group: Group,
    began: Spot,
    /// Mean of the first sightings.
    anchor: Spot,
    mean_of: f64,
    bounds: IsoBox,
    dwell: f64,
    hidden: f64,
    /// Seconds that it was seen to stand with an excuse.
    excused: f64,
    is_excused: bool,
    /// Frames that show it standing, at least [`STILLS_APART_S`] apart.
    stills: Vec<FrameTime>,
    stills_apart: f64,
    farthest: f64,
    basis: Basis,
    /// Looks that the dwell is made of, and those of them that showed the
    /// contact point in the zone.
    looks: f64,
    looks_inside: f64,
    /// Looks since the contact point left the zone: part of the dwell if it
    /// comes back at once.
    looks_astray: f64,
    /// The last sighting at the place and in the zone.
    last: Spot,
    /// Watched time of that.
    last_watched: f64,
    /// Watched time since which the holder has been seen elsewhere or outside the zone.
    outside_since: Option<f64>,
    /// Whether it got there by a leap.
    left_by_leap: bool,
    /// The last sighting of the holder anywhere, and watched time of its last leap.
    newest: Spot,
    leapt: Option<f64>,
    case: Option<Case>,
    updated_at_dwell: f64,
}

impl Stop {
    fn new(user: &Observation, watched: f64, aspect: f64) -> Self {
        Self {
            holder: user.track,
            subject: user.track,
            group: user.group,
            began: user.spot,
            anchor: user.spot,
            mean_of: 1.0,
            bounds: IsoBox::new(&user.bounds, aspect),
            dwell: 0.0,
            hidden: 0.0,
            excused: 0.0,
            is_excused: false,
            stills: vec![user.spot.at],
            stills_apart: STILLS_APART_S,
            farthest: 0.0,
            basis: user.spot.way_to(&user.spot).basis,
            looks: 1.0,
            looks_inside: 1.0,
            looks_astray: 0.0,
            last: user.spot,
            last_watched: watched,
            outside_since: None,
            left_by_leap: false,
            newest: user.spot,
            leapt: None,
            case: None,
            updated_at_dwell: 0.0,
        }
    }

    pub(super) fn holder(&self) -> TrackId {
        self.holder
    }

    pub(super) fn subject(&self) -> TrackId {
        self.subject
    }

    pub(super) fn began(&self) -> &Spot {
        &self.began
    }

    pub(super) fn dwell(&self) -> f64 {
        self.dwell
    }

    /// Whether it had an excuse at the last look.
    pub(super) fn is_excused(&self) -> bool {
        self.is_excused
    }

    pub(super) fn stills(&self) -> &[FrameTime] {
        &self.stills
    }

    pub(super) fn farthest(&self) -> (Basis, f64) {
        (self.basis, self.farthest)
    }

    /// The part of the dwell's looks that showed the contact point in the zone.
    pub(super) fn share_inside(&self) -> f64 {
        self.looks_inside / self.looks
    }

    pub(super) fn raised(&mut self, case: Case) {
        self.case = Some(case);
        self.updated_at_dwell = self.dwell;
    }

    pub(super) fn bring_up_to_date(&mut self, every_s: f64, report: &mut Reporter<'_>) {
        if self.case.is_some() && self.dwell - self.updated_at_dwell >= every_s {
            self.updated_at_dwell = self.dwell;
            let facts = self.facts();
            if let Some(case) = &mut self.case {
                case.update(facts, report);
            }
        }
    }

    /// How long it stood, and how much of it does not count.
    pub(super) fn facts(&self) -> std::collections::BTreeMap<String, Value> {
        let mut facts = explain::facts([
            ("dwell_s", self.dwell.into()),
            ("hidden_s", self.hidden.into()),
        ]);
        if self.excused > 0.0 {
            facts.insert("excused_s".to_owned(), self.excused.into());
        }
        facts
    }

    fn is_settled(&self) -> bool {
        self.dwell + self.excused >= SETTLED_S || self.case.is_some()
    }

    /// The holder was seen: is it still here?
    fn see(&mut self, user: &Observation, look: Look, frame: &FrameView<'_>, radius: Length) {
        let Look {
            is_in_zone,
            is_excused,
        } = look;
        if handover::is_leap(&self.newest, self.newest.iso, &user.spot) {
            self.leapt = Some(frame.watched);
        }
        self.newest = user.spot;
        let way = self.anchor.way_to(&user.spot);
        let distance = way.vector.length();
        let is_near = distance <= radius.of(way.basis);
        if is_in_zone && !is_near && !self.is_settled() {
            *self = Self::new(user, frame.watched, frame.sight.aspect);
            return;
        }
        if !is_in_zone || !is_near {
            if self.outside_since.is_none() {
                self.outside_since = Some(frame.watched);
                self.left_by_leap = self
                    .leapt
                    .is_some_and(|leapt| frame.watched - leapt <= LEAP_TAKES_S);
            }
            self.looks_astray += 1.0;
            return;
        }
        let passed = frame.watched - self.last_watched;
        self.is_excused = is_excused;
        if self.outside_since.take().is_none() {
            if passed > UNSEEN_S {
                self.hidden += passed;
            } else if is_excused {
                self.excused += passed;
            } else {
                self.dwell += passed;
            }
        } else if passed <= OUTSIDE_S {
            if is_excused {
                self.excused += passed;
            } else {
                self.dwell += passed;
            }
            self.looks += self.looks_astray;
        }
        self.note_still(frame.at);
        self.looks_astray = 0.0;
        self.looks += 1.0;
        self.looks_inside += 1.0;
        self.basis = way.basis;
        self.farthest = self.farthest.max(distance);
        self.last = user.spot;
        self.last_watched = frame.watched;
        if self.mean_of < MEAN_OF {
            self.mean_of += 1.0;
            let share = 1.0 / self.mean_of;
            let mean = |old: f64, new: f64| old + (new - old) * share;
            let foot = protocol::Point {
                x: mean(self.anchor.foot.x, user.spot.foot.x),
                y: mean(self.anchor.foot.y, user.spot.foot.y),
            };
            let height = mean(self.anchor.height, user.spot.height);
            self.anchor = frame.sight.spot(foot, height, self.anchor.at);
            self.bounds = IsoBox::new(&user.bounds, frame.sight.aspect);
        }
    }

    fn note_still(&mut self, at: FrameTime) {
        let last = self.stills.last().copied().unwrap_or(self.began.at);
        if at.time.since(last.time).0 < self.stills_apart {
            return;
        }
        self.stills.push(at);
        if self.stills.len() > MOST_STILLS {
            let mut index = 0;
            self.stills.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stills_apart *= 2.0;
        }
    }

    /// Gives back what was credited later than this watched time, because the
    /// picture turned out to have been frozen.
    fn give_back(&mut self, watched: f64) {
        let credited = (self.last_watched - watched).max(0.0);
        let credit = if self.is_excused {
            &mut self.excused
        } else {
            &mut self.dwell
        };
        *credit = (*credit - credited).max(0.0);
        self.last_watched -= credited;
    }

    /// Whether its vehicle may be here under another name: nobody sees the
    /// holder, or the holder's name leapt away. Whoever was seen to drive off
    /// has taken its dwell along.
    fn is_free(&self, frame: &FrameView<'_>) -> bool {
        match self.outside_since {
            Some(_) => self.left_by_leap,
            None => !frame.shows(self.holder),
        }
    }

    /// Whether a vehicle stands exactly here.
    fn fits(&self, user: &Observation, aspect: f64, radius: Length) -> bool {
        user.group == self.group
            && self.is_at(&user.spot, radius)
            && self.bounds.iou(&IsoBox::new(&user.bounds, aspect)) >= SAME_PLACE
    }

    fn is_at(&self, spot: &Spot, radius: Length) -> bool {
        let way = self.anchor.way_to(spot);
        way.vector.length() <= radius.of(way.basis)
    }

    /// Goes on under another name, which was first seen here at `since`.
    fn hand_over(&mut self, user: &Observation, since: EventTime, frame: &FrameView<'_>) {
        self.holder = user.track;
        self.outside_since = None;
        self.left_by_leap = false;
        self.looks_astray = 0.0;
        self.newest = user.spot;
        self.leapt = None;
        // Until then nobody saw it stand.
        let watched = frame.watched - frame.at.time.since(since).0;
        let passed = (watched - self.last_watched).max(0.0);
        if passed > UNSEEN_S {
            self.hidden += passed;
        } else if self.is_excused {
            self.excused += passed;
        } else {
            self.dwell += passed;
        }
        self.last_watched += passed;
    }

    fn close(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        if let Some(case) = self.case.take() {
            let facts = self.facts();
            case.close(self.last.at.time, reason, facts, report);
        }
    }
}

/// What a look at a road user says, besides where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Whether its contact point is in the zone.
    pub(super) is_in_zone: bool,
    /// Whether something explains that it stands, so that this is no dwell.
    pub(super) is_excused: bool,
}

/// All places of a zone.
#[derive(Clone, Debug)]
pub(super) struct Stops {
    radius: Length,
    keep_s: f64,
    pub(super) list: Vec<Stop>,
    /// Tracks that were part of an event: none has a second one.
    pub(super) raised: BTreeSet<TrackId>,
}

impl Stops {
    pub(super) fn new(radius: Length, keep_s: f64) -> Self {
        Self {
            radius,
            keep_s,
            list: Vec::new(),
            raised: BTreeSet::new(),
        }
    }

    pub(super) fn radius(&self) -> Length {
        self.radius
    }

    /// Brings every place to what its holder does at this frame.
    pub(super) fn follow(&mut self, frame: &FrameView<'_>, look: impl Fn(&Observation) -> Look) {
        for stop in &mut self.list {
            if let Some(user) = frame.find(stop.holder) {
                stop.see(user, look(user), frame, self.radius);
            }
        }
    }

    /// Finds the place of a vehicle in the zone that holds none, or makes one.
    pub(super) fn admit(&mut self, user: &Observation, look: Look, frame: &FrameView<'_>) {
        let (aspect, radius) = (frame.sight.aspect, self.radius);
        let holds = |stop: &Stop| stop.holder == user.track && stop.outside_since.is_none();
        let is_settled = self.list.iter().any(|s| holds(s) && s.is_settled());
        let has_case = self.list.iter().any(|s| holds(s) && s.case.is_some());
        let free = self.list.iter().enumerate().find_map(|(index, stop)| {
            let is_own = stop.holder == user.track;
            let fits = !is_own && stop.is_settled() && stop.fits(user, aspect, radius);
            if !fits {
                return None;
            }
            let is_here = |spot: &Spot| stop.is_at(spot, radius);
            let trail = frame.trail(user);
            // Somebody was accused here and seems to have driven off, but this
            // one was here before that: two bodies have no room in one place,
            // so a passing one has carried the name away. Nobody is accused twice.
            if let Some(left) = stop.outside_since
                && stop.case.is_some()
                && !has_case
            {
                let since = handover::here_since(trail, &user.spot, is_here);
                let left_s_ago = frame.watched - left;
                let here_for = frame.at.time.since(since).0;
                return (here_for >= left_s_ago - PASSES_S).then_some((index, since));
            }
            if is_settled || !stop.is_free(frame) {
                return None;
            }
            // Who comes out from behind a bus bit by bit seems to drive up. It
            // may be the accused, and if it is not, it is only not accused.
            let first = trail.front().unwrap_or(&user.spot);
            let first_off = (first.iso - stop.anchor.iso).length();
            if stop.case.is_some()
                && !has_case
                && first.at.time > stop.last.at.time
                && first_off <= stop.anchor.height
            {
                return Some((index, handover::here_since(trail, &user.spot, is_here)));
            }
            let since = handover::appeared(trail, &user.spot, is_here)?;
            (since > stop.last.at.time).then_some((index, since))
        });
        if let Some((index, since)) = free {
            let mut stop = self.list.remove(index);
            // What this id had begun elsewhere was another body's, and what it
            // began here is part of the stop it goes on with.
            self.list
                .retain(|s| s.holder != user.track || (s.is_settled() && !holds(s)));
            if stop.case.is_some() {
                self.raised.insert(user.track);
            }
            stop.hand_over(user, since, frame);
            stop.see(user, look, frame, radius);
            self.list.insert(index.min(self.list.len()), stop);
            return;
        }
        if is_settled {
            return;
        }
        if self.list.iter().any(holds) {
            return;
        }
        // Somebody just seen leaving gets a new place once it is clear of the old one.
        let left_for = self
            .list
            .iter()
            .filter(|stop| stop.holder == user.track)
            .filter_map(|stop| stop.outside_since)
            .map(|since| frame.watched - since)
            .fold(f64::INFINITY, f64::min);
        if left_for >= OUTSIDE_S && self.list.len() < MOST_STOPS {
            self.list.push(Stop::new(user, frame.watched, aspect));
        }
    }

    /// Gives up places that were left, or where nobody was seen for too long.
    pub(super) fn expire(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let keep_s = self.keep_s;
        self.list.retain_mut(|stop| {
            stop.give_back(frame.watched);
            let unseen = frame.watched - stop.last_watched;
            let left = stop
                .outside_since
                .is_some_and(|since| frame.watched - since > LEFT_S);
            let keep = if stop.is_settled() {
                keep_s.max(UNSEEN_S)
            } else {
                UNSEEN_S
            };
            let hole = frame.at.time.since(stop.last.at.time).0 - unseen;
            let lost = unseen > keep || hole > HOLE_S;
            if left {
                stop.close(EndReason::Left, report);
            } else if lost {
                stop.close(EndReason::LostFromView, report);
            }
            !left && !lost
        });
    }

    /// Whether a place is due for an event that its holder has not had.
    pub(super) fn may_raise(&self, stop: &Stop, least_s: f64) -> bool {
        stop.case.is_none()
            && stop.dwell >= least_s
            && stop.outside_since.is_none()
            && !self.raised.contains(&stop.holder)
    }

    pub(super) fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        for mut stop in self.list.drain(..) {
            stop.close(reason, report);
        }
        self.raised.clear();
    }
}
