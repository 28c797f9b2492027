#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity, Value};
use protocol::units::rounded;
use protocol::{ObjectClass, Point, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::WHEELS;
use super::{Case, EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::{Vector, polygon_contains};
use crate::observation::{Basis, FrameView, Length, Observation, Way};
use crate::tracker::Spot;

/// The violation: against a lane.
pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "wrong_way",
    title: ("Đi ngược chiều", "Wrong-way driving"),
    summary: (
        "Xe chạy ngược hướng làn đường đủ lâu và đủ xa",
        "A vehicle drives against its lane for long enough and far enough",
    ),
    severity: Severity::Critical,
    guide: include_str!("README.md"),
    needs: &[],
    params: PARAMS,
    read,
};

/// The incident: against a whole carriageway, where others are in danger
/// within seconds.
pub(super) const DRIVER: RuleEntry = RuleEntry {
    kind: "wrong_way_driver",
    title: ("Xe đi ngược chiều trên đường một chiều", "Wrong-way driver"),
    summary: (
        "Xe chạy ngược chiều trên phần đường xe chạy: báo ngay trong vài giây",
        "A vehicle drives against the traffic of a carriageway: told within seconds",
    ),
    ..ENTRY
};

const PARAMS: &[Param] = &[
    Param::new("zone", Form::Zone, "the lane or carriageway"),
    Param::new(
        "direction",
        Form::Direction,
        "the way that traffic goes there, from one point to another",
    ),
    Param::number(
        "min_angle_deg",
        (120.0, "°"),
        (90.0, 179.0),
        "how far off the direction a course must be",
    ),
    Param::number(
        "min_duration_s",
        (2.0, "s"),
        (0.0, 600.0),
        "how long it must have gone against the direction",
    ),
    Param::number(
        "min_distance_m",
        (10.0, "m"),
        (0.5, 1_000.0),
        "how far it must have gone against the direction (calibrated cameras)",
    ),
    Param::number(
        "min_distance_heights",
        (3.0, "box heights"),
        (0.2, 100.0),
        "how far it must have gone against the direction (without calibration)",
    ),
    Param::number(
        "min_speed_kmh",
        (5.0, "km/h"),
        (0.0, 100.0),
        "slower is reversing, not driving (calibrated cameras)",
    ),
    Param::number(
        "min_speed_heights_per_s",
        (0.4, "box heights per s"),
        (0.0, 50.0),
        "slower is reversing, not driving (without calibration)",
    ),
    Param::new("classes", Form::Classes(WHEELS), "which vehicles"),
];

/// A course is taken over this long, s …
const CHORD_S: f64 = 0.8;
/// … or over what there is, if that is at least this, s.
const SHORTEST_CHORD_S: f64 = 0.35;
/// A shorter chord has no course: the vehicle stands.
const STANDING: Length = Length {
    metres: 0.5,
    heights: 0.15,
};
/// Courses that do not fit, or no sighting, for up to this long are flicker, s.
const FLICKER_S: f64 = 0.6;
/// Least part of the pictures of the stretch that must show it in the zone.
const LEAST_INSIDE: f64 = 0.8;
/// Who has not driven against the lane for this long does it no more, s.
const OVER_S: f64 = 3.0;

#[derive(Clone, Debug)]
struct WrongWay {
    zone: Zone,
    direction: (Point, Point),
    min_angle_deg: f64,
    min_duration_s: f64,
    min_distance: Length,
    min_speed_kmh: f64,
    min_speed_heights_per_s: f64,
    classes: Vec<ObjectClass>,
    drives: BTreeMap<TrackId, Drive>,
}

/// What one vehicle does with respect to the lane.
#[derive(Clone, Debug, Default)]
struct Drive {
    against: Option<Against>,
    case: Option<(Case, Spot)>,
    raised: bool,
}

/// A stretch driven against the lane.
#[derive(Clone, Copy, Debug)]
struct Against {
    start: Spot,
    /// The last frame whose course was against the lane.
    last: Spot,
    last_watched: f64,
    /// Watched seconds with a course against the lane.
    driven_s: f64,
    /// Seconds of which nobody saw the course.
    hidden_s: f64,
    least_angle: f64,
    /// Looks at the vehicle since then, those that showed it in the zone, and
    /// those since the last that showed it against the lane.
    looks: f64,
    looks_inside: f64,
    looks_astray: f64,
}

impl Against {
    /// It was seen against the lane again, in the zone.
    fn go_on(&mut self, user: &Observation, watched: f64, angle: f64) {
        // Negative when a frozen picture's time is taken back.
        let passed = watched - self.last_watched;
        if passed <= FLICKER_S {
            self.driven_s = (self.driven_s + passed).max(0.0);
        } else {
            self.hidden_s += passed;
        }
        self.last = user.spot;
        self.last_watched = watched;
        self.least_angle = self.least_angle.min(angle);
        self.looks += 1.0 + self.looks_astray;
        self.looks_inside += 1.0;
        self.looks_astray = 0.0;
    }
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let direction = params.direction("direction");
    let classes = params.classes("classes");
    let min_angle_deg = params.number("min_angle_deg");
    let min_duration_s = params.number("min_duration_s");
    let min_distance = Length {
        metres: params.number("min_distance_m"),
        heights: params.number("min_distance_heights"),
    };
    let min_speed_kmh = params.number("min_speed_kmh");
    let min_speed_heights_per_s = params.number("min_speed_heights_per_s");
    Some(Box::new(WrongWay {
        zone: zone?,
        direction: direction?,
        min_angle_deg,
        min_duration_s,
        min_distance,
        min_speed_kmh,
        min_speed_heights_per_s,
        classes: classes?,
        drives: BTreeMap::new(),
    }))
}

/// The lane's direction as a unit vector in either basis.
#[derive(Clone, Copy)]
struct Lane {
    picture: Option<Vector>,
    ground: Option<Vector>,
}

impl Lane {
    fn along(&self, basis: Basis) -> Option<Vector> {
        match basis {
            Basis::Ground => self.ground,
            Basis::Picture => self.picture,
        }
    }
}

impl WrongWay {
    fn lane(&self, frame: &FrameView<'_>) -> Lane {
        let spot = |point| frame.sight.spot(point, 1.0, frame.at);
        let (from, to) = (spot(self.direction.0), spot(self.direction.1));
        Lane {
            picture: (to.iso - from.iso).unit(),
            ground: from
                .ground
                .zip(to.ground)
                .and_then(|(from, to)| (to - from).unit()),
        }
    }

    /// Whether the middle half of what it covers of the road, from side to
    /// side, is in the zone; where that cannot be said, the middle half of its
    /// lower edge. Seen at a slant, a bus of the opposite lane has one point of
    /// that here, not all.
    fn is_inside(&self, user: &Observation, frame: &FrameView<'_>) -> bool {
        if let (Some(stance), Some(ground)) = (user.stance, frame.sight.ground) {
            return stance.across(0.5).iter().all(|place| {
                let point = ground.to_image(*place);
                point.is_some_and(|point| polygon_contains(&self.zone.points, point))
            });
        }
        let (foot, quarter) = (user.spot.foot, user.bounds.width / 4.0);
        [-quarter, 0.0, quarter].iter().all(|offset| {
            let point = Point {
                x: foot.x + offset,
                y: foot.y,
            };
            polygon_contains(&self.zone.points, point)
        })
    }

    /// Follows one vehicle by one frame.
    fn follow(&self, drive: &mut Drive, user: &Observation, lane: &Lane, frame: &FrameView<'_>) {
        // A box that the picture's edge cuts, or others from below, has its lower
        // edge anywhere.
        if frame.middle(user).is_none() || frame.has_hidden_foot(user) {
            return;
        }
        let is_inside = self.is_inside(user, frame);
        // Nothing can be said of a track's first moments.
        let Some((from, way)) = chord(frame, user) else {
            return;
        };
        let against = drive.against.as_mut();
        match angle(&way, lane) {
            _ if is_inside && way.vector.length() < STANDING.of(way.basis) => {
                // It stands: neither driving on nor turning back.
                if let Some(against) = against {
                    against.last_watched = frame.watched;
                }
            }
            Some(angle) if is_inside && angle > self.min_angle_deg => {
                drive
                    .against
                    .get_or_insert_with(|| self.begin(user, from, frame))
                    .go_on(user, frame.watched, angle);
            }
            _ => {
                if let Some(against) = against {
                    against.looks_astray += 1.0;
                    if frame.watched - against.last_watched > FLICKER_S {
                        drive.against = None;
                    }
                }
            }
        }
    }

    /// A stretch that began with the chord by which it was noticed, if that lies in the zone.
    fn begin(&self, user: &Observation, from: Spot, frame: &FrameView<'_>) -> Against {
        let is_inside = |spot: &Spot| polygon_contains(&self.zone.points, spot.foot);
        let start = if is_inside(&from) { from } else { user.spot };
        let (mut driven_s, mut hidden_s, mut looks, mut looks_inside) = (0.0, 0.0, 0.0, 0.0);
        let mut last = start;
        let since_start = |spot: &&Spot| (start.at.time..user.spot.at.time).contains(&spot.at.time);
        let seen = frame.trail(user).iter().filter(since_start);
        for spot in seen.chain(std::iter::once(&user.spot)) {
            let passed = spot.at.time.since(last.at.time).0;
            if passed <= FLICKER_S {
                driven_s += passed;
            } else {
                hidden_s += passed;
            }
            last = *spot;
            // `user` itself is counted when the stretch goes on.
            if spot.at != user.spot.at {
                looks += 1.0;
                looks_inside += f64::from(u8::from(is_inside(spot)));
            }
        }
        Against {
            start,
            last: user.spot,
            last_watched: frame.watched,
            driven_s,
            hidden_s,
            least_angle: f64::INFINITY,
            looks,
            looks_inside,
            looks_astray: 0.0,
        }
    }

    /// The event, if the lane's direction is known in the basis of the way.
    fn judge(
        &self,
        against: &Against,
        user: &Observation,
        lane: &Lane,
        frame: &FrameView<'_>,
    ) -> Option<Onset> {
        let way = against.start.way_to(&user.spot);
        let along = lane.along(way.basis)?;
        // Progress against the lane, so that weaving adds nothing.
        let distance = -along.dot(way.vector);
        let overall = along.angle_degrees(way.vector);
        let pace = distance / (against.driven_s + against.hidden_s).max(1e-3);
        let (speed, least_speed, speed_unit) = match way.basis {
            Basis::Ground => (pace * 3.6, self.min_speed_kmh, "km/h"),
            Basis::Picture => (pace, self.min_speed_heights_per_s, "box heights per s"),
        };
        let span = Span::new(against.start.at, frame.at);
        let basis = way.basis;
        let mut explanation = vec![
            explain::number(
                (
                    "heading_off_lane",
                    format!("Góc lệch so với hướng làn ({})", basis.vi()),
                    format!("Heading off the lane's direction ({})", basis.en()),
                ),
                (
                    overall.min(against.least_angle),
                    Comparison::MoreThan,
                    self.min_angle_deg,
                ),
                "°",
                span,
            ),
            explain::number(
                explain::name(
                    "against_lane_for",
                    "Thời gian chạy ngược chiều",
                    "Time driven against the lane",
                ),
                (against.driven_s, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::number(
                (
                    "against_lane_distance",
                    format!("Quãng đường chạy ngược chiều ({})", basis.vi()),
                    format!("Distance driven against the lane ({})", basis.en()),
                ),
                (distance, Comparison::AtLeast, self.min_distance.of(basis)),
                basis.unit(),
                span,
            ),
            explain::number(
                (
                    "mean_speed",
                    format!("Tốc độ trung bình ({})", basis.vi()),
                    format!("Mean speed ({})", basis.en()),
                ),
                (speed, Comparison::AtLeast, least_speed),
                speed_unit,
                span,
            ),
            explain::number(
                explain::name(
                    "in_zone",
                    "Tỷ lệ khung hình thấy xe nằm trong làn",
                    "Share of the pictures with the vehicle in the zone",
                ),
                (
                    against.looks_inside / against.looks.max(1.0),
                    Comparison::AtLeast,
                    LEAST_INSIDE,
                ),
                "",
                span,
            ),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let mut facts = explain::facts([
            ("class", user.class.as_str().into()),
            ("basis", basis.as_str().into()),
            ("against_lane_s", against.driven_s.into()),
            ("hidden_s", against.hidden_s.into()),
        ]);
        if basis == Basis::Ground {
            facts.insert("distance_m".to_owned(), Value::from(distance));
            facts.insert("speed_kmh".to_owned(), Value::from(rounded(speed, 1)));
        }
        Some(Onset {
            subject: user.track,
            onset: against.start.at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            evidence: vec![against.start.at],
        })
    }
}

/// The way of the last second, from where it began.
fn chord(frame: &FrameView<'_>, user: &Observation) -> Option<(Spot, Way)> {
    let now = user.spot.at.time;
    let mut from = None;
    for spot in frame.trail(user).iter().rev() {
        let age = now.since(spot.at.time).0;
        // A spot from before a hole says nothing of the last second.
        if age > CHORD_S + SHORTEST_CHORD_S {
            break;
        }
        if age >= SHORTEST_CHORD_S {
            from = Some(*spot);
        }
        if age >= CHORD_S {
            break;
        }
    }
    from.map(|from| (from, from.way_to(&user.spot)))
}

fn angle(way: &Way, lane: &Lane) -> Option<f64> {
    lane.along(way.basis)
        .map(|along| along.angle_degrees(way.vector))
}

impl Rule for WrongWay {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let lane = self.lane(frame);
        let mut drives = std::mem::take(&mut self.drives);
        for user in frame.users {
            if !self.classes.contains(&user.class) {
                continue;
            }
            let drive = drives.entry(user.track).or_default();
            self.follow(drive, user, &lane, frame);
            if let Some(against) = &drive.against
                && !drive.raised
                && against.last.at == frame.at
                && (against.driven_s >= self.min_duration_s || report.wants_near_misses())
                && let Some(onset) = self.judge(against, user, &lane, frame)
                && let Some(case) = report.decide(onset)
            {
                drive.raised = true;
                drive.case = Some((case, against.last));
            }
            if let (Some((_, last)), Some(against)) = (&mut drive.case, &drive.against) {
                *last = against.last;
            }
            let is_over = drive
                .case
                .as_ref()
                .is_some_and(|(_, last)| frame.at.time.since(last.at.time).0 > OVER_S);
            if is_over && let Some((case, last)) = drive.case.take() {
                case.close(last.at.time, EndReason::Left, BTreeMap::new(), report);
            }
        }
        self.drives = drives;
    }

    fn forget(&mut self, track: TrackId, report: &mut Reporter<'_>) {
        if let Some((case, last)) = self.drives.remove(&track).and_then(|drive| drive.case) {
            case.close(
                last.at.time,
                EndReason::LostFromView,
                BTreeMap::new(),
                report,
            );
        }
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        for (_, drive) in std::mem::take(&mut self.drives) {
            if let Some((case, last)) = drive.case {
                case.close(last.at.time, reason, BTreeMap::new(), report);
            }
        }
    }

    fn remembered(&self) -> usize {
        self.drives.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
