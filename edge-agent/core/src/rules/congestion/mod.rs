#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity, Value};
use protocol::{ObjectClass, Point, TrackId, ZoneId};

use super::episode::{Episode, Says, Times};
use super::explain::{self, Span};
use super::members::{Members, count};
use super::params::MOTOR_VEHICLES;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::observation::{Basis, FrameView, Length};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "congestion",
    title: ("Ùn tắc giao thông", "Congestion"),
    summary: (
        "Xe trong vùng đông và chậm trong một thời gian",
        "Traffic in a zone is slow and dense for a while",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where"),
        Param::number(
            "min_count",
            (4.0, "vehicles"),
            (1.0, 500.0),
            "at least so many are slow",
        ),
        Param::number(
            "max_speed_kmh",
            (15.0, "km/h"),
            (0.5, 120.0),
            "who is slower than this is slow (calibrated cameras)",
        ),
        Param::number(
            "max_mean_speed_kmh",
            (15.0, "km/h"),
            (0.5, 300.0),
            "the mean speed of all vehicles in the zone is lower (calibrated cameras)",
        ),
        Param::number(
            "max_speed_heights_per_s",
            (0.8, "box heights per s"),
            (0.05, 20.0),
            "both of these without calibration",
        ),
        Param::number(
            "min_occupancy",
            (0.6, ""),
            (0.0, 1.0),
            "vehicles cover at least this part of the zone in the picture; 0: any",
        ),
        Param::number(
            "min_duration_s",
            (60.0, "s"),
            (1.0, 3_600.0),
            "for how long",
        ),
        Param::number(
            "clear_after_s",
            (30.0, "s"),
            (1.0, 3_600.0),
            "it is over when it has been better for this long",
        ),
        Param::number(
            "update_every_s",
            (60.0, "s"),
            (0.0, 86_400.0),
            "how often a running event is brought up to date; 0 for never",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

/// Who is missed for longer is not there any more, s.
const MISSED_S: f64 = 1.0;
/// A running event goes on with so many of the slow vehicles …
const STILL_COUNT: f64 = 0.5;
/// … up to so much more than the greatest mean speed …
const STILL_SPEED: f64 = 4.0 / 3.0;
/// … and with so much of the occupancy.
const STILL_OCCUPIED: f64 = 2.0 / 3.0;
/// Points of the zone's bounding box at which occupancy is looked at, each way.
const GRID: u32 = 16;

#[derive(Clone, Debug)]
struct Congestion {
    zone: Zone,
    /// Evenly spaced points of the zone.
    points: Vec<Point>,
    min_count: f64,
    max_speed: Length,
    max_mean_speed: Length,
    min_occupancy: f64,
    times: Times,
    classes: Vec<ObjectClass>,
    members: Members,
    episode: Episode,
    most: f64,
    state: State,
}

/// What the zone looks like.
#[derive(Clone, Copy, Debug)]
struct State {
    basis: Basis,
    vehicles: f64,
    slow: f64,
    /// Of all vehicles whose speed is known.
    mean_speed: Option<f64>,
    occupancy: f64,
}

impl State {
    const EMPTY: Self = Self {
        basis: Basis::Picture,
        vehicles: 0.0,
        slow: 0.0,
        mean_speed: None,
        occupancy: 0.0,
    };
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let classes = params.classes("classes");
    let min_count = params.number("min_count");
    let heights = params.number("max_speed_heights_per_s");
    let speed = |metres| Length { metres, heights };
    let max_speed = speed(params.number("max_speed_kmh"));
    let max_mean_speed = speed(params.number("max_mean_speed_kmh"));
    let min_occupancy = params.number("min_occupancy");
    let times = Times {
        min_duration_s: params.number("min_duration_s"),
        clear_after_s: params.number("clear_after_s"),
        update_every_s: params.number("update_every_s"),
    };
    let zone = zone?;
    Some(Box::new(Congestion {
        points: grid(&zone.points),
        zone,
        min_count,
        max_speed,
        max_mean_speed,
        min_occupancy,
        times,
        classes: classes?,
        members: Members::new(MISSED_S),
        episode: Episode::default(),
        most: 0.0,
        state: State::EMPTY,
    }))
}

/// Evenly spaced points within a polygon; its first corner if it is too thin for any.
fn grid(polygon: &[Point]) -> Vec<Point> {
    let (mut low, mut high) = ((1.0, 1.0), (0.0, 0.0));
    for p in polygon {
        low = (f64::min(low.0, p.x), f64::min(low.1, p.y));
        high = (f64::max(high.0, p.x), f64::max(high.1, p.y));
    }
    let at = |from: f64, to: f64, step: u32| {
        from + (to - from) * (f64::from(step) + 0.5) / f64::from(GRID)
    };
    let mut points: Vec<Point> = (0..GRID * GRID)
        .map(|index| Point {
            x: at(low.0, high.0, index % GRID),
            y: at(low.1, high.1, index / GRID),
        })
        .filter(|point| polygon_contains(polygon, *point))
        .collect();
    if points.is_empty() {
        points.extend(polygon.first());
    }
    points
}

impl Congestion {
    fn state(&self, basis: Basis) -> State {
        let speeds = self
            .members
            .iter()
            .filter_map(|member| member.speed)
            .filter(|(of, _)| *of == basis);
        let (mut known, mut sum, mut slow) = (0.0, 0.0, 0.0);
        for (_, speed) in speeds {
            known += 1.0;
            sum += speed;
            slow += f64::from(u8::from(speed < self.max_speed.of(basis)));
        }
        let is_covered = |p: &&Point| {
            self.members.iter().any(|member| {
                let b = &member.bounds;
                (b.x..=b.x + b.width).contains(&p.x) && (b.y..=b.y + b.height).contains(&p.y)
            })
        };
        State {
            basis,
            vehicles: count(self.members.count()),
            slow,
            mean_speed: (known > 0.0).then_some(sum / known),
            occupancy: count(self.points.iter().filter(is_covered).count())
                / count(self.points.len()),
        }
    }

    fn says(&self, state: &State) -> Says {
        let holds = |count: f64, speed: f64, occupied: f64| {
            state.slow >= count * self.min_count
                && state
                    .mean_speed
                    .is_some_and(|mean| mean < speed * self.max_mean_speed.of(state.basis))
                && state.occupancy >= occupied * self.min_occupancy
        };
        if holds(1.0, 1.0, 1.0) {
            Says::Yes
        } else if holds(STILL_COUNT, STILL_SPEED, STILL_OCCUPIED) {
            Says::Still
        } else {
            Says::No
        }
    }

    fn facts(&self, held: f64) -> BTreeMap<String, Value> {
        let state = &self.state;
        let mut facts = explain::facts([
            ("duration_s", held.into()),
            ("vehicles", state.vehicles.into()),
            ("slow_vehicles", state.slow.into()),
            ("most_slow_vehicles", self.most.into()),
            ("occupancy", state.occupancy.into()),
            ("basis", state.basis.as_str().into()),
        ]);
        if let (Basis::Ground, Some(mean)) = (state.basis, state.mean_speed) {
            facts.insert("mean_speed_kmh".to_owned(), mean.into());
        }
        facts
    }

    fn decide(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let state = self.state;
        let Some(mean) = state.mean_speed else {
            return;
        };
        let unit = match state.basis {
            Basis::Ground => "km/h",
            Basis::Picture => "box heights per s",
        };
        let began = self.episode.began(frame);
        let now = Span::at(frame.at);
        let explanation = vec![
            explain::number(
                explain::name("duration", "Kéo dài", "Duration"),
                (
                    self.episode.held(),
                    Comparison::AtLeast,
                    self.times.min_duration_s,
                ),
                "s",
                Span::new(began, frame.at),
            ),
            explain::number(
                (
                    "slow_vehicles",
                    format!("Số xe chậm hơn {} {unit}", self.max_speed.of(state.basis)),
                    format!(
                        "Vehicles slower than {} {unit}",
                        self.max_speed.of(state.basis)
                    ),
                ),
                (state.slow, Comparison::AtLeast, self.min_count),
                "",
                now,
            ),
            explain::number(
                (
                    "mean_speed",
                    format!("Tốc độ trung bình của xe trong vùng ({})", state.basis.vi()),
                    format!(
                        "Mean speed of the vehicles in the zone ({})",
                        state.basis.en()
                    ),
                ),
                (
                    mean,
                    Comparison::LessThan,
                    self.max_mean_speed.of(state.basis),
                ),
                unit,
                now,
            ),
            explain::number(
                explain::name(
                    "occupancy",
                    "Phần của vùng trong ảnh bị xe che phủ",
                    "Part of the zone in the picture that vehicles cover",
                ),
                (state.occupancy, Comparison::AtLeast, self.min_occupancy),
                "",
                now,
            ),
        ];
        let case = report.decide(Onset {
            subject: self.episode.subject(frame),
            onset: began.time,
            decided: frame.at,
            ended: None,
            actors: Vec::new(),
            facts: self.facts(self.episode.held()),
            explanation,
            evidence: vec![began],
        });
        self.episode.raised(case);
    }
}

impl Rule for Congestion {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let classes = &self.classes;
        self.members.update(frame, &self.zone.points, |user| {
            classes.contains(&user.class)
        });
        let basis = match frame.sight.ground {
            Some(_) => Basis::Ground,
            None => Basis::Picture,
        };
        self.state = self.state(basis);
        let says = self.says(&self.state);
        if self.episode.remembered() == 0 {
            self.most = 0.0;
        }
        self.most = self.most.max(self.state.slow);
        let mut episode = std::mem::take(&mut self.episode);
        let is_due = episode.look((says, &self.times), frame, report, |held| self.facts(held));
        self.episode = episode;
        if is_due {
            self.decide(frame, report);
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.members.forget(track);
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        let facts = self.facts(self.episode.held());
        self.episode.close(reason, facts, report);
        self.members.clear();
    }

    fn remembered(&self) -> usize {
        self.members.count() + self.episode.remembered()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
