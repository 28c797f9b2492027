//! Where a road user touches the ground while another one contests the lower
//! edge of its box.
//!
//! Where two boxes overlap, a detector draws the lower edge of the farther one
//! towards the nearer one, or ends it where that begins. Some pixels are a
//! metre at sixty: a car that stands beyond a stop line seems to stand before
//! it. The upper edge is in sight all the while, and how high the road user is
//! is known from before. So a contested lower edge is put between where the box
//! and where upper edge and height have it, by what each is good for: of the
//! box that is the less, the more of the edge is covered.
//!
//! Of a box around a cuboid the lower edge is its nearest corner on the road,
//! and the upper edge hangs above its farthest one, a length (or a width) behind.
//! From the horizon down, the upper edge is always the same part of the way to
//! that farthest corner: all but the road user's height over the camera's. That
//! part is what is learnt, and nothing else of the camera need be known than
//! the map to the ground. It is given up when the box changes its width as
//! nobody does who does not turn.

use protocol::event::FrameTime;
use protocol::{NormBox, Point, TrackId};

use super::Track;
use crate::calibration::Ground;
use crate::geometry::Vector;
use crate::stance::Size;

/// Its height, learnt while nobody contested it, and where its lower edge is taken to be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Footing {
    learnt: Option<Learnt>,
    /// While it is contested, in picture heights.
    bottom: Option<f64>,
    covered: f64,
}

#[derive(Clone, Copy, Debug)]
struct Learnt {
    /// The part of the way from the horizon to the farthest corner at which the upper edge is.
    top: f64,
    /// Width of the box, as a part of the way from the horizon to its lower edge.
    width: f64,
    looks: u32,
}

/// How a road user lies on the road as seen from the camera.
#[derive(Clone, Copy, Debug)]
struct Lie<'a> {
    ground: &'a Ground,
    /// In the picture, at the middle of the box.
    horizon: f64,
    heading: Option<Vector>,
    size: Size,
}

impl Lie<'_> {
    /// From its nearest corner to its farthest one, for a contact point there, m.
    fn depth(&self, foot: Point, place: Vector) -> Option<Vector> {
        let above = Point {
            y: foot.y - VIEW_STEP * (foot.y - self.horizon),
            ..foot
        };
        let away = (self.ground.to_ground(above)? - place).unit()?;
        let (along, across) = self.heading.map_or((0.5, 0.5), |heading| {
            (heading.dot(away).abs(), heading.cross(away).abs())
        });
        Some(away * (self.size.length * along + self.size.width * across))
    }

    /// Where in the picture its farthest corner is.
    fn farthest(&self, foot: Point) -> Option<f64> {
        let place = self.ground.to_ground(foot)?;
        let far = place + self.depth(foot, place)?;
        Some(self.ground.to_image(far)?.y)
    }

    /// And its nearest one, when the farthest is there.
    fn nearest(&self, far: Point) -> Option<f64> {
        let place = self.ground.to_ground(far)?;
        let near = place - self.depth(far, place)?;
        Some(self.ground.to_image(near)?.y)
    }
}

/// Which way is away from the camera is seen this part of the way up to the horizon.
const VIEW_STEP: f64 = 0.05;
/// A nearer box reaches farther down than by this part of the height.
const NEARER: f64 = 0.03;
/// Of whose lower edge no more than this part is covered, the whole is seen.
const WHOLE: f64 = 0.05;
/// A lower edge of which this part is covered ends where that ends which covers it.
const HIDDEN: f64 = 0.5;
/// By this part of the height a detector puts a lower edge wrong that is wholly
/// covered; of one that is partly covered, by as much less.
pub(crate) const PULL: f64 = 0.12;
/// The edge by upper edge and height is good for this part of the height: the
/// vehicle is longer or shorter than is usual, and its heading a little off.
const BY_HEIGHT: f64 = 0.05;
/// After so many looks a height is known.
const KNOWN_LOOKS: u32 = 5;
/// At most so many looks count, so that it follows what a detector takes for the whole.
const MOST_LOOKS: u32 = 25;
/// A box that is wider or narrower by this factor has turned, or is half hidden.
const TURNED: f64 = 1.3;
/// A lower edge that would be off by more than this part of the height: the height is another's.
const MOST_OFF: f64 = 0.3;
/// A box that comes this close to the picture's edge may go on beyond it.
const AT_EDGE: f64 = 0.003;

impl Footing {
    /// Where the lower edge is taken to be, if not where the box has it.
    pub(super) fn bottom(&self) -> Option<f64> {
        self.bottom
    }

    /// Which part of the lower edge another road user covers, 0 to 1.
    pub(super) fn covered(&self) -> f64 {
        self.covered
    }

    /// Whether nobody can say where it touches the ground: most of its lower edge
    /// is covered, and its height does not tell where that edge is.
    pub(super) fn is_hidden(&self) -> bool {
        self.bottom.is_none() && self.covered >= HIDDEN
    }

