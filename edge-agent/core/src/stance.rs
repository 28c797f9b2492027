//! Where a vehicle stands: the rectangle that it covers on the road, from its
//! box, its heading and the usual size of its class.
//!
//! The lower edge of a box says where the *nearest* corner of a vehicle is. Of
//! a car that is seen from behind that is its tail, four and a half metres
//! behind the front that crosses a stop line; of one that comes towards the
//! camera it is the front; of a bus seen at a slant the middle of the lower
//! edge is beside the bus, in the next lane. So the rectangle is laid on the
//! road where its picture has the same lower edge and the same middle between
//! left and right as the box. Two numbers give a place, whatever the slant.
//!
//! What is assumed: the heading is that of the motion, kept while the vehicle stands; the length is that of the class, by its share of
//! the votes. Half the error of the length goes into the centre and, seen from
//! behind, all of it into the front: some decimetres for cars, a metre or two
//! for buses and lorries. The box must show the whole vehicle: one that the
//! picture's edge cuts has no stance.

use std::collections::VecDeque;

use protocol::event::FrameTime;
use protocol::{ObjectClass, Point};

use crate::calibration::Ground;
use crate::geometry::Vector;
use crate::observation::{FrameView, Motion, Observation, Sight};
use crate::tracker::Spot;

/// Slower than this a direction of motion is mostly jitter, m/s.
const LEAST_SPEED: f64 = 1.4;
/// Something that passes before a vehicle moves its box over it by less than
/// this part of its length.
const WENT_LENGTHS: f64 = 0.35;
/// So many times as far as its spots stray from the straight way, a box does not wander.
const WENT_STRAYS: f64 = 4.0;
/// A heading is that of at most the last so many seconds …
const WENT_OVER_S: f64 = 3.0;
/// … and at least of so many.
const WENT_LEAST_S: f64 = 0.5;
/// Faster than this nobody drives in reverse, m/s: who is has turned about unseen,
/// or never faced as was thought.
const LEAST_SPEED_ABOUT: f64 = 2.5;
/// The rectangle is laid until it moves by less, m.
const SETTLED_M: f64 = 0.01;
/// It settles within this many steps, or the view is too steep to say.
const MOST_STEPS: usize = 8;

/// Which way is away from the camera is seen this part of a box above its lower edge.
const VIEW_STEP: f64 = 0.25;

/// Length and width of a vehicle, m.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    /// From front to back.
    pub length: f64,
    /// From side to side.
    pub width: f64,
}

impl Size {
    /// What is usual on the road; `None` for what is no vehicle.
    pub const fn usual(class: ObjectClass) -> Option<Self> {
        let (length, width) = match class {
            ObjectClass::Bicycle => (1.75, 0.6),
            ObjectClass::Motorcycle => (1.95, 0.75),
            ObjectClass::Car => (4.5, 1.8),
            ObjectClass::Truck => (8.0, 2.4),
            ObjectClass::Bus => (11.0, 2.5),
            _ => return None,
        };
        Some(Self { length, width })
    }

    /// The mean over classes by their share of the votes, so that a van that
    /// is now a car and now a lorry does not leap; `None` without a vehicle.
    pub(crate) fn voted(share: impl Fn(ObjectClass) -> f64) -> Option<Self> {
        let (mut weight, mut length, mut width) = (0.0, 0.0, 0.0);
        for class in VEHICLES {
            if let Some(size) = Self::usual(class) {
                let share = share(class);
                weight += share;
                length += share * size.length;
                width += share * size.width;
            }
        }
        (weight > 0.5).then(|| Self {
            length: length / weight,
            width: width / weight,
        })
    }
}

const VEHICLES: [ObjectClass; 5] = [
    ObjectClass::Bicycle,
    ObjectClass::Motorcycle,
    ObjectClass::Car,
    ObjectClass::Truck,
    ObjectClass::Bus,
];

/// The rectangle that a vehicle covers on the road, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stance {
    /// Its middle.
    pub centre: Vector,
    /// Unit vector towards its front.
    pub heading: Vector,
    /// Its sides.
    pub size: Size,
}

