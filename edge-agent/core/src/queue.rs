//! Who stands in a queue, and who waits before a red light.
//!
//! A vehicle that stands behind a standing one, or before a stop line whose
//! signal is not green, has not stopped: it waits. Rules about standing ask
//! here before they accuse. The head of a queue that no red light holds is
//! *not* excused: it is why the others stand.
//!
//! What is known: the course that a vehicle had when it last moved, and where
//! the others stand. A vehicle that is hidden keeps its place here as long as
//! the tracker believes in it. States change with hysteresis: standing below
//! one speed and moving above another, and an excuse outlasts its reason for
//! as long as drivers take to set off.

use protocol::{ObjectClass, Point, SignalState, TrackId};

use crate::config::StopLine;
use crate::geometry::{Vector, polygon_contains};
use crate::observation::{Basis, Length, Motion, Observation, Sight, Way};
use crate::signals::SignalBoard;
use crate::stance::Size;
use crate::tracker::{Group, Moment, Spot, Track};

/// A vehicle slower than this stands: km/h, and box heights per second.
const STANDS: Length = Length {
    metres: 3.0,
    heights: 0.2,
};
/// A vehicle faster than this moves: km/h, and box heights per second.
const MOVES: Length = Length {
    metres: 7.0,
    heights: 0.6,
};
/// Contact points of two cars in a queue are at most this far apart along
/// their course: a car's length and a generous gap.
const CAR_REACH: Length = Length {
    metres: 10.0,
    heights: 3.0,
};
/// What a bus or lorry is longer.
const LONGER: Length = Length {
    metres: 8.0,
    heights: 2.0,
};
/// One is in another's path when their widths meet, with this much to spare.
const TO_SPARE_M: f64 = 0.3;
/// The same in the picture, for any two.
const IN_PATH_HEIGHTS: f64 = 0.8;
/// Courses that differ by more are of different streams, degrees.
const SAME_COURSE_DEG: f64 = 60.0;
/// The first of those who wait stands this close to its stop line.
const BEFORE_LINE: Length = Length {
    metres: 15.0,
    heights: 6.0,
};
/// So much of a stop line's length beside it still belongs to its lanes.
const BESIDE: f64 = 0.15;
/// After the one ahead has set off, or the light has changed, a driver takes up to this long, s.
const SETS_OFF_S: f64 = 4.0;
/// Queues are looked at this often, s.
const EVERY_S: f64 = 0.2;

/// Why a vehicle stands without having stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excuse {
    /// Behind whom; `None` for the first before a red light.
    pub behind: Option<TrackId>,
    /// For how many watched seconds it has had an excuse.
    pub for_s: f64,
}

/// A vehicle that was seen to stand.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'q> {
    /// Who.
    pub track: TrackId,
    /// Where it was last seen.
    pub spot: &'q Spot,
    /// Whether another one stands behind or before it, or it waits at red.
    pub is_queued: bool,
}

#[derive(Clone, Debug)]
struct Known {
    track: TrackId,
    class: ObjectClass,
    spot: Spot,
    /// The middle of its footprint, where calibrated.
    middle: Option<Vector>,
    /// Unit vectors of its motion when it last moved.
    course: Option<Motion>,
    stands: bool,
    excused_since: Option<f64>,
    reason_at: f64,
    behind: Option<TrackId>,
    leads: bool,
}

impl Known {
    /// From middle to middle where calibrated, else between contact points.
    fn way_to(&self, other: &Self) -> Way {
        match (self.middle, other.middle) {
            (Some(from), Some(to)) => Way {
                basis: Basis::Ground,
                vector: to - from,
            },
            _ => self.spot.way_to(&other.spot),
        }
    }

    /// How far beside its course another one still is in its path.
    fn width_shared_with(&self, other: &Self) -> Length {
        let half_width = |class| Size::usual(class).map_or(0.9, |size| size.width / 2.0);
        Length {
            metres: half_width(self.class) + half_width(other.class) + TO_SPARE_M,
            heights: IN_PATH_HEIGHTS,
        }
    }
}

/// Two that stand closer are one body under two names: this part of half their lengths.
const ONE_BODY: f64 = 0.6;

impl Known {
    /// How far ahead another one must be to be another body: a tracker keeps
    /// the old name of a standing vehicle for a while.
    fn length_shared_with(&self, other: &Self) -> Length {
        let half_length = |class| Size::usual(class).map_or(1.0, |size| size.length / 2.0);
        Length {
            metres: ONE_BODY * (half_length(self.class) + half_length(other.class)),
            heights: 0.3,
        }
    }
}

/// The queues of a scene.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    lines: Vec<StopLine>,
    /// Vehicles, in order of track.
    known: Vec<Known>,
    watched: f64,
    looked: Option<f64>,
}

impl Queues {
    /// With nobody in sight.
    pub fn new(lines: Vec<StopLine>) -> Self {
        Self {
            lines,
            ..Self::default()
        }
    }