    /// Takes the filtered box of a look, of whose lower edge such a part is covered.
    fn see(&mut self, bounds: &NormBox, lie: &Lie<'_>, covered: f64, is_whole: bool) {
        self.bottom = None;
        self.covered = covered;
        if covered > 0.0 {
            let doubt = (PULL * covered) * (PULL * covered);
            let share = doubt / (doubt + BY_HEIGHT * BY_HEIGHT);
            let seen = bounds.bottom();
            self.bottom = self
                .expected(bounds, lie)
                .map(|expected| seen + share * (expected - seen));
        }
        if covered <= WHOLE && is_whole {
            self.learn(bounds, lie);
        }
    }

    fn learn(&mut self, bounds: &NormBox, lie: &Lie<'_>) {
        let Some(far) = lie.farthest(bounds.foot()) else {
            return;
        };
        let (way, way_far) = (bounds.bottom() - lie.horizon, far - lie.horizon);
        if way <= 0.0 || way_far <= 0.0 {
            return;
        }
        let (top, width) = ((bounds.y - lie.horizon) / way_far, bounds.width / way);
        let known = self.learnt.get_or_insert(Learnt {
            top,
            width,
            looks: 0,
        });
        known.looks = (known.looks + 1).min(MOST_LOOKS);
        let share = 1.0 / f64::from(known.looks);
        known.top += share * (top - known.top);
        known.width += share * (width - known.width);
    }

    fn expected(&mut self, bounds: &NormBox, lie: &Lie<'_>) -> Option<f64> {
        let known = self.learnt.filter(|known| known.looks >= KNOWN_LOOKS)?;
        let width = bounds.width / (bounds.bottom() - lie.horizon);
        if !(1.0 / TURNED..=TURNED).contains(&(width / known.width)) {
            self.learnt = None;
            return None;
        }
        // As high as the camera or higher: the upper edge says nothing.
        if known.top < LEAST_TOP {
            return None;
        }
        let far = Point {
            x: bounds.centre().x,
            y: lie.horizon + (bounds.y - lie.horizon) / known.top,
        };
        let bottom = lie.nearest(far)?;
        let off = (bottom - bounds.bottom()).abs();
        (off <= MOST_OFF * bounds.height).then_some(bottom)
    }
}

/// Of who is nearly as high as the camera the upper edge is at the horizon, whatever its distance.
const LEAST_TOP: f64 = 0.3;

/// A box in the picture, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct InSight {
    id: TrackId,
    mount: Option<TrackId>,
    bounds: NormBox,
}

impl InSight {
    /// Of which part of the other's lower edge this one is in the way; nobody is in
    /// the way of the two-wheeler that it rides, nor of its own rider.
    fn covers(&self, other: &Self) -> f64 {
        let is_together =
            self.id == other.id || self.mount == Some(other.id) || other.mount == Some(self.id);
        if is_together {
            0.0
        } else {
            covers(&self.bounds, &other.bounds)
        }
    }
}

/// Finds for everybody who was seen now where its lower edge is. `in_sight` is
/// room to work in: who is held against whom is kept apart from all that a track
/// knows.
pub(super) fn settle(
    tracks: &mut [Track],
    at: FrameTime,
    ground: Option<&Ground>,
    in_sight: &mut Vec<InSight>,
) {
    let Some(ground) = ground else {
        return;
    };
    let seen = |track: &&Track| track.seen == at;
    in_sight.clear();
    in_sight.extend(tracks.iter().filter(seen).map(|track| InSight {
        id: track.id,
        mount: track.mount(),
        bounds: track.bounds,
    }));
    let seen = tracks.iter_mut().filter(|track| track.seen == at);
    for (track, sight) in seen.zip(in_sight.iter()) {
        let own = sight.bounds;
        let Some(horizon) = ground.horizon_at(own.centre().x) else {
            continue;
        };
        let covered: f64 = in_sight.iter().map(|other| other.covers(sight)).sum();
        let is_whole = track.is_grounded()
            && own.x > AT_EDGE
            && own.y > AT_EDGE
            && own.right() < 1.0 - AT_EDGE
            && own.bottom() < 1.0 - AT_EDGE;
        let lie = Lie {
            ground,
            horizon,
            heading: track.heading(),
            size: track.size().unwrap_or_default(),
        };
        track.footing.see(&own, &lie, covered.min(1.0), is_whole);
    }
}

