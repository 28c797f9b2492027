//! What the rules get to see of a frame: each road user with its place, its
//! motion and, where the camera is calibrated, both in metres.
//!
//! Without a calibration lengths are counted in heights of the road user's own
//! box, which follow perspective without knowing it. Every length says in
//! which [`Basis`] it was measured, and so does every explanation.

use std::collections::VecDeque;

use protocol::event::{Actor, FrameTime};
use protocol::units::{KmPerHour, rounded};
use protocol::{NormBox, ObjectClass, Point, TrackId};

use crate::calibration::Ground;
use crate::geometry::Vector;
use crate::health::Health;
use crate::marks::Mark;
use crate::queue::Queues;
use crate::second_look::CascadeUse;
use crate::signals::SignalBoard;
use crate::stance::{Size, Stance};
use crate::tracker::{Group, RiderCount, Spot, Track};

/// In what a length was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Metres on the ground.
    Ground,
    /// Heights of the road user's box in the picture.
    Picture,
}

impl Basis {
    /// The unit of lengths.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Ground => "m",
            Self::Picture => "box heights",
        }
    }

    /// The word among an event's facts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ground => "ground",
            Self::Picture => "picture",
        }
    }

    /// Ends a Vietnamese label.
    pub const fn vi(self) -> &'static str {
        match self {
            Self::Ground => "đo trên mặt đường",
            Self::Picture => "đo trong ảnh, theo chiều cao khung",
        }
    }

    /// Ends an English label.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Ground => "measured on the ground",
            Self::Picture => "measured in the picture, in box heights",
        }
    }
}

/// A threshold for a length in either basis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Length {
    /// On the ground.
    pub metres: f64,
    /// In the picture.
    pub heights: f64,
}

impl Length {
    /// The threshold for lengths of this basis.
    pub const fn of(self, basis: Basis) -> f64 {
        match basis {
            Basis::Ground => self.metres,
            Basis::Picture => self.heights,
        }
    }
}

/// The way from one spot to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// In what it was measured.
    pub basis: Basis,
    /// Direction and length, in metres or box heights.
    pub vector: Vector,
}

impl Spot {
    /// The way from here to `later`, on the ground if both are on it.
    pub fn way_to(&self, later: &Self) -> Way {
        if let (Some(from), Some(to)) = (self.ground, later.ground) {
            return Way {
                basis: Basis::Ground,
                vector: to - from,
            };
        }
        let height = f64::midpoint(self.height, later.height).max(1e-6);
        Way {
            basis: Basis::Picture,
            vector: (later.iso - self.iso) * (1.0 / height),
        }
    }
}

/// How a road user has moved over the last second or so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Motion {
    /// Metres per second on the ground, where calibrated.
    pub ground: Option<Vector>,
    /// Box heights per second in the picture.
    pub picture: Vector,
}

impl Motion {
    /// Speed on the ground.
    pub fn ground_speed(&self) -> Option<KmPerHour> {
        self.ground
            .map(|v| KmPerHour::from_metres_per_second(v.length()))
    }

    /// The slope of a straight line through the recent spots (least squares),
    /// which the jitter of single boxes moves little.
    pub fn of(trail: &VecDeque<Spot>, now: &Spot) -> Option<Self> {
        let recent = || {
            trail
                .iter()
                .rev()
                .filter(|spot| spot.at.time < now.at.time)
                .take_while(|spot| now.at.time.since(spot.at.time).0 <= OVER_S)
                .chain(std::iter::once(now))
        };
        let (mut n, mut t_sum, mut oldest) = (0.0, 0.0, 0.0_f64);
        let (mut place, mut on_ground, mut height) =
            (Vector::default(), Some(Vector::default()), 0.0);
        for spot in recent() {
            let t = spot.at.time.since(now.at.time).0;
            n += 1.0;
            t_sum += t;
            oldest = oldest.min(t);
            place = place + spot.iso;
            height += spot.height;
            on_ground = on_ground.zip(spot.ground).map(|(sum, g)| sum + g);
        }
        if -oldest < LEAST_S {
            return None;
        }
        let t_mean = t_sum / n;
        let mut spread = 0.0;
        let (mut slope, mut ground_slope) = (Vector::default(), Vector::default());
        for spot in recent() {
            let t = spot.at.time.since(now.at.time).0 - t_mean;
            spread += t * t;
            slope = slope + spot.iso * t;
            ground_slope = ground_slope + spot.ground.unwrap_or_default() * t;
        }
        let height = (height / n).max(1e-6);
        Some(Self {
            ground: on_ground.map(|_| ground_slope * (1.0 / spread)),
            picture: slope * (1.0 / (spread * height)),
        })
    }
}

