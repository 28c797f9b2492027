//! One road user over time: its box, its class by vote, its trail.

use std::collections::VecDeque;

use protocol::event::FrameTime;
use protocol::units::rounded;
use protocol::{CameraMotion, EventTime, NormBox, ObjectClass, Point, TrackId};

use super::association::{Group, Sighting};
use super::footing::Footing;
use super::kalman::{BoxFilter, moved};
use super::riders::{Mount, RiderCount, Riders, Riding};
use super::road::{OnRoad, Place};
use super::stature::Stature;
use super::{Moment, VELOCITY_HITS};
use crate::calibration::Ground;
use crate::geometry::{IsoBox, Vector};
use crate::observation::{Motion, Sight};
use crate::stance::{self, Size, Stance};

/// Where a track was at one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// When.
    pub at: FrameTime,
    /// Ground contact point in the picture.
    pub foot: Point,
    /// The same in the isotropic picture.
    pub iso: Vector,
    /// The same on the ground, in metres, where calibrated.
    pub ground: Option<Vector>,
    /// Height of the box, in picture heights.
    pub height: f64,
}

/// Time between two points of a trail; with [`MOST_POINTS`] this reaches back 12 s.
const TRAIL_STEP_S: f64 = 0.2;
const MOST_POINTS: usize = 64;

/// A box that comes this close to the picture's edge may go on beyond it.
const AT_EDGE: f64 = 0.003;

/// Of whoever is out of sight nobody knows where it is to this part of its size.
const WHEREABOUTS: f64 = 0.1;

/// A road user that the tracker follows.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its name, for ever.
    pub id: TrackId,
    /// Whether it was seen often enough to be believed.
    pub is_confirmed: bool,
    /// Its box by the filter, at the frame of `seen`.
    pub bounds: NormBox,
    /// The last frame that showed it.
    pub seen: FrameTime,
    /// Pictures that showed it: in which the detector saw it, or into which it was followed.
    pub hits: u32,
    /// Frames in a row that did not.
    pub misses: u32,
    pub(super) filter: BoxFilter,
    /// Where the filter puts it at this frame.
    pub(super) expected: IsoBox,
    /// Where its motion on the ground puts it, while it is out of sight.
    pub(super) expected_on_road: Option<IsoBox>,
    pub(super) road: Option<OnRoad>,
    pub(super) last_seen_box: IsoBox,
    pub(super) last_score: f64,
    /// Sum of the scores of its detections.
    pub(super) evidence: f64,
    pub(super) stature: Stature,
    pub(super) footing: Footing,
    /// Watched time at the last sighting, see [`super::Moment`].
    pub(super) seen_watched: f64,
    /// The first frame that showed it.
    pub(crate) first: FrameTime,
    pub(super) votes: Votes,
    trail: VecDeque<Spot>,
    rides_now: Option<bool>,
    riding: Riding,
    mount: Mount,
    pub(crate) riders_now: u8,
    riders: Riders,
    /// Unit vector on the ground: which way it went when it was last seen to move.
    course: Option<Vector>,
    /// Which way it faces.
    heading: Option<Vector>,
}

impl Track {
    /// Where it is in the frame `at`, or may be: out of sight for at most `longest_s`.
    pub(crate) fn whereabouts(
        &self,
        at: FrameTime,
        longest_s: f64,
        aspect: f64,
    ) -> Option<NormBox> {
        if self.seen == at {
            return Some(self.bounds);
        }
        let last = IsoBox::new(&self.bounds, aspect);
        let is_near = at.time.since(self.seen.time).0 <= longest_s;
        is_near.then(|| {
            last.around(&self.expected)
                .grown(WHEREABOUTS)
                .normalised(aspect)
        })
    }

    pub(super) fn new(id: TrackId, sighting: &Sighting, at: FrameTime, watched: f64) -> Self {
        let mut votes = Votes::default();
        votes.add(sighting.class, sighting.score);
        Self {
            id,
            is_confirmed: false,
            bounds: sighting.bounds,
            seen: at,
            hits: 1,
            misses: 0,
            filter: BoxFilter::new(&sighting.iso),
            expected: sighting.iso,
            expected_on_road: None,
            road: None,
            last_seen_box: sighting.iso,
            last_score: sighting.score,
            evidence: sighting.score,
            stature: Stature::new(&sighting.iso),
            footing: Footing::default(),
            seen_watched: watched,
            first: at,
            votes,
            trail: VecDeque::new(),
            rides_now: None,
            riding: Riding::default(),
            mount: Mount::default(),
            riders_now: 0,
            riders: Riders::default(),
            course: None,
            heading: None,
        }
    }