impl Stance {
    /// Lays a vehicle on the road below a box whose lower edge has its middle at `foot`.
    pub fn fit(ground: &Ground, foot: Point, heading: Vector, size: Size) -> Option<Self> {
        let heading = heading.unit()?;
        let wanted = ground.to_ground(foot)?;
        let mut stance = Self {
            centre: wanted,
            heading,
            size,
        };
        for _ in 0..MOST_STEPS {
            let step = wanted - ground.to_ground(stance.foot(ground)?)?;
            stance.centre = stance.centre + step;
            if step.length() < SETTLED_M {
                return Some(stance);
            }
        }
        None
    }

    /// The middle of the lower edge of its picture.
    fn foot(&self, ground: &Ground) -> Option<Point> {
        let (mut left, mut right, mut lowest) =
            (f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
        for corner in self.corners() {
            let corner = ground.to_image(corner)?;
            left = left.min(corner.x);
            right = right.max(corner.x);
            lowest = lowest.max(corner.y);
        }
        Some(Point {
            x: f64::midpoint(left, right),
            y: lowest,
        })
    }

    /// The middle of its front, which is what crosses a line.
    pub fn front(&self) -> Vector {
        self.centre + self.heading * (self.size.length / 2.0)
    }

    /// Three places across its middle: it, and both ends of this part of its width.
    pub fn across(&self, part: f64) -> [Vector; 3] {
        let side = Vector::new(-self.heading.y, self.heading.x);
        let half = side * (part * self.size.width / 2.0);
        [self.centre, self.centre + half, self.centre - half]
    }

    /// Its four corners.
    pub fn corners(&self) -> [Vector; 4] {
        let along = self.heading * (self.size.length / 2.0);
        let across = Vector::new(-self.heading.y, self.heading.x) * (self.size.width / 2.0);
        [
            self.centre + along + across,
            self.centre + along - across,
            self.centre - along - across,
            self.centre - along + across,
        ]
    }
}

/// Which way a vehicle of this length heads that headed as `before`: the way
/// it went lately, over as short a time as it took to go a way that its box
/// does not jitter. `None` of one that has only stood.
///
/// Who turns goes through what is between: what moves backwards all at once is
/// in reverse and still faces as it did.
pub(crate) fn heading(
    trail: &VecDeque<Spot>,
    now: &Spot,
    length: f64,
    before: Option<Vector>,
) -> Option<Vector> {
    let Some(velocity) = went(trail, now, length) else {
        return before;
    };
    match before {
        Some(before) if before.dot(velocity) < 0.0 && velocity.length() < LEAST_SPEED_ABOUT => {
            Some(before)
        }
        _ => velocity.unit().or(before),
    }
}

/// The velocity over the shortest of the last moments in which a vehicle
/// surely went somewhere, m/s: a straight line through its spots is longer than
/// a part of its length, and than they stray from it.
fn went(trail: &VecDeque<Spot>, now: &Spot, length: f64) -> Option<Vector> {
    let origin = now.ground?;
    let (mut n, mut sum_t, mut sum_tt) = (1.0, 0.0, 0.0);
    let (mut sum, mut sum_along_t, mut squares) = (Vector::default(), Vector::default(), 0.0);
    for spot in trail.iter().rev().filter(|spot| spot.at.time < now.at.time) {
        let t = spot.at.time.since(now.at.time).0;
        if -t > WENT_OVER_S {
            break;
        }
        let place = spot.ground? - origin;
        n += 1.0;
        sum_t += t;
        sum_tt += t * t;
        sum = sum + place;
        sum_along_t = sum_along_t + place * t;
        squares += place.dot(place);
        if n < 3.0 || -t < WENT_LEAST_S {
            continue;
        }
        let spread = sum_tt - sum_t * sum_t / n;
        let slope = (sum_along_t - sum * (sum_t / n)) * (1.0 / spread);
        let explained = slope.dot(slope) * spread;
        let rest = (squares - sum.dot(sum) / n - explained).max(0.0);
        let stray = (rest / (n - 2.0)).sqrt();
        let way = slope.length() * -t;
        if way >= WENT_LENGTHS * length && way >= WENT_STRAYS * stray {
            return Some(slope);
        }
    }
    None
}

/// Which way a road user of this motion goes that went as `before`; `None` of
/// one that has only stood or crept. Who turns about on the spot goes through
/// every course between, however little way there is to see how it faces.
pub(crate) fn course(motion: Option<&Motion>, before: Option<Vector>) -> Option<Vector> {
    let velocity = motion.and_then(|motion| motion.ground);
    velocity
        .filter(|velocity| velocity.length() >= LEAST_SPEED)
        .and_then(Vector::unit)
        .or(before)
}

impl Sight<'_> {
    /// A place on the ground as a spot; `None` behind the camera and without calibration.
    pub fn spot_on_ground(&self, place: Vector, height: f64, at: FrameTime) -> Option<Spot> {
        let foot = self.ground?.to_image(place)?;
        Some(Spot {
            at,
            foot,
            iso: Vector::isotropic(foot, self.aspect),
            ground: Some(place),
            height,
        })
    }