/// This part of a lower edge must be covered for its place to be unknown …
const COVERED: f64 = 0.5;
/// … by a box that reaches farther down by this part of its height.
const COVER_EDGE: f64 = 0.1;
/// A filtered lower edge jitters by this part of the box's height.
const JITTER: f64 = 0.015;
/// Motion is taken over at most this, s.
const OVER_S: f64 = 1.2;
/// And over at least this, s.
const LEAST_S: f64 = 0.35;

/// A confirmed road user at a frame that shows it and where it touches the ground.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Who.
    pub track: TrackId,
    /// What it is, by vote.
    pub class: ObjectClass,
    /// Which classes it might be confused with.
    pub group: Group,
    /// Mean score of the votes for `class`.
    pub score: f64,
    /// Its box.
    pub bounds: NormBox,
    /// Where it touches the ground.
    pub spot: Spot,
    /// How it moves; unknown for the first moments.
    pub motion: Option<Motion>,
    /// What it covers of the road; of vehicles that were seen to move, where calibrated.
    pub stance: Option<Stance>,
    /// The middle of what it covers of the road: of its stance or, where it has
    /// none, about. Of vehicles, where calibrated.
    pub footprint: Option<Vector>,
    /// Whether it is a person on a two-wheeler, by a vote over its recent life.
    pub is_rider: bool,
    /// The same in this frame alone; `None` where it shows no two-wheeler at all.
    pub rides_now: Option<bool>,
    /// The two-wheeler that this person rides, by a vote over its recent life:
    /// the two are one road user.
    pub mount: Option<TrackId>,
    /// How many ride it, where it is a two-wheeler; by a vote over its recent life.
    pub riders: RiderCount,
    index: usize,
}

impl Observation {
    /// Finds its track again after other frames; `false`: it was given up.
    pub(crate) fn is_still_followed(&mut self, tracks: &[Track]) -> bool {
        let found = tracks.binary_search_by(|track| track.id.cmp(&self.track));
        found.is_ok_and(|index| {
            self.index = index;
            true
        })
    }

    /// Observes every confirmed track whose contact with the ground this frame shows.
    pub(crate) fn collect(
        tracks: &[Track],
        at: FrameTime,
        sight: &Sight<'_>,
        into: &mut Vec<Self>,
    ) {
        into.clear();
        for (index, track) in tracks.iter().enumerate() {
            if !track.is_confirmed || track.seen != at || !track.is_grounded() {
                continue;
            }
            let spot = sight.spot(track.foot(), track.bounds.height, at);
            let stance = track.stance(sight);
            let footprint = match (stance, track.size()) {
                (Some(stance), _) => Some(stance.centre),
                (None, Some(size)) => sight.behind(&spot, track.heading(), size),
                _ => None,
            };
            into.push(Self {
                track: track.id,
                class: track.class(),
                group: track.group(),
                score: track.score(),
                bounds: track.bounds,
                spot,
                motion: Motion::of(track.trail(), &spot),
                stance,
                footprint,
                is_rider: track.is_rider(),
                rides_now: track.rides_now(),
                mount: track.mount(),
                riders: track.riders(),
                index,
            });
        }
    }
}

/// How places in the picture become spots.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Width over height of the picture.
    pub aspect: f64,
    /// The calibration, if there is one.
    pub ground: Option<&'a Ground>,
}

impl Sight<'_> {
    /// What a detector's jitter of a lower edge is worth on the ground, m: a
    /// pixel far away is metres.
    pub fn blur(&self, spot: &Spot) -> Option<f64> {
        let (ground, here) = (self.ground?, spot.ground?);
        let below = Point {
            x: spot.foot.x,
            y: spot.foot.y + JITTER * spot.height,
        };
        Some((ground.to_ground(below)? - here).length())
    }

    /// How far a spot is from the nearest edge of a polygon of the picture: on
    /// the ground where edge and spot are on it, else in the spot's box heights.
    pub fn distance_to(&self, polygon: &[Point], spot: &Spot) -> (Basis, f64) {
        let corners = polygon.iter();
        let edges = corners.clone().zip(corners.cycle().skip(1));
        let on_ground = spot.ground.zip(self.ground).and_then(|(here, ground)| {
            edges.clone().try_fold(f64::INFINITY, |least, (a, b)| {
                let edge = (ground.to_ground(*a)?, ground.to_ground(*b)?);
                Some(least.min(here.distance_to_segment(edge)))
            })
        });
        if let Some(metres) = on_ground {
            return (Basis::Ground, metres);
        }
        let isotropic = |p: &Point| Vector::isotropic(*p, self.aspect);
        let least = edges
            .map(|(a, b)| spot.iso.distance_to_segment((isotropic(a), isotropic(b))))
            .fold(f64::INFINITY, f64::min);
        (Basis::Picture, least / spot.height.max(1e-6))
    }

    /// The area of a polygon of the picture on the ground, m²; `None` where it
    /// reaches up to the horizon or nothing is calibrated.
    pub fn ground_area(&self, polygon: &[Point]) -> Option<f64> {
        let ground = self.ground?;
        let corners: Option<Vec<Vector>> = polygon.iter().map(|p| ground.to_ground(*p)).collect();
        let corners = corners?;
        let next = corners.iter().cycle().skip(1);
        let twice: f64 = corners.iter().zip(next).map(|(a, b)| a.cross(*b)).sum();
        Some(twice.abs() / 2.0)
    }

    /// The spot of a contact point.
    pub fn spot(&self, foot: Point, height: f64, at: FrameTime) -> Spot {
        Spot {
            at,
            foot,
            iso: Vector::isotropic(foot, self.aspect),
            ground: self.ground.and_then(|ground| ground.to_ground(foot)),
            height,
        }
    }
}