    /// Why a vehicle stands, if something explains it.
    pub fn excuse(&self, track: TrackId) -> Option<Excuse> {
        let known = &self.known[self.find(track).ok()?];
        let since = known.excused_since?;
        Some(Excuse {
            behind: known.behind,
            for_s: (self.watched - since).max(0.0),
        })
    }

    /// Whether a vehicle stands, by its speed with hysteresis.
    pub fn stands(&self, track: TrackId) -> bool {
        self.find(track).is_ok_and(|index| self.known[index].stands)
    }

    /// The course that a vehicle had when it last moved: unit vectors.
    pub fn course(&self, track: TrackId) -> Option<Motion> {
        self.known[self.find(track).ok()?].course
    }

    /// Who stands in a zone.
    pub fn standing_in<'q>(&'q self, zone: &'q [Point]) -> impl Iterator<Item = Standing<'q>> {
        self.known
            .iter()
            .filter(|known| known.stands && polygon_contains(zone, known.spot.foot))
            .map(|known| Standing {
                track: known.track,
                spot: &known.spot,
                is_queued: known.leads || known.excused_since.is_some(),
            })
    }

    /// How many vehicles are known, for the test that this stays bounded.
    pub fn remembered(&self) -> usize {
        self.known.len()
    }

    /// Forgets everybody: the clock was set back.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
        self.looked = None;
    }

    /// When queues were last looked at, watched time; for a cut of the recording.
    pub(crate) fn looked(&self) -> Option<f64> {
        self.looked
    }

    /// Goes on looking as others did.
    pub(crate) fn go_on(&mut self, looked: Option<f64>) {
        self.looked = looked;
    }

    fn find(&self, track: TrackId) -> Result<usize, usize> {
        self.known.binary_search_by(|known| known.track.cmp(&track))
    }

    /// Takes what a frame shows.
    pub(crate) fn update(
        &mut self,
        moment: &Moment,
        (users, tracks): (&[Observation], &[Track]),
        signals: &SignalBoard,
        sight: &Sight<'_>,
    ) {
        self.watched = moment.watched;
        let alive = |track: TrackId| tracks.binary_search_by(|t| t.id.cmp(&track)).ok();
        self.known.retain(|known| alive(known.track).is_some());
        for user in users {
            if !matches!(user.group, Group::TwoWheeler | Group::FourWheeler) {
                continue;
            }
            let is_still = alive(user.track).is_some_and(|index| tracks[index].is_stationary());
            self.see(user, is_still);
        }
        let is_due = self
            .looked
            .is_none_or(|looked| !(0.0..EVERY_S - 1e-6).contains(&(self.watched - looked)));
        if is_due {
            self.looked = Some(self.watched);
            self.line_up(moment, signals, sight);
        }
    }

    fn see(&mut self, user: &Observation, is_still: bool) {
        let index = match self.find(user.track) {
            Ok(index) => index,
            Err(index) => {
                let known = Known {
                    track: user.track,
                    class: user.class,
                    spot: user.spot,
                    middle: None,
                    course: None,
                    stands: false,
                    excused_since: None,
                    reason_at: self.watched,
                    behind: None,
                    leads: false,
                };
                self.known.insert(index, known);
                index
            }
        };
        let known = &mut self.known[index];
        known.class = user.class;
        known.spot = user.spot;
        known.middle = user.footprint;
        let Some(motion) = user.motion else {
            return;
        };
        let (basis, speed) = match motion.ground_speed() {
            Some(speed) => (Basis::Ground, speed.0),
            None => (Basis::Picture, motion.picture.length()),
        };
        if is_still || speed < STANDS.of(basis) {
            known.stands = true;
        } else if speed > MOVES.of(basis) {
            known.stands = false;
            known.course = Some(Motion {
                ground: motion.ground.and_then(Vector::unit),
                picture: motion.picture.unit().unwrap_or_default(),
            });
        }
    }

    /// Finds for everybody who stands why it does.
    fn line_up(&mut self, moment: &Moment, signals: &SignalBoard, sight: &Sight<'_>) {
        for known in &mut self.known {
            known.leads = false;
        }
        for index in 0..self.known.len() {
            let known = &self.known[index];
            if !known.stands {
                let known = &mut self.known[index];
                known.excused_since = None;
                known.behind = None;
                continue;
            }
            let leader = self.leader_of(index);
            let waits = leader.is_none()
                && self
                    .lines
                    .iter()
                    .any(|line| line.holds(&self.known[index].spot, moment, signals, sight));
            if let Some(leader) = leader {
                self.known[leader].leads = true;
            }
            let behind = leader.map(|leader| self.known[leader].track);
            let watched = self.watched;
            let known = &mut self.known[index];
            // A frozen picture's time was taken back.
            known.reason_at = known.reason_at.min(watched);
            known.excused_since = known.excused_since.map(|since| since.min(watched));
            if leader.is_some() || waits {
                known.behind = behind;
                known.reason_at = watched;
                known.excused_since.get_or_insert(watched);
            } else if watched - known.reason_at > SETS_OFF_S {
                known.excused_since = None;
                known.behind = None;
            }
        }
    }

    /// Who stands next ahead of one that stands, in its lane and of its stream.
    fn leader_of(&self, index: usize) -> Option<usize> {
        let own = &self.known[index];
        let course = own.course.or_else(|| self.course_around(index))?;
        let mut nearest: Option<(f64, usize)> = None;
        for (other_index, other) in self.known.iter().enumerate() {
            if other_index == index || !other.stands {
                continue;
            }
            let way = own.way_to(other);
            let ahead = match way.basis {
                Basis::Ground => course.ground,
                Basis::Picture => Some(course.picture),
            };
            let Some(ahead) = ahead else {
                continue;
            };
            let along = way.vector.dot(ahead);
            let across = way.vector.cross(ahead).abs();
            let is_long = |class| matches!(class, ObjectClass::Bus | ObjectClass::Truck);
            let longer = if is_long(own.class) || is_long(other.class) {
                LONGER.of(way.basis)
            } else {
                0.0
            };
            let in_reach = along > own.length_shared_with(other).of(way.basis)
                && along <= CAR_REACH.of(way.basis) + longer;
            let in_lane = across <= own.width_shared_with(other).of(way.basis);
            let same_stream = other.course.is_none_or(|theirs| {
                theirs.picture.angle_degrees(course.picture) <= SAME_COURSE_DEG
            });
            if in_reach && in_lane && same_stream && nearest.is_none_or(|(least, _)| along < least)
            {
                nearest = Some((along, other_index));
            }
        }
        nearest.map(|(_, index)| index)
    }

    /// The course of the nearest standing neighbour, for one that was never seen to move.
    fn course_around(&self, index: usize) -> Option<Motion> {
        let own = &self.known[index];
        let mut nearest: Option<(f64, Motion)> = None;
        for other in self.known.iter().filter(|other| other.stands) {
            let Some(course) = other.course else {
                continue;
            };
            let way = own.spot.way_to(&other.spot);
            let distance = way.vector.length();
            let in_reach = other.track != own.track && distance <= CAR_REACH.of(way.basis);
            if in_reach && nearest.is_none_or(|(least, _)| distance < least) {
                nearest = Some((distance, course));
            }
        }
        nearest.map(|(_, course)| course)
    }
}