    pub(super) fn take(&mut self, sighting: &Sighting, moment: &Moment, ground: Option<&Ground>) {
        let Moment {
            at,
            watched,
            aspect,
            is_followed,
        } = *moment;
        self.filter.correct(&sighting.iso, sighting.score);
        let since_seen = at.time.since(self.seen.time).0;
        self.stature.see(&sighting.iso, since_seen, aspect);
        self.last_seen_box = sighting.iso;
        self.last_score = sighting.score;
        self.bounds = self.filter.bounds().normalised(aspect);
        self.seen = at;
        self.seen_watched = watched;
        self.misses = 0;
        self.hits = self.hits.saturating_add(1);
        self.evidence += sighting.score;
        // What a followed one is was said in the last look, and is not said again.
        if !is_followed {
            self.votes.add(sighting.class, sighting.score);
        }
        self.stand_on(ground, aspect);
    }

    /// Notes where on the ground it was seen, if that is in sight.
    pub(super) fn stand_on(&mut self, ground: Option<&Ground>, aspect: f64) {
        if let Some(ground) = ground
            && self.is_grounded()
            && let Some(place) = Place::of(&self.last_seen_box, ground, aspect)
        {
            match &mut self.road {
                Some(road) => road.correct(place),
                None => self.road = Some(OnRoad::new(place)),
            }
        }
    }

    /// Moves on by `dt` seconds and counts as unseen for now.
    pub(super) fn predict(&mut self, dt: f64, ground: Option<&Ground>, aspect: f64) {
        self.filter.predict(dt, self.misses > 0);
        self.misses = self.misses.saturating_add(1);
        self.expected = self.filter.bounds();
        self.expected_on_road = None;
        if let (Some(road), Some(ground)) = (&mut self.road, ground) {
            road.predict(dt);
            if self.misses > 1 && self.hits >= VELOCITY_HITS {
                self.expected_on_road = road.expected(&self.last_seen_box, ground, aspect);
            }
        }
    }

    /// Follows the camera: the same scene, shifted, scaled and turned.
    pub(super) fn follow_camera(&mut self, motion: &CameraMotion, aspect: f64) {
        self.filter.follow_camera(motion);
        let scale = motion.scale();
        self.stature.scale(scale);
        for seen in [&mut self.last_seen_box, &mut self.expected] {
            *seen = IsoBox {
                centre: moved(seen.centre, motion),
                width: seen.width * scale,
                height: seen.height * scale,
            };
        }
        let seen = IsoBox::new(&self.bounds, aspect);
        self.bounds = IsoBox {
            centre: moved(seen.centre, motion),
            width: seen.width * scale,
            height: seen.height * scale,
        }
        .normalised(aspect);
        for spot in &mut self.trail {
            spot.iso = moved(spot.iso, motion);
            spot.foot = Point {
                x: spot.iso.x / aspect,
                y: spot.iso.y,
            };
            spot.height *= scale;
        }
    }

    /// The box of its last detection, unfiltered.
    pub(crate) fn detected(&self, aspect: f64) -> NormBox {
        self.last_seen_box.normalised(aspect)
    }

    /// What it is, by vote.
    pub fn class(&self) -> ObjectClass {
        self.votes.winner().0
    }

    /// Mean score of the detections that voted for [`Track::class`].
    pub fn score(&self) -> f64 {
        self.votes.winner().1
    }

    /// The part of its votes, by score, that say one of `classes`: 0 to 1.
    pub(crate) fn vote_share(&self, classes: &[ObjectClass]) -> f64 {
        self.votes.share(classes)
    }

    /// Its kind of road user.
    pub fn group(&self) -> Group {
        Group::of(self.class())
    }

    /// Ground contact point in the picture.
    pub fn foot(&self) -> Point {
        let foot = self.bounds.foot();
        Point {
            y: self.footing.bottom().unwrap_or(foot.y),
            ..foot
        }
    }

    /// Which part of its box's lower edge another road user covers, 0 to 1; known
    /// where the camera is calibrated.
    pub(crate) fn covered(&self) -> f64 {
        self.footing.covered()
    }

    /// Whether others cover its lower edge, and nothing else tells where it touches
    /// the ground; known where the camera is calibrated.
    pub(crate) fn has_hidden_foot(&self) -> bool {
        self.footing.is_hidden()
    }

    /// Whether the last frame that showed it also showed where it touches the ground.
    pub fn is_grounded(&self) -> bool {
        !self.stature.is_cut()
    }

    /// Where it was, oldest first, about every fifth of a second.
    pub fn trail(&self) -> &VecDeque<Spot> {
        &self.trail
    }