/// One frame, as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    /// Which frame, and when.
    pub at: FrameTime,
    /// For how long the rule has been watching, s: stands still through gaps,
    /// outside its hours and while it is suspended, and goes back when a
    /// picture is found to have been frozen.
    pub watched: f64,
    /// Every confirmed road user that this frame shows, in order of track.
    pub users: &'a [Observation],
    /// What the frame shows of road users (heads, plates, phones, belts), and
    /// fire and smoke: most confident first.
    pub marks: &'a [Mark],
    /// The signal groups.
    pub signals: &'a SignalBoard,
    /// How places become spots.
    pub sight: Sight<'a>,
    /// Who stands in a queue or waits before a red light.
    pub queue: &'a Queues,
    /// What the picture is good for. Rules that judge by places are not asked
    /// while it is not well.
    pub health: Health,
    /// Whether nobody looked at it: its road users were followed, and what they bear is not known anew.
    pub is_followed: bool,
    /// What waits for second looks.
    pub(crate) second: Waits<'a>,
    pub(crate) tracks: &'a [Track],
}

/// What a camera's cascades are to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits<'a> {
    /// Classes that only they give.
    pub(crate) only: &'a [ObjectClass],
    pub(crate) cascades: &'a [CascadeUse],
}

impl<'a> FrameView<'a> {
    /// Where a road user was before.
    pub fn trail(&self, user: &Observation) -> &'a VecDeque<Spot> {
        self.tracks[user.index].trail()
    }

    /// Whether something nearer covers the lower edge of a road user's box, so
    /// that nobody sees where it touches the ground.
    pub fn is_covered(&self, user: &Observation) -> bool {
        let own = &user.bounds;
        let bottom = own.y + own.height;
        self.users.iter().any(|other| {
            let theirs = &other.bounds;
            let shared = (own.x + own.width).min(theirs.x + theirs.width) - own.x.max(theirs.x);
            // A detector's box of what is visible ends where the other begins.
            let begins = theirs.y - COVER_EDGE * own.height;
            let ends = theirs.y + theirs.height;
            other.track != user.track
                && shared >= COVERED * own.width
                && begins < bottom
                && ends > bottom + COVER_EDGE * own.height
        })
    }

    /// A road user's box as the detector gave it, before any filter: what
    /// measures must not lag behind.
    pub fn detected(&self, user: &Observation) -> NormBox {
        self.tracks[user.index].detected(self.sight.aspect)
    }

    /// Which part of the lower edge of its box another road user covers, 0 to 1;
    /// known where the camera is calibrated.
    pub fn covered(&self, user: &Observation) -> f64 {
        self.tracks[user.index].covered()
    }

    /// Whether others cover the lower edge of its box and its height does not tell
    /// where it touches the ground; known where the camera is calibrated.
    pub(crate) fn has_hidden_foot(&self, user: &Observation) -> bool {
        self.tracks[user.index].has_hidden_foot()
    }

    /// The observation of a track at this frame.
    pub fn find(&self, track: TrackId) -> Option<&'a Observation> {
        self.users
            .binary_search_by(|user| user.track.cmp(&track))
            .ok()
            .map(|index| &self.users[index])
    }

    /// Whether this frame shows a track at all, be its contact with the ground
    /// in sight or not.
    pub fn shows(&self, track: TrackId) -> bool {
        self.tracks
            .binary_search_by(|known| known.id.cmp(&track))
            .is_ok_and(|index| self.tracks[index].seen == self.at)
    }

    /// The way a road user went when it was last seen to move, on the ground.
    pub fn course(&self, user: &Observation) -> Option<Vector> {
        self.tracks[user.index].course()
    }

    /// The way a vehicle faces that was seen to move, on the ground.
    pub fn heading(&self, user: &Observation) -> Option<Vector> {
        self.tracks[user.index].heading()
    }

    /// How long and wide a road user is, by its votes; `None` for what is no vehicle.
    pub fn size(&self, user: &Observation) -> Option<Size> {
        self.tracks[user.index].size()
    }

    /// The first frame that showed a road user.
    pub fn first_seen(&self, user: &Observation) -> FrameTime {
        self.tracks[user.index].first
    }

    /// The part of a road user's votes, by score, that say one of `classes`: 0 to 1.
    pub fn vote_share(&self, user: &Observation, classes: &[ObjectClass]) -> f64 {
        self.tracks[user.index].vote_share(classes)
    }

    /// What this frame shows of a road user; of a two-wheeler's riders, too.
    pub fn marks_of(&self, track: TrackId) -> impl Iterator<Item = &'a Mark> {
        self.marks
            .iter()
            .filter(move |mark| mark.bearer == Some(track))
    }

    /// Whether other looks tell of a class, of a road user or of the whole picture, so that
    /// a frame without it was not looked at in vain: where nobody looked at this frame, and where it
    /// [rests on second looks](Self::rests_on_second_looks).
    pub fn waits_for_second_look(&self, class: ObjectClass, of: Option<&Observation>) -> bool {
        self.is_followed || self.rests_on_second_looks(class, of)
    }

    /// Whether second looks tell of a class: where nobody else gives it, or where a cascade
    /// that gives it looks at such road users, whatever the detector says that it knows.
    pub fn rests_on_second_looks(&self, class: ObjectClass, of: Option<&Observation>) -> bool {
        let is_looked_at = |user: &Observation| {
            let mut cascades = self.second.cascades.iter();
            cascades.any(|cascade| {
                // Who rides it is looked at as a person.
                let is_rider =
                    user.group == Group::TwoWheeler && cascade.on.contains(&ObjectClass::Person);
                cascade.gives.contains(&class) && (cascade.on.contains(&user.class) || is_rider)
            })
        };
        let is_of_the_picture = || {
            let mut cascades = self.second.cascades.iter();
            cascades.any(|cascade| cascade.on.is_empty() && cascade.gives.contains(&class))
        };
        self.second.only.contains(&class) || of.map_or_else(is_of_the_picture, is_looked_at)
    }

    /// How many persons this frame shows on a two-wheeler.
    pub fn riders_now(&self, user: &Observation) -> u8 {
        self.tracks[user.index].riders_now
    }

    /// The part of the recent looks at a two-wheeler that showed at least so
    /// many riders on it, 0 to 1.
    pub fn riders_share(&self, user: &Observation, at_least: u8) -> f64 {
        self.tracks[user.index].riders_share(at_least)
    }

    /// A road user as it is put on an event.
    pub fn actor(&self, user: &Observation) -> Actor {
        let edges: [f64; 4] = user.bounds.into();
        Actor {
            track: user.track,
            class: user.class,
            score: rounded(user.score, 3),
            bounds: edges.map(|edge| rounded(edge, 5)).into(),
            path: self.tracks[user.index].path_until(self.at.time).collect(),
            plate: None,
        }
    }

    /// A two-wheeler and who rides it, as they are put on an event.
    pub(crate) fn with_riders(&self, user: &Observation) -> Vec<Actor> {
        let riders = self.users.iter().filter(|u| u.mount == Some(user.track));
        std::iter::once(user)
            .chain(riders)
            .map(|one| self.actor(one))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::EventTime;
    use protocol::units::Seconds;

    fn spot(t: f64, x: f64) -> Spot {
        Spot {
            at: FrameTime {
                frame: 0,
                time: EventTime::EPOCH + Seconds(t),
            },
            foot: Point { x, y: 0.5 },
            iso: Vector::new(x, 0.5),
            ground: Some(Vector::new(100.0 * x, 0.0)),
            height: 0.1,
        }
    }

    #[test]
    fn motion_is_the_slope_of_the_last_second() {
        let trail: VecDeque<Spot> = [
            // Long ago it went the other way.
            spot(0.0, 0.9),
            spot(1.0, 0.2),
            spot(1.2, 0.22),
            spot(1.4, 0.24),
            spot(1.6, 0.26),
        ]
        .into();
        let motion = Motion::of(&trail, &spot(1.8, 0.28)).unwrap();
        assert!((motion.picture.x - 1.0).abs() < 1e-9);
        assert!((motion.ground_speed().unwrap().0 - 36.0).abs() < 1e-6);
    }

    #[test]
    fn motion_of_a_moment_is_unknown() {
        assert_eq!(Motion::of(&[spot(0.0, 0.1)].into(), &spot(0.2, 0.2)), None);
        assert_eq!(Motion::of(&VecDeque::new(), &spot(0.2, 0.2)), None);
    }
}