impl StopLine {
    /// Whether one that stands here may be the first who waits for its signal.
    fn holds(
        &self,
        spot: &Spot,
        moment: &Moment,
        signals: &SignalBoard,
        sight: &Sight<'_>,
    ) -> bool {
        // Where nobody knows what the signal shows, it may be red.
        let shown = signals.at(&self.signal, moment.at.time).state;
        if matches!(
            shown,
            SignalState::Green | SignalState::FlashingAmber | SignalState::Dark
        ) {
            return false;
        }
        let (a, b) = (self.line.from, self.line.to);
        let Some((ahead, along)) = self.ahead_of(spot, sight) else {
            return false;
        };
        let is_before = ahead >= 0.0;
        // Who stands beside the lanes of this line waits for nothing there.
        if !(-BESIDE..=1.0 + BESIDE).contains(&along) {
            return false;
        }
        let (basis, distance) = sight.distance_to(&[a, b], spot);
        // The first often stops with the front wheels over the line.
        let over = Length {
            metres: 3.0,
            heights: 1.0,
        };
        distance <= if is_before { BEFORE_LINE } else { over }.of(basis)
    }

    /// Where the way ahead, in the direction of the line's `towards`, meets the
    /// line: how far ahead (negative: behind), and which part along the line.
    fn ahead_of(&self, spot: &Spot, sight: &Sight<'_>) -> Option<(f64, f64)> {
        let place = |p: Point| sight.spot(p, spot.height, spot.at);
        let (a, b) = (place(self.line.from), place(self.line.to));
        let towards = place(self.line.towards);
        let from_a = |p: &Spot| a.way_to(p);
        let (to_b, to_towards, to_spot) = (from_a(&b), from_a(&towards), from_a(spot));
        if to_b.basis != to_towards.basis || to_b.basis != to_spot.basis {
            return None;
        }
        let line = to_b.vector;
        // Square to the line on the ground; in the picture as drawn.
        let ahead = match to_b.basis {
            Basis::Ground => {
                let square = Vector::new(-line.y, line.x);
                let forwards = square.dot(to_towards.vector);
                square * if forwards < 0.0 { -1.0 } else { 1.0 }
            }
            Basis::Picture => to_towards.vector - line * 0.5,
        };
        let across = ahead.cross(line);
        if across.abs() < 1e-12 {
            return None;
        }
        // spot + s·ahead = a + t·line
        let s = -to_spot.vector.cross(line) / across;
        let t = to_spot.vector.cross(ahead) / line.cross(ahead);
        Some((s, t))
    }
}