/// Of which part of a lower edge a box is in the way, if it is nearer.
fn covers(nearer: &NormBox, own: &NormBox) -> f64 {
    let shared = own.right().min(nearer.right()) - own.x.max(nearer.x);
    let is_nearer = nearer.y < own.bottom() && nearer.bottom() > own.bottom() + NEARER * own.height;
    if is_nearer {
        (shared / own.width).max(0.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::Camera;
    use crate::speed::simulation::{ASPECT, View, calibration};
    use protocol::ObjectClass;

    /// A vehicle that drives away from a camera on a pole.
    struct Case {
        ground: Ground,
        size: Size,
        height_m: f64,
        footing: Footing,
    }

    impl Case {
        fn new(class: ObjectClass, height_m: f64) -> Self {
            Self {
                ground: Ground::new(&calibration(&View {
                    height: 8.0,
                    pitch: 0.2,
                    yaw: 0.0,
                    focal: 1.2,
                    distance: 40.0,
                    gate_m: 25.0,
                    fps: 25.0,
                    has_model: true,
                }))
                .unwrap(),
                size: Size::usual(class).unwrap(),
                height_m,
                footing: Footing::default(),
            }
        }

        /// The box around it when its tail is so far away.
        fn bounds(&self, tail: f64) -> NormBox {
            let camera = Camera::of(&self.ground, ASPECT).unwrap();
            let half = self.size.width / 2.0;
            let corner = |x, y, z| camera.project(Vector::new(x, y), z).unwrap();
            let (left, right) = (corner(-half, tail, 0.0), corner(half, tail, 0.0));
            let top = corner(0.0, tail + self.size.length, self.height_m);
            NormBox {
                x: left.x / ASPECT + 0.5,
                y: top.y + 0.5,
                width: (right.x - left.x) / ASPECT,
                height: left.y - top.y,
            }
        }

        fn see(&mut self, bounds: &NormBox, covered: f64) -> Option<f64> {
            let lie = Lie {
                ground: &self.ground,
                horizon: self.ground.horizon_at(0.5).unwrap(),
                heading: Some(Vector::new(0.0, 1.0)),
                size: self.size,
            };
            self.footing.see(bounds, &lie, covered, true);
            self.footing.bottom()
        }

        fn drive(&mut self, from: u32, to: u32) {
            for tail in from..to {
                assert_eq!(self.see(&self.bounds(f64::from(tail)), 0.0), None);
            }
        }
    }

    fn drawn_down(bounds: &NormBox, by: f64) -> NormBox {
        NormBox {
            height: bounds.height * (1.0 + by),
            ..*bounds
        }
    }

    /// A car that had stopped two metres beyond a stop line, sixty metres away,
    /// beside a nearer one: its box was four pixels too high, its tail seemed
    /// more than a metre nearer, and its front before the line.
    #[test]
    fn a_contested_lower_edge_is_where_height_and_upper_edge_have_it() {
        for (class, height_m) in [
            (ObjectClass::Car, 1.6),
            (ObjectClass::Motorcycle, 1.6),
            (ObjectClass::Bus, 3.2),
        ] {
            let mut case = Case::new(class, height_m);
            case.drive(20, 40);
            for (off, tail) in [(0.08, 41.0), (-0.1, 50.0), (0.05, 60.0)] {
                let truth = case.bounds(tail);
                let bottom = case.see(&drawn_down(&truth, off), 1.0).unwrap();
                let foot = |y| case.ground.to_ground(Point { x: 0.5, y }).unwrap().y;
                assert!(
                    (foot(bottom) - tail).abs() < 0.8,
                    "{class:?} {tail} {}",
                    foot(bottom)
                );
            }
            // Nobody is in the way any more.
            assert_eq!(case.see(&case.bounds(60.0), 0.0), None);
        }
    }

    #[test]
    fn who_was_never_seen_whole_stands_where_its_box_ends() {
        let mut case = Case::new(ObjectClass::Car, 1.6);
        for tail in 20..40 {
            assert_eq!(case.see(&case.bounds(f64::from(tail)), 0.6), None);
        }
    }

    #[test]
    fn a_foot_is_hidden_where_neither_edge_nor_height_tells_it() {
        let mut case = Case::new(ObjectClass::Car, 1.6);
        case.see(&case.bounds(40.0), 0.9);
        assert!(case.footing.is_hidden());
        case.see(&case.bounds(40.0), 0.3);
        assert!(!case.footing.is_hidden());
        case.drive(20, 40);
        assert!(!case.footing.is_hidden());
        assert!(case.see(&case.bounds(41.0), 0.9).is_some());
        assert!(!case.footing.is_hidden());
    }

    #[test]
    fn who_turns_while_contested_is_not_measured_by_its_back() {
        let mut case = Case::new(ObjectClass::Car, 1.6);
        case.drive(20, 40);
        let mut side = case.bounds(40.0);
        side.width *= 1.8;
        assert_eq!(case.see(&side, 1.0), None);
        assert_eq!(case.see(&case.bounds(40.0), 1.0), None);
    }

    #[test]
    fn only_what_is_nearer_and_in_the_way_contests() {
        let case = Case::new(ObjectClass::Car, 1.6);
        let own = case.bounds(40.0);
        let at = |x: f64, tail: f64| NormBox {
            x,
            ..case.bounds(tail)
        };
        let part = covers(&at(own.x + own.width / 2.0, 38.0), &own);
        assert!((part - 0.5).abs() < 1e-9, "{part}");
        assert_eq!(covers(&at(own.right() + 0.01, 38.0), &own), 0.0);
        assert_eq!(covers(&at(own.x, 42.0), &own), 0.0);
        // Far nearer, and wholly below.
        assert_eq!(covers(&at(own.x, 20.0), &own), 0.0);
    }
}