    /// The trail as published: rounded, oldest first, at most 64 points.
    pub fn path(&self) -> impl Iterator<Item = Point> + '_ {
        self.trail.iter().map(|point| Point {
            x: rounded(point.foot.x, 4),
            y: rounded(point.foot.y, 4),
        })
    }

    /// The part of [`path`](Self::path) that had been gone by `until`.
    pub(crate) fn path_until(&self, until: EventTime) -> impl Iterator<Item = Point> + '_ {
        let gone = self.trail.partition_point(|spot| spot.at.time <= until);
        self.path().take(gone)
    }

    /// The way it went when it was last seen to move.
    pub(crate) fn course(&self) -> Option<Vector> {
        self.course
    }

    /// The way it faces, of a vehicle that was seen to move.
    pub(crate) fn heading(&self) -> Option<Vector> {
        self.heading
    }

    /// How long and wide it is, by its votes.
    pub(crate) fn size(&self) -> Option<Size> {
        Size::voted(|class| self.votes.share(&[class]))
    }

    /// What it covers of the road, if its box shows all of it.
    pub(crate) fn stance(&self, sight: &Sight<'_>) -> Option<Stance> {
        let is_cut = self.bounds.x <= AT_EDGE
            || self.bounds.right() >= 1.0 - AT_EDGE
            || self.bounds.bottom() >= 1.0 - AT_EDGE;
        if is_cut {
            return None;
        }
        Stance::fit(sight.ground?, self.foot(), self.heading?, self.size()?)
    }

    /// Notes where it is now.
    pub(crate) fn note(&mut self, point: Spot) {
        let due = self
            .trail
            .back()
            .is_none_or(|last| point.at.time.since(last.at.time).0 >= TRAIL_STEP_S - 1e-6);
        if due {
            self.course = stance::course(Motion::of(&self.trail, &point).as_ref(), self.course);
            if let Some(size) = self.size() {
                self.heading = stance::heading(&self.trail, &point, size.length, self.heading);
            }
            if self.trail.len() == MOST_POINTS {
                self.trail.pop_front();
            }
            self.trail.push_back(point);
        }
    }

    /// Notes whether it sat on a two-wheeler at this frame and on which;
    /// `None`: nothing to be learnt from it.
    pub(super) fn note_riding(&mut self, look: Option<bool>, mount: Option<TrackId>) {
        self.rides_now = look;
        self.riding.add(look);
        if let Some(mount) = mount {
            self.mount.add(mount);
        }
    }

    /// Counts its riders of this look.
    pub(super) fn note_riders(&mut self) {
        self.riders.add(self.riders_now);
    }

    /// How many ride it, where it is a two-wheeler.
    pub fn riders(&self) -> RiderCount {
        self.riders.count()
    }

    /// The part of the recent looks that showed at least so many on it, 0 to 1.
    pub(crate) fn riders_share(&self, at_least: u8) -> f64 {
        self.riders.share_of(at_least)
    }

    /// The two-wheeler that this person rides.
    pub fn mount(&self) -> Option<TrackId> {
        self.mount.leader().filter(|_| self.is_rider())
    }

    /// Whether the last frame that showed it showed it on a two-wheeler;
    /// `None` where that frame showed no two-wheeler at all.
    pub(crate) fn rides_now(&self) -> Option<bool> {
        self.rides_now
    }

    /// Whether this person rides: on a two-wheeler in a good part of the frames that showed both.
    pub fn is_rider(&self) -> bool {
        self.riding.is_rider()
    }

    /// Whether it was followed for so long, standing, that it is kept for minutes unseen.
    pub(super) fn may_be_kept(&self) -> bool {
        self.is_confirmed
            && self.seen.time.since(self.first.time).0 >= PARKED_LIFE_S
            && self.is_stationary()
    }

    /// Whether a look each second or two is enough to go on following it: it stands,
    /// and would be known again. Of who is cut off from below only the box can tell.
    pub(crate) fn is_settled(&self) -> bool {
        let is_old = self.seen.time.since(self.first.time).0 >= PARKED_LIFE_S;
        let is_still = || {
            let moved = self.filter.velocity().length() * STILL_OVER_S;
            moved <= STILL_HEIGHTS * self.last_seen_box.height.max(1e-6)
        };
        self.is_confirmed && is_old && (self.is_stationary() || self.stature.is_cut() && is_still())
    }

    /// Whether a sighting after so long may still be it and no other vehicle
    /// that took its place: the same box, the same size, a class it had before.
    pub(super) fn looks_like(&self, sighting: &Sighting) -> bool {
        let (was, is) = (&self.last_seen_box, &sighting.iso);
        let alike = |a: f64, b: f64| a <= b * SAME_SIZE && b <= a * SAME_SIZE;
        was.iou(is) >= SAME_PLACE
            && alike(was.width, is.width)
            && alike(was.height, is.height)
            && self.votes.share(&[sighting.class]) >= SAME_CLASS
    }

    /// Whether it has kept its place for the last seconds that it was seen.
    pub fn is_stationary(&self) -> bool {
        let Some(newest) = self.trail.back() else {
            return false;
        };
        let reference = self
            .trail
            .iter()
            .rev()
            .find(|point| newest.at.time.since(point.at.time).0 >= STILL_OVER_S);
        reference.is_some_and(|old| {
            let height = newest.height.max(old.height).max(1e-6);
            (newest.iso - old.iso).length() <= STILL_HEIGHTS * height
        })
    }
}

