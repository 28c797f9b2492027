#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity, Value};
use protocol::units::rounded;
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::{Case, EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::observation::{Basis, FrameView, Length, Observation};
use crate::tracker::Spot;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "wrong_lane",
    title: ("Đi không đúng làn đường", "Wrong lane"),
    summary: (
        "Loại xe không được phép đi trong làn này",
        "A vehicle drives in a lane that its class may not use",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "the lane"),
        Param::new(
            "classes",
            Form::Classes(&[ObjectClass::Motorcycle]),
            "who may not use it",
        ),
        Param::number(
            "min_duration_s",
            (1.5, "s"),
            (0.2, 600.0),
            "for how long it must have been in the lane",
        ),
        Param::number(
            "min_travel_m",
            (15.0, "m"),
            (0.0, 1_000.0),
            "how far it must have gone in the lane (calibrated cameras)",
        ),
        Param::number(
            "min_travel_heights",
            (4.0, "box heights"),
            (0.0, 100.0),
            "how far it must have gone in the lane (without calibration)",
        ),
    ],
    read,
};

/// Outside, or not seen, for up to this long is flicker, s.
const FLICKER_S: f64 = 0.6;
/// Least part of the pictures of the stay that must show it in the lane.
const LEAST_INSIDE: f64 = 0.8;

#[derive(Clone, Debug)]
struct WrongLane {
    zone: Zone,
    classes: Vec<ObjectClass>,
    min_duration_s: f64,
    min_travel: Length,
    vehicles: BTreeMap<TrackId, Vehicle>,
}

#[derive(Clone, Debug, Default)]
struct Vehicle {
    stay: Option<Stay>,
    case: Option<Case>,
    raised: bool,
}

/// A stretch in the lane.
#[derive(Clone, Copy, Debug)]
struct Stay {
    start: Spot,
    /// The last look that showed it in the lane.
    last: Spot,
    last_watched: f64,
    /// Watched seconds in the lane.
    inside_s: f64,
    looks: f64,
    looks_inside: f64,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let classes = params.classes("classes");
    let min_duration_s = params.number("min_duration_s");
    let min_travel = Length {
        metres: params.number("min_travel_m"),
        heights: params.number("min_travel_heights"),
    };
    Some(Box::new(WrongLane {
        zone: zone?,
        classes: classes?,
        min_duration_s,
        min_travel,
        vehicles: BTreeMap::new(),
    }))
}

impl Stay {
    fn new(spot: Spot, watched: f64) -> Self {
        Self {
            start: spot,
            last: spot,
            last_watched: watched,
            inside_s: 0.0,
            looks: 1.0,
            looks_inside: 1.0,
        }
    }

    /// Takes a look that shows it in the lane.
    fn go_on(&mut self, spot: Spot, watched: f64) {
        // Negative when a frozen picture's time is taken back.
        let passed = watched - self.last_watched;
        if passed <= FLICKER_S {
            self.inside_s = (self.inside_s + passed).max(0.0);
        }
        self.last = spot;
        self.last_watched = watched;
        self.looks += 1.0;
        self.looks_inside += 1.0;
    }
}

impl WrongLane {
    fn follow(&self, vehicle: &mut Vehicle, user: &Observation, frame: &FrameView<'_>) -> bool {
        let Some(middle) = frame.middle(user) else {
            return false;
        };
        let is_inside = polygon_contains(&self.zone.points, middle);
        match &mut vehicle.stay {
            Some(stay) if is_inside => stay.go_on(user.spot, frame.watched),
            None if is_inside => vehicle.stay = Some(Stay::new(user.spot, frame.watched)),
            Some(stay) => {
                stay.looks += 1.0;
                if frame.watched - stay.last_watched > FLICKER_S {
                    vehicle.stay = None;
                }
            }
            None => {}
        }
        is_inside
    }

    fn case(&self, stay: &Stay, user: &Observation, frame: &FrameView<'_>) -> Onset {
        let way = stay.start.way_to(&user.spot);
        let (basis, travelled) = (way.basis, way.vector.length());
        let span = Span::new(stay.start.at, frame.at);
        let mut explanation = vec![
            explain::number(
                explain::name("in_lane_for", "Thời gian đi trong làn", "Time in the lane"),
                (stay.inside_s, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::number(
                (
                    "travel_in_lane",
                    format!("Quãng đường đi trong làn ({})", basis.vi()),
                    format!("Travel in the lane ({})", basis.en()),
                ),
                (travelled, Comparison::AtLeast, self.min_travel.of(basis)),
                basis.unit(),
                span,
            ),
            explain::number(
                explain::name(
                    "in_zone",
                    "Tỷ lệ khung hình thấy xe nằm trong làn",
                    "Share of the pictures with the vehicle in the lane",
                ),
                (
                    stay.looks_inside / stay.looks,
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
            ("in_lane_s", stay.inside_s.into()),
        ]);
        if basis == Basis::Ground {
            facts.insert("distance_m".to_owned(), Value::from(travelled));
        }
        if let Some(speed) = user.motion.and_then(|motion| motion.ground_speed()) {
            facts.insert("speed_kmh".to_owned(), Value::from(rounded(speed.0, 1)));
        }
        Onset {
            subject: user.track,
            onset: stay.start.at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            evidence: vec![stay.start.at],
        }
    }
}

impl Rule for WrongLane {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut vehicles = std::mem::take(&mut self.vehicles);
        for user in frame.users {
            if !self.classes.contains(&user.class) && !vehicles.contains_key(&user.track) {
                continue;
            }
            let vehicle = vehicles.entry(user.track).or_default();
            let last = vehicle.stay.map(|stay| stay.last);
            let is_inside = self.follow(vehicle, user, frame);
            match vehicle.stay {
                Some(stay) if is_inside && !vehicle.raised => {
                    let is_near =
                        stay.inside_s >= self.min_duration_s || report.wants_near_misses();
                    if is_near
                        && self.classes.contains(&user.class)
                        && let Some(case) = report.decide(self.case(&stay, user, frame))
                    {
                        vehicle.raised = true;
                        vehicle.case = Some(case);
                    }
                }
                None => {
                    if let (Some(case), Some(last)) = (vehicle.case.take(), last) {
                        case.close(last.at.time, EndReason::Left, BTreeMap::new(), report);
                    }
                }
                Some(_) => {}
            }
        }
        self.vehicles = vehicles;
    }

    fn forget(&mut self, track: TrackId, report: &mut Reporter<'_>) {
        if let Some(vehicle) = self.vehicles.remove(&track)
            && let (Some(case), Some(stay)) = (vehicle.case, vehicle.stay)
        {
            let reason = EndReason::LostFromView;
            case.close(stay.last.at.time, reason, BTreeMap::new(), report);
        }
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        for vehicle in std::mem::take(&mut self.vehicles).into_values() {
            if let (Some(case), Some(stay)) = (vehicle.case, vehicle.stay) {
                case.close(stay.last.at.time, reason, BTreeMap::new(), report);
            }
        }
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
