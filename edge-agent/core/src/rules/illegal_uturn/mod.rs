#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, FrameTime, Severity};
use protocol::{EventTime, ObjectClass, Point, Predicate, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::{Vector, polygon_contains};
use crate::observation::{Basis, FrameView, Length, Observation};
use crate::tracker::Spot;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "illegal_uturn",
    title: ("Quay đầu xe nơi cấm", "Illegal U-turn"),
    summary: (
        "Xe quay đầu ở nơi cấm quay đầu",
        "A vehicle turns back where that is forbidden",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where turning back is forbidden"),
        Param::new(
            "from",
            Form::Direction,
            "the way that those concerned come, from one point to another; may be left out, and \
             then all are concerned",
        ),
        Param::number(
            "min_turn_deg",
            (150.0, "°"),
            (90.0, 270.0),
            "by how much the heading must have changed",
        ),
        Param::number(
            "max_turn_s",
            (30.0, "s"),
            (1.0, 600.0),
            "within what time from the beginning of the turn",
        ),
        Param::number(
            "min_back_m",
            (3.0, "m"),
            (0.0, 100.0),
            "how far it must have gone back since it was half-way (calibrated cameras)",
        ),
        Param::number(
            "min_back_heights",
            (0.7, "box heights"),
            (0.0, 20.0),
            "how far it must have gone back since it was half-way (without calibration)",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

/// Who comes from this much off `from` comes from elsewhere, °.
const COMES_WITHIN_DEG: f64 = 60.0;
/// No vehicle turns by more between two headings a fifth of a second apart, °.
const LEAP_DEG: f64 = 75.0;
/// A heading is known anew this often while it moves, s. Who swings round on the
/// spot is too slow for a moment, and may have turned by twice as much …
const HEADED_S: f64 = 0.2;
/// … but who has none for longer stood, and jitters.
const STOOD_S: f64 = 1.0;
/// Less than this is not yet turning, °.
const BEGINS_DEG: f64 = 20.0;
/// Outside, or not seen, for up to this long is flicker, s.
const FLICKER_S: f64 = 1.5;
/// No vehicle pulls more to the side when it turns, m/s²: tyres hold 0.8 g, and
/// half as much again is for the coarse beginning and end of what is measured.
const MOST_PULL: f64 = 12.0;
/// Between the way in and the way back lie no more metres: a bus needs 24.
const WIDEST: f64 = 25.0;
/// An id that leaps farther between looks went from one body to another.
const LEAP: Length = Length {
    metres: 4.0,
    heights: 1.5,
};
/// And so much more per second.
const LEAP_PER_S: Length = Length {
    metres: 30.0,
    heights: 14.0,
};
/// How far it goes is measured from looks this far apart, s.
const SAMPLE_S: f64 = 0.2;
/// A heading is that of the motion in the last so many seconds.
const HEADING_OVER_S: f64 = 1.3;
/// In the picture a slower motion has no heading, box heights per second.
const LEAST_PACE: f64 = 0.5;

#[derive(Clone, Debug)]
struct IllegalUturn {
    zone: Zone,
    from: Option<(Point, Point)>,
    min_turn_deg: f64,
    max_turn_s: f64,
    min_back: Length,
    classes: Vec<ObjectClass>,
    vehicles: BTreeMap<TrackId, Vehicle>,
}

#[derive(Clone, Debug, Default)]
struct Vehicle {
    turn: Option<Turn>,
    last: Option<Spot>,
    /// When it last leapt, from one body to another.
    leapt: Option<EventTime>,
    raised: bool,
}

/// What a vehicle did since it came into the zone.
#[derive(Clone, Copy, Debug)]
struct Turn {
    basis: Basis,
    entered: FrameTime,
    /// Its heading then.
    came: Vector,
    heading: Vector,
    /// Which way it faced before it turned; of vehicles that were seen to drive, where calibrated.
    faced: Option<Vector>,
    /// Since when it has been that.
    headed: EventTime,
    /// Signed change of the heading since then, °.
    turned: f64,
    /// How far it went since it began to turn, m or box heights, by way of `sample`.
    went: f64,
    sample: Spot,
    /// Where it was last not yet turning.
    began: Spot,
    /// About half-way.
    half: Spot,
    last: Spot,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let from = params.is_written("from").then(|| params.direction("from"));
    let classes = params.classes("classes");
    let min_turn_deg = params.number("min_turn_deg");
    let max_turn_s = params.number("max_turn_s");
    let min_back = Length {
        metres: params.number("min_back_m"),
        heights: params.number("min_back_heights"),
    };
    Some(Box::new(IllegalUturn {
        zone: zone?,
        from: match from {
            Some(direction) => Some(direction?),
            None => None,
        },
        min_turn_deg,
        max_turn_s,
        min_back,
        classes: classes?,
        vehicles: BTreeMap::new(),
    }))
}

/// Which way a vehicle heads.
fn heading(user: &Observation, frame: &FrameView<'_>) -> Option<(Basis, Vector)> {
    if frame.sight.ground.is_some() {
        return frame.course(user).map(|course| (Basis::Ground, course));
    }
    let pace = user.motion?.picture;
    (pace.length() >= LEAST_PACE).then_some((Basis::Picture, pace.unit()?))
}

fn is_leap(from: &Spot, to: &Spot) -> bool {
    let way = from.way_to(to);
    let passed = to.at.time.since(from.at.time).0.max(0.0);
    way.vector.length() > LEAP.of(way.basis) + LEAP_PER_S.of(way.basis) * passed
}

/// By how much `to` is turned from `from`, ±180°.
fn turn(from: Vector, to: Vector) -> f64 {
    let angle = from.angle_degrees(to);
    if from.x * to.y - from.y * to.x < 0.0 {
        -angle
    } else {
        angle
    }
}

impl Turn {
    fn new((basis, heading): (Basis, Vector), faced: Option<Vector>, spot: Spot) -> Self {
        let now = spot.at;
        Self {
            basis,
            entered: now,
            came: heading,
            heading,
            faced,
            headed: now.time,
            turned: 0.0,
            went: 0.0,
            sample: spot,
            began: spot,
            half: spot,
            last: spot,
        }
    }

    fn go_on(
        mut self,
        (basis, heading): (Basis, Vector),
        faced: Option<Vector>,
        spot: Spot,
    ) -> Self {
        let now = spot.at;
        let by = turn(self.heading, heading);
        let apart = now.time.since(self.headed).0 / HEADED_S;
        let most = if apart * HEADED_S > STOOD_S {
            LEAP_DEG
        } else {
            LEAP_DEG * apart.clamp(1.0, 2.0)
        };
        if basis != self.basis || by.abs() > most {
            return Self::new((basis, heading), faced, spot);
        }
        self.turned += by;
        if heading != self.heading {
            self.heading = heading;
            self.headed = now.time;
        }
        if self.turned.abs() < BEGINS_DEG {
            self.began = spot;
            self.faced = faced;
            self.went = 0.0;
            self.sample = spot;
        } else if now.time.since(self.sample.at.time).0 >= SAMPLE_S {
            self.went += self.sample.way_to(&spot).vector.length();
            self.sample = spot;
        }
        if self.turned.abs() < 90.0 {
            self.half = spot;
        }
        self.last = spot;
        self
    }
}

impl IllegalUturn {
    fn follow(
        &self,
        turn: Option<&Turn>,
        user: &Observation,
        frame: &FrameView<'_>,
    ) -> Option<Turn> {
        let lasts = |turn: &Turn| frame.at.time.since(turn.last.at.time).0 <= FLICKER_S;
        let is_inside = frame
            .middle(user)
            .is_some_and(|middle| polygon_contains(&self.zone.points, middle));
        if !is_inside {
            return turn.filter(|turn| lasts(turn)).copied();
        }
        let Some(heading) = heading(user, frame) else {
            // It stands, for oncoming traffic perhaps.
            return turn.filter(|turn| lasts(turn)).copied().map(|turn| Turn {
                last: user.spot,
                ..turn
            });
        };
        let faced = frame.heading(user);
        Some(match turn.filter(|turn| lasts(turn)).copied() {
            Some(turn) => turn.go_on(heading, faced, user.spot),
            None => Turn::new(heading, faced, user.spot),
        })
    }

    /// By how much its way in was off `from`, °.
    fn came_off(&self, turn: &Turn, frame: &FrameView<'_>) -> Option<f64> {
        let (from, to) = self.from?;
        let spot = |point| frame.sight.spot(point, 1.0, frame.at);
        let (from, to) = (spot(from), spot(to));
        let along = match turn.basis {
            Basis::Ground => to.ground? - from.ground?,
            Basis::Picture => to.iso - from.iso,
        };
        Some(along.angle_degrees(turn.came))
    }

    fn case(&self, turn: &Turn, user: &Observation, frame: &FrameView<'_>) -> Onset {
        let span = Span::new(turn.began.at, frame.at);
        let basis = turn.basis;
        let took = frame.at.time.since(turn.began.at.time).0;
        let mut explanation = vec![
            explain::number(
                (
                    "turned",
                    format!("Hướng đi đã đổi ({})", basis.vi()),
                    format!("Heading changed by ({})", basis.en()),
                ),
                (turn.turned.abs(), Comparison::AtLeast, self.min_turn_deg),
                "°",
                span,
            ),
            explain::number(
                explain::name("turn_took", "Thời gian quay đầu", "The turn took"),
                (took, Comparison::AtMost, self.max_turn_s),
                "s",
                span,
            ),
        ];
        let way = turn.half.way_to(&user.spot);
        if way.basis == basis {
            explanation.push(explain::number(
                (
                    "drove_back",
                    format!("Quãng đường đi ngược lại ({})", basis.vi()),
                    format!("Went back ({})", basis.en()),
                ),
                (
                    -turn.came.dot(way.vector),
                    Comparison::AtLeast,
                    self.min_back.of(basis),
                ),
                basis.unit(),
                Span::new(turn.half.at, frame.at),
            ));
        }
        if basis == Basis::Ground {
            explanation.extend(as_vehicles_turn(turn, user, frame));
        }
        if let Some(off) = self.came_off(turn, frame) {
            explanation.push(explain::number(
                (
                    "came_off_direction",
                    format!("Góc lệch so với hướng bị cấm khi đi vào ({})", basis.vi()),
                    format!("Way in off the direction concerned ({})", basis.en()),
                ),
                (off, Comparison::AtMost, COMES_WITHIN_DEG),
                "°",
                Span::at(turn.entered),
            ));
        }
        explanation.extend(explain::of_class(user, &self.classes, frame));
        Onset {
            subject: user.track,
            onset: turn.began.at.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts: explain::facts([
                ("class", user.class.as_str().into()),
                ("basis", basis.as_str().into()),
                ("sense", sense(turn, frame).into()),
            ]),
            explanation,
            // Coming, half-way, going back.
            evidence: vec![turn.began.at, turn.half.at],
        }
    }
}

/// Whether a vehicle can have turned so, by metres on the ground.
fn as_vehicles_turn(turn: &Turn, user: &Observation, frame: &FrameView<'_>) -> Vec<Predicate> {
    let span = Span::new(turn.began.at, frame.at);
    let took = frame.at.time.since(turn.began.at.time).0;
    let mut told = Vec::new();
    // A far box that jitters while its vehicle waits moves, now and then, as
    // if that drove; how the vehicle faces is known from the way it came.
    // Of one that was never seen to drive nobody knows.
    let faced_off = turn
        .faced
        .map_or(180.0, |faced| faced.angle_degrees(turn.came));
    told.push(explain::number(
        explain::name(
            "faced_off_course",
            "Góc lệch giữa hướng đầu xe và hướng đi vào",
            "Way in off the way that it faced",
        ),
        (faced_off, Comparison::AtMost, COMES_WITHIN_DEG),
        "°",
        Span::at(turn.began.at),
    ));
    // Of an id that went from one body to another that came the other
    // way, the heading turns at full speed.
    let seconds = took.max(0.1);
    let pull = turn.turned.abs().to_radians() / seconds * turn.went / seconds;
    told.push(explain::number(
        explain::name(
            "sideways_acceleration",
            "Gia tốc ngang trung bình khi quay",
            "Mean sideways acceleration in the turn",
        ),
        (pull, Comparison::AtMost, MOST_PULL),
        "m/s²",
        span,
    ));
    // A far vehicle that sets off moves less than its box jitters, and then
    // "comes" from anywhere: by that an ordinary turn would be one back.
    let way = turn.began.way_to(&user.spot);
    if way.basis == turn.basis {
        told.push(explain::number(
            explain::name("width", "Bề rộng của vòng quay", "Width of the turn"),
            (
                turn.came.cross(way.vector).abs(),
                Comparison::AtMost,
                WIDEST,
            ),
            "m",
            span,
        ));
    }
    told
}

/// Which way round it turned, as people see it. The picture's y runs
/// downwards; on the ground nobody says which way the axes go, so it is
/// looked at in the picture there, too.
fn sense(turn: &Turn, frame: &FrameView<'_>) -> &'static str {
    let flipped = frame.sight.ground.is_some_and(|ground| {
        let corner = |x, y| ground.to_ground(Point { x, y });
        match (corner(0.45, 0.95), corner(0.55, 0.95), corner(0.5, 0.9)) {
            (Some(left), Some(right), Some(up)) => {
                let (across, ahead) = (right - left, up - left);
                across.x * ahead.y - across.y * ahead.x > 0.0
            }
            _ => false,
        }
    });
    let clockwise = (turn.turned > 0.0) != (turn.basis == Basis::Ground && flipped);
    if clockwise { "right" } else { "left" }
}

impl Rule for IllegalUturn {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut vehicles = std::mem::take(&mut self.vehicles);
        for user in frame.users {
            if !self.classes.contains(&user.class) {
                continue;
            }
            let vehicle = vehicles.entry(user.track).or_default();
            if vehicle
                .last
                .replace(user.spot)
                .is_some_and(|last| is_leap(&last, &user.spot))
            {
                vehicle.leapt = Some(frame.at.time);
            }
            // Until then its heading mixes both bodies.
            let is_mixed = vehicle
                .leapt
                .is_some_and(|leapt| frame.at.time.since(leapt).0 < HEADING_OVER_S);
            vehicle.turn = if is_mixed {
                None
            } else {
                self.follow(vehicle.turn.as_ref(), user, frame)
            };
            let Some(turn) = &vehicle.turn else {
                continue;
            };
            let is_near = turn.turned.abs() >= self.min_turn_deg
                || (report.wants_near_misses() && turn.turned.abs() > 90.0);
            if !vehicle.raised
                && is_near
                && turn.last.at == frame.at
                // Begun and ended at once: nothing will be added to the case.
                && let Some(_over) = report.decide(self.case(turn, user, frame))
            {
                vehicle.raised = true;
            }
        }
        self.vehicles = vehicles;
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.vehicles.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.vehicles.clear();
    }

    fn remembered(&self) -> usize {
        self.vehicles.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