    /// About where the middle of a vehicle is whose stance is not known, because
    /// it was never seen to move or the picture's edge cuts its box: as far
    /// behind its contact point, seen from the camera, as its body reaches.
    pub(crate) fn behind(
        &self,
        spot: &Spot,
        heading: Option<Vector>,
        size: Size,
    ) -> Option<Vector> {
        let (ground, near) = (self.ground?, spot.ground?);
        let above = Point {
            x: spot.foot.x,
            y: spot.foot.y - VIEW_STEP * spot.height.clamp(0.004, 0.2),
        };
        let away = (ground.to_ground(above)? - near).unit()?;
        let (along, across) = heading.map_or((0.5, 0.5), |heading| {
            (heading.dot(away).abs(), heading.cross(away).abs())
        });
        Some(near + away * f64::midpoint(size.length * along, size.width * across))
    }

    /// Where the front of a vehicle was when its contact point was at `spot`.
    pub fn front(&self, spot: &Spot, heading: Vector, size: Size) -> Option<Spot> {
        let stance = Stance::fit(self.ground?, spot.foot, heading, size)?;
        self.spot_on_ground(stance.front(), spot.height, spot.at)
    }
}

impl FrameView<'_> {
    /// Where a road user's front is: what crosses a line first. Its contact
    /// point where there are no metres, or of what is no vehicle. `facing` is
    /// where one that was never seen to move is taken to face. `None`: that
    /// cannot be said now, because the picture's edge cuts its box, or because
    /// another road user covers where it touches the ground.
    pub fn front(&self, user: &Observation, facing: Option<Vector>) -> Option<Spot> {
        self.front_of_length(user, facing, f64::INFINITY)
    }

    /// The same of one that is no longer than `longest`, m, whatever it is called
    /// now: who is taken for a lorry while it waits has not moved its front.
    pub(crate) fn front_of_length(
        &self,
        user: &Observation,
        facing: Option<Vector>,
        longest: f64,
    ) -> Option<Spot> {
        if self.has_hidden_foot(user) {
            return None;
        }
        if let Some(stance) = user.stance.filter(|it| it.size.length <= longest) {
            return self
                .sight
                .spot_on_ground(stance.front(), user.spot.height, user.spot.at);
        }
        if self.is_placeless(user) {
            return None;
        }
        self.front_at(&user.spot, user, facing, longest)
    }

    /// The same for an earlier sighting, as it heads now.
    pub(crate) fn front_at(
        &self,
        spot: &Spot,
        user: &Observation,
        facing: Option<Vector>,
        longest: f64,
    ) -> Option<Spot> {
        match (
            self.sight.ground,
            self.heading(user).or(facing),
            self.size(user),
        ) {
            (Some(_), Some(heading), Some(size)) => {
                let length = size.length.min(longest);
                self.sight.front(spot, heading, Size { length, ..size })
            }
            _ => Some(*spot),
        }
    }

    /// Where in the picture a road user stands: the middle of what it covers of
    /// the road. Its contact point where there are no metres, or of what is no
    /// vehicle.
    ///
    /// The lower edge of a box is the *nearest* corner of a vehicle, which for
    /// one that is seen obliquely is half a lane beside it and in another zone.
    pub fn stand(&self, user: &Observation) -> Point {
        let ground = self.sight.ground.zip(user.footprint);
        ground
            .and_then(|(ground, middle)| ground.to_image(middle))
            .unwrap_or(user.spot.foot)
    }

    /// The same where it is known to less than a lane: `None` as for
    /// [`FrameView::front`].
    pub fn middle(&self, user: &Observation) -> Option<Point> {
        (!self.is_placeless(user)).then(|| self.stand(user))
    }

    /// Whether a vehicle of known heading has no place now: its box is cut by
    /// the picture's edge, or lies where metres end.
    fn is_placeless(&self, user: &Observation) -> bool {
        self.sight.ground.is_some()
            && user.stance.is_none()
            && self.heading(user).is_some()
            && self.size(user).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::tests::plane::pole_camera;
    use crate::speed::simulation::Dice;
    use proptest::prelude::*;
    use protocol::EventTime;
    use protocol::units::Seconds;

    fn ground() -> Ground {
        Ground::new(&pole_camera()).unwrap()
    }

    #[test]
    fn seen_from_behind_the_front_is_a_length_ahead_of_the_lower_edge() {
        let ground = ground();
        let tail = ground.to_image(Vector::new(0.0, 20.0)).unwrap();
        let size = Size::usual(ObjectClass::Car).unwrap();
        let stance = Stance::fit(&ground, tail, Vector::new(0.0, 1.0), size).unwrap();
        assert!(
            (stance.front() - Vector::new(0.0, 24.5)).length() < 0.05,
            "{stance:?}"
        );
        // And one that comes towards the camera shows its front there.
        let stance = Stance::fit(&ground, tail, Vector::new(0.0, -1.0), size).unwrap();
        assert!(
            (stance.front() - Vector::new(0.0, 20.0)).length() < 0.05,
            "{stance:?}"
        );
    }

    /// Spots a fifth of a second apart.
    fn spots(places: impl IntoIterator<Item = Vector>) -> VecDeque<Spot> {
        places
            .into_iter()
            .enumerate()
            .map(|(look, place)| Spot {
                at: FrameTime {
                    frame: 0,
                    time: EventTime::EPOCH + Seconds(0.2 * look as f64),
                },
                foot: Point { x: 0.5, y: 0.5 },
                iso: Vector::new(0.5, 0.5),
                ground: Some(place),
                height: 0.1,
            })
            .collect()
    }

    /// How a car heads at the end of these places, and how it changed on the way.
    fn headings(
        places: impl IntoIterator<Item = Vector>,
        mut before: Option<Vector>,
    ) -> Vec<Option<Vector>> {
        let mut trail = VecDeque::new();
        let mut all = Vec::new();
        for spot in spots(places) {
            before = heading(&trail, &spot, 4.5, before);
            trail.push_back(spot);
            all.push(before);
        }
        all
    }

    const AHEAD: Vector = Vector { x: 1.0, y: 0.0 };

    #[test]
    fn who_creeps_heads_somewhere_when_it_has_gone_a_good_part_of_its_length() {
        let at =
            |speed: f64| (0..16).map(move |look| Vector::new(0.2 * speed * f64::from(look), 0.0));
        assert_eq!(headings(at(0.3), None).last(), Some(&None));
        assert_eq!(headings(at(0.8), None).last(), Some(&Some(AHEAD)));
        assert_eq!(headings(at(9.0), None)[3], Some(AHEAD));
        // It still heads as it did.
        assert_eq!(headings(at(-0.3), Some(AHEAD)).last(), Some(&Some(AHEAD)));
    }

    /// A bus that waits far away: what drives past it moved its box by metres,
    /// this way and that, at speeds of somebody who drives; and a rule that
    /// counts turns of the heading saw a bus turn back that drove straight on.
    #[test]
    fn who_stands_while_others_drive_past_it_seldom_seems_to_turn() {
        let mut dice = Dice(3);
        let mut place = 0.0;
        let jitter: Vec<Vector> = (0..3000)
            .map(|_| {
                place = 0.7 * place + 0.7 * dice.normal();
                Vector::new(place, 0.3 * dice.normal())
            })
            .collect();
        let mut trail = VecDeque::new();
        let across = Some(Vector::new(0.0, 1.0));
        let (mut heads, mut goes) = (across, across);
        let (mut turned, mut went) = (0, 0);
        for spot in spots(jitter) {
            let now = heading(&trail, &spot, 11.0, heads);
            turned += usize::from(now != heads);
            heads = now;
            let now = course(Motion::of(&trail, &spot).as_ref(), goes);
            went += usize::from(now != goes);
            goes = now;
            trail.push_back(spot);
            if trail.len() > 64 {
                trail.pop_front();
            }
        }
        // In ten minutes of jitter by a tenth of its length.
        assert!(went > 500 && turned <= 50, "{went} {turned}");
    }

    #[test]
    fn who_backs_up_still_faces_as_before() {
        let back =
            |speed: f64| (0..16).map(move |look| Vector::new(-0.2 * speed * f64::from(look), 0.0));
        assert_eq!(headings(back(2.0), Some(AHEAD)).last(), Some(&Some(AHEAD)));
        // Nobody is so fast in reverse.
        assert_eq!(
            headings(back(6.0), Some(AHEAD)).last(),
            Some(&Some(AHEAD * -1.0))
        );
    }

    #[test]
    fn who_turns_about_at_a_walk_goes_through_every_heading_between() {
        // Half a circle of four metres across, and straight back.
        let places = (0..40).map(|look| {
            let way = 2.0 * 0.2 * f64::from(look) - 4.0;
            let angle = (way / 2.0).clamp(0.0, core::f64::consts::PI);
            let (sin, cos) = libm::sincos(angle);
            let rest = way - angle * 2.0;
            if rest < 0.0 {
                Vector::new(rest, 0.0)
            } else {
                Vector::new(
                    2.0 * sin - rest * f64::from(u8::from(angle > 3.0)),
                    2.0 - 2.0 * cos,
                )
            }
        });
        let all: Vec<Vector> = headings(places, Some(AHEAD))
            .into_iter()
            .flatten()
            .collect();
        assert!(all.last().unwrap().x < -0.99, "{all:?}");
        let most = all.windows(2).map(|pair| pair[0].angle_degrees(pair[1]));
        assert!(most.fold(0.0, f64::max) < 60.0, "{all:?}");
    }

    #[test]
    fn a_van_is_as_long_as_its_votes() {
        let half = Size::voted(|class| match class {
            ObjectClass::Car | ObjectClass::Truck => 0.5,
            _ => 0.0,
        });
        assert!((half.unwrap().length - 6.25).abs() < 1e-9);
        let person = |class| f64::from(u8::from(class == ObjectClass::Person));
        assert_eq!(Size::voted(person), None);
    }

    proptest! {
        /// Whatever stands anywhere at any slant is found where it stands.
        #[test]
        fn a_vehicle_is_found_below_its_own_box(
            x in -12.0..12.0_f64, y in 18.0..70.0_f64,
            hx in -1.0..1.0_f64, hy in -1.0..1.0_f64,
            class in prop::sample::select(VEHICLES.to_vec()),
        ) {
            prop_assume!(hx.abs() + hy.abs() > 0.1);
            let ground = ground();
            let truth = Stance {
                centre: Vector::new(x, y),
                heading: Vector::new(hx, hy).unit().unwrap(),
                size: Size::usual(class).unwrap(),
            };
            let foot = truth.foot(&ground).unwrap();
            let found = Stance::fit(&ground, foot, truth.heading, truth.size).unwrap();
            prop_assert!((found.centre - truth.centre).length() < 0.05, "{found:?}");
        }
    }
}