/// A parked track must have been followed this long to be kept long.
const PARKED_LIFE_S: f64 = 3.0;
/// Least overlap of what comes back with what was there.
const SAME_PLACE: f64 = 0.6;
/// Widths and heights of one vehicle differ no more than this from look to look.
const SAME_SIZE: f64 = 1.25;
/// A class with a smaller share of the votes is another vehicle's.
const SAME_CLASS: f64 = 0.1;
/// Stationary: within a fifth of its height over this time.
const STILL_OVER_S: f64 = 1.5;
pub(super) const STILL_HEIGHTS: f64 = 0.2;

/// Which class a track's detections had, weighted by score.
#[derive(Clone, Debug, Default)]
pub(super) struct Votes {
    /// Class, sum of scores, number. In order of class, so a tie is settled the same everywhere.
    pub(super) ballots: Vec<(ObjectClass, f64, f64)>,
}

/// With this many votes the older ones lose weight, so a track can change its mind.
const MOST_VOTES: f64 = 400.0;

impl From<Vec<(ObjectClass, f64, f64)>> for Votes {
    fn from(mut ballots: Vec<(ObjectClass, f64, f64)>) -> Self {
        ballots.sort_by_key(|(class, ..)| *class);
        ballots.dedup_by_key(|(class, ..)| *class);
        Self { ballots }
    }
}

impl Votes {
    fn add(&mut self, class: ObjectClass, score: f64) {
        match self.ballots.binary_search_by(|(c, ..)| c.cmp(&class)) {
            Ok(index) => {
                let (_, sum, count) = &mut self.ballots[index];
                *sum += score;
                *count += 1.0;
            }
            Err(index) => self.ballots.insert(index, (class, score, 1.0)),
        }
        if self.ballots.iter().map(|(.., count)| count).sum::<f64>() > MOST_VOTES {
            for (_, sum, count) in &mut self.ballots {
                *sum /= 2.0;
                *count /= 2.0;
            }
        }
    }

    fn winner(&self) -> (ObjectClass, f64) {
        let mut best = (ObjectClass::Other, 0.0, 1.0);
        for &(class, sum, count) in &self.ballots {
            if sum > best.1 {
                best = (class, sum, count);
            }
        }
        (best.0, best.1 / best.2)
    }

    fn share(&self, classes: &[ObjectClass]) -> f64 {
        let all: f64 = self.ballots.iter().map(|(_, sum, _)| sum).sum();
        let ours = self.ballots.iter().filter(|(c, ..)| classes.contains(c));
        ours.map(|(_, sum, _)| sum).sum::<f64>() / all.max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_van_that_flips_between_car_and_truck_is_what_it_mostly_was() {
        let mut votes = Votes::default();
        for (class, score) in [
            (ObjectClass::Truck, 0.9),
            (ObjectClass::Car, 0.6),
            (ObjectClass::Car, 0.7),
        ] {
            votes.add(class, score);
        }
        assert_eq!(votes.winner().0, ObjectClass::Car);
        assert!((votes.winner().1 - 0.65).abs() < 1e-12);
        for (classes, share) in [
            (&[ObjectClass::Car][..], 1.3 / 2.2),
            (&[ObjectClass::Truck, ObjectClass::Car], 1.0),
            (&[ObjectClass::Person], 0.0),
        ] {
            assert!((votes.share(classes) - share).abs() < 1e-12, "{classes:?}");
        }
    }

    #[test]
    fn votes_of_long_ago_fade() {
        let mut votes = Votes::default();
        for _ in 0..100_000 {
            votes.add(ObjectClass::Truck, 0.5);
        }
        for _ in 0..450 {
            votes.add(ObjectClass::Bus, 0.5);
        }
        assert_eq!(votes.winner().0, ObjectClass::Bus);
    }
}
